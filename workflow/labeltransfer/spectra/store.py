"""The chunked store of normalised spectra: HDF5, float32 flux and ivar on the common grid, one row per star.

A store is written in one go to a temporary file and then renamed, so that it is there whole or not at all;
every part of it carries a checksum, so that damage is noticed on reading. Equal contents give equal bytes.
"""

import contextlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.table import Table, vstack

from labeltransfer.files.hdf5 import check_plain, new_file, open_hdf5

FORMAT = "labeltransfer-spectra"
VERSION = 2
_ROWS = 64  # rows of an HDF5 chunk: just below 1 MiB at 3,626 pixels
_STARS = 4096  # the same for a column


_NO_STARS = Table({"id": np.zeros(0, "U1")})


class StoreError(ValueError):
    """A file is no whole store of spectra."""


class Spectra(NamedTuple):
    """Normalised spectra in memory.

    Attributes
    ----------
    wavelength : (n_pix,) float64
        Vacuum Angstrom, rest frame.
    flux, ivar : (n_star, n_pix) float32
    stars : Table
        One row per star: `id` and what was measured on the spectrum.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    stars: Table


def write_store(path, wavelength, blocks, meta=None):
    """Write a store from blocks of stars, holding one block at a time.

    Parameters
    ----------
    path : str or Path
        Replaced if it is there.
    wavelength : (n_pix,) array
        The common grid [Angstrom].
    blocks : iterable of (flux, ivar, stars)
        Arrays (n, n_pix) and a Table of n rows with a column `id`; the columns of all blocks are the same.
    meta : dict, optional
        Provenance: plain data.

    Returns
    -------
    int
        Stars written.

    Raises
    ------
    ValueError
        If a block has other shapes or columns; nothing is left on disk then.
    OSError
        If it cannot be written, as on a full disk.
    """
    tables = []
    with new_file(path) as (file, check):
        file.attrs["format"], file.attrs["version"] = np.bytes_(FORMAT), VERSION
        text = np.array([json.dumps(meta or {}, sort_keys=True).encode()])
        file.create_dataset("provenance", data=text, chunks=(1,), fletcher32=True, track_times=False)
        _dataset(file, "wavelength", np.asarray(wavelength, dtype=float))
        spectra = [_dataset(file, name, np.empty((0, len(wavelength)), "f4")) for name in ("flux", "ivar")]
        n = 0
        for rows in _chunks(blocks, len(wavelength), tables):
            for dataset, values in zip(spectra, rows, strict=True):
                dataset.resize(n + len(values), axis=0)
                dataset[n:] = values
            check()
            n += len(rows[0])
        stars = vstack(tables, join_type="exact", metadata_conflicts="silent") if tables else _NO_STARS
        group = file.create_group("stars", track_order=True)
        for name in stars.colnames:
            values = np.asarray(stars[name])
            _dataset(group, name, np.char.encode(values, "utf-8") if values.dtype.kind == "U" else values)
        file.attrs["n_star"] = n
    return n


def _dataset(group, name, values):
    row = values.shape[1:]
    chunk = (_ROWS if row else _STARS, *row)
    return group.create_dataset(
        name,
        data=values,
        maxshape=(None, *row),
        chunks=chunk,
        fletcher32=True,
        track_times=False,
    )


def _chunks(blocks, n_pix, tables):
    """Flux and ivar in whole chunks of the file, whatever the blocks; their stars go to `tables`."""
    held, n = np.empty((2, _ROWS, n_pix), dtype=np.float32), 0
    for flux, ivar, stars in blocks:
        if not np.shape(flux) == np.shape(ivar) == (len(stars), n_pix):
            raise ValueError(
                f"a block of {len(stars)} stars must have flux and ivar of shape {(len(stars), n_pix)}: "
                f"found {np.shape(flux)} and {np.shape(ivar)}"
            )
        tables.append(stars)
        start = 0
        while start < len(stars):
            take = min(_ROWS - n, len(stars) - start)
            held[0, n : n + take], held[1, n : n + take] = (
                flux[start : start + take],
                ivar[start : start + take],
            )
            start, n = start + take, n + take
            if n == _ROWS:
                yield held
                n = 0
    if n:
        yield held[:, :n]


@contextlib.contextmanager
def open_store(path):
    """Open a store for reading.

    Parameters
    ----------
    path : str or Path
        A store that `write_store` wrote.

    Yields
    ------
    h5py.File

    Raises
    ------
    StoreError
        If the file is no store, of another version, or damaged.
    FileNotFoundError
        If there is no such file.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such store of spectra")
    with _damage(path):
        file = open_hdf5(path)
    with file:
        with _damage(path):
            check_plain(file)
            kind = file.attrs.get("format"), file.attrs.get("version")
            if kind != (np.bytes_(FORMAT), VERSION):
                raise StoreError(
                    f"{path}: expected {FORMAT} version {VERSION}: found {kind[0]} version {kind[1]}. "
                    "Delete it and rerun to make it anew"
                )
            sizes = {len(file[name]) for name in ("flux", "ivar", "stars/id")} | {int(file.attrs["n_star"])}
            if len(sizes) > 1 or file["flux"].shape[1:] != file["wavelength"].shape:
                raise StoreError(f"{path}: its parts differ in length. Delete it and rerun to make it anew")
        yield file


@contextlib.contextmanager
def _damage(path):
    """Turn what HDF5 says about damage into a StoreError."""
    try:
        yield
    except StoreError:
        raise
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, MemoryError) as error:
        raise StoreError(
            f"{path}: damaged or no store of spectra ({error}). Delete it and rerun to make it anew"
        ) from error


def iterate(path, block=2048):
    """Read a store block by block.

    Parameters
    ----------
    path : str or Path
        A store that `write_store` wrote.
    block : int
        Stars held at a time.

    Yields
    ------
    Spectra

    Raises
    ------
    StoreError
        If the store is damaged, at the block where that shows.
    """
    with open_store(path) as file:
        with _damage(path):
            wavelength, stars = file["wavelength"][:], _stars(file)
        for start in range(0, len(stars), block):
            rows = slice(start, min(start + block, len(stars)))
            with _damage(path):
                flux, ivar = file["flux"][rows], file["ivar"][rows]
            yield Spectra(wavelength, flux, ivar, stars[rows])


def read_stores(paths):
    """Read several stores of one grid into memory, in order: for the reference set.

    Parameters
    ----------
    paths : sequence of str or Path
        At least one.

    Returns
    -------
    Spectra

    Raises
    ------
    StoreError
        If a store is damaged, or they are not on one grid.
    ValueError
        If there are no paths.
    """
    if not len(paths):
        raise ValueError("no stores to read")
    sizes, wavelength = [], None
    for path in paths:
        with open_store(path) as file, _damage(path):
            grid = file["wavelength"][:]
            sizes.append(len(file["flux"]))
        if wavelength is not None and not np.array_equal(grid, wavelength):
            raise StoreError(
                f"{path}: its grid differs from that of {paths[0]}; prepare both with one configuration"
            )
        wavelength = grid
    flux, ivar = np.empty((2, sum(sizes), len(wavelength)), dtype=np.float32)
    tables, start = [], 0
    for path, size in zip(paths, sizes, strict=True):
        if size:
            with open_store(path) as file, _damage(path):
                file["flux"].read_direct(flux[start : start + size])
                file["ivar"].read_direct(ivar[start : start + size])
                tables.append(_stars(file))
        start += size
    stars = vstack(tables, metadata_conflicts="silent") if tables else _NO_STARS.copy()
    return Spectra(wavelength, flux, ivar, stars)


def _stars(file):
    stars = Table()
    for name, values in file["stars"].items():
        values = values[:]
        stars[name] = np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
    return stars
