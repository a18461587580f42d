"""Label distance of Ho et al. 2017 (Eq. 7): how far a star lies from the reference set in label space."""

import numpy as np

SCALE = (100.0, 0.20, 0.10)  # K of Eq. 7, for Teff [K], log g and [Fe/H] [dex]
_BLOCK = 65_536


def label_distance(labels, reference, scale=SCALE, n_neighbours=10, form="root", workers=1):
    """Mean distance in label space to the nearest reference stars (Eq. 7 of Ho et al. 2017).

    The paper prints a sum of squares; the authors' code takes its square root before the mean over the ten
    nearest, and their cut at 2.5 applies to that (`form="root"`). `form="sum"` is the text as printed.

    Parameters
    ----------
    labels : (n, k) array_like
        Labels of the stars, from the survey's own pipeline.
    reference : (m, k) array_like
        Labels of the reference set, in the same order; all finite.
    scale : (k,) array_like, optional
        Typical label uncertainties K, in the units of the labels.
    n_neighbours : int, optional
        How many nearest reference stars to average over.
    form : {"root", "sum"}, optional
        Distance, or sum of squares.
    workers : int, optional
        Threads of the search; the answer does not depend on them.

    Returns
    -------
    distance : (n,) float64
        Dimensionless; NaN for a star with a missing label.

    Raises
    ------
    ValueError
        If shapes disagree, a scale is not positive, a reference label is missing, or the reference set has
        fewer than `n_neighbours` stars.
    """
    labels, reference, scale = _scaled_inputs(labels, reference, scale, form)
    if not np.isfinite(reference).all():
        missing = np.count_nonzero(~np.isfinite(reference).all(axis=1))
        raise ValueError(f"{missing} of {len(reference)} reference stars lack a label; cut them first")
    if not 1 <= n_neighbours <= len(reference):
        raise ValueError(
            f"n_neighbours must lie between 1 and {len(reference)} reference stars: found {n_neighbours}"
        )
    from scipy.spatial import cKDTree  # late: not every study measures distances

    tree = cKDTree(reference / scale)
    distance = np.full(len(labels), np.nan)
    known = np.flatnonzero(np.isfinite(labels).all(axis=1))
    for start in range(0, len(known), _BLOCK):
        rows = known[start : start + _BLOCK]
        # A list of neighbour ranks keeps the second axis even when only one is asked for.
        near, _ = tree.query(labels[rows] / scale, k=np.arange(1, n_neighbours + 1), workers=workers)
        distance[rows] = (near if form == "root" else near**2).mean(axis=1)
    return distance


def label_separation(labels, other, scale=SCALE, form="root"):
    """Distance in label space between two sets of labels of the same stars (ordinate of Fig. 9).

    Parameters
    ----------
    labels, other : (n, k) array_like
        Two sets of labels, row by row of the same star.
    scale, form
        As for `label_distance`.

    Returns
    -------
    separation : (n,) float64
        Dimensionless; NaN where a label is missing.

    Raises
    ------
    ValueError
        If shapes disagree or a scale is not positive.
    """
    labels, other, scale = _scaled_inputs(labels, other, scale, form)
    if labels.shape != other.shape:
        raise ValueError(f"both sets must have one shape: found {labels.shape} and {other.shape}")
    known = np.isfinite(labels) & np.isfinite(other)
    difference = np.subtract(labels, other, out=np.full(labels.shape, np.nan), where=known)
    squares = ((difference / scale) ** 2).sum(axis=1)
    return np.sqrt(squares) if form == "root" else squares


def _scaled_inputs(labels, other, scale, form):
    labels, other = np.asarray(labels, dtype=float), np.asarray(other, dtype=float)
    scale = np.asarray(scale, dtype=float)
    if labels.ndim != 2 or other.ndim != 2 or not labels.shape[1] == other.shape[1] == scale.size:
        raise ValueError(
            "labels must be (n, k), their reference (m, k) and the scale (k,): "
            f"found {labels.shape}, {other.shape} and {scale.shape}"
        )
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ValueError(f"every scale must be a positive number: found {scale.tolist()}")
    if form not in ("root", "sum"):
        raise ValueError(f"form must be 'root' or 'sum': found {form!r}")
    return labels, other, scale
