"""The common wavelength grid that every spectrum is brought to, vacuum Angstrom."""

import numpy as np

from labeltransfer.surveys.grids import LOG_START, LOG_STEP


def common_grid(lower=3905.0, upper=9000.0, log_start=LOG_START, step=LOG_STEP, start=None):
    """Pixels of 10^(log_start + step n), or of start + step n, with lower <= wavelength < upper.

    Parameters
    ----------
    lower, upper : float
        Ends [Angstrom]; the defaults are those of Ho et al. 2017 and give their 3,626 pixels.
    log_start : float or None
        log10 of the first wavelength of the full grid: LAMOST's by default.
    step : float
        In log10 of the wavelength, or of a linear grid in Angstrom.
    start : float, optional
        First wavelength of a linear grid [Angstrom], which has a `log_start` of None.

    Returns
    -------
    wavelength : (n_pix,) float64

    Raises
    ------
    ValueError
        If no pixel lies between the ends, or the grid is neither one nor the other.
    """
    if (start is None) == (log_start is None):
        raise ValueError(f"a grid has log_start or start: found {log_start} and {start}")
    low, high = (lower, upper) if log_start is None else np.log10([lower, upper])
    zero = start if log_start is None else log_start
    first = max(0, int(np.ceil((low - zero) / step)) - 2)
    last = int(np.ceil((high - zero) / step)) + 2
    wavelength = zero + step * np.arange(first, max(last, first))
    wavelength = wavelength if log_start is None else 10**wavelength
    wavelength = wavelength[(wavelength >= lower) & (wavelength < upper)]
    if len(wavelength) < 2:
        begin = f"10^{log_start}" if start is None else str(start)
        raise ValueError(f"no grid between {lower} and {upper} Angstrom from {begin} on")
    return wavelength


def require_grid(found, wavelength, path):
    """Refuse a file whose wavelengths are not those of the grid, both in Angstrom.

    Raises
    ------
    ValueError
    """
    if len(found) != len(wavelength) or not np.allclose(found, wavelength, rtol=1e-9, atol=0):
        raise ValueError(f"{path}: of another grid of wavelengths; delete it and rerun to make it anew")
