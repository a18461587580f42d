"""What panels share: frames, contours, names that keep apart, printed numbers."""

import numpy as np
import pytest

from labeltransfer.figures import panels
from labeltransfer.figures.ho2017.common import LABEL_RANGES


def test_contour_levels_enclose_the_sigmas_of_a_gaussian():
    x = np.linspace(-6.0, 6.0, 601)
    density = np.exp(-0.5 * (x[:, None] ** 2 + (x[None] / 1.5) ** 2))
    n_sigma = np.array([2.0, 1.5, 1.0, 0.5])
    np.testing.assert_allclose(panels.contour_levels(density, n_sigma), np.exp(-0.5 * n_sigma**2), rtol=0.02)
    assert panels.contour_levels(np.zeros((3, 3))).size == 0
    assert panels.contour_levels(np.ones((3, 3))).size == 1


def test_names_keep_a_gap_and_move_no_more_than_needed():
    np.testing.assert_allclose(panels.spread_positions([0.0, 10.0, 20.0], 5.0), [0.0, 10.0, 20.0])
    np.testing.assert_allclose(panels.spread_positions([10.0, 10.0], 4.0), [8.0, 12.0])
    positions = np.random.default_rng(1).uniform(0, 100, 15)
    spread = panels.spread_positions(positions, 5.0)
    assert np.diff(np.sort(spread)).min() > 5.0 - 1e-9
    np.testing.assert_array_equal(np.argsort(spread), np.argsort(positions))
    assert spread.mean() == pytest.approx(positions.mean())


def test_frames_follow_stars_that_the_paper_does_not_have():
    published = LABEL_RANGES["teff"]
    low, high = panels.choose_range(np.linspace(5800.0, 7500.0, 500), published)
    assert 5600 < low < 5850
    assert 7450 < high < 7700
    assert panels.choose_range(np.append(np.full(95, 4700.0), np.full(5, 9000.0)), published) == published
    assert panels.choose_half_range(np.full(10, 900.0), 300.0) == 900.0
    assert panels.choose_half_range([], 300.0) == 300.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (91.52, "91.5 K"),
        (-0.00354, "\N{MINUS SIGN}0.00354 K"),
        (0.24, "0.240 K"),
        (0.0, "0 K"),
        (1234.4, "1234 K"),
        (np.nan, "\N{EN DASH}"),
    ],
)
def test_numbers_are_printed_with_three_digits(value, text):
    assert panels.format_number(value, "K") == text
