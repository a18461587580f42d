"""The Cannon (Ness et al. 2015; Ho et al. 2017): a polynomial model of the flux of every pixel.

Training maximises the likelihood of Eq. 5 of Ho et al. 2017 over the coefficients and the intrinsic scatter
of each pixel.  Labelling uses that the chi2 of a star is a polynomial in its labels, whose coefficients
follow from one matrix product per block of stars; no iteration touches a pixel again.
"""

import csv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from labeltransfer.models.polynomial import polynomial, vectorize, vectorize_slopes

#: What the numbers in ``CannonModel.status`` mean.
STATUS = ("trained", "too few stars", "degenerate labels", "scatter not converged")

# A pixel is trained where it has at least this many good stars per coefficient.
_STARS_PER_TERM = 2
# The scatter starts from a fit to at most about this many stars.
_PILOT_STARS = 256
# A Newton step in s^2 below this fraction of the pixel's variance ends the training of a pixel: as the step
# is exact to second order, what is left is of the order of its square.
_STEP_TOLERANCE = 1e-3
_MAX_ITERATIONS = 20
# Label fits stop when the expected drop of chi2 is below the first, and count as converged below the second.
_CHI2_STOP = 1e-8
_CHI2_CONVERGED = 1e-4
_MAX_LABEL_ITERATIONS = 60
# Stars (pixels) that are turned into weights at a time: small enough for them to stay in the cache.
_STAR_CHUNK = 1024
_PIXEL_CHUNK = 512
# The authors' grid of ln(scatter).
_AUTHORS_GRID = np.arange(np.log(1e-4), 0.0, 0.5)

# Sums may be reordered so that they vectorize; NaN and infinity keep their meaning.
_compile = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


@dataclass(frozen=True)
class CannonModel:
    """A trained model of p pixels and k labels; T is the number of terms of the polynomial.

    Attributes
    ----------
    label_names : tuple of k str
    order : int
        Order of the polynomial.
    pivot, scale : (k,) arrays
        Mean and standard deviation of the training labels; the model is a polynomial in
        ``x = (label - pivot) / scale``.
    theta : (p, T) array
        Coefficients, terms in the order of `labeltransfer.models.polynomial.polynomial`.
    scatter : (p,) array
        Intrinsic scatter s, in units of the normalised flux.
    chi2 : (p,) array
        Sum over the training stars of ``residual^2 / (1 / ivar + s^2)``.
    n_used : (p,) int array
        Training stars with ivar > 0.
    status : (p,) int array
        Index into `STATUS`.
    wavelength : (p,) array or None
        Vacuum, Angstrom.
    """

    kind: ClassVar[str] = "cannon"

    label_names: tuple
    order: int
    pivot: np.ndarray
    scale: np.ndarray
    theta: np.ndarray
    scatter: np.ndarray
    chi2: np.ndarray
    n_used: np.ndarray
    status: np.ndarray
    wavelength: np.ndarray | None = None

    @property
    def terms(self):
        """The tables of the polynomial."""
        return polynomial(len(self.label_names), self.order)

    @property
    def usable(self):
        """(p,) bool: pixels that have a model; the others have zero coefficients and are never fitted."""
        return (self.status != 1) & (self.status != 2)

    def to_scaled(self, labels):
        """Physical labels (..., k) to the model's own units."""
        return (np.asarray(labels, dtype=float) - self.pivot) / self.scale


class Labels(NamedTuple):
    """Labels of n stars, in physical units.

    Attributes
    ----------
    labels : (n, k) array
        NaN where the spectrum does not constrain them.
    covariance : (n, k, k) array
        Formal covariance: inverse of the curvature J^T W J, with weights 1 / (1 / ivar + s^2).
    chi2 : (n,) array
        Summed over the pixels in use, at these labels.
    n_pix : (n,) int array
        Pixels in use: ivar > 0 and a trained model.
    reduced_chi2 : (n,) array
        ``chi2 / (n_pix - k)``.
    converged : (n,) bool array
        The labels are at a minimum of chi2: the expected drop of chi2 in one more step is < 1e-4.
    start : (n,) int array
        The first starting point that led to this minimum, -1 where there is none.
    """

    labels: np.ndarray
    covariance: np.ndarray
    chi2: np.ndarray
    n_pix: np.ndarray
    reduced_chi2: np.ndarray
    converged: np.ndarray
    start: np.ndarray


# ------------------------------------------------------------------------------------------ small solvers


@_compile
def _cholesky(a, n):
    """Cholesky factor of a packed upper triangle (rows, n by n), in place; False if it is not definite.

    A pivot that is a tiny part of its diagonal element means a column that is a combination of earlier ones.
    """
    row = 0
    for k in range(n):
        diagonal = a[row]
        before = diagonal  # and what was taken away for the earlier columns
        above = k
        for m in range(k):
            before += a[above] * a[above]
            above += n - 1 - m
        if not (diagonal > 1e-11 * before and before < np.inf):
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


@_compile
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


# ----------------------------------------------------------------------------------------------- training


@_compile
def _clean(flux, ivar, first, f, iv, n_used):
    """Copy pixels ``first...`` to rows (pixel, star) in float64; masked ones become zero in both."""
    last = first + f.shape[0]
    for n in range(flux.shape[0]):
        values, inverses = flux[n, first:last], ivar[n, first:last]
        for p in range(f.shape[0]):
            value, inverse = values[p], inverses[p]
            good = (inverse > 0) & (inverse < np.inf) & (abs(value) < np.inf)
            f[p, n] = value if good else 0.0
            iv[p, n] = inverse if good else 0.0
            n_used[p] += good


@_compile
def _training_weights(f, iv, s2, start, w, wf):
    stop = start + w.shape[1]
    for p in range(w.shape[0]):
        values, inverses = f[p, start:stop], iv[p, start:stop]
        for n in range(w.shape[1]):
            weight = inverses[n] / (1.0 + inverses[n] * s2[p])
            w[p, n] = weight
            wf[p, n] = weight * values[n]


@_compile
def _products(design, start, out):
    """Products of all pairs of terms of each star."""
    n_term = design.shape[1]
    for n in range(out.shape[0]):
        v, row = design[start + n], out[n]
        first = 0
        for i in range(n_term):
            target = row[first : first + n_term - i]
            for j in range(n_term - i):
                target[j] = v[i] * v[i + j]
            first += n_term - i


@_compile
def _factor_and_solve(normal, rhs, solved):
    n_term = rhs.shape[1]
    for p in range(len(rhs)):
        solved[p] = _cholesky(normal[p], n_term)
        if solved[p]:
            _cholesky_solve(normal[p], n_term, rhs[p])
        else:
            rhs[p, :] = 0.0


@_compile
def _back_solve(normal, rhs, solved):
    for p in range(len(rhs)):
        if solved[p]:
            _cholesky_solve(normal[p], rhs.shape[1], rhs[p])
        else:
            rhs[p, :] = 0.0


@_compile
def _squared_weights(iv, residual, s2, start, out):
    stop = start + out.shape[1]
    for p in range(out.shape[0]):
        residuals, inverses = residual[p, start:stop], iv[p, start:stop]
        for n in range(out.shape[1]):
            weight = inverses[n] / (1.0 + inverses[n] * s2[p])
            out[p, n] = weight * weight * residuals[n]


@_compile
def _minus_two_log_likelihood(iv, residual, s2, out):
    """Minus twice Eq. 5 per pixel (up to the constant sum of ln ivar + ln 2 pi)."""
    for p in range(len(iv)):
        total = 0.0
        for n in range(iv.shape[1]):
            growth = 1.0 + iv[p, n] * s2[p]
            total += iv[p, n] / growth * residual[p, n] ** 2 + np.log(growth)
        out[p] = total


@_compile
def _newton_scatter(iv, residual, change, s2, tolerance, chi2):
    """Move each s^2 to the maximum of the likelihood along ``residual - (s^2 - s0^2) change``.

    Newton steps where the curvature is sound, Fisher scoring elsewhere, inside a bracket that the sign of the
    slope keeps; s^2 = 0 is allowed.  Returns nothing; ``s2`` and ``chi2`` (at the new place) are overwritten.
    """
    for p in range(len(iv)):
        start = s2[p]
        u = start
        low, high = -1.0, np.inf
        total = 0.0
        for n in range(iv.shape[1]):
            total += 1.0 if iv[p, n] > 0 else 0.0
        for _ in range(60):
            moved = u - start
            slope = 0.0
            curvature = 0.0
            fisher = 0.0
            for n in range(iv.shape[1]):
                w = iv[p, n] / (1.0 + iv[p, n] * u)
                r = residual[p, n] - moved * change[p, n]
                wr = w * r
                excess = w - wr * wr
                tilt = wr * change[p, n]
                slope += excess - 2.0 * tilt
                curvature += w * (w - 2.0 * excess + 4.0 * tilt + 2.0 * change[p, n] * change[p, n])
                fisher += w * w
            if not fisher > 0 or slope == 0 or (u == 0 and slope > 0):
                break
            if slope > 0:
                high = u
            else:
                low = u
            step = -slope / (curvature if curvature > 0.3 * fisher else fisher)
            new = max(u + step, 0.0)
            if new <= low or new >= high:
                new = 0.5 * (max(low, 0.0) + high)
            step = new - u
            u = new
            # sqrt(total / fisher) is the typical variance of a star at this pixel
            if abs(step) <= tolerance * np.sqrt(total / fisher):
                break
        moved = u - start
        sum_chi2 = 0.0
        for n in range(iv.shape[1]):
            r = residual[p, n] - moved * change[p, n]
            sum_chi2 += iv[p, n] / (1.0 + iv[p, n] * u) * r * r
        s2[p] = u
        chi2[p] = sum_chi2


def _solve_coefficients(f, iv, s2, design):
    """Weighted least squares of every pixel (rows of f, iv) at given s^2: theta, Cholesky factors, solved."""
    n_pix, n_star = f.shape
    n_term = design.shape[1]
    n_pair = n_term * (n_term + 1) // 2
    normal = np.zeros((n_pix, n_pair))
    theta = np.zeros((n_pix, n_term))
    # few stars at a time when there are many terms
    chunk = min(_STAR_CHUNK, max(32, 2**21 // n_pair))
    for start in range(0, n_star, chunk):
        stars = slice(start, min(start + chunk, n_star))
        size = stars.stop - start
        w, wf, pairs = np.empty((n_pix, size)), np.empty((n_pix, size)), np.empty((size, n_pair))
        _training_weights(f, iv, s2, start, w, wf)
        _products(design, start, pairs)
        normal += w @ pairs
        theta += wf @ design[stars]
    solved = np.zeros(n_pix, dtype=bool)
    _factor_and_solve(normal, theta, solved)
    return theta, normal, solved


def _response(iv, residual, s2, design, factor, solved):
    """Derivative of the least-squares coefficients by s^2."""
    change = np.zeros((len(iv), design.shape[1]))
    for start in range(0, iv.shape[1], _STAR_CHUNK):
        stars = slice(start, min(start + _STAR_CHUNK, iv.shape[1]))
        weighted = np.empty((len(iv), stars.stop - start))
        _squared_weights(iv, residual, s2, start, weighted)
        change -= weighted @ design[stars]
    _back_solve(factor, change, solved)
    return change


def _mean_variance(iv):
    """Harmonic mean of the noise variance of each row over its good stars."""
    return (iv > 0).sum(axis=1) / np.maximum(iv.sum(axis=1), np.finfo(float).tiny)


def _starting_scatter(f, iv, design):
    """A first s^2, the best of a coarse grid on every few stars: Newton then starts in the right valley."""
    stars = slice(None, None, max(1, len(design) // max(_PILOT_STARS, 8 * design.shape[1])))
    f, iv, design = (
        np.ascontiguousarray(f[:, stars]),
        np.ascontiguousarray(iv[:, stars]),
        design[stars].copy(),
    )
    theta, _, _ = _solve_coefficients(f, iv, _mean_variance(iv), design)
    residual = f - theta @ design.T
    residual[iv == 0] = 0.0
    mean_square = (residual**2).sum(axis=1) / np.maximum((iv > 0).sum(axis=1), 1)
    grid = np.append(mean_square * 9.0 ** -np.arange(6)[:, None], [np.zeros(len(f))], axis=0)
    cost = np.empty_like(grid)
    for trial, out in zip(grid, cost, strict=True):
        _minus_two_log_likelihood(iv, residual, trial, out)
    s2 = grid[np.argmin(cost, axis=0), np.arange(len(f))]
    _newton_scatter(iv, residual, np.zeros_like(residual), s2, 0.1 * _STEP_TOLERANCE, np.empty(len(f)))
    return s2


def _train_exact(f, iv, design):
    """Coefficients and s^2 at the maximum of the likelihood, chi2 and status of each row."""
    n_pix, n_term = len(f), design.shape[1]
    theta, s2, chi2 = np.zeros((n_pix, n_term)), np.zeros(n_pix), np.zeros(n_pix)
    status = np.full(n_pix, 3, dtype=np.int8)
    active = np.arange(n_pix)
    current = _starting_scatter(f, iv, design)
    for _ in range(_MAX_ITERATIONS):
        coefficients, factor, solved = _solve_coefficients(f, iv, current, design)
        residual = f - coefficients @ design.T
        change = _response(iv, residual, current, design, factor, solved)
        new, cost = current.copy(), np.empty(len(active))
        _newton_scatter(iv, residual, change @ design.T, new, 0.1 * _STEP_TOLERANCE, cost)
        step = new - current
        theta[active] = coefficients + step[:, None] * change
        s2[active], chi2[active] = new, cost
        done = np.abs(step) <= _STEP_TOLERANCE * (new + _mean_variance(iv))
        status[active[done]] = 0
        status[active[~solved]] = 2
        left = solved & ~done
        if not left.any():
            break
        if not left.all():
            f, iv = f[left], iv[left]
        active, current = active[left], new[left]
    return theta, s2, chi2, status


def _train_grid(f, iv, design):
    """The same with the authors' scatter: a parabola through the best three of 19 points in ln s."""
    cost = np.empty((len(_AUTHORS_GRID), len(f)))
    for ln_scatter, out in zip(_AUTHORS_GRID, cost, strict=True):
        s2 = np.full(len(f), np.exp(2 * ln_scatter))
        theta, _, _ = _solve_coefficients(f, iv, s2, design)
        _minus_two_log_likelihood(iv, f - theta @ design.T, s2, out)
    lowest = np.argmin(cost, axis=0)
    inner = np.clip(lowest, 1, len(cost) - 2)
    left, middle, right = (cost[inner + shift, np.arange(len(f))] for shift in (-1, 0, 1))
    bend = left - 2 * middle + right
    offset = np.where(bend > 0, 0.5 * (left - right) / np.where(bend > 0, bend, 1.0), 0.0)
    offset = np.where(lowest == inner, offset, lowest - inner)
    s2 = np.exp(2 * (_AUTHORS_GRID[inner] + (_AUTHORS_GRID[1] - _AUTHORS_GRID[0]) * offset))
    theta, _, solved = _solve_coefficients(f, iv, s2, design)
    residual = f - theta @ design.T
    chi2 = (iv / (1 + iv * s2[:, None]) * residual**2).sum(axis=1)
    return theta, s2, chi2, np.where(solved, 0, 2).astype(np.int8)


def _native(spectra):
    """Contiguous float32 or float64 in the machine's byte order (FITS has the other); no copy where it is."""
    spectra = np.ascontiguousarray(spectra)
    return (
        spectra
        if spectra.dtype in (np.float32, np.float64) and spectra.dtype.isnative
        else spectra.astype(float)
    )


def _check_spectra(flux, ivar):
    if np.ndim(flux) != 2 or np.shape(flux) != np.shape(ivar):
        raise ValueError(
            f"flux and ivar must both be (n_star, n_pix), found shapes {np.shape(flux)} and {np.shape(ivar)}"
        )


def _check_training_labels(labels, n_star, label_names, order):
    labels = np.asarray(labels, dtype=float)
    if labels.shape != (n_star, len(label_names)):
        raise ValueError(
            f"labels must be (n_star, n_label) = ({n_star}, {len(label_names)}) for the labels "
            f"{', '.join(label_names)}, found {labels.shape}"
        )
    n_term = len(polynomial(len(label_names), order).parent)
    if n_star < _STARS_PER_TERM * n_term:
        raise ValueError(
            f"a model of order {order} in {len(label_names)} labels has {n_term} coefficients per pixel and "
            f"needs at least {_STARS_PER_TERM * n_term} training stars, found {n_star}; "
            "loosen the cuts on the reference set or choose fewer labels"
        )
    for name, column in zip(label_names, labels.T, strict=True):
        bad = np.count_nonzero(~np.isfinite(column))
        if bad:
            raise ValueError(
                f"training label {name} is not finite for {bad} of {n_star} stars; drop those stars"
            )
        if np.ptp(column) == 0:
            raise ValueError(
                f"training label {name} is {column[0]} for every star: nothing can be learned of it"
            )
    return labels


def _run_blocks(function, blocks, threads):
    """Results of every block in order; BLAS has one thread, so that bytes do not depend on ``threads``."""
    with threadpool_limits(limits=1, user_api="blas"):
        if threads == 1:
            return [function(block) for block in blocks]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(function, blocks))


def train(
    flux, ivar, labels, *, label_names, order=2, wavelength=None, block=192, threads=1, scatter="exact"
):
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
    block : int
        Pixels per unit of work.
    threads : int
        Threads over the blocks; the result does not depend on it.
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
    _check_spectra(flux, ivar)
    label_names = tuple(label_names)
    labels = _check_training_labels(labels, len(flux), label_names, order)
    methods = {"exact": _train_exact, "grid": _train_grid}
    if scatter not in methods:
        raise ValueError(f"scatter must be one of {', '.join(methods)}, not {scatter!r}")
    pivot, scale = labels.mean(axis=0), labels.std(axis=0)
    design = vectorize((labels - pivot) / scale, polynomial(len(label_names), order))
    flux, ivar = _native(flux), _native(ivar)
    n_star, n_pix = flux.shape
    n_term = design.shape[1]

    def train_block(first):
        size = min(block, n_pix - first)
        f, iv, n_used = np.empty((size, n_star)), np.empty((size, n_star)), np.zeros(size, dtype=np.int64)
        _clean(flux, ivar, first, f, iv, n_used)
        theta, s2, chi2 = np.zeros((size, n_term)), np.zeros(size), np.zeros(size)
        status = np.ones(size, dtype=np.int8)
        enough = n_used >= _STARS_PER_TERM * n_term
        if enough.any():
            if not enough.all():
                f, iv = f[enough], iv[enough]
            theta[enough], s2[enough], chi2[enough], status[enough] = methods[scatter](f, iv, design)
        untrained = (status == 1) | (status == 2)
        theta[untrained], s2[untrained], chi2[untrained] = 0.0, 0.0, 0.0
        return theta, np.sqrt(s2), chi2, n_used, status

    parts = zip(*_run_blocks(train_block, range(0, n_pix, block), threads), strict=True)
    theta, s, chi2, n_used, status = (np.concatenate(part) for part in parts)
    if wavelength is not None:
        wavelength = np.asarray(wavelength, dtype=float)
    return CannonModel(label_names, order, pivot, scale, theta, s, chi2, n_used, status, wavelength)


# ---------------------------------------------------------------------------------------------- labelling


@_compile
def _label_weights(flux, ivar, first, base, s2, w, wy, n_pix):
    """Weights of some pixels of each star, weighted flux above the baseline, and the pixels in use."""
    last = first + w.shape[1]
    base, s2 = base[first:last], s2[first:last]
    for n in range(w.shape[0]):
        values, inverses = flux[n, first:last], ivar[n, first:last]
        count = 0
        for p in range(w.shape[1]):
            value, inverse = values[p], inverses[p]
            good = (inverse > 0) & (inverse < np.inf) & (abs(value) < np.inf)
            weight = inverse / (1.0 + inverse * s2[p]) if good else 0.0
            w[n, p] = weight
            wy[n, p] = weight * (value - base[p]) if good else 0.0
            count += weight > 0
        n_pix[n] += count


@_compile
def _add_chi2(flux, ivar, first, s2, model, chi2):
    last = first + model.shape[1]
    s2 = s2[first:last]
    for n in range(model.shape[0]):
        values, inverses = flux[n, first:last], ivar[n, first:last]
        total = 0.0
        for p in range(model.shape[1]):
            value, inverse = values[p], inverses[p]
            good = (inverse > 0) & (inverse < np.inf) & (abs(value) < np.inf)
            weight = inverse / (1.0 + inverse * s2[p]) if good else 0.0
            residual = value - model[n, p] if good else 0.0
            total += weight * residual * residual
        chi2[n] += total


@_compile
def _evaluate(x, h, g, parent, variable, v, hv):
    """chi2 of the labels x relative to the baseline; fills the terms v and the product H v."""
    n = len(g)
    v[0] = 1.0
    for t in range(1, n + 1):
        v[t] = v[parent[t]] * x[variable[t]]
    hv[:] = 0.0
    for i in range(n):
        row, factor = h[i], v[i + 1]
        for j in range(n):
            hv[j] += factor * row[j]
    cost = 0.0
    for i in range(n):
        cost += v[i + 1] * (hv[i] - 2.0 * g[i])
    return cost


@_compile
def _curvature(h, g, v, hv, term, label, source, factor, hd, slope, normal):
    """Half the gradient of chi2 and the Gauss-Newton matrix J^T W J (packed) at the terms v."""
    n_label = len(slope)
    n = len(g)
    hd[:, :] = 0.0
    slope[:] = 0.0
    normal[:] = 0.0
    for e in range(len(term)):
        t, k = term[e] - 1, label[e]
        d = factor[e] * v[source[e]]
        slope[k] += d * (hv[t] - g[t])
        row, target = h[t], hd[k]
        for j in range(n):
            target[j] += d * row[j]
    for e in range(len(term)):
        t, k = term[e] - 1, label[e]
        d = factor[e] * v[source[e]]
        row = k * n_label - k * (k - 1) // 2 - k
        for m in range(k, n_label):
            normal[row + m] += d * hd[m, t]


@_compile
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


@_compile
def _is_same_minimum(x, cost, best_x, best_cost, best_normal):
    """True within one formal error of a minimum, and where chi2 is the parabola about that minimum.

    False where there is no minimum yet, whose normal matrix is NaN.
    """
    n_label = len(x)
    parabola = 0.0
    k = 0
    for i in range(n_label):
        for j in range(i, n_label):
            product = best_normal[k] * (x[i] - best_x[i]) * (x[j] - best_x[j])
            parabola += product if i == j else 2.0 * product
            k += 1
    return parabola < 1.0 and abs(cost - best_cost - parabola) < 0.1 * parabola + 1e-6


@_compile
def _descend(x, h, g, tables, work, normal, tolerances, best_x, best_cost, best_normal):
    """Levenberg-Marquardt from x, in place; returns chi2, or infinity on the way to the best minimum so far.

    A descent that does not end in a minimum leaves NaN in ``normal``.
    """
    parent, variable, term, label, source, factor = tables
    v, v_new, hv, hv_new, hd, slope, damped, step, x_new = work
    stop, _, max_iterations = tolerances
    cost = _evaluate(x, h, g, parent, variable, v, hv)
    damping = 1e-3
    for _ in range(max_iterations):
        _curvature(h, g, v, hv, term, label, source, factor, hd, slope, normal)
        while True:
            cost_new = np.inf
            drop = _damped_step(normal, slope, damping, damped, step)
            if drop >= 0:
                if drop <= stop and damping < 0.1:
                    return cost
                for k in range(len(x)):
                    x_new[k] = x[k] + step[k]
                cost_new = _evaluate(x_new, h, g, parent, variable, v_new, hv_new)
            if cost_new <= cost:
                break
            damping *= 10.0
            if damping > 1e8:
                normal[:] = np.nan
                return cost
        damping = max(0.1 * damping, 1e-9)
        cost = cost_new
        x[:] = x_new
        v[:] = v_new
        hv[:] = hv_new
        if _is_same_minimum(x, cost, best_x, best_cost, best_normal):
            return np.inf
    normal[:] = np.nan
    return cost


@_compile
def _fit_labels(packed, rhs, starts, tables, tolerances, out, normal_out, converged, won):
    """Follow every start to a minimum of the polynomial chi2 of each star; the lowest wins."""
    n_star, n = rhs.shape
    n_label = starts.shape[1]
    n_pair = n_label * (n_label + 1) // 2
    _, accept, _ = tolerances
    parent, variable, term, label, source, factor = tables
    h = np.empty((n, n))
    v, hv, hd = np.empty(n + 1), np.empty(n), np.empty((n_label, n))
    slope, damped, step = np.empty(n_label), np.empty(n_pair), np.empty(n_label)
    work = (v, np.empty(n + 1), hv, np.empty(n), hd, slope, damped, step, np.empty(n_label))
    x, normal = np.empty(n_label), np.empty(n_pair)
    for s in range(n_star):
        g = rhs[s]
        k = 0
        for i in range(n):
            for j in range(i, n):
                h[i, j] = packed[s, k]
                h[j, i] = packed[s, k]
                k += 1
        best = 1e300
        normal_out[s] = np.nan
        won[s] = -1
        for m in range(len(starts)):
            x[:] = starts[m]
            cost = _descend(x, h, g, tables, work, normal, tolerances, out[s], best, normal_out[s])
            # a later start must be better by more than rounding to replace an earlier one
            if cost < best - 1e-6 - 1e-12 * abs(best):
                best = cost
                won[s] = m
                out[s] = x
                normal_out[s] = normal
        if won[s] < 0:
            continue
        _evaluate(out[s], h, g, parent, variable, v, hv)
        _curvature(h, g, v, hv, term, label, source, factor, hd, slope, normal_out[s])
        drop = _damped_step(normal_out[s], slope, 0.0, damped, step)
        converged[s] = 0.0 <= drop <= accept
        if drop < 0:
            won[s] = -1


def label(flux, ivar, model, *, starts, block=2048, threads=1, dtype=np.float32):
    """Labels of stars from their spectra: the minimum of chi2 with weights 1 / (1 / ivar + s^2).

    Parameters
    ----------
    flux, ivar : (n, p) arrays
        Normalised flux and inverse variance on the model's pixels, float32 or float64; they are not modified.
        Pixels without ivar > 0 (or with a flux that is not finite) are ignored whatever they hold.
        Anything that slices by rows will do, such as a dataset of an open HDF5 file.
    model : CannonModel
        Trained on the same pixels.
    starts : (m, k) array
        Starting points in physical units; all are followed and the lowest chi2 wins.
    block : int
        Stars per unit of work (fewer for models with many terms).
    threads : int
        Threads over the blocks; the result does not depend on it.
    dtype : float32 or float64
        Precision of the matrix products.  As they act on residuals from the model at the pivot, float32 moves
        labels by less than 0.002 of their formal errors up to S/N = 300, in two thirds of the time.  All
        iterations, and chi2 at the labels, are in float64 either way.

    Returns
    -------
    Labels

    Raises
    ------
    ValueError
        For shapes that do not agree, or starting points that are not finite.

    Notes
    -----
    With residuals y from the model at the pivot, chi2 = sum(w y^2) - 2 g.v(x) + v(x)^T H v(x), where
    g = sum(w y theta) and H = sum(w theta theta^T) run over the pixels; v(x) lacks the constant term.
    """
    _check_spectra(flux, ivar)
    n_label = len(model.label_names)
    if flux.shape[1] != len(model.theta):
        raise ValueError(
            f"spectra have {flux.shape[1]} pixels but the model {len(model.theta)}: not the same grid"
        )
    starts = np.atleast_2d(model.to_scaled(starts))
    if starts.shape[1:] != (n_label,) or not len(starts) or not np.isfinite(starts).all():
        raise ValueError(
            f"starts must be finite and (n_start, {n_label}), for {', '.join(model.label_names)}; "
            f"found {starts.shape}"
        )
    n_star, n_pixel = flux.shape
    terms = model.terms
    tables = terms[1:]
    base = np.ascontiguousarray(model.theta[:, 0])
    s2 = np.where(model.usable, model.scatter**2, np.inf)  # no weight where there is no model
    theta = np.ascontiguousarray(model.theta[:, 1:])
    n_term = theta.shape[1]
    upper = np.triu_indices(n_term)
    pairs = (theta[:, upper[0]] * theta[:, upper[1]]).astype(dtype)
    coefficients = theta.astype(dtype)
    block = min(block, max(64, 2**22 // len(upper[0])))  # bounds the memory of models with many terms
    chunks = [slice(a, min(a + _PIXEL_CHUNK, n_pixel)) for a in range(0, n_pixel, _PIXEL_CHUNK)]

    def label_block(first):
        rows = slice(first, min(first + block, n_star))
        f, iv = _native(flux[rows]), _native(ivar[rows])
        n = len(f)
        packed, g = np.zeros((n, len(upper[0]))), np.zeros((n, n_term))
        n_pix = np.zeros(n, dtype=np.int64)
        for pixels in chunks:
            w, wy = (
                np.empty((n, pixels.stop - pixels.start), dtype),
                np.empty((n, pixels.stop - pixels.start), dtype),
            )
            _label_weights(f, iv, pixels.start, base, s2, w, wy, n_pix)
            packed += w @ pairs[pixels]
            g += wy @ coefficients[pixels]
        x, normal = np.full((n, n_label), np.nan), np.full((n, n_label * (n_label + 1) // 2), np.nan)
        converged, start = np.zeros(n, dtype=bool), np.full(n, -1)
        tolerances = (_CHI2_STOP, _CHI2_CONVERGED, _MAX_LABEL_ITERATIONS)
        _fit_labels(packed, g, starts, tables, tolerances, x, normal, converged, start)
        fitted = start >= 0
        x[~fitted] = np.nan
        chi2 = np.zeros(n)
        v = vectorize(x, terms)
        for pixels in chunks:
            _add_chi2(f, iv, pixels.start, s2, v @ model.theta[pixels].T, chi2)
        chi2[~fitted] = np.nan
        covariance = np.full((n, n_label, n_label), np.nan)
        curvature = np.empty((fitted.sum(), n_label, n_label))
        i, j = np.triu_indices(n_label)
        curvature[:, i, j] = curvature[:, j, i] = normal[fitted]
        covariance[fitted] = np.linalg.inv(curvature) * np.outer(model.scale, model.scale)
        freedom = n_pix - n_label
        reduced = np.where(freedom > 0, chi2 / np.maximum(freedom, 1), np.nan)
        return Labels(model.pivot + model.scale * x, covariance, chi2, n_pix, reduced, converged, start)

    parts = _run_blocks(label_block, range(0, max(n_star, 1), block), threads)
    return Labels(*(np.concatenate(part) for part in zip(*parts, strict=True)))


# ------------------------------------------------------------------------------------------ starting points


def read_starts(path, label_names, labels):
    """Starting points from a table with a column per label; labels without one start at the training median.

    Parameters
    ----------
    path : path of a CSV file
        For the authors' seven points, ``resources/starting_points.csv``.
    label_names : sequence of k str
        Columns to look for.
    labels : (n, k) array
        Training labels.

    Returns
    -------
    (m, k) array, physical units

    Raises
    ------
    ValueError
        If the table has none of the labels, no rows, or a value that is not a number.
    """
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    known = [name for name in label_names if rows and name in rows[0]]
    if not known:
        raise ValueError(f"{path}: expected rows with columns among {', '.join(label_names)}, found none")
    starts = np.tile(np.median(labels, axis=0), (len(rows), 1))
    for k, name in enumerate(label_names):
        if name in known:
            try:
                starts[:, k] = [float(row[name]) for row in rows]
            except (TypeError, ValueError):
                found = [row[name] for row in rows]
                raise ValueError(f"{path}: column {name} must hold numbers, found {found}") from None
    return starts


def spread_starts(labels, n_start=7):
    """Starting points for any set of labels: training stars that are typical, and far from each other.

    The star nearest to the median comes first; each next one is the farthest from those before it, among
    stars within two standard deviations of the mean in every label.

    Parameters
    ----------
    labels : (n, k) array
        Training labels.
    n_start : int
        How many at most.

    Returns
    -------
    (m, k) array
        m is ``n_start``, or the number of such stars if that is smaller.
    """
    labels = np.asarray(labels, dtype=float)
    x = (labels - labels.mean(axis=0)) / labels.std(axis=0)
    typical = np.flatnonzero((np.abs(x) < 2).all(axis=1))
    if not len(typical):
        return np.median(labels, axis=0)[None, :]
    x = x[typical]
    chosen = [int(np.argmin(((x - np.median(x, axis=0)) ** 2).sum(axis=1)))]
    nearest = np.full(len(x), np.inf)
    while len(chosen) < min(n_start, len(x)):
        nearest = np.minimum(nearest, ((x - x[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(np.argmax(nearest)))
    return labels[typical[chosen]]


# ------------------------------------------------------------------------------------------ what a model says


def predict(model, labels):
    """Model spectra of given labels.

    Parameters
    ----------
    model : CannonModel
        A trained model.
    labels : (n, k) array
        Physical units.

    Returns
    -------
    (n, p) array
        Normalised flux; NaN at pixels without a model.
    """
    flux = vectorize(np.atleast_2d(model.to_scaled(labels)), model.terms) @ model.theta.T
    flux[:, ~model.usable] = np.nan
    return flux


def gradients(model, labels, steps):
    """Change of the model flux when one label after the other is raised by its step.

    Parameters
    ----------
    model : CannonModel
        A trained model.
    labels : (k,) array
        Where to start from, physical units.
    steps : (k,) array
        For example 200 K, 0.5, 0.2 ... (Ting et al. 2017, Fig. 3).

    Returns
    -------
    (k, p) array
        Row j is flux(labels + steps[j] in label j) - flux(labels).
    """
    labels = np.asarray(labels, dtype=float)
    return predict(model, labels + np.diag(steps)) - predict(model, labels[None, :])


def linear_coefficients(model, per):
    """Linear coefficients at the pivot for given changes of the labels (Ho et al. 2017, Fig. 4).

    Parameters
    ----------
    model : CannonModel
        A trained model.
    per : dict of str to float
        Change of each label to scale to, e.g. ``{'teff': 91.5, 'logg': 0.11}``, in the label's unit.

    Returns
    -------
    dict of str to (p,) array
        Slope of the normalised flux times that change; NaN at pixels without a model.

    Raises
    ------
    ValueError
        If the model lacks one of the labels.
    """
    unknown = [name for name in per if name not in model.label_names]
    if unknown:
        raise ValueError(
            f"the model has no label {', '.join(unknown)}; it has {', '.join(model.label_names)}"
        )
    slopes = vectorize_slopes(np.zeros((1, len(model.label_names))), model.terms)[0] / model.scale
    coefficients = model.theta @ slopes
    coefficients[~model.usable] = np.nan
    return {name: coefficients[:, model.label_names.index(name)] * amount for name, amount in per.items()}


# ------------------------------------------------------------------------------------------------ self-clip


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


def train_with_clip(
    flux, ivar, labels, *, label_names, n_sigma=4.0, starts=None, label_block=2048, threads=1, **options
):
    """Train, label the reference stars with the model, drop those that it does not give back, train again.

    Parameters
    ----------
    flux, ivar, labels, label_names, threads
        As for `train`.
    n_sigma : float
        See `self_clip`.
    starts : (m, k) array, optional
        Starting points for `label`; by default `spread_starts` of the labels.
    label_block : int
        Stars per unit of work in `label`.
    **options
        Further arguments of `train`.

    Returns
    -------
    model : CannonModel
        Trained on the stars that were kept.
    keep : (n,) bool array
    first : Labels
        Labels of all reference stars from the first model.
    """
    options = dict(options, label_names=label_names, threads=threads)
    labels = np.asarray(labels, dtype=float)
    first_model = train(flux, ivar, labels, **options)
    starts = spread_starts(labels) if starts is None else starts
    first = label(flux, ivar, first_model, starts=starts, block=label_block, threads=threads)
    keep = self_clip(labels, first.labels, n_sigma)
    return train(flux[keep], ivar[keep], labels[keep], **options), keep, first
