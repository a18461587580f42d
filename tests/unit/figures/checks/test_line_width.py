"""What line width and wavelengths do to labels, drawn."""

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.figures.checks import line_width
from labeltransfer.figures.style import save
from labeltransfer.validation.line_width import STEPS
from tests.unit.figures.ting2017.mocks import drawn, texts, words

LABELS = ("teff", "logg", "fe_h")


def mock_table():
    rng = np.random.default_rng(1)
    rows = [
        (templates, step, label, against)
        for templates in line_width.TEMPLATES
        for step in STEPS
        for against in ("spectrum", "catalogue")
        for label in LABELS
    ]
    table = Table(rows=rows, names=("templates", "step", "label", "against"))
    scale = np.where(table["label"] == "teff", 50.0, 0.1)
    for name, size in (("bias", 1.0), ("bias_err", 0.1), ("scatter", 1.0)):
        table[name] = size * scale * rng.uniform(0.5, 1.0, len(table))
    return table


def test_every_step_is_a_point_in_every_panel():
    table = mock_table()
    figure = drawn(line_width.draw(table, "mock"))
    assert len(figure.axes) == len(LABELS)
    for label, axes in zip(LABELS, figure.axes, strict=True):
        here = (table["label"] == label) & (table["against"] == "spectrum")
        points = np.concatenate([one.lines[0].get_xydata() for one in axes.containers])
        np.testing.assert_allclose(np.sort(points[:, 0]), np.sort(table["bias"][here]))
        np.testing.assert_array_equal(np.round(np.sort(points[:, 1])), np.repeat(np.arange(len(STEPS)), 2))
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == list(STEPS)
    assert "simulated" in words(figure)
    assert "simulated" not in words(line_width.draw(table, "public"))


def test_all_words_lie_on_the_page():
    figure = drawn(line_width.draw(mock_table(), "mock"))
    page, renderer = figure.bbox, figure.canvas.get_renderer()
    seen = [*figure.axes[0].get_yticklabels(), *figure.legends[0].get_texts(), *figure.texts]
    for axes in figure.axes:
        seen += [axes.xaxis.label, axes._left_title]
    assert len(seen) == len(STEPS) + 2 + 1 + 2 * len(LABELS)
    for text in seen:
        box = text.get_window_extent(renderer)
        assert box.x0 >= page.x0 - 1, text
        assert box.x1 <= page.x1 + 1, text
        assert box.y0 >= page.y0 - 1, text
        assert box.y1 <= page.y1 + 1, text


def test_what_is_unknown_or_missing():
    table = mock_table()
    assert sum("no stars" in text.get_text() for text in texts(line_width.draw(table[:0], "mock"))) == 1
    table["bias"][table["templates"] == "model"] = np.nan
    assert len(line_width.draw(table, "public").axes[0].containers) == 1
    table.remove_column("scatter")
    with pytest.raises(ValueError, match="needs column 'scatter' of the line width table"):
        line_width.draw(table, "mock")


def test_the_same_table_gives_the_same_bytes(tmp_path):
    mock_table().write(tmp_path / "table.csv", format="ascii.csv")
    for name in ("one", "two"):
        figure = line_width.from_files({"table": tmp_path / "table.csv"}, {"source": "public"})
        save(figure, tmp_path / f"{name}.pdf", tmp_path / f"{name}.png")
    for kind in ("pdf", "png"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def test_it_has_a_caption(root):
    assert (root / "workflow" / "report" / "checks" / "line_width.rst").is_file()
