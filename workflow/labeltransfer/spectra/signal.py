"""Signal over noise."""

import numpy as np


def signal_to_noise(flux, ivar, wavelength=None, band=None):
    """Median of flux x sqrt(ivar) over pixels with ivar > 0 (Ho et al. 2017, Fig. 1), per star.

    Parameters
    ----------
    flux, ivar : (n_star, n_pix) arrays
        Any units, as long as they go together.
    wavelength : (n_pix,) array, optional
        Needed for a band [Angstrom].
    band : (low, high), optional
        Wavelengths to take it over [Angstrom].

    Returns
    -------
    (n_star,) float64
        NaN without a good pixel.
    """
    if band is not None:
        chosen = (wavelength >= band[0]) & (wavelength < band[1])
        flux, ivar = flux[:, chosen], ivar[:, chosen]
    good = ivar > 0
    ratio = np.full(flux.shape, np.inf)
    ratio[good] = flux[good] * np.sqrt(ivar[good], dtype=float)
    ratio.sort(axis=1)  # much cheaper than nanmedian; bad pixels go to the end
    n_good, rows = np.count_nonzero(good, axis=1), np.arange(len(ratio))
    if not ratio.size:
        return np.full(len(ratio), np.nan)
    median = 0.5 * (ratio[rows, (n_good - 1) // 2] + ratio[rows, n_good // 2])
    return np.where(n_good > 0, median, np.nan)


def band_snr(flux, ivar, settings):
    """`signal_to_noise` in the band of the settings, over the whole grid where they have none."""
    if settings.snr_band is None:
        return signal_to_noise(flux, ivar)
    return signal_to_noise(flux, ivar, settings.grid, settings.snr_band)
