"""Tables of ours: FITS with units, descriptions and provenance, written and read in blocks of rows.

A table goes through a temporary file in the same folder, so that it is there whole or not at all, and holds no
dates, so that the same table gives the same bytes.
"""

import io
import json
import mmap
import re
import tempfile
import warnings
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from astropy.table import Column, Table
from astropy.units import Unit

from labeltransfer.files import fitsfile
from labeltransfer.files.atomic import atomic_path
from labeltransfer.files.provenance import as_text
from labeltransfer.files.spool import difference, places, sorted_rows, spooled, widest, write_rows

BLOCK = 65_536  # rows held at a time

_PROVENANCE = "PROV"
_FITS_UNIT = 2880
_FITS_TYPES = ("u1", "i2", "i4", "i8", "f4", "f8", "c8", "c16")


def write_table(table, path, meta=None):
    """Write a table as FITS: one binary table with units, descriptions (TCOMMn) and provenance.

    Parameters
    ----------
    table : astropy Table
        Columns of numbers, truth values or text, which may be arrays per row. Masked numbers become NaN and
        masked texts empty.
    path : str or Path
        The file; it is replaced if it exists.
    meta : mapping, optional
        Provenance, added to `table.meta`: anything that JSON can hold, written to the header card PROV.

    Raises
    ------
    ValueError
        If a column cannot be stored: text that is not ASCII, Python objects, masked integers.
    """
    write_blocks((table[start : start + BLOCK] for start in range(0, max(len(table), 1), BLOCK)), path, meta)


def write_blocks(blocks, path, meta=None, sort_by=None):
    """Write tables one below the other as one FITS table, as `write_table` would, holding one at a time.

    Parameters
    ----------
    blocks : iterable of astropy Table
        At least one. Columns have the same names and types in all, but for the lengths of texts; units,
        descriptions and `meta` are those of the first.
    path, meta
        As for `write_table`. How rows are divided into blocks does not show in the file.
    sort_by : str, optional
        A column of text: rows are put in its order, rows of equal text as they come. It is held in memory, and
        the rows are read once for each `spool.WINDOW` of the file.

    Returns
    -------
    int
        Rows written.

    Raises
    ------
    ValueError
        As for `write_table`, and if there are no blocks, or they differ in columns or types.
    OSError
        If it cannot be written, as on a full disk; what was there before is still there then.
    """
    with atomic_path(path) as temporary, tempfile.TemporaryFile(dir=temporary.parent) as spool:
        # The lengths of texts are known at the end only: rows wait in a file, each block with its own lengths.
        header, parts, keys = None, [], []
        for block in blocks:
            records = _records(path, block)
            if header is None:
                header = _header(path, block, meta)
            elif (odd := difference(parts[0][0], records.dtype)) is not None:
                raise ValueError(f"{path}: column {odd} is not in all blocks, or of another type")
            parts.append((records.dtype, len(records)))
            write_rows(spool, records)
            if sort_by is not None:
                keys.append(records[sort_by].copy())
        if header is None:
            raise ValueError(f"{path}: there is nothing to write, not even a table without rows")
        dtype = widest([dtype for dtype, _ in parts])
        n = sum(size for _, size in parts)
        header["NAXIS1"], header["NAXIS2"] = dtype.itemsize, n
        for number, name in enumerate(dtype.names, start=1):
            if dtype[name].kind == "S":
                header[f"TFORM{number}"] = f"{dtype[name].itemsize}A"
        with open(temporary, "wb") as file:
            file.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
            file.write(header.tostring().encode("ascii"))
            if sort_by is None:
                for records in spooled(spool, parts):
                    write_rows(file, records.astype(dtype, copy=False))
            else:
                place = places(np.concatenate(keys))
                for records in sorted_rows(spool, parts, dtype, place):
                    write_rows(file, records)
            file.write(bytes(-n * dtype.itemsize % _FITS_UNIT))
    return n


def read_table(path, columns=None, rows=None, text=str):
    """Read what `write_table` wrote (or the first table of any FITS file), in native byte order.

    Parameters
    ----------
    path : str or Path
        The file.
    columns : sequence of str, optional
        Columns to read; all by default. Memory is taken for these alone.
    rows : slice, (n,) bool or (m,) int array, optional
        Rows to read, in the order asked for; all by default. Memory is taken for these alone.
    text : {str, bytes}, optional
        Type of text columns. Bytes take a quarter of the memory, which matters for millions of ids.

    Returns
    -------
    astropy Table
        Without masks: a missing number is NaN. `meta` holds the provenance.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a complete FITS file with a table, or lacks a column.
    """
    layout = _layout(path, columns)
    wanted = np.arange(layout.n) if rows is None else np.arange(layout.n)[rows]
    # Files are read from the front; most often that is the order asked for.
    order = np.argsort(wanted, kind="stable") if (np.diff(wanted) < 0).any() else np.arange(len(wanted))
    ascending = wanted[order]
    values = {
        name: np.empty((len(wanted), *layout.dtype[name].shape), _kind_in_memory(layout, name))
        for name in layout.columns
    }
    done = 0
    while done < len(wanted):
        start = ascending[done]
        end = np.searchsorted(ascending, start + BLOCK)
        records = _read_records(path, layout, start, ascending[end - 1] + 1)
        for name in layout.columns:
            values[name][order[done:end]] = _in_memory(
                records[name][ascending[done:end] - start], layout, name
            )
        done = end
    return _as_table(path, layout, values, text)


def iterate_table(path, columns=None, block=None, text=str):
    """Read a table from the front in blocks of rows; parameters and errors as for `read_table`.

    Yields
    ------
    astropy Table
        Of `block` rows (65,536 by default) or, the last, fewer; of a table without rows, one without rows.
    """
    layout, block = _layout(path, columns), block or BLOCK
    for start in range(0, max(layout.n, 1), block):
        records = _read_records(path, layout, start, min(start + block, layout.n))
        values = {name: _in_memory(records[name], layout, name) for name in layout.columns}
        yield _as_table(path, layout, values, text)


def count_rows(path):
    """Rows of the table in a file; errors as for `read_table`."""
    return _layout(path, ()).n


def _storable(path, name, column):
    """One column as plain numpy that FITS can hold."""
    values = np.asarray(column)
    mask = np.ma.getmaskarray(column)
    if values.dtype.kind == "O":
        if not all(isinstance(value, str) for value in values.flat):
            raise ValueError(f"{path}: column {name!r} holds Python objects, which FITS cannot store")
        values = values.astype(str)
    if mask.any():
        if values.dtype.kind not in "fUS":
            raise ValueError(f"{path}: column {name!r} is masked, and FITS knows no missing {values.dtype}")
        values = np.where(mask, np.nan if values.dtype.kind == "f" else values.dtype.type(), values)
    if values.dtype.kind == "U":
        return np.char.encode(_ascii(path, f"column {name}", values), "ascii")
    return values


def _ascii(path, what, text):
    """Text unchanged, or an error that shows the first that FITS cannot store."""
    for value in np.atleast_1d(text).flat:
        if not value.isascii():
            raise ValueError(f"{path}: {what}: FITS stores ASCII only, found {str(value)!r}")
    return text


class _Layout(NamedTuple):
    """Where the rows of a table stand in a file, and what its header says about the columns asked for."""

    dtype: np.dtype  # of a row in the file
    start: int  # first byte of the rows
    n: int
    columns: dict  # name -> (is it of truth values, unit, description)
    meta: dict


def _header(path, table, meta):
    """Header of the FITS table that a table becomes; lengths of texts and the number of rows are to be filled in."""
    empty = Table({name: _storable(path, name, table[name])[:0] for name in table.colnames})
    hdu = fits.BinTableHDU(empty)
    for number, name in enumerate(table.colnames, start=1):
        column = table[name].info
        unit, description = _in_fits(column.unit, column.description)
        if unit:
            hdu.columns[number - 1].unit = unit
        if description:
            hdu.header[f"TCOMM{number}"] = _ascii(path, f"description of {name}", description)
    meta = {**table.meta, **(meta or {})}
    if meta:
        hdu.header[_PROVENANCE] = (as_text(meta), "JSON: what made this")
    # Writing settles the header.
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(io.BytesIO())
    return hdu.header


def _in_fits(unit, description):
    """Unit (TUNITn) and description (TCOMMn) of a column for the header.

    The FITS standard (4.0, section 4.3) knows no dex, and readers warn of units that it does not know. Such a one
    leads the description in square brackets, as the standard has it for the units of keywords.
    """
    if unit is None:
        return "", description
    try:
        return Unit(unit).to_string("fits"), description
    except ValueError:
        return "", f"[{unit}] {description or ''}".rstrip()


def _from_fits(unit, description):
    """Unit and description of a column, from TUNITn and TCOMMn as `_in_fits` writes them."""
    found = re.fullmatch(r"\[([^\[\]]+)\] ?(.*)", description or "")
    if found and not unit and _only_ours(found[1]):
        return found[1], found[2] or None
    return unit, description


def _only_ours(text):
    """Whether a text is a unit that the FITS standard lacks: a description may begin with [Fe/H] or [C/H] too."""
    try:
        unit = Unit(text)
    except ValueError:
        return False
    try:
        unit.to_string("fits")
    except ValueError:
        return True
    return False


def _records(path, table):
    """The rows of a table as they stand in a FITS file."""
    columns = {name: _storable(path, name, table[name]) for name in table.colnames}
    for name, values in columns.items():
        if values.dtype.kind == "b":
            columns[name] = np.where(values, ord("T"), ord("F")).astype("i1")
        elif values.dtype.str[1:] not in _FITS_TYPES and values.dtype.kind != "S":
            raise ValueError(f"{path}: column {name!r} is {values.dtype}, which is not written here")
    dtype = [(name, values.dtype.newbyteorder(">"), values.shape[1:]) for name, values in columns.items()]
    records = np.empty(len(table), dtype)
    for name, values in columns.items():
        records[name] = values
    return records


def _layout(path, columns):
    try:
        _check_sizes(path)
        # astropy only warns of a truncated file, and would go on with what is left of it.
        with warnings.catch_warnings(), fits.open(path, memmap=False) as hdus:
            warnings.simplefilter("error")
            hdu = next((hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)), None)
            if hdu is None:
                raise ValueError(f"no binary table among its {len(hdus)} parts")
            header, definitions = hdu.header, {column.name: column for column in hdu.columns}
            start, dtype = hdu.fileinfo()["datLoc"], hdu.columns.dtype.newbyteorder(">")
        missing = [name for name in columns or () if name not in definitions]
        if missing:
            raise ValueError(f"no column {', '.join(missing)}; it has {', '.join(definitions)}")
        about = {}
        for number, (name, column) in enumerate(definitions.items(), start=1):
            if column.bzero or column.bscale not in (None, "", 1) or column.format[-1:] in "PQX":
                raise ValueError(f"column {name} of a type that is not used here ({column.format}, scaled)")
            about[name] = column.format[-1:] == "L", *_from_fits(column.unit, header.get(f"TCOMM{number}"))
        meta = json.loads(header[_PROVENANCE]) if _PROVENANCE in header else {}
        chosen = about if columns is None else {name: about[name] for name in columns}
        return _Layout(dtype, start, header["NAXIS2"], chosen, meta)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise _refused(path, error) from error


def _check_sizes(path):
    """Refuse a file with headers that announce what is not there: astropy would look for it without end."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for _ in fitsfile.hdus(data, path, longest=len(data)):
            pass


def _refused(path, error):
    return ValueError(
        f"{path}: expected a complete FITS file with a table, found: {error}; delete it and rerun"
    )


def _read_records(path, layout, start, end):
    with open(path, "rb") as file:
        file.seek(layout.start + int(start) * layout.dtype.itemsize)
        records = np.fromfile(file, layout.dtype, int(end - start))
    if len(records) != end - start:
        raise _refused(path, f"{len(records)} of {end - start} rows from row {start}")
    return records


def _kind_in_memory(layout, name):
    base = layout.dtype[name].base
    return np.dtype(bool) if layout.columns[name][0] else base.newbyteorder("=")


def _in_memory(values, layout, name):
    if layout.columns[name][0]:
        return values == ord("T")
    return values if values.dtype.kind == "S" else values.astype(_kind_in_memory(layout, name))


def _as_table(path, layout, values, text):
    table = Table()
    for name, (_, unit, description) in layout.columns.items():
        if values[name].dtype.kind == "S":
            values[name] = _text(path, name, values[name], text)
        table[name] = Column(values[name], description=description, copy=False)
        if unit:
            table[name].unit = Unit(unit, parse_strict="silent")
    table.meta.update(layout.meta)
    return table


def _text(path, name, values, text):
    """Bytes of the file as text without the blanks that fill them up."""
    if not values.size:
        return values.astype("U1" if text is str else "S1")
    try:
        values = np.char.rstrip(values)
        return values.astype(str) if text is str else values
    except UnicodeDecodeError as error:
        raise _refused(path, f"text that is not ASCII in column {name} ({error})") from None
