"""Priors and options say what is wrong with them."""

import numpy as np
import pytest

from labeltransfer.models.network import GradientPrior, NetworkOptions
from tests.unit.models.network.stars import POINT, STEPS, prior_of


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"form": "cubic"}, "form must be one of rel_l2, rel_l1, l2, l1, not 'cubic'"),
        ({"gradient": np.zeros((1, 2, 5))}, r"found \(1, 2, 5\), \(3,\) and \(1, 3\)"),
        ({"gradient": np.zeros((3, 5))}, r"found \(3, 5\)"),
        ({"steps": [200.0, 0.0, 0.2]}, "no step zero"),
        ({"points": [[np.nan, 2.5, 0.0]]}, "must be finite"),
        ({"d_scale": -1.0}, "d_scale must not be negative"),
        ({"floor": 0.0}, "floor be positive"),
    ],
)
def test_bad_priors_are_named(change, message):
    good = {"gradient": np.zeros((1, 3, 5)), "steps": STEPS, "points": POINT[None]}
    GradientPrior(**good)
    with pytest.raises(ValueError, match=message):
        GradientPrior(**good | change)


@pytest.mark.parametrize("change", [{"ridge": 0.0}, {"ridge": np.nan}, {"l1": -1.0}])
def test_bad_options_are_named(change):
    with pytest.raises(ValueError, match="ridge must be positive and l1 not negative"):
        NetworkOptions(**change)


def test_prior_of_some_pixels(rng):
    theory = rng.standard_normal((3, 5))
    prior = prior_of(theory, d_scale=3.0).at([4, 0])
    np.testing.assert_array_equal(prior.gradient[0], theory[:, [4, 0]])
    assert prior.d_scale == 3.0
