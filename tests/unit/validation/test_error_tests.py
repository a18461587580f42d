"""z-scores of stars that the calibration was not fitted to, and tables of them."""

import numpy as np
from astropy.table import Table

from labeltransfer.validation.calibration import apply_calibration, fit_calibrations, zero_point
from labeltransfer.validation.error_tests import ALL, KEPT, cross_fitted, errors_table


def held_out(rng, n=3000, factor=2.5, offset=8.0, reference=10.0):
    """Labels whose errors are ``factor`` times the formal ones."""
    table = Table({"snr": rng.uniform(10, 150, n), "teff": rng.uniform(4000, 5000, n)})
    table["fe_h"] = rng.uniform(-1.5, 0.5, n)
    for name, unit in (("teff", 1000.0), ("fe_h", 1.0)):
        table[f"{name}_fold_err"] = unit / table["snr"]
        table[f"{name}_err"] = np.full(n, reference * unit / 1000)
        width = np.hypot(factor * table[f"{name}_fold_err"], table[f"{name}_err"])
        table[f"{name}_fold"] = table[name] + offset * unit / 1000 + width * rng.standard_normal(n)
    return table


def test_every_star_is_judged_by_a_calibration_of_others(rng):
    table, part = held_out(rng, n=400), np.arange(400) % 2
    good = np.arange(400) >= 20
    zero, error = cross_fitted(table, ["teff"], "_fold", "", good, part)
    other = fit_calibrations(table, ["teff"], "_fold", "", good & (part == 0))["teff"]
    odd = part == 1
    np.testing.assert_allclose(zero["teff"][odd], zero_point(table["snr"], other)[odd])
    expected = np.hypot(apply_calibration(table["teff_fold_err"], other), 10.0)
    np.testing.assert_allclose(error["teff"][odd], expected[odd])
    # What is wrong with a star does not reach its own z-score but through the others.
    table["teff_fold"][odd] += 1000.0
    again = cross_fitted(table, ["teff"], "_fold", "", good, part)
    np.testing.assert_array_equal(again[0]["teff"][odd], zero["teff"][odd])
    assert np.abs(again[0]["teff"] - zero["teff"])[~odd].min() > 100


def test_errors_that_were_calibrated_on_something_else_are_judged_as_they_are(rng):
    table, part = held_out(rng, n=400), np.arange(400) % 2
    good = np.ones(400, dtype=bool)
    given = {
        "teff": fit_calibrations(table, ["teff"], "_fold", "", good)["teff"]._replace(factor=7.0, floor=0.0)
    }
    own = cross_fitted(table, ["teff"], "_fold", "", good, part)
    zero, error = cross_fitted(table, ["teff"], "_fold", "", good, part, given)
    np.testing.assert_array_equal(zero["teff"], own[0]["teff"])
    np.testing.assert_allclose(error["teff"], np.hypot(7.0 * table["teff_fold_err"], 10.0))


def test_widths_are_one_in_all_bins_where_errors_are_right(rng):
    table = held_out(rng)
    kept = np.ones(len(table), dtype=bool)
    fitted = cross_fitted(table, ["teff", "fe_h"], "_fold", "", kept, np.arange(len(table)) % 2)
    found = errors_table(table, ["teff", "fe_h"], "_fold", "", fitted, kept)
    assert set(found["of"]) == {"all", "snr", "teff", "fe_h"}
    # A width of n Gaussians from their median absolute deviation is known to 1.16 / sqrt(n).
    assert (np.abs(found["z_width"] - 1.0) < 4 * 1.16 / np.sqrt(found["n"])).all()
    assert found["n"].min() > 150
    assert (found["beyond_3"] < 0.02).all()
    both = found.set_index("stars")
    np.testing.assert_array_equal(both.loc[KEPT, "z_width"], both.loc[ALL, "z_width"])
    for of in ("snr", "teff", "fe_h"):
        assert found[(found["of"] == of) & (found["stars"] == ALL)]["n"].sum() == 2 * len(table)
    # Calibrated on all S/N alike, errors that are wrong at low S/N alone are found there.
    table["teff_fold"][table["snr"] < 20] += 200 * np.sign(rng.standard_normal(np.sum(table["snr"] < 20)))
    fitted = cross_fitted(table, ["teff"], "_fold", "", kept, np.arange(len(table)) % 2)
    found = errors_table(table, ["teff"], "_fold", "", fitted, kept)
    bins = found[(found["of"] == "snr") & (found["stars"] == ALL)]
    assert bins["z_width"].iloc[0] > 1.3 * bins["z_width"].iloc[-1]


def test_clipped_stars_are_counted_and_left_out(rng):
    table = held_out(rng, n=1000)
    kept = np.arange(1000) >= 50
    table["teff_fold"][~kept] += 5000.0
    fitted = cross_fitted(table, ["teff"], "_fold", "", kept, np.arange(1000) % 2)
    found = errors_table(table, ["teff"], "_fold", "", fitted, kept).set_index(["stars", "of"])
    without, with_them = found.loc[(KEPT, "all")], found.loc[(ALL, "all")]
    assert (without["n"], with_them["n"]) == (950, 1000)
    assert without["beyond_3"] < 0.01
    assert with_them["beyond_3"] > 0.05
    assert with_them["scatter"] > 10 * without["scatter"]


def test_few_stars_have_no_numbers(rng):
    table = held_out(rng, n=40)
    good = np.ones(40, dtype=bool)
    fitted = cross_fitted(table, ["teff"], "_fold", "", good, np.arange(40) % 2)
    assert np.isnan(fitted[1]["teff"]).all()
    found = errors_table(table, ["teff"], "_fold", "", fitted, good)
    assert (found["n"] == 0).all()
    assert found["z_width"].isna().all()
