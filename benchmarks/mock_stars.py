"""Mock spectra of a quadratic nature, whose labels, coefficients and scatter are known: exactly what is fitted."""

from typing import NamedTuple

import numpy as np

from labeltransfer.models.polynomial import polynomial, vectorize

NAMES = ("teff", "logg", "fe_h", "alpha_m", "a_k")
UNITS = ("K", "dex", "dex", "dex", "mag")
CENTRE = np.array([4800.0, 2.5, -0.2, 0.1, 0.1])
SPREAD = np.array([350.0, 0.8, 0.3, 0.08, 0.08])
MASKED = 0.03
SNR = 50.0


class Nature(NamedTuple):
    """What the fluxes are made of: coefficients (n_pix, 21) and scatter (n_pix,)."""

    theta: np.ndarray
    scatter: np.ndarray


def make_nature(n_pix, seed):
    rng = np.random.default_rng([seed, 0])
    theta = rng.standard_normal((n_pix, 21)) * np.r_[0.05, np.full(5, 0.01), np.full(15, 0.0015)]
    theta[:, 0] += 1
    return Nature(theta, rng.uniform(0.004, 0.008, n_pix))


def mock_labels(n_star, seed):
    """Labels (n_star, 5); the first stars are the same however many are drawn."""
    return CENTRE + SPREAD * np.random.default_rng([seed, 1]).standard_normal((n_star, 5))


def mock_spectra(nature, labels, seed):
    """Flux and ivar (float32) of stars: S/N about 50, 3 % of the pixels without ivar."""
    rng = np.random.default_rng([seed, 2])
    n, n_pix = len(labels), len(nature.scatter)
    x = (labels - CENTRE) / SPREAD
    flux = vectorize(x, polynomial(5, 2)).astype("f4") @ nature.theta.T.astype("f4")
    variance = (
        SNR**-2.0 * np.exp(0.4 * rng.standard_normal((n, 1))) * np.exp(0.2 * rng.standard_normal(n_pix))
    )
    variance = variance.astype("f4")
    noise = rng.standard_normal((n, n_pix), dtype="f4")
    flux += noise * np.sqrt(variance + (nature.scatter**2).astype("f4"))
    masked = rng.random((n, n_pix), dtype="f4") < MASKED
    return flux, np.where(masked, np.float32(0), 1 / variance)


def spectrum_names(first, stop):
    """Names of mock spectra as LAMOST publishes them."""
    return [
        f"spec-56000-MOCK{i // 4000:04d}_sp{i % 4000 // 250 + 1:02d}-{i % 250 + 1:03d}.fits"
        for i in range(first, stop)
    ]
