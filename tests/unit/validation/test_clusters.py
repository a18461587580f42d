"""Held-out labels within clusters."""

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from labeltransfer.validation.clusters import ALL, by_cluster


def members(rng, clusters, reference=0.1, held_out=0.05, offset=0.0):
    """Clusters (name -> n, [M/H]) whose labels scatter about their own [M/H]."""
    name = np.repeat(list(clusters), [n for n, _ in clusters.values()])
    m_h = np.repeat([m_h for _, m_h in clusters.values()], [n for n, _ in clusters.values()])
    return Table(
        {
            "group": name,
            "m_h": m_h + reference * rng.standard_normal(len(name)),
            "m_h_fold": m_h + offset + held_out * rng.standard_normal(len(name)),
            "m_h_fold_err": np.full(len(name), 0.02),
        }
    )


def test_spread_and_offset_of_each_cluster(rng):
    table = members(rng, {"M5": (4000, -1.3), "M13": (4000, -1.6)}, offset=0.03)
    table["m_h_fold"][table["group"] == "M13"] += 0.2
    found = by_cluster(table, ["m_h"]).set_index("cluster")
    assert list(found.index) == ["M13", "M5", ALL]
    for name, mean in (("M5", 0.03), ("M13", 0.23)):
        row = found.loc[name]
        assert row["n"] == 4000
        assert row["mean_difference"] == pytest.approx(mean, abs=4 * np.hypot(0.1, 0.05) / np.sqrt(4000))
        # Of a mean of 4,000 differences of two scatters.
        assert row["mean_difference_err"] == pytest.approx(np.hypot(0.1, 0.05) / np.sqrt(4000), rel=0.05)
        assert row["spread_reference"] == pytest.approx(0.1, rel=0.06)
        assert row["spread_held_out"] == pytest.approx(0.05, rel=0.06)
        assert row["median_formal_error"] == 0.02
    # Neither what clusters differ by nor what one of them is off by is spread within them.
    assert found.loc[ALL, "spread_held_out"] == pytest.approx(0.05, rel=0.05)
    assert found.loc[ALL, "mean_difference"] == pytest.approx(0.13, abs=0.01)


def test_numbers_by_hand():
    table = pd.DataFrame(
        {
            "group": ["a"] * 5 + ["b"] * 2 + ["c"] + [""],
            "teff": [1.0, 2, 3, 4, 5, 10, 20, 7, 1e6],
            "teff_split": [2.0, 4, 6, 8, 10, 11, 23, 7, 0],
            "teff_split_err": [1.0, 1, 2, 9, 9, np.nan, np.nan, 3, 3],
        }
    )
    found = by_cluster(table, ["teff"], "split").set_index("cluster")
    a = found.loc["a"]
    assert (a["n"], a["mean_difference"], a["median_formal_error"]) == (5, 3.0, 2.0)
    # Differences 1 to 5: standard deviation sqrt(5 / 2); deviations from the median 2, 1, 0, 1, 2.
    assert a["mean_difference_err"] == pytest.approx(np.sqrt(2.5 / 5))
    assert a["spread_reference"] == pytest.approx(1.4826, abs=1e-4)
    assert a["spread_held_out"] == pytest.approx(2 * 1.4826, abs=1e-4)
    b, c = found.loc["b"], found.loc["c"]
    assert (b["n"], b["mean_difference"], b["mean_difference_err"]) == (2, 2.0, 1.0)
    assert np.isnan(b[["spread_reference", "spread_held_out", "median_formal_error"]].to_numpy(float)).all()
    assert (c["n"], c["mean_difference"], c["median_formal_error"]) == (1, 0.0, 3.0)
    assert np.isnan(c["mean_difference_err"])
    # The star of no cluster is in none of the sums.
    assert (found.loc[ALL, "n"], found.loc[ALL, "spread_reference"]) == (8, a["spread_reference"])


def test_stars_without_a_label_do_not_count(rng):
    table = members(rng, {"M5": (20, -1.3), "Pleiades": (6, 0.0)})
    table["m_h_fold"][table["group"] == "Pleiades"] = np.nan
    table["m_h"][:3] = np.nan
    found = by_cluster(table, ["m_h"])
    assert list(zip(found["cluster"], found["n"], strict=True)) == [("M5", 17), (ALL, 17)]
    table["m_h"] = np.nan
    found = by_cluster(table, ["m_h"])
    assert list(found["n"]) == [0]
    assert np.isnan(
        found.loc[0, ["mean_difference", "spread_reference", "median_formal_error"]].to_numpy(float)
    ).all()


def test_labels_of_a_cluster_stand_together(rng):
    table = members(rng, {"M5": (9, -1.3), "M3": (9, -1.5)})
    for column in ("", "_fold", "_fold_err"):
        table[f"teff{column}"] = 1000 * np.asarray(table[f"m_h{column}"])
    found = by_cluster(table, ["teff", "m_h"])
    assert list(found["cluster"]) == ["M3", "M3", "M5", "M5", ALL, ALL]
    assert list(found["label"]) == ["teff", "m_h"] * 3
    np.testing.assert_allclose(
        found["spread_held_out"][::2], 1000 * found["spread_held_out"].to_numpy()[1::2]
    )
