"""Parts of tables, for jobs that go side by side."""

import hashlib

import numpy as np


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


def rows_by_name(names, item):
    """Rows of one part of a table, where a row's part follows from its name alone.

    Rows that come or go move none of the others to another part; parts differ in size, as lots do.

    Parameters
    ----------
    names : (n,) sequence of str
    item : str
        As for `chunk_rows`.

    Returns
    -------
    (m,) int array
    """
    part, parts = (int(number) for number in item.split("-of-"))
    # A digest, since Python's own hash of a text is another one in every run.
    lots = [int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8]) % parts for name in names]
    return np.flatnonzero(np.array(lots, dtype=int) == part - 1)
