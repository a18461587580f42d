"""A schematic H-band spectrum for the mock's aspcapStar files, to look at and never to measure.

The ab initio file ends in the optical, so this is a short list of well-known lines (air wavelengths of
Smith et al. 2013, strengths rough) whose depth follows the star's labels; it shares nothing with the nature
of the LAMOST spectra.
"""

import numpy as np

from labeltransfer.mock.profile import gaussian

CRVAL1, CDELT1, N_PIXELS = 4.179, 6e-6, 8575
# The detectors' gaps [Angstrom, vacuum], where aspcapStar files hold zeros.
_GAPS = ((15000.0, 15152.0), (15810.0, 15860.0), (16434.0, 16477.0), (16936.0, 17100.0))
_FWHM = 16000.0 / 22500.0

# Element, air wavelengths [Angstrom], optical depth at the centre at solar composition and 4800 K.
_LINES = (
    ("Fe", (15194.49, 15207.53, 15294.56, 15395.72, 15490.34, 15591.49, 15648.51, 15769.42, 15964.87), 0.35),
    ("Fe", (16009.61, 16040.66, 16102.41, 16153.25, 16165.03, 16198.50, 16316.32, 16486.67, 16541.43), 0.35),
    ("Mg", (15740.72, 15748.99, 15765.84), 0.80),
    ("Si", (15361.16, 15833.60, 15888.41, 15960.06, 16060.01, 16094.79, 16215.67, 16680.77, 16828.16), 0.45),
    ("Al", (16718.96, 16750.56, 16763.36), 0.65),
    ("Ca", (16136.82, 16150.76, 16155.24, 16157.36), 0.30),
    ("Ti", (15334.85, 15543.76, 15602.84, 15698.98, 15715.57), 0.25),
    ("K", (15163.07, 15168.38), 0.30),
    ("Na", (16373.85, 16388.86), 0.10),
    ("S", (15422.28, 15469.82, 15478.48), 0.15),
    ("V", (15924.81,), 0.10),
    ("Cr", (15680.06, 15860.21), 0.20),
    ("Mn", (15159.20, 15217.79, 15262.70), 0.30),
    ("Co", (16757.71,), 0.15),
    ("Ni", (15605.68, 15632.65, 16584.44, 16589.30, 16673.71, 16815.47, 16818.76), 0.25),
    ("O", (15278.52, 15281.05, 15505.78, 15568.78, 15572.08, 15719.66, 16052.77, 16190.13, 16192.13), 0.30),
    ("N", (15260.0, 15322.0, 15410.5, 15447.0, 15466.2, 15472.9, 15482.0), 0.12),
)
# CO heads, shaded to the red.
_CO_HEADS = (15577.4, 15774.9, 15977.7, 16184.3, 16396.0, 16613.0)


def hband_wavelength():
    """Wavelengths of the aspcapStar pixels [Angstrom, vacuum]."""
    return 10.0 ** (CRVAL1 + CDELT1 * np.arange(N_PIXELS))


def hband_flux(labels):
    """Schematic normalised spectrum of one star, at rest, 0 in the gaps; ``labels`` as in the truth table."""
    wavelength = hband_wavelength()
    # Rough: metal lines gain 10 % per 100 K of cooling and molecules three times that.
    cool = (4800.0 - float(labels["teff"])) / 100.0
    tau = np.zeros(N_PIXELS)
    for element, centres, strength in _LINES:
        molecular = element in ("O", "N")
        strength = strength * 10.0 ** (0.7 * float(labels[f"{element.lower()}_h"]))
        strength *= np.exp(np.clip((0.25 if molecular else 0.06) * cool, -3.0, 1.5))
        for centre in centres:
            tau += strength * gaussian((wavelength - _vacuum(centre)) / _FWHM)
    depth = 0.15 * 10.0 ** float(labels["c_h"]) * np.exp(np.clip(0.25 * cool, -3.0, 1.5))
    for head in _CO_HEADS:
        redward = wavelength - _vacuum(head)
        tau += np.where(redward > 0, depth * np.exp(-np.maximum(redward, 0.0) / 15.0), 0.0)
    flux = np.exp(-tau)
    for low, high in _GAPS:
        flux[(wavelength > low) & (wavelength < high)] = 0.0
    return flux


def _vacuum(air):
    """Vacuum from air wavelength in the H band; the refractive index hardly changes there (Ciddor 1996)."""
    return air * 1.00027325
