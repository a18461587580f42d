"""Cuts with reasons."""

import numpy as np
import pandas as pd
import pytest
from astropy.table import MaskedColumn, Table

from labeltransfer.catalogs.cuts import apply_cuts, check_cuts

CUTS = [
    {"reason": "label missing", "columns": ["teff", "logg"], "finite": True},
    {"reason": "teff range", "column": "teff", "above": 3500, "below": 6000},
    {"reason": "logg", "column": "logg", "above": 0},
    {"reason": "flagged", "column": "flag", "bits_clear": [3, 23]},
]


def stars():
    return Table(
        {
            "teff": [4800.0, np.nan, 3500.0, 6000.0, 3500.1, 4800.0, 4800.0, 9000.0],
            "logg": [2.5, 2.5, 2.5, 2.5, 2.5, 0.0, 2.5, -1.0],
            "flag": [0, 0, 0, 0, 1 << 4, 1 << 3, (1 << 23) | 1, 1 << 3],
        }
    )


EXPECTED = ["", "label missing", "teff range", "teff range", "", "logg", "flagged", "teff range"]


@pytest.mark.parametrize("kind", [Table, pd.DataFrame, dict])
def test_every_row_keeps_its_first_reason(kind):
    table = kind({name: np.array(stars()[name]) for name in ("teff", "logg", "flag")})
    keep, reason = apply_cuts(table, CUTS)
    assert reason.tolist() == EXPECTED
    np.testing.assert_array_equal(keep, reason == "")


@pytest.mark.parametrize(
    "condition",
    [{"above": 0}, {"below": 0}, {"at_least": 0}, {"at_most": 0}, {"finite": True}, {"equals": 0}],
)
def test_a_missing_value_passes_nothing(condition):
    keep, _ = apply_cuts({"x": np.array([np.nan, 0.0])}, [{"reason": "r", "column": "x", **condition}])
    assert not keep[0]
    masked = Table({"x": MaskedColumn([0.0, 1.0], mask=[True, False])})
    keep, _ = apply_cuts(masked, [{"reason": "r", "column": "x", **condition}])
    assert not keep[0]


def test_bounds_are_strict_or_not_as_named():
    x = {"x": np.array([-1.0, 0.0, 1.0])}
    kept = {
        key: apply_cuts(x, [{"reason": "r", "column": "x", key: 0}])[0].tolist()
        for key in ("above", "below", "at_least", "at_most")
    }
    assert kept == {
        "above": [False, False, True],
        "below": [True, False, False],
        "at_least": [False, True, True],
        "at_most": [True, True, False],
    }


def test_text_and_high_bits():
    table = {"name": np.array(["a", "b", ""]), "flag": np.array([1 << 40, 1 << 33, -1])}
    assert apply_cuts(table, [{"reason": "r", "column": "name", "equals": "b"}])[0].tolist() == [
        False,
        True,
        False,
    ]
    cut = {"reason": "r", "column": "flag", "bits_clear": [33, 62]}
    assert apply_cuts(table, [cut])[0].tolist() == [True, False, False]


def test_without_cuts_or_rows():
    keep, reason = apply_cuts(stars(), [])
    assert keep.all()
    assert (reason == "").all()
    keep, reason = apply_cuts(stars()[:0], CUTS)
    assert keep.shape == reason.shape == (0,)


def test_the_table_is_not_changed():
    table = stars()
    apply_cuts(table, CUTS)
    assert all(
        (np.array(table[n]) == np.array(stars()[n]))[[0, 2, 3, 4, 5, 6, 7]].all() for n in table.colnames
    )


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        ({"reason": "r", "column": "teff", "abov": 1}, "unknown key abov"),
        ({"column": "teff", "above": 1}, "needs a reason"),
        ({"reason": " ", "column": "teff", "above": 1}, "needs a reason"),
        ({"reason": "r", "above": 1}, "either a column or a list"),
        ({"reason": "r", "column": "teff", "columns": ["teff"], "above": 1}, "either a column or a list"),
        ({"reason": "r", "columns": [], "above": 1}, "list of names"),
        ({"reason": "r", "columns": "teff", "above": 1}, "list of names"),
        ({"reason": "r", "column": "teff"}, "no condition"),
        ({"reason": "r", "column": "nope", "above": 1}, "no column 'nope' in the table, which has teff"),
        ({"reason": "r", "column": "teff", "above": "hot"}, "above must be a finite number: found 'hot'"),
        ({"reason": "r", "column": "teff", "below": np.nan}, "below must be a finite number"),
        ({"reason": "r", "column": "teff", "above": True}, "above must be a finite number"),
        ({"reason": "r", "column": "teff", "finite": False}, "finite can only be true"),
        ({"reason": "r", "column": "teff", "equals": "x"}, "cannot equal 'x'"),
        ({"reason": "r", "column": "teff", "equals": [1]}, "equals must be a number or a text"),
        ({"reason": "r", "column": "flag", "bits_clear": 3}, "bits_clear must be a list"),
        ({"reason": "r", "column": "flag", "bits_clear": []}, "bits_clear must be a list"),
        ({"reason": "r", "column": "flag", "bits_clear": [64]}, "bits_clear must be a list"),
        ({"reason": "r", "column": "teff", "bits_clear": [3]}, "bits_clear needs integers, column 'teff'"),
        ("teff > 3", "must map"),
    ],
)
def test_a_wrong_cut_is_named(cut, message):
    with pytest.raises(ValueError, match=message):
        apply_cuts(stars(), [*CUTS, cut])


def test_columns_of_the_wrong_kind_are_named():
    with pytest.raises(ValueError, match="above needs numbers, column 'name'"):
        apply_cuts({"name": np.array(["a"])}, [{"reason": "r", "column": "name", "above": 1}])
    with pytest.raises(ValueError, match="holds arrays"):
        apply_cuts({"x": np.zeros((2, 3))}, [{"reason": "r", "column": "x", "above": 1}])
    with pytest.raises(ValueError, match="list of mappings"):
        check_cuts({"reason": "r"})
    check_cuts(CUTS)
