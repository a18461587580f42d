"""Rows found by id, and tables divided into parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeltransfer.catalogs.rows import chunk_rows, rows_of


def test_rows_are_found_in_the_order_asked_for():
    ids = np.array(["c", "a", "b"])
    assert rows_of(ids, ["a", "a", "c"]).tolist() == [1, 1, 0]
    assert rows_of(ids, []).dtype == np.int64
    assert len(rows_of([], [])) == 0


def test_an_id_that_stands_twice_or_nowhere_is_an_error_that_names_it():
    with pytest.raises(KeyError, match="id 'a' stands in rows 0 and 2"):
        rows_of(["a", "b", "a"], ["b"])
    with pytest.raises(KeyError, match="id 'x' is not among the 2 rows"):
        rows_of(["a", "b"], ["a", "x"])


@given(ids=st.lists(st.text(max_size=8), unique=True, max_size=30), data=st.data())
def test_any_ids_are_found_again(ids, data):
    wanted = data.draw(st.lists(st.sampled_from(ids), max_size=20)) if ids else []
    rows = rows_of(np.array(ids, dtype=object), np.array(wanted, dtype=object))
    assert [ids[row] for row in rows] == wanted


@given(n=st.integers(0, 5000), parts=st.integers(1, 200))
def test_parts_hold_every_row_once_and_are_of_a_size(n, parts):
    rows = np.arange(n)
    pieces = [rows[chunk_rows(n, f"{part}-of-{parts}")] for part in range(1, parts + 1)]
    assert np.concatenate(pieces).tolist() == rows.tolist()
    sizes = [len(piece) for piece in pieces]
    assert max(sizes) - min(sizes) <= 1
