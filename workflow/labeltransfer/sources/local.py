"""One's own archive: a folder of spectra in any LAMOST layout, and tables of labels for some of them."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path, PurePath

import numpy as np
import pandas as pd
from astropy.table import Table, vstack
from scipy.spatial import cKDTree

from labeltransfer.files import columns as tables
from labeltransfer.files import fitsfile
from labeltransfer.files.errors import ArchiveError, refusal
from labeltransfer.files.rejected import rejected_rows
from labeltransfer.surveys.lamost import SURVEY_LABELS, describe, on_sky, read_spectrum

CHECK_PATH = "Check the path in the configuration."
MATCHES = ("obsid", "spectrum_id", "position")
_NOT_LABELS = ("ra", "dec", "snr")
_BLOCK = 4096  # files whose rows are Python objects at a time


def read_label_table(path, columns, delimiter=None, texts=()):
    """Read columns of one or several tables of labels under our names.

    Parameters
    ----------
    path : path or sequence of paths
        FITS, Parquet, or text separated by ``|``, tab, comma, semicolon or blanks. Several tables, which all
        need the columns, are put one below the other.
    columns : dict
        Our name -> the table's column.
    delimiter : str, optional
        Of a text table, where guessing is not wanted.
    texts : sequence of str
        Our names of columns that are text even if they look like numbers.

    Returns
    -------
    Table
        Our names. Whole numbers stay int64, other numbers are float64 with NaN for what is missing (blank,
        -9999, not a number); columns without any number are str.

    Raises
    ------
    ArchiveError
        Where a file is no table, has no rows, or lacks a column; the message lists what exists.
    """
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    if not paths:
        raise ArchiveError("No table of labels was given: name at least one file.", "no such file")
    pieces = []
    for one in paths:
        chosen = {}

        def choose(names, one=one, chosen=chosen):
            chosen.update(tables.pick(one, names, columns.values()))
            return list(dict.fromkeys(chosen.values()))

        found = tables.read_columns(one, choose, delimiter, [columns[name].lower() for name in texts])
        pieces.append({name: found[chosen[theirs]] for name, theirs in columns.items()})
    table = Table()
    for name in columns:
        parts = [piece[name] for piece in pieces]
        if any(part.ndim > 1 for part in parts):
            cure = "Write its numbers into columns of their own."
            raise refusal(
                paths[0], "missing column", f"{columns[name]!r} with one number per row", "vectors", cure
            )
        if name in texts:
            table[name] = np.concatenate([tables.strings(part) for part in parts]).astype(str)
        else:
            table[name] = _one_kind(parts)
    return table


def _one_kind(parts):
    column = tables.joined(parts)
    if column.dtype.kind in "iu" and column.min() > -9000:
        return column.astype(np.int64)
    values = tables.numbers(column)
    if np.isfinite(values).any() or column.dtype.kind != "O":
        return values
    return column.astype(str)


def scan_spectra(folder, workers=1):
    """Read every spectrum below a folder once and list them.

    Parameters
    ----------
    folder : str or path
        All files named ``*.fits`` or ``*.fits.gz`` in it and in the folders below it are tried.
    workers : int, optional
        Threads that read; the answer does not depend on them.

    Returns
    -------
    survey : Table
        One row per readable spectrum in the order of the paths: id and path (relative to the folder, since
        a file name may recur in several folders), spectrum_id (published name), obsid, lmjd, ra, dec [deg],
        snrg, redshift (NaN if unknown), layout, and the columns of `SURVEY_LABELS`, NaN.
    rejected : Table
        id (path relative to the folder), catalog, stage, reason of the others: as `lamost.read_spectrum`, or
        'no position', 'unsafe file name'.

    Raises
    ------
    ArchiveError
        Where there is no such folder or no such file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise refusal(folder, "no such folder", "a folder of spectra", "none", CHECK_PATH)
    # Folders in sorted order too, and links to folders not followed, so that a loop cannot trap us.
    paths = sorted(
        (Path(where) / name).relative_to(folder).as_posix()
        for where, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith((".fits", ".fits.gz"))
    )
    if not paths:
        raise refusal(folder, "no spectra", "files named *.fits or *.fits.gz", "none", CHECK_PATH)
    with ThreadPoolExecutor(workers) as pool:
        blocks, lost = zip(
            *(
                _scanned(
                    paths[start : start + _BLOCK],
                    pool.map(_row, repeat(folder), paths[start : start + _BLOCK]),
                )
                for start in range(0, len(paths), _BLOCK)
            ),
            strict=True,
        )
    survey = vstack(blocks)
    for name in [name for name in SURVEY_LABELS if name not in survey.colnames]:
        survey[name] = np.full(len(survey), np.nan)
    describe(survey)
    return survey, vstack(lost)


def _scanned(paths, found):
    """Tables of the spectra and of the other files among some paths."""
    found = list(found)
    rows = [row for row in found if not isinstance(row, str)]
    lost = [(path, row) for path, row in zip(paths, found, strict=True) if isinstance(row, str)]
    names = ("id", "path", "spectrum_id", "obsid", "lmjd", "ra", "dec", "snrg", "redshift", "layout")
    kinds = (str, str, str, np.int64, np.int64, float, float, float, float, str)
    columns = zip(*rows, strict=True) if rows else [[] for _ in names]
    survey = Table(
        {name: np.array(column, dtype=kind) for name, kind, column in zip(names, kinds, columns, strict=True)}
    )
    ids = [ascii(path)[1:-1] for path, _ in lost]
    return survey, rejected_rows(ids, "survey", "catalogue", [reason for _, reason in lost])


def _row(folder, path):
    """The survey row of one file, or the reason why there is none."""
    if not (path.isascii() and path.isprintable()):
        return "unsafe file name"
    try:
        found = read_spectrum(folder / path)
    except ArchiveError as error:
        return error.reason
    if not on_sky(found.ra, found.dec):
        return "no position"
    identity = (path, path, found.spectrum_id, found.obsid, found.lmjd)
    return (*identity, found.ra, found.dec, found.snrg, found.redshift, found.layout)


def local_catalogs(
    folder,
    label_table,
    columns,
    errors=None,
    id_column=None,
    match="obsid",
    survey_columns=None,
    radius=3.0,
    delimiter=None,
    workers=1,
):
    """Join a folder of spectra with tables of labels.

    Parameters
    ----------
    folder : str or path
        Of spectra, see `scan_spectra`.
    label_table : path or sequence of paths
        See `read_label_table`.
    columns : dict
        Label -> column, and where the table has them snr, ra and dec [deg].
    errors : dict, optional
        Label -> column of its error.
    id_column : str, optional
        Column that names the spectrum; by default 'obsid' or 'spectrum_id'.
    match : {'obsid', 'spectrum_id', 'position'}
        How labels find their spectra. A spectrum_id may have folders before it and .gz after it. By
        position, which needs ra and dec among the columns, the nearest labels within `radius` count.
    survey_columns : dict, optional
        Column of the survey table (teff, logg, feh, their errors, rv) -> column of the label table, for
        labels of the survey's own pipeline.
    radius : float
        Arcsec.
    delimiter : str, optional
        Of text tables.
    workers : int, optional
        Threads that read spectra.

    Returns
    -------
    survey : Table
        As from `scan_spectra`, with `survey_columns` filled in where known.
    reference : Table
        One row per labelled spectrum, as from `apogee.read_allstar`, and id, path, spectrum_id and
        survey_row of the spectrum. If several spectra have the same labels, the nearest or else the first
        in the order of paths stands here.
    rejected : Table
        Spectra as from `scan_spectra`; labels with the reasons 'no identifier', 'no position',
        'duplicate label row', 'no spectrum for these labels'.

    Raises
    ------
    ArchiveError
        Where a table cannot be used, or no labels belong to any spectrum.
    """
    if match not in MATCHES:
        raise ValueError(f"match is {match!r}: expected one of {', '.join(MATCHES)}")
    if match == "position" and not {"ra", "dec"} <= set(columns):
        raise ValueError("match by position needs the columns ra and dec of the label table: map them")
    survey_columns = survey_columns or {}
    columns = columns | {f"{name}_err": column for name, column in (errors or {}).items() if name in columns}
    wanted = {f"label {name}": column for name, column in columns.items()}
    wanted |= {f"survey {name}": column for name, column in survey_columns.items()}
    if match != "position" or id_column:
        wanted["id"] = id_column or match
    texts = ["id"] if "id" in wanted and match != "obsid" else []
    table = read_label_table(label_table, wanted, delimiter, texts)
    survey, rejected = scan_spectra(folder, workers)

    n_label = len(table)
    # What FITS cannot hold is escaped: labels of such a name go on, and are found by it in the ledger.
    ids, _ = fitsfile.printable(_label_ids(table, match), longest=255)
    if match == "position":
        sky = [np.asarray(table[f"label {name}"], dtype=float) for name in ("ra", "dec")]
        label_row, separation = _nearest(survey["ra"], survey["dec"], *sky, radius)
        reason = np.where(on_sky(*sky), "", "no position").astype(object)
    else:
        keys = np.asarray(survey[match]).astype(str).astype(object)
        reason = np.where(ids == "", "no identifier", "").astype(object)
        again = pd.Series(ids).duplicated().to_numpy() & (ids != "")
        reason[again] = "duplicate label row"
        rows = pd.Series(np.arange(n_label), index=ids)[reason == ""]
        label_row = rows.reindex(keys).fillna(-1).to_numpy(dtype=np.int64)
        separation = np.zeros(len(survey))

    labelled = np.flatnonzero(label_row >= 0)
    first = pd.DataFrame({"row": label_row[labelled], "separation": separation[labelled]}, index=labelled)
    survey_row = (
        first.sort_values(["row", "separation"], kind="stable").drop_duplicates("row").index.to_numpy()
    )
    if not len(survey_row):
        found = f"labels of {', '.join(ids[:3])} and spectra {', '.join(survey['spectrum_id'][:3])}"
        cure = f"Check id_column and match ({match}), and that labels and spectra belong together."
        raise refusal(label_table, "no labels matched", "labels of the spectra in the folder", found, cure)
    chosen = label_row[survey_row]
    without = reason == ""
    without[chosen] = False
    reason[without] = "no spectrum for these labels"

    for name, theirs in survey_columns.items():
        values = _real(table, f"survey {name}", theirs, label_table)
        known = np.where(label_row >= 0, values[label_row], np.nan)
        survey[name] = np.where(
            np.isfinite(known), known, survey[name] if name in survey.colnames else np.nan
        )
    describe(survey)

    reference = _reference(table[chosen], ids[chosen], survey[survey_row], columns, label_table)
    reference["survey_row"] = survey_row
    lost = rejected_rows(ids[reason != ""], "reference", "catalogue", reason[reason != ""])
    return survey, reference, vstack([rejected, lost]) if len(rejected) else lost


def _label_ids(table, match):
    if "id" not in table.colnames:
        return np.array([f"row {row}" for row in range(len(table))], dtype=object)
    if match == "obsid":
        numbers = tables.integers(table["id"].data)
        return np.where(numbers < 0, "", numbers.astype(str)).astype(object)
    ids = tables.strings(table["id"].data)
    if match == "spectrum_id":
        return np.array([PurePath(name).name.removesuffix(".gz") for name in ids], dtype=object)
    return ids


def _reference(labels, ids, spectra, columns, path):
    reference = Table({"reference_id": ids.astype(str)})
    for name in ("ra", "dec"):
        known = labels[f"label {name}"].data if name in columns else np.full(len(labels), np.nan)
        reference[name] = np.where(np.isfinite(known), known, spectra[name])
        reference[name].unit = "deg"
    errors = [name for name in columns if name.removesuffix("_err") in columns and name.endswith("_err")]
    for name, theirs in columns.items():
        if name in errors or name in _NOT_LABELS:
            continue
        reference[name] = _real(labels, f"label {name}", theirs, path)
        error = f"{name}_err"
        if error in columns:
            reference[error] = tables.uncertainties(_real(labels, f"label {error}", columns[error], path))
        else:
            reference[error] = np.nan
    has_snr = "snr" in columns
    reference["snr"] = _real(labels, "label snr", columns["snr"], path) if has_snr else spectra["snrg"]
    for name in ("aspcapflag", "starflag", "extratarg"):
        reference[name] = np.zeros(len(labels), dtype=np.int64)
    reference["aspcap_path"] = np.full(len(labels), "", dtype=str)
    for name in ("id", "path", "spectrum_id"):
        reference[name] = spectra[name]
    return reference


def _real(table, name, column, path):
    values = table[name].data
    if values.dtype.kind not in "iuf":
        cure = "Correct the column mapping."
        raise refusal(
            path, "missing column", f"numbers in column {column!r}", f"text such as {values[0]!r}", cure
        )
    return values.astype(float)


def _nearest(ra, dec, label_ra, label_dec, radius):
    """For each spectrum the row of the nearest labels within `radius` arcsec (-1: none) and its distance."""
    good = np.flatnonzero(on_sky(label_ra, label_dec))
    label_row, separation = np.full(len(ra), -1), np.full(len(ra), np.inf)
    if len(good) and len(ra):
        tree = cKDTree(_unit_vectors(label_ra[good], label_dec[good]))
        chord, index = tree.query(_unit_vectors(np.asarray(ra), np.asarray(dec)))
        separation = np.degrees(2 * np.arcsin(np.clip(chord / 2, 0, 1))) * 3600
        label_row = np.where(separation <= radius, good[index], -1)
    return label_row, separation


def _unit_vectors(ra, dec):
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
