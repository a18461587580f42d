"""Windows of wavelengths not to trust: emission lines of the sky and absorption bands of the Earth's air."""

import csv
from typing import NamedTuple

import numpy as np

COLUMNS = ("name", "start", "end", "frame", "reason", "source")


class Window(NamedTuple):
    """A range of vacuum wavelengths [Angstrom] in the observed or in the rest frame."""

    name: str
    start: float
    end: float
    frame: str
    reason: str


def read_windows(*paths):
    """Read tables of masked windows.

    Parameters
    ----------
    *paths : str or Path
        CSV with the columns name, start, end (vacuum Angstrom), frame (observed or rest), reason, source.

    Returns
    -------
    list of Window

    Raises
    ------
    ValueError
        Naming the file and the line that is wrong.
    """
    windows = []
    for path in paths:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError(
                    f"{path}: expected the columns {', '.join(COLUMNS)}: found {reader.fieldnames}"
                )
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                try:
                    start, end = float(row["start"]), float(row["end"])
                except (TypeError, ValueError):
                    raise ValueError(f"{where}: start and end must be numbers: found {row}") from None
                if not 0 < start < end < np.inf:
                    raise ValueError(f"{where}: start must be below end: found {start} and {end}")
                if row["frame"] not in ("observed", "rest"):
                    raise ValueError(f"{where}: frame must be observed or rest: found {row['frame']!r}")
                windows.append(Window(row["name"], start, end, row["frame"], row["reason"]))
    return windows


def window_mask(wavelength, windows, frame):
    """Mark pixels in the windows of one frame.

    Parameters
    ----------
    wavelength : (n,) array
        Wavelengths in that frame, increasing [Angstrom].
    windows : sequence of Window
        Those of another frame are passed over; both ends belong to a window.
    frame : {"observed", "rest"}
        The frame of the wavelengths.

    Returns
    -------
    masked : (n,) bool
    """
    masked = np.zeros(len(wavelength), dtype=bool)
    windows = [window for window in windows if window.frame == frame]
    first = np.searchsorted(wavelength, [window.start for window in windows], side="left")
    last = np.searchsorted(wavelength, [window.end for window in windows], side="right")
    for start, stop in zip(first, last, strict=True):
        masked[start:stop] = True
    return masked
