"""From computed spectra to a survey's wavelengths, resolving power and pixels."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from labeltransfer.surveys.grids import lamost_grid

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


def air_to_vacuum(wavelength):
    """Vacuum wavelengths of air wavelengths.

    N. Piskunov's inverse of the refractive index of Morton (2000, ApJS 130, 403), as VALD documents it.

    Parameters
    ----------
    wavelength : array
        In air [Angstrom].

    Returns
    -------
    wavelength : array
        In vacuum [Angstrom].
    """
    squared = (1e4 / np.asarray(wavelength, dtype=float)) ** 2
    excess = (
        8.336624212083e-5
        + 2.408926869968e-2 / (130.1065924522 - squared)
        + 1.599740894897e-4 / (38.92568793293 - squared)
    )
    return wavelength * (1.0 + excess)


def survey_pixels(first=9, last=3899):
    """LAMOST's vacuum wavelengths 10^(3.5682 + 1e-4 n) [Angstrom], n from `first` to `last`, inclusive."""
    return lamost_grid(last + 1 - first, first)


def convolve(spectrum, sampling, resolving_power):
    """Convolve a spectrum on a uniform grid of log wavelength with a Gaussian of constant resolving power.

    Parameters
    ----------
    spectrum : (..., n) array
        Samples at equal steps of ln(wavelength).
    sampling : float
        Wavelength over step of the grid.
    resolving_power : float
        Wavelength over full width at half maximum.

    Returns
    -------
    spectrum : (..., n) array
        Within three widths of its ends the spectrum is continued by its outermost value.
    """
    sigma = sampling / resolving_power / FWHM_PER_SIGMA
    return gaussian_filter1d(np.asarray(spectrum, dtype=float), sigma, axis=-1, mode="nearest", truncate=6.0)


def observe(wavelength, spectra, pixels, sampling, resolving_power):
    """What an instrument of a given resolving power makes of computed spectra.

    Parameters
    ----------
    wavelength : (n,) array
        Vacuum [Angstrom], ascending.
    spectra : (..., n) array
        Flux or continuum at these wavelengths.
    pixels : (n_pix,) array
        Vacuum wavelengths of the wanted pixels [Angstrom].
    sampling : float
        Wavelength over step of the grid on which the convolution is done: that of the computation.
    resolving_power : float
        Wavelength over full width at half maximum of the instrument's Gaussian line spread function.

    Returns
    -------
    spectra : (..., n_pix) array

    Raises
    ------
    ValueError
        If the pixels, with three widths of the line spread function, are not covered.
    """
    log_wavelength = np.log(wavelength)
    margin = 3.0 / resolving_power
    if pixels[0] < np.exp(log_wavelength[0] + margin) or pixels[-1] > np.exp(log_wavelength[-1] - margin):
        raise ValueError(
            f"pixels from {pixels[0]:.1f} to {pixels[-1]:.1f} Angstrom need spectra that reach beyond them; "
            f"these cover {np.exp(log_wavelength[0]):.1f} to {np.exp(log_wavelength[-1]):.1f}"
        )
    grid = (
        np.arange(np.ceil(log_wavelength[0] * sampling), np.floor(log_wavelength[-1] * sampling) + 1)
        / sampling
    )
    log_pixels = np.log(pixels)
    spectra = np.asarray(spectra, dtype=float)
    rows = [
        np.interp(log_pixels, grid, convolve(np.interp(grid, log_wavelength, row), sampling, resolving_power))
        for row in spectra.reshape(-1, spectra.shape[-1])
    ]
    return np.reshape(rows, (*spectra.shape[:-1], len(pixels)))
