"""What the choices of preparation and training cost, on stars whose labels depend on what is put in."""

import numpy as np
import pytest
from astropy.table import Table
from scipy.stats import linregress

from labeltransfer.spectra.normalise import banded_kernel
from labeltransfer.spectra.prepare import Gridded
from labeltransfer.validation.choices import (
    BEST,
    PAPER,
    Found,
    Sample,
    all_choices,
    choices_table,
    label_by_choice,
    swap_noise,
)
from labeltransfer.validation.statistics import slope


def test_choices_are_the_papers_each_of_the_best_alone_and_all():
    names = list(all_choices(True))
    assert names == [
        "paper",
        "interpolation: equal",
        "normalisation.errors: none",
        "scatter: reml",
        "errors_in_labels: stated",
        "normalisation.errors: typical",
        "normalisation.fit: line",
        "errors_in_labels: half",
        "all",
    ]
    setting = {"common": 1600, "table": "x.csv"}
    matched = all_choices(True, setting)
    assert list(matched) == ["paper", "resolution: 1600", *names[1:]]
    assert matched["resolution: 1600"] == PAPER | {"resolution": setting}
    assert matched["all"] == PAPER | BEST | {"resolution": setting}
    without = all_choices(False)
    assert list(without) == [name for name in names if "in_labels" not in name]
    for name, choice in without.items():
        changed = {key for key in PAPER if choice[key] != PAPER[key]}
        assert len(changed) == {"paper": 0, "all": 4}.get(name, 1)
    assert without["all"] == PAPER | BEST | {"resolution": None}


def test_a_slope_is_that_of_scipy(rng):
    x, y = rng.uniform(0, 1, 50), rng.standard_normal(50)
    expected = linregress(x, y)
    np.testing.assert_allclose(slope(x, y), (expected.slope, expected.stderr))
    assert np.isnan(slope(x[:9], y[:9])).all()
    assert np.isnan(slope(np.ones(50), y)).all()


def test_bright_stars_get_the_shape_of_the_noise_of_faint_ones(rng):
    snr = rng.permutation(np.linspace(10, 200, 31))
    shape = np.linspace(1, 4, 50) ** (snr[:, None] / 100)
    ivar = snr[:, None] ** 2 * shape
    ivar[rng.random(ivar.shape) < 0.1] = 0
    before = ivar.copy()
    bright, own, swapped = swap_noise(ivar, snr, 3)
    np.testing.assert_array_equal(ivar, before)
    assert len(bright) == 10
    assert snr[bright].min() > np.sort(snr)[20]
    np.testing.assert_array_equal(own > 0, swapped > 0)
    for star, mine, other in zip(bright, own, swapped, strict=True):
        good = mine > 0
        np.testing.assert_array_equal(mine[good], ivar[star][good])
        assert np.median(other[good]) == pytest.approx(np.median(mine[good]))
        # Up to its level it is that of one of the faint stars.
        given = [star for star in np.argsort(snr)[:10] if (ivar[star][good] > 0).all()]
        ratios = [other[good] / ivar[star][good] for star in given]
        assert sum(np.ptp(ratio) < 1e-9 * ratio.max() for ratio in ratios) == 1
    assert (swap_noise(ivar, snr, 3)[2] == swapped).all()


def made_up(rng, n=4000, phase=0.0, snr=0.0, response=1.0, noise=0.1):
    """Labels that depend on phase and S/N as told, and what they should be."""
    truth = rng.standard_normal((n, 1))
    stars = Table({"phase": rng.random(n), "snr": rng.uniform(20, 200, n), "trained": np.ones(n, dtype=bool)})
    stars["redshift"] = rng.normal(0, 3e-4, n)
    u = 4 * stars["phase"] * (1 - stars["phase"])
    error = np.full((n, 1), noise)
    labels = response * truth + noise * rng.standard_normal((n, 1))
    labels[:, 0] += phase * u + snr / stars["snr"]
    return truth, stars, Found(labels, error, np.full((8, 1), np.nan), 1.0)


def test_what_is_put_into_labels_is_found_in_the_table(rng):
    truth, stars, found = made_up(rng, phase=0.05, snr=3.0)
    found.labels[:, 0] += 0.03 * stars["redshift"] * 2997.92458
    swapped = 0.02 + 0.01 * rng.standard_normal((400, 1))
    found = found._replace(swapped=swapped)
    row = choices_table({"paper": found}, ["fe_h"], truth, np.zeros_like(truth), stars).iloc[0]
    for key, value in (
        ("phase_slope", 0.05),
        ("velocity_slope", 0.03),
        ("snr_slope", 3.0),
        ("response", 1.0),
        ("swap", 0.02),
    ):
        assert abs(row[key] - value) < 4 * row[f"{key}_err"]
        assert 0 < row[f"{key}_err"] < 0.5 * value
    inverse = 3.0 / stars["snr"]
    expected = inverse[stars["snr"] < 50].mean() - inverse[stars["snr"] > 100].mean()
    assert abs(row["snr_bias"] - expected) < 4 * row["snr_bias_err"] < expected
    assert row["scatter_ratio"] == 1
    assert row["scatter_ratio_err"] == 0
    assert row["phase_slope_first"] == row["velocity_slope_first"] == 0
    assert row["n"] == 4000


def test_scatter_is_compared_on_the_same_stars(rng):
    truth, stars, paper = made_up(rng, noise=0.1)
    better = paper._replace(labels=truth + 0.6 * (paper.labels - truth), errors=0.06 + 0 * truth)
    better.labels[:5] = 100.0  # failures, which the robust numbers and the clip leave alone
    paper.labels[5:10] = np.nan  # stars that one of the choices does not label
    stars["trained"][:5] = False
    found = {"paper": paper, "all": better}
    table = choices_table(found, ["fe_h"], truth, np.full(truth.shape, 0.08), stars).set_index("choice")
    assert set(table["n"]) == {3995}
    row = table.loc["all"]
    assert row["scatter_ratio"] == pytest.approx(0.6, abs=0.005)
    assert row["scatter"] == pytest.approx(0.06, rel=0.05)
    assert row["scatter_trained"] == pytest.approx(0.06, rel=0.05)
    # Formal errors and those of what labels should be count together.
    assert row["z_width"] == pytest.approx(0.6, rel=0.05)


def test_scatter_of_other_noise_has_an_error_that_covers_it(rng):
    truth, stars, paper = made_up(rng, n=500)
    other = paper._replace(labels=truth + 0.09 * rng.standard_normal(truth.shape))
    row = choices_table({"a": paper, "b": other}, ["x"], truth, 0 * truth, stars).iloc[1]
    assert abs(row["scatter_ratio"] - 0.9) < 4 * row["scatter_ratio_err"] < 0.4


def test_too_few_stars_have_no_numbers(rng):
    truth, stars, found = made_up(rng, n=6)
    row = choices_table({"paper": found}, ["x"], truth, 0 * truth, stars).iloc[0]
    assert row["n"] == 6
    assert np.isnan(row[["phase_slope", "snr_bias", "scatter_ratio", "swap"]].astype(float)).all()


def test_stars_are_labelled_by_models_that_had_not_seen_them(rng):
    n, wavelength = 120, np.linspace(4000.0, 5000.0, 300)
    labels = np.column_stack([rng.uniform(4000, 5200, n), rng.uniform(1, 3, n)])
    x = (labels - labels.mean(axis=0)) / labels.std(axis=0)
    lines = 0.05 * rng.standard_normal((2, 300))
    snr = np.where(np.arange(n) % 2, 200.0, 60.0)
    tilt = 1 + np.where(snr > 100, 0.0, 0.9)[:, None] * np.sin(wavelength / 15)
    flux = (1 + x @ lines) * (1 + 0.05 * np.sin(wavelength / 15))
    ivar = snr[:, None] ** 2 * tilt
    flux += rng.standard_normal(flux.shape) / np.sqrt(ivar)
    kept = np.flatnonzero(np.arange(n) != 7)
    raw = Gridded(flux[kept], ivar[kept], np.zeros(n - 1), np.zeros(n - 1), kept, {7: "gone"})
    sample = Sample(
        ("teff", "logg"),
        labels,
        np.full(labels.shape, 1e-3),
        np.arange(n) != 11,
        np.arange(n) % 4,
        labels[:5],
        snr,
    )
    found = {
        errors: label_by_choice(
            raw, banded_kernel(wavelength, errors=errors), {**PAPER, "errors": errors}, sample
        )
        for errors in ("star", "none")
    }
    for one in found.values():
        assert np.isnan(one.labels[7]).all()
        residual = np.delete(one.labels - labels, 7, axis=0)
        assert np.isfinite(residual).all()
        assert (np.abs(residual).mean(axis=0) < [30, 0.05]).all()
        assert one.milliseconds > 0
        assert len(one.swapped) == 39
    # Flux is the same: with weights of their own labels move, with none they do but by noise.
    shift = {key: np.nanmedian(np.abs(one.swapped), axis=0) for key, one in found.items()}
    assert (shift["star"] > 1.5 * shift["none"]).all()
    # The held-out labels of a star do not depend on its own.
    other = labels.copy()
    other[sample.fold == 2] += [300.0, 0.5]
    again = label_by_choice(raw, banded_kernel(wavelength), PAPER, sample._replace(labels=other))
    same = np.flatnonzero((sample.fold == 2) & (np.arange(n) != 7))
    np.testing.assert_array_equal(again.labels[same], found["star"].labels[same])
