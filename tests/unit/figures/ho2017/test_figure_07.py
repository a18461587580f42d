"""Figure 7: scatter against S/N."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from labeltransfer.figures import style
from labeltransfer.figures.ho2017 import figure_07
from labeltransfer.figures.ho2017.common import LABELS
from tests.unit.figures.ho2017.mocks import mock_comparison


def test_figure_07_shows_the_scatter_in_each_bin_and_a_curve_of_one_over_snr():
    comparison = mock_comparison(4000)
    centres = (30.0, 50.0, 70.0)
    figure = figure_07.draw(comparison, "mock", snr_column="snr", snr_factor=1.0, centres=centres)
    snr = np.asarray(comparison["snr"])
    for axes, label in zip(figure.axes, LABELS[:4], strict=True):
        methods = {"cannon": style.CANNON, "lamost": style.PIPELINE}
        if label == "alpha_m":
            del methods["lamost"]
        for points, (method, color) in zip(axes.containers, methods.items(), strict=True):
            difference = np.asarray(comparison[f"{label}_{method}"] - comparison[f"{label}_apogee"])
            expected = [difference[np.abs(snr - centre) < 10.0].std() for centre in centres]
            np.testing.assert_allclose(points.lines[0].get_ydata(), expected)
            assert to_hex(points.lines[0].get_color()) == color
        (curve,) = [line for line in axes.lines if line.get_linestyle() == "--"]
        product = curve.get_xdata() * curve.get_ydata()
        np.testing.assert_allclose(product, 30.0 * axes.containers[0].lines[0].get_ydata()[0])
        (dotted,) = [line for line in axes.lines if line.get_linestyle() == ":"]
        near = np.abs(snr - 50.0) < 10.0
        assert dotted.get_ydata()[1] == pytest.approx(np.median(comparison[f"{label}_bootstrap"][near]))


def test_figure_07_scales_the_snr_by_the_factor():
    comparison = mock_comparison(2000)
    figure = figure_07.draw(comparison, "mock", snr_factor=3.0, centres=(50.0,))
    near = np.abs(3.0 * np.asarray(comparison["snr_g"]) - 50.0) < 10.0
    difference = np.asarray(comparison["teff_cannon"] - comparison["teff_apogee"])[near]
    assert figure.axes[0].containers[0].lines[0].get_ydata()[0] == pytest.approx(difference.std())
    assert figure.axes[2].get_xlabel().startswith("$3")
