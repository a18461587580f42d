"""Maps of the sky."""

import numpy as np
import pytest

from labeltransfer.figures import sky


def test_sky_cells_have_nearly_equal_area():
    rng = np.random.default_rng(3)
    n_star = 400_000
    longitude, latitude = rng.uniform(0, 360, n_star), np.degrees(np.arcsin(rng.uniform(-1, 1, n_star)))
    cell, n_cell = sky.sky_cells(longitude, latitude, 10.0)
    count = np.bincount(cell, minlength=n_cell)
    assert count.size == n_cell
    assert count.min() > 0.75 * count.mean()
    assert count.max() < 1.25 * count.mean()
    corners, _ = sky.sky_cells([0.0, 360.0, 359.999, -0.001], [90.0, -90.0, 0.0, 0.0], 10.0)
    assert corners.min() >= 0
    assert corners.max() < n_cell
    assert corners[2] == corners[3]


def test_median_per_cell_agrees_with_numpy():
    rng = np.random.default_rng(3)
    cell, values = rng.integers(0, 40, 300), rng.normal(size=300)
    median = sky.median_per_cell(cell, values, 45)
    expected = [np.median(values[cell == i]) if np.any(cell == i) else np.nan for i in range(45)]
    np.testing.assert_allclose(median, expected)
    assert np.isnan(median[40:]).all()


def test_mollweide_there_and_back_with_longitude_growing_to_the_left():
    rng = np.random.default_rng(3)
    longitude, latitude = rng.uniform(-29, 329, 2000), rng.uniform(-89, 89, 2000)
    back = sky.inverse_mollweide(*sky.mollweide(longitude, latitude, 150.0), 150.0)
    np.testing.assert_allclose(back[1], latitude, atol=1e-5)
    np.testing.assert_allclose((back[0] - longitude + 180) % 360 - 180, 0.0, atol=1e-4)
    assert sky.mollweide(0.0, 0.0, 150.0)[0] == pytest.approx(2 * 150 / 180)
    assert np.isnan(sky.inverse_mollweide(np.array(1.9), np.array(0.9), 150.0)[0])
    # Equal areas: of stars all over the sky, a quarter lies in an ellipse of half the size.
    x, y = sky.mollweide(
        rng.uniform(0, 360, 40_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 40_000))), 150.0
    )
    assert np.mean((x / 2) ** 2 + y**2 < 0.25) == pytest.approx(0.25, abs=0.01)
