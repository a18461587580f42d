"""What the prior costs and buys."""

import itertools

import numpy as np
import pytest
from matplotlib.text import Text

from labeltransfer.figures import style
from labeltransfer.figures.ting2017 import d_scale
from labeltransfer.figures.ting2017.common import LABELS
from tests.unit.figures.ting2017.mocks import (
    drawn,
    mock_scan,
    with_gid,
)


def test_the_d_scale_figure_draws_the_median_and_names_the_labels():
    scan = mock_scan()
    figure = d_scale.draw(scan, "mock")
    for axes, quantity in zip(figure.axes, ("scatter_ratio", "correlation"), strict=True):
        median = next(line for line in axes.lines if line.get_label() == "median of the labels")
        expected = [np.median(scan[quantity][scan["d_scale"] == d]) for d in (0, 1, 10, 100)]
        np.testing.assert_allclose(median.get_ydata(), expected)
    at_ten = scan[scan["d_scale"] == 10]
    lowest = at_ten["label"][np.argmin(at_ten["correlation"])]
    assert f"lowest: {style.short_symbol(lowest)}," in with_gid(figure.axes[1], "statistics")[0]
    names = [text.get_text() for text in figure.axes[0].texts]
    assert all(style.short_symbol(name) in names for name in LABELS)
    with pytest.raises(ValueError, match="chosen D_scale 5"):
        d_scale.draw(scan, "mock", chosen=5.0)


def test_names_beside_the_d_scale_panel_keep_apart():
    figure = drawn(d_scale.draw(mock_scan(), "mock"))
    names = {style.short_symbol(name) for name in LABELS}
    renderer = figure.canvas.get_renderer()
    boxes = [Text.get_window_extent(t, renderer) for t in figure.axes[0].texts if t.get_text() in names]
    assert len(boxes) == len(LABELS)
    boxes.sort(key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 2 for low, high in itertools.pairwise(boxes))
