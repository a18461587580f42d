"""The store of spectra: what goes in comes out, equal contents are equal bytes, and damage is noticed."""

import hashlib
import time

import h5py
import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.spectra.store import (
    FORMAT,
    VERSION,
    StoreError,
    iterate,
    open_store,
    read_stores,
    write_store,
)

N_PIX = 37
WAVELENGTH = np.linspace(4000, 5000, N_PIX)


def block(n, start=0):
    rng = np.random.default_rng(start)
    flux, ivar = rng.normal(1, 0.1, (2, n, N_PIX)).astype(np.float32)
    stars = Table(
        {
            "id": np.array([f"spec-ä{start + i:05d}.fits" for i in range(n)], dtype=str),
            "redshift": rng.normal(0, 1e-3, n),
            "n_good": rng.integers(0, N_PIX, n),
            "flagged": rng.random(n) < 0.5,
        }
    )
    return flux, np.abs(ivar), stars


def split(flux, ivar, stars, size):
    for start in range(0, len(stars), size):
        rows = slice(start, start + size)
        yield flux[rows], ivar[rows], stars[rows]


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_same(spectra, flux, ivar, stars):
    np.testing.assert_array_equal(spectra.wavelength, WAVELENGTH)
    np.testing.assert_array_equal(spectra.flux, flux)
    np.testing.assert_array_equal(spectra.ivar, ivar)
    assert spectra.flux.dtype == spectra.ivar.dtype == np.float32
    assert spectra.stars.colnames == stars.colnames
    for name in stars.colnames:
        np.testing.assert_array_equal(spectra.stars[name], stars[name])
        assert spectra.stars[name].dtype.kind == stars[name].dtype.kind


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_what_goes_in_comes_out(tmp_path, size):
    flux, ivar, stars = block(150)
    assert write_store(tmp_path / "new" / "a.h5", WAVELENGTH, split(flux, ivar, stars, size)) == 150
    assert_same(read_stores([tmp_path / "new" / "a.h5"]), flux, ivar, stars)
    parts = list(iterate(tmp_path / "new" / "a.h5", 40))
    assert [len(part.stars) for part in parts] == [40, 40, 40, 30]
    np.testing.assert_array_equal(np.vstack([part.flux for part in parts]), flux)
    np.testing.assert_array_equal(np.vstack([part.ivar for part in parts]), ivar)
    assert [name for part in parts for name in part.stars["id"]] == list(stars["id"])


def test_same_contents_same_bytes_whatever_the_blocks_and_the_time(tmp_path):
    spectra = block(150)
    meta = {"b": 1, "a": [1, 2]}
    for i, size in enumerate((1, 7, 64, 65, 1000)):
        write_store(tmp_path / f"{i}.h5", WAVELENGTH, split(*spectra, size), meta)
    time.sleep(1.1)  # HDF5 keeps times in seconds
    write_store(tmp_path / "later.h5", WAVELENGTH, split(*spectra, 7), {"a": [1, 2], "b": 1})
    assert len({digest(path) for path in tmp_path.glob("*.h5")}) == 1


def test_provenance_is_kept_whatever_its_size(tmp_path):
    meta = {"inputs": {f"file {i}": "0" * 64 for i in range(2000)}}
    write_store(tmp_path / "a.h5", WAVELENGTH, [block(3)], meta)
    with open_store(tmp_path / "a.h5") as file:
        assert len(file["provenance"][0]) > 100_000
        assert (file.attrs["format"].decode(), file.attrs["version"]) == (FORMAT, VERSION)


def test_an_exception_in_the_middle_leaves_no_file_and_spares_the_old_one(tmp_path):
    def broken():
        yield block(100)
        raise KeyboardInterrupt

    path = tmp_path / "a.h5"
    with pytest.raises(KeyboardInterrupt):
        write_store(path, WAVELENGTH, broken())
    assert list(tmp_path.iterdir()) == []
    write_store(path, WAVELENGTH, [block(3)])
    before = digest(path)
    with pytest.raises(KeyboardInterrupt):
        write_store(path, WAVELENGTH, broken())
    assert digest(path) == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("n_blocks", [0, 2])
def test_an_empty_store(tmp_path, n_blocks):
    path = tmp_path / "a.h5"
    assert write_store(path, WAVELENGTH, [block(0)] * n_blocks) == 0
    assert list(iterate(path)) == []
    spectra = read_stores([path])
    assert spectra.flux.shape == spectra.ivar.shape == (0, N_PIX)
    assert len(spectra.stars["id"]) == 0


def test_several_stores_come_in_order(tmp_path):
    blocks = [block(5), block(0, 100), block(70, 200)]
    paths = [tmp_path / f"{i}.h5" for i in range(3)]
    for path, part in zip(paths, blocks, strict=True):
        write_store(path, WAVELENGTH, [part])
    spectra = read_stores(paths)
    np.testing.assert_array_equal(spectra.flux, np.vstack([part[0] for part in blocks]))
    np.testing.assert_array_equal(spectra.ivar, np.vstack([part[1] for part in blocks]))
    assert list(spectra.stars["id"]) == [name for part in blocks for name in part[2]["id"]]


def test_stores_of_two_grids_are_refused(tmp_path):
    write_store(tmp_path / "a.h5", WAVELENGTH, [block(2)])
    write_store(tmp_path / "b.h5", WAVELENGTH + 1, [block(2)])
    with pytest.raises(StoreError, match=r"b\.h5: its grid differs from that of .*a\.h5"):
        read_stores([tmp_path / "a.h5", tmp_path / "b.h5"])
    with pytest.raises(ValueError, match="no stores"):
        read_stores([])


def test_a_block_of_another_shape_or_with_other_columns_is_refused(tmp_path):
    flux, ivar, stars = block(4)
    for wrong in ((flux[:1], ivar, stars), (flux[:, 1:], ivar[:, 1:], stars), (flux, ivar[:3], stars)):
        with pytest.raises(ValueError, match=r"a block of 4 stars must have .* \(4, 37\): found"):
            write_store(tmp_path / "a.h5", WAVELENGTH, [wrong])
    with pytest.raises(ValueError, match="column"):
        write_store(tmp_path / "a.h5", WAVELENGTH, [block(4), (flux, ivar, stars[["id", "redshift"]])])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_store(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such store"):
        read_stores([tmp_path / "a.h5"])


def test_what_is_no_store(tmp_path):
    (tmp_path / "text.h5").write_text("id,flux\n1,2\n")
    (tmp_path / "empty.h5").write_bytes(b"")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["flux"] = np.zeros(3)
    for name in ("text.h5", "empty.h5", "other.h5"):
        with pytest.raises(StoreError, match=name) as caught:
            read_stores([tmp_path / name])
        assert "rerun to make it anew" in str(caught.value)


def test_another_version_and_missing_parts(tmp_path):
    path = tmp_path / "a.h5"
    write_store(path, WAVELENGTH, [block(4)])
    with h5py.File(path, "a") as file:
        file["ivar"].resize(3, axis=0)
    with pytest.raises(StoreError, match="differ in length"):
        read_stores([path])
    with h5py.File(path, "a") as file:
        del file["ivar"]
    with pytest.raises(StoreError, match="damaged"):
        list(iterate(path))
    with h5py.File(path, "a") as file:
        file.attrs["version"] = VERSION + 1
    with pytest.raises(StoreError, match=f"expected {FORMAT} version {VERSION}: found .* {VERSION + 1}"):
        read_stores([path])


def test_an_error_of_the_reader_is_not_called_damage(tmp_path):
    write_store(tmp_path / "a.h5", WAVELENGTH, [block(4)])
    with pytest.raises(KeyError, match="mine"), open_store(tmp_path / "a.h5"):
        raise KeyError("mine")


@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.9, 0.9999])
def test_a_truncated_store_is_noticed(tmp_path, fraction):
    path = tmp_path / "a.h5"
    write_store(path, WAVELENGTH, [block(150)])
    content = path.read_bytes()
    path.write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(StoreError, match=r"a\.h5"):
        read_stores([path])
    with pytest.raises(StoreError, match=r"a\.h5"):
        list(iterate(path))


def test_a_flipped_bit_is_noticed_or_harmless(tmp_path, rng):
    path = tmp_path / "a.h5"
    flux, ivar, stars = block(70)
    write_store(path, WAVELENGTH, [(flux, ivar, stars)])
    content = path.read_bytes()
    # Where spectra and ids are, a flip must be noticed; elsewhere it may fall on unused space.
    parts = {
        "flux": flux[3].tobytes(),
        "ivar": ivar[3].tobytes(),
        "wavelength": WAVELENGTH.tobytes(),
        "id": stars["id"][3].encode(),
        "redshift": np.asarray(stars["redshift"]).tobytes(),
    }
    where = {name: content.index(part) for name, part in parts.items()}
    noticed = {}
    for name, place in [*where.items(), *((None, i) for i in rng.integers(0, len(content), 300))]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            spectra = read_stores([path])
        except StoreError:
            noticed[name] = True
        else:
            noticed.setdefault(name, False)
            assert_same(spectra, flux, ivar, stars)
    assert all(noticed.values()), noticed
