"""Tables of anybody, read in blocks of rows: FITS, Parquet, text of many kinds, and all else that astropy reads."""

import io
import json
import mmap
import re
import warnings

import numpy as np

from labeltransfer.files import fitsfile
from labeltransfer.files.columns import joined
from labeltransfer.files.content import TABLE_LIMIT, open_plain
from labeltransfer.files.errors import ArchiveError, refusal
from labeltransfer.files.kinds import kind_of
from labeltransfer.files.textfile import text_blocks

# What only some tables need (pandas, pyarrow) is loaded for these: whoever reads spectra imports this module too.

WRITE_AGAIN = "Fetch or write the table again."
BLOCK = 65_536
_SHOWN = 20  # columns of each table in a message
_MOST_GROWTH = 1000  # of compressed content


def read_columns(path, choose, delimiter=None, texts=(), units=None):
    """Read some columns of a table; the format is told from the content, not from the name.

    Parameters
    ----------
    path : str or path
        FITS, Parquet, HDF5, VOTable, ECSV, IPAC, MRT, VizieR's and SExtractor's tables, or text whose values a mark or
        blanks separate; all may be gzipped. Of a file with several tables the one that has the columns.
    choose : callable
        Gets the list of column names, returns those to read. `labeltransfer.files.columns.pick` helps to write it.
    delimiter : str, optional
        Of a text table; otherwise the first of ``|``, tab, ``,``, ``;`` in the line of names, or blanks.
    texts : sequence of str
        Lower-case names of columns that are text even if they look like numbers.
    units : dict, optional
        Takes the units that the file gives, by column name.

    Returns
    -------
    dict
        Name -> array (n_row,) or (n_row, n) for vector columns; text as str objects without outer blanks. Whole
        numbers and truth values are masked where the file says that they are missing; other numbers are NaN there,
        and texts empty.

    Raises
    ------
    ArchiveError
        Where the file is not such a table, is damaged, or has no rows ('no rows'); where several tables of it have
        the columns ('several tables').
    """
    parts = list(iterate_columns(path, choose, delimiter, texts, units))
    return {name: joined([part[name] for part in parts]) for name in parts[0]}


def iterate_columns(path, choose, delimiter=None, texts=(), units=None):
    """As `read_columns`, in blocks of rows, none of which is held longer than the caller does.

    Yields
    ------
    dict
        Name -> array. A column of text may have numbers only in one block and words in another: `numbers`,
        `integers` and `strings` make one kind of them.
    """
    units = {} if units is None else units
    with open_plain(path, TABLE_LIMIT) as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        kind = kind_of(data, path)
        if kind == "parquet":
            blocks = _parquet_blocks(file, path, choose)
        elif kind == "fits":
            blocks = _fits_blocks(data, path, choose, units)
        elif kind == "text":
            blocks = text_blocks(file, data, path, choose, delimiter, texts, units)
        else:
            blocks = _astropy_blocks(file, data, path, kind, choose, units)
        n_row = 0
        for columns in blocks:
            n_row += len(next(iter(columns.values()), ()))
            yield columns
    if not n_row:
        raise refusal(path, "no rows", "a table with at least one row", "none", WRITE_AGAIN)


def the_one_table(path, tables, choose):
    """Which of the tables in a file has the columns, and those to read of it.

    Parameters
    ----------
    path : str or path
        For messages.
    tables : list of (str, list of str)
        Title and column names of each.
    choose : callable
        As for `read_columns`.

    Returns
    -------
    number : int
    chosen : list of str

    Raises
    ------
    ArchiveError
        'no table', 'missing column' where none has them, 'several tables' where more than one has.
    """
    if not tables:
        raise refusal(path, "no table", "a table", "none in the file", "Check what this file is.")
    if len(tables) == 1:
        return 0, list(choose(tables[0][1]))
    fitting, lacking = [], []
    for number, (title, names) in enumerate(tables):
        try:
            choose(names)
            fitting.append(number)
        except ArchiveError as error:
            lacks = re.search(r"expected (a column '[^']*')", str(error))
            shown = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "") or "no columns"
            lacking.append(f"{title} without {lacks[1]} (it has {shown})" if lacks else f"{title}: {error}")
    if not fitting:
        cure = "Correct the column mapping."
        raise refusal(path, "missing column", "a table with all the columns", "; ".join(lacking), cure)
    if len(fitting) > 1:
        titles = ", ".join(tables[number][0] for number in fitting)
        cure = "Write the one that is meant into a file of its own."
        raise refusal(path, "several tables", "one table with the columns", titles, cure)
    # Once more, since who chooses may remember the last names that it was asked about.
    return fitting[0], list(choose(tables[fitting[0]][1]))


def _fits_blocks(data, path, choose, units):
    tables, others = [], []
    for number, (header, start, _) in enumerate(fitsfile.hdus(data, path)):
        kind = fitsfile.text(header, "XTENSION")
        title = fitsfile.text(header, "EXTNAME") or f"table {number}"
        if kind == "BINTABLE":
            tables.append((title, header, start, fitsfile.table_columns(header, path)))
        elif kind == "TABLE":
            others.append(title)
    if others and not tables:
        # Tables in ASCII are rare and small.
        yield from _astropy_blocks(None, data, path, "fits", choose, units)
        return
    listed = [(title, [name for name, _ in columns]) for title, _, _, columns in tables]
    if not listed:
        raise refusal(path, "no table", "a table", "a FITS file without one", "Check what this file is.")
    number, chosen = the_one_table(path, listed, choose)
    _, header, start, columns = tables[number]
    places = {name: place for name, place in reversed(columns) if name in chosen}
    for name, place in places.items():
        units[name] = fitsfile.text(header, f"TUNIT{place[0]}")
    stored = {name: fitsfile.stored_column(header, data, start, places[name]) for name in chosen}
    for first in range(0, len(next(iter(stored.values()), ())), BLOCK):
        # Copies in the machine's byte order: nothing keeps the file mapped.
        yield {
            name: _native(column[first : first + BLOCK], header, places[name][0])
            for name, column in stored.items()
        }
        if hasattr(mmap, "MADV_DONTNEED"):
            data.madvise(mmap.MADV_DONTNEED)  # or all of the file that was read would count as memory


def _native(array, header, number):
    """A piece of a column as it is stored, as the header means it."""
    code = re.search("[A-Z]", fitsfile.text(header, f"TFORM{number}"))[0]
    if code == "L":
        return _masked(array == b"T", array == b"\0")
    if array.dtype.kind == "S":
        # Not more than ASCII in FITS: whatever else is there must not stop the reading.
        texts = np.char.strip(np.char.decode(array, "ascii", "replace"))
        return texts.astype(object)
    null = fitsfile.header_value(header, f"TNULL{number}")
    missing = array == null if array.dtype.kind in "iu" and isinstance(null, int) else False
    values = fitsfile.scaled(array, header, f"TSCAL{number}", f"TZERO{number}")
    values = values.astype(values.dtype.newbyteorder("="))
    return _masked(values, missing)


def _masked(values, missing):
    """Values that are missing here and there: whole numbers and truth values masked, others NaN."""
    if not np.any(missing):
        return values
    if values.dtype.kind == "f":
        return np.where(missing, np.nan, values)
    return np.ma.array(values, mask=np.broadcast_to(missing, values.shape))


def _parquet_blocks(file, path, choose):
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(file)
        ranges = _named_ranges(table.schema_arrow.metadata)
        chosen = list(choose([*table.schema_arrow.names, *ranges]))
        stored, row = [name for name in chosen if name not in ranges], 0
        for batch in table.iter_batches(BLOCK, columns=stored):
            rows = range(row, row := row + batch.num_rows)
            yield {
                name: np.array([ranges[name][i] for i in rows])
                if name in ranges
                else _from_arrow(batch.column(name))
                for name in chosen
            }
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, KeyError, IndexError) as error:
        raise refusal(path, "damaged Parquet file", "Parquet", error, WRITE_AGAIN) from None


def _named_ranges(metadata):
    """Indices of pandas that are whole numbers in a row: of these a file has the ends alone."""
    try:
        found = json.loads(metadata[b"pandas"])["index_columns"]
        return {
            index["name"]: range(index["start"], index["stop"], index["step"])
            for index in found
            if isinstance(index, dict) and index["kind"] == "range" and index["name"]
        }
    except (TypeError, KeyError, ValueError):
        return {}


def _from_arrow(column):
    """A column without a way over pandas, which makes floats of whole numbers where some are missing."""
    import pyarrow
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if types.is_integer(kind) or types.is_boolean(kind):
        missing = column.is_null().to_numpy(zero_copy_only=False)
        filled = column.fill_null(False if types.is_boolean(kind) else 0)
        return _masked(filled.to_numpy(zero_copy_only=False), missing)
    if types.is_floating(kind) or types.is_decimal(kind):
        return column.cast(pyarrow.float64()).to_numpy(zero_copy_only=False)
    if types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind):
        rows = column.to_pylist()
        widths = {len(row) for row in rows if row is not None}
        if len(widths) == 1:
            return np.array([row if row is not None else [np.nan] * widths.copy().pop() for row in rows])
    texts = ["" if value is None else str(value).strip() for value in column.to_pylist()]
    return np.array(texts, dtype=object)


def _astropy_blocks(file, data, path, kind, choose, units):
    from astropy.table import Table  # late, as pandas

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tables = _astropy_tables(file, data, kind)
    except Exception as error:  # a parser of whatever was found there fails in whatever way
        found = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no more is known'}"
        expected = f"a table of the kind {kind.removeprefix('ascii.')!r}"
        raise refusal(path, "damaged table", expected, found, WRITE_AGAIN) from None
    number, chosen = the_one_table(path, [(title, table.colnames) for title, table in tables], choose)
    table = Table(tables[number][1], copy=False)
    for name in chosen:
        units[name] = str(table[name].info.unit or "")
    for first in range(0, len(table), BLOCK):
        yield {name: _from_astropy(table[name][first : first + BLOCK]) for name in chosen}


def _astropy_tables(file, data, kind):
    """Tables in a file, each with its title."""
    from astropy.io import ascii as text_tables
    from astropy.io import fits, votable
    from astropy.table import Table

    if kind == "votable":
        found = list(votable.parse(io.BytesIO(data[:])).iter_tables())
        return [
            (table.name or table.ID or f"table {i}", table.to_table()) for i, table in enumerate(found, 1)
        ]
    if kind == "fits":
        with fits.open(io.BytesIO(data[:])) as hdus:
            return [(hdu.name, Table.read(hdu)) for hdu in hdus if isinstance(hdu, fits.TableHDU)]
    if kind == "hdf5":
        return _hdf5_tables(file, len(data))
    text = data[:].decode("utf-8-sig", "replace")
    return [("table", text_tables.read(text, format=kind.removeprefix("ascii."), guess=False))]


def _hdf5_tables(stream, size):
    import h5py
    from astropy.table import Table

    found = []

    def take(name, item):
        # Chunks that were never written take no room in the file, whatever room they ask for in memory.
        if isinstance(item, h5py.Dataset) and item.dtype.names and item.nbytes < _MOST_GROWTH * size:
            found.append((name, Table(item[()])))

    with h5py.File(stream, "r") as stored:
        stored.visititems(take)
    return found


def _from_astropy(column):
    values, missing = np.asarray(column), np.ma.getmaskarray(column)
    if values.dtype.kind in "iub":
        return _masked(values, missing)
    if values.dtype.kind == "f":
        return np.where(missing, np.nan, values)
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    texts = np.array([str(value).strip() for value in values.ravel().tolist()], dtype=object).reshape(
        values.shape
    )
    texts[missing] = ""
    return texts
