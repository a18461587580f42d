"""Models made of random coefficients, and stars that they describe."""

import numpy as np

from labeltransfer.models.cannon import CannonModel, predict
from labeltransfer.models.polynomial import polynomial

NAMES = ("teff", "logg", "fe_h", "alpha_m", "a_k")
PIVOT = np.array([4800.0, 2.5, -0.2, 0.1, 0.1])
SCALE = np.array([350.0, 0.8, 0.3, 0.08, 0.08])


def mock_model(rng, names=NAMES, order=2, n_pix=300, curvature=0.3, scatter=0.005):
    """A model made of random coefficients; higher terms are ``curvature`` times as strong per order."""
    k = len(names)
    terms = polynomial(k, order)
    strength = 0.03 * curvature ** np.maximum(terms.exponents.sum(axis=1) - 1, 0)
    theta = strength * rng.standard_normal((n_pix, len(strength)))
    theta[:, 0] = 1.0
    pivot, scale = np.resize(PIVOT, k), np.resize(SCALE, k)
    s = scatter * rng.uniform(0.7, 1.3, n_pix)
    zero = np.zeros(n_pix)
    return CannonModel(
        tuple(names), order, pivot, scale, theta, s, zero, zero.astype(int), zero.astype(np.int8)
    )


def mock_stars(rng, model, n_star, noise=0.02, spread=1.0):
    """Flux, ivar and true labels of stars that the model describes, 5 % of the pixels masked."""
    x = spread * rng.standard_normal((n_star, len(model.pivot)))
    labels = model.pivot + model.scale * x
    clean = predict(model, labels)
    sigma = noise * np.exp(0.3 * rng.standard_normal((n_star, 1)) + 0.1 * rng.standard_normal(clean.shape))
    flux = clean + np.hypot(sigma, model.scatter) * rng.standard_normal(clean.shape)
    return flux, np.where(rng.random(clean.shape) < 0.05, 0.0, sigma**-2), labels
