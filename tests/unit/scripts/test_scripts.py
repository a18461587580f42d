"""The steps of the workflow as functions: what they decide beyond the library that they call."""

import ast
import importlib.util
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table

from labeltransfer.catalogs.cuts import apply_cuts
from labeltransfer.catalogs.fates import Limits, no_fates
from labeltransfer.catalogs.rows import index_ids, indexed
from labeltransfer.files.tables import iterate_table, read_table, write_blocks, write_table
from labeltransfer.mock.universe import mock_release
from labeltransfer.models.files import save_model
from labeltransfer.spectra.grid import common_grid
from labeltransfer.spectra.prepare import prepare, read_noise, settings_from
from labeltransfer.spectra.store import read_stores, write_store
from labeltransfer.validation.assembly import Judgement, Stars, catalogue_blocks
from labeltransfer.validation.calibration import Calibration
from tests.unit.validation import two_libraries

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


@pytest.mark.parametrize("n_failed", [5, 6])
def test_a_few_failures_are_reasons_and_many_fail_the_job(script, tmp_path, monkeypatch, n_failed):
    fetch_spectra = script("archive/fetch_spectra")
    n = 100
    reasons = ["server answered 503"] * n_failed + ["missing on server"] * 20
    reasons += [""] * (n - len(reasons))
    found = Table({"spectrum_id": [str(i) for i in range(n)], "reason": reasons})
    found["status"] = np.where(found["reason"] == "", "ok", "failed")
    monkeypatch.setattr(fetch_spectra, "fetched", lambda *arguments: found)
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


# One's own labels.


def own_reference(script, tmp_path, columns, cuts):
    """Run the rule `reference_catalog` on a table of labels with a flag; returns what it wrote."""
    n = 20
    spectra = Table({"id": [f"p/{row}.fits" for row in range(n)], "obsid": np.arange(n) + 1000})
    spectra["path"] = spectra["name"] = spectra["spectrum_id"] = spectra["id"]
    spectra["ra"], spectra["dec"], spectra["snrg"] = np.arange(n) * 1.0, np.zeros(n), np.full(n, 50.0)
    write_table(spectra, tmp_path / "survey.fits")
    flags = np.where(np.arange(n) == 3, 1 << 23, 0)
    frame = pd.DataFrame({"obsid": spectra["obsid"], "Teff": 5000.0 + np.arange(n), "FLAG": flags})
    frame.to_csv(tmp_path / "labels.csv", index=False)
    outputs = {"reference": tmp_path / "reference.fits", "rejected": tmp_path / "rejected.fits"}
    local = {"id_column": "obsid", "match": "obsid", "columns": columns, "errors": {}}
    run = step(
        {"survey": tmp_path / "survey.fits", "labels": [tmp_path / "labels.csv"]},
        outputs,
        wildcards={"study": "own"},
        source="local",
        local=local,
        missing=[-999],
        labels={"teff": {"unit": "K"}},
        radius=3.0,
        code={},
    )
    run.config = {"studies": {"own": {"cuts": cuts}}}
    script("archive/reference_catalog").main(run)
    return read_table(outputs["reference"])


def test_a_cut_on_a_flag_that_nobody_mapped_is_an_error_with_its_key(script, tmp_path):
    cuts = [{"reason": "STAR_BAD", "column": "aspcapflag", "bits_clear": [23]}]
    with pytest.raises(
        SystemExit, match=r"studies\.own\.cuts \(.* archives\.local\.columns\): .*'aspcapflag'"
    ):
        own_reference(script, tmp_path, {"teff": "Teff"}, cuts)
    assert not (tmp_path / "reference.fits").exists()
    reference = own_reference(script, tmp_path, {"teff": "Teff", "aspcapflag": "FLAG"}, cuts)
    keep, reason = apply_cuts(reference, cuts)
    assert np.flatnonzero(~keep).tolist() == [3]
    assert reason[3] == "STAR_BAD"


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


PREPARATION = {
    "interpolation": "equal",
    "resolution": None,
    "variance": "information",
    "normalisation": {"width": 50.0, "weight": "exp(-d2/L2)", "errors": "none", "fit": "average"},
    "andmask": True,
    "ormask": False,
    "min_good_fraction": 0.5,
    "block": 2,
}
GRID = {"lower": 4000.0, "upper": 4200.0, "log_start": 3.5682, "step": 1e-4}


def test_preparation_gives_each_spectrum_a_row_or_a_reason(script, tmp_path, root):
    spectrum_file(tmp_path / "good.fits", 1e-4)
    spectrum_file(tmp_path / "unknown.fits", -9999.0)
    (tmp_path / "text.fits").write_text("no FITS\n")
    names = ["unknown", "gone", "good", "text"]
    fetched = Table({"spectrum_id": names, "path": [str(tmp_path / f"{name}.fits") for name in names]})
    fetched["status"] = ["ok", "failed", "ok", "ok"]
    fetched["reason"] = ["", "missing on server", "", ""]
    main = script("spectra/prepare").main
    for rows, n_good in ((slice(None), 1), (slice(0, 2), 0)):
        write_table(fetched[rows], tmp_path / "fetched.fits")
        outputs = {"store": tmp_path / "store.h5", "rejected": tmp_path / "rejected.fits"}
        inputs = {
            "fetched": tmp_path / "fetched.fits",
            "windows": [],
            "fibres": [],
            "noise": [],
            "residuals": [],
        }
        prepare = step(inputs, outputs, survey="lamost-dr2", grid=GRID, preparation=PREPARATION, code={})
        main(prepare)
        spectra = read_stores([tmp_path / "store.h5"])
        assert len(spectra.stars["id"]) == n_good
        assert spectra.flux.shape == (n_good, len(spectra.wavelength))
        rejected = read_table(tmp_path / "rejected.fits")
        reasons = dict(zip(rejected["id"].tolist(), rejected["reason"].tolist(), strict=True))
        expected = {"gone": "not fetched: missing on server", "unknown": "missing redshift"}
        assert reasons == (expected | {"text": "not FITS"} if n_good else expected)
        assert set(rejected["stage"]) == {"spectra"}


def test_typical_noise_is_of_the_spectra_that_can_be_read_and_weights_them(script, tmp_path):
    for number in range(3):
        spectrum_file(tmp_path / f"s{number}.fits", 1e-4 * number)
    (tmp_path / "text.fits").write_text("no FITS\n")
    names = ["s0", "s1", "text", "s2", "gone"]
    fetched = Table({"spectrum_id": names, "path": [str(tmp_path / f"{name}.fits") for name in names]})
    fetched["status"], fetched["reason"] = [*["ok"] * 4, "failed"], [*[""] * 4, "gone"]
    write_table(fetched, tmp_path / "fetched.fits")
    preparation = PREPARATION | {"normalisation": PREPARATION["normalisation"] | {"errors": "typical"}}
    how = {"survey": "lamost-dr2", "grid": GRID, "preparation": preparation, "code": {}}
    inputs = {"fetched": [tmp_path / "fetched.fits"], "windows": [], "fibres": []}
    outputs = {"noise": tmp_path / "noise.fits"}
    script("spectra/typical_noise").main(step(inputs, outputs, most=10, seed=1, **how))
    noise = read_noise(tmp_path / "noise.fits", common_grid(**GRID))
    assert np.median(noise) == pytest.approx(1, rel=0.1)

    inputs = {
        "fetched": tmp_path / "fetched.fits",
        "windows": [],
        "fibres": [],
        "noise": tmp_path / "noise.fits",
        "residuals": [],
    }
    outputs = {"store": tmp_path / "store.h5", "rejected": tmp_path / "rejected.fits"}
    script("spectra/prepare").main(step(inputs, outputs, **how))
    spectra = read_stores([tmp_path / "store.h5"])
    settings = settings_from(GRID, preparation, [], noise=tmp_path / "noise.fits")
    np.testing.assert_array_equal(settings.kernel.shape, noise)
    paths = [str(tmp_path / f"s{number}.fits") for number in range(3)]
    flux, _, stars, _ = next(prepare(["s0", "s1", "s2"], paths, settings))
    assert list(spectra.stars["id"]) == list(stars["id"])
    np.testing.assert_array_equal(spectra.flux, flux)
    with pytest.raises(ValueError, match=r"noise.fits: of another grid"):
        read_noise(tmp_path / "noise.fits", common_grid(**GRID)[1:])


def test_errors_of_spectra_without_any_follow_from_what_components_leave(script, tmp_path, rng):
    noise, names = np.array([0.004, 0.02] * 20), [f"{i:04d}" for i in range(40)]
    for name, one in zip(names, noise, strict=True):
        hdu = fits.PrimaryHDU(1 + one * rng.standard_normal(900))
        hdu.header.update({"CRVAL1": 3800.0, "CDELT1": 0.9})
        hdu.writeto(tmp_path / f"m{name}V.fits")
    fetched = Table({"spectrum_id": names, "path": [str(tmp_path / f"m{name}V.fits") for name in names]})
    fetched["status"], fetched["reason"] = "ok", ""
    write_table(fetched, tmp_path / "fetched.fits")
    preparation = PREPARATION | {"missing_errors": "residuals", "residual_components": 2}
    how = {"survey": "miles-9.1", "grid": GRID, "preparation": preparation, "code": {}}
    inputs = {"fetched": [tmp_path / "fetched.fits"], "windows": [], "fibres": [], "noise": []}
    outputs = {"model": tmp_path / "model.fits"}
    script("spectra/residual_noise").main(step(inputs, outputs, most=30, seed=1, **how))
    inputs |= {"fetched": tmp_path / "fetched.fits", "residuals": outputs["model"]}
    outputs = {"store": tmp_path / "store.h5", "rejected": tmp_path / "rejected.fits"}
    script("spectra/prepare").main(step(inputs, outputs, **how))
    spectra = read_stores([tmp_path / "store.h5"])
    assert list(spectra.stars["id"]) == names
    # Medians of 20 stars, each from 211 pixels of which interpolation leaves half; and two components of 22 stars.
    error = 4 * 1.25 / np.sqrt(211) / np.sqrt(20) + 0.5 * 2 / 22
    for size in (0.004, 0.02):
        assert np.median(spectra.stars["snr"][noise == size]) * size == pytest.approx(1, abs=error)


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
    stars = Table({"id": clip["id"]})
    for name, value in (("redshift", 0.0), ("phase", 0.0), ("snr", 1.0), ("snr_g", 1.0)):
        stars[name] = np.full(60, value)
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
    spectra = Table(
        {"spectrum_id": stars["id"], "obsid": np.arange(60), "ra": np.zeros(60), "dec": np.zeros(60)}
    )
    spectra["distance"], spectra["sample"] = np.full(60, 0.5), np.arange(60) % 2 == 0
    spectra["sample_only"] = np.zeros(60, dtype=bool)
    known = Stars(None, indexed(spectra, "spectrum_id"), indexed(clip, "id"), index_ids(stars["id"][:0]))
    judgement = Judgement(
        dict.fromkeys(("teff", "logg"), (-np.inf, np.inf)),
        dict.fromkeys(["teff", "logg"], SHARP),
        True,
        Limits(1e9, 4.0),
        0.5,
    )
    for order in (paths, [paths[1], paths[0], paths[2]]):
        fates, samples = no_fates(), []
        blocks = (block for path in order for block in iterate_table(path, text=bytes))
        built = catalogue_blocks([], blocks, known, judgement, fates, samples)
        n = write_blocks(built, tmp_path / "catalog.fits", sort_by="spectrum_id")
        assert write_blocks(samples, tmp_path / "samples.fits") == 30
        assert read_table(tmp_path / "samples.fits")["id"].tolist() == stars["id"][::2].tolist()
        assert sum(len(table) for table in (*fates.bad_survey, *fates.good)) == 60
        assert n == sum(len(table) for table in fates.good) > 0


# Validation.


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
        "cross_validation": Table({"trained": [True, True]}),
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
    params = {"labels": {"teff": {}}, "min_snr": 50.0, "source": "mock", "paper": "ho2017", "tutorial": False}
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


# Two libraries.


def test_two_libraries_are_compared_by_their_files(script, tmp_path):
    n, n_same = 60, 4
    labels = two_libraries.stars(n, np.random.default_rng(4))
    labels[n - 1, 0] = 9000.0  # beyond the range of the models
    stars = [
        "#MILES Teff log g [Fe/H]",
        *(f"{i + 1:04d} {t:.1f} {g:.3f} {f:.3f}" for i, (t, g, f) in enumerate(labels)),
    ]
    names = [f"HD{100 + i:06d}".ljust(23) + f"{i + 1:04d}" for i in range(n)]
    miles = [f"MILES_res2.50_star_m{i + 1:04d}V.fits" for i in range(n)]
    stelib = [f"STELIB_v3.2_HD{100 + i:06d}.fits" for i in [*range(n_same), n - 1, 500]]
    for release, parts in (
        ("reference", {"spectra": [*miles, "gone.fits"], "labels": ["labels.db"], "names": ["names.txt"]}),
        ("survey", {"spectra": stelib}),
    ):
        rows = [(kind, file) for kind, files in parts.items() for file in files]
        for kind in parts:
            (tmp_path / release / kind).mkdir(parents=True)
        write_table(Table(rows=rows, names=("dataset", "file")), tmp_path / release / "files.fits")
    (tmp_path / "reference" / "labels" / "labels.db").write_text("\n".join(stars))
    (tmp_path / "reference" / "names" / "names.txt").write_text("\n".join(names))
    for name, one in zip(miles, labels, strict=True):
        path = tmp_path / "reference" / "spectra" / name
        two_libraries.library_file(path, one, two_libraries.SHARP, FWHM=two_libraries.SHARP)
    for name, one in zip(stelib, labels, strict=False):
        path = tmp_path / "survey" / "spectra" / name
        two_libraries.library_file(path, one, 3.4, 30.0, OBJECT=path.stem[-8:])
    compare = step(
        {
            "reference": tmp_path / "reference" / "files.fits",
            "survey": tmp_path / "survey" / "files.fits",
            "windows": [],
        },
        {"table": tmp_path / "table.csv", "windows": tmp_path / "windows.csv"},
        grid=GRID | {"lower": 4700.0, "upper": 5300.0},
        preparation={**PREPARATION, "missing_errors": 100.0},
        labels=["teff", "logg", "fe_h"],
        teff=[4000.0, 7000.0],
        seed=0,
    )
    script("validate/line_width").main(compare)
    table, windows = pd.read_csv(tmp_path / "table.csv"), pd.read_csv(tmp_path / "windows.csv")
    assert len(table) == 2 * 6 * 3 * 2
    assert (table["n"] == n_same).all()
    metals = table[(table["label"] == "fe_h") & (table["against"] == "spectrum")]
    bias = metals.groupby("step")["bias"].apply(lambda values: values.abs().max())
    assert bias["velocity and width"] < 0.02 < bias["as it is"]
    np.testing.assert_allclose(windows["velocity"], 30.0, atol=3.0)
    np.testing.assert_allclose(windows["fwhm"], 3.4, rtol=0.05)
