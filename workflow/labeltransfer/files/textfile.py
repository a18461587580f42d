"""Tables in text whose values a mark or blanks separate, with all that services and people put above the rows."""

import csv
import io
import re
from typing import NamedTuple

from labeltransfer.files.errors import ArchiveError, refusal

BLOCK = 65_536
_WRITE_AGAIN = "Fetch or write the table again."
_MARKS = "|\t,;"
_TOP = 2**20  # bytes in which rows must begin
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|nan|-?inf", re.IGNORECASE)


class _Top(NamedTuple):
    """What stands above the rows of a table: names and units of columns, the mark (None: blanks), where rows begin."""

    names: list
    units: list
    mark: str | None
    offset: int
    ruled: bool  # a line of dashes closes it, as VizieR has it


def text_blocks(file, data, path, choose, delimiter, texts, units):
    """Blocks of rows of a table in text; parameters and errors as for `labeltransfer.files.readers.iterate_columns`.

    The line of names may follow lines that begin with ``#``, or be the last of these, and be followed by a line of
    units and a line of dashes.
    """
    top, chosen = _chosen_top(_tops(data, delimiter), path, choose)
    where = {name: top.names.index(name) for name in chosen}
    units.update({name: top.units[index] for name, index in where.items() if top.units})
    yield from _rows(file, data, path, top, where, texts)


def _chosen_top(tops, path, choose):
    """The first of the possible tops whose names are those of the columns asked for."""
    if not tops:
        raise refusal(
            path, "not a table", "a line of column names", "none", "Give a FITS, Parquet or text table."
        )
    errors = []
    for top in tops:
        try:
            return top, list(choose([name for name in top.names if name]))
        except ArchiveError as error:
            errors.append(error)
    raise errors[0]


def _tops(data, delimiter):
    """All that may be the top of the table, the likeliest first."""
    lines, comment, offset = [], None, 0
    for raw in io.BytesIO(data[:_TOP]):
        offset += len(raw)
        line = raw.decode("utf-8-sig" if offset == len(raw) else "utf-8", "replace").strip("\r\n")
        bare = line.strip()
        if not lines and bare.startswith("#"):
            comment = (bare.lstrip("#").strip(), offset) if bare.strip("# \t") else comment
        elif bare or lines:
            lines.append((line, offset))
        if len(lines) == 3:
            break
    if not lines:
        return [_top([comment], delimiter)] if comment else []
    plain = _top(lines, delimiter)
    if comment is None:
        return [plain]
    # The rows begin with the first line that is no comment.
    start = lines[0][1] - _length(data, lines[0][1])
    said = _top([(comment[0], start)], delimiter)
    named = len(said.names) == len(plain.names) and any(_NUMBER.fullmatch(name) for name in plain.names)
    return [said, plain] if named else [plain, said]


def _length(data, end):
    """Bytes of the line that ends at a byte."""
    return end - (data[:end].rfind(b"\n", 0, end - 1) + 1)


def _top(lines, delimiter):
    """The top that begins with a line of names; `lines` are (text, where the next one begins)."""
    first, offset = lines[0]
    mark = delimiter or next((mark for mark in _MARKS if mark in first), None)
    names = _fields(first, mark)
    for number, (line, end) in enumerate(lines[1:3], start=1):
        dashes = _fields(line, mark)
        if len(dashes) == len(names) and all(re.fullmatch("-+", dash) for dash in dashes):
            units = _fields(lines[1][0], mark) if number == 2 else []
            return _Top(names, units if len(units) == len(names) else [], mark, end, True)
    return _Top(names, [], mark, offset, False)


def _fields(line, mark):
    if mark in (None, " "):
        return line.split()
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=mark), [])]
    except csv.Error:
        return [field.strip() for field in line.split(mark)]


def _rows(file, data, path, top, where, texts):
    import pandas as pd

    blanks = top.mark in (None, " ")
    rows = {
        "sep": r"\s+" if blanks else top.mark,
        # LAMOST's tables quote nothing, and an inch sign would swallow the rows up to the next one.
        "quoting": csv.QUOTE_NONE if top.mark == "|" else csv.QUOTE_MINIMAL,
        "header": None,
        "index_col": False,
        "skipinitialspace": True,
        "encoding_errors": "replace",
        "comment": "#" if blanks or top.ruled else None,
        "low_memory": False,
        # Whole numbers stay whole where some are missing.
        "dtype_backend": "numpy_nullable",
    }
    kinds = {index: str for index in where.values() if top.names[index].lower() in texts}
    try:
        width = pd.read_csv(io.BytesIO(data[top.offset : top.offset + _TOP]), nrows=1, **rows).shape[1]
        if width != len(top.names):
            found = f"{len(top.names)} names over {width} values"
            raise refusal(path, "ragged table", "as many names as values", found, _WRITE_AGAIN)
        # All columns, since a row with too many values goes unnoticed otherwise; in pieces, to save memory.
        file.seek(top.offset)
        for frame in pd.read_csv(file, names=range(width), dtype=kinds, chunksize=BLOCK, **rows):
            yield {name: _plain(frame[index]) for name, index in where.items()}
    except pd.errors.EmptyDataError:
        return
    except (pd.errors.ParserError, csv.Error, OverflowError) as error:
        raise refusal(path, "ragged table", "as many values in each row", error, _WRITE_AGAIN) from None


def _plain(series):
    """A column of pandas as numpy: whole numbers and truth values masked where missing, others NaN, texts empty."""
    import numpy as np

    missing = series.isna().to_numpy()
    kind = series.dtype.kind
    if kind == "f":
        return series.to_numpy(float, na_value=np.nan)
    if kind in "iub":
        values = series.fillna(False if kind == "b" else 0).to_numpy()
        return np.ma.array(values, mask=missing) if missing.any() else values
    return series.astype(object).where(~missing, "").astype(str).str.strip().to_numpy(object)
