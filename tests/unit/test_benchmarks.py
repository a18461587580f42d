"""The benchmarks: arithmetic of their table, growth laws, floors, and whether the command runs (its peers aside)."""

import importlib
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from labeltransfer.models.cannon import label, train


@pytest.fixture
def benchmark_module(root, monkeypatch):
    """Import a module of the benchmarks, as they import each other."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module


@pytest.fixture(scope="module")
def quick(root, tmp_path_factory):
    """What the quick mode writes and prints."""
    results = tmp_path_factory.mktemp("benchmarks")
    command = [sys.executable, root / "benchmarks" / "compare.py", "--quick", "--peers", "none"]
    run = subprocess.run([*command, "--results", results], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    return results, run.stdout


def test_exponents_of_known_laws(benchmark_module):
    exponent = benchmark_module("measure").growth_exponent
    n = np.array([1e3, 3e3, 1e4, 1e5])
    for power in (0.0, 1.0, 1.5):
        assert exponent(n, 7.0 * n**power) == pytest.approx(power, abs=1e-12)
    # a cost of 2 s whatever n is hides part of the growth
    assert 0.3 < exponent(n, 2.0 + 1e-3 * n) < 1.0


def test_times_are_medians_of_calls(benchmark_module):
    measure = benchmark_module("measure")
    calls = []
    timing = measure.timed(lambda: calls.append(sum(range(200_000))) or len(calls), repeats=3)
    assert len(calls) == timing.result == 3
    assert 0 < timing.cpu < 5
    assert 0 < timing.wall < 60


def test_peak_memory_counts_what_was_held(benchmark_module):
    peak_memory = benchmark_module("measure").peak_memory
    before = peak_memory()
    held = np.ones(40_000_000)  # 0.32 GB
    assert peak_memory() >= 0.3
    assert peak_memory() >= before
    del held
    assert peak_memory() >= 0.3  # the highest, not the present


def test_width_is_that_of_a_normal_distribution_and_ignores_failures(benchmark_module):
    z = np.random.default_rng(1).normal(0.3, 2.0, 20_000)
    z[:50], z[50:60] = 1e6, np.nan
    assert benchmark_module("measure").width(z) == pytest.approx(2.0, rel=0.03)


def test_ratio_is_their_cost_over_ours_in_the_same_stage_and_unit(benchmark_module):
    summary = benchmark_module("summary")
    rows = [
        summary.row("train", summary.OURS, 2000, 3626, 70.0, "CPU-ns per star-pixel", 7.0),
        summary.row("train", "thecannon", 2000, 400, 1400.0, "CPU-ns per star-pixel", 7.0),
        summary.row("label", "thecannon", 100, 3626, 10.0, "CPU-ms per star"),
        summary.row("label", summary.OURS, 16384, 3626, 0.04, "CPU-ms per star"),
        summary.row("label", "thecannon", 100, 3626, 0.9, "fraction"),
        summary.row("read", "astropy", 100, 3626, 2.0, "CPU-ms per star"),
    ]
    ratios = [r["ratio"] for r in summary.add_ratios(rows)]
    np.testing.assert_allclose(ratios, [np.nan, 20.0, 250.0, np.nan, np.nan, np.nan], rtol=1e-12)


def test_growth_becomes_exponents_costs_and_memory(benchmark_module):
    summary = benchmark_module("summary")
    n = np.array([1000, 10_000, 100_000])
    table = pd.DataFrame({"stage": "label rule", "n_star": n, "wall": n / 1e4, "cpu": n / 2e4, "peak": 0.5})
    rows = {r["stage"]: r for r in summary.growth_rows(table, 3626)}
    assert rows["growth of time, label rule"]["value"] == pytest.approx(1)
    assert rows["growth of memory, label rule"]["value"] == pytest.approx(0, abs=1e-12)
    assert rows["label rule"]["value"] == pytest.approx(0.05)  # ms per star
    assert rows["label rule"]["n_star"] == 100_000
    assert rows["label rule memory"]["value"] == 0.5


def test_targets_are_met_missed_or_not_measured(benchmark_module, tmp_path):
    summary = benchmark_module("summary")
    rows = [
        summary.row("train paper", summary.OURS, 9952, 3626, 63.0, "CPU-ns per star-pixel", 7.0),
        summary.row("label", "thecannon", 100, 3626, 10.0, "CPU-ms per star", ratio=199.0),
        summary.row("label wall", summary.OURS, 16384, 3626, 0.1, "ms per star"),
        summary.row("train memory", summary.OURS, 2000, 3626, 3.0, "GB"),
        summary.row("label rule memory", summary.OURS, 1000, 3626, 0.4, "GB"),
        summary.row("catalogue rule memory, full", summary.OURS, 9000, 3626, 1.9, "GB"),
    ]
    table = summary.check_targets(pd.DataFrame(rows), tmp_path)
    verdicts = pd.read_csv(tmp_path / "targets.csv").set_index("target")["verdict"]
    assert verdicts.iloc[:4].tolist() == ["missed", "not measured", "missed", "met"]
    assert table.iloc[-1]["stage"] == "rules memory"
    assert table.iloc[-1]["value"] == 1.9  # the highest of the rules, and training is none of them


def test_mock_stars_are_the_model_with_noise_of_the_stated_size(benchmark_module):
    """A model trained on many of them recovers the scatter, and z-scores of labels are of unit width."""
    stars, measure = benchmark_module("mock_stars"), benchmark_module("measure")
    nature, labels = stars.make_nature(150, 3), stars.mock_labels(2600, 3)
    np.testing.assert_array_equal(stars.mock_labels(50, 3), labels[:50])
    flux, ivar = stars.mock_spectra(nature, labels, 4)
    assert flux.dtype == ivar.dtype == np.float32
    assert np.mean(ivar == 0) == pytest.approx(stars.MASKED, abs=0.002)
    assert np.median(np.sqrt(ivar[ivar > 0])) == pytest.approx(stars.SNR, rel=0.1)
    model = train(flux[:2000], ivar[:2000], labels[:2000], label_names=stars.NAMES)
    assert np.median(model.scatter / nature.scatter) == pytest.approx(0.95, abs=0.06)
    found = label(flux[2000:], ivar[2000:], model, starts=[stars.CENTRE])
    z = (found.labels - labels[2000:]) / np.sqrt(np.einsum("nkk->nk", found.covariance))
    for column in z.T:
        assert measure.width(column) == pytest.approx(1.0, abs=0.15)


def test_names_of_mock_spectra_are_those_of_the_survey_and_unique(benchmark_module):
    names = benchmark_module("mock_stars").spectrum_names(0, 9000)
    assert len(set(names)) == 9000
    assert names[4251] == "spec-56000-MOCK0001_sp02-002.fits"


def test_quick_mode_writes_the_table(quick, benchmark_module):
    summary = benchmark_module("summary")
    table = pd.read_csv(quick[0] / "summary.csv")
    assert table.columns.tolist() == summary.COLUMNS
    assert np.isfinite(table["value"]).all()
    assert not table.duplicated(["stage", "code", "n_star", "unit"]).any()
    stages = {"train", "label", "read", "grid", "normalise", "write", "store read", "prepare", "label rule"}
    stages |= {"cross-match rule", "select rule", "catalogue rule", "store to catalogue wall", "rules memory"}
    ours = table[table["code"] == summary.OURS].set_index("stage")
    assert stages <= set(ours.index)
    assert (ours.loc[["train", "label", "read", "normalise", "write"], "floor"] > 0).all()
    assert ours.loc["label converged", "value"] > 0.9
    astropy = table[(table["stage"] == "read") & (table["code"] == "astropy")].iloc[0]
    assert astropy["ratio"] == pytest.approx(astropy["value"] / ours.loc["read", "value"])
    assert not list(quick[0].glob("work-*"))  # gigabytes at full scale


def test_quick_mode_labels_every_star_of_its_survey(quick, benchmark_module):
    table = pd.read_csv(quick[0] / "summary.csv").set_index("stage")
    scale = benchmark_module("scales").SCALES["quick"]
    assert table.loc["store to catalogue wall", "n_star"] == scale["n_full"] + scale["n_paper"]
    assert table.loc["stars in the catalogue", "value"] == 1
    assert 0.5 < table.loc["catalogue z width, teff", "value"] < 2.0  # of the star's own truth, not another's


def test_quick_mode_prints_targets_and_draws(quick):
    results, printed = quick
    targets = pd.read_csv(results / "targets.csv")
    assert set(targets["verdict"]) == {"too small to tell", "not measured"}  # the peer's ratios are not there
    assert all(words in printed for words in targets["target"])
    assert json.loads((results / "machine.json").read_text())["scale"] == "quick"
    for name in ("growth.png", "growth.pdf", "summary.png", "summary.pdf"):
        assert (results / name).stat().st_size > 5000


def test_the_page_takes_its_numbers_from_the_last_run(quick, benchmark_module, tmp_path):
    summary = benchmark_module("summary")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{summary.BEGIN}\nold\n{summary.END}\nafter\n")
    summary.page(page, quick[0])
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| normalise |" in text
    assert "--scale quick" in text
    assert f"{summary.RELEASE:,} requests" in text
    summary.page(page, quick[0])
    assert page.read_text() == text
    page.write_text("no place for numbers")
    with pytest.raises(SystemExit, match="numbers: begin"):
        summary.page(page, quick[0])


def test_the_documentation_has_a_place_for_the_numbers(root, benchmark_module):
    summary = benchmark_module("summary")
    text = (root / "docs" / "scaling.md").read_text()
    assert text.count(summary.BEGIN) == text.count(summary.END) == 1
    assert "| normalise |" in text[text.index(summary.BEGIN) : text.index(summary.END)]


def test_peers_are_pinned_with_hashes_and_without_addresses(root):
    for name in ("thecannon", "annieslasso"):
        text = (root / "benchmarks" / f"requirements-{name}.txt").read_text()
        assert f"{name}==" in text
        assert "://" not in text
        assert "--index" not in text
        packages = [line for line in text.splitlines() if "==" in line]
        assert text.count("--hash=sha256:") >= len(packages) > 3
