"""Rows of one table found by the ids of another, and tables divided into parts."""

from typing import NamedTuple

import numpy as np
from astropy.table import Table


class Index(NamedTuple):
    """Ids in alphabetical order, and the rows where they stand; `index_ids` makes it."""

    ids: np.ndarray  # (n,) bytes
    rows: np.ndarray  # (n,) int64


def index_ids(ids):
    """Index of ids, to find rows by id many times.

    Parameters
    ----------
    ids : (n,) sequence of str or bytes

    Returns
    -------
    Index
        The rows of equal ids in ascending order. It takes the length of the longest id and 8 bytes per row.
    """
    ids = text_bytes(ids)
    rows = np.argsort(ids, kind="stable")
    return Index(ids[rows], rows)


class Indexed(NamedTuple):
    """A table, and where each of its ids stands in it; `indexed` makes it."""

    table: Table
    index: Index


def indexed(table, name):
    """A table with the index of the ids in one of its columns."""
    return Indexed(table, index_ids(table[name]))


def looked_up(stars, ids):
    """Rows of an `Indexed` table by their ids, one for each; errors as for `rows_of`."""
    return stars.table[rows_of(stars.index, ids)]


def rows_of(ids, wanted):
    """Row of each wanted id.

    Parameters
    ----------
    ids : (n,) sequence of str or bytes, or Index
        Ids, each standing once.
    wanted : (m,) sequence of str or bytes
        Ids to find.

    Returns
    -------
    rows : (m,) int64

    Raises
    ------
    KeyError
        If an id stands more than once (in an index: one of those wanted), or a wanted one is absent.
    """
    index, wanted = ids if isinstance(ids, Index) else index_ids(ids), text_bytes(wanted)
    place, known = _find(index, wanted)
    if not known.all():
        name = wanted[np.argmin(known)].decode()
        raise KeyError(f"id {name!r} is not among the {len(index.ids)} rows to choose from")
    # In an index, which serves many times, only what is asked for is looked at.
    first = place if isinstance(ids, Index) else np.arange(len(index.ids))
    first = first[first + 1 < len(index.ids)]
    again = first[index.ids[first + 1] == index.ids[first]]
    if len(again):
        name, rows = index.ids[again[0]].decode(), index.rows[again[0] : again[0] + 2]
        raise KeyError(f"id {name!r} stands in rows {rows[0]} and {rows[1]}; ids must be unique here")
    return index.rows[place].astype(np.int64)


def among(ids, wanted):
    """Which wanted ids stand in a list of ids; parameters as for `rows_of`, whose ids may recur here.

    Returns
    -------
    (m,) bool
    """
    return _find(ids if isinstance(ids, Index) else index_ids(ids), text_bytes(wanted))[1]


def text_bytes(values):
    """Texts as an array of bytes of one length, a quarter of what numpy takes for str.

    Parameters
    ----------
    values : (n,) sequence of str or bytes
        A missing value (None, NaN) becomes empty. Zero bytes at the end of a text are lost.

    Returns
    -------
    (n,) bytes array, UTF-8
    """
    # Objects, not numpy's own idea of a type: it would write the word "nan" among texts.
    values = np.asarray(values, dtype=None if hasattr(values, "dtype") else object)
    if values.dtype.kind == "S":
        return values
    if values.dtype.kind == "U":
        try:
            return values.astype("S") if values.size else np.zeros(0, "S1")
        except UnicodeEncodeError:
            return np.char.encode(values, "utf-8")
    # A missing value differs from itself or is None: it must not become the word "nan".
    texts = [b"" if value is None or value != value else _encoded(value) for value in values.tolist()]
    return np.array(texts, dtype="S") if texts else np.zeros(0, "S1")


def _encoded(value):
    return value if isinstance(value, bytes) else str(value).encode()


def _find(index, wanted):
    """Place of each wanted id in the index (any, where it is absent), and whether it is there."""
    if not len(index.ids):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    place = np.minimum(np.searchsorted(index.ids, wanted), len(index.ids) - 1)
    return place, index.ids[place] == wanted


def label_columns(stars, names):
    """Labels (n, k) of stars from the columns of a table."""
    return np.column_stack([np.asarray(stars[name], dtype=float) for name in names])


def label_errors(stars, names):
    """Errors (n, k) of labels from the columns `<label>_err` of a table, zero where there are none."""
    errors = [
        np.asarray(stars[f"{name}_err"], dtype=float)
        if f"{name}_err" in stars.colnames
        else np.zeros(len(stars))
        for name in names
    ]
    return np.nan_to_num(np.column_stack(errors))


def used_errors(stars, names, model, clip):
    """Errors (n, k) of labels that training takes into account.

    Parameters
    ----------
    stars : Table
        As for `label_errors`.
    names : sequence of str
    model : mapping
        Settings of the model: zeros unless its `errors_in_labels` is "stated".
    clip : Table
        Of the training, whose `meta` says for which labels the stars bear the stated errors out
        (`labeltransfer.models.clip.borne_out`).
    """
    borne_out = [name in clip.meta["errors_borne_out"] for name in names]
    return label_errors(stars, names) * borne_out * (model["errors_in_labels"] == "stated")
