"""Recovered fractions of shifts."""

import numpy as np

from labeltransfer.figures.ting2017 import shift_test
from tests.unit.figures.ting2017.mocks import mock_shifts, words


def test_the_shift_figure_draws_every_fraction_or_an_arrow():
    shifts = mock_shifts()
    far = np.flatnonzero((shifts["method"] == "prior") & (shifts["label"] == "c_h"))
    shifts["recovered_fraction"][far] = 3.0
    figure = shift_test.draw(shifts, "mock")
    axes = figure.axes[0]
    heights = np.concatenate([container[0].get_ydata() for container in axes.containers])
    inside = shifts["recovered_fraction"][shifts["recovered_fraction"] <= 1.6]
    np.testing.assert_allclose(np.sort(heights), np.sort(inside))
    arrows = [line for line in axes.lines if line.get_marker() == 6]
    assert sum(len(line.get_xdata()) for line in arrows) == 2
    median = np.median(shifts["recovered_fraction"][shifts["method"] == "quadratic"])
    assert f"quadratic, no prior: median {median:.3g}" in words(figure)


def test_methods_on_a_sample_of_the_pixels_say_so():
    shifts = mock_shifts()
    shifts["pixels"] = np.where(shifts["method"] == "quadratic", 330, 3176)
    texts = words(shift_test.draw(shifts, "mock"))
    assert texts.count("(330 pixels)") == 1
    assert "3176" not in texts
