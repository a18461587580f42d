"""Wavelengths of the surveys' pixels, vacuum Angstrom."""

import numpy as np

LOG_START, LOG_STEP = 3.5682, 1e-4  # log10 of LAMOST's first wavelength, and its step


def lamost_grid(n_pix=3909, first=0):
    """Pixels on which LAMOST publishes its spectra: 10^(3.5682 + 1e-4 n), n from `first` on.

    Returns
    -------
    wavelength : (n_pix,) float64
    """
    return 10 ** (LOG_START + LOG_STEP * np.arange(first, first + n_pix))
