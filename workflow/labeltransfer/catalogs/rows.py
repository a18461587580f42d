"""Rows of one table found by the ids of another."""

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
