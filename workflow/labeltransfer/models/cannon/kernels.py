"""Compiled loops of training and labelling: small solvers, and descents in the space of labels.

Matrices here are packed: the rows of the upper triangle, one after the other.
"""

from typing import NamedTuple

import numpy as np

from labeltransfer.models.compiled import compiled

# A pivot below this part of its diagonal element means a column that is a combination of earlier ones.
_SINGULAR = 1e-11
# Damping of the first step, the least, what counts as little, and what ends a descent without a minimum.
_FIRST_DAMPING = 1e-3
_LEAST_DAMPING = 1e-9
_LITTLE_DAMPING = 0.1
_MOST_DAMPING = 1e8
# A later start must end lower by more than rounding to replace an earlier one, in chi2 and relative to it.
_LOWER = 1e-6
_LOWER_RELATIVE = 1e-12
# How often a descent that has not come to a minimum goes on.
_MOST_AGAIN = 4
# chi2 where there is no minimum yet: larger than any.
_NO_CHI2 = 1e300
# A descent is on its way to a known minimum if it comes within one formal error of it, where chi2 has grown
# to that of the parabola about it but for this part.
_SAME_CHI2 = 1.0
_SAME_PARABOLA = 0.1
_SAME_ROUNDING = 1e-6


# ------------------------------------------------------------------------------------------ small solvers


@compiled
def _cholesky(a, n):
    """Cholesky factor of a packed n by n matrix, in place; False if it is not definite."""
    row = 0
    for k in range(n):
        diagonal = a[row]
        before = diagonal  # and what was taken away for the earlier columns
        above = k
        for m in range(k):
            before += a[above] * a[above]
            above += n - 1 - m
        if not (diagonal > _SINGULAR * before and before < np.inf):
            return False
        pivot = np.sqrt(diagonal)
        a[row] = pivot
        inverse = 1.0 / pivot
        for j in range(1, n - k):
            a[row + j] *= inverse
        target = row + n - k
        for i in range(k + 1, n):
            factor = a[row + i - k]
            for j in range(n - i):
                a[target + j] -= factor * a[row + i - k + j]
            target += n - i
        row += n - k
    return True


@compiled
def _cholesky_solve(a, n, b):
    """Solve in place with the factor that `_cholesky` left in ``a``."""
    row = 0
    for k in range(n):
        b[k] /= a[row]
        for j in range(1, n - k):
            b[k + j] -= a[row + j] * b[k]
        row += n - k
    for k in range(n - 1, -1, -1):
        row -= n - k
        total = b[k]
        for j in range(1, n - k):
            total -= a[row + j] * b[k + j]
        b[k] = total / a[row]


@compiled
def factor_and_solve(normal, rhs, solved):
    """Solve many symmetric systems in place.

    Parameters
    ----------
    normal : (p, n (n + 1) / 2) array
        Packed matrices; overwritten by their Cholesky factors.
    rhs : (p, n) array
        Right-hand sides; overwritten by the solutions, zero where there is none.
    solved : (p,) bool array
        Overwritten: False where a matrix is not (numerically) definite.
    """
    for p in range(len(rhs)):
        solved[p] = _cholesky(normal[p], rhs.shape[1])
    solve_again(normal, rhs, solved)


@compiled
def solve_again(factor, rhs, solved):
    """Solve the systems of `factor_and_solve` for other right-hand sides, in place."""
    for p in range(len(rhs)):
        if solved[p]:
            _cholesky_solve(factor[p], rhs.shape[1], rhs[p])
        else:
            rhs[p, :] = 0.0


# ------------------------------------------------------------------------------------------ minima of chi2


class DescentRule(NamedTuple):
    """When a descent ends."""

    stop: float  # expected drop of chi2 in one more step
    accept: float  # the same: below this a fit has converged
    n_iterations: int


class Fits(NamedTuple):
    """What `fit_labels` fills in for n stars."""

    x: np.ndarray  # (n, k) scaled labels
    normal: np.ndarray  # (n, k (k + 1) / 2) packed J^T W J
    converged: np.ndarray  # (n,)
    start: np.ndarray  # (n,) the first start that led there, -1 if none did


class _Terms(NamedTuple):
    """`labeltransfer.models.polynomial.Polynomial` as the loops want it."""

    parent: np.ndarray  # (t + 1,)
    variable: np.ndarray  # (t + 1,)
    slopes: np.ndarray  # (E, 4) term (not counting the first), label, source and factor of each derivative


class _Star(NamedTuple):
    """chi2 = v^T H v - 2 g.v of one star, up to a constant, with v the terms without the first."""

    h: np.ndarray  # (t, t)
    g: np.ndarray  # (t,)


class _Point(NamedTuple):
    """A place in the space of labels."""

    x: np.ndarray  # (k,) scaled labels
    v: np.ndarray  # (t + 1,) terms
    hv: np.ndarray  # (t,) H v


class _Local(NamedTuple):
    """The parabola about a place, and a step on it."""

    hd: np.ndarray  # (k, t) H times the derivatives of the terms
    slope: np.ndarray  # (k,) half the gradient of chi2
    normal: np.ndarray  # (k (k + 1) / 2) packed J^T W J
    factor: np.ndarray  # (k (k + 1) / 2) its damped Cholesky factor
    step: np.ndarray  # (k,)


class _Minimum(NamedTuple):
    """The lowest minimum so far; NaN where there is none."""

    x: np.ndarray  # (k,)
    normal: np.ndarray  # (k (k + 1) / 2)
    chi2: float


@compiled
def _evaluate(x, h, g, parent, variable, v, hv):
    """chi2 at the labels x relative to the baseline; fills in their terms v and H v."""
    n = len(g)
    v[0] = 1.0
    for t in range(1, n + 1):
        v[t] = v[parent[t]] * x[variable[t]]
    hv[:] = 0.0
    for i in range(n):
        row, factor = h[i], v[i + 1]
        for j in range(n):
            hv[j] += factor * row[j]
    chi2 = 0.0
    for i in range(n):
        chi2 += v[i + 1] * (hv[i] - 2.0 * g[i])
    return chi2


@compiled
def _curvature(v, hv, h, g, slopes, hd, slope, normal):
    """Half the gradient of chi2 and the curvature J^T W J (packed) at the terms v."""
    n_label, n = hd.shape
    hd[:, :] = 0.0
    slope[:] = 0.0
    normal[:] = 0.0
    for e in range(len(slopes)):
        t, k = slopes[e, 0], slopes[e, 1]
        d = slopes[e, 3] * v[slopes[e, 2]]
        slope[k] += d * (hv[t] - g[t])
        row, target = h[t], hd[k]
        for j in range(n):
            target[j] += d * row[j]
    for e in range(len(slopes)):
        t, k = slopes[e, 0], slopes[e, 1]
        d = slopes[e, 3] * v[slopes[e, 2]]
        row = k * n_label - k * (k - 1) // 2 - k
        for m in range(k, n_label):
            normal[row + m] += d * hd[m, t]


@compiled
def _damped_step(normal, slope, damping, factor, step):
    """Solve for a Levenberg-Marquardt step; returns the expected drop of chi2, -1 if that fails."""
    n_label = len(slope)
    factor[:] = normal
    row = 0
    for k in range(n_label):
        factor[row] *= 1.0 + damping
        row += n_label - k
        step[k] = -slope[k]
    if not _cholesky(factor, n_label):
        return -1.0
    _cholesky_solve(factor, n_label, step)
    drop = 0.0
    for k in range(n_label):
        drop -= slope[k] * step[k]
    return drop


@compiled
def _leads_to(x, chi2, best_x, best_normal, best_chi2):
    """True within one formal error of a minimum, and where chi2 is the parabola about that minimum.

    False where there is no minimum yet, whose normal matrix is NaN.
    """
    parabola = 0.0
    k = 0
    for i in range(len(x)):
        for j in range(i, len(x)):
            product = best_normal[k] * (x[i] - best_x[i]) * (x[j] - best_x[j])
            parabola += product if i == j else 2.0 * product
            k += 1
    off = abs(chi2 - best_chi2 - parabola)
    return parabola < _SAME_CHI2 and off < _SAME_PARABOLA * parabola + _SAME_ROUNDING


@compiled
def _descend(star, terms, point, trial, local, rule, best):
    """Levenberg-Marquardt from ``point``, in place; returns chi2, or infinity on the way to the best so far.

    A descent that does not end in a minimum leaves NaN in ``local.normal``.
    """
    h, g = star
    parent, variable, slopes = terms
    x, v, hv = point
    x_new, v_new, hv_new = trial
    hd, slope, normal, factor, step = local
    best_x, best_normal, best_chi2 = best
    chi2 = _evaluate(x, h, g, parent, variable, v, hv)
    damping = _FIRST_DAMPING
    for _ in range(rule.n_iterations):
        _curvature(v, hv, h, g, slopes, hd, slope, normal)
        while True:
            chi2_new = np.inf
            drop = _damped_step(normal, slope, damping, factor, step)
            if drop >= 0:
                if drop <= rule.stop and damping < _LITTLE_DAMPING:
                    return chi2
                for k in range(len(x)):
                    x_new[k] = x[k] + step[k]
                chi2_new = _evaluate(x_new, h, g, parent, variable, v_new, hv_new)
            if chi2_new <= chi2:
                break
            damping *= 10.0
            if damping > _MOST_DAMPING:
                normal[:] = np.nan
                return chi2
        damping = max(0.1 * damping, _LEAST_DAMPING)
        chi2 = chi2_new
        x[:] = x_new
        v[:] = v_new
        hv[:] = hv_new
        if _leads_to(x, chi2, best_x, best_normal, best_chi2):
            return np.inf
    normal[:] = np.nan
    return chi2


@compiled
def _terms_of(terms):
    slopes = np.empty((len(terms.slope_term), 4), dtype=np.int64)
    slopes[:, 0] = terms.slope_term - 1
    slopes[:, 1] = terms.slope_label
    slopes[:, 2] = terms.slope_source
    slopes[:, 3] = terms.slope_factor
    return _Terms(terms.parent, terms.variable, slopes)


@compiled
def _unpack(packed, full):
    """A packed matrix in full."""
    k = 0
    for i in range(len(full)):
        for j in range(i, len(full)):
            full[i, j] = packed[k]
            full[j, i] = packed[k]
            k += 1


@compiled
def fit_labels(packed, rhs, starts, terms, rule, fits):
    """Follow every start to a minimum of the polynomial chi2 of each star; the lowest wins.

    Parameters
    ----------
    packed, rhs : (n, t (t + 1) / 2) and (n, t) arrays
        H (packed) and g of every star, see `_Star`.
    starts : (m, k) array
        Scaled labels.
    terms : labeltransfer.models.polynomial.Polynomial
        With t + 1 terms.
    rule : DescentRule
    fits : Fits
        Overwritten.
    """
    n_star, n = rhs.shape
    n_label, n_pair = fits.x.shape[1], fits.normal.shape[1]
    tables = _terms_of(terms)
    h = np.empty((n, n))
    point = _Point(np.empty(n_label), np.empty(n + 1), np.empty(n))
    trial = _Point(np.empty(n_label), np.empty(n + 1), np.empty(n))
    local = _Local(
        np.empty((n_label, n)), np.empty(n_label), np.empty(n_pair), np.empty(n_pair), np.empty(n_label)
    )
    for s in range(n_star):
        _unpack(packed[s], h)
        star = _Star(h, rhs[s])
        fits.normal[s] = np.nan
        fits.start[s] = -1
        best = _Minimum(fits.x[s], fits.normal[s], _NO_CHI2)
        for m in range(len(starts)):
            point.x[:] = starts[m]
            chi2 = _descend(star, tables, point, trial, local, rule, best)
            lower = chi2 < best.chi2 - _LOWER - _LOWER_RELATIVE * abs(best.chi2)
            # What ended before it was at a minimum goes on from there, if it is lower than all that were.
            for _ in range(_MOST_AGAIN):
                if not (lower and np.isnan(local.normal[0])):
                    break
                chi2 = _descend(star, tables, point, trial, local, rule, best)
                lower = chi2 < best.chi2 - _LOWER - _LOWER_RELATIVE * abs(best.chi2)
            # A place that is no minimum replaces none, and is replaced by any.
            ended = not np.isnan(local.normal[0])
            settled = fits.start[s] >= 0 and not np.isnan(best.normal[0])
            if (lower and (ended or not settled)) or (ended and chi2 < np.inf and not settled):
                fits.start[s] = m
                fits.x[s] = point.x
                fits.normal[s] = local.normal
                best = _Minimum(best.x, best.normal, chi2)
        if fits.start[s] < 0:
            continue
        _evaluate(fits.x[s], h, star.g, tables.parent, tables.variable, point.v, point.hv)
        _curvature(point.v, point.hv, h, star.g, tables.slopes, local.hd, local.slope, fits.normal[s])
        drop = _damped_step(fits.normal[s], local.slope, 0.0, local.factor, local.step)
        fits.converged[s] = 0.0 <= drop <= rule.accept
        if drop < 0:
            fits.start[s] = -1
