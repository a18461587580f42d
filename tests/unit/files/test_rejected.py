"""Rows of the ledger, of text or of bytes."""

import numpy as np
import pytest

from labeltransfer.files.rejected import fate_rows, rejected_rows


@pytest.mark.parametrize("kind", ["U", "S"])
def test_rejected_rows_are_of_the_kind_of_their_ids(kind):
    ids = np.array(["a", "bc"], dtype=kind)
    table = rejected_rows(ids, "survey", "spectra", "not FITS")
    assert table.colnames == ["id", "catalog", "stage", "reason"]
    assert {table[name].dtype.kind for name in ("id", "catalog", "stage")} == {kind}
    assert table["catalog"].astype(str).tolist() == ["survey", "survey"]
    assert table["reason"].tolist() == ["not FITS"] * 2
    fates = fate_rows(ids, "reference", "trained on")
    assert fates.colnames == ["id", "catalog", "fate"]
    assert fates["fate"].astype(str).tolist() == ["trained on"] * 2


def test_each_row_may_have_a_reason_of_its_own():
    assert rejected_rows(["a", "b"], "survey", "spectra", ["one", "two"])["reason"].tolist() == ["one", "two"]
    # The type of the texts is there even if no row is.
    empty = rejected_rows([], "survey", "spectra", [])
    assert len(empty) == 0
    assert {empty[name].dtype.kind for name in empty.colnames} == {"U"}
    with pytest.raises(ValueError, match="broadcast"):
        rejected_rows(["a", "b"], "survey", "spectra", ["one", "two", "three"])
