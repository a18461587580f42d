"""Tables of labels as people keep them, read under our names."""

import os

import numpy as np
from astropy.table import Table

from labeltransfer.files.columns import joined, numbers, pick, read_columns, strings
from labeltransfer.files.errors import ArchiveError, refusal


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
            chosen.update(pick(one, names, columns.values()))
            return list(dict.fromkeys(chosen.values()))

        found = read_columns(one, choose, delimiter, [columns[name].lower() for name in texts])
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
            table[name] = np.concatenate([strings(part) for part in parts]).astype(str)
        else:
            table[name] = _one_kind(parts)
    return table


def _one_kind(parts):
    column = joined(parts)
    if column.dtype.kind in "iu" and column.min() > -9000:
        return column.astype(np.int64)
    values = numbers(column)
    if np.isfinite(values).any() or column.dtype.kind != "O":
        return values
    return column.astype(str)


def real_column(table, name, column, path):
    """A column of a label table as float64; an ArchiveError names the table's own column where it holds text."""
    values = table[name].data
    if values.dtype.kind not in "iuf":
        cure = "Correct the column mapping."
        raise refusal(
            path, "missing column", f"numbers in column {column!r}", f"text such as {values[0]!r}", cure
        )
    return values.astype(float)
