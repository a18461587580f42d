"""Tables on disk: FITS with units, descriptions and provenance, Parquet, and CSV that is safe to open.

Every writer goes through a temporary file in the same folder, so that a file is there whole or not at all,
and writes no dates, so that the same table gives the same bytes.
"""

import contextlib
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import Column, Table
from astropy.units import Unit

_PROVENANCE = "PROV"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@contextlib.contextmanager
def atomic_path(path):
    """Give a temporary path beside `path` that takes its place when the block ends without an error.

    Parameters
    ----------
    path : str or Path
        Where the file shall be; missing folders are made.

    Yields
    ------
    Path
        Where to write it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
    plain = Table()
    for name in table.colnames:
        plain[name] = _storable(path, name, table[name])
    hdu = fits.BinTableHDU(plain)
    for number, name in enumerate(table.colnames, start=1):
        column = table[name].info
        if column.unit is not None:
            hdu.columns[number - 1].unit = str(column.unit)
        if column.description:
            hdu.header[f"TCOMM{number}"] = _ascii(path, f"description of {name}", column.description)
    meta = {**table.meta, **(meta or {})}
    if meta:
        hdu.header[_PROVENANCE] = (json.dumps(meta, sort_keys=True, default=_plain), "JSON: what made this")
    with atomic_path(path) as temporary:
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(temporary, overwrite=True)


def read_table(path):
    """Read what `write_table` wrote (or the first table of any FITS file), in native byte order.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    astropy Table
        Without masks: a missing number is NaN. `meta` holds the provenance.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a complete FITS file with a table.
    """
    try:
        # astropy only warns of a truncated file, and would go on with what is left of it.
        with warnings.catch_warnings(), fits.open(path, memmap=False) as hdus:
            warnings.simplefilter("error")
            hdu = next((hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)), None)
            if hdu is None:
                raise ValueError(f"no binary table among its {len(hdus)} parts")
            return _as_table(hdu)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(
            f"{path}: expected a complete FITS file with a table, found: {error}; delete it and rerun"
        ) from error


def write_parquet(table, path, meta=None):
    """Write a table as Parquet, with units and descriptions as metadata of the columns.

    Parameters
    ----------
    table : astropy Table or DataFrame
        Columns of numbers, truth values or text; array columns become lists, flattened in C order.
    path : str or Path
        The file; it is replaced if it exists.
    meta : mapping, optional
        Provenance, as for `write_table`; written to the file's metadata under `provenance`.
    """
    names = [str(name) for name in table.keys()]  # noqa: SIM118 (a Table iterates over its rows)
    arrays = [_arrow(table[name]) for name in names]
    fields = []
    for name, array in zip(names, arrays, strict=True):
        info = getattr(table[name], "info", None) if isinstance(table, Table) else None
        about = {"unit": str(info.unit or ""), "description": info.description or ""} if info else {}
        about = {key: value for key, value in about.items() if value}
        fields.append(pa.field(name, array.type, metadata=about or None))
    meta = {**(table.meta if isinstance(table, Table) else {}), **(meta or {})}
    stored = {"provenance": json.dumps(meta, sort_keys=True, default=_plain)} if meta else None
    stored_table = pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=stored))
    with atomic_path(path) as temporary:
        pq.write_table(stored_table, temporary, compression="zstd")


def write_csv(frame, path):
    """Write a DataFrame as CSV in UTF-8; texts that a spreadsheet would run as a formula get a leading quote.

    Parameters
    ----------
    frame : DataFrame
        Its index is not written; missing numbers are written as `nan`.
    path : str or Path
        The file; it is replaced if it exists.
    """
    safe = frame.copy()
    for position, dtype in enumerate(safe.dtypes):
        if not (pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)):
            safe.isetitem(position, safe.iloc[:, position].map(_inert_text))
    safe.columns = [_inert_text(name) for name in safe.columns]
    with atomic_path(path) as temporary:
        safe.to_csv(temporary, index=False, na_rep="nan", lineterminator="\n")


def _inert_text(value):
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


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


def _as_table(hdu):
    table = Table()
    for number, definition in enumerate(hdu.columns, start=1):
        values = np.asarray(hdu.data[definition.name])
        if values.dtype.kind in "SU":
            values = np.char.rstrip(values.astype(str)) if len(values) else values.astype("U1")
        else:
            values = values.astype(values.dtype.newbyteorder("="))
        column = Column(values, description=hdu.header.get(f"TCOMM{number}"))
        if definition.unit:
            column.unit = Unit(definition.unit, parse_strict="silent")
        table[definition.name] = column
    if _PROVENANCE in hdu.header:
        table.meta.update(json.loads(hdu.header[_PROVENANCE]))
    return table


def _arrow(column):
    """One column as an Arrow array: text as strings, arrays per row as lists of one length."""
    if isinstance(column, np.ma.MaskedArray):
        values, mask = np.ma.getdata(column), np.ma.getmaskarray(column)
    else:
        values, mask = np.asarray(column), None
    if values.ndim == 1:
        if values.dtype.kind in "OUS":
            return pa.array(values.astype(object), pa.string(), mask=mask, from_pandas=True)
        return pa.array(values, mask=mask)
    if mask is not None and mask.any():
        values = np.ma.filled(column, np.nan)
    flat = np.ascontiguousarray(values).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), int(np.prod(values.shape[1:])))


def _plain(value):
    """What JSON does not know: numpy's numbers and arrays, and paths."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"provenance must be plain data: found {type(value).__name__}")
