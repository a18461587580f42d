"""Values of columns: numbers, whole numbers, texts, identifiers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeltransfer.files.columns import (
    SENTINELS,
    identifiers,
    integers,
    joined,
    left_over_sentinel,
    numbers,
    span_of,
    strings,
    uncertainties,
)
from labeltransfer.files.errors import ArchiveError


def test_numbers_leave_out_what_stands_for_none():
    column = np.ma.array([5000, -9999, 999999, -999, 7], mask=[0, 0, 0, 0, 1])
    np.testing.assert_array_equal(numbers(column), [5000, np.nan, 999999, -999, np.nan])
    np.testing.assert_array_equal(numbers(column, SENTINELS), [5000, np.nan, np.nan, np.nan, np.nan])
    # Among others of its size a number is what it is, as 99.99 K as an error.
    errors = np.array([50.0, 99.99, 150.0, 999999.0])
    np.testing.assert_array_equal(numbers(errors, SENTINELS), [50.0, 99.99, 150.0, np.nan])
    np.testing.assert_array_equal(numbers(errors[1:2], SENTINELS), [np.nan])
    np.testing.assert_array_equal(numbers(errors[1:2], SENTINELS, span_of(errors, SENTINELS)), [99.99])
    assert span_of(errors[:1], SENTINELS, span_of(errors[2:], SENTINELS)) == (50.0, 150.0)
    # 99.99 is another number in 32 bits.
    np.testing.assert_array_equal(numbers(np.array([99.99, 4.0], "f4"), SENTINELS), [np.nan, 4.0])
    np.testing.assert_array_equal(
        uncertainties(np.array([0.1, 0, -1, 99.99]), SENTINELS), [0.1] + [np.nan] * 3
    )


def test_masks_go_through_everything():
    column = np.ma.array([3, 4, 5], mask=[False, True, False])
    assert integers(column).tolist() == [3, -1, 5]
    assert strings(column).tolist() == ["3", "", "5"]
    assert identifiers(column, "t", "id").tolist() == ["3", "", "5"]
    both = joined([column, np.array([6, 7])])
    assert np.ma.filled(both, -1).tolist() == [3, -1, 5, 6, 7]
    np.testing.assert_array_equal(joined([column, np.array([0.5])]), [3, np.nan, 5, 0.5])
    assert joined([column, np.array(["a"], dtype=object)]).tolist() == ["3", "", "5", "a"]


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20))
def test_identifiers_keep_every_digit_or_are_refused(ids):
    assert identifiers(np.array(ids), "t", "id").tolist() == [str(number) for number in ids]
    for kind, exact in ((np.float32, 2**24), (np.float64, 2**53)):
        column = np.array(ids, dtype=kind)
        if max(ids) < exact:
            assert identifiers(column, "t", "id").tolist() == [str(number) for number in ids]
        elif max(abs(column)) >= exact:
            with pytest.raises(ArchiveError, match="lost digits"):
                identifiers(column, "t", "id")


def test_a_number_far_outside_all_others_is_noticed(rng):
    teff = rng.normal(4800, 300, 500)
    assert left_over_sentinel(teff) is None
    teff[:6] = 0.0
    assert left_over_sentinel(teff) == (0.0, 6)
    # An outlier is no sentinel, nor is a value at the edge of a grid.
    teff[:6] = rng.uniform(0, 1, 6)
    assert left_over_sentinel(teff) is None
    assert left_over_sentinel(np.clip(rng.normal(4800, 300, 500), 4500, None)) is None
    # Few numbers say nothing of each other.
    assert left_over_sentinel([4000.0] * 10 + [5000.0] * 10) is None
    assert left_over_sentinel([np.nan] * 5) is None
