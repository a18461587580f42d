"""Figure 3: gradients and their correlations."""

import re

import numpy as np
import pytest

from labeltransfer.figures import style
from labeltransfer.figures.ting2017 import figure_03
from labeltransfer.figures.ting2017.common import LABELS
from tests.unit.figures.ting2017.mocks import mock_gradients, with_gid


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
