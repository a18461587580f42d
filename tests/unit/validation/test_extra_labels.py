"""Further labels: pixels, the doublet of sodium, and dust."""

import numpy as np
import pytest

from labeltransfer.models.base import Labels
from labeltransfer.validation.extra_labels import (
    STRONGEST,
    dust_slope,
    fit_rows,
    telling_pixels,
    without_na_d,
)


def test_pixels_are_even_ones_and_the_strongest_of_the_last_labels(rng):
    gradient = 1e-3 * rng.standard_normal((3, 2000))
    gradient[2, 500 : 500 + STRONGEST] = -1.0
    gradient[0, 1500:1600] = 1.0  # not a further label
    found = telling_pixels(gradient, 1, 11)
    expected = np.union1d(np.linspace(0, 1999, 11).astype(int), np.arange(500, 500 + STRONGEST))
    np.testing.assert_array_equal(found, expected)


def test_the_doublet_has_no_weight():
    wavelength = np.array([5870.0, 5891.6, 5897.6, 5910.0])
    assert without_na_d(wavelength, np.ones((2, 4))).tolist() == [[1, 0, 0, 1]] * 2


def test_dust_slope_is_found_within_its_error(rng):
    a_k = rng.uniform(0, 0.5, 500)
    residual = 0.3 * a_k + 0.05 * rng.standard_normal(500)
    residual[3], a_k[4] = np.nan, np.nan
    slope, error = dust_slope(residual, a_k)
    assert slope == pytest.approx(0.3, abs=4 * error)
    assert error == pytest.approx(0.05 / a_k[5:].std() / np.sqrt(498), rel=0.1)
    assert np.isnan(dust_slope(residual[:2], a_k[:2])).all()


def test_labels_that_did_not_converge_count_nowhere(rng):
    n = 400
    truth = np.column_stack([rng.uniform(4000, 5000, n), rng.uniform(-1, 0, n)])
    labels = truth + [30.0, 0.1] * rng.standard_normal((n, 2))
    converged = np.arange(n) < 300
    labels[~converged] += 1e6
    found = Labels(labels, None, None, None, None, converged, None)
    rows = fit_rows(found, truth, ["teff", "na_h"], np.full(n, np.nan))
    assert [row["n"] for row in rows] == [300, 300]
    assert rows[0]["scatter"] == pytest.approx(30.0, rel=0.15)
    assert rows[1]["robust_scatter"] == pytest.approx(0.1, rel=0.2)
    assert np.isnan(rows[0]["slope_with_a_k"])
