"""Bounds and measured scatter."""

import numpy as np
import pytest

from labeltransfer.figures.ting2017 import cramer_rao
from tests.unit.figures.ting2017.mocks import mock_bounds, words


def test_the_cramer_rao_figure_gives_measured_over_bound():
    figure = cramer_rao.draw(mock_bounds(), "mock")
    points = {line.get_gid(): line.get_ydata() for line in figure.axes[1].lines if line.get_gid()}
    for snr in (30, 100):
        np.testing.assert_allclose(points[f"bound_theory {snr}"], 3.0)
        np.testing.assert_allclose(points[f"bound_model {snr}"], 2.5)
    bounds = mock_bounds()
    bounds["bound_theory"][0] = np.inf
    assert r"$\infty$" in words(cramer_rao.draw(bounds, "mock"))
    with pytest.raises(ValueError, match="S/N 50"):
        cramer_rao.draw(bounds, "mock", snr=50.0)
