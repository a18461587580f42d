"""Figures 1 and 6: residuals by label and S/N."""

import numpy as np
import pytest

from labeltransfer.figures.ho2017 import figure_01, figure_06
from tests.unit.figures.ho2017.mocks import mock_comparison, statistics_expected, statistics_of


@pytest.mark.parametrize(("function", "method"), [(figure_01.draw, "lamost"), (figure_06.draw, "cannon")])
def test_residual_panels_print_scatter_and_bias_of_their_stars(function, method):
    comparison = mock_comparison(3000)
    comparison["teff_lamost"][0] = np.nan
    comparison["snr"][0] = 200.0
    limits = {"teff": ((0.0, 1e4), 1e4)}
    grid = np.array(function(comparison, "mock", limits=limits).axes).reshape(3, 3)
    snr = np.asarray(comparison["snr"])
    total = 0
    for row, inside in zip(grid, (snr > 100, (snr > 50) & (snr <= 100), snr <= 50), strict=True):
        for axes, label in zip(row, ("teff", "logg", "fe_h"), strict=True):
            difference = np.asarray(comparison[f"{label}_{method}"] - comparison[f"{label}_apogee"])
            assert statistics_of(axes) == statistics_expected(difference[inside])
            assert [line for line in axes.lines if np.all(np.asarray(line.get_ydata()) == 0)]
        assert row[0].images[0].get_array().sum() == statistics_of(row[0])[2]
        total += statistics_of(axes)[2]
    assert total == 3000
