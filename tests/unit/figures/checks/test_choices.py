"""What each choice does to labels, drawn."""

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.figures.checks import choices
from labeltransfer.figures.style import save
from labeltransfer.validation.choices import all_choices
from tests.unit.figures.ting2017.mocks import drawn, texts, words

LABELS = ("teff", "logg", "fe_h")


def mock_table():
    rng, names = np.random.default_rng(1), list(all_choices(True))
    table = Table({"choice": np.repeat(names, 3), "label": LABELS * len(names)})
    scale = np.tile([40.0, 0.1, 0.05], len(names))
    table["scatter"] = scale * rng.uniform(0.8, 1, len(table))
    table["scatter_ratio"] = table["scatter"] / scale
    for name in ("phase_slope", "snr_bias", "swap"):
        table[name] = 0.3 * scale * rng.standard_normal(len(table))
    for name in choices.PANELS:
        table[f"{name}_err"] = 0.1 * (scale if name != "scatter_ratio" else 1)
    return table


def test_every_choice_is_a_point_in_every_panel():
    table = mock_table()
    figure = drawn(choices.draw(table, "mock"))
    assert len(figure.axes) == 3 * len(choices.PANELS)
    for number, axes in enumerate(figure.axes):
        label, key = LABELS[number // 4], list(choices.PANELS)[number % 4]
        here = table["label"] == label
        points = np.array([line.get_xydata()[0] for line in axes.lines[1:] if line.get_marker() == "o"])
        np.testing.assert_allclose(np.sort(points[:, 0]), np.sort(table[key][here]))
        np.testing.assert_array_equal(np.sort(points[:, 1]), np.arange(len(all_choices(True))))
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == list(all_choices(True))
    assert "simulated" in words(figure)
    assert "simulated" not in words(choices.draw(table, "local"))


def test_all_words_lie_on_the_page():
    figure = drawn(choices.draw(mock_table(), "mock"))
    page, renderer = figure.bbox, figure.canvas.get_renderer()
    seen = list(figure.texts)
    for axes in figure.axes:
        seen += [
            *axes.texts,
            axes.title,
            axes._left_title,
            axes._right_title,
            axes.xaxis.label,
            axes.yaxis.label,
        ]
    seen += figure.axes[0].get_yticklabels()
    seen = [text for text in seen if text.get_visible() and text.get_text().strip()]
    assert len(seen) > 25
    for text in seen:
        box = text.get_window_extent(renderer)
        assert box.x0 >= page.x0 - 1, text
        assert box.x1 <= page.x1 + 1, text
        assert box.y0 >= page.y0 - 1, text
        assert box.y1 <= page.y1 + 1, text


def test_what_is_unknown_or_missing(tmp_path):
    table = mock_table()
    table["swap"] = np.nan
    assert sum("no stars" in text.get_text() for text in texts(choices.draw(table, "mock"))) == 3
    assert "no stars" in words(choices.draw(table[:0], "mock"))
    table.remove_column("phase_slope")
    with pytest.raises(ValueError, match="needs column 'phase_slope' of the choices table"):
        choices.draw(table, "mock")


def test_the_same_table_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        save(choices.draw(mock_table(), "mock"), tmp_path / f"{name}.pdf", tmp_path / f"{name}.png")
    for kind in ("pdf", "png"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def test_it_has_a_caption(root):
    assert (root / "workflow" / "report" / "checks" / "choices.rst").is_file()
