"""Positions in the units and forms that tables have them in, as degrees."""

import re

import numpy as np

from labeltransfer.files.columns import numbers, strings
from labeltransfer.files.errors import refusal

# A column of which more than these parts are words, or right ascensions beyond 24 hours, is none of positions.
_WORDS, _BEYOND = 0.5, 0.1
# Degrees in one of a unit; names as FITS, VOTables and VizieR write them.
_DEGREES = {
    **dict.fromkeys(("", "deg", "degree", "degrees"), 1.0),
    **dict.fromkeys(("h", "hr", "hour", "hours", "hourangle"), 15.0),
    **dict.fromkeys(("rad", "radian", "radians"), 180 / np.pi),
    **dict.fromkeys(("arcmin",), 1 / 60),
    **dict.fromkeys(("arcsec",), 1 / 3600),
    **dict.fromkeys(("mas",), 1 / 3_600_000),
}
_SEXAGESIMAL = re.compile(
    r"\s*([-+]?)(\d{1,3})(?:[:\s]|([hd°]))\s*(\d{1,2})(?:[:\s]|[m'′])\s*(\d{1,2}(?:\.\d*)?)\s*(?:s|\"|″|'')?\s*"
)


def degrees(column, unit, path, name, right_ascension, whole=True):
    """One coordinate of positions in degrees.

    Parameters
    ----------
    column : (n,) array
        Numbers, or texts: numbers, or sexagesimal ones such as ``12:34:56.7``, ``12 34 56.7`` and ``12h34m56.7s``.
    unit : str
        Of the column, '' where the table gives none: then numbers are degrees, and sexagesimal right ascensions hours.
    path : str or path
        The table, for messages.
    name : str
        The column, for messages.
    right_ascension : bool
        Right ascensions go round: -0.1 is 359.9, and 360 is 0.
    whole : bool, optional
        False for some of the rows of a longer table: few rows do not tell what a column is, so that what cannot be
        read is a row without a position, and the unit alone is judged.

    Returns
    -------
    (n,) float64 array
        NaN where there is none.

    Raises
    ------
    ArchiveError
        'positions not in degrees' where unit or form is none of these.
    """
    factor = _DEGREES.get(unit.strip().lower())
    plain = numbers(column)
    if np.ma.getdata(column).dtype.kind == "O":
        texts = strings(column)
        unread = np.flatnonzero((texts != "") & np.isnan(plain))
        angles = [_SEXAGESIMAL.fullmatch(text) for text in texts[unread].tolist()]
        words = [text for text, match in zip(texts[unread].tolist(), angles, strict=True) if match is None]
        # A word here and there is a row without a position; a column of words is none of positions.
        if whole and len(words) > _WORDS * np.count_nonzero(texts != ""):
            raise _not_degrees(path, name, f"text such as {words[0]!r}")
        if len(words) < len(angles):
            values, beyond = _sexagesimal(texts, unit, right_ascension)
            if whole and len(beyond) > _BEYOND * len(texts):
                raise _not_degrees(path, name, f"{beyond[0]!r}, which is more than 24 hours")
            # A number among them says by itself that it is in the column's unit.
            return _wrapped(np.where(np.isnan(values), plain * (factor or np.nan), values), right_ascension)
    if factor is None:
        raise _not_degrees(path, name, f"the unit {unit!r}")
    return _wrapped(plain * factor, right_ascension)


def _sexagesimal(texts, unit, right_ascension):
    """Degrees of the texts of that form, NaN of all others, and those that no clock shows."""
    values, beyond = np.full(len(texts), np.nan), []
    for row, text in enumerate(texts.tolist()):
        match = _SEXAGESIMAL.fullmatch(text)
        if match is None:
            continue
        sign, first, mark, minutes, seconds = match.groups()
        hours = mark == "h" if mark else right_ascension and not unit.lower().startswith("d")
        size = int(first) + int(minutes) / 60 + float(seconds) / 3600
        if hours and size >= 24:
            beyond.append(text)
            continue
        values[row] = (-1 if sign == "-" else 1) * size * (15 if hours else 1)
    return values, beyond


def _wrapped(values, right_ascension):
    if not right_ascension:
        return values
    # Not what stands for none, such as -999.
    around = (values >= -360) & (values <= 720)
    return np.where(around, values % 360, values)


def _not_degrees(path, name, found):
    cure = "Write positions in degrees, or give the column its unit."
    return refusal(path, "positions not in degrees", f"degrees in column {name!r}", found, cure)
