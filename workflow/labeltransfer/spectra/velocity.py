"""Velocities of stars by cross-correlation with template spectra: over a whole spectrum, or window by window.

Wavelengths of a spectrum may be wrong by an amount that depends on wavelength; one velocity does not put that right.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline, make_interp_spline

SPEED_OF_LIGHT = 299792.458  # km/s
_UNIFORM = 1e-6  # of a step: what steps of ln(wavelength) may differ by
_LEAST_PIXELS = 20
# Lines of surveys are hardly wider than their pixels: a cubic spline through correlations at whole pixels would pull
# velocities towards these by 1.5 km/s. Templates are moved by parts of a pixel, by splines of a high degree, which
# are close to the interpolation that loses nothing.
_PARTS, _DEGREE = 4, 7


class Velocities(NamedTuple):
    """Of n stars, or of each of their windows; NaN where the cross-correlation has no peak within reach.

    Attributes
    ----------
    velocity, error : (n,) or (n, n_window) float64
        Of the star with respect to its template, positive for lines that lie too far in the red [km/s].
    correlation : array of the same shape
        At the peak; 1 for a spectrum that equals its template.
    """

    velocity: np.ndarray
    error: np.ndarray
    correlation: np.ndarray


def cross_correlation(flux, ivar, template, reach):
    """Correlation coefficients of spectra with shifted templates, weighted with ivar.

    Parameters
    ----------
    flux, ivar : (n, n_pix) arrays
        A pixel with ivar 0 does not count.
    template : (n, n_pix) or (n_pix,) array
        NaN where there is none.
    reach : int
        Largest shift [pixel].

    Returns
    -------
    lag : (n_lag,) float64
        Shift of the star's lines towards the red, in steps of a quarter [pixel].
    correlation : (n, n_lag) float64
        Both spectra less their weighted means over the pixels that they share; NaN with fewer than 20 of these.
    count : (n, n_lag) int array
        Pixels that they share.
    """
    flux, ivar = np.asarray(flux, dtype=float), np.asarray(ivar, dtype=float)
    flux = np.where(ivar > 0, flux, 0.0)
    given = np.broadcast_to(template, flux.shape)
    known, n_pix = np.isfinite(given), flux.shape[1]
    reach = min(reach, n_pix - 1)
    lags = np.arange(-reach * _PARTS, reach * _PARTS + 1)
    correlation, count = np.full((len(flux), len(lags)), np.nan), np.zeros((len(flux), len(lags)), dtype=int)
    if n_pix < _LEAST_PIXELS:
        return lags / _PARTS, correlation, count
    spline = make_interp_spline(np.arange(n_pix), np.where(known, given, 1.0), _DEGREE, axis=1)
    for part in range(_PARTS):
        moved = spline(np.clip(np.arange(n_pix) - part / _PARTS, 0, n_pix - 1))
        both = known if part == 0 else known & np.roll(known, 1, axis=1) & (np.arange(n_pix) > 0)
        for column in np.flatnonzero(lags % _PARTS == part):
            found = _correlation(flux, ivar, moved, both, lags[column] // _PARTS)
            correlation[:, column], count[:, column] = found
    return lags / _PARTS, correlation, count


def _correlation(flux, ivar, template, known, lag):
    """Correlation (n,) and number of pixels (n,) at one shift by whole pixels."""
    n_pix = flux.shape[1]
    of_star, of_template = slice(max(0, lag), n_pix + min(0, lag)), slice(max(0, -lag), n_pix - max(0, lag))
    star, other = flux[:, of_star], template[:, of_template]
    weight = ivar[:, of_star] * known[:, of_template]
    count, total = np.count_nonzero(weight, axis=1), weight.sum(axis=1, keepdims=True)
    total[total == 0] = 1.0
    star = star - (weight * star).sum(axis=1, keepdims=True) / total
    other = other - (weight * other).sum(axis=1, keepdims=True) / total
    weighted = weight * other
    power = (weight * star**2).sum(axis=1) * (weighted * other).sum(axis=1)
    correlation = np.full(len(flux), np.nan)
    usable = (count >= _LEAST_PIXELS) & (power > 0)
    correlation[usable] = (weighted * star).sum(axis=1)[usable] / np.sqrt(power[usable])
    return correlation, count


def measure_velocities(flux, ivar, template, wavelength, reach=600.0):
    """Measure the velocities of stars with respect to templates.

    Parameters
    ----------
    flux, ivar : (n, n_pix) arrays
        Normalised; a pixel with ivar 0 does not count.
    template : (n, n_pix) or (n_pix,) array
        Normalised spectra at rest, NaN where there is none.
    wavelength : (n_pix,) float64
        In even steps of its logarithm [Angstrom].
    reach : float
        Largest velocity [km/s].

    Returns
    -------
    Velocities
        Where the correlation C, as a spline through its values at quarters of pixels, is highest. The variance is
        (1 - C^2) / (-N C C''), with N pixels and the second derivative C'' to the velocity: Zucker 2003, MNRAS 342,
        1291, section 2. It takes whatever the template does not explain for noise that is not correlated.

    Raises
    ------
    ValueError
        If wavelengths do not go in such steps.
    """
    steps = np.diff(np.log(wavelength))
    if not np.ptp(steps) < _UNIFORM * steps.mean():
        raise ValueError("velocities need wavelengths in even steps of their logarithm")
    step = steps.mean()
    most = int(np.ceil(reach / SPEED_OF_LIGHT / step)) + 1
    lags, correlation, count = cross_correlation(flux, ivar, template, most)
    velocity, error, height = np.full((3, len(correlation)), np.nan)
    whole = np.isfinite(correlation).all(axis=1)
    if not whole.any():
        return Velocities(velocity, error, height)
    lag, peak, curvature = _peaks(lags, correlation[whole])
    used = count[whole, np.argmax(correlation[whole], axis=1)]
    with np.errstate(invalid="ignore", divide="ignore"):
        velocity[whole] = SPEED_OF_LIGHT * np.expm1(lag * step)
        error[whole] = (
            SPEED_OF_LIGHT * step * np.sqrt(np.maximum(1 - peak**2, 0) / (-used * peak * curvature))
        )
    height[whole] = peak
    lost = ~(np.isfinite(velocity) & (np.abs(velocity) <= reach) & (height > 0))
    velocity[lost] = error[lost] = height[lost] = np.nan
    return Velocities(velocity, error, height)


def _peaks(lags, correlation):
    """Place, height and second derivative of the highest maximum of splines through points (n, n_lag)."""
    rows, best = np.arange(len(correlation)), np.argmax(correlation, axis=1)
    place, height, curvature = np.full((3, len(correlation)), np.nan)
    step = lags[1] - lags[0]
    pieces = CubicSpline(lags, correlation, axis=1).c  # (4, n_lag - 1, n): cubic first
    for side in (-1, 0):  # the pieces on the two sides of the highest point
        number = best + side
        there = (number >= 0) & (number < len(lags) - 1)
        cubic, square, slope, start = pieces[:, np.clip(number, 0, len(lags) - 2), rows]
        with np.errstate(invalid="ignore", divide="ignore"):
            # The root of 3 c x^2 + 2 s x + b at which the curve turns down, in a form without cancellation.
            root = slope / (-square + np.sqrt(square**2 - 3 * cubic * slope))
            value = ((cubic * root + square) * root + slope) * root + start
            found = there & (root >= 0) & (root <= step) & ~(value <= height)
        place[found], height[found] = (lags[number] + root)[found], value[found]
        curvature[found] = (6 * cubic * root + 2 * square)[found]
    return place, height, curvature


def window_edges(n_pix, width):
    """Edges of windows of about that many pixels: window k is edges[k] to edges[k + 1]."""
    return np.linspace(0, n_pix, max(1, round(n_pix / width)) + 1).astype(int)


def velocity_curves(flux, ivar, template, wavelength, edges, reach=250.0):
    """Velocities in windows, as `measure_velocities`.

    Parameters
    ----------
    edges : (n_window + 1,) int array
        For example from `window_edges`; the others as there.

    Returns
    -------
    Velocities
        Arrays (n, n_window).
    """
    template = np.broadcast_to(template, np.shape(flux))
    parts = [slice(*pair) for pair in pairwise(edges)]
    found = [
        measure_velocities(flux[:, one], ivar[:, one], template[:, one], wavelength[one], reach)
        for one in parts
    ]
    return Velocities(*(np.stack(column, axis=1) for column in zip(*found, strict=True)))


def shifted(spectrum, velocity, at=None):
    """A spectrum with its velocity taken out of its wavelengths.

    Parameters
    ----------
    spectrum : surveys.base.Spectrum
    velocity : float or (m,) array
        [km/s]; NaN where it is not known, and is taken from the neighbours, or for 0 if it is nowhere.
    at : (m,) array, optional
        Wavelengths of several velocities, which are interpolated between them [Angstrom].

    Returns
    -------
    surveys.base.Spectrum
    """
    velocity = np.atleast_1d(np.asarray(velocity, dtype=float))
    known = np.isfinite(velocity)
    if not known.any():
        return spectrum
    at = np.zeros(1) if at is None else np.asarray(at, dtype=float)
    there = np.interp(spectrum.wavelength, at[known], velocity[known])
    return spectrum._replace(wavelength=spectrum.wavelength / (1 + there / SPEED_OF_LIGHT))
