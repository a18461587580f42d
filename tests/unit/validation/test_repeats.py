"""Errors and drifts of labels from stars that were observed more than once."""

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.validation.calibration import Calibration, apply_calibration
from labeltransfer.validation.repeats import (
    ONE_FIBRE,
    RELEASES,
    TWO_FIBRES,
    VISITS,
    repeat_calibrations,
    repeats_table,
)


def visits(rng, n_star=3000, wrong=1.5, drift=0.0):
    """Two spectra of each star; labels scatter by ``wrong`` times their formal errors about its own."""
    star = np.repeat(np.arange(n_star), 2)
    n = len(star)
    table = Table({"id": [f"spec-{i // 2}-x_sp{i % 2 + 1:02d}-{i % 7:03d}.fits" for i in range(n)]})
    table["snr"], table["phase"] = rng.uniform(10, 200, n), rng.random(n)
    table["converged"] = np.ones(n, dtype=bool)
    error = 3.0 / table["snr"]
    table["fe_h"] = np.repeat(rng.standard_normal(n_star), 2) + wrong * error * rng.standard_normal(n)
    table["fe_h"] += drift * 4 * table["phase"] * (1 - table["phase"])
    table["fe_h_err"], table["fe_h_total"] = error, wrong * error
    return table, star


def test_scatter_between_visits_is_told_in_errors_by_snr(rng):
    table, star = visits(rng)
    found = repeats_table(table, ["fe_h"], star)
    np.testing.assert_allclose(found["z_formal"], 1.5, rtol=0.12)
    np.testing.assert_allclose(found["z_total"], 1.0, rtol=0.12)
    assert (found["beyond_3"] < 0.01).all()
    every = found.iloc[0]
    assert (every["pairs"], every["snr_from"], every["n"]) == (VISITS, 0.0, 3000)
    of_snr = found[(found["pairs"] == VISITS) & (np.isfinite(found["snr_to"]) | (found["snr_from"] > 0))]
    assert of_snr["n"].sum() == 3000
    assert of_snr["scatter"].is_monotonic_decreasing
    pairs = np.asarray(table["fe_h"]).reshape(-1, 2)
    assert every["scatter_all"] == pytest.approx(np.std(pairs[:, 0] - pairs[:, 1]) / np.sqrt(2), rel=1e-3)


def test_labels_that_follow_the_phase_or_the_snr_are_found(rng):
    table, star = visits(rng, wrong=0.2, drift=0.05)
    table["fe_h"] -= 1 / table["snr"]
    row = repeats_table(table, ["fe_h"], star).iloc[0]
    assert abs(row["phase_slope"] - 0.05) < 4 * row["phase_slope_err"] < 0.02
    assert row["better_minus_worse"] > 0.005


def test_fibres_and_releases_are_told_apart(rng):
    table, star = visits(rng, n_star=40)
    names = np.array(table["id"], dtype=object)
    names[0:20] = [f"spec-1-p{i // 2}_sp01-{i % 2:03d}.fits" for i in range(20)]  # two fibres
    names[20:40] = [f"spec-{i}-p_sp02-011.fits" for i in range(20)]  # one fibre
    names[40:60] = [f"dr{i % 2}/spec-1-q{i // 2}_sp03-007.fits" for i in range(20)]  # two releases
    names[60:80] = [f"star {i}" for i in range(20)]  # nobody knows
    table["id"] = names.astype(str)
    found = repeats_table(table, ["fe_h"], star)
    whole = found[(found["snr_from"] == 0) & ~np.isfinite(found["snr_to"])].set_index("pairs")
    assert whole["n"].to_dict() == {VISITS: 30, ONE_FIBRE: 10, TWO_FIBRES: 10, RELEASES: 10}


def test_few_pairs_have_no_widths_and_spectra_without_labels_do_not_count(rng):
    table, star = visits(rng, n_star=12)
    table["converged"][::2] = False
    assert len(repeats_table(table, ["fe_h"], star)) == 0
    table["converged"][:8] = True
    row = repeats_table(table, ["fe_h"], star).iloc[0]
    assert row["n"] == 4
    assert np.isnan(row[["scatter", "z_formal", "z_total", "beyond_3", "phase_slope"]].astype(float)).all()
    assert np.isfinite(row["median_formal_error"])


def calibrations():
    return {"fe_h": Calibration(9.0, 2.0, 0.5, 3.0, 0.02, 0.1, 100, 1.1, False)}


def test_errors_of_single_visits_are_told_without_reference_labels(rng):
    table, star = visits(rng, wrong=1.6)
    table.remove_column("fe_h_total")
    # What is wrong alike at all visits of a star does not count.
    table["fe_h"] += np.repeat(rng.standard_normal(len(table) // 2), 2)
    found = repeat_calibrations(table, star, ["fe_h"], calibrations())["fe_h"]
    assert found.factor == pytest.approx(1.6, rel=0.08)
    assert (found.model_factor, found.n, found.reference_removed) == (0.0, 3000, True)
    assert found.floor < 0.02
    assert (found.offset, found.slope) == (0.02, 0.1)
    total = apply_calibration(table["fe_h_err"], found, model_error=5.0)
    assert repeats_table(Table({**table, "fe_h_total": total}), ["fe_h"], star).iloc[0][
        "z_total"
    ] == pytest.approx(1.0, abs=0.05)


def test_errors_from_few_repeats_are_refused_with_the_key_that_cures_it(rng):
    table, star = visits(rng, n_star=29)
    with pytest.raises(
        ValueError, match=r"at least 30 pairs of visits: found 29. Say validation.errors_from: reference"
    ):
        repeat_calibrations(table, star, ["fe_h"], calibrations())
    # One observation in two releases is no second visit.
    table, star = visits(rng, n_star=40)
    table["id"] = np.array([f"dr{i % 2}/spec-1-q{i // 2}_sp03-007.fits" for i in range(80)])
    with pytest.raises(ValueError, match=r"found 0"):
        repeat_calibrations(table, star, ["fe_h"], calibrations())
