"""Correlations star by star against gradients taken by differences, and the bits of the flag."""

import numpy as np
import pytest

from labeltransfer.models.network import NetworkModel, predict_network
from labeltransfer.validation.gradient_correlation import gradient_correlation
from labeltransfer.validation.measured import measured_flags, star_correlations

K, H, P = 3, 6, 70


@pytest.fixture
def model(rng):
    zero = np.zeros(P)
    status = np.zeros(P, dtype=np.int8)
    status[5] = 1
    return NetworkModel(
        ("teff", "logg", "mg_h"),
        np.array([4800.0, 2.5, -0.2]),
        np.array([300.0, 0.5, 0.25]),
        rng.standard_normal((P, H, K)),
        rng.standard_normal((P, H)),
        0.05 * rng.standard_normal((P, H)),
        np.ones(P),
        np.full(P, 0.01),
        zero,
        zero,
        zero.astype(int),
        status,
        0.01,
        0.0,
        10.0,
        1e-4,
        "rel_l2",
    )


def test_correlations_are_those_of_gradients_at_the_stars_own_labels(model, rng):
    labels = model.pivot + model.scale * rng.standard_normal((4, K))
    ivar = rng.uniform(0, 4e4, (4, P))
    ivar[:, 9] = 0.0
    points = np.array([labels[0] + 0.1 * model.scale, labels[3] + 0.1 * model.scale])
    theory = rng.standard_normal((2, K, P))
    theory[1, 0, 20] = np.nan
    found = star_correlations(model, labels, ivar, theory, points)
    # two reference points: the first star is nearest to the first, the last to the second
    for star, point in ((0, 0), (3, 1)):
        step = np.diag(1e-4 * model.scale)
        slopes = predict_network(model, labels[star] + step) - predict_network(model, labels[star] - step)
        slopes[:, 20] = np.nan
        weight = ivar[star] / (1 + ivar[star] * model.scatter**2)
        expected = gradient_correlation(slopes, theory[point], weight)
        np.testing.assert_allclose(found[star], expected, atol=1e-6)


def test_a_star_without_labels_or_data_has_no_correlation(model, rng):
    labels = np.tile(model.pivot, (2, 1))
    labels[0] = np.nan
    ivar = np.full((2, P), 1e4)
    ivar[1] = 0.0
    found = star_correlations(model, labels, ivar, rng.standard_normal((1, K, P)), model.pivot[None])
    assert np.isnan(found).all()


def test_flags_say_why():
    training = np.array([-0.5, 0.0, 0.5])
    flags = measured_flags(
        [0.9, 0.4, 0.9, 0.9, np.nan],
        [0.0, 0.0, 0.6, 0.0, np.nan],
        [0.1, 0.1, 0.1, 0.5, np.nan],
        training,
        0.5,
    )
    np.testing.assert_array_equal(flags, [0, 1, 2, 4, 7])
