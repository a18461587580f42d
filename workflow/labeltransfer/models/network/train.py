"""Training: one network per pixel, from stars with known labels and a prior from theory."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from labeltransfer.catalogs.enough import network_stars
from labeltransfer.models.base import LabelScale
from labeltransfer.models.data import check_spectra, check_training_labels, clean_pixels, run_blocks
from labeltransfer.models.network.layout import Points, differences, split
from labeltransfer.models.network.loss import Loss, Pixels, Problem
from labeltransfer.models.network.minimise import minimise
from labeltransfer.models.network.model import NOT_FINITE, TOO_FEW_STARS, TRAINED, NetworkModel
from labeltransfer.models.network.options import GradientPrior, NetworkOptions
from labeltransfer.models.network.solve import cholesky
from labeltransfer.models.scatter import fit_scatter

# |x| of a gradient's difference is rounded to sqrt(x^2 + this^2) - this: relative ones, and absolute ones in
# units of the floor.
# No star counts for more than one this many times more certain than the spread of the stars.
_MOST_CERTAIN = 1e7
_PRIOR_ROUND = 1e-2
# Spread of the hidden nodes' first arguments over stars: found by trial, for speed only.
_FIRST_WEIGHTS = 0.5
# Of the first output weights, which have a closed form.
_FIRST_RIDGE = 1e-4
_L1_ITERATIONS = 3
# The penalty that the linearised networks of left-out stars have at least.
_LEAST_METRIC = 1e-8
# Residuals of stars left out are cut at this many (robust) standard deviations.
_LEFT_OUT_CLIP = 4.0


class _Networks(NamedTuple):
    """Trained networks of some pixels: the fields of `NetworkModel` that have one row per pixel."""

    W: np.ndarray
    c: np.ndarray
    w: np.ndarray
    b: np.ndarray
    scatter: np.ndarray
    chi2: np.ndarray
    loss: np.ndarray
    n_used: np.ndarray
    status: np.ndarray


def train_network(flux, ivar, labels, label_names, *, prior=None, options=None, wavelength=None, threads=1):
    """Train one network per pixel: minimise the loss of Eq. 2 of Ting et al. 2017 and a penalty.

    Parameters
    ----------
    flux, ivar : (n, p) arrays
        Normalised flux and inverse variance of the training stars; they are not modified.  Pixels without
        ivar > 0 (or with a flux that is not finite) are ignored whatever they hold.
    labels : (n, k) array
        Training labels.
    label_names : sequence of k str
        Kept in the model, and used in messages.
    prior : GradientPrior, optional
        On these labels and pixels.
    options : NetworkOptions, optional
        Its defaults otherwise.
    wavelength : (p,) array, optional
        Kept in the model.
    threads : int
        Threads over the blocks; the result does not depend on it.

    Returns
    -------
    NetworkModel

    Raises
    ------
    ValueError
        For shapes that do not agree, labels that are not finite or do not vary, or too few stars.

    Notes
    -----
    A Gauss-Newton step solves (1 + J E J^T), of one row per star and gradient, instead of (J^T J + 1/E), of
    one per parameter: 516 against 1,801 at the size of the paper.  With S the hidden nodes and U = w S (1-S),
    J J^T = (1 + X X^T) o (U U^T) + S S^T + 1, so that J is never formed; rows of the prior are differences
    of rows at the reference point plus and minus a step.  An absolute value is replaced, at every step, by
    the parabola that touches it from above.

    The scatter is the maximum of the likelihood of the residuals that stars would have if left out of
    the training (of the networks linearised about their optimum, and cut at 4 sigma); those of a fit with
    three times more parameters than stars would be far too small.
    """
    label_names, options = tuple(label_names), options or NetworkOptions()
    check_spectra(flux, ivar)
    needed, model = network_stars(len(label_names)), f"a network of {len(label_names)} labels"
    labels = check_training_labels(labels, label_names, len(flux), needed, model)
    scale = LabelScale.of(labels)
    prior = prior or no_prior(len(label_names), flux.shape[1])
    expected = len(prior.points), len(label_names), flux.shape[1]
    if prior.gradient.shape != expected:
        raise ValueError(
            f"the prior's gradient must be {expected} for these spectra, found {prior.gradient.shape}"
        )
    problem = _problem(scale.to_scaled(labels), prior, options, scale)

    def train_block(first):
        pixels = slice(first, min(first + options.block, flux.shape[1]))
        return _train_pixels(*clean_pixels(flux, ivar, pixels), prior.at(pixels), problem, options, first)

    parts = run_blocks(train_block, range(0, flux.shape[1], options.block), threads)
    arrays = _Networks(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    return NetworkModel(
        label_names,
        scale.pivot,
        scale.scale,
        **arrays._asdict(),
        ridge=float(options.ridge),
        l1=float(options.l1),
        d_scale=float(prior.d_scale),
        floor=float(prior.floor),
        form=prior.form,
        wavelength=None if wavelength is None else np.asarray(wavelength, dtype=float),
    )


def no_prior(n_label, n_pixel):
    """A prior of no strength, without a reference point."""
    return GradientPrior(
        np.zeros((0, n_label, n_pixel)), np.ones(n_label), np.zeros((0, n_label)), d_scale=0.0
    )


def _problem(x, prior, options, scale):
    """What all pixels share, for stars at scaled labels x; a prior of no strength adds nothing."""
    k = x.shape[1]
    points = prior.points if prior.d_scale > 0 else prior.points[:0]
    plus = scale.to_scaled(points[:, None, :] + np.diag(prior.steps))
    minus = scale.to_scaled(points[:, None, :] - np.diag(prior.steps))
    return Problem(
        Points.of(x, plus.reshape(-1, k), minus.reshape(-1, k)),
        strength=prior.d_scale / max(len(points) * k, 1),
        absolute=prior.absolute,
        ridge=float(options.ridge),
        l1=0.0,
    )


class _Standard(NamedTuple):
    """Data of C pixels in their own units, and what these are."""

    pixels: Pixels
    mean: np.ndarray  # (C,) weighted mean of the flux
    unit: np.ndarray  # (C,) weighted standard deviation
    chi2: np.ndarray  # (C,) of the mean
    n_used: np.ndarray  # (C,)


def _standardise(flux, ivar, prior, n_difference):
    """Clean flux and ivar (C, n) and the prior of their pixels in units of each pixel's spread of flux."""
    n_used, total = (ivar > 0).sum(axis=1), ivar.sum(axis=1)
    safe = np.where(total > 0, total, 1.0)
    mean = np.where(total > 0, (ivar * flux).sum(axis=1) / safe, 1.0)
    y = np.where(ivar > 0, flux - mean[:, None], 0.0)
    unit = np.sqrt((ivar * y**2).sum(axis=1) / safe)
    unit = np.where(unit > 0, unit, 1.0)
    theory = prior.gradient.reshape(-1, len(flux))[:n_difference].T
    known = np.isfinite(theory)
    theory = np.where(known, theory, 0.0)
    per = 1.0 / np.maximum(np.abs(theory), prior.floor) if prior.relative else np.ones_like(theory)
    pixels = Pixels(
        y / unit[:, None],
        np.minimum(np.sqrt(ivar / np.maximum(n_used, 1)[:, None]) * unit[:, None], _MOST_CERTAIN),
        theory / unit[:, None],
        np.where(known, per, 0.0) * unit[:, None],
        np.full((len(flux), 1), _PRIOR_ROUND if prior.relative else prior.floor),
    )
    return _Standard(pixels, mean, unit, (ivar * y**2).sum(axis=1), n_used)


def _train_pixels(flux, ivar, prior, problem, options, first):
    """`_Networks` of some pixels from clean flux and ivar (C, n); the first is pixel ``first`` of them all."""
    data = _standardise(flux, ivar, prior, problem.points.n_difference)
    k, n_star = problem.points.n_label, problem.points.n_star
    enough = data.n_used >= network_stars(k)
    q = np.zeros((len(flux), (k + 2) * options.hidden + 1))
    loss, chi2, scatter = np.zeros(len(q)), data.chi2.copy(), np.zeros(len(q))
    if enough.any():
        objective = Loss(problem, data.pixels.pick(enough))
        start = _random_nodes(options, k, options.first_pixel + first + np.flatnonzero(enough))
        _solve_outputs(start, objective)
        found, cost = minimise(start, objective, options.n_iterations)
        if options.l1 > 0:
            objective = objective._replace(problem=problem._replace(ridge=0.0, l1=float(options.l1)))
            found, cost = minimise(found, objective, _L1_ITERATIONS * options.n_iterations)
        state, root, n_used = objective.evaluate(found), objective.pixels.root, data.n_used[enough]
        chi2[enough] = n_used * (state.rho[:, :n_star] ** 2).sum(axis=1)
        left_out = _left_out(state, objective) / np.where(root > 0, root, 1.0)
        scatter[enough] = data.unit[enough] * fit_scatter(left_out, n_used[:, None] * root**2)
        q[enough], loss[enough] = found, cost
    values = np.column_stack([q, loss, chi2, scatter])
    finite = np.isfinite(values).all(axis=1)
    status = np.where(enough, np.where(finite, TRAINED, NOT_FINITE), TOO_FEW_STARS)
    q[~finite], loss[~finite], chi2[~finite], scatter[~finite] = 0.0, 0.0, 0.0, 0.0
    inner, w, b = split(q, k)
    return _Networks(
        W=np.ascontiguousarray(inner[:, :k].transpose(0, 2, 1)),
        c=inner[:, k],
        w=w * data.unit[:, None],
        b=b * data.unit + data.mean,
        scatter=scatter,
        chi2=chi2,
        loss=loss,
        n_used=data.n_used,
        status=status.astype(np.int8),
    )


def _random_nodes(options, k, pixels):
    """Weights of networks with random hidden nodes, each pixel's its own, and no output."""
    hidden = options.hidden
    q = np.zeros((len(pixels), (k + 2) * hidden + 1))
    for row, pixel in zip(q, pixels, strict=True):
        random = np.random.default_rng([options.seed, pixel])
        row[: k * hidden] = _FIRST_WEIGHTS / np.sqrt(k) * random.standard_normal(k * hidden)
        row[k * hidden : (k + 1) * hidden] = _FIRST_WEIGHTS * random.standard_normal(hidden)
    return q


def _solve_outputs(q, objective):
    """Least-squares output weights w, b for the random hidden nodes of q, in place."""
    (problem, pixels), state = objective, objective.evaluate(q)
    n, hidden = problem.points.n_star, state.s.shape[2]
    design = differences(np.concatenate([state.s, np.ones((*state.s.shape[:2], 1))], axis=2), n)
    design *= state.weight[:, :, None]
    target = state.weight * np.concatenate([pixels.y, pixels.theory], axis=1)
    normal = np.matmul(design.transpose(0, 2, 1), design)
    small = 1e-10 * np.trace(normal, axis1=1, axis2=2)
    diagonal = np.arange(hidden + 1)
    normal[:, diagonal, diagonal] += small[:, None] + np.maximum(problem.ridge, _FIRST_RIDGE)
    right = np.matmul(design.transpose(0, 2, 1), target[:, :, None])
    q[:, -hidden - 1 :] = np.linalg.solve(normal, right)[:, :, 0]


def _left_out(state, objective):
    """Residuals of each star from networks trained without it, in units of its error / sqrt(N): (C, n).

    Exact for a model that is linear in its parameters, where leaving out star i divides its residual by
    1 - h_ii; here that is the model linearised about its optimum.
    """
    jacobian, n = objective.linearise(state), objective.problem.points.n_star
    metric = state.pen.copy()
    metric[:, -1] = metric[:, :-1].min(axis=1)
    metric = np.maximum(metric, _LEAST_METRIC)
    if objective.problem.l1 > 0:
        metric[objective.dead(jacobian)] = np.inf
    residual = state.rho[:, :n].copy()
    for i in range(len(residual)):
        factor = cholesky(jacobian.gram(i, metric[i]))
        if factor is not None:
            inverse = lapack.dtrtri(factor, lower=1, overwrite_c=1)[0][:, :n]  # zero above the diagonal
            # one minus the leverage is the diagonal of (1 + J metric^-1 J^T)^-1
            residual[i] /= np.einsum("ij,ij->j", inverse, inverse)
            # where a star all but determines the fit, the linearised answer can be anything
            good = objective.pixels.root[i] > 0
            limit = _LEFT_OUT_CLIP * 1.4826 * np.median(np.abs(residual[i][good]))
            np.clip(residual[i], -limit, limit, out=residual[i])
    return residual
