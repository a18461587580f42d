"""One small neural network per pixel, with a prior from ab initio gradient spectra (Ting et al. 2017).

The flux of a pixel is f(l) = sum_i w_i g(sum_k W_ik l_k + c_i) + b, with g(x) = 1 / (1 + exp(-x)) and labels
l centred and scaled (Eq. 1).  Training minimises, pixel by pixel, the loss of Eq. 2 and a penalty that keeps
1,801 weights from fitting 500 stars perfectly:

    1/N sum_n ivar_n (f(l_n) - f_n)^2  +  D_scale/N_l sum_j rho((f'_j - t_j) / u_j)  +  penalty

with t the ab initio gradients, f' those of the network at the same reference point, and the unit u_j either
max(|t_j|, floor) or one.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import ClassVar, NamedTuple

import numba
import numpy as np
from scipy.linalg import lapack
from threadpoolctl import threadpool_limits

from labeltransfer.models.cannon import Labels

#: What the numbers in ``NetworkModel.status`` mean.
STATUS = ("trained", "too few stars")
#: Forms of the prior: the difference of the gradients relative to theory or absolute, squared or not.
FORMS = ("rel_l2", "rel_l1", "l2", "l1")

# A pixel is trained where it has at least this many good stars per label, else its model is a constant.
STARS_PER_LABEL = 2
# |x| is rounded to sqrt(x^2 + _ROUND^2) - _ROUND: relative gradients, absolute ones in units of `floor`,
# and (scaled) weights under the L1 penalty.
_ROUND = 1e-2
_WEIGHT_ROUND = 1e-4
# Spread of the hidden nodes' first arguments over stars, and first damping: found by trial, for speed only.
_FIRST_WEIGHTS = 0.5
_FIRST_DAMPING = 0.05
# Training of a pixel ends when an accepted step lowers its loss by less than this fraction.
_LOSS_TOLERANCE = 1e-6
_L1_ITERATIONS = 3
# Residuals of stars left out are cut at this many (robust) standard deviations.
_LEFT_OUT_CLIP = 4.0
# The last steps of label fits are those expected to lower chi2 by less than this, in float64 and before that
# in float32; fits count as converged below the third.
_CHI2_STOP = 1e-6
_CHI2_POLISHED = 1e-4
_CHI2_CONVERGED = 1e-4
# From this on the change of chi2's slope tells of its second derivatives.
_CHI2_NEAR = 10.0
# Starts are followed on about this many pixels, in float32, for a few iterations; the best is polished.
# So few pixels may say little of a label: a prior as wide as 3 times its spread keeps it in the range.
_COARSE_PIXELS = 450
_COARSE_ITERATIONS = 3
_COARSE_STOP = 3.0
_COARSE_PRIOR = 1 / 3**2
# A second minimum is polished too if it is this far from the best (in chi2) and not worse by more than that.
_DISTINCT = 5.0
_RIVAL = 50.0
# Pixels whose hidden nodes are evaluated at a time: small enough for a block of stars to stay in the cache.
_PIXEL_CHUNK = 16


@dataclass(frozen=True)
class NetworkModel:
    """Trained networks of p pixels, k labels and H hidden nodes.

    Attributes
    ----------
    label_names : tuple of k str
    pivot, scale : (k,) arrays
        Mean and standard deviation of the training labels; the networks see ``(label - pivot) / scale``.
    W : (p, H, k) array
    c, w : (p, H) arrays
    b : (p,) array
        Weights and biases of Eq. 1, w and b in units of the normalised flux.
    scatter : (p,) array
        Scatter beyond the noise of stars that the network has not seen, see `train_network`.
    chi2 : (p,) array
        Sum over the training stars of ``ivar residual^2``.
    loss : (p,) array
        What training minimised: loss and penalty, at these weights.
    n_used : (p,) int array
        Training stars with ivar > 0.
    status : (p,) int array
        Index into `STATUS`; a pixel with too few stars has a constant model and is never fitted.
    ridge, l1, d_scale, floor : float
    form : str
        How it was trained, see `train_network`.
    wavelength : (p,) array or None
        Vacuum, Angstrom.
    """

    kind: ClassVar[str] = "network"

    label_names: tuple
    pivot: np.ndarray
    scale: np.ndarray
    W: np.ndarray
    c: np.ndarray
    w: np.ndarray
    b: np.ndarray
    scatter: np.ndarray
    chi2: np.ndarray
    loss: np.ndarray
    n_used: np.ndarray
    status: np.ndarray
    ridge: float
    l1: float
    d_scale: float
    floor: float
    form: str
    wavelength: np.ndarray | None = None

    @property
    def usable(self):
        """(p,) bool: pixels that have a network; the others are constants and never fitted."""
        return self.status == 0

    def to_scaled(self, labels):
        """Physical labels (..., k) to the model's own units."""
        return (np.asarray(labels, dtype=float) - self.pivot) / self.scale


class _Problem(NamedTuple):
    """What all pixels share: M points (stars, then reference points plus and minus steps), D differences."""

    x: np.ndarray  # (M, k) scaled labels
    products: np.ndarray  # (M, M) 1 + x x^T
    n_star: int
    n_difference: int
    hidden: int
    strength: float  # D_scale / (number of gradients), zero without a prior
    absolute: bool  # rho(x) = |x| rather than x^2
    ridge: float
    l1: float


class _Pixels(NamedTuple):
    """Data of C pixels, in units of each pixel's own range of flux."""

    y: np.ndarray  # (C, n) flux
    root: np.ndarray  # (C, n) sqrt(ivar / N)
    theory: np.ndarray  # (C, D) gradients
    per: np.ndarray  # (C, D) one over the unit of the gradients' difference
    round: np.ndarray  # (C, 1) where |x| is rounded


# ------------------------------------------------------------------------------------ the loss and its slopes


def _split(q, k, hidden):
    """Views of the weights in a vector per pixel: W (C, k, H), c, w (C, H), b (C,)."""
    a = k * hidden
    return (
        q[:, :a].reshape(len(q), k, hidden),
        q[:, a : a + hidden],
        q[:, a + hidden : a + 2 * hidden],
        q[:, -1],
    )


def _sigmoid(z):
    """1 / (1 + exp(-z)), in place; as a tanh, which numpy vectorizes and which cannot overflow."""
    z *= 0.5
    np.tanh(z, out=z)
    z += 1.0
    z *= 0.5
    return z


def _differences(f, n_star, n_difference):
    """(C, M) values at the points to (C, n + D): the stars, and half the change from minus to plus."""
    plus = f[:, n_star : n_star + n_difference]
    minus = f[:, n_star + n_difference :]
    return np.concatenate([f[:, :n_star], 0.5 * (plus - minus)], axis=1)


def _differences_transposed(a, n_star):
    """The transpose of `_differences`."""
    half = 0.5 * a[:, n_star:]
    return np.concatenate([a[:, :n_star], half, -half], axis=1)


def _rho(u, problem, pixels):
    """The prior's rho and the weight of u^2 in the quadratic that touches it from above."""
    if not problem.absolute:
        return u * u, np.ones_like(u)
    root = np.sqrt(u * u + pixels.round**2)
    return root - pixels.round, 0.5 / root


def _penalty(q, problem):
    """Penalty of each pixel and the weight of each squared parameter in the quadratic that touches it."""
    if problem.l1 > 0:
        root = np.sqrt(q[:, :-1] ** 2 + _WEIGHT_ROUND**2)
        weight = 0.5 * problem.l1 / root
        cost = problem.l1 * (root - _WEIGHT_ROUND).sum(axis=1)
    else:
        weight = np.full((len(q), q.shape[1] - 1), problem.ridge)
        cost = problem.ridge * (q[:, :-1] ** 2).sum(axis=1)
    return cost, np.concatenate([weight, np.zeros((len(q), 1))], axis=1)


class _State(NamedTuple):
    """The networks of C pixels and everything that follows from them."""

    q: np.ndarray  # (C, n_parameter)
    s: np.ndarray  # (C, M, H) hidden nodes
    rho: np.ndarray  # (C, n + D) weighted residuals whose squares (touch) the loss
    weight: np.ndarray  # (C, n + D) their weights
    pen: np.ndarray  # (C, n_parameter)
    loss: np.ndarray  # (C,)

    def pick(self, rows):
        return _State(*(value[rows] for value in self))


def _evaluate(q, problem, pixels):
    """State of the networks q."""
    n, d = problem.n_star, problem.n_difference
    W, c, w, b = _split(q, problem.x.shape[1], problem.hidden)
    s = np.matmul(problem.x, W)
    s += c[:, None, :]
    _sigmoid(s)
    f = _differences(np.matmul(s, w[:, :, None])[:, :, 0] + b[:, None], n, d)
    u = (f[:, n:] - pixels.theory) * pixels.per
    rho, touching = _rho(u, problem, pixels)
    residual = pixels.root * (f[:, :n] - pixels.y)
    cost, pen = _penalty(q, problem)
    loss = (residual**2).sum(axis=1) + problem.strength * rho.sum(axis=1) + cost
    root = np.sqrt(problem.strength * touching)
    weight = np.concatenate([pixels.root, root * pixels.per], axis=1)
    return _State(q, s, np.concatenate([residual, root * u], axis=1), weight, pen, loss)


def _slope_factor(state, problem):
    """(C, M, H) derivatives of the flux by the argument of each hidden node, w g'."""
    u = state.s * state.s
    np.subtract(state.s, u, out=u)
    u *= _split(state.q, problem.x.shape[1], problem.hidden)[2][:, None, :]
    return u


def _times_jacobian(state, slope, problem, step):
    """J step: (C, n + D)."""
    W, c, w, b = _split(step, problem.x.shape[1], problem.hidden)
    z = np.matmul(problem.x, W)
    z += c[:, None, :]
    z *= slope
    f = z.sum(axis=2) + np.matmul(state.s, w[:, :, None])[:, :, 0] + b[:, None]
    return state.weight * _differences(f, problem.n_star, problem.n_difference)


def _times_transpose(state, slope, problem, a):
    """J^T a: (C, n_parameter)."""
    a = _differences_transposed(state.weight * a, problem.n_star)
    z = slope * a[:, :, None]
    return np.concatenate(
        [
            np.matmul(problem.x.T, z).reshape(len(a), -1),
            z.sum(axis=1),
            np.matmul(a[:, None, :], state.s)[:, 0],
            a.sum(axis=1, keepdims=True),
        ],
        axis=1,
    )


def _gram(s, slope, weight, metric, problem):
    """J metric^-1 J^T of one pixel, (n + D, n + D).

    Where all parameters have the same metric it takes two products of (points x nodes) matrices: the
    derivatives by W and c are products of a function of the node and of a label.
    """
    n, d = problem.n_star, problem.n_difference
    if problem.l1 == 0:
        full = slope @ slope.T
        full *= problem.products
        full += s @ s.T
        full += 1.0
        rows = full[:n], 0.5 * (full[n : n + d] - full[n + d :])
        rows = np.concatenate(rows)
        out = np.concatenate([rows[:, :n], 0.5 * (rows[:, n : n + d] - rows[:, n + d :])], axis=1)
        out *= weight[:, None]
        out *= weight / metric[0]
        return out
    k, hidden = problem.x.shape[1], problem.hidden
    alive = np.flatnonzero(np.isfinite(metric[:-1]))
    inner, outer = alive[alive < (k + 1) * hidden], alive[alive >= (k + 1) * hidden]
    of_label = np.concatenate([problem.x, np.ones((len(s), 1))], axis=1)
    jacobian = np.concatenate(
        [
            of_label[:, inner // hidden] * slope[:, inner % hidden],
            s[:, outer - (k + 1) * hidden],
            np.ones((len(s), 1)),
        ],
        axis=1,
    )
    rows = np.concatenate([jacobian[:n], 0.5 * (jacobian[n : n + d] - jacobian[n + d :])])
    rows *= weight[:, None]
    rows /= np.sqrt(metric[np.append(alive, len(metric) - 1)])
    return rows @ rows.T


def _factor(s, slope, weight, metric, problem):
    """Cholesky factor of 1 + J metric^-1 J^T of one pixel, upper triangle in C order, or None."""
    matrix = _gram(s, slope, weight, metric, problem)
    matrix.flat[:: len(matrix) + 1] += 1.0
    # the transpose is the same matrix in Fortran order, so that LAPACK can work in place
    factor, info = lapack.dpotrf(matrix.T, lower=1, overwrite_a=1, clean=0)
    return factor if info == 0 else None


def _propose(state, damping, problem):
    """One damped Gauss-Newton step in the dual, and the loss that the quadratic model expects of it.

    The step minimises |rho + J d|^2 + sum(pen (q + d)^2) + damping |d|^2, by solving a system of one row
    per star and gradient, of which there are fewer than parameters.
    """
    slope = _slope_factor(state, problem)
    metric = damping[:, None] + state.pen
    if problem.l1 == 0:
        metric[:, -1] = metric[:, 0]
        shrink = -state.pen * state.q / metric
    else:
        dead = _dead(state, slope, problem)
        shrink = np.where(dead, -state.q, -state.pen * state.q / metric)
        metric[dead] = np.inf
    right = state.rho + _times_jacobian(state, slope, problem, shrink)
    dual = np.zeros_like(right)
    for i in range(len(right)):
        factor = _factor(state.s[i], slope[i], state.weight[i], metric[i], problem)
        if factor is not None:
            dual[i] = -lapack.dpotrs(factor, right[i], lower=1)[0]
    step = shrink + _times_transpose(state, slope, problem, dual) / metric
    linear = state.rho + _times_jacobian(state, slope, problem, step)
    now = (state.rho**2).sum(axis=1) + (state.pen * state.q**2).sum(axis=1)
    then = (linear**2).sum(axis=1) + (state.pen * (state.q + step) ** 2).sum(axis=1)
    return step, now - then


def _dead(state, slope, problem):
    """Parameters that an L1 penalty holds at zero: they are there, and the loss pulls too little."""
    pull = np.abs(_times_transpose(state, slope, problem, 2.0 * state.rho))
    dead = (np.abs(state.q) < _WEIGHT_ROUND) & (pull < 0.5 * problem.l1)
    dead[:, -1] = False
    return dead


def _ridge_start(q, problem, pixels):
    """Least-squares output weights w, b for the random hidden nodes of q, in place."""
    state = _evaluate(q, problem, pixels)
    k, hidden, n, d = problem.x.shape[1], problem.hidden, problem.n_star, problem.n_difference
    ones = np.ones((*state.s.shape[:2], 1))
    design = np.concatenate([state.s, ones], axis=2)
    design = np.concatenate([design[:, :n], 0.5 * (design[:, n : n + d] - design[:, n + d :])], axis=1)
    design *= state.weight[:, :, None]
    target = state.weight * np.concatenate([pixels.y, pixels.theory], axis=1)
    normal = np.matmul(design.transpose(0, 2, 1), design)
    small = 1e-10 * np.trace(normal, axis1=1, axis2=2)
    diagonal = np.arange(hidden + 1)
    normal[:, diagonal, diagonal] += small[:, None] + np.maximum(problem.ridge, 1e-4)
    right = np.matmul(design.transpose(0, 2, 1), target[:, :, None])
    q[:, (k + 1) * hidden :] = np.linalg.solve(normal, right)[:, :, 0]


def _minimise(q, problem, pixels, n_iterations):
    """Levenberg-Marquardt from q; the damping of each pixel is its own."""
    state = _evaluate(q, problem, pixels)
    active = np.arange(len(q))
    final, loss = q.copy(), state.loss.copy()
    damping, growth = np.full(len(q), _FIRST_DAMPING), np.full(len(q), 2.0)
    for _ in range(n_iterations):
        step, expected = _propose(state, damping, problem)
        trial = _evaluate(state.q + step, problem, pixels)
        gain = np.clip((state.loss - trial.loss) / np.maximum(expected, 1e-300), -1.0, 1.0)
        better = np.isfinite(trial.loss) & (trial.loss < state.loss)
        done = better & (state.loss - trial.loss < _LOSS_TOLERANCE * state.loss)
        # Nielsen's rule: less damping the better the quadratic model was, ever more after failures
        damping *= np.where(better, np.maximum(1 / 10, 1 - (2 * gain - 1) ** 3), growth)
        growth = np.where(better, 2.0, 2 * growth)
        state = _State(
            *(
                np.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)
                for new, old in zip(trial, state, strict=True)
            )
        )
        final[active], loss[active] = state.q, state.loss
        left = ~done & (damping < 1e12)
        if not left.all():
            active, damping, growth = active[left], damping[left], growth[left]
            state, pixels = state.pick(left), _Pixels(*(value[left] for value in pixels))
        if not len(active):
            break
    return final, loss


def _left_out(q, problem, pixels):
    """Residuals of each star from networks trained without it, in units of its error / sqrt(N): (C, n).

    Exact for a model that is linear in its parameters, where leaving out star i divides its residual by
    1 - h_ii; here that is the model linearised about its optimum.
    """
    state = _evaluate(q, problem, pixels)
    slope = _slope_factor(state, problem)
    metric = state.pen.copy()
    metric[:, -1] = metric[:, :-1].min(axis=1)
    metric = np.maximum(metric, 1e-8)
    if problem.l1 > 0:
        metric[_dead(state, slope, problem)] = np.inf
    n = problem.n_star
    residual = state.rho[:, :n].copy()
    for i in range(len(q)):
        factor = _factor(state.s[i], slope[i], state.weight[i], metric[i], problem)
        if factor is not None:
            inverse = lapack.dtrtri(factor, lower=1, overwrite_c=1)[0]
            # one minus the leverage is the diagonal of (1 + J metric^-1 J^T)^-1
            residual[i] /= (np.tril(inverse)[:, :n] ** 2).sum(axis=0)
            # where a star all but determines the fit, the linearised answer can be anything
            limit = _LEFT_OUT_CLIP * 1.4826 * np.median(np.abs(residual[i][pixels.root[i] > 0]))
            np.clip(residual[i], -limit, limit, out=residual[i])
    return residual


def fit_scatter(residual, ivar):
    """Scatter beyond the noise: the maximum of the likelihood of Gaussian residuals of variance 1/ivar + s^2.

    Parameters
    ----------
    residual, ivar : (p, n) arrays
        Rows are independent; entries with ivar 0 are ignored.

    Returns
    -------
    (p,) array
        s, zero where the noise explains the residuals.
    """
    good = ivar > 0
    noise = 1.0 / np.where(good, ivar, 1.0)
    square = np.where(good, residual, 0.0) ** 2
    mean = square.sum(axis=1) / np.maximum(good.sum(axis=1), 1)

    def cost(u):
        v = noise + u[:, None]
        return np.where(good, np.log(v) + square / v, 0.0).sum(axis=1)

    def slope(u):
        v = noise + u[:, None]
        return np.where(good, (1.0 - square / v) / v, 0.0).sum(axis=1)

    # the likelihood can have several maxima: bracket the highest on a grid, then bisect its slope
    grid = np.vstack([np.zeros(len(mean)), mean * 2.0 ** np.arange(-16, 4)[:, None]])
    lowest = np.argmin([cost(u) for u in grid], axis=0)
    rows = np.arange(len(mean))
    low = grid[np.maximum(lowest - 1, 0), rows]
    high = grid[np.minimum(lowest + 1, len(grid) - 1), rows]
    zero = (lowest == 0) & (slope(low) >= 0)
    for _ in range(40):
        middle = 0.5 * (low + high)
        falling = slope(middle) < 0
        low, high = np.where(falling, middle, low), np.where(falling, high, middle)
    return np.sqrt(np.where(zero, 0.0, 0.5 * (low + high)))


# ------------------------------------------------------------------------------------------------- training


def check_training(flux, ivar, labels, label_names):
    """Labels as float64, once they and the spectra are fit for training; raises ValueError otherwise."""
    if np.ndim(flux) != 2 or np.shape(flux) != np.shape(ivar):
        raise ValueError(
            f"flux and ivar must both be (n_star, n_pix), found shapes {np.shape(flux)} and {np.shape(ivar)}"
        )
    labels = np.asarray(labels, dtype=float)
    if labels.shape != (len(flux), len(label_names)):
        raise ValueError(
            f"labels must be (n_star, n_label) = ({len(flux)}, {len(label_names)}) for the labels "
            f"{', '.join(label_names)}, found {labels.shape}"
        )
    needed = STARS_PER_LABEL * (len(label_names) + 1)
    if len(flux) < needed:
        raise ValueError(
            f"networks of {len(label_names)} labels need at least {needed} training stars, "
            f"found {len(flux)}; loosen the cuts on the reference set"
        )
    for name, column in zip(label_names, labels.T, strict=True):
        bad = np.count_nonzero(~np.isfinite(column))
        if bad:
            raise ValueError(
                f"training label {name} is not finite for {bad} of {len(column)} stars; drop those stars"
            )
        if np.ptp(column) == 0:
            raise ValueError(
                f"training label {name} is {column[0]} for every star: nothing can be learned of it"
            )
    return labels


def _check_prior(gradient, steps, reference_point, n_pixel, n_label):
    """The gradients as (R, k, p), the steps (k,), the reference points (R, k)."""
    if gradient is None or steps is None or reference_point is None:
        raise ValueError(
            "a prior (d_scale > 0) needs gradient, steps and reference_point; give them, or d_scale=0"
        )
    points = np.atleast_2d(np.asarray(reference_point, dtype=float))
    gradient = np.asarray(gradient, dtype=float)
    gradient = gradient[None] if gradient.ndim == 2 else gradient
    steps = np.asarray(steps, dtype=float)
    if (
        gradient.shape != (len(points), n_label, n_pixel)
        or steps.shape != (n_label,)
        or points.shape[1] != n_label
    ):
        raise ValueError(
            f"gradient must be (n_reference, n_label, n_pix) = ({len(points)}, {n_label}, {n_pixel}), "
            f"steps ({n_label},) and reference_point (n_reference, {n_label}); found {gradient.shape}, "
            f"{steps.shape} and {points.shape}"
        )
    if not (np.isfinite(points).all() and np.isfinite(steps).all() and (steps != 0).all()):
        raise ValueError("reference points and steps must be finite, and no step zero")
    return gradient, steps, points


def run_blocks(function, blocks, threads):
    """Results of every block in order; BLAS has one thread, so that bytes do not depend on ``threads``."""
    with threadpool_limits(limits=1, user_api="blas"):
        if threads == 1:
            return [function(block) for block in blocks]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(function, blocks))


def clean_pixels(flux, ivar, pixels):
    """Flux and ivar of some pixels as float64 (pixel, star), both zero where masked."""
    f = np.array(flux[:, pixels].T, dtype=float, order="C")
    iv = np.array(ivar[:, pixels].T, dtype=float, order="C")
    bad = ~(np.isfinite(f) & np.isfinite(iv) & (iv > 0))
    f[bad] = iv[bad] = 0.0
    return f, iv


def train_network(
    flux,
    ivar,
    labels,
    *,
    label_names,
    hidden=100,
    gradient=None,
    steps=None,
    reference_point=None,
    d_scale=10.0,
    form="rel_l2",
    floor=1e-4,
    ridge=1e-2,
    l1=0.0,
    seed=0,
    n_iterations=15,
    wavelength=None,
    block=16,
    threads=1,
    first_pixel=0,
):
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
    hidden : int
        Nodes of the hidden layer.
    gradient : (k, p) array, or (R, k, p) for R reference points
        Change of the normalised flux per step, from theory: half of flux(+step) - flux(-step); NaN where
        unknown.  Only used if d_scale > 0, as are the next two.
    steps : (k,) array
        Physical units, for example 200 K, 0.5, 0.2 ...
    reference_point : (k,) or (R, k) array
        Labels that the gradients belong to.
    d_scale : float
        Strength of the prior; 0 for a purely data-driven network.  Several reference points are averaged.
    form : {'rel_l2', 'rel_l1', 'l2', 'l1'}
        Difference of gradients relative to max(|theory|, floor), or in units of the normalised flux;
        squared, or its absolute value (rounded within 0.01 of a relative unit, or within ``floor``).
    floor : float
        Normalised flux per step.
    ridge : float
        Penalty: ridge times the sum of the squares of W, c and w, with w in units of the weighted standard
        deviation of the pixel's flux.  Choose it by cross-validation (`choose_ridge`).
    l1 : float
        If > 0 the penalty is instead l1 times the sum of their absolute values, rounded within 1e-4; the
        networks start from those with the ridge.
    seed : int
        Of the random starts; each pixel has its own, whatever the block.
    n_iterations : int
        Levenberg-Marquardt steps at most, and three times as many after them under the L1 penalty.
    wavelength : (p,) array, optional
        Kept in the model.
    block : int
        Pixels per unit of work.
    threads : int
        Threads over the blocks; the result does not depend on it.
    first_pixel : int
        Index of the first pixel where these are a part of a spectrum, for the seeds; see `join_networks`.

    Returns
    -------
    NetworkModel

    Raises
    ------
    ValueError
        For shapes that do not agree, labels that are not finite or do not vary, too few stars, an unknown
        form, or negative strengths.

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
    label_names = tuple(label_names)
    labels = check_training(flux, ivar, labels, label_names)
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, not {form!r}")
    if min(d_scale, l1) < 0 or floor <= 0 or ridge <= 0:
        raise ValueError(
            f"d_scale and l1 must not be negative, floor and ridge be positive; "
            f"found {d_scale}, {l1}, {floor}, {ridge}"
        )
    (n_star, n_pix), k = np.shape(flux), len(label_names)
    pivot, scale = labels.mean(axis=0), labels.std(axis=0)
    x = (labels - pivot) / scale
    n_difference = 0
    if d_scale > 0:
        gradient, steps, points = _check_prior(gradient, steps, reference_point, n_pix, k)
        n_difference = len(points) * k
        plus = (points[:, None, :] + np.diag(steps) - pivot) / scale
        minus = (points[:, None, :] - np.diag(steps) - pivot) / scale
        x = np.concatenate([x, plus.reshape(-1, k), minus.reshape(-1, k)])
    strength = d_scale / max(n_difference, 1)
    absolute = form.endswith("l1")
    smooth = _Problem(x, 1.0 + x @ x.T, n_star, n_difference, hidden, strength, absolute, float(ridge), 0.0)
    problem = smooth._replace(ridge=0.0, l1=float(l1)) if l1 > 0 else smooth

    def train_block(first):
        pixels = np.arange(first, min(first + block, n_pix))
        size = len(pixels)
        f, iv = clean_pixels(flux, ivar, pixels)
        n_used = (iv > 0).sum(axis=1)
        enough = n_used >= STARS_PER_LABEL * (k + 1)
        total = iv.sum(axis=1)
        mean = np.where(total > 0, (iv * f).sum(axis=1) / np.where(total > 0, total, 1.0), 1.0)
        y = np.where(iv > 0, f - mean[:, None], 0.0)
        unit = np.sqrt((iv * y**2).sum(axis=1) / np.where(total > 0, total, 1.0))
        unit = np.where(unit > 0, unit, 1.0)
        theory = np.zeros((size, n_difference))
        if n_difference:
            theory = gradient[:, :, pixels].reshape(n_difference, size).T
        known = np.isfinite(theory)
        theory = np.where(known, theory, 0.0)
        per = 1.0 / np.maximum(np.abs(theory), floor) if form.startswith("rel") else np.ones_like(theory)
        per = np.where(known, per, 0.0)
        data = _Pixels(
            y / unit[:, None],
            np.sqrt(iv / np.maximum(n_used, 1)[:, None]) * unit[:, None],
            theory / unit[:, None],
            per * unit[:, None],
            np.full((size, 1), _ROUND if form.startswith("rel") else floor),
        )
        q = np.zeros((size, (k + 2) * hidden + 1))
        loss, chi2, scatter = np.zeros(size), (iv * y**2).sum(axis=1), np.zeros(size)
        if enough.any():
            part = _Pixels(*(value[enough] for value in data))
            start = np.zeros((enough.sum(), q.shape[1]))
            for row, pixel in zip(start, pixels[enough], strict=True):
                random = np.random.default_rng([seed, first_pixel + pixel])
                row[: k * hidden] = _FIRST_WEIGHTS / np.sqrt(k) * random.standard_normal(k * hidden)
                row[k * hidden : (k + 1) * hidden] = _FIRST_WEIGHTS * random.standard_normal(hidden)
            _ridge_start(start, smooth, part)
            found, cost = _minimise(start, smooth, part, n_iterations)
            if l1 > 0:
                found, cost = _minimise(found, problem, part, _L1_ITERATIONS * n_iterations)
            state = _evaluate(found, problem, part)
            chi2[enough] = n_used[enough] * (state.rho[:, :n_star] ** 2).sum(axis=1)
            root = part.root
            left_out = _left_out(found, problem, part) / np.where(root > 0, root, 1.0)
            scatter[enough] = unit[enough] * fit_scatter(left_out, n_used[enough, None] * root**2)
            q[enough], loss[enough] = found, cost
        W, c, w, b = _split(q, k, hidden)
        return (
            np.ascontiguousarray(W.transpose(0, 2, 1)),
            c,
            w * unit[:, None],
            b * unit + mean,
            scatter,
            chi2,
            loss,
            n_used,
            np.where(enough, 0, 1).astype(np.int8),
        )

    parts = zip(*run_blocks(train_block, range(0, n_pix, block), threads), strict=True)
    arrays = [np.concatenate(part) for part in parts]
    if wavelength is not None:
        wavelength = np.asarray(wavelength, dtype=float)
    numbers = (float(ridge), float(l1), float(d_scale), float(floor))
    return NetworkModel(label_names, pivot, scale, *arrays, *numbers, form, wavelength)


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


def choose_ridge(
    flux, ivar, labels, *, ridges=(1e-3, 3e-3, 1e-2, 3e-2, 1e-1), folds=5, n_pixel=64, seed=0, **options
):
    """The ridge whose networks predict stars best that they were not trained on, on some of the pixels.

    Parameters
    ----------
    flux, ivar, labels
        As for `train_network`.
    ridges : sequence of m float
        What to choose from.
    folds : int
        Each of so many parts of the stars is predicted by networks trained on the others.
    n_pixel : int
        Pixels to try it on, drawn among those where most stars are good.
    seed : int
        Of the folds, the pixels and the networks.
    **options
        Further arguments of `train_network`; a gradient of all pixels is cut to those in use.

    Returns
    -------
    RidgeChoice

    Raises
    ------
    ValueError
        As `train_network`, and if there are fewer than two folds or no pixel is good for most stars.
    """
    if folds < 2:
        raise ValueError(f"cross-validation needs at least 2 folds, not {folds}")
    flux, ivar, labels = np.asarray(flux), np.asarray(ivar), np.asarray(labels, dtype=float)
    random = np.random.default_rng(seed)
    good = np.flatnonzero(np.mean(np.isfinite(flux) & (ivar > 0), axis=0) > 0.5)
    if not len(good):
        raise ValueError("no pixel has ivar > 0 for most of the training stars; check the masks")
    pixels = np.sort(random.choice(good, min(n_pixel, len(good)), replace=False))
    fold = random.permutation(len(flux)) % folds
    if options.get("gradient") is not None:
        options["gradient"] = np.asarray(options["gradient"])[..., pixels]
    held_out = np.zeros(len(ridges))
    for m, ridge in enumerate(ridges):
        total = count = 0.0
        for this in range(folds):
            train, test = fold != this, fold == this
            model = train_network(
                flux[np.ix_(train, pixels)],
                ivar[np.ix_(train, pixels)],
                labels[train],
                ridge=ridge,
                seed=seed,
                **options,
            )
            f, iv = clean_pixels(flux[test], ivar[test], pixels[model.usable])
            residual = f - predict_network(model, labels[test]).T[model.usable]
            total += (iv * residual**2).sum()
            count += np.count_nonzero(iv)
        held_out[m] = total / count
    ridges = np.asarray(ridges, dtype=float)
    return RidgeChoice(float(ridges[np.argmin(held_out)]), ridges, held_out)


def join_networks(models):
    """One model of networks that were trained on consecutive parts of the pixels.

    Parameters
    ----------
    models : sequence of NetworkModel
        From `train_network` with the same stars and options, in the order of the pixels.

    Returns
    -------
    NetworkModel

    Raises
    ------
    ValueError
        If they were not trained on the same labels with the same options.
    """
    first = models[0]
    same = ("label_names", "pivot", "scale", "ridge", "l1", "d_scale", "floor", "form")
    joined = {}
    for field in fields(first):
        values = [getattr(model, field.name) for model in models]
        if field.name in same:
            if not all(np.array_equal(value, values[0]) for value in values):
                raise ValueError(
                    f"parts of a model differ in {field.name}: {', '.join(str(value) for value in values)}"
                )
        elif any(value is None for value in values):
            joined[field.name] = None
        else:
            joined[field.name] = np.concatenate(values)
    return replace(first, **joined)


# ------------------------------------------------------------------------------------ what a model says


def predict_network(model, labels):
    """Model spectra of given labels.

    Parameters
    ----------
    model : NetworkModel
        A trained model.
    labels : (n, k) array
        Physical units.

    Returns
    -------
    (n, p) array
        Normalised flux; NaN at pixels without a trained network.
    """
    x = np.atleast_2d(model.to_scaled(labels))
    flux = np.full((len(x), len(model.b)), np.nan)
    for pixel in np.flatnonzero(model.usable):
        hidden = _sigmoid(x @ model.W[pixel].T + model.c[pixel])
        flux[:, pixel] = hidden @ model.w[pixel] + model.b[pixel]
    return flux


def network_gradients(model, labels, steps):
    """Gradient spectra of a model: half the change of flux from minus to plus the step in each label.

    Parameters
    ----------
    model : NetworkModel
        A trained model.
    labels : (k,) array
        The reference point, physical units.
    steps : (k,) array
        Physical units.

    Returns
    -------
    (k, p) array
        NaN at pixels without a trained network.
    """
    steps = np.diag(np.asarray(steps, dtype=float))
    labels = np.asarray(labels, dtype=float)
    return 0.5 * (predict_network(model, labels + steps) - predict_network(model, labels - steps))


# ------------------------------------------------------------------------------------------------ labelling


class _Tables(NamedTuple):
    """Networks of some pixels as g(z) = 1/2 + 1/2 tanh(z/2), laid out for products with a block of stars."""

    inner: np.ndarray  # (P, k + 1, H) half of W and c
    outer: np.ndarray  # (P, H, 1) half of w
    base: np.ndarray  # (P, 1) b and half the sum of w
    slope: np.ndarray  # (P, H, k) w W / 4, float32: slopes need no more, whatever the flux does
    slope_base: np.ndarray  # (P, 1, k) its sum over the nodes, float32


def _tables(model, pixels, dtype):
    slope = model.w[pixels][:, :, None] * model.W[pixels] / 4
    inner = np.concatenate([model.W[pixels].transpose(0, 2, 1), model.c[pixels][:, None, :]], axis=1) / 2
    total = model.w[pixels].sum(axis=1)
    flux = inner, model.w[pixels][:, :, None] / 2, (model.b[pixels] + total / 2)[:, None]
    slopes = slope, slope.sum(axis=1, keepdims=True)
    return _Tables(
        *(np.ascontiguousarray(array, dtype=dtype) for array in flux),
        *(np.ascontiguousarray(array, dtype=np.float32) for array in slopes),
    )


def _flux_and_slopes(x, tables, pixels):
    """(P, n) flux and (P, n, k) slopes of some pixels at scaled labels x (n, k + 1), the last column one."""
    hidden = np.matmul(x, tables.inner[pixels])
    np.tanh(hidden, out=hidden)
    flux = np.matmul(hidden, tables.outer[pixels])[:, :, 0]
    flux += tables.base[pixels]
    square = hidden.astype(np.float32, copy=False)
    square *= square
    slopes = np.matmul(square, tables.slope[pixels])
    np.subtract(tables.slope_base[pixels], slopes, out=slopes)
    return flux, slopes


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _accumulate(model, slopes, point, flux, weight, star, first, normal, right, chi2):
    """Add some pixels to the normal equations of each row: a star at one of the points in label space."""
    n_label = slopes.shape[2]
    for p in range(slopes.shape[0]):
        for i in range(len(star)):
            w = weight[star[i], first + p]
            residual = flux[star[i], first + p] - model[p, point[i]]
            slope = slopes[p, point[i]]
            chi2[i] += w * residual * residual
            for a in range(n_label):
                wj = w * slope[a]
                right[i, a] += wj * residual
                for b in range(n_label):
                    normal[i, a, b] += wj * slope[b]


def _normal_equations(x, point, star, flux, weight, tables):
    """chi2, J^T W r and J^T W J of stars, each at one of the scaled labels x."""
    n, k = len(star), x.shape[1]
    chi2, right, normal = np.zeros(n), np.zeros((n, k)), np.zeros((n, k, k))
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1).astype(tables.inner.dtype)
    for first in range(0, len(tables.base), _PIXEL_CHUNK):
        model, slopes = _flux_and_slopes(x, tables, slice(first, first + _PIXEL_CHUNK))
        _accumulate(model, slopes, point, flux, weight, star, first, normal, right, chi2)
    return chi2, right, normal


def _newton(right, normal, missing, damping):
    """Steps of damped normal equations, and the drop of chi2 that the undamped ones expect.

    ``missing`` is what `_secant` adds to the matrix; where it makes chi2 fall without end it is set to zero.
    """
    length = np.sqrt(np.maximum(np.einsum("nkk->nk", normal), 1e-30))
    diagonal = np.arange(normal.shape[1])

    def solve(rows):
        unit = (normal[rows] + missing[rows]) / (length[rows, :, None] * length[rows, None, :])
        unit[:, diagonal, diagonal] += damping[rows, None] + 1e-12
        return np.linalg.solve(unit, (right[rows] / length[rows])[:, :, None])[:, :, 0] / length[rows]

    step = solve(slice(None))
    wrong = (step * right).sum(axis=1) < 0
    if wrong.any():
        missing[wrong] = 0.0
        step[wrong] = solve(wrong)
    return step, (step * right).sum(axis=1)


def _secant(normal, missing, step, change, near):
    """What normal equations lack of the second derivatives of chi2, from the change of its slope in a step.

    Gauss-Newton leaves out residuals times second derivatives of the model, and converges slowly where they
    matter; this is the update of BFGS, made where the step is ``near`` a minimum and finds chi2 convex.
    """
    turned = np.einsum("nkl,nl->nk", normal + missing, step)
    expected, found = (turned * step).sum(axis=1), (change * step).sum(axis=1)
    use = near & (expected > 0) & (found > 0.1 * expected)
    missing = np.where(use[:, None, None], missing, 0.0)
    for vector, length in ((change, found), (turned, -expected)):
        missing[use] += vector[use, :, None] * vector[use, None, :] / length[use, None, None]
    return missing


def _descend(x, point, star, flux, weight, tables, n_iterations, stop, prior=0.0):
    """Levenberg-Marquardt of stars from given points: labels, chi2, curvature, expected further drop.

    A fit ends with a step that is expected to lower chi2 by less than ``stop``; it is taken, and its drop
    believed, without evaluating the model again.  ``prior`` times the squared labels is added to chi2.
    """
    rounding = 1e-5 if tables.inner.dtype == np.float32 else 1e-14

    def evaluate(x, point, star):
        chi2, right, normal = _normal_equations(x, point, star, flux, weight, tables)
        x = x[point]
        return chi2 + prior * (x * x).sum(axis=1), right - prior * x, normal + prior * np.eye(x.shape[1])

    chi2, right, normal = evaluate(x, point, star)
    x = x[point]
    damping, missing = np.full(len(x), 1e-3), np.zeros_like(normal)
    active = np.arange(len(x))
    for iteration in range(n_iterations + 1):
        lacking = missing[active]
        step, expected = _newton(right[active], normal[active], lacking, damping[active])
        missing[active] = lacking
        # a step that damping has made small says nothing of convergence
        left = ((expected > stop) | (damping[active] > 0.1)) & (damping[active] < 1e10)
        active, step, near = active[left], step[left], expected[left] < _CHI2_NEAR
        if not len(active) or iteration == n_iterations:
            break
        trial = evaluate(x[active] + step, np.arange(len(active)), star[active])
        better = trial[0] < chi2[active] + rounding * chi2[active]
        moved = active[better]
        x[moved] += step[better]
        change = right[moved] - trial[1][better]
        for old, new in zip((chi2, right, normal), trial, strict=True):
            old[moved] = new[better]
        missing[moved] = _secant(normal[moved], missing[moved], step[better], change, near[better])
        damping[active] = np.where(better, np.maximum(damping[active] / 10, 1e-9), damping[active] * 10)
    step, drop = _newton(right, normal, missing, np.zeros(len(x)))
    last = drop <= stop
    x[last] += step[last]
    chi2[last] = np.maximum(chi2[last] - drop[last], 0.0)
    return x, chi2, normal, drop


def label_network(flux, ivar, model, *, starts, block=128, threads=1, n_iterations=30, dtype=np.float32):
    """Labels of stars from their spectra: the minimum of chi2 with weights 1 / (1 / ivar + s^2).

    Parameters
    ----------
    flux, ivar : (n, p) arrays
        Normalised flux and inverse variance on the model's pixels; they are not modified.  Pixels without
        ivar > 0 (or with a flux that is not finite) are ignored whatever they hold.  Anything that slices by
        rows will do, such as a dataset of an open HDF5 file.
    model : NetworkModel
        Trained on the same pixels.
    starts : (m, k) array
        Starting points in physical units.
    block : int
        Stars per unit of work.
    threads : int
        Threads over the blocks; the result does not depend on it.
    n_iterations : int
        Steps on all pixels at most.
    dtype : float32 or float64
        Precision on the way to the minimum; the last steps, the covariance and chi2 are float64.

    Returns
    -------
    labeltransfer.models.cannon.Labels

    Raises
    ------
    ValueError
        For shapes that do not agree, or starting points that are not finite.

    Notes
    -----
    All starts are followed for a few steps on every few pixels, those that lead elsewhere than the best for
    a few more; the best, and the best of the others if it is close, then go on with all pixels, the lower
    one to convergence.  Steps are those of Gauss and Newton; near the minimum the change of the slope adds
    what these leave out, without which bright stars that the model does not quite describe converge slowly.
    """
    if np.ndim(flux) != 2 or np.shape(flux) != np.shape(ivar):
        raise ValueError(
            f"flux and ivar must both be (n_star, n_pix), found shapes {np.shape(flux)} and {np.shape(ivar)}"
        )
    (n_star, n_pixel), n_label = np.shape(flux), len(model.label_names)
    if n_pixel != len(model.b):
        raise ValueError(f"spectra have {n_pixel} pixels but the model {len(model.b)}: not the same grid")
    starts = np.atleast_2d(model.to_scaled(starts))
    if starts.shape[1:] != (n_label,) or not len(starts) or not np.isfinite(starts).all():
        raise ValueError(
            f"starts must be finite and (n_start, {n_label}), for {', '.join(model.label_names)}; "
            f"found {starts.shape}"
        )
    usable = np.flatnonzero(model.usable)
    s2 = model.scatter[usable] ** 2
    stride = max(1, len(usable) // _COARSE_PIXELS)
    coarse, fast = _tables(model, usable[::stride], dtype), _tables(model, usable, dtype)
    exact = _tables(model, usable, np.float64)

    def label_block(first):
        rows = slice(first, min(first + block, n_star))
        f, iv = clean_pixels(np.asarray(flux[rows]), np.asarray(ivar[rows]), usable)
        f, weight = np.ascontiguousarray(f.T), np.ascontiguousarray((iv / (1.0 + iv * s2[:, None])).T)
        n_pix = (weight > 0).sum(axis=1)
        x = np.full((len(f), n_label), np.nan)
        chi2, normal = np.full(len(f), np.nan), np.full((len(f), n_label, n_label), np.nan)
        converged, start = np.zeros(len(f), dtype=bool), np.full(len(f), -1)
        fitted = np.flatnonzero(n_pix >= n_label)
        if len(fitted):
            some = np.ascontiguousarray(f[:, ::stride]), np.ascontiguousarray(weight[:, ::stride])
            found, won = _best_start(starts, fitted, *some, f, weight, coarse, fast, n_iterations)
            found, cost, curvature, drop = _descend(
                found, np.arange(len(found)), fitted, f, weight, exact, n_iterations, _CHI2_STOP
            )
            length = np.sqrt(np.einsum("nkk->nk", curvature))
            known = (length > 0).all(axis=1) & np.isfinite(curvature).all(axis=(1, 2))
            unit = curvature[known] / (length[known, :, None] * length[known, None, :])
            known[known] = np.linalg.eigvalsh(unit)[:, 0] > 1e-11
            these = fitted[known]
            x[these], chi2[these], normal[these] = found[known], cost[known], curvature[known]
            start[these], converged[these] = won[known], drop[known] < _CHI2_CONVERGED
        fitted = start >= 0
        covariance = np.full((len(f), n_label, n_label), np.nan)
        covariance[fitted] = np.linalg.inv(normal[fitted]) * np.outer(model.scale, model.scale)
        freedom = n_pix - n_label
        reduced = np.where(freedom > 0, chi2 / np.maximum(freedom, 1), np.nan)
        return Labels(model.pivot + model.scale * x, covariance, chi2, n_pix, reduced, converged, start)

    parts = run_blocks(label_block, range(0, max(n_star, 1), block), threads)
    return Labels(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _best_start(starts, star, some_flux, some_weight, flux, weight, coarse, fast, n_iterations):
    """Labels near the lowest minimum that any start leads to, for each star, and the start."""
    m, n = len(starts), len(star)
    x = np.repeat(starts[:, None], n, axis=1)
    chi2, normal = np.full((m, n), np.inf), np.zeros((*x.shape, x.shape[2]))
    rows, left = np.arange(n), np.ones((m, n), dtype=bool)
    for first in (True, False):
        start, row = np.nonzero(left)
        # at first the model is the same for all stars
        points, point = (starts, start) if first else (x[left], np.arange(len(start)))
        chi2[~left] = np.inf
        x[left], chi2[left], normal[left], _ = _descend(
            points, point, star[row], some_flux, some_weight, coarse,
            _COARSE_ITERATIONS, _COARSE_STOP, _COARSE_PRIOR,
        )  # fmt: skip
        # the first start that comes as low as the lowest, but for what a coarse descent leaves undone
        best = np.argmax(chi2 <= chi2.min(axis=0) + 0.1, axis=0)
        away = x - x[best, rows]
        distance = np.einsum("mnk,nkl,mnl->mn", away, normal[best, rows], away)
        rival = np.where((distance > _DISTINCT) & (chi2 < chi2[best, rows] + _RIVAL), chi2, np.inf)
        left = np.isfinite(rival)
        left[best, rows] = True
    second = np.argmin(rival, axis=0)
    also = np.flatnonzero(np.isfinite(rival[second, rows]))
    candidates = np.concatenate([x[best, rows], x[second[also], also]])
    stars = np.concatenate([star, star[also]])
    polished, cost, _, _ = _descend(
        candidates, np.arange(len(stars)), stars, flux, weight, fast, n_iterations, _CHI2_POLISHED
    )
    found, won = polished[:n], best.copy()
    swap = cost[n:] < cost[:n][also] - 1e-2
    found[also[swap]], won[also[swap]] = polished[n:][swap], second[also[swap]]
    return found, won
