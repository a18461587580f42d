"""The Cannon (Ness et al. 2015; Ho et al. 2017): a polynomial model of the flux of every pixel.

Training maximises the likelihood of Eq. 5 of Ho et al. 2017 over the coefficients and the intrinsic scatter
of each pixel.  Labelling uses that the chi2 of a star is a polynomial in its labels, whose coefficients
follow from one matrix product per block of stars; no iteration touches a pixel again.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from labeltransfer.catalogs.enough import STARS_PER_TERM
from labeltransfer.models.base import Labels, LabelScale, Minima, SpectralModel, check_starts, labels_at
from labeltransfer.models.data import check_spectra, check_training_labels, run_blocks
from labeltransfer.models.kernels import compiled
from labeltransfer.models.polynomial import polynomial, vectorize, vectorize_slopes
from labeltransfer.models.scatter import best_trial, minus_two_log_likelihood, newton_scatter

#: What the numbers in ``CannonModel.status`` mean.
STATUS = ("trained", "too few stars", "degenerate labels", "scatter not converged")

# The scatter starts from a fit to at most about this many stars.
_PILOT_STARS = 256
# and from the best of these parts of the mean square residual.
_PILOT_TRIALS = np.append(9.0 ** -np.arange(6), 0.0)
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
_PIXELS_OF_PAIRS = 64  # all pixels at once, in float64, would take six times the memory of what is kept
# The authors' grid of ln(scatter).
_AUTHORS_GRID = np.arange(np.log(1e-4), 0.0, 0.5)


@dataclass(frozen=True)
class CannonModel(SpectralModel):
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

    def predict(self, labels):
        """Model spectra (n, p) of labels (n, k), NaN at pixels without a model; see `SpectralModel`."""
        return predict(self, labels)

    def label(self, flux, ivar, *, starts, threads=1):
        """`Labels` of stars from their spectra; see `SpectralModel` and `label`, which has more options."""
        return label(flux, ivar, self, starts=starts, threads=threads)


# ------------------------------------------------------------------------------------------ small solvers


@compiled
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


# ----------------------------------------------------------------------------------------------- training


@compiled
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


@compiled
def _training_weights(f, iv, s2, start, w, wf):
    stop = start + w.shape[1]
    for p in range(w.shape[0]):
        values, inverses = f[p, start:stop], iv[p, start:stop]
        for n in range(w.shape[1]):
            weight = inverses[n] / (1.0 + inverses[n] * s2[p])
            w[p, n] = weight
            wf[p, n] = weight * values[n]


@compiled
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


@compiled
def _factor_and_solve(normal, rhs, solved):
    n_term = rhs.shape[1]
    for p in range(len(rhs)):
        solved[p] = _cholesky(normal[p], n_term)
        if solved[p]:
            _cholesky_solve(normal[p], n_term, rhs[p])
        else:
            rhs[p, :] = 0.0


@compiled
def _back_solve(normal, rhs, solved):
    for p in range(len(rhs)):
        if solved[p]:
            _cholesky_solve(normal[p], rhs.shape[1], rhs[p])
        else:
            rhs[p, :] = 0.0


@compiled
def _squared_weights(iv, residual, s2, start, out):
    stop = start + out.shape[1]
    for p in range(out.shape[0]):
        residuals, inverses = residual[p, start:stop], iv[p, start:stop]
        for n in range(out.shape[1]):
            weight = inverses[n] / (1.0 + inverses[n] * s2[p])
            out[p, n] = weight * weight * residuals[n]


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
    trial = best_trial(iv, residual, _PILOT_TRIALS)
    return newton_scatter(iv, residual, np.zeros_like(residual), trial, 0.1 * _STEP_TOLERANCE)[0]


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
        new, cost = newton_scatter(iv, residual, change @ design.T, current, 0.1 * _STEP_TOLERANCE)
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
    for trial, ln_scatter in enumerate(_AUTHORS_GRID):
        s2 = np.full(len(f), np.exp(2 * ln_scatter))
        theta, _, _ = _solve_coefficients(f, iv, s2, design)
        cost[trial] = minus_two_log_likelihood(iv, f - theta @ design.T, s2)
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
    check_spectra(flux, ivar)
    label_names = tuple(label_names)
    n_term = len(polynomial(len(label_names), order).parent)
    model = f"a model of order {order} in {len(label_names)} labels ({n_term} coefficients per pixel)"
    labels = check_training_labels(labels, label_names, len(flux), STARS_PER_TERM * n_term, model)
    methods = {"exact": _train_exact, "grid": _train_grid}
    if scatter not in methods:
        raise ValueError(f"scatter must be one of {', '.join(methods)}, not {scatter!r}")
    scale = LabelScale.of(labels)
    design = vectorize(scale.to_scaled(labels), polynomial(len(label_names), order))
    flux, ivar = _native(flux), _native(ivar)
    n_star, n_pix = flux.shape

    def train_block(first):
        size = min(block, n_pix - first)
        f, iv, n_used = np.empty((size, n_star)), np.empty((size, n_star)), np.zeros(size, dtype=np.int64)
        _clean(flux, ivar, first, f, iv, n_used)
        theta, s2, chi2 = np.zeros((size, n_term)), np.zeros(size), np.zeros(size)
        status = np.ones(size, dtype=np.int8)
        enough = n_used >= STARS_PER_TERM * n_term
        if enough.any():
            if not enough.all():
                f, iv = f[enough], iv[enough]
            theta[enough], s2[enough], chi2[enough], status[enough] = methods[scatter](f, iv, design)
        untrained = (status == 1) | (status == 2)
        theta[untrained], s2[untrained], chi2[untrained] = 0.0, 0.0, 0.0
        return theta, np.sqrt(s2), chi2, n_used, status

    parts = zip(*run_blocks(train_block, range(0, n_pix, block), threads), strict=True)
    theta, s, chi2, n_used, status = (np.concatenate(part) for part in parts)
    if wavelength is not None:
        wavelength = np.asarray(wavelength, dtype=float)
    return CannonModel(label_names, order, *scale, theta, s, chi2, n_used, status, wavelength)


# ---------------------------------------------------------------------------------------------- labelling


@compiled
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


@compiled
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


@compiled
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


@compiled
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


@compiled
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


@compiled
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
    check_spectra(flux, ivar, len(model.theta))
    n_label, starts = len(model.label_names), check_starts(starts, model)
    n_star, n_pixel = flux.shape
    terms = model.terms
    tables = terms[1:]
    base = np.ascontiguousarray(model.theta[:, 0])
    s2 = np.where(model.usable, model.scatter**2, np.inf)  # no weight where there is no model
    theta = np.ascontiguousarray(model.theta[:, 1:])
    n_term = theta.shape[1]
    upper = np.triu_indices(n_term)
    pairs = np.empty((n_pixel, len(upper[0])), dtype)
    for pixels in range(0, n_pixel, _PIXELS_OF_PAIRS):
        few = theta[pixels : pixels + _PIXELS_OF_PAIRS]
        pairs[pixels : pixels + _PIXELS_OF_PAIRS] = few[:, upper[0]] * few[:, upper[1]]
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
        minima = Minima.none(n, n_label)
        x, converged, start = minima.x, minima.converged, minima.start
        normal = np.full((n, n_label * (n_label + 1) // 2), np.nan)
        tolerances = (_CHI2_STOP, _CHI2_CONVERGED, _MAX_LABEL_ITERATIONS)
        _fit_labels(packed, g, starts, tables, tolerances, x, normal, converged, start)
        x[start < 0] = np.nan
        minima.chi2[:] = 0.0
        v = vectorize(x, terms)
        for pixels in chunks:
            _add_chi2(f, iv, pixels.start, s2, v @ model.theta[pixels].T, minima.chi2)
        i, j = np.triu_indices(n_label)
        minima.normal[:, i, j] = minima.normal[:, j, i] = normal
        return labels_at(minima, n_pix, model.label_scale)

    parts = run_blocks(label_block, range(0, max(n_star, 1), block), threads)
    return Labels(*(np.concatenate(part) for part in zip(*parts, strict=True)))


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
