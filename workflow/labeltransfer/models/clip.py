"""Training without the reference stars that the model does not give back (Ho et al. 2017, section 3.1)."""

import numpy as np

from labeltransfer.models.starts import spread_starts

_FROM_MAD = 1.4826  # a Gaussian's standard deviation, of its median absolute deviation


def self_clip(labels_in, labels_out, n_sigma=4.0):
    """Reference stars that the model gives back (Ho et al. 2017, section 3.1).

    A star is dropped if |out - in| exceeds ``n_sigma`` times the scatter (standard deviation of out - in over
    all stars) of any label, or if it has no labels.

    Parameters
    ----------
    labels_in, labels_out : (n, k) arrays
        Reference labels, and those from the spectra.
    n_sigma : float
        Where to clip, in units of the scatter.

    Returns
    -------
    keep : (n,) bool array
    """
    difference = np.asarray(labels_out, dtype=float) - np.asarray(labels_in, dtype=float)
    known = np.isfinite(difference).all(axis=1)
    keep = np.zeros(len(difference), dtype=bool)
    if known.any():
        scatter = difference[known].std(axis=0)
        keep[known] = (np.abs(difference[known]) <= n_sigma * scatter).all(axis=1)
    return keep


def borne_out(labels_in, labels_out, errors):
    """Which labels' stated errors the stars bear out.

    What a model gives back, its own errors included, differs from the reference labels by no less than these are off.
    Where the stated errors are larger than that difference they are not the errors of these labels: APOGEE's of DR10
    are twice as large as all that separates them from the spectra, and a model that believed them would be worse by
    two thirds (docs/methods.md).

    Parameters
    ----------
    labels_in, labels_out : (n, k) arrays
        Reference labels, and those from a model that takes them as they are.
    errors : (n, k) array
        Stated; 0 where there is none.

    Returns
    -------
    (k,) bool array
        False for a label whose mean square error exceeds the square of the robust scatter (1.4826 MAD).
    """
    difference = np.asarray(labels_out, dtype=float) - np.asarray(labels_in, dtype=float)
    difference = difference[np.isfinite(difference).all(axis=1)]
    scatter = _FROM_MAD * np.median(np.abs(difference - np.median(difference, axis=0)), axis=0)
    stated = np.array(
        [np.mean(column[column > 0] ** 2) if (column > 0).any() else 0.0 for column in errors.T]
    )
    return stated <= scatter**2


def train_with_clip(train, flux, ivar, labels, *, n_sigma=4.0, starts=None, threads=1):
    """Train, label the reference stars with the model, drop those that it does not give back, train again.

    Parameters
    ----------
    train : callable
        ``train(keep)`` returns a `labeltransfer.models.base.SpectralModel` trained on some of the stars, (n,) bool.
    flux, ivar : (n, p) arrays
    labels : (n, k) array
        Reference labels.
    n_sigma : float
        See `self_clip`.
    starts : (m, k) array, optional
        Starting points of labels; by default `spread_starts` of the reference labels.
    threads : int, optional

    Returns
    -------
    model : labeltransfer.models.base.SpectralModel
        Trained on the stars that were kept.
    keep : (n,) bool array
    first : labeltransfer.models.base.Labels
        Labels of all reference stars from the first model.
    """
    labels = np.asarray(labels, dtype=float)
    model = train(np.ones(len(labels), dtype=bool))
    starts = spread_starts(labels) if starts is None else starts
    first = model.label(flux, ivar, starts=starts, threads=threads)
    if (first.start < 0).all():
        raise ValueError(
            f"none of {len(labels)} reference stars gets labels from the first model, which uses "
            f"{np.count_nonzero(model.usable)} of {model.usable.size} pixels: look at their inverse variances and masks"
        )
    keep = self_clip(labels, first.labels, n_sigma)
    try:
        model = train(keep)
    except ValueError as error:
        left = f"{np.count_nonzero(keep)} of {len(keep)} stars are left by the clip at {n_sigma:g} times the scatter"
        raise ValueError(f"{left} (model.clip in the configuration): {error}") from error
    return model, keep, first
