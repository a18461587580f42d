"""Cross-validation of The Cannon in one call, for sessions; the workflow's rules do it in steps."""

import numpy as np

from labeltransfer.catalogs.splits import k_folds
from labeltransfer.models.cannon import trainer
from labeltransfer.validation.held_out import held_out_labels


def cross_validate(
    flux, ivar, labels, *, label_names, star=None, folds=10, seed=0, label_errors=None, **options
):
    """Labels of reference stars by The Cannon, each from a model that had not seen the star.

    Parameters
    ----------
    flux, ivar : (n, p) arrays
        Normalised, for example by `labeltransfer.prepare_arrays`.
    labels : (n, k) array
        Reference labels.
    label_names : sequence of k str
    star : (n,) array, optional
        Which star a spectrum is of: all spectra of a star are in one fold. By default each is of another.
    folds : int, optional
    seed : int, optional
        Of the division into folds.
    label_errors : (n, k) array, optional
        Errors of the reference labels.
    **options
        Of `labeltransfer.train`: order, scatter, threads.

    Returns
    -------
    labeltransfer.validation.held_out.HeldOut
    """
    labels = np.asarray(labels, dtype=float)
    star = np.arange(len(labels)) if star is None else star
    errors = np.zeros_like(labels) if label_errors is None else np.asarray(label_errors, dtype=float)
    train = trainer(flux, ivar, labels, errors, label_names=label_names, **options)
    fold = k_folds(star, folds, seed)
    tests = [fold == number for number in range(folds)]
    return held_out_labels(flux, ivar, labels, tests, train, threads=options.get("threads", 1))
