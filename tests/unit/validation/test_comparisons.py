"""Labels of reference stars side by side."""

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.splits import TEST
from labeltransfer.validation.calibration import Calibration
from labeltransfer.validation.comparisons import Reference, cannon_comparison, method_comparison

SHARP = Calibration(1.0, 0.0, 0.0, 1e6, 0.0, 0.0, 100, 1.0, True)


def test_comparison_sets_the_three_sources_side_by_side():
    stars = Table(
        {"spectrum_id": ["b", "a"], "reference_id": ["B", "A"], "ra": [2.0, 1.0], "dec": [0.0, 0.0]}
    )
    stars["teff"], stars["teff_err"], stars["teff_pipeline"] = [4002.0, 4001.0], [9.0, 8.0], [4102.0, 4101.0]
    clip = Table({"id": ["a", "b"], "trained": [False, True]})
    labels = Table({"id": ["a", "b"], "snr": [10.0, 20.0], "snr_g": [9.0, 19.0], "reduced_chi2": [1.0, 1.0]})
    labels["converged"] = True
    labels["teff"], labels["teff_err"], labels["teff_bootstrap"] = [4201.0, 4202.0], [3.0, 3.0], [1.0, 1.0]
    folds = Table({"id": ["b", "a"], "teff_fold": [4302.0, 4301.0]})
    reference = Reference(stars, clip, folds)
    table = cannon_comparison(reference, labels, ["teff"], {"teff": SHARP}, {"teff": "teff"})
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


def test_methods_are_set_side_by_side_star_by_star():
    stars = Table({"id": ["a", "b"], "trained": [True, False], "reason": ["", TEST], "snr": [250.0, 80.0]})
    stars["teff"] = [4001.0, 4002.0]
    first = Table({"id": ["b", "a"], "teff": [4102.0, 4101.0], "teff_err": [2.0, 1.0]})
    first["converged"], first["reduced_chi2"] = [False, True], [2.0, 1.0]
    second = first[::-1].copy()
    second["teff"] += 100.0
    table = method_comparison(stars, {"one": first, "two": second}, ["teff"])
    assert table["test"].tolist() == [False, True]
    assert table["teff_apogee"].tolist() == [4001.0, 4002.0]
    assert table["teff_one"].tolist() == [4101.0, 4102.0]
    assert table["teff_two"].tolist() == [4201.0, 4202.0]
    assert table["teff_two_err"].tolist() == [1.0, 2.0]
    assert table["converged_one"].tolist() == [True, False]
    assert "teff_apogee_err" not in table.colnames
    np.testing.assert_array_equal(table["reduced_chi2_one"], [1.0, 2.0])
