"""Every figure of Ho et al. 2017: mark, captions, small samples, missing columns, repeatable files."""

import matplotlib
import numpy as np
import pytest

from labeltransfer.figures import style
from labeltransfer.figures.ho2017 import (
    figure_01,
    figure_02,
    figure_03,
    figure_04,
    figure_05,
    figure_06,
    figure_07,
    figure_08,
    figure_09,
    figure_10,
    figure_12,
)
from tests.unit.figures.ho2017.mocks import (
    draw,
    mock_comparison,
    mock_model,
    mock_spectra,
    mock_survey,
    module_of,
    words,
)

NUMBERS = range(1, 13)


@pytest.mark.parametrize(
    ("number", "n_panel"),
    [(1, 9), (2, 3), (3, 3), (4, 6), (5, 6), (6, 9), (7, 4), (8, 4), (9, 2), (10, 2), (11, 2), (12, 3)],
)
def test_panels_with_their_colour_bars(number, n_panel, lines):
    figure = draw(number, "mock", lines)
    shown = [axes for axes in figure.axes if axes.axison]
    if number == 5:  # the sixth cell, switched off, carries two colour bars
        assert len(figure.axes[5].child_axes) == 2
        assert all(axes.axison for axes in figure.axes[:5])
        assert not figure.axes[5].axison
    elif number == 12:  # maps have an outline instead of axes
        assert len(shown) == 1
        assert len(figure.axes) == 3
    else:
        assert len(shown) == len(figure.axes) == n_panel


@pytest.mark.parametrize("number", NUMBERS)
def test_mock_is_written_on_every_figure_of_the_mock_archive_and_on_no_other(number, lines):
    (mark,) = [text for text in draw(number, "mock", lines).texts if text.get_gid() == "mock"]
    assert "mock" in mark.get_text()
    for kind in ("public", "local"):
        assert not any("mock archive" in word for word in words(draw(number, kind, lines)))


@pytest.mark.parametrize("number", NUMBERS)
def test_the_mark_lies_on_the_page_and_touches_no_panel(number, lines):
    figure = draw(number, "mock", lines)
    figure.draw_without_rendering()
    (mark,) = [text for text in figure.texts if text.get_gid() == "mock"]
    renderer = figure.canvas.get_renderer()
    box, page = mark.get_window_extent(renderer), figure.bbox
    assert page.x0 <= box.x0 < box.x1 <= page.x1
    assert page.y0 <= box.y0 < box.y1 <= page.y1
    for axes in figure.axes:
        assert not box.overlaps(axes.get_tightbbox(renderer))


@pytest.mark.parametrize("number", NUMBERS)
def test_an_unknown_archive_kind_is_refused(number, lines):
    with pytest.raises(
        ValueError, match="archive_kind must be one of mock, public, local, registry, not 'Mock'"
    ):
        draw(number, "Mock", lines)


@pytest.mark.parametrize("number", [n for n in NUMBERS if n not in (2, 4)])
def test_twenty_stars_one_and_none(number, lines):
    for n_star in (20, 1, 0):
        figure = draw(number, "mock", lines, n_star, n_star)
        figure.draw_without_rendering()
    empty = "too few stars" if number == 7 else "no stars"
    assert empty in words(figure)


@pytest.mark.parametrize("number", [3, 8, 10])
def test_kiel_diagrams_have_hot_stars_left_and_giants_on_top(number, lines):
    for axes in draw(number, "mock", lines).axes[:-1]:
        assert axes.get_xlim()[0] > axes.get_xlim()[1]
        assert axes.get_ylim()[0] > axes.get_ylim()[1]


@pytest.mark.parametrize("number", [3, 10, 11, 12])
def test_the_number_of_artists_does_not_grow_with_the_survey(number, lines):
    def size(n_survey):
        figure = draw(number, "mock", lines, 300, n_survey)
        points = [len(dots.get_offsets()) for axes in figure.axes for dots in axes.collections]
        vertices = [len(line.get_xdata()) for axes in figure.axes for line in axes.lines]
        assert max(points, default=0) <= 14_000
        return len(figure.findobj()), sum(vertices)

    few, many = size(1000), size(444_228)
    # Ticks differ with the range of the counts, nothing else.
    assert many[0] < 1.3 * few[0]
    assert many[1] < 1.3 * few[1] + 100


@pytest.mark.parametrize(
    ("function", "column"),
    [
        (figure_01.draw, "teff_lamost"),
        (figure_05.draw, "a_k_cannon"),
        (figure_06.draw, "snr"),
        (figure_07.draw, "snr_g"),
        (figure_08.draw, "logg_apogee"),
    ],
)
def test_a_missing_column_is_named_with_the_table_and_what_it_has(function, column):
    comparison = mock_comparison(30)
    comparison.remove_column(column)
    with pytest.raises(
        ValueError, match=rf"needs column '{column}' of the comparison table, which has: teff_"
    ):
        function(comparison, "mock")


def test_missing_columns_of_other_tables(lines):
    survey = mock_survey(30)
    with pytest.raises(ValueError, match="figure 3 needs column 'logg' of the survey table"):
        figure_03.draw(survey["teff", "ra"], mock_comparison(30), "mock")
    with pytest.raises(ValueError, match="figure 12 needs column 'alpha_m' of the catalogue table"):
        figure_12.draw(survey, survey["ra", "dec"], "mock")
    with pytest.raises(ValueError, match="figure 4 needs column 'name' of the DIB table"):
        figure_04.draw(*mock_model(), lines[0], lines[0], "mock")


def test_arrays_that_do_not_belong_together_are_refused(lines):
    wavelength, coefficients, scatter = mock_model()
    with pytest.raises(ValueError, match=r"expected shape \(5, 500\), found \(4, 500\)"):
        figure_04.draw(wavelength, coefficients[:4], scatter, *lines, "mock")
    with pytest.raises(ValueError, match="figure 4 needs one step for each of"):
        figure_04.draw(wavelength, coefficients, scatter, *lines, "mock", steps=(1.0,))
    with pytest.raises(ValueError, match="figure 9 needs arrays of the same shape"):
        figure_09.draw(np.ones(3), np.ones(4), "mock")
    with pytest.raises(ValueError, match="figure 10 needs arrays of the same shape"):
        figure_10.draw(mock_survey(10), np.ones(9), "mock")
    spectra = mock_spectra()
    spectra = spectra._replace(wavelength=spectra.wavelength[1:])
    with pytest.raises(
        ValueError, match=r"figure 2 needs arrays of the same shape, found wavelength \(389,\)"
    ):
        figure_02.draw(spectra, "mock")


def test_fewer_labels_and_another_reference_on_request():
    comparison = mock_comparison(300)
    comparison.remove_columns([name for name in comparison.colnames if name.startswith(("alpha_m", "a_k"))])
    for function in (figure_05.draw, figure_07.draw):
        figure = function(comparison, "local", labels=("teff", "logg", "fe_h"))
        figure.draw_without_rendering()
        assert sum(axes.axison for axes in figure.axes[:4]) == 3
    figure = figure_05.draw(comparison, "local", labels=("teff",), reference="LASP")
    assert figure.axes[0].get_xlabel().startswith("LASP")


def test_inputs_stay_as_they_were():
    comparison, spectra = mock_comparison(100), mock_spectra()
    before, copies = comparison.copy(), [array.copy() for array in spectra]
    for number in (1, 5, 6, 7, 8):
        module_of(number).draw(comparison, "mock")
    figure_02.draw(spectra, "mock")
    assert all(np.array_equal(comparison[name], before[name]) for name in before.colnames)
    for array, copy in zip(spectra, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("number", [5, 9, 11])
def test_the_same_input_gives_the_same_bytes_whatever_the_users_settings(number, lines, tmp_path):
    style.save(draw(number, "mock", lines), tmp_path / "one.pdf", tmp_path / "one.png")
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "savefig.dpi": 50, "pdf.fonttype": 3}):
        style.save(draw(number, "mock", lines), tmp_path / "two.pdf", tmp_path / "two.png")
    for kind in ("pdf", "png"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
    pdf = (tmp_path / "one.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"CreationDate" not in pdf
    assert b"Software" not in (tmp_path / "one.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.pdf", "one.png", "two.pdf", "two.png"]


def test_other_input_gives_other_bytes(tmp_path):
    for seed in (1, 2):
        values = np.random.default_rng(seed).uniform(0, 5, 200)
        figure = figure_09.draw(values, values, "mock")
        style.save(figure, tmp_path / f"{seed}.pdf", tmp_path / f"{seed}.png")
    assert (tmp_path / "1.png").read_bytes() != (tmp_path / "2.png").read_bytes()


def test_figures_leave_matplotlibs_settings_alone(lines):
    before = dict(matplotlib.rcParams)
    draw(9, "mock", lines)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("number", NUMBERS)
def test_every_figure_has_a_caption_that_says_what_differs(number, root):
    text = (root / f"workflow/report/ho2017/figure_{number:02d}.rst").read_text()
    assert f"Differs from Fig. {number} of Ho et al. (2017)" in text
    assert len(text.split()) > 40
    assert "{{" not in text
