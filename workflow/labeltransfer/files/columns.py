"""Columns of tables as surveys and people publish them: FITS, Parquet, and text of many kinds."""

import csv
import difflib
import io
import mmap

import numpy as np

from labeltransfer.files import fitsfile
from labeltransfer.files.content import TABLE_LIMIT, open_plain
from labeltransfer.files.errors import FETCH_AGAIN, refusal

# What only some tables need (pandas, pyarrow) is loaded for these: whoever reads spectra imports this module too.

WRITE_AGAIN = "Fetch or write the table again."
BLOCK = 65_536


def read_columns(path, choose, delimiter=None, texts=()):
    """Read some columns of a table; the format is told from the content, not from the name.

    Parameters
    ----------
    path : str or path
        FITS (the first binary table), Parquet, or text whose first line has the column names (a ``#`` before
        them is ignored); FITS and text may be gzipped.
    choose : callable
        Gets the list of column names, returns those to read. `pick` helps to write it.
    delimiter : str, optional
        Of a text table; otherwise the first of ``|``, tab, ``,``, ``;`` in the line of names, or blanks.
    texts : sequence of str
        Lower-case names of columns that are text even if they look like numbers.

    Returns
    -------
    dict
        Name -> array (n_row,) or (n_row, n) for vector columns; text as str objects without outer blanks.

    Raises
    ------
    ArchiveError
        Where the file is not such a table, is damaged, or has no rows ('no rows').
    """
    parts = list(iterate_columns(path, choose, delimiter, texts))
    return {name: joined([part[name] for part in parts]) for name in parts[0]}


def iterate_columns(path, choose, delimiter=None, texts=()):
    """As `read_columns`, in blocks of rows, none of which is held longer than the caller does.

    Yields
    ------
    dict
        Name -> array. A column of text may have numbers only in one block and words in another: `numbers`,
        `integers` and `strings` make one kind of them.
    """
    with open_plain(path, TABLE_LIMIT) as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = data[:512]
        if start.startswith(b"PAR1"):
            blocks = _parquet_columns(file, path, choose)
        elif start.startswith(b"SIMPLE") or start.lstrip().startswith(b"<"):
            blocks = _fits_columns(data, path, choose)
        else:
            blocks = _text_columns(file, data, path, choose, delimiter, texts)
        n_row = 0
        for columns in blocks:
            n_row += len(next(iter(columns.values()), ()))
            yield columns
    if not n_row:
        raise refusal(path, "no rows", "a table with at least one row", "none", WRITE_AGAIN)


def pick(path, names, wanted):
    """Find columns whatever their case is.

    Parameters
    ----------
    path : str or path
        The table, for the message.
    names : sequence of str
        Columns it has.
    wanted : iterable of str
        Columns asked for.

    Returns
    -------
    dict
        wanted name -> the table's name.

    Raises
    ------
    ArchiveError
        Reason 'missing column', with what exists.
    """
    known = {}
    for name in names:
        known.setdefault(name.lower(), name)
    for name in wanted:
        if str(name).lower() not in known:
            near = difflib.get_close_matches(str(name).lower(), known, n=3)
            found = ", ".join(names[:60]) + (f" and {len(names) - 60} more" if len(names) > 60 else "")
            cure = f"Correct the column mapping{': did you mean ' + ' or '.join(near) + '?' if near else '.'}"
            raise refusal(path, "missing column", f"a column {name!r}", f"columns {found}", cure)
    return {name: known[str(name).lower()] for name in wanted}


def numbers(column):
    """A column as float64, NaN for all that is not a number: blanks, words, -9999 and its relatives."""
    column = np.asarray(column)
    if column.dtype.kind in "biuf":
        values = column.astype(float)
    else:
        import pandas as pd

        values = pd.to_numeric(pd.Series(column), errors="coerce").to_numpy(float, na_value=np.nan)
    return np.where(np.isfinite(values) & (values > -9000), values, np.nan)


def joined(parts):
    """Pieces of a column as one: numbers if all are, else str objects."""
    if all(part.dtype.kind in "biuf" for part in parts):
        return np.concatenate(parts)
    return np.concatenate([strings(part) for part in parts])


def uncertainties(column):
    """As `numbers`, and NaN for what is not positive: surveys write -1 or 0 for an unknown error."""
    values = numbers(column)
    return np.where(values > 0, values, np.nan)


def integers(column, missing=-1):
    """A column as int64, `missing` for everything that is not a whole number of zero or more."""
    column = np.asarray(column)
    if column.dtype.kind in "iu":
        return np.where(column >= 0, column, missing).astype(np.int64)
    values = numbers(column)
    whole = (values >= 0) & (values < 2**62) & (np.floor(values) == values)
    return np.where(whole, values, missing).astype(np.int64)


def strings(column):
    """A column as str objects; whole numbers without decimals, '' for missing values."""
    column = np.asarray(column)
    if column.dtype.kind == "f":
        filled = np.where(np.isfinite(column), column, -1)
        whole = np.isfinite(column) & (np.floor(filled) == filled) & (np.abs(filled) < 2**53)
        texts = np.where(whole, filled, 0).astype(np.int64).astype(str).astype(object)
        texts[~whole] = ["" if np.isnan(value) else str(value) for value in column[~whole]]
        return texts
    return column.astype(str).astype(object) if column.dtype.kind != "O" else column


def check_single(columns, path):
    """Raise `ArchiveError` ('missing column') unless each of the columns has one value per row."""
    for name, values in columns.items():
        if values.ndim != 1:
            found = f"vectors of shape {values.shape[1:]}"
            raise refusal(path, "missing column", f"{name} to be single values", found, FETCH_AGAIN)


def _fits_columns(data, path, choose):
    for header, start, _ in fitsfile.hdus(data, path):
        if fitsfile.text(header, "XTENSION") != "BINTABLE":
            continue
        layout = fitsfile.column_layout(header, path)
        columns = {name: fitsfile.column(header, data, start, layout[name]) for name in choose(list(layout))}
        for first in range(0, len(next(iter(columns.values()), ())), BLOCK):
            # Copies in the machine's byte order: nothing keeps the file mapped.
            yield {name: _native(column[first : first + BLOCK]) for name, column in columns.items()}
            if hasattr(mmap, "MADV_DONTNEED"):
                data.madvise(mmap.MADV_DONTNEED)  # or all of the file that was read would count as memory
        return
    raise refusal(path, "no table", "a binary table", "a FITS file without one", "Check what this file is.")


def _native(array):
    if array.dtype.kind == "S":
        # Not more than ASCII in FITS: whatever else is there must not stop the reading.
        texts = np.char.strip(np.char.decode(array, "ascii", "replace"))
        return texts.astype(object)
    return array.astype(array.dtype.newbyteorder("="))


def _parquet_columns(file, path, choose):
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(file)
        chosen = list(choose(table.schema_arrow.names))
        for batch in table.iter_batches(BLOCK, columns=chosen):
            frame = batch.to_pandas()
            yield {name: _plain(frame[name]) for name in chosen}
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise refusal(path, "damaged Parquet file", "Parquet", error, WRITE_AGAIN) from None


def _text_columns(file, data, path, choose, delimiter, texts):
    import pandas as pd

    first, offset = _first_line(data)
    if b"\0" in data[:4096] or not first:
        cure = "Give a FITS, Parquet or text table."
        raise refusal(path, "not a table", "a line of column names", repr(bytes(data[:20])), cure)
    delimiter = delimiter or next((mark for mark in "|\t,;" if mark in first), None)
    try:
        names = first.split() if delimiter is None else next(csv.reader([first], delimiter=delimiter))
    except csv.Error as error:
        raise refusal(path, "not a table", "a line of column names", error, WRITE_AGAIN) from None
    names = [name.strip() for name in names]
    chosen = choose([name for name in names if name])
    rows = {
        "sep": r"\s+" if delimiter in (None, " ") else delimiter,
        # LAMOST's tables quote nothing, and an inch sign would swallow the rows up to the next one.
        "quoting": csv.QUOTE_NONE if delimiter == "|" else csv.QUOTE_MINIMAL,
        "header": None,
        "index_col": False,
        "skipinitialspace": True,
        "encoding_errors": "replace",
        "comment": "#" if delimiter in (None, " ") else None,
        "low_memory": False,
    }
    where = {name: names.index(name) for name in chosen}
    kinds = {index: str for index in where.values() if names[index].lower() in texts}
    try:
        width = pd.read_csv(io.BytesIO(data[offset : offset + 2**20]), nrows=1, **rows).shape[1]
        if width != len(names):
            found = f"{len(names)} names over {width} values"
            raise refusal(path, "ragged table", "as many names as values", found, WRITE_AGAIN)
        # All columns, since a row with too many values goes unnoticed otherwise; in pieces, to save memory.
        file.seek(offset)
        for frame in pd.read_csv(file, names=range(width), dtype=kinds, chunksize=BLOCK, **rows):
            yield {name: _plain(frame[index]) for name, index in where.items()}
    except pd.errors.EmptyDataError:
        return
    except (pd.errors.ParserError, csv.Error) as error:
        raise refusal(path, "ragged table", "as many values in each row", error, WRITE_AGAIN) from None


def _first_line(data):
    """The first line that is not blank, without ``#`` and byte-order mark, and where the next one starts."""
    offset = 0
    for line in io.BytesIO(data[: 2**20]):
        offset += len(line)
        names = line.decode("utf-8-sig", "replace").strip().lstrip("#").strip()
        if names:
            return names, offset
    return "", offset


def _plain(series):
    if series.dtype.kind in "biuf":
        return series.to_numpy()
    return series.astype(object).where(series.notna(), "").astype(str).str.strip().to_numpy(object)
