"""Tables as people, programs and services write them."""

import contextlib
import gzip
import warnings

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from labeltransfer.files.columns import pick
from labeltransfer.files.errors import ArchiveError
from labeltransfer.files.readers import read_columns

ID = 5_873_020_010_000_001_234  # more digits than a float has


def stars():
    """Five stars, of which one lacks Teff and a flag; identifiers of all digits of 64 bits."""
    table = Table({"source_id": ID + np.arange(5), "TEFF": 5000.0 + np.arange(5)})
    table["flag"] = MaskedColumn([1 << 23, 0, 4, 0, 8], mask=[False, False, True, False, False])
    table["TEFF"][1] = np.nan
    table["name"] = ["a", "b c", "", "d", "e"]
    return table


def choose(path, *wanted):
    return lambda names: pick(path, names, wanted).values()


def read(path, *wanted, **options):
    return read_columns(path, choose(path, *wanted), **options)


def check(path, flag=True):
    found = read(path, "source_id", "TEFF", *(["flag"] if flag else []))
    assert found["source_id"].dtype.kind in "iu"
    assert found["source_id"].tolist() == (ID + np.arange(5)).tolist()
    np.testing.assert_array_equal(found["TEFF"], [5000, np.nan, 5002, 5003, 5004])
    if flag:
        assert found["flag"].dtype.kind in "iu"
        assert np.ma.getmaskarray(found["flag"]).tolist() == [False, False, True, False, False]
        assert np.ma.filled(found["flag"], -1).tolist() == [1 << 23, 0, -1, 0, 8]


WRITERS = {
    "fits": lambda table, path: table.write(path, format="fits"),
    "parquet": lambda table, path: table.to_pandas().to_parquet(path),
    "indexed parquet": lambda table, path: table.to_pandas().set_index("name").to_parquet(path),
    "parquet indexed by numbers in a row": lambda table, path: (
        table.to_pandas().set_index("source_id").to_parquet(path)
    ),
    "ecsv": lambda table, path: table.write(path, format="ascii.ecsv"),
    "votable": lambda table, path: table.write(path, format="votable"),
    "binary votable": lambda table, path: table.write(path, format="votable", tabledata_format="binary2"),
    "ipac": lambda table, path: table.write(path, format="ascii.ipac"),
    "mrt": lambda table, path: table.write(path, format="ascii.mrt"),
    "csv": lambda table, path: table.write(path, format="ascii.csv"),
    "tab": lambda table, path: table.write(path, format="ascii.tab"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", WRITERS)
def test_what_programs_write_is_read_with_every_digit(tmp_path, kind, packed):
    path = tmp_path / "table"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        WRITERS[kind](stars(), path)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    check(path)


def test_hdf5_and_sextractor_and_latex_are_read_as_astropy_reads_them(tmp_path):
    table = stars()["source_id", "TEFF"]
    table["source_id"] //= 10**12
    table.write(tmp_path / "t.h5", path="labels")
    np.testing.assert_array_equal(read(tmp_path / "t.h5", "teff")["teff".upper()], table["TEFF"])
    table.write(tmp_path / "t.tex", format="ascii.latex")
    assert len(read(tmp_path / "t.tex", "TEFF")["TEFF"]) == 5
    (tmp_path / "t.cat").write_text(
        "# 1 NUMBER Running number\n# 2 ALPHA_J2000 Right ascension [deg]\n 1 10.5\n 2 11.5\n"
    )
    units = {}
    found = read(tmp_path / "t.cat", "alpha_j2000", units=units)
    assert found["ALPHA_J2000"].tolist() == [10.5, 11.5]
    assert units == {"ALPHA_J2000": "deg"}


VIZIER = """\
#
#   VizieR Astronomical Server
#Column\tHD\t(I6)\tHD number

HD\tRAJ2000\tDEJ2000\tTeff
 \t"h:m:s"\t"d:m:s"\tK
------\t-----------\t-----------\t----
000010\t00 05 09.8\t+45 13 45\t5100
000012\t00 05 12.1\t-00 30 10\t
#END#
"""


def test_tables_of_vizier_have_units_and_a_rule(tmp_path):
    path = tmp_path / "vizier.tsv"
    path.write_text(VIZIER)
    units = {}
    found = read(path, "HD", "Teff", "RAJ2000", texts=["hd"], units=units)
    assert found["HD"].tolist() == ["000010", "000012"]
    np.testing.assert_array_equal(np.ma.filled(found["Teff"].astype(float), np.nan), [5100, np.nan])
    assert found["RAJ2000"].tolist() == ["00 05 09.8", "00 05 12.1"]
    assert units == {"HD": "", "Teff": "K", "RAJ2000": "h:m:s"}


@pytest.mark.parametrize(
    "text",
    [
        "#Table1\nid,teff\n1,5000\n2,5100\n",
        "# made by a program\n# on a Monday\n\nid,teff\n1,5000\n2,5100\n",
        "# a comment, with a comma\n#id,teff\n1,5000\n2,5100\n",
        "#id teff\n1 5000\n2 5100\n",
        "# obtained from X\n# id teff\n1 5000\n# a remark\n2 5100\n",
        "\ufeff#Table1\r\nid;teff\r\n1;5000\r\n2;5100\r\n",
    ],
)
def test_comments_above_the_names_are_passed_over(tmp_path, text):
    path = tmp_path / "t.txt"
    path.write_text(text, newline="")
    found = read(path, "id", "teff")
    assert found["id"].tolist() == [1, 2]
    assert found["teff"].tolist() == [5000, 5100]


def test_whole_numbers_with_gaps_stay_whole(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"id,flag\n{ID},\n,8\n{ID + 1},-1\n")
    found = read(path, "id", "flag")
    assert np.ma.filled(found["id"], 0).tolist() == [ID, 0, ID + 1]
    assert np.ma.filled(found["flag"], 99).tolist() == [99, 8, -1]


def two_tables(path, *tables):
    hdus = [fits.BinTableHDU(table, name=name) for name, table in tables]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path, overwrite=True)
    return path


def test_the_table_that_has_the_columns_is_read(tmp_path):
    other = Table({"sdss_id": [1, 2, 3]})
    path = two_tables(tmp_path / "t.fits", ("BOSS", other), ("APOGEE", stars()))
    check(path)
    with pytest.raises(
        ArchiveError, match=r"BOSS without a column 'nothing' \(it has sdss_id\); APOGEE without"
    ):
        read(path, "nothing")
    path = two_tables(tmp_path / "t.fits", ("ONE", stars()), ("TWO", stars()))
    with pytest.raises(ArchiveError, match=r"several tables.*ONE, TWO.*file of its own"):
        read(path, "TEFF")


def test_scaled_and_unsigned_numbers_are_missing_where_the_file_says_so(tmp_path):
    column = fits.Column("flag", "J", bzero=2**31, array=np.array([1, 2**31, 2**32 - 1], dtype="u4"), null=0)
    hdu = fits.BinTableHDU.from_columns([column])
    assert hdu.header["TNULL1"] == 0  # what 2**31 is stored as
    hdu.writeto(tmp_path / "t.fits")
    found = read(tmp_path / "t.fits", "flag")["flag"]
    assert np.ma.filled(found, -1).tolist() == [1, -1, 2**32 - 1]


def test_truth_values_are_numbers_that_can_be_missing(tmp_path):
    frame = pd.DataFrame({"good": pd.array([True, None, False], dtype="boolean"), "x": [1.0, 2.0, 3.0]})
    frame.to_parquet(tmp_path / "t.parquet")
    Table.from_pandas(frame).write(tmp_path / "t.ecsv")
    for name in ("t.parquet", "t.ecsv"):
        found = read(tmp_path / name, "good")["good"]
        assert np.ma.filled(found.astype(int), -1).tolist() == [1, -1, 0]


@pytest.mark.parametrize(
    ("content", "what", "cure"),
    [
        (b"PK\x03\x04" + bytes(40), "a sheet or a zip archive", "as CSV"),
        (b"\xd0\xcf\x11\xe0" + bytes(40), "a sheet of Excel", "as CSV"),
        (b"BZh91AY", "packed by bzip2", "Unpack"),
        (b"\xfd7zXZ\0", "packed by xz", "Unpack"),
        (b'{"teff": [5000]}', "JSON", "FITS"),
        (b"SQLite format 3\0", "a database", "FITS"),
        (b"\x93NUMPY\x01\0", "an array of numpy", "FITS"),
        (b"\x80\x04\x95", "a pickle", "FITS"),
        (b"ARROW1\0\0", "a Feather file", "Parquet"),
        (b"%PDF-1.7", "a PDF document", "the table itself"),
        ("teff\n5000\n".encode("utf-16"), "text in UTF-16", "UTF-8"),
    ],
)
def test_what_is_not_read_is_named_for_what_it_is(tmp_path, content, what, cure):
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=rf"not a table.*{what}.*{cure}"):
        read(path, "teff")


@pytest.mark.parametrize("kind", ["ecsv", "votable", "ipac", "mrt"])
def test_half_a_table_is_damaged(tmp_path, kind):
    path = tmp_path / "table"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        WRITERS[kind](stars(), path)
    whole = path.read_bytes()
    for size in range(0, len(whole), 97):
        path.write_bytes(whole[:size])
        with contextlib.suppress(ArchiveError):
            assert len(read(path, "TEFF")["TEFF"]) <= 5


@pytest.mark.parametrize("suffix", ["fits", "csv", "parquet", "ecsv"])
def test_names_that_differ_by_case_are_told_apart_or_refused(tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"
    if suffix == "fits":
        columns = [
            fits.Column(name, "D", array=[value]) for name, value in (("teff", 5000.0), ("TEFF", 5300.0))
        ]
        fits.BinTableHDU.from_columns(columns).writeto(path)
    else:
        Table({"teff": [5000.0], "TEFF": [5300.0]}).write(path)
    assert read(path, "TEFF")["TEFF"].tolist() == [5300]
    assert read(path, "teff")["teff"].tolist() == [5000]
    with pytest.raises(
        ArchiveError, match="ambiguous column: expected one column 'Teff', found 'teff' and 'TEFF'"
    ):
        read(path, "Teff")


def test_a_name_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,teff,teff\n1,5000,5300\n")
    with pytest.raises(ArchiveError, match=r"ambiguous column.*'teff' and 'teff'. Rename"):
        read(path, "teff")
    assert read(path, "id")["id"].tolist() == [1]
    columns = [fits.Column(name, "D", array=[5000.0]) for name in ("teff", "tefX")]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    # No program of ours would write this.
    (tmp_path / "t.fits").write_bytes((tmp_path / "t.fits").read_bytes().replace(b"tefX", b"teff"))
    with pytest.raises(ArchiveError, match="ambiguous column"):
        read(tmp_path / "t.fits", "teff")
