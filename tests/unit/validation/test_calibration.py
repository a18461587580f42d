"""Calibrated errors have z-scores of width one, against the truth and not only against the reference."""

import json

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.validation.calibration import (
    Calibration,
    apply_calibration,
    bootstrap_error,
    calibrated,
    fit_calibration,
    fit_calibrations,
    read_calibration,
    write_calibration,
    zero_point,
)
from labeltransfer.validation.statistics import z_width


def simulate(rng, n=20_000, factor=1.7, floor=25.0, outliers=0.02):
    """Labels with formal errors that fall with S/N, and a reference with errors of its own."""
    snr = np.exp(rng.uniform(np.log(10), np.log(300), n))
    formal = 1500 / snr * rng.uniform(0.7, 1.4, n)
    error_of_truth = rng.normal(0, np.hypot(factor * formal, floor))
    reference_error = rng.uniform(15, 45, n)
    failed = rng.random(n) < outliers
    error_of_truth[failed] += rng.normal(0, 2000, failed.sum())
    residual = error_of_truth - rng.normal(0, reference_error)
    return residual, formal, reference_error, snr, error_of_truth


@pytest.mark.parametrize("with_snr", [False, True])
@pytest.mark.parametrize(("factor", "floor"), [(1.7, 25.0), (0.55, 30.0), (3.0, 0.0), (0.0, 40.0)])
def test_z_scores_of_the_truth_have_width_one_at_every_snr(rng, factor, floor, with_snr):
    residual, formal, reference_error, snr, error_of_truth = simulate(rng, factor=factor, floor=floor)
    found = fit_calibration(residual, formal, reference_error, snr if with_snr else None)
    assert found.reference_removed
    assert found.factor == pytest.approx(factor, rel=0.08, abs=0.15)
    # A core of Gaussians with 2 % of failures; the width counts the failures, the fit does not.
    assert found.width == pytest.approx(1.025, abs=0.03)
    total = apply_calibration(formal, found)
    for low, high in [(10, 30), (30, 60), (60, 120), (120, 300)]:
        chosen = (snr > low) & (snr < high) & (np.abs(error_of_truth) < 8 * np.hypot(factor * formal, floor))
        # The fit sets the 2 % of outright failures apart, so they are left out here as well.
        assert z_width(error_of_truth[chosen], total[chosen]) == pytest.approx(1, abs=0.05)


def test_small_samples_stay_near_the_truth(rng):
    widths = []
    for _ in range(20):
        residual, formal, reference_error, _, _ = simulate(rng, n=300)
        found = fit_calibration(residual, formal, reference_error)
        _, formal, _, snr, truth = simulate(rng, n=20_000, outliers=0)
        bright = snr > 50
        widths.append(z_width(truth[bright], apply_calibration(formal, found)[bright]))
    assert np.mean(widths) == pytest.approx(1, abs=0.08)
    assert np.std(widths) < 0.2


def test_reference_errors_that_exceed_the_residuals_are_left_in(rng):
    # As with DR12: 91.5 K are stated for labels that agree to 69 K.
    formal = rng.uniform(5, 40, 5000)
    residual = rng.normal(0, np.hypot(60, formal))
    found = fit_calibration(residual, formal, 91.5)
    assert not found.reference_removed
    assert z_width(residual, apply_calibration(formal, found)) == pytest.approx(1, abs=0.03)
    assert found.floor == pytest.approx(60, rel=0.05)


def test_errors_scale_with_the_unit(rng):
    residual, formal, reference_error, snr, _ = simulate(rng, n=3000)
    kelvin = fit_calibration(residual, formal, reference_error, snr)
    small = fit_calibration(residual * 1e-5, formal * 1e-5, reference_error * 1e-5, snr)
    assert small.factor == pytest.approx(kelvin.factor, rel=1e-6)
    assert small.floor == pytest.approx(kelvin.floor * 1e-5, rel=1e-6)


def test_incomplete_rows_are_left_out(rng):
    residual, formal, reference_error, snr, _ = simulate(rng, n=2000)
    whole = fit_calibration(residual, formal, reference_error, snr)
    more = [np.r_[a, a[:5]] for a in (residual, formal, reference_error, snr)]
    more[0][2000], more[1][2001], more[1][2002], more[2][2003], more[3][2004] = (
        np.nan,
        np.inf,
        0,
        np.nan,
        np.nan,
    )
    assert fit_calibration(*more) == whole
    assert whole.n == 2000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones(29), np.ones(29)), "at least 30 stars with residual and errors: found 29 of 29"),
        ((np.ones(50), np.ones(50)), "no scatter"),
        ((np.ones(50), np.ones(49)), "one length"),
        ((np.ones(50), np.ones(50), 0.0, np.ones(3)), "one value per star"),
        ((np.full(50, np.nan), np.ones(50)), "found 0 of 50"),
    ],
)
def test_what_cannot_be_calibrated_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_calibration(*arguments)


def test_apply_keeps_missing_values():
    total = apply_calibration([3.0, np.nan], Calibration(1.0, 0.0, 4.0, 50.0, 0.0, 0.0, 100, 1.0, True))
    np.testing.assert_allclose(total, [5, np.nan])


def test_files_return_what_was_written(tmp_path):
    path = tmp_path / "calibration.json"
    items = {
        "teff": Calibration(1.5, 1.2, 20.25, 5.5, 1.0, -30.0, 900, 1.01, True),
        "logg": Calibration(0.1 + 0.2, 0.0, 0.0, 9.0, 0.0, 0.0, 30, 0.9, False),
    }
    write_calibration(items, path)
    assert read_calibration(path) == items
    content = json.loads(path.read_text())
    for damage in ({**content, "version": 99}, {**content, "labels": {"teff": {"x": 1}}}, [], {}):
        path.write_text(json.dumps(damage))
        with pytest.raises(
            ValueError, match=r"calibration\.json: expected labeltransfer-calibration version 3"
        ):
            read_calibration(path)
    path.write_text("no json")
    with pytest.raises(ValueError, match=r"calibration\.json: expected"):
        read_calibration(path)


def test_wide_wings_do_not_pass_for_reference_errors(rng):
    # Robust widths of a wide-winged and a Gaussian error do not add in quadrature: the fit must know.
    n = 4000
    formal, reference_error = rng.uniform(5, 15, n), rng.uniform(25, 45, n)
    error_of_truth = np.hypot(formal, 35) * rng.standard_t(3, n)
    found = fit_calibration(error_of_truth + rng.normal(0, reference_error), formal, reference_error)
    assert found.wings < 6
    assert z_width(error_of_truth, apply_calibration(formal, found)) == pytest.approx(1, abs=0.06)


def test_zero_point_follows_the_snr(rng):
    residual, formal, reference_error, snr, _ = simulate(rng, n=4000)
    shifted = residual + 12.0 - 400.0 / snr
    found = fit_calibration(shifted, formal, reference_error, snr)
    plain = fit_calibration(residual, formal, reference_error, snr)
    assert found.offset - plain.offset == pytest.approx(12.0, abs=1.0)
    assert found.slope - plain.slope == pytest.approx(-400.0, rel=0.15)
    np.testing.assert_allclose(
        zero_point([100.0, np.nan, 0.0], found), found.offset + np.array([found.slope / 100, 0, 0])
    )
    constant = fit_calibration(shifted, formal, reference_error)
    assert constant.slope == 0.0


def test_model_errors_are_told_from_formal_ones(rng):
    n = 4000
    formal, model_error = rng.uniform(5, 15, n), rng.lognormal(np.log(15), 0.5, n)
    reference_error = rng.uniform(15, 30, n)
    error_of_truth = np.sqrt(formal**2 + (1.5 * model_error) ** 2 + 10**2) * rng.standard_normal(n)
    found = fit_calibration(
        error_of_truth + rng.normal(0, reference_error), formal, reference_error, model_error=model_error
    )
    total = apply_calibration(formal, found, model_error)
    for part in np.array_split(np.argsort(model_error), 4):
        assert z_width(error_of_truth[part], total[part]) == pytest.approx(1, abs=0.1)


def test_a_study_without_bootstrap_models_is_calibrated_all_the_same(rng):
    n = 600
    table = Table({"teff": rng.uniform(4000, 5000, n), "teff_err": np.full(n, 5.0)})
    table["teff_fold"] = table["teff"] + 20.0 * rng.standard_normal(n)
    table["teff_fold_err"], table["snr"] = np.full(n, 10.0), rng.uniform(30, 200, n)
    good = np.arange(n) < 500
    table["teff_fold"][~good] = 9999.0
    assert not bootstrap_error(table, "teff").any()
    found = fit_calibrations(table, ["teff"], "_fold", "", good)["teff"]
    assert np.hypot(found.factor * 10.0, found.floor) == pytest.approx(np.sqrt(20.0**2 - 5.0**2), rel=0.1)
    assert found.n == 500
    table["teff_bootstrap"] = np.arange(n)
    assert bootstrap_error(table, "teff").tolist() == list(range(n))


def test_calibrated_labels_leave_their_table_alone():
    table = Table({"teff": [4500.0, 4600.0], "teff_err": [3.0, 3.0], "snr": [50.0, 100.0]})
    table["teff_bootstrap"] = [2.0, 2.0]
    table["teff"].unit = "K"
    how = {"teff": Calibration(2.0, 4.0, 0.0, 1e6, 10.0, 100.0, 100, 1.0, True)}
    found = calibrated(table, ["teff"], how)
    np.testing.assert_allclose(found["teff"], [4488.0, 4589.0])
    np.testing.assert_allclose(found["teff_total"], 10.0)
    assert str(found["teff"].unit) == "K"
    assert table["teff"].tolist() == [4500.0, 4600.0]
    assert "teff_total" not in table.colnames
    np.testing.assert_allclose(calibrated(table, ["teff"], how, at_zero=False)["teff"], table["teff"])
