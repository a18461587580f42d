"""LAMOST low-resolution spectra in the four layouts of its releases, and its catalogues of parameters.

======  =====================  ========================================================================
layout  releases               structure
======  =====================  ========================================================================
L0      2013 (DR1 era)         primary image 5 x N float32; its third row is a sub-continuum, and the
                               wavelengths are 10^(COEFF0 + COEFF1 i)
L1      Dec 2014 (DR2 era)     primary image 5 x N float64: flux, inverse variance, wavelength, masks
L2      DR3 to DR7, DR8 v1     the same in float32
L3      DR8 v2, DR9 and later  table of one row: FLUX, IVAR, WAVELENGTH, ANDMASK, ORMASK, ...
======  =====================  ========================================================================

The layout is chosen by what the file contains, never by the release that its header or its name claims.
"""

import os
import re
from datetime import date, timedelta

import numpy as np
from astropy.table import Table, vstack

from labeltransfer.files import fitsfile
from labeltransfer.files.angles import degrees
from labeltransfer.files.columns import (
    SENTINELS,
    check_single,
    integers,
    numbers,
    pick,
    span_of,
    strings,
    uncertainties,
)
from labeltransfer.files.content import read_bytes
from labeltransfer.files.errors import refusal
from labeltransfer.files.names import SAFE_NAME, fill_pattern, printable, safe_names
from labeltransfer.files.readers import iterate_columns
from labeltransfer.files.rejected import rejected_rows
from labeltransfer.surveys.base import Spectrum, Survey, describe
from labeltransfer.surveys.sky import on_sky

WAVELENGTH_RANGE = (3000.0, 11000.0)
_NAME = re.compile(r"spec-(\d{5})-(.+)_sp(\d{2})-(\d{3})(?=\.|$)")
_SPECTRUM_ID = rf"spec-(?P<lmjd>[0-9]{{5}})-(?P<planid>{SAFE_NAME})_sp[0-9]{{2}}-[0-9]{{3}}\.fits"
_ID_PATTERN = "spec-{lmjd}-{planid}_sp{spid:02d}-{fiberid:03d}.fits"
_TABLE_ROWS = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK")

#: Columns of the survey table that are read where the catalogue has them: unit and description.
SURVEY_LABELS = {
    "snrg": (None, "S/N per pixel in the g band"),
    "teff": ("K", "effective temperature, survey pipeline"),
    "logg": (None, "surface gravity, survey pipeline [dex]"),
    "feh": (None, "[Fe/H], survey pipeline [dex]"),
    "teff_err": ("K", "its error"),
    "logg_err": (None, "its error [dex]"),
    "feh_err": (None, "its error [dex]"),
    "rv": ("km/s", "radial velocity, survey pipeline"),
}


def read_spectrum(path):
    """Read a LAMOST low-resolution spectrum of any release.

    Parameters
    ----------
    path : str or path
        FITS file, gzipped or not whatever its name says.

    Returns
    -------
    Spectrum

    Raises
    ------
    ArchiveError
        Its `reason` is one of 'no such file', 'not a regular file', 'cannot be read', 'empty file',
        'file too large', 'truncated gzip', 'damaged gzip', 'not FITS', 'HTML page instead of a file',
        'truncated FITS', 'damaged FITS header', 'absurd size in header', 'unknown layout',
        'no wavelength solution', 'wavelength not increasing', 'wavelength out of range', 'all pixels bad'.
    """
    return spectrum_from(read_bytes(path), path)


def spectrum_from(data, path):
    """As `read_spectrum`, of the unzipped content `data` (bytes) of a file called `path`."""
    layout, header, rows = _rows(data, path)
    with np.errstate(over="ignore", invalid="ignore"):
        flux, ivar = rows[0].astype(np.float64), rows[1].astype(np.float64)
        wavelength = (
            _log_wavelength(header, len(flux), path) if layout == "L0" else rows[2].astype(np.float64)
        )
    _check_wavelength(wavelength, path)

    ivar[~(np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0))] = 0.0
    flux[~np.isfinite(flux)] = 0.0
    if not ivar.any():
        cure = "Leave this spectrum out."
        raise refusal(path, "all pixels bad", "a pixel with positive inverse variance", "none", cure)

    lmjd, planid, spid, fiberid, spectrum_id = _identity(header, path)
    redshift = fitsfile.number(header, "Z")
    return Spectrum(
        wavelength=wavelength,
        flux=flux,
        ivar=ivar,
        andmask=_flags(rows[3]),
        ormask=_flags(rows[4]),
        # At Z <= -1 there is no rest frame: as good as unknown.
        redshift=redshift if redshift > -1 else np.nan,
        redshift_err=fitsfile.number(header, "Z_ERR"),
        # Overflowed to a negative number in some files of DR3.
        obsid=max(fitsfile.integer(header, "OBSID"), -1),
        lmjd=lmjd,
        planid=planid,
        spid=spid,
        fiberid=fiberid,
        designation=fitsfile.text(header, "DESIG").removeprefix("LAMOST").strip(),
        ra=fitsfile.number(header, "RA"),
        dec=fitsfile.number(header, "DEC"),
        snrg=fitsfile.number(header, "SNRG", "SN_G"),
        layout=layout,
        spectrum_id=spectrum_id,
    )


def _rows(data, path):
    """Layout, primary header, and the rows flux, ivar, (wavelength or sub-continuum), andmask, ormask."""
    primary, found = None, "no data"
    for header, start, stop in fitsfile.hdus(data, path):
        primary = header if primary is None else primary
        if header is primary and stop > start:
            rows = fitsfile.image(header, data, start)
            if rows.ndim == 2 and rows.shape[0] == 5 and rows.shape[1] > 1 and rows.dtype.kind == "f":
                return _image_layout(header, rows), header, rows
            found = f"a primary image of {rows.dtype} with shape {rows.shape}"
            break
        if fitsfile.text(header, "XTENSION") == "BINTABLE":
            columns = fitsfile.column_layout(header, path)
            found = f"a table {fitsfile.text(header, 'EXTNAME')!r} of {', '.join(list(columns)[:20])}"
            if set(_TABLE_ROWS) <= set(columns) and fitsfile.integer(header, "NAXIS2") == 1:
                cells = [fitsfile.column(header, data, start, columns[name])[0] for name in _TABLE_ROWS]
                shapes = {cell.shape for cell in cells if cell.dtype.kind in "iuf" and cell.size > 1}
                if len(shapes) == 1 and all(cell.shape in shapes and cell.ndim == 1 for cell in cells):
                    return "L3", primary, cells
    expected = "a primary image 5 x N, or a table of one row with FLUX, IVAR, WAVELENGTH, ANDMASK, ORMASK"
    cure = "Only LAMOST low-resolution spectra can be read: check what this file is."
    raise refusal(path, "unknown layout", expected, found, cure)


def _image_layout(header, rows):
    # EXTEN0 names the rows. Should it be missing, the third row tells: only wavelengths increase steadily.
    names = fitsfile.text(header, "EXTEN0").lower()
    if "continuum" in names or ("wavelength" not in names and not _increasing(rows[2]).all()):
        return "L0"
    return "L1" if rows.dtype.itemsize == 8 else "L2"


def _log_wavelength(header, n_pix, path):
    first, step = fitsfile.number(header, "COEFF0"), fitsfile.number(header, "COEFF1")
    if not (np.isfinite(first) and np.isfinite(step)):
        cure = "Fetch the spectrum from a later release, which lists the wavelengths."
        raise refusal(path, "no wavelength solution", "COEFF0 and COEFF1", f"{first} and {step}", cure)
    return 10.0 ** (first + step * np.arange(n_pix))


def _increasing(row):
    with np.errstate(invalid="ignore"):
        return row[1:] > row[:-1]


def _check_wavelength(wavelength, path):
    # NaN fails both comparisons.
    low, high = WAVELENGTH_RANGE
    increasing = _increasing(wavelength)
    if not increasing.all():
        cure = "Fetch the file again; if it is the same, leave it out."
        found = f"{np.sum(~increasing)} steps that do not increase"
        raise refusal(path, "wavelength not increasing", "increasing wavelengths", found, cure)
    if not (wavelength[0] >= low and wavelength[-1] <= high):
        cure = "Only optical spectra with wavelengths in Angstrom can be read."
        found = f"{wavelength[0]:.6g} to {wavelength[-1]:.6g}"
        raise refusal(path, "wavelength out of range", f"{low:g} to {high:g} Angstrom", found, cure)


def _flags(row):
    # Flags that are no numbers count as raised.
    with np.errstate(invalid="ignore"):
        good = (row >= 0) & (row < 2**32)
        return np.where(good, row, 1).astype(np.uint32)


def _identity(header, path):
    """(lmjd, planid, spid, fiberid, spectrum_id), from the published name or else from the header.

    The published name goes first: LMJD is MJD - 1 in DR1 and DR2 and MJD + 1 later, OBSID may be missing.
    """
    name = os.path.basename(os.fspath(path))
    for candidate in (fitsfile.text(header, "FILENAME"), name):
        match = _NAME.match(candidate)
        if match and safe_names([match[0]])[0]:
            return int(match[1]), match[2], int(match[3]), int(match[4]), f"{match[0]}.fits"
    lmjd, spid, fiberid = (fitsfile.integer(header, key) for key in ("LMJD", "SPID", "FIBERID"))
    planid = fitsfile.text(header, "PLANID")
    if min(lmjd, spid, fiberid) >= 0 and safe_names([planid])[0]:
        return (
            lmjd,
            planid,
            spid,
            fiberid,
            _ID_PATTERN.format(lmjd=lmjd, planid=planid, spid=spid, fiberid=fiberid),
        )
    return lmjd, planid, spid, fiberid, name.removesuffix(".gz")


def read_catalog(path, path_pattern="{planid}/{spectrum_id}.gz"):
    """Read a LAMOST catalogue of stellar parameters (AFGK).

    Parameters
    ----------
    path : str or path
        FITS, or text separated by ``|`` (LAMOST's own) or by commas; gzipped or not. Case of the names is
        free. Needed: lmjd, planid, spid, fiberid, ra, dec. Read where present: obsid, snrg, teff, logg, feh,
        their errors, rv.
    path_pattern : str
        Where a spectrum lies in the archive, as for `str.format`; may use spectrum_id, planid, and the
        numbers lmjd, spid, fiberid, obsid.

    Returns
    -------
    survey : Table
        One row per spectrum, columns as in `SURVEY_LABELS` and spectrum_id, path, obsid, ra, dec [deg].
    rejected : Table
        id, catalog, stage, reason of the other rows; reasons 'no identifier', 'unsafe file name',
        'duplicate spectrum id', 'no position'.

    Raises
    ------
    ArchiveError
        Where the file is no such table, lacks a column, or has no rows.
    """
    blocks, lost = zip(*iterate_catalog(path, path_pattern), strict=True)
    return vstack(blocks, metadata_conflicts="silent"), vstack(lost)


def iterate_catalog(path, path_pattern="{planid}/{spectrum_id}.gz", sentinels=SENTINELS):
    """Read a catalogue in blocks of rows, as `read_catalog` does whole; the file is read twice.

    Of the survey's labels, `sentinels` are numbers that stand for missing ones.

    Yields
    ------
    survey, rejected : Table
        Of the next rows, in their order.
    """
    (repeated, spans), done = _first_look(path, sentinels), 0
    for columns, units, parts, complete, reason, _ in _catalog_blocks(path):
        n_row = len(reason)
        ra, dec = (
            degrees(columns[name], units[name], path, name, name == "ra", whole=False)
            for name in ("ra", "dec")
        )
        reason[repeated[done : done + n_row]] = "duplicate spectrum id"
        reason[(reason == "") & ~on_sky(ra, dec)] = "no position"

        keep = reason == ""
        kept = {name: part[keep] for name, part in parts.items()}
        kept["spectrum_id"] = fill_pattern(_ID_PATTERN, kept)
        survey = Table(
            {
                "spectrum_id": kept["spectrum_id"],
                "path": fill_pattern(path_pattern, kept),
                "obsid": kept["obsid"],
                "ra": ra[keep],
                "dec": dec[keep],
            },
            copy=False,
        )
        for name in SURVEY_LABELS:
            read = uncertainties if name.endswith("_err") else numbers
            survey[name] = np.full(keep.sum(), np.nan)
            if name in columns:
                survey[name] = read(columns[name], sentinels, spans[name])[keep]
        describe(survey, SURVEY_LABELS)
        survey.meta["source"] = os.path.basename(os.fspath(path))

        lost = {name: part[~keep] for name, part in parts.items()} | {"row": done + np.flatnonzero(~keep)}
        ids = np.where(lost["obsid"] >= 0, fill_pattern("{obsid}", lost), fill_pattern("row {row}", lost))
        ids = np.where(complete[~keep], fill_pattern(_ID_PATTERN, lost), ids)
        yield survey, rejected_rows(ids, "survey", "catalogue", reason[~keep])
        done += n_row


def _catalog_blocks(path):
    """Columns of a catalogue under our names, what identifies the spectra, and reasons against them.

    Yields
    ------
    columns, units, parts : dict
    complete : bool array
        Whether a row has all that names a spectrum.
    reason : array of str objects
        Empty where there is none.
    key : (array, array)
        The day, and the rest of what identifies a spectrum as one number.
    """
    import pandas as pd  # whoever reads spectra has no use for it

    needed = ("lmjd", "planid", "spid", "fiberid", "ra", "dec")
    chosen, known, given = {}, {}, {}

    def choose(names):
        have = {name.lower() for name in names}
        chosen.update(pick(path, names, [*needed, *({"obsid", *SURVEY_LABELS} & have)]))
        return chosen.values()

    for found in iterate_columns(path, choose, texts=("planid",), units=given):
        columns = {name: found[theirs] for name, theirs in chosen.items()}
        units = {name: given.get(theirs, "") for name, theirs in chosen.items()}
        check_single(columns, path)
        n_row = len(columns["lmjd"])
        parts = {name: integers(columns[name]) for name in ("lmjd", "spid", "fiberid")}
        parts["obsid"] = integers(columns["obsid"]) if "obsid" in columns else np.full(n_row, -1)
        code, plans = pd.factorize(strings(columns["planid"]))
        # As numbers: catalogues of millions of rows have the names of few plans.
        number = np.array([known.setdefault(plan, len(known)) for plan in plans], dtype=np.int64)
        plans, strange = printable(plans)
        parts["planid"] = plans[code]

        complete = (parts["lmjd"] > 0) & (parts["planid"] != "")
        complete &= (parts["spid"] >= 0) & (parts["spid"] < 100)
        complete &= (parts["fiberid"] >= 0) & (parts["fiberid"] < 1000)
        reason = np.full(n_row, "", dtype=object)
        reason[~complete] = "no identifier"
        reason[complete & (strange | ~safe_names(plans))[code]] = "unsafe file name"
        rest = (number[code] * 100 + parts["spid"]) * 1000 + parts["fiberid"]
        yield columns, units, parts, complete, reason, (parts["lmjd"], rest)


def _first_look(path, sentinels):
    """Which rows name the spectrum of a row before them, and the ranges of the survey's labels without sentinels."""
    import pandas as pd  # whoever reads spectra has no use for it

    days, rests, usable, spans = [], [], [], {}
    for columns, _, _, _, reason, (day, rest) in _catalog_blocks(path):
        for name in SURVEY_LABELS.keys() & columns.keys():
            spans[name] = span_of(columns[name], sentinels, spans.get(name, (np.inf, -np.inf)))
        days.append(day)
        rests.append(rest)
        usable.append(reason == "")
    usable = np.concatenate(usable)
    repeated = np.zeros(len(usable), dtype=bool)
    key = pd.DataFrame({"day": np.concatenate(days)[usable], "rest": np.concatenate(rests)[usable]})
    repeated[usable] = key.duplicated().to_numpy()
    return repeated, spans


def address_values(spectrum_id, obsid):
    """What fills the address of a spectrum.

    Parameters
    ----------
    spectrum_id : str
        Published name.
    obsid : int

    Returns
    -------
    dict or None
        spectrum_id, planid, obsid and date (of the night, as YYYYMMDD); None if the name is none of LAMOST's.
    """
    match = re.fullmatch(_SPECTRUM_ID, spectrum_id)
    if match is None or ".." in spectrum_id:
        return None
    # From DR3 on, LMJD is the day after the UTC date of the observation, which names the folder.
    night = date(1858, 11, 17) + timedelta(days=int(match["lmjd"]) - 1)
    names = {"spectrum_id": spectrum_id, "planid": match["planid"], "obsid": str(obsid)}
    return names | {"date": f"{night:%Y%m%d}"}


SURVEY = Survey("lamost", SURVEY_LABELS, read_spectrum, iterate_catalog, address_values)
