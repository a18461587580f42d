"""Shifted abundances, what is found of them, and the linear answer of a model against a fit done in full."""

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.validation.shift import linear_response, recovery, shift_abundance, shift_table


def test_one_abundance_is_shifted_and_the_input_stays(rng):
    labels = Table({"teff": rng.random(5), "mg_m": rng.random(5), "ni_m": rng.random(5)})
    before = labels.copy()
    shifted = shift_abundance(labels, "mg_h", 0.3)
    np.testing.assert_allclose(shifted["mg_m"] - labels["mg_m"], 0.3)
    for name in labels.colnames:
        np.testing.assert_array_equal(labels[name], before[name])
        if name != "mg_m":
            np.testing.assert_array_equal(shifted[name], labels[name])
    for name in ("teff", "na_h", "mg"):
        with pytest.raises(ValueError, match="mg_h, ni_h"):
            shift_abundance(labels, name, 0.3)


def test_recovery_is_the_mean_change_over_the_shift(rng):
    base = rng.standard_normal((400, 3))
    noise = 0.05 * rng.standard_normal((400, 3))
    shifted = base + np.array([0.0, -0.3 * 0.7, 0.3 * 0.2]) + noise
    shifted[7, 0] = np.nan
    found = recovery(shifted, base, -0.3, 1)
    assert found.n == 399
    assert found.error == pytest.approx(0.05 / 0.3 / np.sqrt(399), rel=0.15)
    assert found.fraction == pytest.approx(0.7, abs=4 * found.error)
    np.testing.assert_allclose(found.leak, [0.0, 0.7, -0.2], atol=0.05)
    assert np.isnan(recovery(base[:1], base[:1], 0.3, 0).fraction)
    with pytest.raises(ValueError, match="zero"):
        recovery(base, base, 0.0, 0)
    with pytest.raises(ValueError, match="found"):
        recovery(base, base[:, :2], 0.3, 0)


def test_response_of_the_right_gradients_is_the_identity(rng):
    gradients = rng.standard_normal((4, 300)) * [[1], [1e-3], [10], [0.1]]
    np.testing.assert_allclose(linear_response(gradients, gradients), np.eye(4), atol=1e-10)
    np.testing.assert_allclose(np.diag(linear_response(2 * gradients, gradients)), 0.5)


def test_response_is_that_of_a_weighted_fit(rng):
    gradients, truth = rng.standard_normal((2, 3, 200))
    ivar, scatter = rng.uniform(0.5, 30.0, 200), rng.uniform(0.0, 0.5, 200)
    gradients[1, :20], ivar[20:40] = np.nan, 0.0
    found = linear_response(gradients, truth, ivar, scatter)
    weight = ivar[40:] / (1 + ivar[40:] * scatter[40:] ** 2)
    g, t = gradients[:, 40:], truth[:, 40:]
    np.testing.assert_allclose(found.T, np.linalg.solve((g * weight) @ g.T, (g * weight) @ t.T), rtol=1e-8)
    with pytest.raises(ValueError, match="found"):
        linear_response(gradients, truth[:2])


def test_a_label_without_gradient_answers_to_nothing_and_one_inferred_not_to_its_own(rng):
    """Nickel read off iron's lines: a shift of nickel alone is not seen."""
    iron, nickel = rng.standard_normal((2, 500))
    model = np.array([iron, iron + 0.05 * rng.standard_normal(500), np.zeros(500)])
    response = linear_response(model, np.array([iron, 0.0 * nickel, nickel]))
    np.testing.assert_allclose(response[1], 0.0, atol=1e-10)
    np.testing.assert_allclose(response[:, 2], 0.0, atol=1e-10)


def test_shifts_are_told_label_by_label():
    stars = Table({"id": ["a0", "b0", "c0", "a1", "b1", "c1"], "star": list("abcabc")})
    stars["label"], stars["shift"] = [""] * 3 + ["mg_h"] * 3, [0.0] * 3 + [0.2] * 3
    found = stars[["id"]][::-1].copy()
    found["teff"] = [9000.0, 4500.0, 4500.0, 4500.0, 4500.0, 4500.0]
    found["mg_h"] = [9.0, 0.15, 0.15, 0.0, 0.0, 0.0]
    found["ni_h"] = [9.0, -0.05, -0.05, 0.0, 0.0, 0.0]
    found["converged"] = found["teff"] < 5000
    (row,) = shift_table(stars, found, ["teff", "mg_h", "ni_h"]).to_dict("records")
    assert (row["label"], row["shift"], row["n"]) == ("mg_h", 0.2, 2)
    assert row["recovered_fraction"] == pytest.approx(0.75)
    assert (row["largest_leak"], row["leaks_to"]) == (pytest.approx(-0.25), "ni_h")
