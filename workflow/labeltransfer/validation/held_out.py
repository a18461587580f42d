"""Labels of reference stars from models that had not seen them."""

from typing import NamedTuple

import numpy as np

from labeltransfer.models.starts import spread_starts


class HeldOut(NamedTuple):
    """Labels of n stars from models that were trained on others.

    Attributes
    ----------
    labels, errors : (n, k) arrays
        With formal errors; NaN for stars that were in no test.
    reduced_chi2 : (n,) array
    converged : (n,) bool array
    models : list of labeltransfer.models.base.SpectralModel
        One for each test.
    """

    labels: np.ndarray
    errors: np.ndarray
    reduced_chi2: np.ndarray
    converged: np.ndarray
    models: list


def held_out_labels(flux, ivar, labels, tests, train, *, trainable=None, starts=None, threads=1):
    """For each test, train a model without its stars and label them with it.

    Parameters
    ----------
    flux, ivar : (n, p) arrays
    labels : (n, k) array
        Reference labels.
    tests : sequence of (n,) bool arrays
        Stars of each test; a star is in one test at most.
    train : callable
        ``train(rows)`` returns a `labeltransfer.models.base.SpectralModel` trained on those stars.
    trainable : (n,) bool array, optional
        Stars that no model may be trained on are false; they are labelled like the others.
    starts : (m, k) array, optional
        Starting points of the fits; by default `spread_starts` of what the model was trained on.
    threads : int, optional

    Returns
    -------
    HeldOut
    """
    n = len(labels)
    trainable = np.ones(n, dtype=bool) if trainable is None else trainable
    values, errors = np.full((2, *labels.shape), np.nan)
    reduced, converged, models = np.full(n, np.nan), np.zeros(n, dtype=bool), []
    for test in tests:
        rows = np.flatnonzero(trainable & ~test)
        model = train(rows)
        begin = spread_starts(labels[rows]) if starts is None else starts
        found = model.label(flux[test], ivar[test], starts=begin, threads=threads)
        values[test] = found.labels
        errors[test] = np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
        reduced[test], converged[test] = found.reduced_chi2, found.converged
        models.append(model)
    return HeldOut(values, errors, reduced, converged, models)
