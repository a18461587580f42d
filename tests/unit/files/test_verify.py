"""Whether a fetched file is whole, and where its name leads."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeltransfer.files.verify import safe_path, verify_fits
from tests.unit.files.conftest import NAME


@given(st.text(st.sampled_from("./\\a~é\0 \n"), max_size=12))
def test_safe_path_is_below_the_folder_or_refused(name):
    folder = Path("/nowhere/folder")
    safe = set(name) <= set("./a~é ") and all(part.strip(".") or len(part) > 2 for part in name.split("/"))
    if safe:
        assert os.path.normpath(safe_path(folder, name)) == f"/nowhere/folder/{name}"
    else:
        with pytest.raises(ValueError, match="unsafe path"):
            safe_path(folder, name)


def test_verify_fits_finds_what_is_not_whole(archive, tmp_path):
    plain = (archive / "plain.fits").read_bytes()
    packed = (archive / NAME[1:]).read_bytes()
    bad = tmp_path / "bad"
    for content in (plain, packed):
        bad.write_bytes(content)
        verify_fits(bad)
    rng = np.random.default_rng(5)
    cuts = [(plain, cut) for cut in rng.integers(1, 162880, 30)]
    cuts += [(packed, cut) for cut in rng.integers(1, len(packed), 30)]
    for content, cut in cuts:
        bad.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=r"truncated|not FITS"):
            verify_fits(bad)
    for content in (b"", b"<html>", b'{"error": "no"}', gzip.compress(packed), gzip.compress(b"text")):
        bad.write_bytes(content)
        with pytest.raises(ValueError, match=r"bad: "):
            verify_fits(bad)
    header = plain[:2880].replace(b"NAXIS1  =                 4000", b"NAXIS1  =        4000000000000")
    bad.write_bytes(header + plain[2880:])
    with pytest.raises(ValueError, match=r"absurd size in header"):
        verify_fits(bad)
    bad.write_bytes(gzip.compress(bytes(10**7)))
    with pytest.raises(ValueError, match=r"file too large"):
        verify_fits(bad, limit=10**6)
