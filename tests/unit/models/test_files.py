"""Model files: what is written comes back, in the same bytes; other files are refused with the cure."""

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import h5py
import numpy as np
import pytest

from labeltransfer.files.hdf5 import new_file
from labeltransfer.models import files
from labeltransfer.models.cannon import CannonModel
from labeltransfer.models.files import load_model, load_provenance, save_model


@pytest.fixture
def model(rng):
    return CannonModel(
        label_names=("teff", "logg"),
        order=2,
        pivot=np.array([4800.0, 2.5]),
        scale=np.array([300.0, 0.7]),
        theta=rng.standard_normal((9, 6)),
        scatter=rng.random(9),
        chi2=rng.random(9),
        n_used=rng.integers(0, 100, 9),
        status=rng.integers(0, 4, 9).astype(np.int8),
        wavelength=np.linspace(3905, 9000, 9),
    )


@dataclass(frozen=True)
class Other:
    kind: ClassVar[str] = "other"

    weights: np.ndarray
    names: tuple
    ridge: float
    form: str


def assert_equal(one, two):
    assert type(one) is type(two)
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(two, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b
            assert type(a) is type(b)


def test_a_model_comes_back_as_it_was(tmp_path, model):
    path = tmp_path / "model.h5"
    save_model(path, model, {"study": "ho2017", "inputs": {"b.h5": "1f", "a.fits": "2e"}, "snr": 0.5})
    assert_equal(load_model(path), model)
    assert load_provenance(path) == {"study": "ho2017", "inputs": {"b.h5": "1f", "a.fits": "2e"}, "snr": 0.5}
    assert [p.name for p in tmp_path.iterdir()] == ["model.h5"]
    with h5py.File(path) as file:
        assert file.attrs["format"] == "labeltransfer-model"
        assert file.attrs["version"] == 2
        assert file.attrs["kind"] == "cannon"
        assert file["provenance"].attrs["inputs"] == '{"a.fits": "2e", "b.h5": "1f"}'


def test_a_model_without_wavelengths_or_provenance(tmp_path, model):
    model = replace(model, wavelength=None)
    save_model(tmp_path / "model.h5", model)
    assert_equal(load_model(tmp_path / "model.h5"), model)
    assert load_provenance(tmp_path / "model.h5") == {}


def test_same_model_same_bytes(tmp_path, model):
    save_model(tmp_path / "a.h5", model, {"b": 1, "a": "x"})
    save_model(tmp_path / "b.h5", model, {"a": "x", "b": 1})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_failed_write_leaves_the_old_model(tmp_path, model):
    path = tmp_path / "model.h5"
    save_model(path, model)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_model(path, replace(model, order=object()))
    assert path.read_bytes() == before
    save_model(path, replace(model, order=3))  # what is left of the failed write does not stand in the way
    assert load_model(path).order == 3


def test_other_kinds_find_their_class(tmp_path, monkeypatch):
    model = Other(np.arange(6.0).reshape(2, 3), ("c_h", "n_h"), 0.3, "rel_l2")
    with pytest.raises(TypeError, match=r"must be one of .*cannon.*, not Other"):
        save_model(tmp_path / "model.h5", model)
    monkeypatch.setitem(files.KINDS, "other", lambda: Other)
    save_model(tmp_path / "model.h5", model)
    assert_equal(load_model(tmp_path / "model.h5"), model)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"model.h5: expected kind .*cannon.*, found 'other'; update"):
        load_model(tmp_path / "model.h5")


def test_wrong_files_are_named_with_the_cure(tmp_path, model, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"none.h5: no such model file; train a model first"):
        load_model(tmp_path / "none.h5")
    path = tmp_path / "model.h5"
    for content in (b"", b"SIMPLE  =", bytes(1000), b"labeltransfer-model 2 sha256 " + b"0" * 600):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model.h5: expected a model file .* train it again"):
            load_model(path)
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "labeltransfer-spectra"
    with pytest.raises(
        ValueError, match=r"model.h5: expected a model file .* give the path of a trained model"
    ):
        load_model(path)
    save_model(path, model)
    whole = path.read_bytes()
    for size in (600, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"model.h5: damaged: .* delete it and train it again"):
            load_model(path)
    with monkeypatch.context() as later:
        later.setattr(files, "VERSION", 99)
        save_model(path, model)
    with pytest.raises(ValueError, match=r"model.h5: of format version 99, this package reads 2; train it"):
        load_model(path)
    with new_file(path, f"{files.FORMAT} {files.VERSION}") as (file, _):
        file.attrs["kind"] = "cannon"
    with pytest.raises(ValueError, match=r"model.h5: a cannon model must hold 'label_names', not found"):
        load_model(path)


def test_a_flipped_bit_is_noticed_before_hdf5_sees_it(tmp_path, model, rng, monkeypatch):
    path = tmp_path / "model.h5"
    save_model(path, model, {"settings": '{"order": 2}'})
    whole = path.read_bytes()
    monkeypatch.setattr(files.h5py, "File", None)
    for position in [0, 20, 100, 511, 512, len(whole) - 1, *rng.choice(len(whole), 200)]:
        flipped = bytearray(whole)
        flipped[position] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"model.h5: .*train it again"):
            load_model(path)
