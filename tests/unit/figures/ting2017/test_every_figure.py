"""Every figure of the abundance study: mark, words on the page, captions, repeatable files, unknown values."""

import numpy as np
import pytest
from matplotlib.legend import Legend

from labeltransfer.figures import style
from labeltransfer.figures.ting2017 import cramer_rao, d_scale, figure_01, figure_02, figure_03, shift_test
from tests.unit.figures.ting2017.mocks import (
    drawn,
    mock_bounds,
    mock_comparison,
    mock_gradients,
    mock_scan,
    mock_shifts,
    mock_spectrum,
    texts,
    words,
)

DRAW = {
    "figure_01": lambda kind: figure_01.draw(*mock_spectrum(), kind, star="mock 1", labels={"teff": 4800.0}),
    "figure_02": lambda kind: figure_02.draw(mock_comparison(), kind),
    "figure_03": lambda kind: figure_03.draw(mock_gradients(), kind, step="0.2 dex"),
    "d_scale": lambda kind: d_scale.draw(mock_scan(), kind),
    "cramer_rao": lambda kind: cramer_rao.draw(mock_bounds(), kind),
    "shift_test": lambda kind: shift_test.draw(mock_shifts(), kind),
}


every_figure = pytest.mark.parametrize("name", DRAW)


@every_figure
def test_mock_is_written_on_figures_of_the_mock_archive_and_on_no_other(name):
    assert "mock archive: simulated" in words(DRAW[name]("mock"))
    for kind in ("public", "local"):
        assert "simulated" not in words(DRAW[name](kind))
    with pytest.raises(ValueError, match="archive_kind"):
        DRAW[name]("real")


@every_figure
def test_all_words_lie_on_the_page_and_panels_fill_it(name):
    figure = drawn(DRAW[name]("mock"))
    renderer, page = figure.canvas.get_renderer(), figure.bbox
    seen = list(figure.texts)
    for axes in figure.axes:
        seen += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
    for legend in figure.findobj(Legend):
        seen += [*legend.get_texts(), legend.get_title()]
    seen = [text for text in seen if text.get_visible() and text.get_text().strip()]
    assert len(seen) > 4
    for text in seen:
        box = text.get_window_extent(renderer)
        assert box.x0 >= page.x0 - 1, text
        assert box.x1 <= page.x1 + 1, text
        assert box.y0 >= page.y0 - 1, text
        assert box.y1 <= page.y1 + 1, text
    lowest = min(axes.get_position().y0 for axes in figure.axes)
    highest = max(axes.get_position().y1 for axes in figure.axes)
    assert lowest < 0.2
    assert highest > 0.75


@every_figure
def test_legends_and_printed_numbers_do_not_overlap(name):
    figure = drawn(DRAW[name]("mock"))
    renderer = figure.canvas.get_renderer()
    legends = [legend.get_window_extent(renderer) for legend in figure.findobj(Legend)]
    numbers = [
        t.get_window_extent(renderer) for t in texts(figure) if t.get_gid() in ("statistics", "median")
    ]
    boxes = legends + numbers
    for i, one in enumerate(boxes):
        assert not any(one.shrunk(0.98, 0.9).overlaps(other.shrunk(0.98, 0.9)) for other in boxes[i + 1 :])


@every_figure
def test_the_same_input_gives_the_same_bytes(name, tmp_path):
    for number in (1, 2):
        style.save(DRAW[name]("mock"), tmp_path / f"{number}.pdf", tmp_path / f"{number}.png")
    for kind in ("pdf", "png"):
        assert (tmp_path / f"1.{kind}").read_bytes() == (tmp_path / f"2.{kind}").read_bytes()


@pytest.mark.parametrize(
    ("draw", "table", "column"),
    [
        (d_scale.draw, mock_scan(), "correlation"),
        (cramer_rao.draw, mock_bounds(), "measured"),
        (shift_test.draw, mock_shifts(), "recovered_fraction"),
    ],
)
def test_what_is_unknown_or_missing(draw, table, column):
    unknown = table.copy()
    unknown[column] = np.nan
    drawn(draw(unknown, "mock"))
    drawn(draw(table[:0], "mock"))
    with pytest.raises(ValueError, match=f"needs column '{column}'"):
        draw(table[[name for name in table.colnames if name != column]], "mock")


@every_figure
def test_every_figure_has_a_caption(name, root):
    caption = (root / "workflow" / "report" / "ting2017" / f"{name}.rst").read_text()
    assert len(caption.split()) > 20
