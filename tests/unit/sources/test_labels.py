"""Tables of labels of every kind, under our names."""

import gzip

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.files.errors import ArchiveError
from labeltransfer.sources.labels import read_label_table


def put_labels(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "obsid,Teff,feh\n1010403003,4800,-0.5\n2,5000,-9999\n3,,bad\n"),
        ("a.csv", "obsid|Teff|feh\n1010403003|4800|-0.5\n2|5000|-9999.0\n3||nan\n"),
        ("a.txt", "# obsid Teff feh\n1010403003 4800 -0.5\n2 5000 -9999\n3 nan nan\n"),
        ("a.txt", "\n\nobsid\tTeff\tfeh\n1010403003\t4800\t-0.5\n2\t5000\t-9999\n3\t\t\n"),
        ("a.csv", "\ufeffobsid;Teff;feh\r\n1010403003;4800;-0.5\r\n2;5000;\r\n3;-9999;\r\n"),
        ("a.dat", "x,obsid,OTHER,TEFF,feh\n1,1010403003,'q',4800,-0.5\n,2,,5000,\n,3,,,\n"),
    ],
)
def test_text_tables_of_every_kind(tmp_path, name, text):
    path = tmp_path / name
    columns = {"obsid": "obsid", "teff": "Teff", "fe_h": "feh"}
    for data in (text.encode(), gzip.compress(text.encode())):
        path.write_bytes(data)
        table = read_label_table(path, columns)
        assert table.colnames == list(columns)
        assert table["obsid"].dtype == np.int64
        assert list(table["obsid"]) == [1010403003, 2, 3]
        np.testing.assert_array_equal(table["teff"], [4800, 5000, np.nan])
        np.testing.assert_array_equal(table["fe_h"], [-0.5, np.nan, np.nan])


def test_fits_and_parquet_tables(tmp_path):
    frame = Table({"id": ["a", "b "], "T": np.array([4800, -9999], ">i2"), "n": [np.nan, 2.5]})
    frame.write(tmp_path / "t.fits")
    frame.to_pandas().to_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.fits.gz").write_bytes(gzip.compress((tmp_path / "t.fits").read_bytes()))
    for name in ("t.fits", "t.parquet", "t.fits.gz"):
        table = read_label_table(tmp_path / name, {"star": "ID", "teff": "T", "feh": "n", "again": "T"})
        assert list(table["star"]) == ["a", "b"]
        np.testing.assert_array_equal(table["teff"], [4800, np.nan])
        np.testing.assert_array_equal(table["again"], [4800, np.nan])
        np.testing.assert_array_equal(table["feh"], [np.nan, 2.5])


def test_several_tables_and_columns_that_stay_text(tmp_path):
    one = put_labels(tmp_path / "one.csv", "id,Teff\n007,1\n")
    two = put_labels(tmp_path / "two.csv", "Teff,more,id\n2.5,x,8A\n")
    table = read_label_table([one, two], {"id": "id", "teff": "Teff"}, texts=["id"])
    assert list(table["id"]) == ["007", "8A"]
    np.testing.assert_array_equal(table["teff"], [1, 2.5])
    with pytest.raises(ArchiveError, match=r"two\.csv.*missing column.*'feh'"):
        read_label_table([put_labels(tmp_path / "three.csv", "id,feh\n1,2\n"), two], {"feh": "feh"})


def test_long_text_tables_come_in_pieces_without_a_seam(tmp_path, monkeypatch):
    monkeypatch.setattr("labeltransfer.files.textfile.BLOCK", 3)
    lines = [f"{row},{row if row != 5 else 'x'}" for row in range(10)]
    table = read_label_table(put_labels(tmp_path / "t.csv", "a,b\n" + "\n".join(lines)), {"a": "a", "b": "b"})
    assert list(table["a"]) == list(range(10))
    np.testing.assert_array_equal(table["b"], [*range(5), np.nan, *range(6, 10)])
    put_labels(tmp_path / "t.csv", "a,b\n" + "\n".join(lines) + "\n1,2,3\n")
    with pytest.raises(ArchiveError, match="ragged table"):
        read_label_table(tmp_path / "t.csv", {"a": "a"})


def test_at_least_one_table():
    with pytest.raises(ArchiveError, match="No table of labels"):
        read_label_table([], {"teff": "Teff"})


@pytest.mark.parametrize("values", [("5000,5", "5100"), ("5100.5", '"5,000"'), ("-0,5", "-1,25")])
def test_numbers_with_commas_are_no_missing_ones(tmp_path, values):
    path = put_labels(tmp_path / "t.csv", "id;teff\n1;{}\n2;{}\n".format(*values))
    with pytest.raises(
        ArchiveError, match=r"numbers with commas: expected numbers in column 'teff'.*decimal point"
    ):
        read_label_table(path, {"teff": "teff"})


@pytest.mark.parametrize("missing", ["NA", "null", "NULL", "N/A", "nan", "--", "-", "\\N", '""'])
def test_words_for_nothing_are_missing(tmp_path, missing):
    path = put_labels(tmp_path / "t.csv", f'"id","teff"\n"0012",5000\n"0013",{missing}\n')
    table = read_label_table(path, {"id": "id", "teff": "teff"}, texts=["id"])
    assert table["id"].tolist() == ["0012", "0013"]
    np.testing.assert_array_equal(table["teff"], [5000, np.nan])


def test_identifiers_of_64_bits_without_sign(tmp_path):
    table = Table({"id": np.array([2**64 - 1, 2**63, 5], dtype="u8")})
    table.write(tmp_path / "t.fits")
    found = read_label_table(tmp_path / "t.fits", {"id": "id"}, texts=["id"])
    assert found["id"].tolist() == [str(2**64 - 1), str(2**63), "5"]


def test_line_ends_of_old_are_named(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"id,teff\r1,5000\r2,5100\r")
    with pytest.raises(ArchiveError, match="lines that end with a carriage return alone"):
        read_label_table(tmp_path / "t.csv", {"teff": "teff"})
