"""Figure 5: one to one."""

import numpy as np
from astropy.table import Table

from labeltransfer.figures.ho2017 import figure_05
from labeltransfer.figures.ho2017.common import LABELS
from tests.unit.figures.ho2017.mocks import mock_comparison, statistics_expected, statistics_of


def test_outliers_count_though_they_lie_outside_the_frame():
    comparison = mock_comparison(200)
    comparison["snr"] = 80.0
    difference = np.tile([-20.0, 20.0], 100)
    difference[7] += 5000.0
    comparison["teff_cannon"] = comparison["teff_apogee"] + difference
    axes = figure_05.draw(comparison, "mock", limits={"teff": (3000.0, 6500.0)}).axes[0]
    assert statistics_of(axes) == statistics_expected(difference)
    assert any("200 stars, 1 outside" in text.get_text() for text in axes.texts)


def test_figure_05_prints_statistics_of_bright_stars_and_draws_all():
    comparison = mock_comparison(2000)
    figure = figure_05.draw(comparison, "mock", limits={"teff": (0.0, 1e5)})
    bright = np.asarray(comparison["snr"]) > 50
    for axes, label in zip(figure.axes[:5], LABELS, strict=True):
        difference = np.asarray(comparison[f"{label}_cannon"] - comparison[f"{label}_apogee"])
        assert statistics_of(axes) == statistics_expected(difference[bright])
        assert axes.get_xlim() == axes.get_ylim()
    assert figure.axes[0].images[0].get_array().sum() == 2000
    names = [axes.images[0].get_cmap().name for axes in figure.axes[:5]]
    assert names == ["density"] * 4 + ["nuisance_density"]


def test_masked_values_and_columns_with_units_are_understood():
    comparison = mock_comparison(300)
    masked = Table(comparison, masked=True)
    masked["teff_cannon"].mask[:100] = True
    masked["teff_cannon"].unit = "K"
    difference = np.asarray(comparison["teff_cannon"] - comparison["teff_apogee"])
    bright = np.asarray(comparison["snr"]) > 50
    bright[:100] = False
    assert statistics_of(figure_05.draw(masked, "mock").axes[0]) == statistics_expected(difference[bright])
