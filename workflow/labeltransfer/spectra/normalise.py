"""Eq. 1 of Ho et al. 2017: divide a spectrum by an error-weighted, broad Gaussian average of itself.

This is no continuum: it takes out the overall flux and its large-scale shape. It is linear in the flux, so
that noise does not bias it as it biases the upper envelope of a spectrum.
"""

from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

# Factor from the width to the standard deviation of the weight, exp(-d^2 / (2 sigma^2)) in every form.
_SIGMA = {"exp(-d2/L2)": 1 / np.sqrt(2), "exp(-d2/2L2)": 1.0, "fwhm": 1 / np.sqrt(8 * np.log(2))}
FORMS = tuple(_SIGMA)
ERRORS = ("star", "none", "typical")
FITS = ("average", "line", "published")
_REACH = 6.0  # standard deviations: weights beyond are below 2e-8
_COLUMNS = 128  # grid pixels that share one matrix product
_ROWS = 64  # stars that share one
# The pseudo-continuum is computed at nodes, at most so many pixels and this part of the standard deviation apart,
# and interpolated by polynomials through so many nodes: its error is below 1e-5.
_STRIDE, _NODE_STEP, _NODES = 4, 0.25, 6
# Pixels that do not tell the slope of a line: those of which the determinant is below this part of its largest.
_NO_SLOPE = 1e-3
# Sums below this part of the largest weight are none: no good pixel is near.
_FAR = 1e-6


class Kernel(NamedTuple):
    """Weights of Eq. 2 in bands: for grid pixels start to stop, those of pixels low to high.

    Attributes
    ----------
    n_pix : int
        Pixels of the grid.
    bands : list of (start, stop, low, high, weight, spread)
        With weight : (high - low, m n_node) float64, at the nodes of the band, times each of the m powers of the
        distance that the fit needs, and spread : (n_node, stop - start) float64, from nodes to pixels.
    shape : (n_pix,) float64 or None
        Inverse variance that all spectra are given in Eq. 1; None for each its own.
    fit : str
        One of `FITS`.
    """

    n_pix: int
    bands: list
    shape: np.ndarray | None = None
    fit: str = "average"


def kernel_fwhm(width=50.0, form="exp(-d2/L2)"):
    """Full width at half maximum of the weight [Angstrom]; L = 50 A of the paper has 83.3 A.

    Raises
    ------
    ValueError
        If the form is unknown.
    """
    if form not in _SIGMA:
        raise ValueError(f"form of the weight must be one of {', '.join(FORMS)}: found {form!r}")
    return float(width * _SIGMA[form] * np.sqrt(8 * np.log(2)))


def banded_kernel(wavelength, width=50.0, form="exp(-d2/L2)", errors="star", fit="average", typical=None):
    """Prepare the weights w_i(lambda_0) of Eq. 2 for a grid.

    Parameters
    ----------
    wavelength : (n_pix,) float64
        Increasing [Angstrom].
    width : float
        L of Eq. 2, or the FWHM if the form is "fwhm" [Angstrom].
    form : {"exp(-d2/L2)", "exp(-d2/2L2)", "fwhm"}
        The paper's weight, that of the authors' code, or a Gaussian of given FWHM (Ting et al. 2017).
    errors : {"star", "none", "typical"}
        What pixels are weighted by beside that. "star": by the star's own ivar, as in Eq. 1; the shape of the
        noise changes with S/N, and the pseudo-continuum and labels with it. "none": all good pixels alike.
        "typical": by one shape for all stars.
    fit : {"average", "line", "published"}
        Eq. 1, or the value at lambda_0 of a straight line through the pixels with these weights: at the ends of
        the grid and beside masked bands all pixels are on one side, and their average is that of another place.
        "published": nothing, for spectra that the survey has normalised.
    typical : (n_pix,) array, optional
        The shape, for errors "typical".

    Returns
    -------
    Kernel

    Raises
    ------
    ValueError
        If form, errors or fit is unknown, or there is no shape for errors "typical".
    """
    for name, value, known in (("errors", errors, ERRORS), ("fit", fit, FITS)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}: found {value!r}")
    shape = None
    if errors != "star":
        shape = np.ones(len(wavelength)) if errors == "none" else typical
        if np.shape(shape) != wavelength.shape:
            raise ValueError(
                f"errors 'typical' need a shape of {len(wavelength)} pixels: found {np.shape(shape)}"
            )
    if fit == "published":
        return Kernel(len(wavelength), [], shape, fit)
    sigma = kernel_fwhm(width, form) / np.sqrt(8 * np.log(2))
    step = np.max(np.diff(wavelength), initial=np.finfo(float).tiny)
    nodes, spread = _between(len(wavelength), int(np.clip(_NODE_STEP * sigma / step, 1, _STRIDE)))
    bands = []
    for start in range(0, len(wavelength), _COLUMNS):
        stop = min(start + _COLUMNS, len(wavelength))
        used = np.flatnonzero(np.any(spread[:, start:stop] != 0, axis=1))
        centre = wavelength[nodes[used]]
        low, high = np.searchsorted(wavelength, [centre[0] - _REACH * sigma, centre[-1] + _REACH * sigma])
        distance = (wavelength[low:high, None] - centre) / sigma
        weight = np.exp(-0.5 * distance**2)
        powers = range(3 if fit == "line" else 1)
        weight = np.concatenate([weight * distance**power for power in powers], axis=1)
        bands.append((start, stop, int(low), int(high), weight, spread[used, start:stop]))
    return Kernel(len(wavelength), bands, shape, fit)


def typical_noise(ivar):
    """The typical shape of the inverse variance of spectra, for errors "typical" of `banded_kernel`.

    Parameters
    ----------
    ivar : (n_star, n_pix) array
        Of spectra before they are normalised; pixels without ivar > 0 are bad.

    Returns
    -------
    (n_pix,) float64
        Median over the stars of ivar over its median in each of them, the latter over its good pixels; where no star
        has a good pixel, that of the nearest that has one. One without any star.
    """
    ivar = np.asarray(ivar, dtype=float)
    ratio = np.full(ivar.shape, np.nan)
    for row, one in zip(ratio, ivar, strict=True):
        good = (one > 0) & np.isfinite(one)
        if good.any():
            row[good] = one[good] / np.median(one[good])
    known = np.flatnonzero(np.isfinite(ratio).any(axis=0))
    if not len(known):
        return np.ones(ivar.shape[1])
    shape = np.nanmedian(ratio[:, known], axis=0)
    return np.interp(np.arange(ivar.shape[1]), known, shape)


def _between(n_pix, stride):
    """Every so many pixels a node (n_node,), and what values at the nodes count for each pixel (n_node, n_pix)."""
    nodes = np.unique(np.append(np.arange(0, n_pix, stride), n_pix - 1))
    spread, pixel = np.zeros((len(nodes), n_pix)), np.arange(n_pix)
    n_used = min(_NODES, len(nodes))
    first = np.clip(np.searchsorted(nodes, pixel, side="right") - n_used // 2, 0, len(nodes) - n_used)
    for i in range(n_used):
        weight = np.ones(n_pix)
        for j in set(range(n_used)) - {i}:
            weight *= (pixel - nodes[first + j]) / (nodes[first + i] - nodes[first + j])
        spread[first + i, pixel] = weight
    return nodes, spread


def normalise(flux, ivar, kernel):
    """Divide spectra by their pseudo-continuum (Eq. 1).

    Parameters
    ----------
    flux, ivar : (n_star, n_pix) arrays
        Pixels with ivar <= 0 carry no weight whatever their flux is. The inputs stay as they are.
    kernel : Kernel
        From `banded_kernel`.

    Returns
    -------
    flux : (n_star, n_pix) float64
        1 in masked pixels.
    ivar : (n_star, n_pix) float64
        ivar times the square of the pseudo-continuum.
    pseudo_continuum : (n_star, n_pix) float64
        NaN where no good pixel is near or it is not positive; such pixels are masked. Its own noise is small,
        as it averages 40 pixels or more, and is left out of the errors.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    flux, ivar = np.asarray(flux), np.asarray(ivar)
    if flux.shape != ivar.shape or flux.ndim != 2 or flux.shape[1] != kernel.n_pix:
        raise ValueError(
            f"flux and ivar must be (n_star, {kernel.n_pix}): found {flux.shape} and {ivar.shape}"
        )
    normalised, weight, continuum = np.empty((3, *flux.shape))
    # Matrix products of one shape on one thread: the last digits of a star depend on no other star.
    with threadpool_limits(limits=1, user_api="blas"):
        for start in range(0, len(flux), _ROWS):
            rows = slice(start, start + _ROWS)
            normalised[rows], weight[rows], continuum[rows] = _normalise(flux[rows], ivar[rows], kernel)
    return normalised, weight, continuum


def _normalise(flux, ivar, kernel):
    """At most _ROWS spectra; rows that are missing are empty."""
    n = len(flux)
    with np.errstate(over="ignore", invalid="ignore"):
        good = (ivar > 0) & np.isfinite(ivar) & np.isfinite(flux)
        ivar = np.where(good, ivar, 0.0).astype(float)
        given = ivar if kernel.shape is None else np.where(good, kernel.shape, 0.0)
        weight = np.zeros((2 * _ROWS, kernel.n_pix))  # the weight, then weight x flux
        weight[:n] = given
        weight[_ROWS : _ROWS + n][good] = (given * flux)[good]
        continuum = np.full(flux.shape, 1.0 if kernel.fit == "published" else np.nan)
        least = _FAR * given.max(axis=1, initial=0.0)[:, None]
        for start, stop, low, high, band, spread in kernel.bands:
            sums = weight[:, low:high] @ band
            sums = (sums.reshape(2 * _ROWS, -1, len(spread)).swapaxes(0, 1) @ spread).swapaxes(0, 1)
            total, above = sums[:n], sums[_ROWS : _ROWS + n]
            near = (total[:, 0] > 0) & (good[:, start:stop] | (total[:, 0] > least))
            found = continuum[:, start:stop]
            np.divide(above[:, 0], total[:, 0], out=found, where=near)
            if kernel.fit == "line":
                determinant = total[:, 0] * total[:, 2] - total[:, 1] ** 2
                line = near & (determinant > _NO_SLOPE * total[:, 0] * total[:, 2])
                value = above[:, 0] * total[:, 2] - above[:, 1] * total[:, 1]
                np.divide(value, determinant, out=found, where=line)
        continuum[~((continuum > 0) & np.isfinite(continuum))] = np.nan
        usable = good & np.isfinite(continuum)
        normalised = np.divide(flux, continuum, out=np.ones_like(continuum), where=usable)
        return normalised, np.where(usable, ivar * continuum**2, 0.0), continuum
