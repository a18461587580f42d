"""Figure 1: a spectrum and its model."""

import re

import numpy as np
import pytest

from labeltransfer.figures.ting2017 import figure_01
from tests.unit.figures.ting2017.mocks import mock_spectrum, with_gid


def test_figure_01_leaves_gaps_and_prints_chi2_of_the_whole_spectrum():
    wavelength, flux, error, model = mock_spectrum()
    figure = figure_01.draw(wavelength, flux, error, model, "mock")
    chi2 = np.nanmean(((flux - model) / error) ** 2)
    (printed,) = with_gid(figure.axes[2], "statistics")
    assert float(re.search(r"per pixel ([\d.]+)", printed)[1]) == pytest.approx(chi2, rel=0.01)
    assert "2,980 pixels" in printed
    (line,) = (line for line in figure.axes[0].lines if line.get_label() == "LAMOST spectrum")
    np.testing.assert_array_equal(line.get_ydata(), flux)
    with pytest.raises(ValueError, match="low < high"):
        figure_01.draw(wavelength, flux, error, model, "mock", zoom=(5350.0, 5000.0))
