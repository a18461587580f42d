"""Spectra of stars with known labels as two spectrographs see them: lines of given widths at given velocities."""

import numpy as np
from astropy.io import fits

from labeltransfer.spectra.medium import to_vacuum
from labeltransfer.spectra.velocity import SPEED_OF_LIGHT
from labeltransfer.surveys.base import Spectrum

LABELS = ("teff", "logg", "fe_h")
FWHM = np.sqrt(8 * np.log(2))
SHARP = 2.5  # Angstrom, FWHM


def stars(n, rng):
    """Labels (n, 3)."""
    return np.column_stack([rng.uniform(4500, 6500, n), rng.uniform(1.5, 4.5, n), rng.uniform(-1, 0.3, n)])


def flux_of(labels, wavelength, fwhm, velocity=0.0):
    """Flux of a star: Gaussian lines whose areas depend on its labels; velocity a number or of each wavelength."""
    rng = np.random.default_rng(5)
    rest = wavelength / (1 + velocity / SPEED_OF_LIGHT)
    x = (np.asarray(labels) - (5500, 3, -0.3)) / (1000, 1.5, 0.6)
    depth, sigma = np.zeros(len(wavelength)), fwhm / FWHM
    for centre in rng.uniform(4380.0, 5720.0, 190):
        area = 0.35 * rng.uniform(0.2, 1) * np.exp(rng.normal(0, 0.2, 2) @ x[:2] + 0.6 * x[2])
        depth += area * np.exp(-0.5 * ((rest - centre) / sigma) ** 2) / sigma / np.sqrt(2 * np.pi)
    return 1 - depth


def spectrum(name, labels, fwhm, velocity=0.0, wavelength=None, noise=0.0, rng=None):
    """A spectrum at rest in vacuum without errors, as those of libraries."""
    wavelength = np.arange(4400.0, 5700.0, 0.9) if wavelength is None else wavelength
    flux = flux_of(labels, wavelength, fwhm, velocity)
    flux = flux if rng is None else flux + noise * rng.standard_normal(len(flux))
    good = np.zeros(len(flux), dtype=np.uint32)
    return Spectrum(wavelength, flux, None, good, good, np.nan, np.nan, name, frame="rest")


def library_file(path, labels, fwhm, velocity=0.0, **cards):
    """A file of a library: linear wavelengths in air."""
    air = 4400.0 + 0.9 * np.arange(1440)
    hdu = fits.PrimaryHDU(flux_of(labels, to_vacuum(air), fwhm, velocity))
    hdu.header.update({"CRPIX1": 1, "CRVAL1": 4400.0, "CDELT1": 0.9} | cards)
    hdu.writeto(path)
