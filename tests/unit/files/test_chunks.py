"""Parts of tables."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labeltransfer.files.chunks import chunk_rows, rows_by_name


@given(n=st.integers(0, 5000), parts=st.integers(1, 200))
def test_parts_hold_every_row_once_and_are_of_a_size(n, parts):
    rows = np.arange(n)
    pieces = [rows[chunk_rows(n, f"{part}-of-{parts}")] for part in range(1, parts + 1)]
    assert np.concatenate(pieces).tolist() == rows.tolist()
    sizes = [len(piece) for piece in pieces]
    assert max(sizes) - min(sizes) <= 1


@given(names=st.lists(st.text(), unique=True), parts=st.integers(1, 20), data=st.data())
def test_parts_by_name_hold_every_row_once_and_stay_as_others_go(names, parts, data):
    items = [f"{part}-of-{parts}" for part in range(1, parts + 1)]
    rows = [rows_by_name(names, item) for item in items]
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(names)))
    left = [name for name in names if data.draw(st.booleans())]
    for item, before in zip(items, rows, strict=True):
        now = [left[row] for row in rows_by_name(left, item)]
        assert now == [names[row] for row in before if names[row] in left]
