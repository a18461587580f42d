"""Figure 3: gradients and their correlations."""

import re

import numpy as np
import pytest

from labeltransfer.figures import style
from labeltransfer.figures.ting2017 import figure_03
from labeltransfer.figures.ting2017.common import LABELS
from tests.unit.figures.ting2017.mocks import drawn, mock_gradients, with_gid


def test_figure_03_has_a_row_per_method_with_its_correlations():
    mock = mock_gradients()
    wavelength, gradients, correlations = mock.wavelength, mock.models, mock.correlations
    figure = figure_03.draw(mock, "mock")
    rows = list(zip(figure.axes[::2], figure.axes[1::2], strict=True))
    # The known methods in the order of the paper's rows.
    for (left, right), method in zip(rows, ("no_prior", "quadratic", "l1", "prior"), strict=True):
        inside = (wavelength >= 5100) & (wavelength <= 5250)
        model = next(line for line in left.lines if line.get_label() == "model")
        np.testing.assert_array_equal(model.get_ydata(), gradients[method][LABELS.index("mg_h"), inside])
        (printed,) = with_gid(right, "median")
        median = float(re.search(r"median ([\d.−]+)", printed)[1].replace(style.MINUS, "-"))
        assert median == pytest.approx(np.median(correlations[method]), abs=0.01)
    with pytest.raises(ValueError, match="same methods"):
        figure_03.draw(mock._replace(correlations={}), "mock")


def test_a_model_of_some_pixels_says_over_how_many_it_is_compared():
    mock = mock_gradients()
    outside = (mock.wavelength < 5100) | (mock.wavelength > 5250)
    outside[::10] = False
    mock.models["l1"][:, outside] = np.nan
    figure = drawn(figure_03.draw(mock, "mock"))
    said = [with_gid(axes, "statistics")[0].partition("\n")[2] for axes in figure.axes[::2]]
    every = "over all wavelengths"
    assert said == [every, every, f"over {300 - outside.sum()} of 300 pixels", every]
    line = next(line for line in figure.axes[4].lines if line.get_label() == "model")
    assert np.isfinite(line.get_ydata()).all()
    assert figure.axes[1].get_title() == "all labels"
