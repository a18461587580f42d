"""Training: coefficients and scatter of every pixel at the maximum of their likelihood."""

from typing import NamedTuple

import numpy as np

from labeltransfer.catalogs.enough import STARS_PER_TERM
from labeltransfer.models.base import LabelScale
from labeltransfer.models.cannon.kernels import factor_and_solve, solve_again
from labeltransfer.models.cannon.model import (
    DEGENERATE,
    NOT_CONVERGED,
    NOT_FINITE,
    TOO_FEW_STARS,
    TRAINED,
    CannonModel,
)
from labeltransfer.models.cannon.weighting import cleaned, weighted
from labeltransfer.models.data import (
    check_spectra,
    check_training_labels,
    native,
    run_blocks,
    weights,
)
from labeltransfer.models.polynomial import polynomial, vectorize
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
# Stars whose products of terms are made at a time, so that they stay in the cache; fewer, but not fewer than
# the second, where the products would be more numbers than the third.
_STAR_CHUNK = 1024
_LEAST_STAR_CHUNK = 32
_MOST_PRODUCTS = 2**21
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


def train(flux, ivar, labels, *, label_names, order=2, wavelength=None, threads=1, scatter="exact"):
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
    order : int
        Order of the polynomial.
    wavelength : (p,) array, optional
        Kept in the model.
    threads : int
        Threads over blocks of pixels; the result does not depend on it.
    scatter : {'exact', 'grid'}
        'exact': the maximum of the likelihood, s = 0 included.  'grid': the authors' grid in ln s with a
        parabola through its three best points, which is biased low; for comparison.

    Returns
    -------
    CannonModel

    Raises
    ------
    ValueError
        For shapes that do not agree, labels that are not finite or do not vary, or too few stars.

    Notes
    -----
    At fixed s the coefficients are a weighted least-squares solution theta(s^2), and its normal equations for
    many pixels are one product of (pixel x star) weights with (star x pairs of terms).  The derivative of
    theta by s^2 costs only one more back substitution, so that each iteration maximises the likelihood along
    the tangent theta + d(s^2) theta'; two iterations are the rule.
    """
    check_spectra(flux, ivar)
    label_names = tuple(label_names)
    terms = polynomial(len(label_names), order)
    n_term, n_pix = len(terms.parent), np.shape(flux)[1]
    model = f"a model of order {order} in {len(label_names)} labels ({n_term} coefficients per pixel)"
    labels = check_training_labels(labels, label_names, len(flux), STARS_PER_TERM * n_term, model)
    methods = {"exact": _maximise, "grid": _search_grid}
    if scatter not in methods:
        raise ValueError(f"scatter must be one of {', '.join(methods)}, not {scatter!r}")
    flux, ivar = native(flux), native(ivar)
    scale = LabelScale.of(labels)
    design = vectorize(scale.to_scaled(labels), terms)

    def train_block(first):
        pixels = slice(first, min(first + PIXEL_BLOCK, n_pix))
        return _train_pixels(*cleaned(flux, ivar, pixels), design, methods[scatter])

    parts = run_blocks(train_block, range(0, n_pix, PIXEL_BLOCK), threads)
    arrays = _Pixels(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    if wavelength is not None:
        wavelength = np.asarray(wavelength, dtype=float)
    return CannonModel(label_names, order, *scale, **arrays._asdict(), wavelength=wavelength)


def _train_pixels(flux, ivar, design, maximum_of):
    """`_Pixels` of clean flux and ivar (P, n) and the terms of the stars (n, T)."""
    n_used, n_term = (ivar > 0).sum(axis=1), design.shape[1]
    theta, s2, chi2 = np.zeros((len(flux), n_term)), np.zeros(len(flux)), np.zeros(len(flux))
    status = np.full(len(flux), TOO_FEW_STARS, dtype=np.int8)
    enough = n_used >= STARS_PER_TERM * n_term
    if enough.any():
        if not enough.all():
            flux, ivar = flux[enough], ivar[enough]
        theta[enough], s2[enough], chi2[enough], status[enough] = maximum_of(flux, ivar, design)
    finite = np.isfinite(theta).all(axis=1) & np.isfinite(s2) & np.isfinite(chi2)
    status[~finite & (status != DEGENERATE)] = NOT_FINITE
    untrained = (status != TRAINED) & (status != NOT_CONVERGED)
    theta[untrained], s2[untrained], chi2[untrained] = 0.0, 0.0, 0.0
    return _Pixels(theta, np.sqrt(s2), chi2, n_used, status)


def _maximise(flux, ivar, design):
    """`_Maximum` of the likelihood over theta and s^2."""
    n_pix, n_term = len(flux), design.shape[1]
    found = _Maximum(
        np.zeros((n_pix, n_term)), np.zeros(n_pix), np.zeros(n_pix), np.full(n_pix, NOT_CONVERGED, np.int8)
    )
    active, s2, noise = np.arange(n_pix), _starting_scatter(flux, ivar, design), _mean_variance(ivar)
    for _ in range(_MAX_ITERATIONS):
        fit = _least_squares(flux, ivar, s2, design)
        residual = flux - fit.theta @ design.T
        response = _response(fit, residual, ivar, s2, design)
        new, chi2 = newton_scatter(ivar, residual, response @ design.T, s2, _SCATTER_TOLERANCE)
        step = new - s2
        found.theta[active] = fit.theta + step[:, None] * response
        found.s2[active], found.chi2[active] = new, chi2
        done = np.abs(step) <= _STEP_TOLERANCE * (new + noise)
        found.status[active[done]] = TRAINED
        found.status[active[~fit.solved]] = DEGENERATE
        left = fit.solved & ~done
        if not left.any():
            break
        if not left.all():
            flux, ivar = flux[left], ivar[left]
        active, s2, noise = active[left], new[left], noise[left]
    return found


def _search_grid(flux, ivar, design):
    """`_Maximum` with the authors' scatter: a parabola through the best three of 19 points in ln s."""
    cost = np.empty((len(_AUTHORS_GRID), len(flux)))
    for trial, ln_scatter in enumerate(_AUTHORS_GRID):
        s2 = np.full(len(flux), np.exp(2 * ln_scatter))
        theta = _least_squares(flux, ivar, s2, design).theta
        cost[trial] = minus_two_log_likelihood(ivar, flux - theta @ design.T, s2)
    lowest = np.argmin(cost, axis=0)
    inner = np.clip(lowest, 1, len(cost) - 2)
    left, middle, right = (cost[inner + shift, np.arange(len(flux))] for shift in (-1, 0, 1))
    bend = left - 2 * middle + right
    offset = np.where(bend > 0, 0.5 * (left - right) / np.where(bend > 0, bend, 1.0), 0.0)
    offset = np.where(lowest == inner, offset, lowest - inner)
    s2 = np.exp(2 * (_AUTHORS_GRID[inner] + (_AUTHORS_GRID[1] - _AUTHORS_GRID[0]) * offset))
    fit = _least_squares(flux, ivar, s2, design)
    chi2 = (weights(ivar, s2[:, None]) * (flux - fit.theta @ design.T) ** 2).sum(axis=1)
    return _Maximum(fit.theta, s2, chi2, np.where(fit.solved, TRAINED, DEGENERATE).astype(np.int8))


def _starting_scatter(flux, ivar, design):
    """A first s^2, the best of a coarse grid on every few stars: Newton then starts in the right valley."""
    n_pilot = max(_PILOT_STARS, _PILOT_STARS_PER_TERM * design.shape[1])
    stars = slice(None, None, max(1, len(design) // n_pilot))
    flux, ivar, design = (np.ascontiguousarray(a) for a in (flux[:, stars], ivar[:, stars], design[stars]))
    residual = flux - _least_squares(flux, ivar, _mean_variance(ivar), design).theta @ design.T
    residual[ivar == 0] = 0.0
    trial = best_trial(ivar, residual, _PILOT_TRIALS)
    return newton_scatter(ivar, residual, np.zeros_like(residual), trial, _SCATTER_TOLERANCE)[0]


def _mean_variance(ivar):
    """Harmonic mean of the noise variance of each row over its good stars."""
    return (ivar > 0).sum(axis=1) / np.maximum(ivar.sum(axis=1), np.finfo(float).tiny)


def _least_squares(flux, ivar, s2, design):
    """`_LeastSquares` of every pixel (rows of flux and ivar) at given s^2."""
    n_star, n_term = design.shape
    first, second = np.triu_indices(n_term)
    normal, theta = np.zeros((len(flux), len(first))), np.zeros((len(flux), n_term))
    by_term = np.ascontiguousarray(design.T)
    chunk = min(_STAR_CHUNK, max(_LEAST_STAR_CHUNK, _MOST_PRODUCTS // len(first)))
    for start in range(0, n_star, chunk):
        stars = slice(start, min(start + chunk, n_star))
        weight, weighted_flux = weighted(flux, ivar, s2, stars.start, stars.stop)
        pairs = by_term[first, stars]
        pairs *= by_term[second, stars]
        normal += weight @ pairs.T
        theta += weighted_flux @ design[stars]
    solved = np.zeros(len(flux), dtype=bool)
    factor_and_solve(normal, theta, solved)
    return _LeastSquares(theta, normal, solved)


def _response(fit, residual, ivar, s2, design):
    """Derivative (P, T) of the least-squares coefficients by s^2."""
    response = np.zeros_like(fit.theta)
    for start in range(0, len(design), _STAR_CHUNK):
        stars = slice(start, min(start + _STAR_CHUNK, len(design)))
        weight, weighted_residual = weighted(residual, ivar, s2, stars.start, stars.stop)
        weight *= weighted_residual
        response -= weight @ design[stars]
    solve_again(fit.factor, response, fit.solved)
    return response
