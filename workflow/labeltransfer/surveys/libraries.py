"""Libraries of stars with known labels at R ~ 2000: MILES and STELIB.

Sanchez-Blazquez et al. 2006, MNRAS 371, 703; Le Borgne et al. 2003, A&A 402, 433. Both publish spectra of linear
wavelengths in air, at rest, without errors: MILES with its labels in a table of its own (Cenarro et al. 2007, MNRAS
374, 664), STELIB with Teff and [Fe/H] in the header of each spectrum. STELIB's rest frame is rough: its stars are off
by tens of km/s.
"""

import os
import re

import numpy as np
from astropy.table import Table, vstack

from labeltransfer.files import fitsfile
from labeltransfer.files.columns import SENTINELS, pick
from labeltransfer.files.content import read_bytes
from labeltransfer.files.errors import refusal
from labeltransfer.files.rejected import rejected_rows
from labeltransfer.surveys.base import ReferenceSurvey, Spectrum, Survey
from labeltransfer.surveys.label_tables import named_labels

WAVELENGTH_RANGE = (2500.0, 12000.0)
MIDDLE = 5500.0  # Angstrom, at which R of a spectrum with lines of one FWHM is given
_NO_LABEL = (
    99.0  # MILES: 99.99 and 99999 stand for a label that nobody knows; no star has such log g or [Fe/H]
)
_HOTTEST = 90000.0
_MILES_NAME = re.compile(r"m(\d{4})V\.fits")
_HENRY_DRAPER = re.compile(r"HD\s*0*(\d+)\s*([A-Z]?)(?![A-Z\d])")
# Columns of the table of MILES' names: the name may have blanks and digits in it.
_NAME, _NUMBER = slice(0, 18), slice(18, 30)


def read_miles(path):
    """Read a spectrum of MILES; its id is that of the table of labels, such as "0001".

    Parameters
    ----------
    path : path
        FITS file ``...star_m0001V.fits``.

    Returns
    -------
    Spectrum
        In air, at rest, without errors; R at 5,500 Angstrom from the FWHM of the header.

    Raises
    ------
    ArchiveError
        As for any FITS file; 'unknown layout', 'no wavelength solution', 'wavelength out of range', 'all pixels bad',
        'no identifier' for a name that has no number of a star.
    """
    wavelength, flux, header = _linear_spectrum(path)
    number = _MILES_NAME.search(os.path.basename(os.fspath(path)))
    if number is None:
        raise refusal(
            path, "no identifier", "a name like star_m0001V.fits", "another", "Give it its own name back."
        )
    width = fitsfile.number(header, "FWHM")
    return _library_spectrum(wavelength, flux, number[1], resolution=MIDDLE / width if width > 0 else np.nan)


def read_stelib(path):
    """Read a spectrum of STELIB, as `read_miles`; its id is the name of the star, without blanks."""
    wavelength, flux, header = _linear_spectrum(path)
    name = fitsfile.text(header, "OBJECT").replace(" ", "")
    if not name:
        raise refusal(path, "no identifier", "OBJECT in the header", "none", "Leave it out.")
    return _library_spectrum(wavelength, flux, name)


def read_stelib_labels(path):
    """Teff [K] and [Fe/H] in the header of a spectrum of STELIB; NaN where it has none."""
    header = next(iter(fitsfile.hdus(read_bytes(path), path)))[0]
    return tuple(fitsfile.number(header, keyword) for keyword in ("TEFF", "FE_H"))


def read_miles_labels(path):
    """Read the table of labels of MILES.

    Parameters
    ----------
    path : path
        Text: number of the star, Teff, log g, [Fe/H]; lines of comments begin with #.

    Returns
    -------
    stars : Table
        id ("0001"), teff [K], logg, fe_h [dex]; NaN where a label is not known.
    rejected : Table
        id (the line), catalog, stage, reason of the others: 'no identifier' for a number that is none, as one of the
        table is, 'not numbers'.

    Raises
    ------
    ArchiveError
        'unknown layout' where no line is of a star.
    """
    rows, lost = [], {}
    for number, line in enumerate(read_bytes(path).decode("utf-8", "replace").splitlines(), start=1):
        star, *values = line.split() or ["#"]
        if star.startswith("#"):
            continue
        try:
            teff, logg, fe_h = map(float, values)
        except ValueError:
            lost[f"line {number}"] = "not numbers"
            continue
        if star.isdigit():
            rows.append((f"{int(star):04d}", teff, logg, fe_h))
        else:
            lost[f"line {number}"] = "no identifier"
    if not rows:
        cure = "Check that this is the table of MILES."
        raise refusal(path, "unknown layout", "star, Teff, log g, [Fe/H]", f"{len(lost)} other lines", cure)
    table = Table(rows=rows, names=("id", "teff", "logg", "fe_h"), units=("", "K", "dex", "dex"))
    for name, limit in (("teff", _HOTTEST), ("logg", _NO_LABEL), ("fe_h", _NO_LABEL)):
        table[name][np.abs(table[name]) >= limit] = np.nan
    return table, rejected_rows(list(lost), "reference", "catalogue", list(lost.values()))


def read_miles_catalog(path, labels, errors=None, sentinels=SENTINELS):
    """Labels of MILES as a reference catalogue; see `labeltransfer.surveys.base.ReferenceSurvey`.

    Columns are teff, logg, fe_h; the table has no errors.
    """
    table, rejected = read_miles_labels(path)
    chosen = pick(path, table.colnames[1:], [*labels.values(), *(errors or {}).values()])
    columns = {name: table[chosen[theirs]].data for name, theirs in labels.items()}
    reference, again = named_labels(table["id"], columns, source=os.path.basename(os.fspath(path)))
    return reference, vstack([rejected, again], metadata_conflicts="silent")


def read_miles_names(path):
    """Names of the stars of MILES.

    Parameters
    ----------
    path : path
        Text of fixed columns, ``paramsMILES_v9.1.txt``: name of the star, its number, and other things.

    Returns
    -------
    dict of str to str
        Id as in the table of labels ("0001") -> name.

    Raises
    ------
    ArchiveError
        'unknown layout' where no line is of a star.
    """
    names = {}
    for line in read_bytes(path).decode("utf-8", "replace").splitlines():
        number = re.search(r"\b\d{4}\b", line[_NUMBER])
        if number and line[_NAME].strip():
            names[number[0]] = line[_NAME].strip()
    if not names:
        raise refusal(path, "unknown layout", "name and number", "none", "Check that this is MILES' table.")
    return names


def henry_draper(name):
    """The star's number in the catalogue of Henry Draper, "48682" of HD048682A, and "48682B" of its companion.

    Parameters
    ----------
    name : str
        Name of a star, or of a file that has it in its own; what follows in small letters is no part of it.

    Returns
    -------
    str or None
        None for other names.
    """
    found = _HENRY_DRAPER.search(name)
    return found and found[1] + found[2].replace("A", "")


def same_stars(names, others):
    """Find which of other names are of the same stars, by `henry_draper`.

    Parameters
    ----------
    names, others : (n,) and (m,) sequences of str

    Returns
    -------
    (n,) int array
        Rows of the others; -1 where there is none. Of several names of a star the first counts, on both sides.
    """
    first = {}
    for row, name in enumerate(others):
        first.setdefault(henry_draper(name), row)
    first.pop(None, None)
    return np.array([first.pop(henry_draper(name), -1) for name in names], dtype=int)


def _library_spectrum(wavelength, flux, name, **about):
    """A spectrum at rest in air, without errors."""
    good = np.isfinite(flux) & (flux != 0)
    bad, flux = (~good).astype(np.uint32), np.where(good, flux, 0.0)
    return Spectrum(
        wavelength,
        flux,
        None,
        bad,
        bad,
        np.nan,
        np.nan,
        name,
        medium="air",
        frame="rest",
        layout="linear",
        **about,
    )


def _linear_spectrum(path):
    """Wavelengths, flux and header of an image of one row with linear wavelengths."""
    data = read_bytes(path)
    header, start, stop = next(iter(fitsfile.hdus(data, path)))
    flux = fitsfile.image(header, data, start) if stop > start else np.zeros(0)
    if flux.ndim != 1 or flux.dtype.kind != "f" or flux.size < 2:
        found = f"an image of {flux.dtype} with shape {flux.shape}"
        raise refusal(path, "unknown layout", "a spectrum of one row", found, "Check what this file is.")
    first, step = fitsfile.number(header, "CRVAL1"), fitsfile.number(header, "CD1_1", "CDELT1")
    pixel = _reference_pixel(header)
    if not (np.isfinite(first) and step > 0):
        found = f"CRVAL1 = {first}, CDELT1 = {step}"
        raise refusal(path, "no wavelength solution", "linear wavelengths", found, "Leave it out.")
    with np.errstate(over="ignore", invalid="ignore"):
        flux = flux.astype(np.float64)
        wavelength = first + step * (np.arange(len(flux)) + 1 - pixel)
    low, high = WAVELENGTH_RANGE
    if not (low <= wavelength[0] and wavelength[-1] <= high):
        found = f"{wavelength[0]:.6g} to {wavelength[-1]:.6g}"
        raise refusal(
            path, "wavelength out of range", f"{low:g} to {high:g} Angstrom", found, "Leave it out."
        )
    if not (np.isfinite(flux) & (flux != 0)).any():
        raise refusal(path, "all pixels bad", "a flux that is not zero", "none", "Leave this spectrum out.")
    return wavelength, flux, header


def _reference_pixel(header):
    """Pixel, counted from 1, of which CRVAL1 is the wavelength."""
    pixel = fitsfile.number(header, "CRPIX1")
    return pixel if np.isfinite(pixel) else 1.0


MILES, STELIB = Survey("miles", {}, read_miles), Survey("stelib", {}, read_stelib)
MILES_LABELS = ReferenceSurvey("miles", read_miles_catalog)
