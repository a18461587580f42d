"""The common grid against the numbers of the paper."""

import numpy as np
import pytest

from labeltransfer.spectra.grid import common_grid
from labeltransfer.surveys.grids import lamost_grid


def test_the_papers_grid_has_3626_pixels():
    grid = common_grid()
    assert len(grid) == 3626
    assert grid[0] >= 3905
    assert grid[0] / 10**1e-4 < 3905
    assert grid[-1] < 9000
    assert grid[-1] * 10**1e-4 >= 9000


def test_pixels_are_those_of_lamost():
    grid, full = common_grid(), lamost_grid()
    assert len(full) == 3909
    assert full[0] == pytest.approx(10**3.5682, rel=1e-15)
    first = np.argmin(np.abs(full - grid[0]))
    np.testing.assert_allclose(grid, full[first : first + len(grid)], rtol=1e-14)
    np.testing.assert_allclose(np.diff(np.log10(grid)), 1e-4, rtol=1e-9)


def test_the_lower_end_belongs_to_the_grid_and_the_upper_does_not():
    full = lamost_grid()
    grid = common_grid(full[100], full[200])
    np.testing.assert_allclose(grid, full[100:200], rtol=1e-14)


def test_nothing_comes_before_the_first_pixel_of_lamost():
    assert common_grid(3000.0, 4000.0)[0] == pytest.approx(10**3.5682, rel=1e-14)


@pytest.mark.parametrize("ends", [(9000.0, 3905.0), (5000.0, 5000.5), (2000.0, 3000.0)])
def test_a_grid_without_pixels_is_refused(ends):
    with pytest.raises(ValueError, match="no grid between"):
        common_grid(*ends)


def test_a_linear_grid_has_steps_of_one_length():
    grid = common_grid(4000.25, 4010.0, None, 0.5, start=3540.5)
    np.testing.assert_allclose(grid, np.arange(4000.5, 4010.0, 0.5), rtol=1e-14)


@pytest.mark.parametrize("starts", [(3.5, 4000.0), (None, None)])
def test_a_grid_is_one_or_the_other(starts):
    with pytest.raises(ValueError, match="log_start or start"):
        common_grid(4000.0, 5000.0, starts[0], 1.0, starts[1])
