"""Tables as Parquet, with units and descriptions of the columns and provenance in the metadata."""

import contextlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table

from labeltransfer.files.atomic import atomic_path
from labeltransfer.files.provenance import as_text


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
    write_parquet_blocks([table], path, meta)


def write_parquet_blocks(blocks, path, meta=None):
    """Write tables one below the other as one Parquet file, each block a row group, holding one at a time.

    Parameters
    ----------
    blocks : iterable of astropy Table or DataFrame
        At least one; their columns are the same. Metadata is that of the first.
    path, meta
        As for `write_parquet`.

    Raises
    ------
    ValueError
        If there are no blocks, or their columns differ.
    """
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(atomic_path(path))
        writer = None
        for block in blocks:
            names, arrays = _arrow_columns(block)
            if writer is None:
                schema = _arrow_schema(block, names, arrays, meta)
                # A file of its own would stay open where the last write fails.
                file = stack.enter_context(open(temporary, "wb"))
                writer = stack.enter_context(pq.ParquetWriter(file, schema, compression="zstd"))
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        if writer is None:
            raise ValueError(f"{path}: there is nothing to write, not even a table without rows")


def _arrow_columns(table):
    names = [str(name) for name in table.keys()]  # noqa: SIM118 (a Table iterates over its rows)
    return names, [_arrow(table[name]) for name in names]


def _arrow_schema(table, names, arrays, meta):
    fields = []
    for name, array in zip(names, arrays, strict=True):
        info = getattr(table[name], "info", None) if isinstance(table, Table) else None
        about = {"unit": str(info.unit or ""), "description": info.description or ""} if info else {}
        about = {key: value for key, value in about.items() if value}
        fields.append(pa.field(name, array.type, metadata=about or None))
    meta = {**(table.meta if isinstance(table, Table) else {}), **(meta or {})}
    stored = {"provenance": as_text(meta)} if meta else None
    return pa.schema(fields, metadata=stored)


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
