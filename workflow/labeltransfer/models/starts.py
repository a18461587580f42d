"""Starting points of label fits: from a table, or typical stars of the training set."""

import csv

import numpy as np


def read_starts(path, label_names, labels):
    """Starting points from a table with a column per label; labels without one start at the training median.

    Parameters
    ----------
    path : path of a CSV file
        For the authors' seven points, ``resources/starting_points.csv``.
    label_names : sequence of k str
        Columns to look for.
    labels : (n, k) array
        Training labels.

    Returns
    -------
    (m, k) array, physical units

    Raises
    ------
    ValueError
        If the table has none of the labels, no rows, or a value that is not a number.
    """
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    known = [name for name in label_names if rows and name in rows[0]]
    if not known:
        raise ValueError(f"{path}: expected rows with columns among {', '.join(label_names)}, found none")
    starts = np.tile(np.median(labels, axis=0), (len(rows), 1))
    for k, name in enumerate(label_names):
        if name in known:
            try:
                starts[:, k] = [float(row[name]) for row in rows]
            except (TypeError, ValueError):
                found = [row[name] for row in rows]
                raise ValueError(f"{path}: column {name} must hold numbers, found {found}") from None
    return starts


def spread_starts(labels, n_start=7):
    """Starting points for any set of labels: training stars that are typical, and far from each other.

    The star nearest to the median comes first; each next one is the farthest from those before it, among
    stars within two standard deviations of the mean in every label.

    Parameters
    ----------
    labels : (n, k) array
        Training labels.
    n_start : int
        How many at most.

    Returns
    -------
    (m, k) array
        m is ``n_start``, or the number of such stars if that is smaller.
    """
    labels = np.asarray(labels, dtype=float)
    x = (labels - labels.mean(axis=0)) / labels.std(axis=0)
    typical = np.flatnonzero((np.abs(x) < 2).all(axis=1))
    if not len(typical):
        return np.median(labels, axis=0)[None, :]
    x = x[typical]
    chosen = [int(np.argmin(((x - np.median(x, axis=0)) ** 2).sum(axis=1)))]
    nearest = np.full(len(x), np.inf)
    while len(chosen) < min(n_start, len(x)):
        nearest = np.minimum(nearest, ((x - x[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(np.argmax(nearest)))
    return labels[typical[chosen]]
