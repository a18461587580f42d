"""Scatter beyond the noise: where the likelihood of Gaussian residuals of variance 1 / ivar + s^2 is highest.

Eq. 5 of Ho et al. 2017 without the labels: minus twice its logarithm is the sum over stars of
``w r^2 + ln(1 + ivar s^2)``, with w = 1 / (1 / ivar + s^2), up to a constant.
"""

import numpy as np

from labeltransfer.models.compiled import compiled

#: First guesses of s^2, as parts of the mean square of the residuals; the best of them leads to the highest of
#: several maxima.
TRIALS = np.append(0.0, 2.0 ** np.arange(-16, 4))
# A step below this part of the typical variance of a star ends the search: what is left is its square.
_TOLERANCE = 1e-7
# Newton's steps are taken where the curvature is at least this part of Fisher's information.
_SOUND = 0.3
_MAX_ITERATIONS = 60


def minus_two_log_likelihood(ivar, residual, s2):
    """Minus twice the logarithm of the likelihood of each row, up to a constant.

    Parameters
    ----------
    ivar, residual : (p, n) arrays
        Zero, both, where masked.
    s2 : (p,) array
        s^2.

    Returns
    -------
    (p,) array
    """
    growth = 1.0 + ivar * s2[:, None]
    return (ivar / growth * residual**2 + np.log(growth)).sum(axis=1)


def best_trial(ivar, residual, trials):
    """The most likely (p,) s^2 of each row among ``trials`` (m,) times its mean square residual."""
    mean_square = (residual**2).sum(axis=1) / np.maximum((ivar > 0).sum(axis=1), 1)
    s2 = trials[:, None] * mean_square
    best = np.argmin([minus_two_log_likelihood(ivar, residual, trial) for trial in s2], axis=0)
    return s2[best, np.arange(len(mean_square))]


@compiled
def newton_scatter(ivar, residual, change, start, tolerance, n_coef):
    """The maximum of the likelihood along ``residual - (s^2 - s0^2) change``, row by row.

    With ``n_coef`` it is the restricted likelihood, minus twice whose logarithm has ln det(X^T W X) besides, for the
    terms X of the model that left the residuals. It is taken to grow as n_coef times ln(sum of w), which for equal
    weights is the truth, with as many coefficients as the model has.

    Newton steps where the curvature is sound, Fisher scoring elsewhere, inside a bracket that the sign of the
    slope keeps; s^2 = 0 is allowed.

    Parameters
    ----------
    ivar, residual, change : (p, n) arrays
        Zero, all three, where masked; ``change`` is how the residuals fall as s^2 grows.
    start : (p,) array
        s0^2, where the search starts.
    tolerance : float
        A step below this part of the typical variance of a star ends the search.
    n_coef : (p,) array
        Zero for the likelihood itself.

    Returns
    -------
    s2, chi2 : (p,) arrays
        s^2, and the sum over stars of ``w (residual - (s^2 - s0^2) change)^2`` there.
    """
    s2, chi2 = start.copy(), np.zeros(len(start))
    for p in range(len(ivar)):
        u = start[p]
        low, high = -1.0, np.inf
        total = 0.0
        for n in range(ivar.shape[1]):
            total += 1.0 if ivar[p, n] > 0 else 0.0
        for _ in range(_MAX_ITERATIONS):
            moved = u - start[p]
            slope = 0.0
            curvature = 0.0
            fisher = 0.0
            linear = 0.0
            cubic = 0.0
            for n in range(ivar.shape[1]):
                w = ivar[p, n] / (1.0 + ivar[p, n] * u)
                r = residual[p, n] - moved * change[p, n]
                wr = w * r
                excess = w - wr * wr
                tilt = wr * change[p, n]
                slope += excess - 2.0 * tilt
                curvature += w * (w - 2.0 * excess + 4.0 * tilt + 2.0 * change[p, n] * change[p, n])
                fisher += w * w
                linear += w
                cubic += w * w * w
            if n_coef[p] > 0 and linear > 0:
                slope -= n_coef[p] * fisher / linear
                curvature += n_coef[p] * (2.0 * cubic / linear - (fisher / linear) ** 2)
            if not fisher > 0 or slope == 0 or (u == 0 and slope > 0):
                break
            if slope > 0:
                high = u
            else:
                low = u
            step = -slope / (curvature if curvature > _SOUND * fisher else fisher)
            new = max(u + step, 0.0)
            if new <= low and high == np.inf:
                break  # the step up is below rounding: there is nothing to look for between here and infinity
            if new <= low or new >= high:
                new = 0.5 * (max(low, 0.0) + high)
            step = new - u
            u = new
            # sqrt(total / fisher) is the typical variance of a star at this pixel
            if abs(step) <= tolerance * np.sqrt(total / fisher):
                break
        moved = u - start[p]
        for n in range(ivar.shape[1]):
            r = residual[p, n] - moved * change[p, n]
            chi2[p] += ivar[p, n] / (1.0 + ivar[p, n] * u) * r * r
        s2[p] = u
    return s2, chi2


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
    ivar, residual = np.where(good, ivar, 0.0), np.where(good, residual, 0.0)
    trial = best_trial(ivar, residual, TRIALS)
    none, zero = np.zeros_like(residual), np.zeros(len(residual))
    return np.sqrt(newton_scatter(ivar, residual, none, trial, _TOLERANCE, zero)[0])
