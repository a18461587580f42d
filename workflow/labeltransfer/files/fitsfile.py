"""FITS of unknown quality, quickly: a file's bytes in, headers and arrays out, nothing believed unchecked.

astropy parses the cards of a header that are asked for. The arrays are views of the file's bytes, made only after
the header's sizes have been found to fit into the file: a damaged header cannot ask for memory, and a table of one
row costs no more than an image (building an astropy table HDU would take most of the time of reading a spectrum).
"""

import math
import re
from functools import lru_cache

import numpy as np
from astropy.io import fits

from labeltransfer.files.content import SPECTRUM_LIMIT
from labeltransfer.files.errors import FETCH_AGAIN, refusal

BLOCK = 2880
CARD = 80
HEADER_LIMIT = 200 * BLOCK
MOST_AXES = 32

_IMAGE_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_COLUMN_TYPES = {"L": "S1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8", "C": ">c8"}
_COLUMN_TYPES |= {"M": ">c16", "P": ">i4", "Q": ">i8"}
_PLAIN_TEXT = bytes(code if 32 <= code < 127 else 32 for code in range(256))


def check_fits(data, path):
    """Raise `ArchiveError` unless `data` starts as FITS.

    Its reasons are 'not FITS', 'HTML page instead of a file' and 'truncated FITS'.
    """
    start = bytes(data[:512])
    if start.startswith(b"SIMPLE  ="):
        return
    if len(start) < 9 and b"SIMPLE  =".startswith(start):
        raise refusal(path, "truncated FITS", "a FITS header", f"{len(start)} bytes", FETCH_AGAIN)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<!--")):
        cure = "The server answered with a page: check address and access, and fetch the file again."
        raise refusal(path, "HTML page instead of a file", "a FITS file", repr(start[:40]), cure)
    raise refusal(path, "not FITS", "a file that starts with SIMPLE", repr(start[:20]), FETCH_AGAIN)


def hdus(data, path, longest=HEADER_LIMIT):
    """Iterate over the header-data units of a FITS file.

    Parameters
    ----------
    data : bytes or mmap
        The file.
    path : str or path
        For messages.
    longest : int, optional
        Bytes after which the end of a header is no longer looked for.

    Yields
    ------
    header : dict
        Keyword -> card, for `header_value`; the first of cards that have the same.
    start, stop : int
        Where the data of this unit lie in `data`; always inside it.

    Raises
    ------
    ArchiveError
        As `check_fits`, and 'damaged FITS header', 'absurd size in header'.
    """
    check_fits(data, path)
    position = 0
    # What follows the first unit and does not announce an extension is padding or junk, which FITS permits.
    while position == 0 or data[position : position + 8] == b"XTENSION":
        header, start = _header(data, position, path, longest)
        size = _data_size(header, path)
        if start + size > len(data):
            if start + size > max(100 * len(data), SPECTRUM_LIMIT):
                reason = "absurd size in header"
            else:
                reason = "truncated FITS"
            raise refusal(path, reason, f"{size} bytes of data", f"{len(data) - start} bytes", FETCH_AGAIN)
        yield header, start, start + size
        position = start + -(-size // BLOCK) * BLOCK


def _header(data, position, path, longest):
    last = min(len(data), position + longest)
    for card in range(position, last, CARD):
        if data[card : card + 3] == b"END" and not data[card + 3 : card + CARD].strip():
            break
    else:
        reason = "truncated FITS" if last == len(data) else "damaged FITS header"
        raise refusal(path, reason, "an END card", f"none in {last - position} bytes", FETCH_AGAIN)
    # Blanks for bytes that FITS does not allow, and no cards without a value: astropy would warn of them.
    text = data[position:card].translate(_PLAIN_TEXT).decode("ascii")
    cards = {}
    for at in range(0, len(text), CARD):
        if text[at + 8 : at + 10] == "= ":
            cards.setdefault(text[at : at + 8].strip().upper(), text[at : at + CARD])
    return cards, position + -(-(card + CARD - position) // BLOCK) * BLOCK


def _data_size(header, path):
    n_axis = integer(header, "NAXIS")
    axes = [integer(header, f"NAXIS{axis + 1}") for axis in range(n_axis)] if n_axis <= MOST_AXES else [-1]
    n_extra, n_group = integer(header, "PCOUNT", 0), integer(header, "GCOUNT", 1)
    bits = integer(header, "BITPIX")
    if min([n_axis, n_extra, *axes]) < 0 or n_group < 1 or bits not in _IMAGE_TYPES:
        found = {key: header_value(header, key) for key in ("BITPIX", "NAXIS", "NAXIS1", "NAXIS2")}
        raise refusal(path, "damaged FITS header", "BITPIX and NAXIS of the standard", found, FETCH_AGAIN)
    if not axes:
        return 0
    return abs(bits) // 8 * n_group * (n_extra + math.prod(axes))


def header_value(header, keyword, default=None):
    """The value of a card, or `default` where it is absent, blank or cannot be parsed."""
    card = header.get(keyword)
    if card is None:
        return default
    try:
        value = _card_value(card)
    except (fits.VerifyError, ValueError, AttributeError, TypeError, OverflowError):
        return default
    return default if isinstance(value, fits.card.Undefined) else value


@lru_cache(maxsize=1024)
def _card_value(card):
    """The value of a card; files of one kind have most of their cards alike."""
    return fits.Card.fromstring(card).value


def number(header, *keywords):
    """The first of `keywords` that is a finite number, as float; NaN for -9999 and where there is none."""
    for keyword in keywords:
        try:
            value = float(header_value(header, keyword, math.nan))
        except (TypeError, ValueError, OverflowError):
            continue
        if math.isfinite(value) and value > -9000:
            return value
    return math.nan


def integer(header, keyword, default=-1):
    """The value of a card as int (LAMOST writes some as strings), or `default`; beyond 64 bits too."""
    value = header_value(header, keyword, default)
    try:
        value = int(value)
    except (TypeError, ValueError, OverflowError):
        return default
    return value if abs(value) < 2**63 else default


def text(header, keyword):
    """The value of a card as str without blanks at the ends, '' where it is absent."""
    return str(header_value(header, keyword, "")).strip()


def image(header, data, start):
    """The array of an image unit, in numpy's order of axes; a view unless the header asks for scaling."""
    shape = [integer(header, f"NAXIS{axis}") for axis in range(integer(header, "NAXIS"), 0, -1)]
    array = np.ndarray(shape, _IMAGE_TYPES[integer(header, "BITPIX")], data, start)
    return scaled(array, header, "BSCALE", "BZERO")


def column_layout(header, path):
    """Where the columns of a binary table lie in a row.

    Returns
    -------
    dict
        Upper-case name -> place, as from `table_columns`; the first of names that are equal then.

    Raises
    ------
    ArchiveError
        As `table_columns`.
    """
    layout = {}
    for name, place in table_columns(header, path):
        layout.setdefault(name.upper(), place)
    return layout


def table_columns(header, path):
    """The columns of a binary table, in their order.

    Returns
    -------
    list
        (name, place): the name as it is written, and the place: number, numpy type, shape of a cell, offset in bytes.

    Raises
    ------
    ArchiveError
        'damaged FITS header' where the columns are wider than the row.
    """
    if integer(header, "NAXIS") != 2 or integer(header, "BITPIX") != 8:
        found = f"NAXIS {integer(header, 'NAXIS')} and BITPIX {integer(header, 'BITPIX')}"
        raise refusal(path, "damaged FITS header", "a table with NAXIS 2 and BITPIX 8", found, FETCH_AGAIN)
    # Rows without width cost no bytes, so that nothing would bound their number.
    if integer(header, "NAXIS1") == 0 and integer(header, "NAXIS2") > 0:
        found = f"{integer(header, 'NAXIS2')} rows of 0 bytes"
        raise refusal(path, "damaged FITS header", "rows with a width", found, FETCH_AGAIN)
    columns, offset = [], 0
    for column in range(1, min(integer(header, "TFIELDS", 0), 999) + 1):
        match = re.match(r"\s*(\d{0,9})([A-Z])", text(header, f"TFORM{column}"))
        if match is None:
            raise refusal(path, "damaged FITS header", f"TFORM{column}", "none", FETCH_AGAIN)
        repeat, code = int(match[1] or 1), match[2]
        if code == "A":
            kind, shape = f"S{repeat}", ()
        elif code == "X":
            kind, shape = "u1", (-(-repeat // 8),)
        elif code in _COLUMN_TYPES:
            kind, shape = _COLUMN_TYPES[code], ((2 * repeat,) if code in "PQ" else (repeat,))
        else:
            raise refusal(path, "damaged FITS header", "a column type of the standard", match[0], FETCH_AGAIN)
        place = column, kind, () if shape == (1,) else shape, offset
        columns.append((text(header, f"TTYPE{column}"), place))
        offset += np.dtype(kind).itemsize * math.prod(shape)
    if offset > max(integer(header, "NAXIS1"), 0):
        found = f"{offset} bytes of columns in rows of {integer(header, 'NAXIS1')}"
        raise refusal(path, "damaged FITS header", "columns that fit into the rows", found, FETCH_AGAIN)
    return columns


def column(header, data, start, place):
    """One column of a binary table as an array over its rows; `place` comes from `column_layout`."""
    array = stored_column(header, data, start, place)
    return scaled(array, header, f"TSCAL{place[0]}", f"TZERO{place[0]}")


def stored_column(header, data, start, place):
    """As `column`, as it is stored: without the scale and the zero point that the header may ask for."""
    _, kind, shape, offset = place
    row_bytes, n_row = integer(header, "NAXIS1"), integer(header, "NAXIS2")
    if np.dtype(kind).itemsize == 0 or 0 in shape or n_row == 0:
        return np.zeros((n_row, *shape), kind)
    within = [np.dtype(kind).itemsize * math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return np.ndarray((n_row, *shape), kind, data, start + offset, (row_bytes, *within))


def scaled(array, header, scale, zero):
    """Values from what is stored, with the cards of their scale and zero point."""
    # Unsigned integers are stored with a zero point; nothing else in these archives is scaled.
    if array.dtype.kind not in "iuf":
        return array
    scale, zero = header_value(header, scale, 1), header_value(header, zero, 0)
    if not all(isinstance(value, int | float) for value in (scale, zero)) or (scale, zero) == (1, 0):
        return array
    if array.dtype.itemsize == 8 and array.dtype.kind == "i" and (float(scale), zero) == (1, 2**63):
        return array.astype(np.int64).view(np.uint64) ^ np.uint64(2**63)
    whole = array.dtype.kind in "iu" and float(scale) == 1 and float(zero).is_integer() and abs(zero) < 2**62
    with np.errstate(over="ignore", invalid="ignore"):
        if whole:
            return array.astype(np.int64) + int(zero)
        return array * float(scale) + float(zero)
