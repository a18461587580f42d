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
_REACH = 7.5  # standard deviations: weights beyond are below 1e-12
_COLUMNS = 128  # grid pixels that share one matrix product
_ROWS = 64  # stars that share one


class Kernel(NamedTuple):
    """Weights of Eq. 2 in bands: for grid pixels start to stop, those of pixels low to high.

    Attributes
    ----------
    n_pix : int
        Pixels of the grid.
    bands : list of (start, stop, low, high, weight)
        With weight : (high - low, stop - start) float64.
    """

    n_pix: int
    bands: list


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


def banded_kernel(wavelength, width=50.0, form="exp(-d2/L2)"):
    """Prepare the weights w_i(lambda_0) of Eq. 2 for a grid.

    Parameters
    ----------
    wavelength : (n_pix,) float64
        Increasing [Angstrom].
    width : float
        L of Eq. 2, or the FWHM if the form is "fwhm" [Angstrom].
    form : {"exp(-d2/L2)", "exp(-d2/2L2)", "fwhm"}
        The paper's weight, that of the authors' code, or a Gaussian of given FWHM (Ting et al. 2017).

    Returns
    -------
    Kernel
    """
    sigma = kernel_fwhm(width, form) / np.sqrt(8 * np.log(2))
    bands = []
    for start in range(0, len(wavelength), _COLUMNS):
        centre = wavelength[start : start + _COLUMNS]
        low, high = np.searchsorted(wavelength, [centre[0] - _REACH * sigma, centre[-1] + _REACH * sigma])
        weight = np.exp(-0.5 * ((wavelength[low:high, None] - centre) / sigma) ** 2)
        bands.append((start, start + len(centre), int(low), int(high), weight))
    return Kernel(len(wavelength), bands)


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
        weight = np.zeros((2 * _ROWS, kernel.n_pix))  # ivar, then ivar x flux
        weight[:n][good] = ivar[good]
        weight[_ROWS : _ROWS + n][good] = ivar[good] * flux[good].astype(float)
        continuum = np.full(flux.shape, np.nan)
        for start, stop, low, high, band in kernel.bands:
            total = weight[:, low:high] @ band
            np.divide(total[_ROWS : _ROWS + n], total[:n], out=continuum[:, start:stop], where=total[:n] > 0)
        continuum[~((continuum > 0) & np.isfinite(continuum))] = np.nan
        usable = good & np.isfinite(continuum)
        normalised = np.divide(flux, continuum, out=np.ones_like(continuum), where=usable)
        return normalised, np.where(usable, weight[:n] * continuum**2, 0.0), continuum
