"""The ridge of networks by cross-validation."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from labeltransfer.models.data import clean_pixels
from labeltransfer.models.network.model import predict_network
from labeltransfer.models.network.options import NetworkOptions
from labeltransfer.models.network.train import train_network


class RidgeTrial(NamedTuple):
    """What is tried, and on what.

    Attributes
    ----------
    ridges : sequence of m float
        What to choose from.
    folds : int
        Each of so many parts of the stars is predicted by networks trained on the others.
    n_pixel : int
        Pixels to try it on, drawn among those where most stars are good.
    """

    ridges: tuple = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    folds: int = 5
    n_pixel: int = 64


class RidgeChoice(NamedTuple):
    """Ridges, how well networks trained with them predict other stars, and the best of them.

    Attributes
    ----------
    best : float
    ridges : (m,) array
    held_out : (m,) array
        Mean over pixels and held-out stars of ``ivar residual^2``.
    """

    best: float
    ridges: np.ndarray
    held_out: np.ndarray


def choose_ridge(flux, ivar, labels, label_names, *, trial=None, prior=None, options=None, threads=1):
    """The ridge whose networks predict stars best that they were not trained on, on some of the pixels.

    Parameters
    ----------
    flux, ivar, labels, label_names, prior, threads
        As for `train_network`.
    trial : RidgeTrial, optional
        What to choose from, and how.
    options : NetworkOptions, optional
        As for `train_network`; its ridge is not used, and its seed is also that of folds and pixels.

    Returns
    -------
    RidgeChoice

    Raises
    ------
    ValueError
        As `train_network`, and if there are fewer than two folds or no pixel is good for most stars.
    """
    trial, options = trial or RidgeTrial(), options or NetworkOptions()
    if trial.folds < 2:
        raise ValueError(f"cross-validation needs at least 2 folds, not {trial.folds}")
    flux, ivar, labels = np.asarray(flux), np.asarray(ivar), np.asarray(labels, dtype=float)
    random = np.random.default_rng(options.seed)
    good = np.flatnonzero(np.mean(np.isfinite(flux) & (ivar > 0), axis=0) > 0.5)
    if not len(good):
        raise ValueError("no pixel has ivar > 0 for most of the training stars; check the masks")
    pixels = np.sort(random.choice(good, min(trial.n_pixel, len(good)), replace=False))
    fold = random.permutation(len(flux)) % trial.folds
    prior = prior and prior.at(pixels)

    def held_out(ridge):
        total = count = 0.0
        for this in range(trial.folds):
            train, test = fold != this, fold == this
            model = train_network(
                flux[np.ix_(train, pixels)],
                ivar[np.ix_(train, pixels)],
                labels[train],
                label_names,
                prior=prior,
                options=replace(options, ridge=ridge),
                threads=threads,
            )
            f, iv = clean_pixels(flux[test], ivar[test], pixels[model.usable])
            residual = f - predict_network(model, labels[test]).T[model.usable]
            total += (iv * residual**2).sum()
            count += np.count_nonzero(iv)
        return total / count

    ridges = np.asarray(trial.ridges, dtype=float)
    found = np.array([held_out(ridge) for ridge in ridges])
    return RidgeChoice(float(ridges[np.argmin(found)]), ridges, found)
