"""The ridge that cross-validation chooses."""

import numpy as np
import pytest

from labeltransfer.models.network import NetworkOptions, RidgeTrial, choose_ridge
from tests.unit.models.network.stars import NAMES, mock_gradients, mock_stars, prior_of


def test_choose_ridge_prefers_what_predicts_other_stars(rng):
    flux, ivar, labels = mock_stars(rng, 80, noise=0.02)
    trial = RidgeTrial((1e-5, 3e-2, 10.0), folds=4)
    choice = choose_ridge(flux, ivar, labels, NAMES, trial=trial, options=NetworkOptions(hidden=30))
    assert choice.best == 3e-2
    assert choice.held_out[1] < 0.98 * min(choice.held_out[0], choice.held_out[2])
    assert 0.8 < choice.held_out[1] < 1.4


def test_prior_is_that_of_the_pixels_in_use(rng):
    flux, ivar, labels = mock_stars(rng)
    ivar[:, [0, 3]] = 0.0  # never drawn
    trial, options = RidgeTrial((1e-2,), folds=2), NetworkOptions(hidden=5, n_iterations=3)

    def held_out(prior):
        return choose_ridge(flux, ivar, labels, NAMES, trial=trial, prior=prior, options=options).held_out[0]

    theory = mock_gradients()
    spoiled = theory.copy()
    spoiled[:, [0, 3]] = 100.0
    assert held_out(prior_of(theory)) == held_out(prior_of(spoiled))
    assert held_out(prior_of(theory)) < held_out(prior_of(theory[:, ::-1]))


def test_impossible_trials_are_named(rng):
    flux, ivar, labels = mock_stars(rng)
    with pytest.raises(ValueError, match="at least 2 folds, not 1"):
        choose_ridge(flux, ivar, labels, NAMES, trial=RidgeTrial(folds=1))
    with pytest.raises(ValueError, match="no pixel has ivar > 0"):
        choose_ridge(flux, np.zeros_like(ivar), labels, NAMES)
