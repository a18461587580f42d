"""Training: coefficients and scatter of every pixel at the maximum of their likelihood."""

from functools import partial
from typing import NamedTuple

import numpy as np

from labeltransfer.catalogs.enough import STARS_PER_TERM, n_coefficients
from labeltransfer.models.base import LabelScale, check_forms
from labeltransfer.models.cannon.kernels import factor_and_solve, solve_again
from labeltransfer.models.cannon.model import (
    DEGENERATE,
    NOT_CONVERGED,
    NOT_FINITE,
    TOO_FEW_STARS,
    TRAINED,
    CannonModel,
)
from labeltransfer.models.cannon.stars import STAR_CHUNK, known_errors, label_noise, stars_of
from labeltransfer.models.cannon.weighting import cleaned, weighted
from labeltransfer.models.data import (
    check_spectra,
    check_training_labels,
    native,
    run_blocks,
    weights,
)
from labeltransfer.models.polynomial import Expansion, chosen_terms
from labeltransfer.models.scatter import best_trial, minus_two_log_likelihood, newton_scatter

#: Pixels per unit of work.
PIXEL_BLOCK = 192

# The scatter starts from a fit to at most about this many stars, or this many per coefficient,
_PILOT_STARS = 256
_PILOT_STARS_PER_TERM = 8
# and from the best of these parts of the mean square residual.
_PILOT_TRIALS = np.append(9.0 ** -np.arange(6), 0.0)
# A Newton step in s^2 below this fraction of the pixel's variance ends the training of a pixel: as the step
# is exact to second order, what is left is of the order of its square.
_STEP_TOLERANCE = 1e-3
# The step itself is found this well, in units of a star's variance.
_SCATTER_TOLERANCE = 0.1 * _STEP_TOLERANCE
_MAX_ITERATIONS = 20
# How ln det(X^T W X) grows with ln(sum of w) is told from two steps that differ by more than this.
_LEAST_GROWTH = 1e-6
# The authors' grid of ln(scatter).
_AUTHORS_GRID = np.arange(np.log(1e-4), 0.0, 0.5)


class _Pixels(NamedTuple):
    """Trained models of some pixels: the fields of `CannonModel` that have one row per pixel."""

    theta: np.ndarray
    scatter: np.ndarray
    chi2: np.ndarray
    n_used: np.ndarray
    status: np.ndarray


class _Maximum(NamedTuple):
    """Where the likelihood of each of P pixels is highest."""

    theta: np.ndarray  # (P, T)
    s2: np.ndarray  # (P,) s^2
    chi2: np.ndarray  # (P,)
    status: np.ndarray  # (P,)


class _LeastSquares(NamedTuple):
    """Weighted least squares of P pixels."""

    theta: np.ndarray  # (P, T)
    factor: np.ndarray  # (P, T (T + 1) / 2) packed Cholesky factors of the normal matrices
    solved: np.ndarray  # (P,) False where these are singular


def train(flux, ivar, labels, *, label_names, order=2, threads=1, scatter="exact", label_errors=None):
    """Train on reference stars: maximise Eq. 5 of Ho et al. 2017 over theta and s, pixel by pixel.

    Parameters
    ----------
    flux, ivar : (n, p) arrays
        Normalised flux and inverse variance, float32 or float64; they are not modified.  Pixels without
        ivar > 0 (or with a flux that is not finite) are ignored whatever they hold.
    labels : (n, k) array
        Labels of the reference stars.
    label_names : sequence of k str
        Kept in the model, and used in messages.
    order : int or labeltransfer.models.polynomial.Expansion
        Order of the polynomial; or which of its terms there are, and functions of labels that they are made of.
    threads : int
        Threads over blocks of pixels; the result does not depend on it.
    scatter : {'exact', 'reml', 'grid'}
        'exact': the maximum of the likelihood, s = 0 included.  'reml': that of the restricted likelihood, which
        knows that the coefficients were fitted to the same stars and is not biased low for it (Patterson &
        Thompson 1971, Biometrika 58, 545).  'grid': the authors' grid in ln s with a parabola through its three
        best points, which is biased low; for comparison.
    label_errors : (n, k) array, optional
        Standard errors of the labels, taken to be independent; NaN counts as none, and what exceeds the spread of a
        label as that spread.  Products of labels are corrected for them, as far as `error_share` allows, and what they
        add to the residuals is taken off s^2: neither coefficients nor scatter take them for properties of spectra.

    Returns
    -------
    CannonModel

    Raises
    ------
    ValueError
        For shapes that do not agree, labels that are not finite or do not vary, too few stars, negative errors,
        or errors of labels with the scatter 'grid', which is the authors' and knows none.

    Notes
    -----
    At fixed s the coefficients are a weighted least-squares solution theta(s^2), and its normal equations for many
    pixels are one product of (pixel x star) weights with (star x products of terms).  The derivative of theta by
    s^2 costs only one more back substitution, so that each iteration maximises the likelihood along the tangent
    theta + d(s^2) theta'; two iterations are the rule.
    """
    check_spectra(flux, ivar)
    label_names = tuple(label_names)
    order, terms, forms = order if isinstance(order, Expansion) else Expansion(order)
    chosen = chosen_terms(terms, label_names, order)
    n_term, n_pix = len(chosen), np.shape(flux)[1]
    model = f"a model of order {order} in {len(label_names)} labels ({n_term} coefficients per pixel)"
    labels = check_training_labels(labels, label_names, len(flux), STARS_PER_TERM * n_term, model)
    methods = {"exact": _maximise, "reml": partial(_maximise, restricted=True), "grid": _search_grid}
    if scatter not in methods:
        raise ValueError(f"scatter must be one of {', '.join(methods)}, not {scatter!r}")
    error = known_errors(label_errors, labels)
    if error is not None and scatter == "grid":
        raise ValueError("the scatter 'grid' knows no errors of labels: choose another, or give none")
    flux, ivar = native(flux), native(ivar)
    scale = LabelScale.of(labels, check_forms(forms, label_names, labels))
    every = max(1, len(labels) // max(_PILOT_STARS, _PILOT_STARS_PER_TERM * n_term))
    plain = partial(stars_of, scale=scale, order=order, chosen=chosen)
    stars, pilot = plain(labels, error=error), (plain(labels[::every]), every)

    def train_block(first):
        pixels = slice(first, min(first + PIXEL_BLOCK, n_pix))
        clean = cleaned(flux, ivar, pixels)
        found = _train_pixels(*clean, (stars, *pilot), methods[scatter])
        bad = np.flatnonzero(found.status == DEGENERATE)
        if error is not None and len(bad):
            # Few stars count here, and their corrected products have no inverse: as labels are, they may.
            again = _train_pixels(*clean[:, bad], (plain(labels), *pilot), methods[scatter])
            for field, value in zip(found, again, strict=True):
                field[bad] = value
        return found

    parts = run_blocks(train_block, range(0, n_pix, PIXEL_BLOCK), threads)
    arrays = _Pixels(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    theta = np.zeros((n_pix, n_coefficients(len(label_names), order)))
    theta[:, chosen] = arrays.theta
    arrays = arrays._replace(theta=theta)
    return CannonModel(label_names, order, *scale[:2], *arrays, forms=scale.forms)


def trainer(flux, ivar, labels, label_errors, **options):
    """`train` on some of the stars, for whoever trains again and again.

    Parameters
    ----------
    flux, ivar, labels, label_errors
        As for `train`, of all stars.
    **options
        Its other arguments.

    Returns
    -------
    callable
        Rows of stars, or (n,) bool -> `CannonModel` trained on them.
    """

    def train_on(rows):
        return train(flux[rows], ivar[rows], labels[rows], label_errors=label_errors[rows], **options)

    return train_on


def options_of(model, label_names):
    """Arguments of `train` by a study's settings of its model."""
    expansion = Expansion(*(model.get(key) for key in Expansion._fields))
    return {"label_names": tuple(label_names), "order": expansion, "scatter": model["scatter"]}


def _train_pixels(flux, ivar, stars, maximum_of):
    """`_Pixels` of clean flux and ivar (P, n), of all `Stars`, and of those that pilot, every so many."""
    n_used, n_term = (ivar > 0).sum(axis=1), stars[0].design.shape[1]
    theta, s2, chi2 = np.zeros((len(flux), n_term)), np.zeros(len(flux)), np.zeros(len(flux))
    status = np.full(len(flux), TOO_FEW_STARS, dtype=np.int8)
    enough = n_used >= STARS_PER_TERM * n_term
    if enough.any():
        if not enough.all():
            flux, ivar = flux[enough], ivar[enough]
        theta[enough], s2[enough], chi2[enough], status[enough] = maximum_of(flux, ivar, *stars)
    finite = np.isfinite(theta).all(axis=1) & np.isfinite(s2) & np.isfinite(chi2)
    status[~finite & (status != DEGENERATE)] = NOT_FINITE
    untrained = (status != TRAINED) & (status != NOT_CONVERGED)
    theta[untrained], s2[untrained], chi2[untrained] = 0.0, 0.0, 0.0
    return _Pixels(theta, np.sqrt(s2), chi2, n_used, status)


def _maximise(flux, ivar, stars, pilot, every, restricted=False):
    """`_Maximum` of the likelihood, or of the restricted likelihood, over theta and s^2."""
    n_pix, n_term = len(flux), stars.design.shape[1]
    found = _Maximum(
        np.zeros((n_pix, n_term)), np.zeros(n_pix), np.zeros(n_pix), np.full(n_pix, NOT_CONVERGED, np.int8)
    )
    active, all_ivar, path = np.arange(n_pix), ivar, np.full((2, n_pix), np.nan)
    n_coef, grown = np.full(n_pix, float(n_term if restricted else 0)), np.full((2, n_pix), np.nan)
    s2 = _starting_scatter(flux[:, ::every], ivar[:, ::every], pilot)
    for _ in range(_MAX_ITERATIONS):
        fit = _least_squares(flux, ivar, s2, stars)
        counted = not restricted or np.isfinite(grown[0])
        if restricted:
            n_coef, grown = _counted(n_coef, grown, fit, weights(ivar, s2[:, None]))
        residual = flux - fit.theta @ stars.design.T
        if stars.error is None:
            response = _response(fit, residual, ivar, s2, stars.design)
            change = response @ stars.design.T
        else:
            # The residuals of corrected equations follow the terms, as labels have errors: theta is no maximum to
            # follow with s^2, and is held instead.
            response, change = np.zeros_like(fit.theta), np.zeros_like(residual)
        new, chi2 = newton_scatter(ivar, residual, change, s2, _SCATTER_TOLERANCE, n_coef)
        step = new - s2
        found.theta[active] = fit.theta + step[:, None] * response
        found.s2[active], found.chi2[active] = new, chi2
        done = counted & (np.abs(step) <= _STEP_TOLERANCE * (new + _mean_variance(ivar)))
        found.status[active[done]] = TRAINED
        found.status[active[~fit.solved]] = DEGENERATE
        left = fit.solved & ~done
        if not left.any():
            break
        if not left.all():
            flux, ivar = flux[left], ivar[left]
        if stars.error is not None:
            new, path = _secant(s2, step, path)
            path = path[:, left]
        active, s2, n_coef, grown = active[left], new[left], n_coef[left], grown[:, left]
    if stars.error is not None:
        noise = label_noise(found.theta, all_ivar, found.s2, stars)
        found = found._replace(s2=np.maximum(found.s2 - noise, 0.0))
    return found


def _counted(n_coef, before, fit, weight):
    """By how many coefficients ln det(X^T W X) grows with ln(sum of w), and both (2, P) for the next step to tell.

    Until they have changed the number stands: that of the model, which is right for equal weights.
    """
    n_term = fit.theta.shape[1]
    diagonal = np.cumsum(np.append(0, np.arange(n_term, 1, -1)))
    with np.errstate(invalid="ignore", divide="ignore"):
        now = np.array([2 * np.log(fit.factor[:, diagonal]).sum(axis=1), np.log(weight.sum(axis=1))])
        change = now - before
        known = fit.solved & (np.abs(change[1]) > _LEAST_GROWTH) & np.isfinite(change[0])
    ratio = np.divide(change[0], change[1], out=n_coef.copy(), where=known)
    return np.clip(ratio, 0.0, 2.0 * n_term), now


def _secant(s2, step, before):
    """The next s^2 (P,), where the step that the last two (2, P) tell of is zero, and those of the next."""
    with np.errstate(invalid="ignore", divide="ignore"):
        growth = (step - before[1]) / (s2 - before[0])
        known = np.isfinite(growth) & (growth < 0)
        new = np.where(known, s2 - step / growth, s2 + step)
    return np.maximum(new, 0.0), np.array([s2, step])


def _search_grid(flux, ivar, stars, *_):
    """`_Maximum` with the authors' scatter: a parabola through the best three of 19 points in ln s."""
    cost = np.empty((len(_AUTHORS_GRID), len(flux)))
    for trial, ln_scatter in enumerate(_AUTHORS_GRID):
        s2 = np.full(len(flux), np.exp(2 * ln_scatter))
        theta = _least_squares(flux, ivar, s2, stars).theta
        cost[trial] = minus_two_log_likelihood(ivar, flux - theta @ stars.design.T, s2)
    lowest = np.argmin(cost, axis=0)
    inner = np.clip(lowest, 1, len(cost) - 2)
    left, middle, right = (cost[inner + shift, np.arange(len(flux))] for shift in (-1, 0, 1))
    bend = left - 2 * middle + right
    offset = np.where(bend > 0, 0.5 * (left - right) / np.where(bend > 0, bend, 1.0), 0.0)
    offset = np.where(lowest == inner, offset, lowest - inner)
    s2 = np.exp(2 * (_AUTHORS_GRID[inner] + (_AUTHORS_GRID[1] - _AUTHORS_GRID[0]) * offset))
    fit = _least_squares(flux, ivar, s2, stars)
    chi2 = (weights(ivar, s2[:, None]) * (flux - fit.theta @ stars.design.T) ** 2).sum(axis=1)
    return _Maximum(fit.theta, s2, chi2, np.where(fit.solved, TRAINED, DEGENERATE).astype(np.int8))


def _starting_scatter(flux, ivar, pilot):
    """A first s^2, the best of a coarse grid on every few stars: Newton then starts in the right valley."""
    flux, ivar = np.ascontiguousarray(flux), np.ascontiguousarray(ivar)
    residual = flux - _least_squares(flux, ivar, _mean_variance(ivar), pilot).theta @ pilot.design.T
    residual[ivar == 0] = 0.0
    trial = best_trial(ivar, residual, _PILOT_TRIALS)
    # The likelihood itself would be lower for the few stars than for all of them.
    n_coef = np.full(len(flux), float(pilot.design.shape[1]))
    return newton_scatter(ivar, residual, np.zeros_like(residual), trial, _SCATTER_TOLERANCE, n_coef)[0]


def _mean_variance(ivar):
    """Harmonic mean of the noise variance of each row over its good stars."""
    return (ivar > 0).sum(axis=1) / np.maximum(ivar.sum(axis=1), np.finfo(float).tiny)


def _least_squares(flux, ivar, s2, stars):
    """`_LeastSquares` of every pixel (rows of flux and ivar) at given s^2."""
    n_star, n_term = stars.design.shape
    sums, theta = np.zeros((len(flux), stars.products.shape[1])), np.zeros((len(flux), n_term))
    for start in range(0, n_star, STAR_CHUNK):
        chunk = slice(start, min(start + STAR_CHUNK, n_star))
        weight, weighted_flux = weighted(flux, ivar, s2, chunk.start, chunk.stop)
        sums += weight @ stars.products[chunk]
        theta += weighted_flux @ stars.design[chunk]
    normal, solved = sums[:, stars.index], np.zeros(len(flux), dtype=bool)
    factor_and_solve(normal, theta, solved)
    return _LeastSquares(theta, normal, solved)


def _response(fit, residual, ivar, s2, design):
    """Derivative (P, T) of the least-squares coefficients by s^2."""
    response = np.zeros_like(fit.theta)
    for start in range(0, len(design), STAR_CHUNK):
        stars = slice(start, min(start + STAR_CHUNK, len(design)))
        weight, weighted_residual = weighted(residual, ivar, s2, stars.start, stars.stop)
        weight *= weighted_residual
        response -= weight @ design[stars]
    solve_again(fit.factor, response, fit.solved)
    return response
