"""Figures of Ho et al. 2017 from the files of a run: what is read, which stars, under which names."""

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.figures.ho2017 import figure_03, figure_04, figure_09, figure_10, figure_11, figure_12
from labeltransfer.figures.ho2017.common import LABELS
from labeltransfer.files.tables import write_table
from labeltransfer.models.cannon import CannonModel
from labeltransfer.models.files import save_model
from tests.unit.figures.ho2017.mocks import (
    mock_comparison,
    mock_distance,
    mock_survey,
    module_of,
    words,
)

SETTINGS = {
    "source": "mock",
    "seed": 3,
    "study": {
        "paper": "ho2017",
        "releases": {"reference": "apogee-dr12", "survey": "lamost-dr2"},
        "labels": {name: {"unit": "K" if name == "teff" else "dex"} for name in LABELS},
        "nuisance": ["a_k"],
        "pipeline": {"teff": "teff", "logg": "logg", "fe_h": "fe_h"},
        "validation": {"min_snr": 70.0},
        "distance": {"cut": 2.0, "scale": {"teff": 100.0, "logg": 0.2, "fe_h": 0.1}, "form": "root"},
    },
}


def pixels(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())


@pytest.fixture
def comparison(tmp_path):
    """The file of 300 reference stars, every third of which the model has not seen, and the stars that it has."""
    table = mock_comparison(300)
    table["trained"] = np.arange(300) % 3 > 0
    write_table(table, tmp_path / "comparison.fits")
    return {"comparison": str(tmp_path / "comparison.fits")}, table[table["trained"]]


@pytest.mark.parametrize(
    ("number", "options"),
    [
        (1, {}),
        (5, {"labels": LABELS, "snr_cut": 70.0}),
        (6, {}),
        (7, {"labels": LABELS[:4], "seed": 3}),
        (8, {}),
    ],
)
def test_figures_of_the_comparison_show_the_stars_that_the_model_was_trained_on(number, options, comparison):
    files, trained = comparison
    figure = module_of(number)
    expected = figure.draw(trained, "mock", **options)
    np.testing.assert_array_equal(pixels(figure.from_files(files, SETTINGS)), pixels(expected))


def test_the_reference_survey_goes_by_the_name_of_its_release(comparison):
    study = SETTINGS["study"] | {"releases": {"survey": "lamost-dr2", "reference": "galah-dr3"}}
    for number in (1, 5, 6, 8):
        written = " ".join(words(module_of(number).from_files(comparison[0], SETTINGS | {"study": study})))
        assert "GALAH" in written
        assert "APOGEE" not in written


def test_figures_over_the_survey(tmp_path, comparison):
    survey = mock_survey(500)
    distance = mock_distance(survey)
    paths = {name: str(tmp_path / f"{name}.fits") for name in ("survey", "distance", "catalog", "reference")}
    write_table(survey, paths["survey"])
    write_table(Table({"distance": distance}), paths["distance"])
    write_table(survey[:200], paths["catalog"])
    write_table(survey[200:], paths["reference"])
    catalog = survey[:200]
    for figure, expected in (
        (figure_03, figure_03.draw(survey, comparison[1], "mock")),
        (figure_10, figure_10.draw(survey, distance, "mock", cut=2.0, seed=3)),
        (figure_11, figure_11.draw(catalog["fe_h"], catalog["alpha_m"], "mock")),
        (figure_12, figure_12.draw(survey[200:], catalog, "mock")),
    ):
        drawn = figure.from_files(paths | comparison[0], SETTINGS)
        np.testing.assert_array_equal(pixels(drawn), pixels(expected))


def test_figure_04_scales_the_coefficients_by_the_errors_of_the_labels(tmp_path, root):
    """A model that is linear in labels of known scale: the slope for one step is known."""
    wavelength = np.linspace(3905.0, 8999.0, 50)
    scale = np.array([200.0, 0.5])
    slopes = np.random.default_rng(1).normal(0.0, 0.01, (50, 2))
    model = CannonModel(
        label_names=("teff", "logg"),
        order=1,
        pivot=np.array([4800.0, 2.5]),
        scale=scale,
        theta=np.column_stack([np.ones(50), slopes]),
        scatter=np.full(50, 0.01),
        chi2=np.full(50, 100.0),
        n_used=np.full(50, 100),
        status=np.zeros(50, dtype=int),
        wavelength=wavelength,
    )
    save_model(tmp_path / "model.h5", model)
    files = {"model": str(tmp_path / "model.h5")}
    for name, table in (("features", "spectral_features"), ("dibs", "dibs")):
        files[name] = str(root / "resources" / "lines" / f"{table}.csv")
    figure = figure_04.from_files(files, SETTINGS)
    for axes, slope, step in zip(figure.axes, (slopes / scale).T, (91.5, 0.11), strict=False):
        (curve,) = [line for line in axes.lines if len(line.get_xdata()) == 50]
        np.testing.assert_allclose(curve.get_ydata(), slope * step)
    assert "91.5 K" in figure.axes[0].get_ylabel()


def test_figure_09_finds_the_stars_of_the_sample_in_the_survey(tmp_path):
    survey = mock_survey(400)
    survey["spectrum_id"] = [f"s{number:03d}" for number in range(400)]
    rows = np.random.default_rng(2).permutation(400)[:50]
    shift = np.random.default_rng(3).normal(0.0, 1.0, (50, 3))
    sample = Table({"id": survey["spectrum_id"][rows], "distance": np.linspace(0.0, 4.0, 50)})
    for name, step, column in zip(("teff", "logg", "fe_h"), (100.0, 0.2, 0.1), shift.T, strict=True):
        sample[name] = survey[name][rows] + step * column
    write_table(survey, tmp_path / "survey.fits")
    write_table(sample, tmp_path / "sample.fits")
    files = {name: str(tmp_path / f"{name}.fits") for name in ("survey", "sample")}
    axes = figure_09.from_files(files, SETTINGS).axes[1]
    shown = np.asarray(axes.collections[0].get_offsets())
    expected = np.column_stack([sample["distance"], np.sqrt((shift**2).sum(axis=1))])
    inside = (expected[:, 0] <= axes.get_xlim()[1]) & (expected[:, 1] <= axes.get_ylim()[1])
    assert inside.sum() >= 48
    np.testing.assert_allclose(shown, expected[inside], rtol=1e-6)
