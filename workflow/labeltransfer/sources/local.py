"""One's own archive: a folder of spectra of a survey."""

from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from labeltransfer.files.errors import ArchiveError
from labeltransfer.files.provenance import sha256
from labeltransfer.files.rejected import rejected_rows
from labeltransfer.sources.listing import list_files
from labeltransfer.surveys.base import describe
from labeltransfer.surveys.registry import get_survey
from labeltransfer.surveys.sky import on_sky

_COLUMNS = {"id": str, "path": str, "spectrum_id": str, "obsid": np.int64, "lmjd": np.int64}
_COLUMNS |= {"ra": float, "dec": float, "snrg": float, "redshift": float, "layout": str}
_COLUMNS |= {"bytes": np.int64, "sha256": str}
_BLOCK = 4096  # files whose rows are Python objects at a time


def scan_spectra(folder, workers=1, survey="lamost", listing=None):
    """Read every spectrum below a folder once and list them.

    Parameters
    ----------
    folder : str or path
        All files named ``*.fits`` or ``*.fits.gz`` in it and in the folders below it are tried.
    workers : int, optional
        Threads that read; the answer does not depend on them.
    survey : str, optional
        Name of the survey that the spectra are of.
    listing : Listing, optional
        What `labeltransfer.sources.listing.list_files` found there, where it is known already.

    Returns
    -------
    spectra : Table
        One row per readable spectrum in the order of the paths: id and path (relative to the folder, since
        a file name may recur in several folders), spectrum_id (published name), obsid, lmjd, ra, dec [deg], snrg
        and redshift (NaN if unknown), layout, bytes and sha256 of the file, and the columns of the survey's labels,
        NaN.
    rejected : Table
        id (path relative to the folder), catalog, stage, reason of the others: as the survey's `read_spectrum`, or
        'unsafe file name'.

    Raises
    ------
    ArchiveError
        As `list_files`.
    """
    folder, survey = Path(folder), get_survey(survey)
    paths = (list_files(folder) if listing is None else listing).paths
    with ThreadPoolExecutor(workers) as pool:
        blocks, lost = zip(
            *(
                _scanned(
                    paths[start : start + _BLOCK],
                    pool.map(
                        _row, repeat(folder), paths[start : start + _BLOCK], repeat(survey.read_spectrum)
                    ),
                )
                for start in range(0, len(paths), _BLOCK)
            ),
            strict=True,
        )
    spectra = vstack(blocks)
    for name in [name for name in survey.labels if name not in spectra.colnames]:
        spectra[name] = np.full(len(spectra), np.nan)
    describe(spectra, survey.labels)
    return spectra, vstack(lost)


def _scanned(paths, found):
    """Tables of the spectra and of the other files among some paths; `found` as from `_row`."""
    found = list(found)
    rows = [row for row in found if not isinstance(row, str)]
    lost = [(path, row) for path, row in zip(paths, found, strict=True) if isinstance(row, str)]
    spectra = Table(
        {name: np.array([row[name] for row in rows], dtype=kind) for name, kind in _COLUMNS.items()}
    )
    ids = [ascii(path)[1:-1] for path, _ in lost]
    return spectra, rejected_rows(ids, "survey", "catalogue", [reason for _, reason in lost])


def _row(folder, path, read_spectrum):
    """The survey row of one file, or the reason why there is none."""
    if not (path.isascii() and path.isprintable()):
        return "unsafe file name"
    try:
        found = read_spectrum(folder / path)
    except ArchiveError as error:
        return error.reason
    row = {name: getattr(found, name) for name in _COLUMNS if name in found._fields}
    if not on_sky(found.ra, found.dec):
        row |= {"ra": np.nan, "dec": np.nan}  # labels may find it by its name
    file = folder / path
    return row | {"id": path, "path": path, "bytes": file.stat().st_size, "sha256": sha256(file)}
