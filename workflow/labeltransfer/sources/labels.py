"""Tables of labels as people keep them, read under our names."""

import os
import re

import numpy as np
from astropy.table import Table

from labeltransfer.files.angles import degrees
from labeltransfer.files.columns import identifiers, joined, label_values, numbers, pick
from labeltransfer.files.errors import ArchiveError, refusal
from labeltransfer.files.readers import read_columns


def read_label_table(path, columns, delimiter=None, texts=(), positions=()):
    """Read columns of one or several tables of labels under our names.

    Parameters
    ----------
    path : path or sequence of paths
        Of all kinds that `labeltransfer.files.readers.read_columns` reads. Several tables, which all need the columns,
        are put one below the other.
    columns : dict
        Our name -> the table's column.
    delimiter : str, optional
        Of a text table, where guessing is not wanted.
    texts : sequence of str
        Our names of columns of identifiers: text even if they look like numbers, with all their digits.
    positions : sequence of str
        Our names of columns of positions, right ascension first; they become degrees.

    Returns
    -------
    Table
        Our names. Whole numbers stay int64, other numbers are float64 with NaN for what is missing (blank, masked,
        -9999, not a number), and so are whole numbers where some are missing; columns without any number are str.

    Raises
    ------
    ArchiveError
        Where a file is no table, has no rows, or lacks a column, the message listing what exists; 'ambiguous column',
        'identifiers lost digits', 'positions not in degrees', 'numbers with commas'.
    """
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    if not paths:
        raise ArchiveError("No table of labels was given: name at least one file.", "no such file")
    pieces = [_piece(one, columns, delimiter, texts, positions) for one in paths]
    table = Table()
    for name in columns:
        parts = [piece[name] for piece in pieces]
        if any(part.ndim > 1 for part in parts):
            cure = "Write its numbers into columns of their own."
            raise refusal(
                paths[0], "missing column", f"{columns[name]!r} with one number per row", "vectors", cure
            )
        if name in texts:
            table[name] = np.concatenate(parts).astype(str)
        else:
            table[name] = _one_kind(joined(parts), columns[name], paths[0])
    return table


def _piece(path, columns, delimiter, texts, positions):
    """Columns of one table under our names."""
    chosen, units = {}, {}

    def choose(names):
        chosen.update(pick(path, names, columns.values()))
        return list(dict.fromkeys(chosen.values()))

    found = read_columns(path, choose, delimiter, [columns[name].lower() for name in texts], units)
    piece = {name: found[chosen[theirs]] for name, theirs in columns.items()}
    for name in texts:
        piece[name] = identifiers(piece[name], path, columns[name]) if piece[name].ndim == 1 else piece[name]
    for number, name in enumerate(positions):
        theirs = chosen[columns[name]]
        if piece[name].ndim == 1:
            piece[name] = degrees(piece[name], units.get(theirs, ""), path, theirs, number == 0)
    return piece


def _one_kind(column, name, path):
    missing, data = np.ma.getmaskarray(column), np.ma.getdata(column)
    if data.dtype.kind == "O":
        _refuse_commas(data, name, path)
    if data.dtype.kind in "iub" and not missing.any() and data.min() > -9000 and data.max() < 2**63:
        return data.astype(np.int64)
    values = numbers(column)
    if data.dtype.kind in "iu" and np.abs(data[~missing], dtype=float).max(initial=0) >= 2**53:
        # As flags they would lose bits, and nothing else is so large.
        found = "some beyond 2^53, and some that are missing"
        raise refusal(path, "missing column", f"whole numbers in column {name!r}", found, "Fill the gaps.")
    if np.isfinite(values).any() or data.dtype.kind != "O":
        return values
    return column.astype(str)


def _refuse_commas(texts, name, path):
    """Numbers such as 5000,5 would count as missing one by one."""
    commas = [text for text in texts.tolist() if re.fullmatch(r"[-+]?\d+(,\d+)+(\.\d*)?", text)]
    if commas:
        cure = "Write numbers with a decimal point, and without anything between thousands."
        raise refusal(
            path, "numbers with commas", f"numbers in column {name!r}", f"text such as {commas[0]!r}", cure
        )


def real_column(table, name, column, path):
    """A column of a label table as float64; an ArchiveError names the table's own column where it holds text."""
    values = table[name].data
    if values.dtype.kind not in "iuf":
        cure = "Correct the column mapping."
        raise refusal(
            path, "missing column", f"numbers in column {column!r}", f"text such as {str(values[0])!r}", cure
        )
    return values.astype(float)


def label_column(table, name, column, path, sentinels):
    """As `real_column`, NaN for sentinels; an ArchiveError names one that is left over.

    Parameters
    ----------
    table : Table
        From `read_label_table`.
    name, column : str
        Our name of the column, and the table's.
    path : path or sequence of paths
        For messages.
    sentinels : sequence of float
        Numbers that stand for none.

    Returns
    -------
    (n,) float64 array

    Raises
    ------
    ArchiveError
        'sentinel among the labels' where many rows have one number that is far outside all others.
    """
    return label_values(real_column(table, name, column, path), sentinels, path, column)
