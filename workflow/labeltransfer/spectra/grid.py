"""The common wavelength grid that every spectrum is brought to, vacuum Angstrom."""

import numpy as np

from labeltransfer.surveys.grids import LOG_START, LOG_STEP


def common_grid(lower=3905.0, upper=9000.0, log_start=LOG_START, step=LOG_STEP):
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
