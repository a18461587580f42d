"""Parts of tables, for jobs that go side by side."""

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
