"""Tables of labels whose rows name spectra: one line of the registry makes a reference survey of such a table."""

import os

import numpy as np
from astropy.table import Table

from labeltransfer.files.columns import (
    SENTINELS,
    identifiers,
    label_values,
    numbers,
    pick,
    uncertainties,
)
from labeltransfer.files.names import printable
from labeltransfer.files.readers import read_columns
from labeltransfer.files.rejected import rejected_rows


def read_label_table(path, labels, errors=None, sentinels=SENTINELS, *, id_column, snr_column=None):
    """Read labels of spectra that a column names.

    Parameters
    ----------
    path : path
        FITS, Parquet or text.
    labels, errors : dict
        Our name of the label -> column; of its error.
    sentinels : sequence of float
        Numbers that stand for a missing label or error.
    id_column : str
        Column of the names.
    snr_column : str, optional
        Column of the S/N of the reference survey's own spectra.

    Returns
    -------
    reference : Table
        reference_id, ra, dec [deg] (NaN), the labels and ``<label>_err`` (NaN where they are missing), snr.
    rejected : Table
        id, catalog, stage, reason of the other rows: 'no identifier', 'unsafe identifier', 'duplicate label row'.

    Raises
    ------
    ArchiveError
        Where the file is no such table, lacks a column or has no rows; 'sentinel among the labels'.
    """
    errors = {name: theirs for name, theirs in (errors or {}).items() if name in labels}
    wanted = [id_column, *labels.values(), *errors.values(), *([snr_column] if snr_column else [])]
    chosen = {}

    def choose(names):
        chosen.update(pick(path, names, list(dict.fromkeys(wanted))))
        return list(dict.fromkeys(chosen.values()))

    found = read_columns(path, choose, texts=[id_column.lower()])
    columns = {name: found[theirs] for name, theirs in chosen.items()}
    values = {name: label_values(columns[theirs], sentinels, path, theirs) for name, theirs in labels.items()}
    spread = {name: uncertainties(columns[theirs], sentinels) for name, theirs in errors.items()}
    snr = numbers(columns[snr_column]) if snr_column else None
    names = identifiers(columns[id_column], path, id_column)
    return named_labels(names, values, spread, snr, os.path.basename(os.fspath(path)))


def named_labels(names, labels, errors=None, snr=None, source=""):
    """A reference catalogue of labels (n,) by name, and the rows that it cannot take; as from `read_label_table`.

    Parameters
    ----------
    names : (n,) sequence of str
    labels, errors : dict
        Label -> (n,) array; of its error.
    snr : (n,) array, optional
    source : str
        Name of the file.
    """
    names, strange = printable(np.asarray(names))
    names = names.astype(str)
    n, missing = len(names), np.full(len(names), np.nan)
    reason = np.full(n, "", dtype=object)
    _, first = np.unique(names, return_index=True)
    reason[np.setdiff1d(np.arange(n), first)] = "duplicate label row"
    reason[strange] = "unsafe identifier"
    reason[names == ""] = "no identifier"
    reference = Table(
        {"reference_id": names, "ra": missing, "dec": missing}, units={"ra": "deg", "dec": "deg"}
    )
    for name, values in labels.items():
        reference[name], reference[f"{name}_err"] = values, (errors or {}).get(name, missing)
    reference["snr"] = missing if snr is None else snr
    reference["aspcap_path"] = np.full(n, "", dtype=str)
    reference.meta["source"] = source
    ids = np.where(names == "", [f"row {row}" for row in range(n)], names)
    lost = reason != ""
    return reference[~lost], rejected_rows(ids[lost], "reference", "catalogue", reason[lost])
