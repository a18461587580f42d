"""Rows of a table that wait in a temporary file until it is known how wide they are and in which order they go."""

import errno

import numpy as np

WINDOW = 2**25  # bytes of sorted rows held at a time, twice


def write_rows(file, records):
    """Write rows, all of them or an error: numpy's own `tofile` misses what fails when its buffer is emptied."""
    file.write(records.view("u1"))
    file.flush()


def spooled(spool, parts):
    """The rows that wait in a file, block by block, from (row type, number of rows) of each."""
    spool.seek(0)
    for dtype, size in parts:
        records = np.fromfile(spool, dtype, size)
        if len(records) != size:
            raise OSError(errno.EIO, f"only {len(records)} of {size} rows came back from the disk")
        yield records


def sorted_rows(spool, parts, dtype, place):
    """The rows that wait in a file, in the order of their places.

    Each window of the file is gathered and written in turn. Rows put at their places through a map of the file would
    be read once, but a disk that fills up then kills the process.
    """
    window = max(1, WINDOW // dtype.itemsize)
    for first in range(0, len(place), window):
        rows = np.empty(min(window, len(place) - first), dtype)
        done = 0
        for records in spooled(spool, parts):
            here = place[done : done + len(records)] - first
            inside = (here >= 0) & (here < len(rows))
            rows[here[inside]] = records[inside]
            done += len(records)
        yield rows


def difference(first, other):
    """Name of a column that two row types do not share, whatever the lengths of texts; None if there is none."""
    if first.names != other.names:
        both = (*first.names, *other.names)
        return next((name for name in both if (name in first.names) != (name in other.names)), first.names[0])
    for name in first.names:
        if first[name] != other[name] and not first[name].kind == other[name].kind == "S":
            return name
    return None


def widest(dtypes):
    """The row type that holds the longest texts of all."""
    return np.dtype([(name, max((own[name] for own in dtypes), key=_itemsize)) for name in dtypes[0].names])


def _itemsize(dtype):
    return dtype.itemsize


def places(keys):
    """Where each row goes in the order of its key; rows of equal keys stay as they come."""
    order = np.argsort(keys, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place
