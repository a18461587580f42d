"""Correlations against numpy's, their weights, and labels of which nothing is known."""

import numpy as np
import pytest

from labeltransfer.validation.gradient_correlation import closeness, correlation_table, gradient_correlation


def test_correlation_is_pearsons(rng):
    theory = rng.standard_normal((4, 300))
    model = theory * [[1], [-2], [0.3], [1]] + rng.standard_normal((4, 300)) * [[0], [0], [0.3], [10]]
    found = gradient_correlation(model, theory)
    np.testing.assert_allclose(found, [np.corrcoef(a, b)[0, 1] for a, b in zip(model, theory, strict=True)])
    np.testing.assert_allclose(found[:2], [1.0, -1.0])
    np.testing.assert_allclose(gradient_correlation(5 * model + 3, theory), found)


def test_weights_count_pixels(rng):
    theory, model = rng.standard_normal((2, 3, 40))
    times = rng.integers(0, 4, 40)
    repeated = gradient_correlation(np.repeat(model, times, axis=1), np.repeat(theory, times, axis=1))
    np.testing.assert_allclose(gradient_correlation(model, theory, weight=times), repeated)


def test_unknown_pixels_are_left_out_and_constants_have_none(rng):
    theory, model = rng.standard_normal((2, 3, 40))
    holes = model.copy()
    holes[0, :10] = np.nan
    holes[1] = 0.7
    holes[2, 2:] = np.nan
    found = gradient_correlation(holes, theory)
    np.testing.assert_allclose(found[0], np.corrcoef(model[0, 10:], theory[0, 10:])[0, 1])
    assert np.isnan(found[1:]).all()
    with pytest.raises(ValueError, match="found"):
        gradient_correlation(model[:2], theory)


def test_table_has_a_row_per_method_and_label(rng):
    theory = rng.standard_normal((2, 30))
    table = correlation_table({"prior": theory, "plain": -theory}, theory, ("teff", "mg_h"))
    assert list(table["method"]) == ["prior", "prior", "plain", "plain"]
    assert list(table["label"]) == ["teff", "mg_h"] * 2
    np.testing.assert_allclose(table["correlation"], [1, 1, -1, -1])


def test_nothing_is_not_close_to_theory(rng):
    theory = rng.standard_normal((2, 3, 200))
    noisy = theory + 2.0 * rng.standard_normal(theory.shape)
    assert closeness(theory, theory) == pytest.approx(1)
    assert closeness(-theory, theory) == pytest.approx(-1)
    assert closeness(0 * theory, theory) == 0
    # Farther from theory than no gradient at all, and yet it knows where the lines are.
    assert np.sum((noisy - theory) ** 2) > np.sum(theory**2)
    assert 0.3 < closeness(noisy, theory) < 0.6
    half = theory.copy()
    half[:, 0] = 0
    assert closeness(half, theory) == pytest.approx(2 / 3)
