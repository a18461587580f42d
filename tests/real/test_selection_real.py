"""The paper's label cuts on the real tables of stars that LAMOST DR2 and APOGEE DR12 have in common."""

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.catalogs.cuts import apply_cuts

pytestmark = pytest.mark.real

LABELS = ["teff", "logg", "fe_h", "alpha_m"]
CUTS = [
    {"reason": "label missing", "columns": LABELS, "finite": True},
    {"reason": "teff", "column": "teff", "above": 3500, "below": 6000},
    {"reason": "logg", "column": "logg", "above": 0},
    {"reason": "alpha_m", "column": "alpha_m", "above": -0.1},
]
FLAGS = [
    {"reason": "star bad", "column": "aspcapflag", "bits_clear": [23]},
    {"reason": "m_h bad or warn", "column": "aspcapflag", "bits_clear": [19, 3]},
    {"reason": "alpha_m bad or warn", "column": "aspcapflag", "bits_clear": [20, 4]},
]


def table_of(columns, **more):
    labels = {
        name: np.where(column < -9000, np.nan, column) for name, column in zip(LABELS, columns, strict=True)
    }
    return Table({**labels, **more})


def counts(reason):
    return dict(zip(*(part.tolist() for part in np.unique(reason, return_counts=True)), strict=True))


def test_label_cuts_of_ho_et_al_on_their_overlap(real_data):
    path = real_data / "labels" / "ho2017_thecannon" / "apogee_dr12_labels_11057.csv"
    columns = np.loadtxt(path, delimiter=",", usecols=(2, 3, 4, 5), unpack=True)
    keep, reason = apply_cuts(table_of(columns), CUTS)
    assert len(keep) == 11_057
    assert (reason != "label missing").sum() == 10_955
    assert counts(reason) == {"": 10_940, "label missing": 102, "teff": 10, "logg": 3, "alpha_m": 2}
    # The reading of the text as printed would leave almost nothing.
    printed = [CUTS[0], {"reason": "alpha_m", "column": "alpha_m", "at_least": 0.1}]
    assert apply_cuts(table_of(columns), printed)[0].sum() < 9_952


def test_flag_cuts_on_the_list_with_flags(real_data):
    path = real_data / "labels" / "ness_lamost_dr2_x_apogee_dr12" / "training_LAMOST_ordered.list"
    rows = [line.split() for line in path.read_text().splitlines()]
    teff, logg, m_h, alpha_m, flag = np.array([[float(row[i]) for i in (3, 4, 5, 7, 11)] for row in rows]).T
    assert len(rows) == 11_061
    table = table_of((teff, logg, m_h, alpha_m), aspcapflag=flag.astype(np.int64))
    keep, reason = apply_cuts(table, [*CUTS, *FLAGS])
    assert apply_cuts(table, CUTS)[0].sum() == 10_943
    assert keep.sum() == 10_486
    assert counts(reason)["m_h bad or warn"] == 457

    # All but one of the stars that a public list of the training set names pass these cuts, and the paper's
    # 4-sigma clip takes its 9,952 from what passes.
    trained = set((real_data / "labels" / "ho2017_thecannon" / "tr_files_9592.txt").read_text().split())
    passed = {row[2].rsplit("/", 1)[-1] for row, good in zip(rows, keep, strict=True) if good}
    assert len(trained) == 9_592
    assert len(trained & passed) == 9_591
    assert len(passed) > 9_952
