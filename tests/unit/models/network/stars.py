"""Stars of known nature, and Eq. 2 written plainly, for the tests of networks."""

from dataclasses import fields

import numpy as np

from labeltransfer.models.network import GradientPrior, NetworkOptions, train_network

NAMES = ("teff", "logg", "mg_h")
CENTRE = np.array([4800.0, 2.5, -0.2])
SPREAD = np.array([300.0, 0.6, 0.25])
STEPS = np.array([200.0, 0.5, 0.2])
POINT = np.array([4800.0, 2.5, 0.0])
STRENGTH = np.array(
    [[0.10, 0.0, 0.05], [0.0, 0.06, 0.10], [0.05, -0.05, 0.0], [0.0, 0.0, 0.15], [0.08, 0.03, -0.06]]
)


def mock_flux(labels):
    """Five pixels of saturating lines: no sum of sigmoids, no polynomial."""
    depth = np.exp(((labels - CENTRE) / SPREAD) @ STRENGTH.T * 4) * 0.15
    return 1.0 - depth / (1.0 + 2.0 * depth)


def mock_gradients(points=POINT):
    """Half the change of the flux from minus to plus each step, (k, p) or (R, k, p)."""
    points = np.atleast_2d(points)
    found = [0.5 * (mock_flux(x + np.diag(STEPS)) - mock_flux(x - np.diag(STEPS))) for x in points]
    return found[0] if len(found) == 1 else np.array(found)


def mock_stars(rng, n_star=150, noise=0.005):
    """Flux, ivar and labels."""
    mix = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [-0.3, 0.2, 0.9]])
    labels = CENTRE + SPREAD * (rng.standard_normal((n_star, 3)) @ mix.T)
    clean = mock_flux(labels)
    sigma = noise * np.exp(0.2 * rng.standard_normal(clean.shape))
    return clean + sigma * rng.standard_normal(clean.shape), sigma**-2, labels


def train(flux, ivar, labels, names=NAMES, prior=None, wavelength=None, threads=1, **options):
    """A small network per pixel."""
    options = NetworkOptions(**{"hidden": 10, "ridge": 1e-2} | options)
    return train_network(
        flux, ivar, labels, names, prior=prior, options=options, wavelength=wavelength, threads=threads
    )


def prior_of(gradient, points=POINT, **strength):
    """The prior of gradients (k, p) or (R, k, p)."""
    points = np.atleast_2d(points)
    return GradientPrior(np.reshape(gradient, (*points.shape, -1)), STEPS, points, **strength)


def plain_flux(q, x, hidden):
    """Eq. 1 of one pixel, written plainly; q is W (H, k), c, w and b."""
    k = x.shape[1]
    W, c = q[: hidden * k].reshape(hidden, k), q[hidden * k : hidden * (k + 1)]
    return 1 / (1 + np.exp(-(x @ W.T + c))) @ q[hidden * (k + 1) : -1] + q[-1]


def plain_loss(q, pixel, model, flux, ivar, labels, prior=None):
    """Eq. 2 and the ridge, written plainly."""
    hidden = len(model.c[0])
    good = ivar[:, pixel] > 0
    f, iv = flux[good, pixel], ivar[good, pixel]
    mean = (iv @ f) / iv.sum()
    unit = np.sqrt(iv @ (f - mean) ** 2 / iv.sum())
    residual = f - plain_flux(q, model.to_scaled(labels[good]), hidden)
    weights = q[:-1].copy()
    weights[-hidden:] /= unit
    loss = np.mean(iv * residual**2)
    if model.l1:
        loss += model.l1 * (np.hypot(weights, 1e-4) - 1e-4).sum()
    else:
        loss += model.ridge * (weights**2).sum()
    if prior is not None:
        theory, points = prior
        terms = []
        for point, t in zip(np.atleast_2d(points), theory.reshape(-1, 3, theory.shape[-1]), strict=True):
            ends = [plain_flux(q, model.to_scaled(point + sign * np.diag(STEPS)), hidden) for sign in (1, -1)]
            off = 0.5 * (ends[0] - ends[1]) - t[:, pixel]
            if model.form.startswith("rel"):
                off = off / np.maximum(np.abs(t[:, pixel]), model.floor)
            soft = 0.01 if model.form.startswith("rel") else model.floor
            terms.append(off**2 if model.form.endswith("l2") else np.hypot(off, soft) - soft)
        loss += model.d_scale * np.mean(terms)
    return loss


def weights_of(model, pixel):
    """Weights of a pixel as `plain_flux` takes them."""
    return np.concatenate(
        [model.W[pixel].ravel(), model.c[pixel], model.w[pixel], model.b[pixel : pixel + 1]]
    )


def same(one, two):
    """Whether two models are the same bytes."""
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(two, field.name)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes(), field.name
