"""Wavelength grids: LAMOST's own, and the common one that every spectrum is brought to. Vacuum Angstrom."""

import numpy as np

LOG_START = 3.5682
STEP = 1e-4


def common_grid(lower=3905.0, upper=9000.0, log_start=LOG_START, step=STEP):
    """Pixels of 10^(log_start + step n) with lower <= wavelength < upper.

    Parameters
    ----------
    lower, upper : float
        Ends [Angstrom]; the defaults are those of Ho et al. 2017 and give their 3,626 pixels.
    log_start, step : float
        log10 of the first wavelength of the full grid, and its step: LAMOST's by default.

    Returns
    -------
    wavelength : (n_pix,) float64

    Raises
    ------
    ValueError
        If no pixel lies between the ends.
    """
    first = max(0, int(np.ceil((np.log10(lower) - log_start) / step)) - 2)
    last = int(np.ceil((np.log10(upper) - log_start) / step)) + 2
    wavelength = 10 ** (log_start + step * np.arange(first, max(last, first)))
    wavelength = wavelength[(wavelength >= lower) & (wavelength < upper)]
    if len(wavelength) < 2:
        raise ValueError(f"no grid between {lower} and {upper} Angstrom from 10^{log_start} on")
    return wavelength


def lamost_grid(n_pix=3909, log_start=LOG_START, step=STEP):
    """The full grid on which LAMOST publishes its spectra: 10^(3.5682 + 1e-4 n).

    Returns
    -------
    wavelength : (n_pix,) float64
    """
    return 10 ** (log_start + step * np.arange(n_pix))
