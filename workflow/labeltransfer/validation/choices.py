"""What each choice of preparation and training costs: the same stars labelled by all of them."""

import time
from typing import NamedTuple

import numpy as np
import pandas as pd

from labeltransfer.models import cannon
from labeltransfer.spectra.normalise import normalise
from labeltransfer.validation.held_out import held_out_labels
from labeltransfer.validation.statistics import clip, robust_scatter, slope, z_width

#: What the papers do, and what this software does by default; see docs/methods.md.
PAPER = {
    "interpolation": "linear",
    "resolution": None,
    "errors": "star",
    "fit": "average",
    "scatter": "exact",
    "errors_in_labels": "none",
}
BEST = {"interpolation": "equal", "errors": "none", "scatter": "reml", "errors_in_labels": "stated"}
FAINT, BRIGHT = 50.0, 100.0  # S/N below and above, of the bias between faint and bright stars
_N_BOOTSTRAP = 200
_MEDIAN_ERROR = np.sqrt(np.pi / 2)  # standard error of the median of a Gaussian, over that of the mean
_LEAST_STARS = 10
_LIGHT = 299792.458  # km/s
_OTHERS = (("errors", "typical"), ("fit", "line"))  # tried alone
_WRITTEN = {"errors": "normalisation.errors", "fit": "normalisation.fit"}  # what the configuration calls them
_SHARE = {"none": 0.0, "half": 0.5, "stated": 1.0}  # of the stated errors of labels


class Sample(NamedTuple):
    """Reference stars that are labelled by every choice.

    Attributes
    ----------
    names : tuple of k str
    labels, errors : (n, k) float64
        With zero where no error is stated.
    trained : (n,) bool
        Stars that models may be trained on.
    fold : (n,) int
        The fold in which a star is held out.
    starts : (m, k) float64
        Starting points of the fits.
    snr : (n,) float64
    """

    names: tuple
    labels: np.ndarray
    errors: np.ndarray
    trained: np.ndarray
    fold: np.ndarray
    starts: np.ndarray
    snr: np.ndarray


class Found(NamedTuple):
    """Labels of n stars by one choice.

    Attributes
    ----------
    labels, errors : (n, k) float64
        Held-out labels, and their formal errors; NaN where there are none.
    swapped : (m, k) float64
        By how much the labels of bright stars move when they are given the noise of faint ones (`swap_noise`).
    milliseconds : float
        CPU time of Eq. 1, training in all folds and labelling, per star.
    """

    labels: np.ndarray
    errors: np.ndarray
    swapped: np.ndarray
    milliseconds: float


def all_choices(has_errors, resolution=None, published=False):
    """Name of each choice -> its settings: the papers', each of the best and of some others alone, and all of the best.

    Parameters
    ----------
    has_errors : bool
        Whether reference labels have stated errors: without them there is no choice. With them, half of what is
        stated is tried as well.
    resolution : dict, optional
        As the configuration has it, where spectra can be brought to one line width.
    published : bool
        Whether spectra are used as the survey has normalised them: then Eq. 1 is a choice, and its weights are none.
    """
    paper = PAPER | ({"fit": "published"} if published else {})
    best = paper | BEST | {"resolution": resolution}
    left_out = {*(["errors"] if published else []), *([] if has_errors else ["errors_in_labels"])}
    singles = [*BEST.items(), *((("fit", "average"), ("fit", "line")) if published else _OTHERS)]
    choices = {"paper": paper}
    if resolution:
        choices[f"resolution: {resolution['common']:g}"] = {**paper, "resolution": resolution}
    for key, value in singles:
        if key not in left_out:
            choices[f"{_WRITTEN.get(key, key)}: {value}"] = {**paper, key: value}
    if has_errors:
        choices["errors_in_labels: half"] = {**paper, "errors_in_labels": "half"}
    return {**choices, "all": best}


def label_by_choice(raw, kernel, choice, sample, options=None, seed=0, threads=1):
    """Labels of reference stars from models that had not seen them, by one choice of preparation and training.

    Parameters
    ----------
    raw : labeltransfer.spectra.prepare.Gridded
        Their spectra, by the interpolation of the choice.
    kernel : labeltransfer.spectra.normalise.Kernel
        With the errors of the choice.
    choice : dict
        From `all_choices`.
    sample : Sample
        Of as many stars as there are files.
    options : dict, optional
        Of the model, from `labeltransfer.models.cannon.options_of`; a quadratic one by default.
    seed : int
        Of the swap of noise.
    threads : int

    Returns
    -------
    Found
    """
    began, n, rows = time.process_time(), len(sample.labels), raw.kept
    flux, ivar = _normalised(raw.flux, raw.ivar, kernel)
    labels, trained = sample.labels[rows], sample.trained[rows]
    errors = _SHARE[choice["errors_in_labels"]] * sample.errors[rows]
    options = (options or {"label_names": sample.names}) | {"scatter": choice["scatter"], "threads": threads}
    train = cannon.trainer(flux, ivar, labels, errors, **options)
    fold = sample.fold[rows]
    tests = [fold == number for number in np.unique(fold)]
    held_out = held_out_labels(
        flux, ivar, labels, tests, train, trainable=trained, starts=sample.starts, threads=threads
    )
    spent = time.process_time() - began
    found = np.full((2, n, len(sample.names)), np.nan)
    found[0, rows], found[1, rows] = held_out.labels, held_out.errors
    found[:, rows[~held_out.converged]] = np.nan

    bright, *noises = swap_noise(raw.ivar, sample.snr[rows], seed)
    model = train(trained)
    own, other = (
        model.label(*_normalised(raw.flux[bright], noise, kernel), starts=sample.starts, threads=threads)
        for noise in noises
    )
    both = (own.converged & other.converged)[:, None]
    return Found(*found, np.where(both, other.labels - own.labels, np.nan), 1e3 * spent / max(len(rows), 1))


def _normalised(flux, ivar, kernel):
    """Spectra as stores hold them."""
    return tuple(part.astype(np.float32) for part in normalise(flux, ivar, kernel)[:2])


def swap_noise(ivar, snr, seed):
    """Inverse variances of bright stars in the shape that they have in faint ones.

    Flux stays, and so must labels: what moves them is that the pseudo-continuum follows the shape of the noise.

    Parameters
    ----------
    ivar : (n, p) array
        Of spectra on the common grid that are not yet normalised.
    snr : (n,) array
        Those of the upper third are bright, those of the lower third faint.
    seed : int
        Of the draw of a faint star for each bright one.

    Returns
    -------
    bright : (m,) int array
        Rows.
    own, swapped : (m, p) arrays
        Their inverse variance and that of faint stars of the same median, both zero where either is.
    """
    order = np.argsort(snr, kind="stable")
    third = len(order) // 3
    faint, bright = order[:third], order[len(order) - third :]
    given = np.random.default_rng(seed).permutation(faint)
    both = (ivar[bright] > 0) & (ivar[given] > 0)
    own, other = np.where(both, ivar[bright], 0.0), np.where(both, ivar[given], 0.0)
    level = [np.ma.median(np.ma.masked_equal(one, 0.0), axis=1).filled(1.0) for one in (own, other)]
    return bright, own, other * (level[0] / level[1])[:, None]


def choices_table(found, names, reference, reference_errors, stars):
    """Bias, scatter and what they depend on, for every choice and label, on stars that all choices label.

    Parameters
    ----------
    found : mapping of str to Found
        By choice; the first is the one that others are compared with.
    names : sequence of k str
    reference, reference_errors : (n, k) arrays
        What the labels should be, and the errors of that.
    stars : Table
        `snr`, `redshift`, `phase` of the velocity (`labeltransfer.spectra.frame.pixel_phase`), and whether a star was
        `trained` on.

    Returns
    -------
    DataFrame
        `bias` and `scatter` are robust, of all stars, `scatter_trained` is the standard deviation of those that the
        clip left; `scatter_ratio` is over that of the first choice, with an error from samples of the stars.
        `phase_slope` is how much labels change from velocities on a pixel to those half way between two,
        `velocity_slope` by 100 km/s, `snr_bias` the mean of faint stars minus that of bright ones, `snr_slope` the
        change by 1 / S/N, `response` the change of labels with what they should be; each after a clip at 4 sigma.
        `phase_slope_first` and `velocity_slope_first` are those of the difference from the first choice, which needs no
        reference, nor does `swap`, the median shift by the swap of noise.
        `z_width` is the robust width over formal and reference errors.
    """
    snr, u = (
        np.asarray(stars["snr"], dtype=float),
        4 * np.asarray(stars["phase"]) * (1 - np.asarray(stars["phase"])),
    )
    velocity = np.asarray(stars["redshift"], dtype=float) * _LIGHT / 100
    trained, first = np.asarray(stars["trained"], dtype=bool), next(iter(found))
    rows = []
    for name, choice in found.items():
        for j, label in enumerate(names):
            known = np.all([np.isfinite(one.labels[:, j]) for one in found.values()], axis=0)
            known &= np.isfinite(reference[:, j]) & np.isfinite(u) & (snr > 0)
            residual = (choice.labels[:, j] - reference[:, j])[known]
            plain = (found[first].labels[:, j] - reference[:, j])[known]
            keep = known.copy()
            keep[known] = clip(residual)
            error = np.hypot(choice.errors[:, j], reference_errors[:, j])
            about = {
                "choice": name,
                "label": label,
                "n": np.count_nonzero(known),
                "bias": np.median(residual) if len(residual) else np.nan,
                "scatter": robust_scatter(residual),
                "scatter_trained": residual[trained[known]].std() if trained[known].any() else np.nan,
                **dict(zip(("scatter_ratio", "scatter_ratio_err"), _ratio(residual, plain), strict=True)),
            }
            offset = choice.labels[:, j] - reference[:, j]
            against = {
                "phase_slope": (u, offset),
                "velocity_slope": (velocity, offset),
                "snr_slope": (1 / snr, offset),
                "response": (reference[:, j], choice.labels[:, j]),
                "phase_slope_first": (u, choice.labels[:, j] - found[first].labels[:, j]),
                "velocity_slope_first": (velocity, choice.labels[:, j] - found[first].labels[:, j]),
            }
            for key, (x, y) in against.items():
                about[key], about[f"{key}_err"] = slope(x[keep], y[keep])
            about["snr_bias"], about["snr_bias_err"] = _difference(offset[keep], snr[keep])
            moved = choice.swapped[np.isfinite(choice.swapped[:, j]), j]
            about["swap"] = np.median(moved) if len(moved) else np.nan
            about["swap_err"] = _MEDIAN_ERROR * robust_scatter(moved) / np.sqrt(max(len(moved), 1))
            about["z_width"] = z_width(offset[keep], error[keep])
            rows.append(about)
    return pd.DataFrame(rows)


def _difference(residual, snr):
    """Mean of faint stars minus that of bright ones, and its error; NaN for fewer than 10 of either."""
    sides = [residual[snr < FAINT], residual[snr > BRIGHT]]
    if min(len(side) for side in sides) < _LEAST_STARS:
        return np.nan, np.nan
    error = np.sqrt(sum(side.var(ddof=1) / len(side) for side in sides))
    return sides[0].mean() - sides[1].mean(), error


def _ratio(residual, plain):
    """Robust scatter over that of another choice on the same stars, and its error from samples of them."""
    if len(residual) < _LEAST_STARS or not robust_scatter(plain) > 0:
        return np.nan, np.nan
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(residual), (_N_BOOTSTRAP, len(residual)))
    ratios = [robust_scatter(residual[rows]) / robust_scatter(plain[rows]) for rows in draws]
    return robust_scatter(residual) / robust_scatter(plain), np.std(ratios)
