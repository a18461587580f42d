"""The Cannon with an L1 penalty on its coefficients (Casey et al. 2016; the comparison of Ting et al. 2017).

Pixel by pixel this minimises ``1/N sum_n ivar_n (f(l_n) - f_n)^2 + Lambda sum_t |theta_t|`` over all
coefficients but the constant, which is not penalised.
"""

import numba
import numpy as np

from labeltransfer.models.cannon import CannonModel
from labeltransfer.models.network import (
    STARS_PER_LABEL,
    check_training,
    clean_pixels,
    fit_scatter,
    run_blocks,
)
from labeltransfer.models.vectorize import polynomial, vectorize

# A pixel is done when no coefficient can change the flux by more than this fraction of the pixel's rms.
_TOLERANCE = 1e-7
_MAX_SWEEPS = 5000
# Where coordinates are correlated they creep: after so many sweeps a linear solve takes them all at once.
_SWEEPS_PER_SOLVE = 20


@numba.njit(cache=True, nogil=True)
def _loss(gram, right, penalty, theta):
    return theta @ (gram @ theta - 2.0 * right) + penalty * np.abs(theta[1:]).sum()


@numba.njit(cache=True, nogil=True)
def _solve_active(gram, right, penalty, theta):
    """Move the coefficients that are not zero towards their joint optimum, until one of them becomes zero."""
    active = np.flatnonzero((theta != 0.0) | (np.arange(len(theta)) == 0))
    n = len(active)
    matrix, target = np.empty((n, n)), np.empty(n)
    for i in range(n):
        for j in range(n):
            matrix[i, j] = gram[active[i], active[j]]
        matrix[i, i] *= 1.0 + 1e-12  # with fewer stars than coefficients it is singular
        target[i] = right[active[i]]
        if active[i] > 0:
            target[i] -= 0.5 * penalty * np.sign(theta[active[i]])
    best = np.linalg.solve(matrix, target)
    # the loss falls all the way as long as no sign changes
    length, first = 1.0, -1
    for i in range(1, n):
        old = theta[active[i]]
        if old * best[i] < 0.0 and old / (old - best[i]) < length:
            length, first = old / (old - best[i]), i
    moved = theta.copy()
    for i in range(n):
        moved[active[i]] += length * (best[i] - theta[active[i]])
    if first >= 0:
        moved[active[first]] = 0.0
    if _loss(gram, right, penalty, moved) < _loss(gram, right, penalty, theta):
        theta[:] = moved


@numba.njit(cache=True, nogil=True)
def _coordinate_descent(gram, right, penalty, theta, tolerance, max_sweeps):
    """Minimise theta^T G theta - 2 b^T theta + penalty |theta[1:]|, in place; whether it converged.

    Sweeps go over the coefficients that are not zero, until these have settled; then over all.
    """
    n = len(right)
    left = right - gram @ theta
    everything = True
    for sweep in range(1, max_sweeps + 1):
        largest = 0.0
        for t in range(n):
            if not everything and theta[t] == 0.0:
                continue
            curvature = gram[t, t]
            if not curvature > 0.0:
                continue
            pull = left[t] + curvature * theta[t]
            if t == 0:
                new = pull / curvature
            elif abs(pull) <= 0.5 * penalty:
                new = 0.0
            else:
                new = (pull - np.sign(pull) * 0.5 * penalty) / curvature
            change = new - theta[t]
            if change != 0.0:
                theta[t] = new
                for u in range(n):
                    left[u] -= gram[t, u] * change
                largest = max(largest, abs(change) * np.sqrt(curvature))
        if largest <= tolerance:
            if everything:
                return True
            everything = True
        elif sweep % _SWEEPS_PER_SOLVE == 0:
            _solve_active(gram, right, penalty, theta)
            left = right - gram @ theta
            everything = True
        else:
            everything = False
    return False


def train_lasso(flux, ivar, labels, *, label_names, strengths, order=2, wavelength=None, block=32, threads=1):
    """Train Cannon models with L1 penalties of several strengths.

    Parameters
    ----------
    flux, ivar : (n, p) arrays
        Normalised flux and inverse variance of the training stars; they are not modified.  Pixels without
        ivar > 0 (or with a flux that is not finite) are ignored whatever they hold.
    labels : (n, k) array
        Training labels.
    label_names : sequence of k str
        Kept in the models, and used in messages.
    strengths : sequence of m float
        Values of Lambda; each starts from the solution of the next stronger one.
    order : int
        Order of the polynomial.
    wavelength : (p,) array, optional
        Kept in the models.
    block : int
        Pixels per unit of work.
    threads : int
        Threads over the blocks; the result does not depend on it.

    Returns
    -------
    list of m CannonModel
        In the order of the strengths.  Coefficients that are not needed are exactly zero.  The scatter is
        that of the training residuals beyond the noise; status 3 means that the coefficients have not
        converged, status 1 that the pixel has too few stars.

    Raises
    ------
    ValueError
        For shapes that do not agree, labels that are not finite or do not vary, too few stars, or a negative
        strength.

    Notes
    -----
    Coordinate descent on the Gram matrix of each pixel, so that stars enter only once, with a linear solve
    for the active coefficients now and then.
    """
    label_names = tuple(label_names)
    labels = check_training(flux, ivar, labels, label_names)
    strengths = np.asarray(strengths, dtype=float)
    if strengths.ndim != 1 or not len(strengths) or not (strengths >= 0).all():
        raise ValueError(f"strengths must be a sequence of numbers >= 0, found {strengths}")
    pivot, scale = labels.mean(axis=0), labels.std(axis=0)
    design = vectorize((labels - pivot) / scale, polynomial(len(label_names), order))
    n_pix, n_term = np.shape(flux)[1], design.shape[1]

    def train_block(first):
        pixels = np.arange(first, min(first + block, n_pix))
        f, iv = clean_pixels(flux, ivar, pixels)
        n_used = (iv > 0).sum(axis=1)
        enough = n_used >= STARS_PER_LABEL * (len(label_names) + 1)
        theta = np.zeros((len(strengths), len(pixels), n_term))
        status = np.ones((len(strengths), len(pixels)), dtype=np.int8)
        for i in np.flatnonzero(enough):
            weighted = design * (iv[i] / n_used[i])[:, None]
            gram = design.T @ weighted
            # the flux above its mean: the tolerance then belongs to what varies
            mean = (iv[i] @ f[i]) / iv[i].sum()
            y = np.where(iv[i] > 0, f[i] - mean, 0.0)
            right = y @ weighted
            tolerance = _TOLERANCE * np.sqrt((iv[i] * y**2).sum() / n_used[i])
            start = np.zeros(n_term)
            for m in np.argsort(-strengths):
                done = _coordinate_descent(gram, right, strengths[m], start, tolerance, _MAX_SWEEPS)
                theta[m, i] = start
                theta[m, i, 0] += mean
                status[m, i] = 0 if done else 3
        scatter, chi2 = np.zeros(theta.shape[:2]), np.zeros(theta.shape[:2])
        for m in range(len(strengths)):
            residual = np.where(iv > 0, f - theta[m] @ design.T, 0.0)
            scatter[m] = np.where(enough, fit_scatter(residual, iv), 0.0)
            chi2[m] = np.where(
                enough, (iv / (1 + iv * scatter[m][:, None] ** 2) * residual**2).sum(axis=1), 0.0
            )
        return theta, scatter, chi2, np.tile(n_used, (len(strengths), 1)), status

    parts = zip(*run_blocks(train_block, range(0, n_pix, block), threads), strict=True)
    arrays = [np.concatenate(part, axis=1) for part in parts]
    if wavelength is not None:
        wavelength = np.asarray(wavelength, dtype=float)
    return [
        CannonModel(label_names, order, pivot, scale, *(array[m] for array in arrays), wavelength)
        for m in range(len(strengths))
    ]
