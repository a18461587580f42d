"""Bytes of the mock archive's FITS files: the same input gives the same bytes, and quickly."""

import functools
import io
import os

import numpy as np
from astropy.io import fits

MISSING = -9999.0
_BLOCK = 2880


def card(keyword, value, comment):
    """One header card of 80 characters; a ``value`` of None makes a commentary card."""
    if value is None:
        return f"{keyword:<8}{comment}"[:80].ljust(80)
    if isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    elif isinstance(value, str):
        text = f"'{value:<8}'".ljust(20)
    else:
        text = f"{value!r:>20}".replace("e", "E")
    return f"{keyword:<8}= {text} / {comment}"[:80].ljust(80)


def image_bytes(cards, data):
    """A FITS file whose primary image is `data` (big-endian, rows by columns), with `cards` in the header."""
    head = [
        card("SIMPLE", True, "conforms to FITS standard"),
        card("BITPIX", -8 * data.dtype.itemsize, ""),
        card("NAXIS", 2, ""),
        card("NAXIS1", data.shape[1], ""),
        card("NAXIS2", data.shape[0], ""),
        card("EXTEND", True, ""),
    ]
    header = "".join([*head, *cards, "END".ljust(80)]).encode("ascii")
    header += b" " * (-len(header) % _BLOCK)
    body = data.tobytes()
    return header + body + bytes(-len(body) % _BLOCK)


def table_bytes(table, title):
    """A FITS file with one binary table that says it is mock; units and descriptions go to the header."""
    hdu = fits.table_to_hdu(table)
    for number, name in enumerate(table.colnames, start=1):
        if table[name].description:
            hdu.header[f"TCOMM{number}"] = table[name].description
    primary = fits.PrimaryHDU()
    for header in (primary.header, hdu.header):
        header["ORIGIN"] = ("MOCK", "not an observation")
        header["COMMENT"] = title
    return hdus_bytes([primary, hdu])


def hdus_bytes(hdus):
    """A FITS file of header-data units of astropy."""
    buffer = io.BytesIO()
    fits.HDUList(hdus).writeto(buffer)
    return buffer.getvalue()


def replace_file(path, content):
    """Write `content` to a temporary file beside `path` and move it into place.

    Thousands of such files are not sent to the disk one by one (as `atomic_path` does): that is left to the caller.
    """
    for left in _leftovers(path.parent).pop(path.name, ()):
        left.unlink(missing_ok=True)
    temporary = path.with_name(f".part-{os.getpid()}-{path.name}")
    temporary.write_bytes(content)
    os.replace(temporary, path)


@functools.cache
def _leftovers(folder):
    """What killed writers left in a folder, by the name that it was to get; looked for once, when it is first used."""
    found = {}
    for left in folder.glob(".part-*"):
        found.setdefault(left.name.split("-", 2)[-1], []).append(left)
    return found


def date(mjd):
    """Calendar dates, ISO, of integer modified Julian days."""
    return (np.datetime64("1858-11-17") + np.asarray(mjd).astype("timedelta64[D]")).astype(str)
