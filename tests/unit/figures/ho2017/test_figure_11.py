"""Figure 11: [alpha/M] against [Fe/H]."""

import pytest

from labeltransfer.figures.ho2017 import figure_11
from tests.unit.figures.ho2017.mocks import mock_survey


def test_figure_11_draws_four_contours():
    survey = mock_survey(5000)
    axes = figure_11.draw(survey["fe_h"], survey["alpha_m"], "mock").axes[0]
    (contours,) = axes.collections
    assert len(contours.levels) == 4
    assert axes.images[0].get_array().sum() == pytest.approx(5000, abs=20)
