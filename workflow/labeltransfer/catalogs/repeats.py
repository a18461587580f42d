"""Stars that were observed more than once: what a label should not depend on differs between their spectra."""

import re

import numpy as np

_FIBRE = re.compile(r"sp(\d+)-(\d+)")  # in LAMOST's names of spectra: spectrograph and fibre


def repeated_rows(star, wanted, most=None, seed=0):
    """Rows of a survey's catalogue that are of stars with more than one.

    Parameters
    ----------
    star : (n,) int array
        Star of each row.
    wanted : int array
        Stars to choose from.
    most : int, optional
        Rows to take at most: of more, stars are drawn.
    seed : int, optional
        Of the draw.

    Returns
    -------
    (m,) int array
        Ascending.
    """
    star = np.asarray(star)
    count = np.bincount(star)
    stars = np.unique(np.asarray(wanted, dtype=np.int64))
    stars = stars[count[stars] > 1]
    if most is not None and count[stars].sum() > most:
        stars = np.random.default_rng(seed).permutation(stars)
        stars = stars[np.cumsum(count[stars]) <= most]
    return np.flatnonzero(np.isin(star, stars))


def independent_pairs(star, quality):
    """Pairs of rows of one star: the best with the second, the third with the fourth, and so on.

    Parameters
    ----------
    star : (n,) int array
    quality : (n,) array
        For example S/N.

    Returns
    -------
    (m, 2) int array
        The better row of each pair first.
    """
    star, quality = np.asarray(star), np.asarray(quality, dtype=float)
    order = np.lexsort((np.arange(len(star)), -quality, star))
    place = np.arange(len(order)) - np.searchsorted(star[order], star[order])
    first = np.flatnonzero((place[:-1] % 2 == 0) & (star[order][:-1] == star[order][1:]))
    return np.column_stack([order[first], order[first + 1]])


def fibres(names):
    """Spectrograph and fibre (n,) in the names of spectra, as texts; empty where a name has none."""
    found = [_FIBRE.search(str(name)) for name in names]
    return np.array(["-".join(one.groups()) if one else "" for one in found], dtype=str)


def observations(names):
    """Names (n,) of the observations: of one in two folders, for example of two releases, it is the same."""
    return np.array([str(name).rpartition("/")[2] for name in names], dtype=str)
