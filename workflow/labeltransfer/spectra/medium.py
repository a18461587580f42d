"""Wavelengths in air and in vacuum: the same line, a part in 3,600 apart."""

import numpy as np

MEDIA = ("vacuum", "air")
# Below, published wavelengths are in vacuum by custom.
_LEAST_AIR = 2000.0
# The refractive index hardly changes over the difference: each round gains four digits.
_ROUNDS = 4


def refractive_index(vacuum):
    """Refractive index of dry standard air (15 C, 101325 Pa, 450 ppm CO2).

    Parameters
    ----------
    vacuum : array_like
        Wavelengths in vacuum, from 2,300 to 17,000 Angstrom; 2,000 to 25,000 for what spectra need.

    Returns
    -------
    array of the same shape
        Ciddor 1996, Applied Optics 35, 1566, Eq. 1.
    """
    wavenumber2 = (1e4 / np.asarray(vacuum, dtype=float)) ** 2  # 1 / micrometre^2
    return 1 + 1e-8 * (5792105.0 / (238.0185 - wavenumber2) + 167917.0 / (57.362 - wavenumber2))


def to_air(vacuum):
    """Wavelengths in air of wavelengths in vacuum (`refractive_index`), Angstrom; those below 2,000 stay."""
    vacuum = np.asarray(vacuum, dtype=float)
    return np.where(vacuum < _LEAST_AIR, vacuum, vacuum / refractive_index(np.maximum(vacuum, _LEAST_AIR)))


def to_vacuum(air):
    """Wavelengths in vacuum of wavelengths in air, Angstrom; those below 2,000 stay.

    The inverse of `to_air`, to its last digit.
    """
    air = np.asarray(air, dtype=float)
    vacuum = np.maximum(air, _LEAST_AIR)
    for _ in range(_ROUNDS):
        vacuum = np.maximum(air, _LEAST_AIR) * refractive_index(vacuum)
    return np.where(air < _LEAST_AIR, air, vacuum)
