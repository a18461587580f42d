"""Figure 2: one to one."""

import re

import numpy as np
import pytest
from matplotlib.colors import to_hex

from labeltransfer.figures import style
from labeltransfer.figures.ting2017 import figure_02
from labeltransfer.figures.ting2017.common import LABELS
from tests.unit.figures.ting2017.mocks import mock_comparison, with_gid, words


def test_figure_02_prints_the_scatter_of_the_test_stars_alone():
    table = mock_comparison()
    table["mg_h_here"][table["trained"]] += 5.0  # what the model was trained on does not count
    figure = figure_02.draw(table, "mock")
    axes = figure.axes[LABELS.index("mg_h")]
    residual = np.asarray(table["mg_h_here"] - table["mg_h_apogee"])[~table["trained"]]
    (printed,) = with_gid(axes, "statistics")
    assert float(re.search(r"= ([\d.]+)", printed)[1]) == pytest.approx(residual.std(), rel=0.02)
    assert float(re.search(r"bias ([\d.]+)", printed)[1]) == pytest.approx(residual.mean(), rel=0.02)
    assert "40 training stars" in words(figure)
    colors = [to_hex(points.get_facecolors()[0]) for points in axes.collections]
    assert colors == ["#000000", style.CANNON]
    table["trained"] = np.full(len(table), 2)
    with pytest.raises(ValueError, match="neither"):
        figure_02.draw(table, "mock")


def test_figure_02_shows_many_stars_as_counts():
    figure = figure_02.draw(mock_comparison(n_test=3000), "mock", max_dots=1000)
    assert all(len(axes.images) + len(axes.collections) >= 2 for axes in figure.axes[:16])
    assert "counts per cell" in words(figure)
    dots = max(c.get_offsets().shape[0] for axes in figure.axes[:16] for c in axes.collections)
    assert dots <= 40 or figure.axes[0].images
