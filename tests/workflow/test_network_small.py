"""The network study on a small mock archive: what it makes, what its flags mean, and that only it has networks."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from labeltransfer.files.tables import read_table
from labeltransfer.models.files import load_model
from labeltransfer.models.network import STATUS

METHODS = ("prior", "no_prior", "l1", "quadratic")
TABLES = (
    "catalog.fits",
    "catalog.parquet",
    "ledger.parquet",
    "published_vs_here.csv",
    "gradient_correlation.csv",
    "cramer_rao.csv",
    "d_scale_scan.csv",
    "shift_test.csv",
    "extra_labels.csv",
    "validation/choices.csv",
)
FIGURES = ("choices", "figure_01", "figure_02", "figure_03", "d_scale", "cramer_rao", "shift_test")


@pytest.fixture(scope="module")
def study(network_run):
    return network_run / "results" / "ting2017"


@pytest.fixture(scope="module")
def labels(root):
    return list(yaml.safe_load((root / "config/config.yaml").read_text())["studies"]["ting2017"]["labels"])


@pytest.fixture(scope="module")
def stars(study):
    return read_table(study / "models" / "reference_clip.fits")


def test_everything_is_made(study):
    for name in [*TABLES, *(f"figures/{name}.{kind}" for name in FIGURES for kind in ("pdf", "png"))]:
        assert (study / name).stat().st_size > 0, name
    listed = json.loads((study / "complete.json").read_text())["files"]
    names = {Path(path).name for path in listed}
    assert names >= {*(Path(name).name for name in TABLES), *(f"{name}.png" for name in FIGURES)}
    assert not list((study / "models").glob("parts/*/*.h5"))
    assert not (study / "models" / "cannon.h5").exists()


def test_choices_of_preparation_are_tried_with_a_linear_model(study, labels, stars):
    table = pd.read_csv(study / "validation" / "choices.csv")
    assert set(table["label"]) == set(labels)
    assert set(table["order"]) == {1}
    assert set(table["against"]) == {"truth of the mock"}
    assert {"paper", "normalisation.errors: none", "normalisation.fit: line", "all"} <= set(table["choice"])
    known = np.asarray(stars["trained"]) | (np.asarray(stars["reason"], dtype=str) == "S/N of the test stars")
    assert 0.9 * known.sum() < table["n"].min() <= table["n"].max() <= len(stars)


def test_stars_are_trained_on_or_tested_by_their_snr_and_never_both(stars):
    snr, trained = np.asarray(stars["snr"]), np.asarray(stars["trained"])
    reason = np.asarray(stars["reason"], dtype=str)
    assert (snr[trained] > 100).all()
    assert (reason[trained] == "").all()
    test = reason == "S/N of the test stars"
    assert ((snr[test] >= 30) & (snr[test] <= 100)).all()
    assert test.sum() > 30
    assert trained.sum() > 34


def test_models_of_all_methods_have_all_pixels(study, labels):
    sizes = set()
    for method in METHODS:
        model = load_model(study / "models" / f"{method}.h5")
        assert list(model.label_names) == labels
        assert np.all(np.diff(model.wavelength) > 0)
        sizes.add(len(model.wavelength))
    assert len(sizes) == 1
    assert load_model(study / "models" / "prior.h5").d_scale == 10
    assert load_model(study / "models" / "no_prior.h5").d_scale == 0
    strengths = pd.read_csv(study / "models" / "l1_strength.csv")
    l1 = load_model(study / "models" / "l1.h5")
    assert (l1.d_scale, l1.ridge) == (0, load_model(study / "models" / "no_prior.h5").ridge)
    assert l1.l1 == strengths["strength"][strengths["correlation"].argmax()]
    assert strengths["strength"][strengths["chosen"]].tolist() == [l1.l1]


def test_l1_networks_are_those_of_some_pixels_and_every_table_says_so(study):
    models = {method: load_model(study / "models" / f"{method}.h5") for method in METHODS}
    l1, wavelength = models["l1"], models["l1"].wavelength
    window = (wavelength >= 5100) & (wavelength <= 5250)
    even = np.linspace(0, len(wavelength) - 1, 60).astype(int)
    assert l1.usable[window].all()
    assert l1.usable[even].all()
    assert l1.usable.sum() == np.count_nonzero(window | np.isin(np.arange(len(wavelength)), even))
    assert {STATUS[i] for i in l1.status} == {"trained", "not trained"}
    n_pix = {method: model.usable.sum() for method, model in models.items()}
    assert n_pix["l1"] < 0.6 * min(n_pix[method] for method in METHODS if method != "l1")
    for name in ("gradient_correlation.csv", "shift_test.csv", "validation/cross_validation.csv"):
        found = pd.read_csv(study / name).groupby("method")["pixels"].unique()
        assert {method: values.tolist() for method, values in found.items()} == {
            method: [n] for method, n in n_pix.items()
        }, name


def test_catalogue_has_labels_errors_and_a_flag_per_label(study, stars, labels):
    catalog = read_table(study / "catalog.fits")
    for name in labels:
        for suffix in ("", "_err", "_total", "_correlation"):
            assert np.isfinite(catalog[name + suffix]).all(), name + suffix
        correlation, flag = np.asarray(catalog[f"{name}_correlation"]), np.asarray(catalog[f"{name}_flag"])
        np.testing.assert_array_equal(flag & 1, np.where(correlation >= 0.5, 0, 1))
        assert str(catalog[name].unit) == ("K" if name == "teff" else "dex")
        assert f"{name}_bootstrap" not in catalog.colnames
    tested = stars["id"][stars["reason"] == "S/N of the test stars"]
    here = np.isin(np.asarray(catalog["spectrum_id"]), np.asarray(tested))
    assert here.sum() > 30
    assert np.all(catalog["flags"][here] & 8)
    assert not np.any(catalog["flags"][np.asarray(catalog["trained"])] & (2 | 8))


def test_every_reference_star_has_its_reason(study, stars):
    ledger = pd.read_parquet(study / "ledger.parquet")
    reasons = ledger[ledger["catalog"] == "reference"].astype(str).agg(" ".join, axis=1)
    n_test = np.count_nonzero(stars["reason"] == "S/N of the test stars")
    assert reasons.str.contains("S/N of the test stars").sum() == n_test
    assert reasons.str.contains("trained on").sum() == np.count_nonzero(stars["trained"])


def test_tables_have_a_row_for_everything_asked(study, labels):
    correlation = pd.read_csv(study / "gradient_correlation.csv")
    references = correlation["reference"].unique()
    assert len(references) > 1
    assert len(correlation) == len(METHODS) * len(labels) * len(references)
    medians = correlation.pivot_table("correlation", "reference", "method", aggfunc="median")
    assert (medians["prior"] > medians["no_prior"]).all()
    shifts = pd.read_csv(study / "shift_test.csv")
    assert len(shifts) == len(METHODS) * (len(labels) - 2)
    assert set(shifts["archive"]) == {"mock"}
    bounds = pd.read_csv(study / "cramer_rao.csv").pivot_table("bound_theory", "label", "snr")
    assert len(bounds) == len(labels)
    np.testing.assert_allclose(bounds[30.0] / bounds[60.0], 2.0, rtol=1e-6)
    scan = pd.read_csv(study / "d_scale_scan.csv")
    assert len(scan) == 2 * len(labels)
    np.testing.assert_allclose(scan["scatter_ratio"][scan["d_scale"] == 0], 1.0)
    assert set(scan["pixels"]) == {60}
    # The paper's two facts: the second holds for any theory, the first is reported as found.
    by_strength = scan.groupby("d_scale")
    correlation = by_strength["correlation"].median()
    assert correlation[10.0] > correlation[0.0] + 0.1
    growth = scan.pivot_table("scatter", "label", "d_scale")
    published = pd.read_csv(study / "published_vs_here.csv").set_index("quantity")
    expected = (growth[10.0] / growth[0.0]).median()
    assert published["here"]["scatter_growth"] == pytest.approx(expected, rel=1e-6)


def test_comparison_covers_every_method(study, labels):
    table = read_table(study / "validation" / "comparison.fits")
    assert not np.any(table["trained"] & table["test"])
    for method in METHODS:
        for name in labels:
            assert f"{name}_{method}" in table.colnames
