"""Rows of one table found by the ids of another, and tables divided into parts."""

import numpy as np


def rows_of(ids, wanted):
    """Row of each wanted id.

    Parameters
    ----------
    ids : (n,) sequence of str
        Ids, each standing once.
    wanted : (m,) sequence of str
        Ids to find.

    Returns
    -------
    rows : (m,) int64

    Raises
    ------
    KeyError
        If an id stands more than once, or a wanted one is absent.
    """
    place = {}
    for row, name in enumerate(np.asarray(ids).tolist()):
        if name in place:
            raise KeyError(f"id {name!r} stands in rows {place[name]} and {row}; ids must be unique here")
        place[name] = row
    try:
        return np.array([place[name] for name in np.asarray(wanted).tolist()], dtype=np.int64)
    except KeyError as error:
        raise KeyError(f"id {error.args[0]!r} is not among the {len(place)} rows to choose from") from None


def chunk_rows(n, item):
    """Rows of one part of a table, as a slice.

    Parameters
    ----------
    n : int
        Rows of the table.
    item : str
        ``2-of-4``: parts count from 1; their sizes differ by one at most.

    Returns
    -------
    slice
    """
    part, parts = (int(number) for number in item.split("-of-"))
    edges = np.linspace(0, n, parts + 1).round().astype(int)
    return slice(edges[part - 1], edges[part])
