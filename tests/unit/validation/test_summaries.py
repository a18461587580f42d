"""Tables of bias, scatter and z-scores."""

import numpy as np
from astropy.table import Table

from labeltransfer.validation.summaries import cross_validation_summary, method_summary, recovery_summary


def test_recovery_compares_like_with_like(rng):
    n = 4000
    truth = Table({"spectrum_id": [f"s{i}" for i in range(n)], "true": rng.uniform(4000, 5000, n)})
    order = rng.permutation(n)
    catalog = Table({"spectrum_id": truth["spectrum_id"][order]})
    catalog["teff"] = truth["true"][order] + 5.0 + 20.0 * rng.standard_normal(n)
    catalog["teff_err"], catalog["teff_total"] = np.full(n, 10.0), np.full(n, 20.0)
    catalog["snr"] = np.where(np.arange(n) % 2, 100.0, 20.0)
    catalog["novelty"] = np.where(np.arange(n) < 3000, 0.5, 2.0)
    catalog["reference"] = np.arange(n) < 1000
    catalog["trained"] = catalog["reference"]
    found = recovery_summary(catalog, truth, {"teff": "true"}, 50.0)
    assert found["n"].tolist() == [2000, 1000, 1000, 500, 1000, 500]
    np.testing.assert_allclose(found["bias"], 5.0, atol=3.5)
    np.testing.assert_allclose(found["robust_scatter"], 20.0, rtol=0.12)
    np.testing.assert_allclose(found["z_width_formal"], 2.0, rtol=0.12)
    np.testing.assert_allclose(found["z_width_calibrated"], 1.0, rtol=0.12)
    np.testing.assert_allclose(found["bias_over_scatter"], 0.25, atol=0.17)
    assert (found["beyond_3"] < 0.015).all()
    # Labels with flags: stars with one outside its training range stand apart.
    catalog["teff_flag"] = np.where(np.arange(n) % 4 == 0, 3, 5)
    flagged = recovery_summary(catalog, truth, {"teff": "true"}, 50.0)
    assert flagged["n"].tolist()[6:] == [2250, 1500, 750, 0]
    assert flagged["stars"].nunique() == 5
    catalog.remove_column("teff_flag")
    catalog["teff_total"] = 5.0
    wide = recovery_summary(catalog, truth, {"teff": "true"}, 50.0)
    np.testing.assert_allclose(wide["beyond_3"], 0.46, atol=0.08)


def test_cross_validation_is_summed_up_by_scheme_and_brightness(rng):
    n = 4000
    table = Table({"teff": rng.uniform(4000, 5000, n), "snr": np.where(np.arange(n) % 2, 100.0, 20.0)})
    table["teff_err"] = np.full(n, 15.0)
    table["in_test_20"], table["trained"] = np.arange(n) < 1000, np.arange(n) >= 200
    for scheme in ("fold", "split"):
        table[f"teff_{scheme}"] = table["teff"] + 5.0 + rng.normal(0, np.hypot(20.0, 15.0), n)
        table[f"teff_{scheme}_err"] = np.full(n, 10.0)
        table[f"converged_{scheme}"] = np.arange(n) < 3800
    fitted = {"teff": np.full(n, 5.0)}, {"teff": np.full(n, np.hypot(20.0, 15.0))}
    found = cross_validation_summary(table, ["teff"], fitted, 50.0)
    assert found["scheme"].tolist() == ["k-fold", "k-fold", "75/25", "75/25"]
    assert found["snr_above"].tolist() == [0.0, 50.0, 0.0, 50.0]
    assert found["n"].tolist() == [3600, 1800, 800, 400]
    np.testing.assert_allclose(found["bias"], 5.0, atol=4.0)
    np.testing.assert_allclose(found["z_width_formal"], 2.5, rtol=0.15)
    # The errors hold all that there is, and the offset of 5 is known.
    np.testing.assert_allclose(found["z_width_calibrated"], 1.0, rtol=0.15)


def test_methods_are_summed_up_by_groups_of_stars(rng):
    n = 3000
    table = Table({"snr": np.linspace(30, 200, n), "trained": np.arange(n) % 3 == 0})
    table["test"] = ~table["trained"]
    table["teff_apogee"] = rng.uniform(4000, 5000, n)
    for method, scatter in (("prior", 20.0), ("other", 50.0)):
        table[f"teff_{method}"] = table["teff_apogee"] + scatter * rng.standard_normal(n)
        table[f"teff_{method}_err"], table[f"reduced_chi2_{method}"] = np.full(n, 10.0), np.full(n, 1.5)
        table[f"converged_{method}"] = np.ones(n, dtype=bool)
    pixels = {"prior": 3626, "other": 512}
    found = method_summary(
        table, pixels, ["teff"], ({"teff": np.zeros(n)}, {"teff": np.full(n, 20.0)})
    ).set_index(["method", "stars"])
    assert found.loc[("prior", "test"), "n"].tolist()[0] == 2000
    assert found.loc["prior", "pixels"].tolist() == [3626] * 5
    np.testing.assert_allclose(found.loc["other", "scatter"], 50.0, rtol=0.15)
    np.testing.assert_allclose(found.loc["prior", "z_width_formal"], 2.0, rtol=0.15)
    np.testing.assert_allclose(found.loc["prior", "z_width_calibrated"], 1.0, rtol=0.15)
    assert found.loc["other", "z_width_calibrated"].isna().all()
    assert found.loc[("prior", "test"), "snr_to"].tolist() == [200.0, 50.0, 100.0, 200.0]


def test_no_star_gives_no_number(rng):
    table = Table({"snr": [100.0], "trained": [True], "test": [False], "teff_apogee": [4000.0]})
    table["teff_prior"], table["teff_prior_err"] = 4010.0, 10.0
    table["reduced_chi2_prior"], table["converged_prior"] = 1.0, True
    found = method_summary(table, {"prior": 10}, ["teff"], ({"teff": np.zeros(1)}, {"teff": np.ones(1)}))
    empty = found[found["stars"] == "test"]
    assert empty["n"].tolist() == [0] * 4
    assert empty[["scatter", "reduced_chi2", "median_formal_error"]].isna().all(axis=None)
