"""Parts of tables."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labeltransfer.files.chunks import chunk_rows


@given(n=st.integers(0, 5000), parts=st.integers(1, 200))
def test_parts_hold_every_row_once_and_are_of_a_size(n, parts):
    rows = np.arange(n)
    pieces = [rows[chunk_rows(n, f"{part}-of-{parts}")] for part in range(1, parts + 1)]
    assert np.concatenate(pieces).tolist() == rows.tolist()
    sizes = [len(piece) for piece in pieces]
    assert max(sizes) - min(sizes) <= 1
