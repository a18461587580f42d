"""Our own tables: FITS in blocks of rows."""

import itertools
import os
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Column, MaskedColumn, QTable, Table, vstack

from labeltransfer.files import spool, tables
from labeltransfer.files.parquet import write_parquet, write_parquet_blocks
from labeltransfer.files.tables import count_rows, iterate_table, read_table, write_blocks, write_table
from tests.unit.files.own_tables import a_table, long_table


def test_fits_returns_what_was_written(tmp_path):
    path = tmp_path / "deep" / "table.fits"
    write_table(a_table(), path, {"version": 1, "cuts": [{"reason": "x" * 100}], "count": np.int64(3)})
    back = read_table(path)
    assert back.colnames == a_table().colnames
    for name in back.colnames:
        np.testing.assert_array_equal(back[name], a_table()[name])
        assert back[name].dtype.kind == a_table()[name].dtype.kind
        assert back[name].dtype.isnative
    assert back["teff"].unit == u.K
    assert back["teff"].description == "effective temperature"
    assert str(back["logg"].unit) == "dex"
    assert back.meta == {"study": "mock", "version": 1, "cuts": [{"reason": "x" * 100}], "count": 3}
    assert [p.name for p in path.parent.iterdir()] == ["table.fits"]


@pytest.mark.parametrize(
    ("unit", "in_file", "description"),
    [
        ("dex", None, "[dex] surface gravity"),
        ("K", "K", "surface gravity"),
        ("km/s", "km s-1", "surface gravity"),
        ("mag", "mag", "surface gravity"),
        ("deg", "deg", "surface gravity"),
        (None, None, "surface gravity"),
    ],
)
def test_units_are_those_of_the_standard_and_come_back(tmp_path, unit, in_file, description):
    path = tmp_path / "units.fits"
    table = Table({"with": Column([1.0], unit=unit, description="surface gravity"), "without": [1.0]})
    table["alone"] = Column([1.0], unit=unit)
    table["bracket"] = Column([1.0], unit="K", description="[sic] as published")
    write_table(table, path)
    header = fits.getheader(path, 1)
    assert header.get("TUNIT1") == in_file
    assert header["TCOMM1"] == description
    for read in (Table.read, QTable.read):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read(path)["with"].unit == (in_file and u.Unit(unit))
    back = read_table(path)
    for name in table.colnames:
        assert back[name].unit == table[name].unit
        assert back[name].description == table[name].description


def test_fits_of_no_rows_and_no_text(tmp_path):
    write_table(a_table()[:0], tmp_path / "empty.fits")
    back = read_table(tmp_path / "empty.fits")
    assert len(back) == 0
    assert back.colnames == a_table().colnames
    assert back["id"].dtype.kind == "U"
    write_table(Table({"reason": np.array(["", ""])}), tmp_path / "blank.fits")
    assert read_table(tmp_path / "blank.fits")["reason"].tolist() == ["", ""]


def test_same_table_same_bytes(tmp_path):
    for writer, suffix in ((write_table, "fits"), (write_parquet, "parquet")):
        writer(a_table(), tmp_path / f"a.{suffix}", {"b": 1, "a": 2})
        writer(a_table(), tmp_path / f"b.{suffix}", {"a": 2, "b": 1})
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_masked_and_object_columns(tmp_path):
    table = Table(
        {
            "x": MaskedColumn([1.0, 2.0], mask=[False, True]),
            "s": MaskedColumn(["a", "b"], mask=[True, False]),
            "o": Column(["p", "qq"], dtype=object),
        }
    )
    write_table(table, tmp_path / "m.fits")
    back = read_table(tmp_path / "m.fits")
    np.testing.assert_array_equal(back["x"], [1.0, np.nan])
    assert back["s"].tolist() == ["", "b"]
    assert back["o"].tolist() == ["p", "qq"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (Table({"i": MaskedColumn([1, 2], mask=[True, False])}), "column 'i' is masked"),
        (Table({"o": Column([None, 1], dtype=object)}), "column 'o' holds Python objects"),
        (Table({"s": ["caf\u00e9"]}), "FITS stores ASCII only, found 'caf\u00e9'"),
    ],
)
def test_what_fits_cannot_store_is_named_and_leaves_nothing(tmp_path, table, message):
    with pytest.raises(ValueError, match=message):
        write_table(table, tmp_path / "t.fits")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "t.fits"
    write_table(a_table(), path)
    before = path.read_bytes()

    def break_off(*_):
        raise OSError("disk full")

    def broken_blocks():
        yield a_table()
        break_off()

    with pytest.raises(OSError, match="disk full"):
        write_blocks(broken_blocks(), path)
    with pytest.raises(OSError, match="disk full"):
        write_parquet_blocks(broken_blocks(), path)
    monkeypatch.setattr(os, "replace", break_off)
    with pytest.raises(OSError, match="disk full"):
        write_table(a_table()[:1], path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["t.fits"]


@pytest.mark.parametrize("sizes", [[1000], [1, 999], [300, 0, 699, 1], [0, 1000]])
@pytest.mark.parametrize("window", [spool.WINDOW, 20_000, 1])
def test_blocks_do_not_show_in_the_file(tmp_path, sizes, window, monkeypatch):
    monkeypatch.setattr(spool, "WINDOW", window if sizes != [1000] else 20_000)  # one row at a time is slow
    edges = np.cumsum([0, *sizes])
    table = long_table()
    write_table(table, tmp_path / "whole.fits", {"seed": 1})
    blocks = [table[start:end] for start, end in itertools.pairwise(edges)]
    assert write_blocks(iter(blocks), tmp_path / "blocks.fits", {"seed": 1}) == 1000
    assert (tmp_path / "blocks.fits").read_bytes() == (tmp_path / "whole.fits").read_bytes()
    # Sorted by text, equal texts as they come.
    table["id"] = np.array([f"{i % 100}" for i in range(1000)])
    blocks = [table[start:end] for start, end in itertools.pairwise(edges)]
    write_table(table[np.argsort(table["id"], kind="stable")], tmp_path / "whole.fits")
    write_blocks(iter(blocks), tmp_path / "blocks.fits", sort_by="id")
    assert (tmp_path / "blocks.fits").read_bytes() == (tmp_path / "whole.fits").read_bytes()
    with fits.open(tmp_path / "blocks.fits") as hdus:
        hdus.verify("exception")
        assert hdus[1].data["covariance"].shape == (1000, 3, 3)


@pytest.mark.parametrize("sort_by", [None, "id"])
def test_rows_that_do_not_come_back_from_the_disk_are_an_error(tmp_path, monkeypatch, sort_by):
    fromfile = np.fromfile
    monkeypatch.setattr(np, "fromfile", lambda *arguments: fromfile(*arguments)[:-1])
    message = r"t\.fits: cannot be written \(.*only 499 of 500 rows came back from the disk"
    with pytest.raises(OSError, match=message):
        write_blocks([long_table(500)] * 2, tmp_path / "t.fits", sort_by=sort_by)
    assert not list(tmp_path.iterdir())


def test_blocks_that_differ_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="column start is not in all blocks, or of another type"):
        write_blocks(
            [a_table(), Table(a_table(), dtype=["S9", "f8", "f4", "?", "i8", "f8", "i8"])], tmp_path / "t"
        )
    with pytest.raises(ValueError, match="column teff is not in all blocks"):
        write_blocks([a_table(), a_table()[["id"]]], tmp_path / "t")
    for write in (write_blocks, write_parquet_blocks):
        with pytest.raises(ValueError, match="nothing to write"):
            write([], tmp_path / "t")
    assert not list(tmp_path.iterdir())


def test_parts_of_a_table_are_read_without_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "BLOCK", 7)
    table, path = long_table(100), tmp_path / "t.fits"
    write_table(table, path)
    assert count_rows(path) == 100
    mask = np.arange(100) % 3 == 0
    for rows in (None, slice(10, 60), slice(5, 5), mask, [99, 0, 50, 50, 3], np.zeros(0, dtype=int)):
        here = read_table(path, ["good", "id"], rows)
        assert here.colnames == ["good", "id"]
        expected = table if rows is None else table[rows]
        assert here["id"].tolist() == expected["id"].tolist()
        assert here["good"].tolist() == expected["good"].tolist()
        assert read_table(path, ["id"], rows, text=bytes)["id"].tolist() == expected["id"].tolist()
        np.testing.assert_array_equal(read_table(path, rows=rows)["covariance"], expected["covariance"])
    assert np.asarray(read_table(path, ["id"], text=bytes)["id"]).dtype.kind == "S"
    for block, count in ((30, 4), (None, 15)):
        blocks = list(iterate_table(path, block=block))
        assert len(blocks) == count
        assert vstack(blocks)["id"].tolist() == table["id"].tolist()
        assert blocks[0]["teff"].unit == u.K
    assert [len(block) for block in iterate_table(path, [])] == [0] * 15
    with pytest.raises(ValueError, match=r"t\.fits: .* found: no column mass; it has id, teff"):
        read_table(path, ["mass"])
    with pytest.raises(IndexError):
        read_table(path, rows=[100])


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "image"])
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "t.fits"
    write_table(Table({"x": np.arange(5000.0)}), path)
    content = {"truncated": path.read_bytes()[:20_000], "text": b"<html>not found</html>", "empty": b""}
    if damage == "image":
        fits.PrimaryHDU(np.zeros((3, 3))).writeto(path, overwrite=True)
    else:
        path.write_bytes(content[damage])
    with pytest.raises(ValueError, match=r"t\.fits: expected a complete FITS file with a table.*delete it"):
        read_table(path)
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "absent.fits")


@pytest.mark.parametrize(
    "text", ["[Fe/H], survey pipeline [dex]", "[C/H]", "[alpha/M] of the survey", "[s] in brackets"]
)
def test_a_description_may_begin_with_an_abundance(tmp_path, text):
    path = tmp_path / "table.fits"
    write_table(Table([Column([0.1], name="feh", description=text)]), path)
    back = read_table(path)
    assert (back["feh"].unit, back["feh"].description) == (None, text)
    write_table(Table([Column([0.1], name="feh", unit="dex", description=text)]), path)
    back = read_table(path)
    assert (str(back["feh"].unit), back["feh"].description) == ("dex", text)
