"""Figure 2: the spectra of one star."""

import numpy as np

from labeltransfer.figures.ho2017 import figure_02
from tests.unit.figures.ho2017.mocks import mock_spectra, words


def test_figure_02_breaks_the_line_at_detector_gaps_and_prints_labels():
    figure = figure_02.draw(mock_spectra(), "mock", star="2M00000000", labels={"fe_h": -0.214})
    assert np.isnan(figure.axes[0].lines[0].get_ydata()).sum() == 20
    assert figure.axes[0].get_title() == "2M00000000, [Fe/H] = \N{MINUS SIGN}0.21"
    assert "no spectrum" in words(
        figure_02.draw(mock_spectra()._replace(apogee_wavelength=None, apogee_flux=None), "mock")
    )


def test_a_survey_alone_has_no_panel_for_another_one():
    figure = figure_02.draw(mock_spectra(), "registry", star="0001", survey="MILES", alone=True)
    assert [axes.get_ylabel() for axes in figure.axes] == ["MILES flux,\nrelative", "MILES flux,\nnormalised"]
    assert figure.axes[0].get_title() == "0001"
