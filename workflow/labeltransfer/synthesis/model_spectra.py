"""Model spectra with every label stepped: one table that users can fill from their own synthesis.

The file is FITS. Its primary header carries ``RESOL`` (resolving power), ``WAVEMED`` ('vacuum') and the
provenance; table ``SPECTRA`` has one row per spectrum, table ``WAVELENGTH`` the common wavelengths
[Angstrom, vacuum]. What is written here of the format (`COLUMNS` and what follows) holds for its writer too,
`synthesis.table`.
"""

from typing import NamedTuple

import numpy as np

from labeltransfer.files import fitsfile
from labeltransfer.files.content import TABLE_LIMIT, map_bytes
from labeltransfer.files.errors import refusal
from labeltransfer.synthesis.steps import REFERENCE, Labels, step_labels

ELEMENTS = ("C", "N", "O", "Na", "Mg", "Al", "Si", "S", "K", "Ca", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni")
STEPPED_LABELS = step_labels(ELEMENTS)

SPECTRA, WAVELENGTH = "SPECTRA", "WAVELENGTH"  # names of the tables
RESOLVING_POWER, MEDIUM, FLUX_UNIT = "RESOL", "WAVEMED", "FLUXUNIT"  # cards of the primary header
CODE, ATMOSPHERES, LINES = "CODE", "ATMOS", "LINES"  # the same: where the spectra come from
VACUUM = "vacuum"
_NEEDED = ("reference", *Labels._fields, "stepped_label", "step", "flux")
COLUMNS = (*_NEEDED, "continuum")  # those of users' tables may lack the last
_TEXTS, _VECTORS = ("reference", "stepped_label"), ("flux", "continuum")
# Spellings of the unit that each column has to be in; None where the column has no unit.
_UNITS = {
    "teff": ("K",),
    "logg": (None, "dex", "dex(cm s-2)", "dex(cm / s2)"),
    "m_h": (None, "dex"),
    "vmic": ("km s-1", "km/s", "km / s"),
}
_ANGSTROM = ("Angstrom", "AA", "angstrom")


class ModelSpectra(NamedTuple):
    """Model spectra around one or several reference points; n rows, n_pix pixels.

    Attributes
    ----------
    wavelength : (n_pix,) Angstrom, vacuum, increasing
    reference : (n,) str, name of the reference point
    teff, logg, m_h, vmic : (n,) labels of the reference point [K, dex, dex, km/s]
    stepped_label : (n,) str, ``reference`` for none
    step : (n,) signed, in the unit of the label
    flux : (n, n_pix) emergent flux, not normalised
    continuum : (n, n_pix), or None if the file has none
    resolution : float, resolving power of the Gaussian line-spread function
    provenance : dict of the remaining primary header cards
    """

    wavelength: np.ndarray
    reference: np.ndarray
    teff: np.ndarray
    logg: np.ndarray
    m_h: np.ndarray
    vmic: np.ndarray
    stepped_label: np.ndarray
    step: np.ndarray
    flux: np.ndarray
    continuum: np.ndarray | None
    resolution: float
    provenance: dict


def read_model_spectra(path, labels=STEPPED_LABELS, coverage=(3905.0, 9000.0)):
    """Read model spectra and check that gradients can be taken from them.

    Parameters
    ----------
    path : path-like
        FITS file in the format of this module.
    labels : sequence of str
        Labels that every reference point must have a positive and a negative step of.
    coverage : (float, float)
        Range that the wavelengths must cover [Angstrom, vacuum].

    Returns
    -------
    ModelSpectra

    Raises
    ------
    ArchiveError
        Naming what is wrong: no such tables or columns, other units, air wavelengths, a short range,
        a reference point without its own row, missing labels or steps, values that are not physical.
    """
    data = map_bytes(path, TABLE_LIMIT)
    primary, found = None, {}
    for header, start, _ in fitsfile.hdus(data, path):
        primary = header if primary is None else primary
        if fitsfile.text(header, "XTENSION") == "BINTABLE":
            found.setdefault(fitsfile.text(header, "EXTNAME").upper(), (header, start))
    for name in (SPECTRA, WAVELENGTH):
        if name not in found:
            raise _wrong(path, "missing table", f"a table {name}", ", ".join(found) or "none")
    spectra = _columns(path, data, *found[SPECTRA], SPECTRA, COLUMNS, _NEEDED)
    wave = _columns(path, data, *found[WAVELENGTH], WAVELENGTH, ("wavelength",), ("wavelength",))
    _check_units(path, found[SPECTRA][0], found[WAVELENGTH][0])
    models = ModelSpectra(
        wavelength=wave["wavelength"],
        **{name: spectra[name] for name in _NEEDED},
        continuum=spectra.get("continuum"),
        resolution=fitsfile.number(primary, RESOLVING_POWER),
        provenance={
            key: fitsfile.header_value(primary, key)
            for key in (CODE, ATMOSPHERES, LINES, FLUX_UNIT)
            if key in primary
        },
    )
    _check_wavelength(path, models.wavelength, fitsfile.text(primary, MEDIUM), coverage)
    _check_values(path, models)
    _check_steps(path, models, labels)
    return models


def reference_points(models):
    """Names of the reference points, in the order of the file."""
    return list(dict.fromkeys(models.reference.tolist()))


def step_pair(models, reference, label):
    """Rows of a reference point and of its smallest positive and negative step in a label.

    Returns
    -------
    (int, int, int), or None if a step is missing
        Row of the reference spectrum, of the positive step, of the negative step.
    """
    here = models.reference == reference
    stepped = np.flatnonzero(here & (models.stepped_label == label))
    plus, minus = stepped[models.step[stepped] > 0], stepped[models.step[stepped] < 0]
    if len(plus) == 0 or len(minus) == 0:
        return None
    centre = np.flatnonzero(here & (models.stepped_label == REFERENCE))[0]
    return int(centre), int(plus[models.step[plus].argmin()]), int(minus[models.step[minus].argmax()])


def off_centre_steps(models, tolerance=1.0):
    """Pairs of steps that do not enclose their reference spectrum.

    Two spectra computed at +step and -step differ from the reference in opposite directions. Where their
    mean lies further from the reference (rms of the line-to-continuum ratio) than ``tolerance`` times half
    their difference, they were computed about another composition than the file says, and no gradient can
    be taken from them.

    Returns
    -------
    list of (reference, label)
    """
    ratio = models.flux if models.continuum is None else models.flux / models.continuum
    found = []
    for reference in reference_points(models):
        for label in dict.fromkeys(models.stepped_label.tolist()):
            rows = step_pair(models, reference, label)
            if rows is None:
                continue
            centre, plus, minus = ratio[list(rows)]
            half, mean = 0.5 * (plus - minus), 0.5 * (plus + minus) - centre
            if np.sqrt(np.mean(mean**2)) > tolerance * np.sqrt(np.mean(half**2)):
                found.append((reference, label))
    return found


def _wrong(path, reason, expected, found, cure="Compare with the file in resources/ab_initio."):
    return refusal(path, reason, expected, found, cure)


def _columns(path, data, header, start, table, wanted, needed):
    """Columns of a table as copies: text as str, numbers as float64; vectors for the spectra alone."""
    layout = fitsfile.column_layout(header, path)
    missing = [name for name in needed if name.upper() not in layout]
    if missing:
        found = ", ".join(name.lower() for name in layout)
        raise _wrong(path, "missing columns", f"{', '.join(missing)} in table {table}", found)
    columns = {}
    for name in wanted:
        if name.upper() not in layout:
            continue
        values = fitsfile.column(header, data, start, layout[name.upper()])
        kind, n_axis = "S" if name in _TEXTS else "iuf", 2 if name in _VECTORS else 1
        if values.dtype.kind not in kind or values.ndim != n_axis:
            what = "text" if kind == "S" else "a vector" if n_axis == 2 else "a number"
            found = f"{values.dtype} of shape {values.shape[1:]}"
            raise _wrong(path, "bad shape", f"{what} in each row of column {name}", found)
        if kind == "S":
            columns[name] = np.char.strip(np.char.decode(values, "ascii", "replace"))
        else:
            columns[name] = values.astype(float)
    return columns


def _check_units(path, spectra, wave):
    tables = [(spectra, name, f"column {name}", units) for name, units in _UNITS.items()]
    for header, name, what, allowed in [*tables, (wave, "wavelength", "the wavelengths", _ANGSTROM)]:
        number = fitsfile.column_layout(header, path)[name.upper()][0]
        unit = fitsfile.text(header, f"TUNIT{number}") or None
        if unit not in allowed:
            expected = next(text for text in allowed if text) if None not in allowed else "dex or no unit"
            raise _wrong(path, "wrong unit", f"{what} in {expected}", f"the unit {unit!r}")


def _check_wavelength(path, wavelength, medium, coverage):
    if str(medium).strip().lower() != VACUUM:
        cure = "Convert air to vacuum wavelengths, and say so in the header."
        raise _wrong(path, "not vacuum", "WAVEMED = 'vacuum'", f"WAVEMED = {medium!r}", cure)
    if len(wavelength) < 2 or not np.all(np.diff(wavelength) > 0):
        raise _wrong(path, "bad wavelengths", "increasing wavelengths", "some that do not increase")
    low, high = coverage
    if not (wavelength[0] <= low and wavelength[-1] >= high):
        found = f"{wavelength[0]:.1f} to {wavelength[-1]:.1f}"
        raise _wrong(path, "range too short", f"wavelengths from {low:g} to {high:g} Angstrom", found)


def _check_values(path, models):
    n_pix = len(models.wavelength)
    for name in ("flux", "continuum"):
        vector = getattr(models, name)
        if vector is None:
            continue
        if vector.shape != (len(models.reference), n_pix):
            found = f"shape {vector.shape} and {n_pix} wavelengths"
            raise _wrong(path, "bad shape", f"one {name} per wavelength", found)
        if not np.all(np.isfinite(vector) & (vector > 0)):
            raise _wrong(path, "bad flux", f"positive values in column {name}", "others")
    if not np.all((models.teff > 2000) & (models.teff < 60000)):
        found = f"{models.teff.min():g} to {models.teff.max():g}"
        raise _wrong(path, "wrong unit", "teff of the reference points in K", found)


def _check_steps(path, models, labels):
    for reference in reference_points(models):
        here = models.reference == reference
        rows = np.flatnonzero(here & (models.stepped_label == REFERENCE))
        if len(rows) != 1:
            expected = f"one row with stepped_label 'reference' at reference point {reference}"
            raise _wrong(path, "missing reference row", expected, len(rows))
        missing = [label for label in labels if step_pair(models, reference, label) is None]
        if missing:
            expected = f"positive and negative steps of {', '.join(missing)} at reference point {reference}"
            has = ", ".join(dict.fromkeys(models.stepped_label[here & (models.step != 0)].tolist()))
            raise _wrong(path, "missing labels", expected, f"steps of {has or 'nothing'}")
