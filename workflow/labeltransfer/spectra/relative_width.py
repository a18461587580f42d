"""By how much the lines of one spectrum of a star are wider than those of another, measured on the spectra."""

from itertools import pairwise

import numpy as np

from labeltransfer.spectra.resolution import broaden

# Both spectra are widened by this first, so that lines which are narrower than the other's are measured as well.
_BOTH = 1.0  # pixel^2
_MOST, _STEP = 4.0, 0.25  # pixel^2
TRIED = np.arange(-_BOTH, _MOST + _STEP / 2, _STEP)


def measure_excess(flux, ivar, other, other_ivar, edges):
    """Measure by how much lines of stars are wider than those of other spectra of the same stars.

    Parameters
    ----------
    flux, ivar : (n, n_pix) arrays
        Normalised and at rest; a pixel with ivar 0 is bad.
    other, other_ivar : (n, n_pix) arrays
        The others, or model spectra; NaN and pixels with ivar 0 are bad.
    edges : (n_window + 1,) int array
        Of windows, for example from `velocity.window_edges`.

    Returns
    -------
    (n, n_window) float64
        Variance of the Gaussian that makes the others most alike [pixel^2]: the least sum of squares over the window,
        by a parabola through the three lowest of those tried, from -1 to 4. Negative for narrower lines; NaN where
        the lowest is the first or last, or no pixel is good.
    """
    flux, ivar = _widened(flux, ivar, _BOTH)
    parts = [slice(*pair) for pair in pairwise(edges)]
    squares = np.full((len(TRIED), len(flux), len(parts)), np.nan)
    for row, excess in enumerate(TRIED):
        wide, wide_ivar = _widened(other, other_ivar, _BOTH + excess)
        good = (ivar > 0) & (wide_ivar > 0)
        residual = np.where(good, flux - wide, 0.0) ** 2
        for column, part in enumerate(parts):
            count = np.count_nonzero(good[:, part], axis=1)
            total = residual[:, part].sum(axis=1)
            squares[row, :, column] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return _lowest(squares)


def _widened(flux, ivar, excess):
    known = np.isfinite(flux)
    flux, ivar = np.where(known, flux, 1.0).astype(float), np.where(known, ivar, 0.0).astype(float)
    excess = np.full(flux.shape[1], excess)
    pairs = [broaden(*one, excess) for one in zip(flux, ivar, strict=True)]
    return tuple(np.array(column).reshape(flux.shape) for column in zip(*pairs, strict=True)) or (flux, ivar)


def _lowest(squares):
    """Where parabolas through the lowest points (n_tried, n, n_window) are lowest."""
    known = np.isfinite(squares).all(axis=0)
    best = np.argmin(np.where(known, squares, 0.0), axis=0)
    inside = np.clip(best, 1, len(TRIED) - 2)
    left, middle, right = (
        np.take_along_axis(squares, (inside + side)[None], axis=0)[0] for side in (-1, 0, 1)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        found = TRIED[inside] + 0.5 * _STEP * (left - right) / (left - 2 * middle + right)
    return np.where(known & (best == inside), found, np.nan)
