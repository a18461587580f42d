"""Small models of two labels."""

import numpy as np
import pytest
from astropy.table import Table


@pytest.fixture
def cannon(rng):
    """A model of two labels, and the spectra and labels that it was trained on."""
    from labeltransfer.models.cannon import train  # late: an environment without models tests the rest

    labels = np.column_stack([rng.uniform(4000, 5200, 60), rng.uniform(1, 3, 60)])
    x = (labels - labels.mean(axis=0)) / labels.std(axis=0)
    flux = 1 + 0.05 * x @ rng.standard_normal((2, 40)) + 0.002 * rng.standard_normal((60, 40))
    ivar = np.full(flux.shape, 0.002**-2)
    model = train(flux, ivar, labels, label_names=("teff", "logg"), order=2).on(np.arange(40.0) + 4000)
    return model, flux.astype(np.float32), ivar.astype(np.float32), labels


@pytest.fixture
def network(cannon, rng):
    """A network of the same labels and pixels, and a table of what theory says of it."""
    from labeltransfer.models.network import NetworkModel  # late, as above

    k, p, h = 2, len(cannon[0].wavelength), 4
    zero, count = np.zeros(p), np.zeros(p, dtype=int)
    pivot, scale = np.array([4600.0, 2.0]), np.array([350.0, 0.6])
    weights = rng.standard_normal((p, h, k)), rng.standard_normal((p, h)), 0.1 * rng.standard_normal((p, h))
    model = NetworkModel(
        ("teff", "logg"), pivot, scale, *weights, zero + 1, zero + 0.01, zero, zero, count, np.zeros(p, np.int8),
        0.01, 0.0, 10.0, 1e-4, "rel_l2",
    )  # fmt: skip
    theory = Table({"reference": ["giant"] * k, "label": ["teff", "logg"], "value": pivot, "step": scale})
    theory["gradient"] = rng.standard_normal((k, p))
    return model, theory
