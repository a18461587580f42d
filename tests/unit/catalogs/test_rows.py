"""Rows found by id, and tables divided into parts."""

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from labeltransfer.catalogs.rows import among, index_ids, rows_of, text_bytes, used_errors


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


def test_an_index_answers_like_the_ids_themselves():
    ids = np.array(["c", "a", "\u00e9", "b"])
    index = index_ids(ids)
    assert rows_of(index, ["\u00e9", "a"]).tolist() == [2, 1]
    assert rows_of(index, np.array([b"b", b"c"])).tolist() == [3, 0]
    for known in (ids, index):
        assert among(known, ["x", "a", "aa", ""]).tolist() == [False, True, False, False]
    assert among([], ["a"]).tolist() == [False]
    assert among(["a", "a"], []).tolist() == []
    with pytest.raises(KeyError, match="'x' is not among the 4"):
        rows_of(index, ["x"])
    twice = index_ids(["b", "a", "b"])
    assert rows_of(twice, ["a"]).tolist() == [1]
    with pytest.raises(KeyError, match="'b' stands in rows 0 and 2"):
        rows_of(twice, ["a", "b"])


def test_texts_as_bytes():
    for values in (["a", None, np.nan, "\u00e9"], np.array(["a", None, np.nan, "\u00e9"], dtype=object)):
        assert text_bytes(values).tolist() == [b"a", b"", b"", "\u00e9".encode()]
    assert text_bytes(np.array(["nan", "\u00e9"])).tolist() == [b"nan", "\u00e9".encode()]
    assert text_bytes([]).dtype.kind == text_bytes(np.array([], dtype="U5")).dtype.kind == "S"


@given(
    ids=st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8), unique=True, max_size=30
    ),
    data=st.data(),
)
def test_any_ids_are_found_again(ids, data):
    wanted = data.draw(st.lists(st.sampled_from(ids), max_size=20)) if ids else []
    rows = rows_of(np.array(ids, dtype=object), np.array(wanted, dtype=object))
    assert [ids[row] for row in rows] == wanted


def test_errors_are_used_where_the_stars_bear_them_out():
    stars = Table({"teff_err": [50.0, np.nan], "logg_err": [0.1, 0.2]})
    clip = Table(meta={"errors_borne_out": ["teff", "fe_h"]})
    names = ("teff", "logg", "fe_h")
    found = used_errors(stars, names, {"errors_in_labels": "stated"}, clip)
    np.testing.assert_array_equal(found, [[50.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert not used_errors(stars, names, {"errors_in_labels": "none"}, clip).any()
