"""The steps of the workflow as functions: what they decide beyond the library that they call."""

import ast
import dataclasses
import importlib.util
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table

from labeltransfer.catalogs.rows import index_ids
from labeltransfer.files.tables import iterate_table, read_table, write_blocks, write_table
from labeltransfer.mock.universe import mock_release
from labeltransfer.models.cannon import train
from labeltransfer.models.files import save_model
from labeltransfer.models.network import NetworkModel
from labeltransfer.spectra.store import read_stores, write_store
from labeltransfer.validation.calibration import Calibration, with_bootstrap

DISTANCE = {"scale": {"teff": 100.0}, "neighbours": 2, "form": "root", "cut": 2.5, "sample": 2}
SHARP = Calibration(1.0, 0.0, 0.0, 1e6, 0.0, 0.0, 100, 1.0, True)


@pytest.fixture
def script(root):
    """Load a script by its folder and name."""

    def load(name):
        spec = importlib.util.spec_from_file_location(
            name.replace("/", "_"), root / "workflow" / "scripts" / f"{name}.py"
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def step(inputs, outputs, threads=1, wildcards=None, **params):
    """What Snakemake gives to a script."""

    class Files(SimpleNamespace):
        def __iter__(self):
            for value in vars(self).values():
                yield from value if isinstance(value, list) else [value]

    return SimpleNamespace(
        input=Files(**inputs),
        output=Files(**outputs),
        params=SimpleNamespace(**params),
        wildcards=SimpleNamespace(**(wildcards or {})),
        threads=threads,
    )


def test_every_script_is_documented_functions_and_a_guarded_main(root):
    paths = sorted((root / "workflow" / "scripts").glob("*/*.py"))
    assert len(paths) > 20
    for path in paths:
        module = ast.parse(path.read_text())
        assert ast.get_docstring(module), path.name
        functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
        assert list(functions["main"].args.args[0].arg) == list("snakemake"), path.name
        assert all(ast.get_docstring(node) for node in functions.values()), path.name
        allowed = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.FunctionDef, ast.ClassDef)
        assert all(isinstance(node, allowed) for node in module.body[:-1]), path.name
        assert ast.unparse(module.body[-1]) == (
            "if 'snakemake' in globals():\n"
            "    with job(snakemake.log[0], snakemake.threads):\n"
            "        main(snakemake)"
        ), path.name


# Fetching.


def test_spectra_that_are_not_there_are_named_in_the_fetch_ledger(script, tmp_path):
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "here.fits.gz").write_bytes(b"12345")
    stars = Table(
        {"spectrum_id": ["here.fits", "gone.fits"], "path": ["plan/here.fits.gz", "plan/gone.fits.gz"]}
    )
    ledger = script("archive/fetch_spectra").spectra_at_hand(stars, tmp_path)
    assert ledger["status"].tolist() == ["ok", "failed"]
    assert ledger["reason"].tolist() == ["", "no such file"]
    assert ledger["bytes"].tolist() == [5, -1]
    assert ledger["path"][0] == str(tmp_path / "plan" / "here.fits.gz")


@pytest.mark.parametrize("n_failed", [5, 6])
def test_a_few_failures_are_reasons_and_many_fail_the_job(script, tmp_path, monkeypatch, n_failed):
    fetch_spectra = script("archive/fetch_spectra")
    n = 100
    reasons = ["server answered 503"] * n_failed + ["missing on server"] * 20
    reasons += [""] * (n - len(reasons))
    found = Table({"spectrum_id": [str(i) for i in range(n)], "reason": reasons})
    found["status"] = np.where(found["reason"] == "", "ok", "failed")
    monkeypatch.setattr(fetch_spectra, "fetched_spectra", lambda *arguments: found)
    write_table(Table({"spectrum_id": found["spectrum_id"]}), tmp_path / "stars.fits")
    fetch = step(
        {"stars": tmp_path / "stars.fits", "datasets": tmp_path / "stars.fits"},
        {"ledger": tmp_path / "ledger.fits"},
        wildcards={"item": "1-of-1"},
        source="public",
        archives={"public": {}},
        release="lamost-dr2",
        code={},
    )
    if n_failed == 5:
        fetch_spectra.main(fetch)
        assert read_table(tmp_path / "ledger.fits")["reason"].tolist() == reasons
    else:
        with pytest.raises(SystemExit, match=r"6 of 100 .* 'server answered 503': .* run again later"):
            fetch_spectra.main(fetch)
        assert not (tmp_path / "ledger.fits").exists()


def test_figure_2_has_a_star_even_if_the_wanted_one_is_not_there(script, capsys):
    stars = Table({"reference_id": ["x", "y", "z"], "snrg": [20.0, np.nan, 90.0]})
    example_row = script("archive/fetch_example").example_row
    assert example_row(stars, "y")["reference_id"] == "y"
    assert example_row(stars, "2M0")["reference_id"] == "z"
    assert "2M0 is not in the reference set" in capsys.readouterr().out
    stars["snrg"] = np.nan
    assert example_row(stars, None)["reference_id"] == "x"


# Preparation and labels.


def spectrum_file(path, redshift):
    """A small LAMOST file with a flat spectrum."""
    n = 3800
    data = np.zeros((5, n), dtype=np.float32)
    data[0], data[1], data[2] = 100.0, 1.0, 10 ** (3.5682 + 1e-4 * np.arange(n))
    hdu = fits.PrimaryHDU(data)
    cards = {"EXTEN0": "Flux, Inverse, Wavelength, Andmask, Ormask", "Z": redshift, "RA": 1.0, "DEC": 2.0}
    hdu.header.update(cards)
    hdu.writeto(path)


def test_preparation_gives_each_spectrum_a_row_or_a_reason(script, tmp_path, root):
    spectrum_file(tmp_path / "good.fits", 1e-4)
    spectrum_file(tmp_path / "unknown.fits", -9999.0)
    (tmp_path / "text.fits").write_text("no FITS\n")
    names = ["unknown", "gone", "good", "text"]
    fetched = Table({"spectrum_id": names, "path": [str(tmp_path / f"{name}.fits") for name in names]})
    fetched["status"] = ["ok", "failed", "ok", "ok"]
    fetched["reason"] = ["", "missing on server", "", ""]
    preparation = {
        "variance": "information",
        "normalisation": {"width": 50.0, "weight": "exp(-d2/L2)"},
        "andmask": True,
        "ormask": False,
        "min_good_fraction": 0.5,
        "block": 2,
    }
    grid = {"lower": 4000.0, "upper": 4200.0, "log_start": 3.5682, "step": 1e-4}
    main = script("spectra/prepare").main
    for rows, n_good in ((slice(None), 1), (slice(0, 2), 0)):
        write_table(fetched[rows], tmp_path / "fetched.fits")
        outputs = {"store": tmp_path / "store.h5", "rejected": tmp_path / "rejected.fits"}
        inputs = {"fetched": tmp_path / "fetched.fits", "windows": []}
        prepare = step(inputs, outputs, grid=grid, preparation=preparation, code={})
        main(prepare)
        spectra = read_stores([tmp_path / "store.h5"])
        assert len(spectra.stars["id"]) == n_good
        assert spectra.flux.shape == (n_good, len(spectra.wavelength))
        rejected = read_table(tmp_path / "rejected.fits")
        reasons = dict(zip(rejected["id"].tolist(), rejected["reason"].tolist(), strict=True))
        expected = {"gone": "not fetched: missing on server", "unknown": "missing redshift"}
        assert reasons == (expected | {"text": "not FITS"} if n_good else expected)
        assert set(rejected["stage"]) == {"spectra"}


@pytest.fixture
def cannon(rng):
    """A model of two labels, and the spectra and labels that it was trained on."""
    labels = np.column_stack([rng.uniform(4000, 5200, 60), rng.uniform(1, 3, 60)])
    x = (labels - labels.mean(axis=0)) / labels.std(axis=0)
    flux = 1 + 0.05 * x @ rng.standard_normal((2, 40)) + 0.002 * rng.standard_normal((60, 40))
    ivar = np.full(flux.shape, 0.002**-2)
    model = train(
        flux, ivar, labels, label_names=("teff", "logg"), wavelength=np.arange(40.0) + 4000, order=2
    )
    return model, flux.astype(np.float32), ivar.astype(np.float32), labels


def test_bootstrap_errors_are_the_scatter_between_models(script, cannon):
    model, flux, ivar, labels = cannon
    shifted = dataclasses.replace(model, pivot=model.pivot + np.array([10.0, 0.0]))
    found = script("label/label").labelled_block(flux, ivar, model, [model, shifted], labels[:7], 1)
    np.testing.assert_allclose(found["teff"], labels[:, 0], atol=120)
    np.testing.assert_allclose(found["teff_bootstrap"], 10 / np.sqrt(2), rtol=0.02)
    np.testing.assert_allclose(found["logg_bootstrap"], 0, atol=1e-4)
    assert found["converged"].all()
    np.testing.assert_allclose(found["teff_err"] ** 2, found["covariance"][:, 0, 0])


def test_novelty_is_one_at_the_edge_of_the_reference_set(script, rng):
    reference = rng.standard_normal((4000, 2)) * [100.0, 0.5] + [4800.0, 2.5]
    here = Table({"teff": [*reference[:2000, 0], 9000.0, np.nan], "logg": [*reference[:2000, 1], 2.5, 2.5]})
    label = script("label/label")
    label.add_novelty(here, reference, label.spacing_of(reference), ["teff", "logg"])
    novelty = np.asarray(here["novelty"])
    assert (novelty[:2000] <= 1).mean() == pytest.approx(0.99, abs=0.01)
    assert novelty[2000] > 10
    assert np.isnan(novelty[2001])


@pytest.fixture
def network(cannon, rng):
    """A network of the same labels and pixels, and a table of what theory says of it."""
    k, p, h = 2, len(cannon[0].wavelength), 4
    zero, count = np.zeros(p), np.zeros(p, dtype=int)
    pivot, scale = np.array([4600.0, 2.0]), np.array([350.0, 0.6])
    weights = rng.standard_normal((p, h, k)), rng.standard_normal((p, h)), 0.1 * rng.standard_normal((p, h))
    model = NetworkModel(
        ("teff", "logg"), pivot, scale, *weights, zero + 1, zero + 0.01, zero, zero, count, np.zeros(p, np.int8),
        0.01, 0.0, 10.0, 1e-4, "rel_l2",
    )  # fmt: skip
    theory = Table({"reference": ["giant"] * k, "label": ["teff", "logg"], "value": pivot, "step": scale})
    theory["gradient"] = rng.standard_normal((k, p))
    return model, theory


@pytest.mark.parametrize("kind", ["cannon", "bootstrap", "network"])
def test_a_chunk_without_a_readable_spectrum_has_an_empty_table_like_the_others(
    script, cannon, network, tmp_path, kind
):
    model, flux, ivar, labels = cannon
    save_model(tmp_path / "model.h5", network[0] if kind == "network" else model)
    write_table(network[1], tmp_path / "theory.fits")
    clip = Table({"id": [f"s{i}" for i in range(60)], "trained": np.ones(60, dtype=bool)})
    clip["teff"], clip["logg"] = labels.T
    write_table(clip, tmp_path / "clip.fits")
    stars = Table({"id": clip["id"], "redshift": np.zeros(60), "snr": np.ones(60), "snr_g": np.ones(60)})
    paths = []
    for name, rows in (("some", slice(0, 20)), ("none", slice(0)), ("others", slice(20, 60))):
        blocks = [(flux[rows], ivar[rows], stars[rows])] if name != "none" else []
        write_store(tmp_path / f"{name}.h5", model.wavelength, blocks)
        inputs = {
            "store": tmp_path / f"{name}.h5",
            "model": tmp_path / "model.h5",
            "clip": tmp_path / "clip.fits",
            "bootstrap": [tmp_path / "model.h5"] * 2 if kind == "bootstrap" else [],
            "starts": [],
            "theory": tmp_path / "theory.fits" if kind == "network" else [],
        }
        paths.append(tmp_path / f"{name}.fits")
        label = step(
            inputs,
            {"labels": paths[-1]},
            labels={"teff": {"unit": "K"}, "logg": {"unit": "dex"}},
            code={},
        )
        script("label/label").main(label)
    some, none, _ = (read_table(path) for path in paths)
    assert len(none) == 0
    assert none.colnames == some.colnames
    for name in some.colnames:
        assert none[name].unit == some[name].unit
        assert none[name].dtype.kind == some[name].dtype.kind
    assert str(none["teff"].unit) == "K"
    assert none["covariance"].shape == (0, 2, 2)
    for suffix in ("bootstrap",) * (kind == "bootstrap") + ("correlation",) * (kind == "network"):
        assert f"teff_{suffix}" in none.colnames

    # The catalogue's tables hold the stars of the chunks beside it, whichever comes first.
    catalog = script("label/catalog")
    spectra = Table(
        {"spectrum_id": stars["id"], "obsid": np.arange(60), "ra": np.zeros(60), "dec": np.zeros(60)}
    )
    spectra["distance"], spectra["sample"] = np.full(60, 0.5), np.arange(60) % 2 == 0
    spectra["sample_only"] = np.zeros(60, dtype=bool)
    spectra = catalog.Stars(spectra, index_ids(spectra["spectrum_id"]))
    for order in (paths, [paths[1], paths[0], paths[2]]):
        fates = catalog.Fates([], [], [], [])
        blocks = [block for path in order for block in iterate_table(path, text=bytes)]
        rows = [catalog.survey_rows(block, spectra, {"max_reduced_chi2": 1e9}, fates) for block in blocks]
        assert write_blocks((sample for _, _, sample in rows), tmp_path / "samples.fits") == 30
        assert read_table(tmp_path / "samples.fits")["id"].tolist() == stars["id"][::2].tolist()
        assert sum(len(table) for table in (*fates.bad_survey, *fates.good)) == 60
        nobody = [np.zeros(len(labels), dtype=bool) for labels, _, _ in rows]
        names, calibrations = ["teff", "logg"], dict.fromkeys(["teff", "logg"], SHARP)
        built = [
            catalog.build_catalog(labels, here, names, no, no, no, calibrations, True)
            for (labels, here, _), no in zip(rows, nobody, strict=True)
        ]
        n = sum(len(labels) for labels, _, _ in rows)
        assert write_blocks(built, tmp_path / "catalog.fits", sort_by="spectrum_id") == n > 0


# The catalogue.


def test_labels_that_failed_are_not_in_the_catalogue(script):
    labels = Table({"chi2": [1.0, 1.0, np.nan, 1.0], "reduced_chi2": [10.0, 10.1, np.nan, 1.0]})
    labels["converged"] = [True, True, True, False]
    reasons = script("label/catalog").bad_labels(labels, 10.0).tolist()
    assert reasons == ["", "reduced chi2 above 10", "labels did not converge", "labels did not converge"]


def test_flags_zero_points_and_errors_of_the_catalogue(script):
    n = 5
    labels = Table({"id": list("abcde"), "teff": np.full(n, 4500.0), "teff_err": np.full(n, 3.0)})
    labels["teff"].unit = "K"
    labels["teff_bootstrap"] = np.full(n, 2.0)
    labels["reduced_chi2"], labels["snr_g"] = np.ones(n), np.full(n, 40.0)
    labels["snr"] = [50.0, 9.0, 50.0, 50.0, 50.0]
    labels["novelty"] = [0.5, 0.5, 1.5, 0.5, np.nan]
    stars = Table({"obsid": np.arange(n), "ra": np.zeros(n), "dec": np.zeros(n), "distance": np.full(n, 1.0)})
    in_reference = np.array([False, False, False, True, True])
    calibration = {"teff": SHARP._replace(factor=2.0, model_factor=4.0, floor=0.0, offset=10.0, slope=100.0)}
    nobody = np.zeros(n, dtype=bool)
    clipped = np.array([False, False, False, True, False])
    catalog = script("label/catalog").build_catalog(
        labels, stars, ["teff"], nobody, in_reference, clipped, calibration, True
    )
    assert catalog["flags"].tolist() == [0, 4, 1, 2, 1 | 8]
    # offset + slope / snr is taken off; total^2 = (2 x 3)^2 + (4 x 2)^2.
    np.testing.assert_allclose(catalog["teff"], 4500 - 10 - 100 / labels["snr"], rtol=1e-6)
    np.testing.assert_allclose(catalog["teff_total"], 10.0, rtol=1e-6)
    np.testing.assert_allclose(catalog["teff_err"], 3.0)
    raw = script("label/catalog").build_catalog(
        labels, stars, ["teff"], nobody, in_reference, clipped, calibration, False
    )
    np.testing.assert_allclose(raw["teff"], 4500.0)
    assert "zero point" in catalog["teff"].description
    assert "zero point" not in raw["teff"].description


# Validation.


def test_recovery_compares_like_with_like(script, rng):
    n = 4000
    truth = Table({"spectrum_id": [f"s{i}" for i in range(n)], "teff": rng.uniform(4000, 5000, n)})
    order = rng.permutation(n)
    catalog = Table({"spectrum_id": truth["spectrum_id"][order]})
    catalog["teff"] = truth["teff"][order] + 5.0 + 20.0 * rng.standard_normal(n)
    catalog["teff_err"], catalog["teff_total"] = np.full(n, 10.0), np.full(n, 20.0)
    catalog["snr"] = np.where(np.arange(n) % 2, 100.0, 20.0)
    catalog["novelty"] = np.where(np.arange(n) < 3000, 0.5, 2.0)
    catalog["reference"] = np.arange(n) < 1000
    catalog["trained"] = catalog["reference"]
    labels = {"teff": {"column": "TEFF"}}
    recovery = script("validate/recovery_mock").recovery
    found = recovery(catalog, truth, labels, 50.0)
    assert found["n"].tolist() == [2000, 1000, 1000, 500, 1000, 500]
    np.testing.assert_allclose(found["bias"], 5.0, atol=3.5)
    np.testing.assert_allclose(found["robust_scatter"], 20.0, rtol=0.12)
    np.testing.assert_allclose(found["z_width_formal"], 2.0, rtol=0.12)
    np.testing.assert_allclose(found["z_width_calibrated"], 1.0, rtol=0.12)
    np.testing.assert_allclose(found["bias_over_scatter"], 0.25, atol=0.17)
    # The paper calls [Fe/H] what APOGEE measures as [M/H]; columns may be parts of vectors.
    truth["m_h"] = truth["teff"] + 100.0
    as_in_the_paper = recovery(catalog, truth, {"teff": {"column": "PARAM_M_H"}}, 50.0)
    np.testing.assert_allclose(as_in_the_paper["bias"], found["bias"] - 100.0)
    pd.testing.assert_frame_equal(recovery(catalog, truth, {"teff": {"column": ["PARAM", 0]}}, 50.0), found)


def test_comparison_sets_the_three_sources_side_by_side(script):
    stars = Table(
        {"spectrum_id": ["b", "a"], "reference_id": ["B", "A"], "ra": [2.0, 1.0], "dec": [0.0, 0.0]}
    )
    stars["teff"], stars["teff_err"], stars["teff_pipeline"] = [4002.0, 4001.0], [9.0, 8.0], [4102.0, 4101.0]
    clip = Table({"id": ["a", "b"], "trained": [False, True]})
    labels = Table({"id": ["a", "b"], "snr": [10.0, 20.0], "snr_g": [9.0, 19.0], "reduced_chi2": [1.0, 1.0]})
    labels["converged"] = True
    labels["teff"], labels["teff_err"], labels["teff_bootstrap"] = [4201.0, 4202.0], [3.0, 3.0], [1.0, 1.0]
    folds = Table({"id": ["b", "a"], "teff_fold": [4302.0, 4301.0]})
    table = script("validate/compare").compare(
        stars, clip, labels, folds, {"teff": SHARP}, ["teff"], {"teff": "teff"}
    )
    assert table["reference_id"].tolist() == ["A", "B"]
    for column, values in {
        "teff_apogee": [4001.0, 4002.0],
        "teff_apogee_err": [8.0, 9.0],
        "teff_lamost": [4101.0, 4102.0],
        "teff_cannon": [4201.0, 4202.0],
        "teff_held_out": [4301.0, 4302.0],
        "trained": [False, True],
    }.items():
        assert table[column].tolist() == values, column


def test_held_out_labels_come_from_a_model_that_never_saw_the_star(script, cannon):
    _, flux, ivar, labels = cannon
    spectra = SimpleNamespace(flux=flux, ivar=ivar)
    test = np.arange(60) < 10
    trainable = np.arange(60) != 50
    settings = {"order": 1, "scatter": "exact"}
    held_out_labels = script("validate/cross_validate").held_out_labels
    arguments = (test, trainable, ("teff", "logg"), labels[:7], settings, 1)
    found = held_out_labels(spectra, labels, *arguments)
    assert found.labels.shape == (10, 2)
    # Nonsense labels of the test stars and of the clipped star change nothing.
    nonsense = labels.copy()
    nonsense[test | ~trainable] = [9000.0, -3.0]
    again = held_out_labels(spectra, nonsense, *arguments)
    np.testing.assert_array_equal(again.labels, found.labels)
    nonsense[30] = [9000.0, -3.0]
    assert np.abs(held_out_labels(spectra, nonsense, *arguments).labels - found.labels).max() > 1


@pytest.fixture
def measured_inputs(root, cannon, tmp_path):
    """A run of two stars, one of them in the paper's Table 1, as inputs of the comparison with the paper."""
    folder = tmp_path / "run"
    comparison = Table({"trained": [True, True], "converged": [True, True], "snr": [60.0, 70.0]})
    comparison["snr_g"] = comparison["snr"]
    comparison["teff_cannon"], comparison["teff_apogee"] = [4510.0, 4690.0], [4500.0, 4700.0]
    catalog = Table(
        {"spectrum_id": ["spec-55859-F5902_sp01-034.fits", "spec-1.fits"], "reference": [False, True]}
    )
    catalog["reduced_chi2"], catalog["teff_bootstrap"] = [0.61, 1.0], [3.0, 5.0]
    tables = {
        "comparison": comparison,
        "catalog": catalog,
        "reference": Table({"teff": [4500.0, 4700.0]}),
        "matches": Table({"reference_row": [0, 1], "separation": [0.1, 0.3]}),
    }
    for name, table in tables.items():
        write_table(table, folder / f"{name}.fits")
    pd.DataFrame({"stage": ["labels", "", ""]}).to_parquet(folder / "ledger.parquet")
    save_model(folder / "model.h5", cannon[0])
    inputs = {name: folder / f"{name}.fits" for name in tables}
    inputs |= {"ledger": folder / "ledger.parquet", "model": folder / "model.h5"}
    return inputs | {"published": root / "resources" / "published" / "ho2017.csv"}


@pytest.mark.parametrize("bootstrap", [True, False])
def test_what_the_paper_printed_is_measured_here(script, measured_inputs, tmp_path, bootstrap):
    if not bootstrap:
        catalog = read_table(measured_inputs["catalog"])
        catalog.remove_column("teff_bootstrap")
        write_table(catalog, measured_inputs["catalog"])
    outputs = {"table": tmp_path / "published_vs_here.csv"}
    params = {"labels": {"teff": {}}, "min_snr": 50.0, "source": "mock"}
    script("validate/published").main(step(measured_inputs, outputs, **params))
    table = pd.read_csv(outputs["table"], keep_default_na=False).set_index(["quantity", "label"])
    # The star of Table 1 that is there, and one that is not.
    assert float(table.loc[("reduced_chi2", "spec-55859-F5902_sp01-034.fits"), "here"]) == 0.61
    missing = table.loc[("reduced_chi2", "spec-55859-F5902_sp01-136.fits")]
    assert (missing["here"], missing["note"].endswith("; not in this catalogue")) == ("nan", True)
    error = table.loc[("bootstrap_error", "teff")]
    if bootstrap:
        assert float(error["here"]) == 4.0
    else:
        assert (error["here"], error["note"].endswith("; no bootstrap models in this run")) == ("nan", True)
    expected = {
        "catalogue_stars": 2,
        "test_stars": 1,
        "match_separation_median": 0.2,
        "removed_fraction": 1 / 3,
    }
    for quantity, value in expected.items():
        assert float(table.loc[(quantity, ""), "here"]) == pytest.approx(value)


def test_mock_releases_are_named_after_the_real_ones(script):
    assert mock_release("lamost-dr2") == "dr2"


def test_a_study_without_bootstrap_models_is_calibrated_all_the_same(script, rng):
    n = 600
    labels = with_bootstrap(Table({"id": np.arange(n)}), ["teff"])
    assert not np.any(labels["teff_bootstrap"])
    table = Table({"teff": rng.uniform(4000, 5000, n), "teff_err": np.full(n, 5.0)})
    table["teff_fold"] = table["teff"] + 20.0 * rng.standard_normal(n)
    table["teff_fold_err"], table["snr"] = np.full(n, 10.0), rng.uniform(30, 200, n)
    table["trained"] = table["converged_fold"] = np.ones(n, dtype=bool)
    table["teff_bootstrap"] = labels["teff_bootstrap"]
    found = script("validate/calibrate").calibrations_of(table, ["teff"])["teff"]
    errors = np.hypot(found.factor * 10.0, found.floor)
    assert errors == pytest.approx(np.sqrt(20.0**2 - 5.0**2), rel=0.1)
    with_models = Table({"id": np.arange(2), "teff_bootstrap": [1.0, 2.0]})
    assert with_bootstrap(with_models, ["teff"])["teff_bootstrap"].tolist() == [1.0, 2.0]
