"""Labels of stars from networks: Newton's method from several starting points, on blocks of stars."""

import contextlib
from typing import NamedTuple

import numpy as np

from labeltransfer.models.base import Labels, Minima, check_starts, check_usable, labels_at
from labeltransfer.models.compiled import compiled
from labeltransfer.models.data import check_spectra, clean_pixels, run_blocks, weights

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
# A start replaces an earlier one if it ends lower by more than this, on few pixels and on all.
_LOWER_COARSE = 0.1
_LOWER = 1e-2
# Damping of the first step, the least, and what counts as little: a step that damping has made small says
# nothing of convergence.
_FIRST_DAMPING = 1e-3
_LEAST_DAMPING = 1e-9
_LITTLE_DAMPING = 0.1
_MOST_DAMPING = 1e10
# Eigenvalue of the curvature (unit diagonal) below which a star does not constrain its labels.
_SINGULAR = 1e-11
# Pixels whose hidden nodes are evaluated at a time: small enough for a block of stars to stay in the cache.
_PIXEL_CHUNK = 16


class Tables(NamedTuple):
    """Networks of some pixels as g(z) = 1/2 + 1/2 tanh(z/2), laid out for products with a block of stars."""

    inner: np.ndarray  # (P, k + 1, H) half of W and c
    outer: np.ndarray  # (P, H, 1) half of w
    base: np.ndarray  # (P, 1) b and half the sum of w
    slope: np.ndarray  # (P, H, k) w W / 4, float32: slopes need no more, whatever the flux does
    slope_base: np.ndarray  # (P, 1, k) its sum over the nodes, float32


class Stars(NamedTuple):
    """Rows that are fitted: a star may stand in several, one for each start."""

    flux: np.ndarray  # (N, P)
    weight: np.ndarray  # (N, P) 1 / (1 / ivar + s^2)
    star: np.ndarray  # (n,) which of the spectra
    point: np.ndarray  # (n,) which of the points in label space

    def at(self, star):
        """Rows of these stars, each at a point of its own."""
        return self._replace(star=star, point=np.arange(len(star)))


class _Rule(NamedTuple):
    """When a descent ends, and what holds its labels."""

    n_iterations: int
    stop: float  # expected drop of chi2
    prior: float = 0.0  # weight of the squared labels


class _Descent(NamedTuple):
    """Where a descent has come."""

    x: np.ndarray  # (n, k) scaled labels
    chi2: np.ndarray  # (n,)
    normal: np.ndarray  # (n, k, k) curvature J^T W J
    drop: np.ndarray  # (n,) expected of one more step


def tables_of(model, pixels, dtype):
    """`Tables` of some pixels of a model."""
    dtype, rough = (kind if _fits(model, pixels, kind) else np.float64 for kind in (dtype, np.float32))
    slope = model.w[pixels][:, :, None] * model.W[pixels] / 4
    inner = np.concatenate([model.W[pixels].transpose(0, 2, 1), model.c[pixels][:, None, :]], axis=1) / 2
    total = model.w[pixels].sum(axis=1)
    flux = inner, model.w[pixels][:, :, None] / 2, (model.b[pixels] + total / 2)[:, None]
    slopes = slope, slope.sum(axis=1, keepdims=True)
    return Tables(
        *(np.ascontiguousarray(array, dtype=dtype) for array in flux),
        *(np.ascontiguousarray(array, dtype=rough) for array in slopes),
    )


def _fits(model, pixels, dtype):
    """Whether all weights of some pixels, and their products, are far from the largest number of a type."""
    largest = [np.abs(array[pixels]).max(initial=0.0) for array in (model.W, model.c, model.w, model.b)]
    return max(1.0, *largest[:2]) * max(1.0, *largest[2:]) < 1e-6 * np.finfo(dtype).max


def flux_and_slopes(x, tables, pixels):
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


@compiled
def _accumulate(model, slopes, stars, first, normal, right, chi2):
    """Add some pixels, those from ``first`` on, to the normal equations of each row."""
    n_label = slopes.shape[2]
    for p in range(slopes.shape[0]):
        for i in range(len(stars.star)):
            w = stars.weight[stars.star[i], first + p]
            residual = stars.flux[stars.star[i], first + p] - model[p, stars.point[i]]
            slope = slopes[p, stars.point[i]]
            chi2[i] += w * residual * residual
            for a in range(n_label):
                wj = w * slope[a]
                right[i, a] += wj * residual
                for b in range(n_label):
                    normal[i, a, b] += wj * slope[b]


def _normal_equations(x, stars, tables, prior):
    """chi2, J^T W r and J^T W J of rows, each at one of the scaled labels x; ``prior`` as in `_Rule`."""
    n, k = len(stars.star), x.shape[1]
    chi2, right, normal = np.zeros(n), np.zeros((n, k)), np.zeros((n, k, k))
    padded = np.concatenate([x, np.ones((len(x), 1))], axis=1).astype(tables.inner.dtype)
    for first in range(0, len(tables.base), _PIXEL_CHUNK):
        model, slopes = flux_and_slopes(padded, tables, slice(first, first + _PIXEL_CHUNK))
        _accumulate(model, slopes, stars, first, normal, right, chi2)
    x = x[stars.point]
    return chi2 + prior * (x * x).sum(axis=1), right - prior * x, normal + prior * np.eye(k)


def _newton(right, normal, missing, damping):
    """Steps of damped normal equations, and the drop of chi2 that the undamped ones expect.

    ``missing`` is what `_secant` adds to the matrix; where it makes chi2 fall without end it is set to zero.
    """
    length = np.sqrt(np.maximum(np.einsum("nkk->nk", normal), 1e-30))
    diagonal = np.arange(normal.shape[1])

    def solve(rows):
        unit = (normal[rows] + missing[rows]) / (length[rows, :, None] * length[rows, None, :])
        unit[:, diagonal, diagonal] += damping[rows, None] + 1e-12
        return _solved(unit, right[rows] / length[rows]) / length[rows]

    step = solve(slice(None))
    wrong = (step * right).sum(axis=1) < 0
    if wrong.any():
        missing[wrong] = 0.0
        step[wrong] = solve(wrong)
    return step, (step * right).sum(axis=1)


def _solved(matrices, right):
    """Solutions (n, k) of n systems; zero for those that have none, which are no concern of the others."""
    try:
        return np.linalg.solve(matrices, right[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        found = np.zeros_like(right)
        for row, (matrix, side) in enumerate(zip(matrices, right, strict=True)):
            with contextlib.suppress(np.linalg.LinAlgError):
                found[row] = np.linalg.solve(matrix, side)
        return found


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


def _descend(x, stars, tables, rule):
    """Levenberg-Marquardt of rows from given points.

    A fit ends with a step that is expected to lower chi2 by less than ``rule.stop``; it is taken, and its
    drop believed, without evaluating the model again.
    """
    rounding = 1e-5 if tables.inner.dtype == np.float32 else 1e-14
    chi2, right, normal = _normal_equations(x, stars, tables, rule.prior)
    x = x[stars.point]
    damping, missing = np.full(len(x), _FIRST_DAMPING), np.zeros_like(normal)
    active = np.arange(len(x))
    for iteration in range(rule.n_iterations + 1):
        lacking = missing[active]
        step, expected = _newton(right[active], normal[active], lacking, damping[active])
        missing[active] = lacking
        left = (expected > rule.stop) | (damping[active] > _LITTLE_DAMPING)
        left &= damping[active] < _MOST_DAMPING
        active, step, near = active[left], step[left], expected[left] < _CHI2_NEAR
        if not len(active) or iteration == rule.n_iterations:
            break
        trial = _normal_equations(x[active] + step, stars.at(stars.star[active]), tables, rule.prior)
        better = trial[0] < chi2[active] + rounding * chi2[active]
        moved = active[better]
        x[moved] += step[better]
        change = right[moved] - trial[1][better]
        for old, new in zip((chi2, right, normal), trial, strict=True):
            old[moved] = new[better]
        missing[moved] = _secant(normal[moved], missing[moved], step[better], change, near[better])
        lower = np.maximum(damping[active] / 10, _LEAST_DAMPING)
        damping[active] = np.where(better, lower, damping[active] * 10)
    step, drop = _newton(right, normal, missing, np.zeros(len(x)))
    last = drop <= rule.stop
    x[last] += step[last]
    chi2[last] = np.maximum(chi2[last] - drop[last], 0.0)
    return _Descent(x, chi2, normal, drop)


def _leading_starts(starts, stars, tables):
    """For each star: labels near the minima on some pixels that starts lead to, the best start, and the runner-up.

    All starts are followed for a few steps, those that lead elsewhere than the best for a few more.  Returns
    x (m, n, k), the best start (n,), the best of those that lead elsewhere (n,), and whether it may win (n,).
    """
    m, n = len(starts), len(stars.star)
    x = np.repeat(starts[:, None], n, axis=1)
    chi2, normal = np.full((m, n), np.inf), np.zeros((*x.shape, x.shape[2]))
    rows, left = np.arange(n), np.ones((m, n), dtype=bool)
    rule = _Rule(_COARSE_ITERATIONS, _COARSE_STOP, _COARSE_PRIOR)
    for first in (True, False):
        start, row = np.nonzero(left)
        # at first the model is the same for all stars
        points, point = (starts, start) if first else (x[left], np.arange(len(start)))
        chi2[~left] = np.inf
        found = _descend(points, stars._replace(star=stars.star[row], point=point), tables, rule)
        x[left], chi2[left], normal[left] = found.x, found.chi2, found.normal
        # the first start that comes as low as the lowest, but for what a coarse descent leaves undone
        best = np.argmax(chi2 <= chi2.min(axis=0) + _LOWER_COARSE, axis=0)
        away = x - x[best, rows]
        distance = np.einsum("mnk,nkl,mnl->mn", away, normal[best, rows], away)
        rival = np.where((distance > _DISTINCT) & (chi2 < chi2[best, rows] + _RIVAL), chi2, np.inf)
        left = np.isfinite(rival)
        left[best, rows] = True
    second = np.argmin(rival, axis=0)
    return x, best, second, np.isfinite(rival[second, rows])


def _best_start(starts, some, stars, tables, n_iterations):
    """Labels near the lowest minimum that any start leads to, for each star, and the start.

    ``some`` and ``stars`` are the same rows on some and on all pixels, ``tables`` those of both.
    """
    x, best, second, close = _leading_starts(starts, some, tables[0])
    n, rows, also = len(best), np.arange(len(best)), np.flatnonzero(close)
    candidates = np.concatenate([x[best, rows], x[second[also], also]])
    both = stars.at(np.concatenate([stars.star, stars.star[also]]))
    polished = _descend(candidates, both, tables[1], _Rule(n_iterations, _CHI2_POLISHED))
    found, won = polished.x[:n], best.copy()
    swap = polished.chi2[n:] < polished.chi2[:n][also] - _LOWER
    found[also[swap]], won[also[swap]] = polished.x[n:][swap], second[also[swap]]
    return found, won


def label_network(flux, ivar, model, *, starts=None, block=128, threads=1, n_iterations=30, dtype=np.float32):
    """Labels of stars from their spectra: the minimum of chi2 with weights 1 / (1 / ivar + s^2).

    Parameters
    ----------
    flux, ivar : (n, p) arrays
        Normalised flux and inverse variance on the model's pixels; they are not modified.  Pixels without
        ivar > 0 (or with a flux that is not finite) are ignored whatever they hold.  Anything that slices by
        rows will do, such as a dataset of an open HDF5 file.
    model : NetworkModel
        Trained on the same pixels.
    starts : (m, k) array, optional
        Starting points in physical units; by default seven about the centre of the training labels.
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
    labeltransfer.models.base.Labels

    Raises
    ------
    ValueError
        For shapes that do not agree, starting points that are not finite, or a model without a usable pixel.

    Notes
    -----
    All starts are followed for a few steps on every few pixels, those that lead elsewhere than the best for
    a few more; the best, and the best of the others if it is close, then go on with all pixels, the lower
    one to convergence.  Steps are those of Gauss and Newton; near the minimum the change of the slope adds
    what these leave out, without which bright stars that the model does not quite describe converge slowly.
    """
    check_spectra(flux, ivar, len(model.b))
    check_usable(model)
    n_star, n_label = len(flux), len(model.label_names)
    starts = check_starts(starts, model)
    usable = np.flatnonzero(model.usable)
    stride = max(1, len(usable) // _COARSE_PIXELS)
    tables = tables_of(model, usable[::stride], dtype), tables_of(model, usable, dtype)
    exact = tables_of(model, usable, np.float64)
    s2 = model.scatter[usable, None] ** 2

    def label_block(first):
        rows = slice(first, min(first + block, n_star))
        f, iv = clean_pixels(np.asarray(flux[rows]), np.asarray(ivar[rows]), usable)
        f, weight = np.ascontiguousarray(f.T), np.ascontiguousarray(weights(iv, s2).T)
        n_pix = (weight > 0).sum(axis=1)
        fitted = np.flatnonzero(n_pix >= n_label)
        stars = Stars(f, weight, fitted, np.arange(len(fitted)))
        found, won = None, None
        if len(fitted):
            some = stars._replace(
                flux=np.ascontiguousarray(f[:, ::stride]), weight=np.ascontiguousarray(weight[:, ::stride])
            )
            x, won = _best_start(starts, some, stars, tables, n_iterations)
            found = _descend(x, stars, exact, _Rule(n_iterations, _CHI2_STOP))
        return _labels_of(model, fitted, found, won, n_pix)

    parts = run_blocks(label_block, range(0, max(n_star, 1), block), threads)
    return Labels(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _labels_of(model, fitted, found, won, n_pix):
    """`Labels` of a block of stars, some of which were fitted; NaN for those that do not constrain theirs."""
    minima = Minima.none(len(n_pix), len(model.label_names))
    if len(fitted):
        length = np.sqrt(np.einsum("nkk->nk", found.normal))
        known = (length > 0).all(axis=1) & np.isfinite(found.normal).all(axis=(1, 2))
        unit = found.normal[known] / (length[known, :, None] * length[known, None, :])
        known[known] = np.linalg.eigvalsh(unit)[:, 0] > _SINGULAR
        these = fitted[known]
        minima.x[these], minima.normal[these] = found.x[known], found.normal[known]
        minima.chi2[these], minima.start[these] = found.chi2[known], won[known]
        minima.converged[these] = found.drop[known] < _CHI2_CONVERGED
    return labels_at(minima, n_pix, model.label_scale)
