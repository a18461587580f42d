"""Columns of anybody's tables: found by name, and made numbers, whole numbers, texts and identifiers.

Whole numbers and truth values are masked where they are missing, other numbers are NaN there, and texts empty.
"""

import difflib
import re

import numpy as np

from labeltransfer.files.errors import FETCH_AGAIN, refusal

#: Numbers that stand for none, for instance in columns of labels; below -9000 nothing counts as a number anyway.
SENTINELS = (-9999.0, -999.0, 99.99, 999999.0)
_LOWEST = -9000
_NAMES_SHOWN = 60
# What a number that many rows have must be to be taken for a sentinel: so often, beside so many other numbers, and
# farther from these than half of the range that they span.
_FEWEST, _FRACTION, _OTHERS, _RANGES = 3, 0.002, 10, 0.5
# The largest whole number up to which floats of so many bytes hold all of them.
_EXACT = {2: 2**11, 4: 2**24, 8: 2**53}


def pick(path, names, wanted):
    """Find columns by name; case does not matter where there is one candidate only.

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
        Reason 'missing column', with what exists; 'ambiguous column' where the very name stands twice, or where it
        does not stand and several differ from it by case alone.
    """
    exact, folded = {}, {}
    for name in names:
        exact.setdefault(name, []).append(name)
        folded.setdefault(name.lower(), []).append(name)
    found = {}
    for name in wanted:
        candidates = exact.get(str(name)) or folded.get(str(name).lower())
        if candidates is None:
            raise _missing(path, names, str(name), folded)
        if len(candidates) > 1:
            which = " and ".join(repr(candidate) for candidate in candidates)
            twice = len(set(candidates)) == 1
            cure = "Rename one of them." if twice else "Write the name as the table has it."
            raise refusal(path, "ambiguous column", f"one column {str(name)!r}", which, cure)
        found[name] = candidates[0]
    return found


def _missing(path, names, name, folded):
    near = difflib.get_close_matches(name.lower(), folded, n=3)
    shown = ", ".join(names[:_NAMES_SHOWN]) or "none"
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    mean = [candidate for low in near for candidate in folded[low]]
    cure = f"Correct the column mapping{': did you mean ' + ' or '.join(mean) + '?' if mean else '.'}"
    return refusal(path, "missing column", f"a column {name!r}", f"columns {shown}{more}", cure)


def numbers(column, sentinels=(), span=None):
    """A column as float64, NaN for all that is not a number.

    Parameters
    ----------
    column : (n,) or (n, m) array
        Perhaps masked.
    sentinels : sequence of float, optional
        Numbers that stand for none where they lie outside the range of all others: 99.99 may be an error in kelvin.
        -9999 and its relatives, all below -9000, stand for none in any case.
    span : (float, float), optional
        The range of all others (see `span_of`), where the column is a part of a longer one.

    Returns
    -------
    float64 array
    """
    missing, column = np.ma.getmaskarray(column), np.ma.getdata(column)
    kind = column.dtype
    if kind.kind in "biuf":
        values = column.astype(float)
    else:
        import pandas as pd

        values = pd.to_numeric(pd.Series(column), errors="coerce").to_numpy(float, na_value=np.nan)
    values = np.where(np.isfinite(values) & (values > _LOWEST) & ~missing, values, np.nan)
    if not len(sentinels):
        return values
    # As the table's own precision writes them.
    written = [float(kind.type(number)) if kind.kind == "f" else number for number in sentinels]
    low, high = _span(values, written) if span is None else span
    return np.where(
        np.isin(values, [number for number in written if not low <= number <= high]), np.nan, values
    )


def span_of(column, sentinels, span=(np.inf, -np.inf)):
    """Range of the numbers of a column that are no sentinels, and of those before it, which make `span`."""
    low, high = _span(numbers(column), list(sentinels))
    return min(low, span[0]), max(high, span[1])


def _span(values, sentinels):
    others = values[np.isfinite(values) & ~np.isin(values, sentinels)]
    return (others.min(), others.max()) if others.size else (np.inf, -np.inf)


def joined(parts):
    """Pieces of a column as one: numbers if all are, else str objects."""
    if not all(part.dtype.kind in "biuf" for part in parts):
        return np.concatenate([strings(part) for part in parts])
    if not any(np.ma.isMaskedArray(part) for part in parts):
        return np.concatenate(parts)
    if all(part.dtype.kind in "biu" for part in parts):
        return np.ma.concatenate(parts)
    return np.concatenate([np.ma.filled(part.astype(float), np.nan) for part in parts])


def uncertainties(column, sentinels=(), span=None):
    """As `numbers`, and NaN for what is not positive: surveys write -1 or 0 for an unknown error."""
    values = numbers(column, sentinels, span)
    return np.where(values > 0, values, np.nan)


def integers(column, missing=-1):
    """A column as int64, `missing` for everything that is not a whole number of zero or more."""
    lacking, data = np.ma.getmaskarray(column), np.ma.getdata(column)
    if data.dtype.kind in "iu":
        return np.where((data >= 0) & ~lacking, data, missing).astype(np.int64)
    values = numbers(column)
    whole = (values >= 0) & (values < 2**62) & (np.floor(values) == values)
    return np.where(whole, values, missing).astype(np.int64)


def strings(column):
    """A column as str objects; whole numbers without decimals, '' for missing values."""
    missing, column = np.ma.getmaskarray(column), np.ma.getdata(column)
    if column.dtype.kind == "f":
        filled = np.where(np.isfinite(column), column, -1)
        whole = np.isfinite(column) & (np.floor(filled) == filled) & (np.abs(filled) < 2**53)
        texts = np.where(whole, filled, 0).astype(np.int64).astype(str).astype(object)
        texts[~whole] = ["" if np.isnan(value) else str(value) for value in column[~whole]]
        return texts
    texts = column.astype(str).astype(object) if column.dtype.kind != "O" else column
    return np.where(missing, "", texts).astype(object) if missing.any() else texts


def identifiers(column, path, name):
    """A column of identifiers as str objects with all their digits; '' for missing ones.

    Parameters
    ----------
    column : (n,) array
        Texts or numbers, perhaps masked.
    path : str or path
        The table, for messages.
    name : str
        The column, for messages.

    Returns
    -------
    (n,) array of str objects
        Whole numbers without sign and decimals.

    Raises
    ------
    ArchiveError
        'identifiers lost digits' where floats are too short for them, or texts show an exponent.
    """
    data = np.ma.getdata(column)
    if data.dtype.kind == "f":
        beyond = np.abs(data[np.isfinite(data)]) >= _EXACT.get(data.dtype.itemsize, 2**53)
        if beyond.any():
            example = f"{8 * data.dtype.itemsize}-bit floats such as {data[np.isfinite(data)][beyond][0]:.0f}"
            raise _lost_digits(path, name, example)
        return strings(column)
    texts = strings(column)
    # A spreadsheet shows long numbers as 1.01E+09 and writes what it shows.
    short = [text for text in texts.tolist() if re.fullmatch(r"\d(\.\d*)?[eE]\+?\d+", text)]
    if short:
        raise _lost_digits(path, name, f"numbers with an exponent such as {short[0]}")
    return np.array([re.sub(r"^(\d+)\.0*$", r"\1", text) for text in texts.tolist()], dtype=object)


def _lost_digits(path, name, found):
    cure = (
        "Write the identifiers as 64-bit whole numbers or as text, from the table that they come from: "
        "their last digits are no longer in this one."
    )
    return refusal(
        path, "identifiers lost digits", f"every digit of the identifiers in column {name!r}", found, cure
    )


def left_over_sentinel(values):
    """A number that many rows have and that is far outside all others: most likely it stands for none.

    Parameters
    ----------
    values : (n,) array
        NaN where missing.

    Returns
    -------
    (float, int) or None
        The number, and how many rows have it.
    """
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    number, count = np.unique(known, return_counts=True)
    for place in (0, len(number) - 1):
        others = np.delete(number, place) if len(number) > _OTHERS else []
        if len(others) < _OTHERS or count[place] < max(_FEWEST, _FRACTION * len(known)):
            continue
        low, high = others.min(), others.max()
        if not low - _RANGES * (high - low) <= number[place] <= high + _RANGES * (high - low):
            return float(number[place]), int(count[place])
    return None


def label_values(column, sentinels, path, name):
    """A column of labels as `numbers`, once no sentinel is left over in it.

    Parameters
    ----------
    column : (n,) array
    sentinels : sequence of float
        Numbers that stand for none, as for `numbers`.
    path : str or path
        The table, for the message.
    name : str
        The column, for the message.

    Returns
    -------
    (n,) float64 array

    Raises
    ------
    ArchiveError
        'sentinel among the labels' where many rows have one number that is far outside all others.
    """
    values = numbers(column, sentinels)
    if (left := left_over_sentinel(values)) is not None:
        number, count = left
        found = f"{number:g} in {count} rows, far outside the others"
        cure = "If it stands for missing values, add it to archives.missing; if not, correct these rows."
        raise refusal(path, "sentinel among the labels", f"labels in column {name!r}", found, cure)
    return values


def check_single(columns, path):
    """Raise `ArchiveError` ('missing column') unless each of the columns has one value per row."""
    for name, values in columns.items():
        if values.ndim != 1:
            found = f"vectors of shape {values.shape[1:]}"
            raise refusal(path, "missing column", f"{name} to be single values", found, FETCH_AGAIN)
