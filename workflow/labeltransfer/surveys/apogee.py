"""APOGEE's allStar tables (reference labels and flags) and aspcapStar spectra."""

import os
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from labeltransfer.files import fitsfile
from labeltransfer.files.angles import degrees
from labeltransfer.files.columns import (
    SENTINELS,
    check_single,
    integers,
    label_values,
    numbers,
    pick,
    strings,
    uncertainties,
)
from labeltransfer.files.content import read_bytes
from labeltransfer.files.errors import refusal
from labeltransfer.files.names import fields, fill_pattern, printable, safe_names
from labeltransfer.files.readers import read_columns
from labeltransfer.files.rejected import rejected_rows
from labeltransfer.surveys.base import ReferenceSurvey
from labeltransfer.surveys.sky import on_sky

#: ASPCAPFLAG: name -> bit, from DR12 on.
ASPCAPFLAG = {
    "TEFF_WARN": 0,
    "LOGG_WARN": 1,
    "VMICRO_WARN": 2,
    "M_H_WARN": 3,
    "ALPHA_M_WARN": 4,
    "C_M_WARN": 5,
    "N_M_WARN": 6,
    "STAR_WARN": 7,
    "CHI2_WARN": 8,
    "COLORTE_WARN": 9,
    "ROTATION_WARN": 10,
    "SN_WARN": 11,
    "TEFF_BAD": 16,
    "LOGG_BAD": 17,
    "VMICRO_BAD": 18,
    "M_H_BAD": 19,
    "ALPHA_M_BAD": 20,
    "C_M_BAD": 21,
    "N_M_BAD": 22,
    "STAR_BAD": 23,
    "CHI2_BAD": 24,
    "COLORTE_BAD": 25,
    "ROTATION_BAD": 26,
    "SN_BAD": 27,
    "NO_ASPCAP_RESULT": 31,
}
EXTRATARG_DUPLICATE = 4

#: Where DR12 keeps an aspcapStar file, below its ASPCAP folder.
ASPCAP_PATTERN = "{LOCATION_ID}/aspcapStar-r5-v603-{APOGEE_ID}.fits"


class AspcapSpectrum(NamedTuple):
    """A combined APOGEE spectrum, arrays of shape (n_pix,); `wavelength` in vacuum Angstrom, rest frame."""

    wavelength: np.ndarray
    flux: np.ndarray
    error: np.ndarray
    model: np.ndarray


def read_allstar(path, labels, errors=None, aspcap_pattern=ASPCAP_PATTERN, sentinels=SENTINELS):
    """Read reference labels from an allStar table, one row per star.

    Parameters
    ----------
    path : str or path
        allStar of any release. Only the columns asked for are read.
    labels : dict
        Our name -> column, or (column, index) in a vector column such as PARAM or ELEM.
    errors : dict, optional
        Our name of the label -> column or (column, index) of its error.
    aspcap_pattern : str
        Where the aspcapStar file of a star lies; column names in braces. Stars of the 1-m telescope, which
        have LOCATION_ID 1, are filed under their FIELD.
    sentinels : sequence of float, optional
        Numbers that stand for a missing label or error.

    Returns
    -------
    reference : Table
        reference_id, ra, dec [deg], each label and ``<label>_err`` (NaN where missing), snr, aspcapflag,
        starflag, extratarg (where the table has them), aspcap_path ('' where it cannot be told).
    rejected : Table
        id, catalog, stage, reason of the other rows; reasons 'no identifier', 'unsafe identifier',
        'marked duplicate', 'no position', 'duplicate of a row with higher S/N'.

    Raises
    ------
    ArchiveError
        Where the file is no such table, has no rows, or lacks a column, the message listing what exists; 'sentinel
        among the labels'.
    """
    import pandas as pd  # whoever reads spectra has no use for it

    errors = errors or {}
    asked = {name: _column_and_index(place) for name, place in labels.items()}
    asked |= {f"{name}_err": _column_and_index(place) for name, place in errors.items() if name in labels}
    optional = {"SNR", "ASPCAPFLAG", "STARFLAG", "EXTRATARG", "FIELD", *fields(aspcap_pattern)}
    chosen, units = {}, {}

    def choose(names):
        have = {name.upper() for name in names}
        wanted = ["APOGEE_ID", "RA", "DEC", *(column for column, _ in asked.values())]
        chosen.update(pick(path, names, [*wanted, *(optional & have)]))
        return list(dict.fromkeys(chosen.values()))

    found = read_columns(path, choose, units=units)
    columns = {name: found[theirs] for name, theirs in chosen.items()}
    single = ("APOGEE_ID", "RA", "DEC", "SNR", "ASPCAPFLAG", "STARFLAG", "EXTRATARG")
    check_single({name: columns[name] for name in single if name in columns}, path)
    n_row = len(columns["APOGEE_ID"])

    names, strange = printable(strings(columns["APOGEE_ID"]))
    reference = Table({"reference_id": names.astype(str)})
    for name, theirs in (("ra", "RA"), ("dec", "DEC")):
        unit = units.get(chosen[theirs], "")
        reference[name] = degrees(columns[theirs], unit, path, theirs, name == "ra")
    reference["ra"].unit = reference["dec"].unit = "deg"
    for name in labels:
        reference[name] = label_values(_values(columns, asked[name], path), sentinels, path, asked[name][0])
        error, values = asked.get(f"{name}_err"), np.full(n_row, np.nan)
        reference[f"{name}_err"] = (
            uncertainties(_values(columns, error, path), sentinels) if error else values
        )
    reference["snr"] = numbers(columns["SNR"]) if "SNR" in columns else np.full(n_row, np.nan)
    for name in ("ASPCAPFLAG", "STARFLAG", "EXTRATARG"):
        if name in columns:
            reference[name.lower()] = _flags(columns[name])
    reference["aspcap_path"] = _aspcap_paths(aspcap_pattern, columns, n_row)
    reference.meta["source"] = os.path.basename(os.fspath(path))

    reason = _reasons(reference, names, strange)
    keep = reason == ""
    rows = pd.Series(np.arange(n_row)).map("row {}".format).to_numpy(object)
    ids = np.where(names == "", rows, names)[~keep]
    return reference[keep], rejected_rows(ids, "reference", "catalogue", reason[~keep])


def _reasons(reference, names, strange):
    """Why rows are not used; empty where they are."""
    import pandas as pd

    reason = np.full(len(names), "", dtype=object)
    reason[names == ""] = "no identifier"
    reason[strange] = "unsafe identifier"
    if "extratarg" in reference.colnames:
        marked = (reference["extratarg"].data >> EXTRATARG_DUPLICATE) & 1 == 1
        reason[(reason == "") & marked] = "marked duplicate"
    reason[(reason == "") & ~on_sky(reference["ra"].data, reference["dec"].data)] = "no position"
    usable = np.flatnonzero(reason == "")
    # Of equal S/N the earlier row wins; rows without S/N come last.
    order = usable[np.argsort(-np.nan_to_num(reference["snr"].data[usable], nan=-np.inf), kind="stable")]
    reason[order[pd.Series(names[order]).duplicated().to_numpy()]] = "duplicate of a row with higher S/N"
    return reason


def read_aspcapstar(path):
    """Read an aspcapStar file: the normalised spectrum, its error and the best-fitting model.

    Parameters
    ----------
    path : str or path
        aspcapStar FITS file, gzipped or not.

    Returns
    -------
    AspcapSpectrum
        From extensions 1 to 3; the wavelengths are 10^(CRVAL1 + CDELT1 i).

    Raises
    ------
    ArchiveError
        Reasons as for any FITS file, 'unknown layout', 'no wavelength solution'.
    """
    data = read_bytes(path)
    units = [unit for unit, _ in zip(fitsfile.hdus(data, path), range(4), strict=False)]
    images = [fitsfile.image(header, data, start) for header, start, stop in units[1:] if stop > start]
    shapes = {array.shape for array in images if array.ndim == 1 and array.dtype.kind == "f"}
    if len(images) != 3 or len(shapes) != 1 or any(array.shape not in shapes for array in images):
        found = f"extensions of shape {[array.shape for array in images]}"
        cure = "Check that this is an aspcapStar file."
        raise refusal(path, "unknown layout", "three one-dimensional extensions", found, cure)
    wavelength = log_wavelength(units[1][0], len(images[0]), path)
    with np.errstate(over="ignore", invalid="ignore"):
        flux, error, model = (array.astype(np.float64) for array in images)
    return AspcapSpectrum(wavelength, flux, error, model)


def log_wavelength(header, n_pix, path):
    """Wavelengths (n_pix,) [Angstrom] by the header of an image of APOGEE's, or 'no wavelength solution'."""
    first, step = fitsfile.number(header, "CRVAL1"), fitsfile.number(header, "CDELT1", "CD1_1")
    if not (0 < first < 10 and 0 < step < 0.1):
        found = f"CRVAL1 = {first}, CDELT1 = {step}"
        cure = "Check that this is a combined spectrum of APOGEE's."
        raise refusal(path, "no wavelength solution", "log10 wavelengths", found, cure)
    with np.errstate(over="ignore"):
        return 10.0 ** (first + step * np.arange(n_pix))


def _column_and_index(place):
    if isinstance(place, str):
        return place, None
    column, index = place
    return column, int(index)


def _values(columns, place, path):
    name, index = place
    values = columns[name]
    if (values.ndim == 1) != (index is None) or (index is not None and not 0 <= index < values.shape[1]):
        found = "a column of single numbers" if values.ndim == 1 else f"a vector of {values.shape[1]}"
        asked = "a column of single numbers" if index is None else f"number {index} of a vector"
        raise refusal(path, "missing column", f"{name} to be {asked}", found, "Correct the column mapping.")
    return values if index is None else values[:, index]


def _flags(column):
    # Bit 31 makes a 32-bit flag negative: keep the bits, not the sign.
    if column.dtype.kind not in "iu":
        return integers(column, 0)
    flags, bits = column.astype(np.int64), 8 * column.dtype.itemsize
    return flags if bits >= 64 else flags & (2**bits - 1)


def _aspcap_paths(pattern, columns, n_row):
    parts = {name: columns.get(name) for name in fields(pattern)}
    if any(part is None or part.ndim != 1 for part in parts.values()):
        return np.full(n_row, "", dtype=str)
    parts = {name: printable(strings(part))[0] for name, part in parts.items()}
    if "LOCATION_ID" in parts and "FIELD" in columns:
        parts["LOCATION_ID"] = np.where(
            parts["LOCATION_ID"] == "1", strings(columns["FIELD"]), parts["LOCATION_ID"]
        )
    safe = np.logical_and.reduce([safe_names(part) for part in parts.values()])
    return np.where(safe, fill_pattern(pattern, parts), "")


SURVEY = ReferenceSurvey("apogee", read_allstar, read_aspcapstar)
