"""Novelty: how far the labels of a star lie from the reference set, where a model can only extrapolate."""

from typing import NamedTuple

import numpy as np

from labeltransfer.catalogs.distance import label_distance

NEIGHBOURS = 10
_WITHIN = 0.99  # of the reference stars have a novelty below 1


class ReferenceLabels(NamedTuple):
    """Labels of the stars that a model was trained on, and how densely they lie; `reference_labels` makes it.

    Attributes
    ----------
    labels : (m, k) array
    spacing : float
        The distance that 99 % of the stars stay within of their ten nearest.
    """

    labels: np.ndarray
    spacing: float


def reference_labels(labels):
    """Measure how densely reference stars lie in label space.

    Parameters
    ----------
    labels : (m, k) array
        All finite; at least two stars.

    Returns
    -------
    ReferenceLabels
    """
    neighbours = min(NEIGHBOURS, len(labels) - 1)
    # A reference star is its own nearest neighbour, at distance 0.
    own = label_distance(labels, labels, labels.std(axis=0), neighbours + 1)
    return ReferenceLabels(labels, np.quantile(own * (neighbours + 1) / neighbours, _WITHIN))


def novelty(labels, reference):
    """How far labels lie from the reference set, in units of the reference set's own spacing.

    The distance is the mean over the ten nearest reference stars, in labels scaled by their spread; the unit is the
    distance that 99 % of the reference stars themselves stay within. Above 1 the model extrapolates.

    Parameters
    ----------
    labels : (n, k) array
    reference : ReferenceLabels

    Returns
    -------
    (n,) float64
        NaN for a star with a missing label.
    """
    neighbours = min(NEIGHBOURS, len(reference.labels) - 1)
    spread = reference.labels.std(axis=0)
    return label_distance(labels, reference.labels, spread, neighbours) / reference.spacing
