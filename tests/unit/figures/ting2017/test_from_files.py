"""Figures of the abundance study from the files of a run: which stars, methods and points are shown."""

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.figures import style
from labeltransfer.figures.ting2017 import cramer_rao, d_scale, figure_01, figure_02, figure_03, shift_test
from labeltransfer.figures.ting2017.common import LABELS
from labeltransfer.files.tables import write_table
from tests.unit.figures.ting2017.mocks import (
    mock_bounds,
    mock_comparison,
    mock_gradients,
    mock_scan,
    mock_shifts,
    words,
)

SETTINGS = {
    "source": "mock",
    "study": {
        "labels": {name: {"step": 0.2, "unit": "dex"} for name in LABELS},
        "network": {"prior": {"d_scale": 100.0}, "l1": {"window": [5100.0, 5250.0]}},
    },
}


def test_figure_01_shows_the_star_that_is_wanted_or_a_typical_test_star():
    comparison = Table({"id": ["a", "b", "c", "d"], "test": [False, True, True, True]})
    comparison["snr"] = [100.0, 40.0, 110.0, 300.0]
    assert figure_01.example_of(comparison, "d") == 3
    assert figure_01.example_of(comparison, "gone") == 2
    assert figure_01.example_of(comparison, None) == 2


def test_figure_02_leaves_out_stars_that_serve_neither_purpose_or_did_not_converge(tmp_path):
    table = mock_comparison(n_train=40, n_test=160)
    for name in LABELS:
        table.rename_column(f"{name}_here", f"{name}_prior")
    table["test"] = ~table["trained"] & (np.arange(200) % 2 == 0)
    table["converged_prior"] = np.arange(200) % 10 != 4
    write_table(table, tmp_path / "comparison.fits")
    figure = figure_02.from_files({"comparison": str(tmp_path / "comparison.fits")}, SETTINGS)
    assert "36 training stars" in words(figure)
    assert "64 test stars" in words(figure)


def test_figure_03_shows_the_first_reference_point_with_the_step_of_the_label(tmp_path):
    mock = mock_gradients()
    gradients = Table({"wavelength": mock.wavelength, "theory": mock.theory.T})
    rows = []
    for method, values in mock.models.items():
        gradients[method] = values.T
        rows += [
            ("g4800", method, name, r) for name, r in zip(LABELS, mock.correlations[method], strict=True)
        ]
        rows += [("g4500", method, name, -0.9) for name in LABELS]
    write_table(gradients, tmp_path / "gradients.fits")
    correlation = Table(rows=rows, names=("reference", "method", "label", "correlation"))
    correlation.write(tmp_path / "correlation.csv", format="ascii.csv")
    files = {"gradients": tmp_path / "gradients.fits", "correlation": tmp_path / "correlation.csv"}
    figure = figure_03.from_files({name: str(path) for name, path in files.items()}, SETTINGS)
    expected = figure_03.draw(mock, "mock", step="0.2 dex")
    for drawn in (figure, expected):
        drawn.canvas.draw()
    np.testing.assert_array_equal(figure.canvas.buffer_rgba(), expected.canvas.buffer_rgba())


@pytest.mark.parametrize(
    ("figure", "table", "options"),
    [
        (d_scale, mock_scan(), {"chosen": 100.0}),
        (cramer_rao, mock_bounds(), {}),
        (shift_test, mock_shifts(), {}),
    ],
    ids=["d_scale", "cramer_rao", "shift_test"],
)
def test_figures_of_one_table(figure, table, options, tmp_path):
    table.write(tmp_path / "table.csv", format="ascii.csv")
    drawn = figure.from_files({"table": str(tmp_path / "table.csv")}, SETTINGS)
    expected = figure.draw(table, "mock", **options)
    for number, each in enumerate((drawn, expected)):
        style.save(each, tmp_path / f"{number}.pdf", tmp_path / f"{number}.png")
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()


def test_a_label_that_stands_twice_is_named(tmp_path):
    for figure, table, x in ((d_scale, mock_scan(), "D_scale"), (cramer_rao, mock_bounds(), "S/N")):
        table.add_row(table[5])
        with pytest.raises(ValueError, match=rf"one row per label and {x}, {table['label'][5]} has 2 for"):
            figure.draw(table, "mock")
