"""HDF5 files on file systems that have no locks, or whose locks are taken."""

import contextlib
import fcntl
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.files.hdf5 import new_file
from labeltransfer.files.provenance import read_provenance
from labeltransfer.models.cannon import train
from labeltransfer.models.files import load_model, load_provenance, save_model
from labeltransfer.spectra.store import read_stores, write_store

MADE = {"seed": 1, "inputs": []}


@pytest.fixture
def taken(monkeypatch):
    """Take the lock of a file, so that whoever asks for one gets the error of a file system without locks."""
    monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
    with contextlib.ExitStack() as streams:

        def take(path):
            fcntl.flock(streams.enter_context(open(path, "rb")), fcntl.LOCK_EX)
            with pytest.raises(OSError, match="lock"):
                h5py.File(path, "r")
            return path

        yield take


def test_a_store_is_read_without_a_lock(tmp_path, taken):
    block = np.ones((3, 4)), np.full((3, 4), 7.0), Table({"id": ["a", "b", "c"]})
    write_store(tmp_path / "s.h5", np.arange(4.0), [block], MADE)
    path = taken(tmp_path / "s.h5")
    assert read_stores([path]).stars["id"].tolist() == ["a", "b", "c"]
    assert read_provenance(path) == MADE


def test_a_model_is_read_without_a_lock(tmp_path, taken, rng):
    labels = rng.normal(size=(20, 1))
    flux = 1 + 0.1 * labels * np.array([[1.0, -1.0, 0.5]])
    model = train(flux, np.full(flux.shape, 1e4), labels, label_names=("x",), order=1)
    save_model(tmp_path / "m.h5", model, MADE)
    path = taken(tmp_path / "m.h5")
    np.testing.assert_array_equal(load_model(path).theta, model.theta)
    assert load_provenance(path) == MADE


def test_writing_asks_for_no_lock(tmp_path):
    with new_file(tmp_path / "new.h5") as (file, _):
        # Nobody else has a lock on what is being written, which HDF5 would take for itself when it opens a name.
        (part,) = tmp_path.glob(".part-*")
        with open(part, "rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file["x"] = 1


def test_nothing_else_opens_hdf5_for_reading(root):
    """Whatever opens such a file by its name must say that it needs no lock."""
    code = [*root.glob("workflow/**/*.py"), *root.glob("benchmarks/**/*.py")]
    opened = [
        f"{path.relative_to(root)}: {line.strip()}"
        for path in code
        for line in Path(path).read_text(encoding="utf-8").splitlines()
        if re.search(r"h5py\.File\((?!stream)", line) and "locking=False" not in line
    ]
    assert opened == []
