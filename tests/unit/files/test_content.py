"""Unzipping with and without the faster library."""

import gzip
import zlib

import numpy as np
import pytest

from labeltransfer.files import content
from labeltransfer.files.errors import ArchiveError


@pytest.fixture(params=["fast", "plain"])
def library(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(content, "zlib", zlib)
    else:
        monkeypatch.setattr(content, "zlib", pytest.importorskip("isal.isal_zlib"))


@pytest.fixture
def file(tmp_path, rng):
    """A gzip file of two members, and what is in it."""
    data = [rng.integers(0, 40, 300_000).astype(np.uint8).tobytes(), b"and more" * 1000]
    path = tmp_path / "file.gz"
    path.write_bytes(b"".join(gzip.compress(part) for part in data))
    return path, b"".join(data)


def test_content_is_what_was_zipped(library, file):
    path, data = file
    assert content.read_bytes(path) == data
    with content.open_plain(path, 2**20) as plain:
        assert plain.read() == data


@pytest.mark.parametrize("read", [content.read_bytes, content.map_bytes])
@pytest.mark.parametrize("fault", ["truncated gzip", "damaged gzip", "file too large"])
def test_faults_have_their_reasons(library, file, tmp_path, read, fault):
    path, data = file
    raw, limit = bytearray(path.read_bytes()), 2**20
    if fault == "truncated gzip":
        raw = raw[:-20]
    elif fault == "damaged gzip":
        raw[1000:1100] = bytes(100)
    else:
        limit = len(data) - 1
    bad = tmp_path / "bad.gz"
    bad.write_bytes(raw)
    with pytest.raises(ArchiveError) as error:
        read(bad, limit)
    assert error.value.reason == fault
