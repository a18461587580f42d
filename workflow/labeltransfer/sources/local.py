"""One's own archive: a folder of spectra of a survey, and tables of labels for some of them."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
from astropy.table import Table, vstack

from labeltransfer.files.columns import integers, strings, uncertainties
from labeltransfer.files.errors import ArchiveError, refusal
from labeltransfer.files.names import printable
from labeltransfer.files.rejected import rejected_rows
from labeltransfer.sources.labels import read_label_table, real_column
from labeltransfer.surveys.base import describe
from labeltransfer.surveys.registry import get_survey
from labeltransfer.surveys.sky import on_sky, unit_vectors

CHECK_PATH = "Check the path in the configuration."
MATCHES = ("obsid", "spectrum_id", "position")
_NOT_LABELS = ("ra", "dec", "snr")
_COLUMNS = {"id": str, "path": str, "spectrum_id": str, "obsid": np.int64, "lmjd": np.int64}
_COLUMNS |= {"ra": float, "dec": float, "snrg": float, "redshift": float, "layout": str}
_BLOCK = 4096  # files whose rows are Python objects at a time


def scan_spectra(folder, workers=1, survey="lamost"):
    """Read every spectrum below a folder once and list them.

    Parameters
    ----------
    folder : str or path
        All files named ``*.fits`` or ``*.fits.gz`` in it and in the folders below it are tried.
    workers : int, optional
        Threads that read; the answer does not depend on them.
    survey : str, optional
        Name of the survey that the spectra are of.

    Returns
    -------
    spectra : Table
        One row per readable spectrum in the order of the paths: id and path (relative to the folder, since
        a file name may recur in several folders), spectrum_id (published name), obsid, lmjd, ra, dec [deg],
        snrg, redshift (NaN if unknown), layout, and the columns of the survey's labels, NaN.
    rejected : Table
        id (path relative to the folder), catalog, stage, reason of the others: as the survey's `read_spectrum`, or
        'no position', 'unsafe file name'.

    Raises
    ------
    ArchiveError
        Where there is no such folder or no such file in it.
    """
    folder, survey = Path(folder), get_survey(survey)
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
    if not on_sky(found.ra, found.dec):
        return "no position"
    return {name: getattr(found, name) for name in _COLUMNS if name in found._fields} | {
        "id": path,
        "path": path,
    }


class LabelTables(NamedTuple):
    """Tables of labels, what their columns mean, and how their rows find the spectra.

    Attributes
    ----------
    paths : path or sequence of paths
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
    """

    paths: object
    columns: dict
    errors: dict | None = None
    id_column: str | None = None
    match: str = "obsid"
    survey_columns: dict | None = None
    radius: float = 3.0
    delimiter: str | None = None


def local_catalogs(folder, labels, workers=1, survey="lamost"):
    """Join a folder of spectra with tables of labels.

    Parameters
    ----------
    folder : str or path
        Of spectra, see `scan_spectra`.
    labels : LabelTables
        What is known of some of them.
    workers : int, optional
        Threads that read spectra.
    survey : str, optional
        Name of the survey that the spectra are of.

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
    ValueError
        Where `match` is none of `MATCHES`, or lacks the columns that it needs.
    """
    labels, columns = _checked(labels)
    table = _read_labels(labels, columns)
    spectra, rejected = scan_spectra(folder, workers, survey)
    # What FITS cannot hold is escaped: labels of such a name go on, and are found by it in the ledger.
    ids, _ = printable(_label_ids(table, labels.match), longest=255)
    find = _find_by_position if labels.match == "position" else _find_by_id
    label_row, separation, reason = find(table, ids, spectra, labels)

    survey_row = _one_spectrum_each(label_row, separation)
    if not len(survey_row):
        found = f"labels of {', '.join(ids[:3])} and spectra {', '.join(spectra['spectrum_id'][:3])}"
        cure = f"Check id_column and match ({labels.match}), and that labels and spectra belong together."
        expected = "labels of the spectra in the folder"
        raise refusal(labels.paths, "no labels matched", expected, found, cure)
    chosen = label_row[survey_row]
    without = reason == ""
    without[chosen] = False
    reason[without] = "no spectrum for these labels"

    for name, theirs in labels.survey_columns.items():
        values = real_column(table, f"survey {name}", theirs, labels.paths)
        known = np.where(label_row >= 0, values[label_row], np.nan)
        before = spectra[name] if name in spectra.colnames else np.nan
        spectra[name] = np.where(np.isfinite(known), known, before)
    describe(spectra, get_survey(survey).labels)

    reference = _reference(table[chosen], ids[chosen], spectra[survey_row], columns, labels.paths)
    reference["survey_row"] = survey_row
    lost = rejected_rows(ids[reason != ""], "reference", "catalogue", reason[reason != ""])
    return spectra, reference, vstack([rejected, lost]) if len(rejected) else lost


def _checked(labels):
    """The label tables with dicts for what is not given, and their columns with those of the errors."""
    if labels.match not in MATCHES:
        raise ValueError(f"match is {labels.match!r}: expected one of {', '.join(MATCHES)}")
    if labels.match == "position" and not {"ra", "dec"} <= set(labels.columns):
        raise ValueError("match by position needs the columns ra and dec of the label table: map them")
    labels = labels._replace(errors=labels.errors or {}, survey_columns=labels.survey_columns or {})
    errors = {f"{name}_err": theirs for name, theirs in labels.errors.items() if name in labels.columns}
    return labels, labels.columns | errors


def _read_labels(labels, columns):
    """Columns ``label NAME``, ``survey NAME`` and, where spectra are named, ``id``."""
    wanted = {f"label {name}": column for name, column in columns.items()}
    wanted |= {f"survey {name}": column for name, column in labels.survey_columns.items()}
    if labels.match != "position" or labels.id_column:
        wanted["id"] = labels.id_column or labels.match
    texts = ["id"] if "id" in wanted and labels.match != "obsid" else []
    return read_label_table(labels.paths, wanted, labels.delimiter, texts)


def _find_by_position(table, ids, spectra, labels):
    """For each spectrum its row of labels (-1: none) and how far it is; for each row a reason against it."""
    sky = [np.asarray(table[f"label {name}"], dtype=float) for name in ("ra", "dec")]
    label_row, separation = _nearest(spectra["ra"], spectra["dec"], *sky, labels.radius)
    return label_row, separation, np.where(on_sky(*sky), "", "no position").astype(object)


def _find_by_id(table, ids, spectra, labels):
    """As `_find_by_position`, by names; the first row of a name counts."""
    import pandas as pd  # late: a run on another source has no use for it

    keys = np.asarray(spectra[labels.match]).astype(str).astype(object)
    reason = np.where(ids == "", "no identifier", "").astype(object)
    again = pd.Series(ids).duplicated().to_numpy() & (ids != "")
    reason[again] = "duplicate label row"
    rows = pd.Series(np.arange(len(table)), index=ids)[reason == ""]
    label_row = rows.reindex(keys).fillna(-1).to_numpy(dtype=np.int64)
    return label_row, np.zeros(len(spectra)), reason


def _one_spectrum_each(label_row, separation):
    """For each row of labels that has spectra, the nearest or else the first of them, in the order of the labels."""
    import pandas as pd  # late: a run on another source has no use for it

    labelled = np.flatnonzero(label_row >= 0)
    found = pd.DataFrame({"row": label_row[labelled], "separation": separation[labelled]}, index=labelled)
    return found.sort_values(["row", "separation"], kind="stable").drop_duplicates("row").index.to_numpy()


def _label_ids(table, match):
    if "id" not in table.colnames:
        return np.array([f"row {row}" for row in range(len(table))], dtype=object)
    if match == "obsid":
        obsids = integers(table["id"].data)
        return np.where(obsids < 0, "", obsids.astype(str)).astype(object)
    ids = strings(table["id"].data)
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
        reference[name] = real_column(labels, f"label {name}", theirs, path)
        error = f"{name}_err"
        if error in columns:
            reference[error] = uncertainties(real_column(labels, f"label {error}", columns[error], path))
        else:
            reference[error] = np.nan
    has_snr = "snr" in columns
    reference["snr"] = real_column(labels, "label snr", columns["snr"], path) if has_snr else spectra["snrg"]
    for name in ("aspcapflag", "starflag", "extratarg"):
        reference[name] = np.zeros(len(labels), dtype=np.int64)
    reference["aspcap_path"] = np.full(len(labels), "", dtype=str)
    for name in ("id", "path", "spectrum_id"):
        reference[name] = spectra[name]
    return reference


def _nearest(ra, dec, label_ra, label_dec, radius):
    """For each spectrum the row of the nearest labels within `radius` arcsec (-1: none) and its distance."""
    from scipy.spatial import cKDTree  # late: a run on another source has no use for it

    good = np.flatnonzero(on_sky(label_ra, label_dec))
    label_row, separation = np.full(len(ra), -1), np.full(len(ra), np.inf)
    if len(good) and len(ra):
        tree = cKDTree(unit_vectors(label_ra[good], label_dec[good]))
        chord, index = tree.query(unit_vectors(np.asarray(ra), np.asarray(dec)))
        separation = np.degrees(2 * np.arcsin(np.clip(chord / 2, 0, 1))) * 3600
        label_row = np.where(separation <= radius, good[index], -1)
    return label_row, separation
