"""Scatter beyond the noise."""

import numpy as np


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
