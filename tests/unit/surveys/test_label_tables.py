"""Labels in tables whose rows name spectra."""

import numpy as np
import pytest

from labeltransfer.files.errors import ArchiveError
from labeltransfer.surveys.label_tables import named_labels, read_label_table

TABLE = """Name,T,eT,S/N
a.fits,5000,50,120
b.fits,-9999,-9999,80
a.fits,5100,60,90
,4000,40,10
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(TABLE)
    return path


def test_rows_are_labels_or_have_reasons(table):
    reference, rejected = read_label_table(
        table, {"teff": "T"}, {"teff": "eT"}, id_column="name", snr_column="s/n"
    )
    assert list(reference["reference_id"]) == ["a.fits", "b.fits"]
    np.testing.assert_array_equal(reference["teff"], [5000, np.nan])
    np.testing.assert_array_equal(reference["teff_err"], [50, np.nan])
    np.testing.assert_array_equal(reference["snr"], [120, 80])
    assert np.isnan(reference["ra"]).all()
    assert reference.meta["source"] == "labels.csv"
    assert list(zip(rejected["id"], rejected["reason"], strict=True)) == [
        ("a.fits", "duplicate label row"),
        ("row 3", "no identifier"),
    ]


def test_a_column_that_is_not_there_is_named(table):
    with pytest.raises(ArchiveError, match=r"logg"):
        read_label_table(table, {"logg": "logg"}, id_column="Name")
    with pytest.raises(ArchiveError, match=r"star"):
        read_label_table(table, {"teff": "T"}, id_column="star")


def test_labels_without_errors_have_none():
    reference, rejected = named_labels(["x", "\u4f60"], {"teff": np.array([1.0, 2.0])})
    assert list(reference["reference_id"]) == ["x"]
    assert np.isnan(reference["teff_err"]).all()
    assert list(rejected["reason"]) == ["unsafe identifier"]
