"""Rows of the catalogue, and their flags."""

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.catalogue import (
    CLIPPED,
    FLAGS,
    HELD_OUT,
    LOW_SNR,
    OUTSIDE,
    UNPHYSICAL,
    catalogue_rows,
    physical_ranges,
)
from labeltransfer.catalogs.fates import Kept

RANGE = {"teff": (1e3, 1e5)}


def kept_of(n=5):
    """Stars that the catalogue takes: two of the survey, one far off, two of the reference set."""
    labels = Table({"id": list("abcde"), "teff": np.full(n, 4500.0), "teff_err": np.full(n, 3.0)})
    labels["teff"].unit = "K"
    labels["teff_total"] = np.full(n, 10.0)
    labels["reduced_chi2"], labels["snr_g"] = np.ones(n), np.full(n, 40.0)
    labels["snr"] = [50.0, 9.0, 50.0, 50.0, 50.0]
    labels["novelty"] = [0.5, 0.5, 1.5, 0.5, np.nan]
    stars = Table({"obsid": np.arange(n), "ra": np.zeros(n), "dec": np.zeros(n), "distance": np.full(n, 1.0)})
    in_reference = np.array([False, False, False, True, True])
    clipped = np.array([False, False, False, True, False])
    return Kept(labels, stars, np.zeros(n, dtype=bool), in_reference, clipped)


def test_every_flag_is_set_where_its_text_says_so():
    table = catalogue_rows(kept_of(), RANGE, "from somewhere")
    assert table["flags"].tolist() == [0, LOW_SNR, OUTSIDE, CLIPPED, OUTSIDE | HELD_OUT]
    assert all(f"{bit}: {text}" in table["flags"].description for bit, text in FLAGS.items())
    assert table["teff"].description == "from somewhere"
    assert str(table["teff_total"].unit) == "K"


def test_columns_that_a_study_does_not_have_are_left_out():
    kept = kept_of()
    assert "teff_bootstrap" not in catalogue_rows(kept, RANGE).colnames
    kept.labels["teff_bootstrap"] = 2.0
    kept.labels["teff_correlation"], kept.labels["teff_flag"] = 0.9, np.int16(1)
    table = catalogue_rows(kept, RANGE)
    assert table["teff_bootstrap"].tolist() == [2.0] * 5
    assert table["teff_flag"].tolist() == [1] * 5


def test_no_label_that_stars_cannot_have_is_without_a_flag():
    kept = kept_of()
    kept.labels["teff"] = [0.0, 1e6, -5.0, 4500.0, np.nan]
    flags = catalogue_rows(kept, RANGE)["flags"]
    assert ((np.asarray(flags) & UNPHYSICAL) > 0).tolist() == [True, True, True, False, True]
    settings = {"teff": {"unit": "K"}, "logg": {"unit": "dex", "range": [0, 5]}, "x": {"unit": "unheard of"}}
    ranges = physical_ranges(settings)
    assert ranges == {"teff": (1e3, 1e5), "logg": (0, 5), "x": (-np.inf, np.inf)}
