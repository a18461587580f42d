"""Figure 4: coefficients and the lines that they show."""

from itertools import pairwise

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.text import Text

from labeltransfer.figures import style
from labeltransfer.figures.ho2017 import figure_04
from tests.unit.figures.ho2017.mocks import mock_model, words


def test_figure_04_marks_features_and_bands(lines):
    wavelength, coefficients, scatter = mock_model()
    steps = (91.5, 0.11, 0.05, 0.05, 1)
    figure = figure_04.draw(wavelength, coefficients, scatter, *lines, "mock", steps=steps)
    orange = [
        [line.get_xdata()[0] for line in axes.lines if to_hex(line.get_color()) == style.DIB]
        for axes in figure.axes
    ]
    assert [len(bands) for bands in orange] == [0, 0, 0, 0, 8, 8]
    np.testing.assert_allclose(orange[4], lines[1]["wavelength"])
    for axes, values in zip(figure.axes, [*coefficients, scatter], strict=True):
        (curve,) = [line for line in axes.lines if len(line.get_xdata()) == wavelength.size]
        np.testing.assert_array_equal(curve.get_ydata(), values)
    assert {"Mg b", "Na I D", "Ca II triplet", "4428", "8621"} <= set(words(figure))
    assert "91.5 K" in figure.axes[0].get_ylabel()


def test_names_of_lines_do_not_run_into_each_other(lines):
    figure = figure_04.draw(*mock_model(), *lines, "public")
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    for axes in (figure.axes[0], figure.axes[5]):
        # A name's own box: the extent of an annotation would include the line that leads to it.
        boxes = sorted(
            (Text.get_window_extent(text, renderer) for text in axes.texts), key=lambda box: box.x0
        )
        assert len(boxes) >= 8
        assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))


def test_line_tables_hold_vacuum_wavelengths_and_their_sources(lines):
    for table in lines:
        air, vacuum = np.asarray(table["wavelength_air"]), np.asarray(table["wavelength"])
        # Edlen (1953), as adopted by the IAU: another formula than the one behind the tables.
        inverse = (1e4 / vacuum) ** 2
        index = 1 + 6.4328e-5 + 2.94981e-2 / (146 - inverse) + 2.5540e-4 / (41 - inverse)
        np.testing.assert_allclose(vacuum / air, index, rtol=1.2e-5)
        assert all(len(source) > 10 for source in table["source"])
    dibs = lines[1]
    assert list(dibs["name"]) == [4428, 4882, 5780, 5797, 6203, 6283, 6614, 8621]
    # Bands are named by their wavelengths in air.
    np.testing.assert_allclose(dibs["wavelength_air"], dibs["name"], atol=1.0)
    assert np.all(dibs["fwhm"] > 0)
