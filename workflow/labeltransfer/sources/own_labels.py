"""Tables of labels of one's own, joined to the spectra of one's own archive."""

import warnings
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from labeltransfer.files.columns import SENTINELS, uncertainties
from labeltransfer.files.errors import refusal
from labeltransfer.files.names import printable
from labeltransfer.files.rejected import rejected_rows
from labeltransfer.sources.labels import label_column, read_label_table, real_column
from labeltransfer.surveys.sky import on_sky, separations, unit_vectors

MATCHES = ("obsid", "spectrum_id", "position")
NOT_LABELS = ("ra", "dec", "snr")
FAR = 60.0  # arcsec: no error of a position is so large, and no proper motion moved a star so far
SAME = 10.0  # arcsec: two observations of a star are nearer to each other
OF_TWO_STARS = "identifier of spectra of two stars"
OUTDONE = "its spectrum has labels that are nearer"
ELSEWHERE = "position far from that of its spectrum"


class LabelTables(NamedTuple):
    """Tables of labels, what their columns mean, and how their rows find the spectra.

    Attributes
    ----------
    paths : path or sequence of paths
        See `read_label_table`.
    columns : dict
        Label -> column, and where the table has them snr, ra and dec; flags and whatever else cuts ask for.
    errors : dict, optional
        Label -> column of its error.
    id_column : str, optional
        Column that names the spectrum; by default 'obsid' or 'spectrum_id'.
    match : {'obsid', 'spectrum_id', 'position'}
        How labels find their spectra. A spectrum_id may have folders before it, and end in .fits and .gz or not. By
        position, which needs ra and dec among the columns, the nearest labels within `radius` count.
    labels : sequence of str, optional
        Which of the columns are labels, that is real numbers; the others stay what they are in the table. By default
        all but ra, dec and snr.
    sentinels : sequence of float
        Numbers that stand for a missing label or error.
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
    labels: tuple | None = None
    sentinels: tuple = SENTINELS
    radius: float = 3.0
    delimiter: str | None = None


def join_labels(spectra, labels):
    """Find the spectra that labels belong to.

    Parameters
    ----------
    spectra : Table
        From `labeltransfer.sources.local.scan_spectra`.
    labels : LabelTables
        What is known of some of them.

    Returns
    -------
    reference : Table
        One row per labelled spectrum, as from `apogee.read_allstar` (flags only where columns are given), and id,
        path and spectrum_id of the spectrum. Joined by identifier, `survey_row` says which spectrum that is, and
        no other takes its labels. If several spectra have the same labels, the nearest or else the first in the order
        of paths stands here.
    rejected : Table
        Rows of labels, with the reasons 'no identifier', 'no position', 'duplicate label row', 'identifier of spectra
        of two stars', 'position far from that of its spectrum', 'its spectrum has labels that are nearer',
        'no spectrum for these labels'.

    Raises
    ------
    ArchiveError
        Where a table cannot be used, or no labels belong to any spectrum; 'identifiers lost leading zeros',
        'positions disagree' where most labels are far from their spectra.
    ValueError
        Where `match` is none of `MATCHES`, or lacks the columns that it needs.
    """
    labels, columns = _checked(labels)
    table = _read_labels(labels, columns)
    # What FITS cannot hold is escaped: labels of such a name go on, and are found by it in the ledger.
    ids, _ = printable(_label_ids(table, labels.match), longest=255)
    if labels.match == "position":
        label_row, separation, reason = _find_by_position(table, spectra, labels)
    else:
        label_row, separation, reason = _find_by_id(ids, spectra, labels)
        _refuse_two_stars(label_row, spectra, reason)
        _check_positions(table, label_row, spectra, reason, labels)

    survey_row = _one_spectrum_each(label_row, separation)
    if not len(survey_row):
        found = f"labels of {_some(ids)} and spectra {_some(spectra['spectrum_id'])}"
        cure = f"Check id_column and match ({labels.match}), and that labels and spectra belong together."
        expected = "labels of the spectra in the folder"
        raise refusal(_shown(labels.paths), "no labels matched", expected, found, cure)
    chosen = label_row[survey_row]
    without = reason == ""
    without[chosen] = False
    reason[without] = "no spectrum for these labels"
    if labels.match == "position":
        rows = np.flatnonzero(without)
        near, _ = _nearest(
            *(values[rows] for values in _sky_of(table)), spectra["ra"], spectra["dec"], labels.radius
        )
        reason[rows[near >= 0]] = OUTDONE
    reference = _reference(table[chosen], ids[chosen], spectra[survey_row], labels, columns)
    if labels.match != "position":
        reference["survey_row"] = survey_row
    if len(reference) + np.count_nonzero(reason != "") != len(table):
        raise RuntimeError(f"{_shown(labels.paths)}: rows of labels have neither a spectrum nor a reason")
    return reference, rejected_rows(ids[reason != ""], "reference", "catalogue", reason[reason != ""])


def join_by_name(reference, spectra):
    """Find the spectra that the rows of a reference catalogue name.

    Parameters
    ----------
    reference : Table
        From the `read_catalog` of a reference survey whose names are those of spectra, or of their files.
    spectra : Table
        spectrum_id, path, ra, dec of the survey's.

    Returns
    -------
    reference : Table
        Its rows that have a spectrum, and id, path, spectrum_id and `survey_row` of that; positions of the spectrum
        where the catalogue has none.
    rejected : Table
        The others: 'no spectrum for these labels'.

    Raises
    ------
    ArchiveError
        'no labels matched' where there are none.
    """
    names = spectra["spectrum_id"].tolist()
    rows = {_stem(PurePath(path).name): row for row, path in enumerate(spectra["path"].tolist())}
    rows |= {_stem(name): row for row, name in enumerate(names)}
    asked = [_stem(PurePath(name).name) for name in reference["reference_id"].tolist()]
    found = np.array([rows.get(name, -1) for name in asked], dtype=np.int64)
    there = found >= 0
    if not there.any():
        shown = f"labels of {_some(reference['reference_id'])} and spectra {_some(names)}"
        source = reference.meta.get("source", "labels")
        raise refusal(
            source, "no labels matched", "labels of these spectra", shown, "Do they belong together?"
        )
    lost = reference["reference_id"][~there]
    chosen, of = reference[there], spectra[found[there]]
    for name in ("ra", "dec"):
        chosen[name] = np.where(np.isfinite(chosen[name]), chosen[name], of[name])
        chosen[name].unit = "deg"
    for name, column in (("id", "spectrum_id"), ("path", "path"), ("spectrum_id", "spectrum_id")):
        chosen[name] = of[column]
    chosen["survey_row"] = found[there]
    return chosen, rejected_rows(lost, "reference", "catalogue", "no spectrum for these labels")


def _some(names, n=3):
    return ", ".join(str(name) for name in names[:n]) or "none"


def _shown(paths):
    return ", ".join(str(path) for path in paths) if isinstance(paths, list | tuple) else paths


def _checked(labels):
    """The label tables with dicts for what is not given, and their columns with those of the errors."""
    if labels.match not in MATCHES:
        raise ValueError(f"match is {labels.match!r}: expected one of {', '.join(MATCHES)}")
    if labels.match == "position" and not {"ra", "dec"} <= set(labels.columns):
        raise ValueError("match by position needs the columns ra and dec of the label table: map them")
    labels = labels._replace(errors=labels.errors or {})
    if labels.labels is None:
        labels = labels._replace(labels=tuple(name for name in labels.columns if name not in NOT_LABELS))
    errors = {f"{name}_err": theirs for name, theirs in labels.errors.items() if name in labels.columns}
    return labels, labels.columns | errors


def _read_labels(labels, columns):
    """Columns ``label NAME`` and, where spectra are named, ``id``."""
    wanted = {f"label {name}": column for name, column in columns.items()}
    texts = []
    if labels.match != "position" or labels.id_column:
        wanted["id"] = labels.id_column or labels.match
        texts = ["id"]
    positions = [f"label {name}" for name in ("ra", "dec")] if {"ra", "dec"} <= set(columns) else []
    return read_label_table(labels.paths, wanted, labels.delimiter, texts, positions)


def _find_by_position(table, spectra, labels):
    """For each spectrum its row of labels (-1: none) and how far it is; for each row a reason against it."""
    sky = _sky_of(table)
    label_row, separation = _nearest(spectra["ra"], spectra["dec"], *sky, labels.radius)
    return label_row, separation, np.where(on_sky(*sky), "", "no position").astype(object)


def _sky_of(table):
    return [np.asarray(table[f"label {name}"], dtype=float) for name in ("ra", "dec")]


def _find_by_id(ids, spectra, labels):
    """As `_find_by_position`, by names; the first row of a name counts."""
    import pandas as pd  # late: a run on another source has no use for it

    keys = np.asarray(spectra[labels.match]).astype(str).astype(object)
    ours = ids
    if labels.match == "spectrum_id":
        keys, ours = (np.array([_stem(name) for name in names], dtype=object) for names in (keys, ids))
    reason = np.where(ids == "", "no identifier", "").astype(object)
    again = pd.Series(ours).duplicated().to_numpy() & (ids != "")
    reason[again] = "duplicate label row"
    rows = pd.Series(np.arange(len(ids)), index=ours)[reason == ""]
    label_row = rows.reindex(keys).fillna(-1).to_numpy(dtype=np.int64, copy=True)
    _refuse_lost_zeros(ours, keys, labels)
    return label_row, np.zeros(len(spectra)), reason


def _stem(name):
    name = name.removesuffix(".gz")
    return name[: -len(".fits")] if name.lower().endswith(".fits") else name


def _refuse_lost_zeros(ids, keys, labels):
    """Spreadsheets take the zeros in front of what looks like a number."""
    known = set(keys.tolist())
    bare = {key.lstrip("0"): key for key in known if key.startswith("0")}
    lost = [name for name in ids.tolist() if name not in known and name and name in bare]
    if lost:
        found = f"{lost[0]} where a spectrum is {bare[lost[0]]}, and {len(lost) - 1} more"
        cure = "Write the identifiers as text, from the table that they come from."
        expected = "every digit of the identifiers"
        raise refusal(_shown(labels.paths), "identifiers lost leading zeros", expected, found, cure)


def _refuse_two_stars(label_row, spectra, reason):
    """Take labels whose identifier stands in spectra of two stars from all of these: nobody knows whose they are."""
    labelled = np.flatnonzero(label_row >= 0)
    order = labelled[np.argsort(label_row[labelled], kind="stable")]
    first = np.searchsorted(label_row[order], label_row[order])
    apart = separations(spectra["ra"][order], spectra["dec"][order], *_at(spectra, order[first])) > SAME
    bad = np.unique(label_row[order][apart])
    reason[bad] = OF_TWO_STARS
    label_row[np.isin(label_row, bad)] = -1


def _at(table, rows):
    return table["ra"][rows], table["dec"][rows]


def _check_positions(table, label_row, spectra, reason, labels):
    """Compare positions of labels with those of the spectra that their identifiers lead to."""
    if "label ra" not in table.colnames or "label dec" not in table.colnames:
        return
    sky = [
        real_column(table, f"label {name}", labels.columns[name], _shown(labels.paths))
        for name in ("ra", "dec")
    ]
    rows = np.flatnonzero(label_row >= 0)
    rows = rows[on_sky(*sky)[label_row[rows]]]
    apart = separations(*(values[label_row[rows]] for values in sky), *_at(spectra, rows))
    far = apart > FAR
    if not far.any():
        return
    said = f"{far.sum()} of {len(rows)} labels are over {FAR:g} arcsec from the spectra that they name"
    said += f", by {np.median(apart[far]) / 3600:.3g} deg in the median and up to {apart[far].max() / 3600:.3g} deg"
    if far.sum() > 0.5 * len(rows):
        cure = "Are the positions in degrees, and the identifiers those of these spectra?"
        raise refusal(
            _shown(labels.paths), "positions disagree", "labels where their spectra are", said, cure
        )
    warnings.warn(f"{_shown(labels.paths)}: {said}; these labels are not used", stacklevel=3)
    reason[label_row[rows[far]]] = ELSEWHERE
    label_row[np.isin(label_row, label_row[rows[far]])] = -1


def _one_spectrum_each(label_row, separation):
    """For each row of labels that has spectra, the nearest or else the first of them, in the order of the labels."""
    labelled = np.flatnonzero(label_row >= 0)
    order = labelled[np.lexsort((separation[labelled], label_row[labelled]))]
    _, first = np.unique(label_row[order], return_index=True)
    return order[first]


def _label_ids(table, match):
    if "id" not in table.colnames:
        return np.array([f"row {row}" for row in range(len(table))], dtype=object)
    ids = np.asarray(table["id"]).astype(object)
    if match == "obsid":
        whole = [str(int(name)) if name.isascii() and name.isdigit() else "" for name in ids.tolist()]
        return np.array(whole, dtype=object)
    if match == "spectrum_id":
        return np.array([PurePath(name).name.removesuffix(".gz") for name in ids.tolist()], dtype=object)
    return ids


def _reference(table, ids, spectra, labels, columns):
    reference, paths = Table({"reference_id": ids.astype(str)}), _shown(labels.paths)
    for name in ("ra", "dec"):
        known = table[f"label {name}"].data if name in columns else np.full(len(table), np.nan)
        reference[name] = np.where(np.isfinite(known), known, spectra[name])
        reference[name].unit = "deg"
    for name in labels.columns:
        if name in NOT_LABELS:
            continue
        if name not in labels.labels:
            reference[name] = table[f"label {name}"]
            continue
        reference[name] = label_column(table, f"label {name}", columns[name], paths, labels.sentinels)
        error = f"{name}_err"
        values = np.full(len(table), np.nan)
        if error in columns:
            values = real_column(table, f"label {error}", columns[error], paths)
        reference[error] = uncertainties(values, labels.sentinels)
    snr = real_column(table, "label snr", columns["snr"], paths) if "snr" in columns else spectra["snrg"]
    reference["snr"] = snr
    reference["aspcap_path"] = np.full(len(table), "", dtype=str)
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
        here = np.flatnonzero(on_sky(np.asarray(ra), np.asarray(dec)))
        chord, index = tree.query(unit_vectors(np.asarray(ra)[here], np.asarray(dec)[here]))
        separation[here] = np.degrees(2 * np.arcsin(np.clip(chord / 2, 0, 1))) * 3600
        label_row[here] = np.where(separation[here] <= radius, good[index], -1)
    return label_row, separation
