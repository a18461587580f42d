"""What a run measures of the quantities that the papers print."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from labeltransfer.validation.published import read_published, wanted_of
from labeltransfer.validation.quantities import (
    CannonRun,
    NetworkRun,
    cannon_quantities,
    ness_quantities,
    network_quantities,
)


def test_only_what_is_printed_is_measured(root):
    comparison = Table({"trained": [True, True, False], "converged": [True] * 3, "snr": [60.0, 70.0, 90.0]})
    comparison["snr_g"] = comparison["snr"]
    comparison["teff_apogee"], comparison["teff_apogee_err"] = [4500.0, 4700.0, 4600.0], [20.0, 40.0, 99.0]
    comparison["teff_cannon"], comparison["teff_lamost"] = [4510.0, 4690.0, 9999.0], [4600.0, 4800.0, 9999.0]
    catalogue = Table({"spectrum_id": [b"spec-1.fits"], "reference": [False], "reduced_chi2": [0.5]})
    ledger = pd.DataFrame({"stage": ["labels", "", ""]})
    matched = Table({"teff": [4500.0, 4700.0, np.nan]})
    run = CannonRun(comparison, catalogue, ledger, matched, np.array([0.1, 0.3, 0.2]), 3626)
    wanted = wanted_of(read_published(root / "resources" / "published" / "ho2017.csv"))
    found = cannon_quantities(wanted, run, ["teff"], 50.0)
    assert set(found) <= wanted
    assert found["overlap_stars", ""] == 3
    assert found["overlap_stars_with_labels", ""] == 2
    assert found["reference_stars", ""] == 2
    assert found["pixels", ""] == 3626
    assert found["chi2_low_by", ""] == 2.0
    assert found["a_k_reach", ""] == "no A_K"
    assert found["bias", "teff"] == pytest.approx(0.0)
    assert found["scatter", "teff"] == pytest.approx(10.0)
    assert found["scatter_cannon_snr_70", "teff"] == "too few stars at this S/N"
    assert found["scatter_pipeline_snr_70", "teff"] == "too few stars at this S/N"
    assert found["bootstrap_error", "teff"] == "no bootstrap models in this run"


def test_numbers_of_networks_come_from_the_tables_of_the_run(root):
    labels = {"teff": {"step": 200.0}, "fe_h": {"step": 0.2}}
    methods, stars = ["prior"] * 6 + ["l1"] * 2, ["training"] * 2 + ["test"] * 6
    summary = pd.DataFrame({"method": methods, "stars": stars, "label": ["teff", "fe_h"] * 4})
    summary["scatter"] = [1.0, 1.0, 50.0, 0.05, 99.0, 0.99, 7.0, 0.7]
    correlation = pd.DataFrame(
        {"method": ["prior", "prior", "l1", "prior"], "reference": ["g", "g", "g", "s"]}
    ).assign(correlation=[0.9, 0.8, 0.3, 0.0])
    bounds = pd.DataFrame({"snr": [30, 30, 50], "label": ["teff", "fe_h", "fe_h"]})
    bounds["bound_theory"], bounds["measured_over_theory"] = [9.0, 0.02, 0.01], [9.0, 1.5, 2.0]
    scan = pd.DataFrame({"d_scale": [0.0, 10.0, 10.0], "scatter_ratio": [1.0, 1.1, 1.3]})
    comparison = Table({"trained": [True, False, False], "test": [False, True, True]})
    model = SimpleNamespace(d_scale=10.0, w=np.zeros((4, 10)))
    run = NetworkRun(comparison, summary, correlation, bounds, scan, {"na_h": 0.2, "fe_h": 9.0}, model)
    expected = {
        ("training_stars", ""): 1,
        ("test_stars", ""): 2,
        ("abundances", ""): 1,
        ("hidden_nodes", ""): 10,
        ("scatter_growth", ""): 1.2,
        ("abundance_scatter", ""): 0.05,
        ("cramer_rao_snr_30", ""): 0.02,
        ("correlation_prior", ""): 0.85,
        ("scatter", "fe_h"): 0.05,
        ("scatter", "na_h"): 0.2,
        ("step", "fe_h"): 0.2,
    }
    assert network_quantities(expected.keys(), run, labels) == pytest.approx(expected)
    wanted = wanted_of(read_published(root / "resources" / "published" / "ting2017.csv"))
    assert set(network_quantities(wanted, run, labels)) <= wanted


def test_numbers_of_ness_are_of_stars_held_out(root):
    held_out = Table({"trained": [True, True, True, False], "group": ["M5", "M5", "M67", "M67"]})
    held_out["logg"] = held_out["teff"] = [1.0, 2.0, 4.0, 9.0]
    held_out["teff_fold"], held_out["teff_group"] = [1.1, 1.9, 4.0, 99.0], [2.0, 1.0, 4.0, 99.0]
    held_out["teff_fold_err"], held_out["teff_err"] = [0.1, 0.2, 0.3, 9.0], [0.5, np.nan, 0.7, 9.0]
    held_out["converged_fold"], held_out["converged_group"] = [True] * 4, [True, True, False, True]
    run = CannonRun(Table(), Table(), pd.DataFrame(), Table(), np.zeros(0), 1, held_out)
    wanted = wanted_of(read_published(root / "resources" / "published" / "ness2015.csv"))
    found = ness_quantities(wanted, run, ["teff"])
    assert set(found) <= wanted
    assert found == pytest.approx(
        {
            ("reference_stars", ""): 3,
            ("reference_clusters", ""): 2,
            ("reference_dwarfs", ""): 1,
            ("label_lowest", "teff"): 1.0,
            ("label_highest", "teff"): 4.0,
            ("scatter", "teff"): np.std([0.1, -0.1, 0.0]),
            ("scatter_left_out_cluster", "teff"): np.std([1.0, -1.0]),
            ("formal_error", "teff"): 0.2,
            ("reference_error", "teff"): 0.6,
        }
    )


def test_the_tutorials_numbers_are_measured_on_its_own_stars_alone(root):
    comparison = Table(
        {"trained": [True] * 3, "converged": [True] * 3, "snr": [200.0] * 3, "snr_g": [200.0] * 3}
    )
    comparison["teff_apogee"], comparison["teff_cannon"] = [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]
    catalogue = Table({"spectrum_id": [b"a"], "reference": [True], "reduced_chi2": [1.0]})
    held_out = Table(
        {"trained": [True] * 3, "in_test_20": [True, True, False], "converged_split": [True] * 3}
    )
    held_out["teff"], held_out["teff_split"] = [1.0, 2.0, 3.0], [3.0, 2.0, 99.0]
    matched, ledger = Table({"teff": [1.0, 2.0, 3.0]}), pd.DataFrame({"stage": [""]})
    run = CannonRun(comparison, catalogue, ledger, matched, np.zeros(3), 1, held_out)
    wanted = wanted_of(read_published(root / "resources" / "published" / "ho2017.csv"))
    elsewhere = cannon_quantities(wanted, run, ["teff"], 50.0)
    assert "tutorial's own stars" in elsewhere["tutorial_scatter", "teff"]
    found = cannon_quantities(wanted, run._replace(tutorial=True), ["teff"], 50.0)
    assert (found["tutorial_training_stars", ""], found["tutorial_test_stars", ""]) == (1, 2)
    assert (found["tutorial_bias", "teff"], found["tutorial_scatter", "teff"]) == (1.0, 1.0)
