"""The benchmark of networks on real giants, on spectra made here."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

N_STAR, N_PIX, EVERY = 60, 4367, 40
CENTRE, SCALE = np.array([4750.0, 2.0, -0.5]), np.array([400.0, 0.8, 0.5])


@pytest.fixture
def benchmark(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("network_real")


@pytest.fixture
def library(tmp_path, rng):
    """Giants whose flux is linear in their labels, whatever theory says, a dwarf, and a star without log g."""
    slopes, lines = rng.uniform(-0.05, 0.05, (3, N_PIX)), ["# MILES", "#"]
    for number in range(1, N_STAR + 3):
        x = rng.uniform(-1, 1, 3)
        flux = 1 + x @ slopes + 0.01 * rng.standard_normal(N_PIX)
        header = fits.Header({"CRVAL1": 3500.0, "CDELT1": 0.9, "FWHM": 2.5})
        fits.PrimaryHDU(flux.astype("f4"), header).writeto(
            tmp_path / f"MILES_res2.50_star_m{number:04d}V.fits"
        )
        teff, logg, fe_h = CENTRE + SCALE * x
        logg = {N_STAR + 1: 4.5, N_STAR + 2: 99.99}.get(number, logg)
        lines.append(f"{number:04d} {teff:.2f} {logg:.4f} {fe_h:.4f}")
    (tmp_path / "MILES_params.db").write_text("\n".join(lines) + "\n")
    return tmp_path


def arguments(folder, **changes):
    plain = {
        "spectra": folder, "labels": folder / "MILES_params.db", "lamost": False, "orders": [1],
        "d_scales": [0.0, 1e4], "metals": "all", "hidden": [3, 6], "ridges": [1e-2, 1e-1], "trial_pixels": 3,
        "iterations": 8, "folds": 3, "train": None, "every": EVERY, "assumed_snr": 100.0, "seed": 0,
    }  # fmt: skip
    return SimpleNamespace(**{**plain, **changes})


def table_of(lines):
    """Rows of a printed table by method and label; a method has a blank in its name."""
    rows = [line.split() for line in lines]
    return {
        (f"{row[1]} {row[2]}", row[0]): [float(value) for value in row[3:] if "+-" not in value]
        for row in rows
    }


def test_labels_are_found_and_the_prior_alone_makes_gradients_follow_theory(benchmark, library, capsys):
    benchmark.main(arguments(library))
    lines = capsys.readouterr().out.splitlines()
    n_pix = len(range(0, 2746, EVERY))
    assert lines[0].startswith(f"{N_STAR} stars, ")
    assert lines[0].endswith(f"3 folds, {n_pix} pixels")
    labels, gradients = table_of(lines[5:14]), table_of(lines[15:])
    assert len(labels) == len(gradients) == 9
    for (method, name), row in labels.items():
        if method != "D_scale 10000":  # nature does not follow theory here
            failed, n, robust = row[:3]
            # 69 pixels of slopes 0.029 rms per unit of x and noise 0.01: 0.04 in x, and more by the model.
            assert failed == 0
            assert n == N_STAR
            assert 0.02 < robust / SCALE[benchmark.NAMES.index(name)] < 0.2
    for (method, _), row in gradients.items():
        if method == "D_scale 10000":
            assert min(row) > np.sqrt(0.5)  # most of their variance is theory's
        else:  # 69 pixels at random: 0.12
            assert max(np.abs(row)) < 0.5


def test_dwarfs_and_stars_without_a_label_are_left_out(benchmark):
    labels = np.array(
        [[4800, 2.5, 0], [4800, 3.5, 0], [6000, 3, 0], [3500, 1, 0], [4800, np.nan, 0], [4300, 1, -2]]
    )
    np.testing.assert_array_equal(benchmark.giants(labels), [True, False, False, False, False, True])


def test_a_fold_trains_on_so_many_of_its_stars_at_most(benchmark):
    seen = []

    class Model:
        def label(self, flux, ivar, *, starts, threads):
            n = len(flux)
            return SimpleNamespace(
                labels=np.zeros((n, 3)),
                covariance=np.zeros((n, 3, 3)),
                reduced_chi2=np.ones(n),
                converged=np.ones(n, dtype=bool),
            )

    def train_one(rows):
        seen.append(rows)
        return Model()

    fold = np.arange(20) % 4
    data = np.ones((20, 5)), np.ones((20, 5)), np.random.default_rng(0).normal(size=(20, 3))
    benchmark.held_out(data, fold, train_one, 7, 0)
    assert [len(rows) for rows in seen] == [7] * 4
    for number, rows in enumerate(seen):
        assert number not in fold[rows]
        assert len(set(rows)) == 7


def test_the_error_of_a_ratio_is_that_of_independent_gaussian_residuals(benchmark, rng):
    first, second = rng.standard_normal((2, 4000))
    ratio, error = map(float, benchmark.ratio_of(2 * first, second, rng).split("+-"))
    # The relative error of a median absolute deviation is 1.167 / sqrt(n); two of them are in the ratio.
    expected = 2 * np.sqrt(2) * 1.167 / np.sqrt(4000)
    assert abs(ratio - 2) < 4 * expected
    assert 0.5 * expected < error < 2 * expected


def test_elements_one_by_one_make_nearly_the_step_of_all_metals_and_iron_alone_does_not(benchmark):
    settings = benchmark.default_settings(benchmark.MILES_GRID, {"missing_errors": 100.0})
    ivar, pixels = np.ones(len(settings.grid)), slice(None)
    steps = {name: benchmark.theory(settings, ivar, pixels, name) for name in benchmark.METALS}
    for number in range(len(benchmark.REFERENCES)):
        whole = steps["all"].gradient[number]
        for name, low, high in (("sum", 0.9, 1.0), ("iron", 0.2, 0.7)):
            some = steps[name].gradient[number]
            np.testing.assert_array_equal(some[:2], whole[:2])
            assert low < np.corrcoef(some[2], whole[2])[0, 1] < high
