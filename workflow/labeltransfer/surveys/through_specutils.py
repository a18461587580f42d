"""Spectra of whatever specutils opens: other surveys' files, ECSV, ASCII, tables and images in FITS.

specutils (Astropy's package for spectra) is asked for when a spectrum is read and not before. It keeps neither whether
wavelengths are in air or in vacuum nor whether they are at rest, so what neither the caller nor the file says stays
unknown, and the preparation refuses such a spectrum with a reason. For large archives this is the slow way.
"""

import os
from functools import partial

import numpy as np

from labeltransfer.files.errors import refusal
from labeltransfer.surveys.base import FRAMES, Spectrum, Survey

CANNOT_READ = "specutils cannot read it"
SEVERAL = "several spectra"
#: Fields of a `Spectrum` beside its arrays that `for_specutils.to_specutils` keeps in the metadata.
KEPT = ("ra", "dec", "snrg", "layout", "obsid", "lmjd", "planid", "spid", "fiberid", "designation")
KEPT += ("redshift_err", "resolution", "spectrum_id")

_POWERS = {"std": (1, -2), "var": (2, -1), "ivar": (-2, 1)}  # of the flux's unit; from the errors to ivar
_CURE = "Name a `format` of specutils, or the options of its reader."


def import_specutils():
    """The module specutils.

    Raises
    ------
    ImportError
        Which says how to get it.
    """
    try:
        import specutils
    except ImportError as error:
        text = "specutils is not installed: pip install survey-label-transfer[specutils]"
        raise ImportError(text) from error
    return specutils


def read_with_specutils(path, format=None, medium=None, frame=None, redshift=None, which=None, **options):
    """Read a spectrum through specutils.

    Parameters
    ----------
    path : str or path
        Any file that `specutils.Spectrum.read` or `specutils.SpectrumList.read` opens.
    format : str, optional
        Name that specutils has for the format; otherwise it finds out.
    medium : "vacuum" or "air", optional
        Of the wavelengths; otherwise as the metadata say (`MEDIUM`, `AIRORVAC`, `VACUUM`, or `AWAV` in `CTYPE1`; not
        `WAVE`, which is written for either), or "", not known.
    frame : "observed" or "rest", optional
        Otherwise as the metadata say (`FRAME`), "observed" where the caller or specutils has a redshift, or "", not
        known: a header with a redshift may be of a spectrum at rest.
    redshift : float, optional
        Otherwise that of specutils, where it is not 0, or of the metadata (`REDSHIFT`), or NaN.
    which : int or sequence of int, optional
        Of a file with several spectra, which one, counted from 0: its place in the list and its row, as far as
        there are several.
    **options
        For specutils' reader of the format.

    Returns
    -------
    Spectrum
        As `from_specutils`; its id is the name of the file, without ``.gz``.

    Raises
    ------
    ArchiveError
        'no such file', 'not a regular file', 'specutils cannot read it', and as `from_specutils`.
    ImportError
        Without specutils.
    """
    specutils = import_specutils()
    path = os.fspath(path)
    if not os.path.isfile(path):
        # Looked at first: specutils would take some names for addresses, and fetch them.
        reason = "not a regular file" if os.path.exists(path) else "no such file"
        raise refusal(path, reason, "a file", "none", "Check the path.")
    try:
        found = _read(specutils, path, format, options)
    except Exception as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise refusal(path, CANNOT_READ, "a spectrum", said[:300], _CURE) from error
    one, _ = _chosen(found, which, path)
    said = _said(one, "FRAME")
    frame = said if frame is None and said in FRAMES else frame
    spectrum = from_specutils(found, path, medium, frame, redshift, which)
    if redshift is None and np.isnan(spectrum.redshift):
        spectrum = spectrum._replace(redshift=_number(one, "REDSHIFT"))
    name = one.meta.get("spectrum_id", os.path.basename(path).removesuffix(".gz"))
    return spectrum._replace(spectrum_id=name)


def from_specutils(found, name="", medium=None, frame=None, redshift=None, which=None):
    """Convert a spectrum of specutils.

    Parameters
    ----------
    found : specutils.Spectrum or specutils.SpectrumList
        With a spectral axis in any unit of wavelength, frequency, wavenumber or energy, increasing or decreasing.
    name : str, optional
        What it is called, unless its metadata have our `spectrum_id`.
    medium, which
        As for `read_with_specutils`.
    frame : "observed" or "rest", optional
        Otherwise "observed" where there is a redshift, or "", not known.
    redshift : float, optional
        Otherwise that of the object; specutils has 0 where nobody said any, which is then NaN here.

    Returns
    -------
    Spectrum
        The flux in the unit that it had; ivar from a standard deviation, variance or inverse variance, or None without
        any; masked pixels and those without a number are flagged.

    Raises
    ------
    ArchiveError
        'no spectrum'; 'several spectra', where `which` does not say which; 'no wavelength solution', 'wavelength not
        increasing', 'errors in another unit', 'all pixels bad'.
    """
    one, row = _chosen(found, which, name)
    wavelength, flux, ivar, mask = _rows(one, row, name)
    if not (np.diff(wavelength) > 0).all():
        cure = "Leave it out."
        raise refusal(
            name, "wavelength not increasing", "a monotonic axis", "steps of both signs or none", cure
        )
    good = np.isfinite(flux) if ivar is None else np.isfinite(flux) & (ivar > 0)
    if not good.any():
        cure = "Leave this spectrum out."
        raise refusal(name, "all pixels bad", "a pixel with a flux and an error", "none", cure)
    andmask, ormask = _flags(one, mask, flux)
    redshift = _redshift(one) if redshift is None else float(redshift)
    about = {key: one.meta[key] for key in KEPT if key in one.meta} if "spectrum_id" in one.meta else {}
    # Where there are both, RA is that of the plate.
    sky = {"ra": _number(one, "PLUG_RA", "RA"), "dec": _number(one, "PLUG_DEC", "DEC")}
    return Spectrum(
        wavelength,
        np.where(np.isfinite(flux), flux, 0.0),
        None if ivar is None else np.where(good, ivar, 0.0),
        andmask,
        ormask,
        redshift=redshift,
        medium=_medium(one) if medium is None else medium,
        frame=("observed" if np.isfinite(redshift) else "") if frame is None else frame,
        **{"redshift_err": np.nan, "spectrum_id": name, **sky} | about,
    )


def _read(specutils, path, format, options):
    """What specutils makes of a file; a list of formats that it reads as lists only, such as DESI's."""
    from astropy.io.registry import IORegistryError, get_reader, identify_format
    from astropy.utils.data import get_readable_fileobj

    kind, formats = specutils.Spectrum, [format]
    if format is None:
        with get_readable_fileobj(path, encoding="binary") as file:
            formats = identify_format("read", specutils.SpectrumList, path, file, [file], options)
    try:
        for name in formats:
            get_reader(name, specutils.Spectrum)
    except IORegistryError:
        kind = specutils.SpectrumList
    return kind.read(path, format=format, **options)


def _chosen(found, which, name):
    """One object of specutils, and which of its rows."""
    places = [] if which is None else [int(place) for place in np.atleast_1d(which)]
    if isinstance(found, list):
        found = found[_place(len(found), places, name, "spectra in a list")] if found else None
    if found is None or found.flux.size == 0:
        raise refusal(name, "no spectrum", "a spectrum", "no pixel", "Leave it out.")
    n_row = int(np.prod(found.flux.shape)) // found.flux.shape[found.spectral_axis_index]
    row = _place(n_row, places, name, "rows of flux")
    if places:
        raise refusal(name, SEVERAL, "no more places in `which`", f"{places} beyond", "Leave them out.")
    return found, row


def _place(count, places, name, of_what):
    if count == 1:
        return 0
    if not places or not 0 <= places[0] < count:
        said = f"; which = {places[0]}" if places else ""
        cure = "Say `which`, counted from 0: its place in the list and its row, as far as there are several."
        raise refusal(name, SEVERAL, "one spectrum", f"{count} {of_what}{said}", cure)
    return places.pop(0)


def _rows(one, row, name):
    """Wavelength [Angstrom], flux, ivar or None and mask (n_pix,) of an object, from short to long wavelengths."""

    def flat(array, kind):
        array = np.moveaxis(np.asarray(array), one.spectral_axis_index, -1)
        return np.array(array.reshape(-1, array.shape[-1])[row], dtype=kind)

    import astropy.units as u

    try:
        wavelength = np.array(one.wavelength.to_value("Angstrom"), dtype=float)
    except (u.UnitsError, ValueError) as error:
        cure = "Give the axis a unit of wavelength, frequency or energy."
        raise refusal(name, "no wavelength solution", "such an axis", error, cure) from error
    flux = flat(one.flux.value, float)
    ivar = _ivar(one, flat, name)
    mask = np.zeros(len(flux), dtype=bool) if one.mask is None else flat(one.mask, bool)
    order = slice(None, None, -1 if wavelength[0] > wavelength[-1] else 1)
    return tuple(None if array is None else array[order] for array in (wavelength, flux, ivar, mask))


def _ivar(one, flat, name):
    """Inverse variance in the flux's unit, 0 where there is none; None where the kind of errors is not known."""
    import astropy.units as u

    errors = one.uncertainty
    if errors is None or errors.uncertainty_type not in _POWERS:
        return None
    of_unit, of_errors = _POWERS[errors.uncertainty_type]
    values = flat(errors.array, float)
    if errors.unit is not None:
        try:
            values = u.Quantity(values, errors.unit).to_value(one.flux.unit**of_unit)
        except u.UnitsError as error:
            cure = "Give flux and errors units that go together."
            raise refusal(name, "errors in another unit", "the flux's unit", error, cure) from error
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ivar = values**of_errors
    return np.where((values > 0) & np.isfinite(ivar), ivar, 0.0)


def _flags(one, mask, flux):
    """The flags andmask and ormask: our own where the mask still is theirs, otherwise 1 where it is raised."""
    flags = [np.asarray(one.meta.get(key)) for key in ("andmask", "ormask")]
    if any(part.shape != mask.shape for part in flags) or ((flags[0] != 0) != mask).any():
        flags = [mask, mask]
    return tuple(np.where(np.isfinite(flux), part, 1).astype(np.uint32) for part in flags)


def _redshift(one):
    """The redshift of an object; NaN for 0, which stands for none, and where there are several."""
    redshift = np.ravel(np.asarray(one.redshift, dtype=float))
    return float(redshift[0]) if len(redshift) == 1 and redshift[0] != 0 else np.nan


def _said(one, *names):
    """The first of some metadata that an object, or the header in them, has; None without any."""
    for name in names:
        for place in (one.meta, one.meta.get("header")):
            for spelled in (name, name.lower()) if hasattr(place, "get") else ():
                if place.get(spelled) is not None:
                    return place.get(spelled)
    return None


def _number(one, *names):
    """As `_said`, a finite number; NaN for -9999, and without any."""
    try:
        value = float(_said(one, *names))
    except (TypeError, ValueError):
        return np.nan
    return value if np.isfinite(value) and value > -9000 else np.nan


def _medium(one):
    """What the metadata say of the medium; "" where they say nothing, or two things."""
    said = {str(_said(one, name)).strip().lower()[:3] for name in ("MEDIUM", "AIRORVAC")}
    found = {medium for medium in ("vacuum", "air") if medium[:3] in said}
    vacuum = _said(one, "VACUUM")  # true or false in files of SDSS and LAMOST
    if isinstance(vacuum, int | np.integer | np.bool_) and vacuum in (0, 1):
        found.add("vacuum" if vacuum else "air")
    if str(_said(one, "CTYPE1")).upper().startswith("AWAV"):
        found.add("air")
    return found.pop() if len(found) == 1 else ""


def _no_catalog(path, sentinels=()):
    """Refuse a catalogue, as there is none that such files have in common."""
    cure = "List the folder of the spectra."
    raise refusal(path, "no catalogue", "the catalogue of a survey", "files of any", cure)


def _no_address(spectrum_id, obsid):
    """None: nobody serves such files under their names."""


def survey(name="specutils", **said):
    """A `Survey` of files that specutils opens, with what is said of all of them.

    Parameters
    ----------
    name : str
        As in the registry.
    **said
        For `read_with_specutils`: format, medium, frame, ...

    Returns
    -------
    Survey
    """
    return Survey(name, {}, partial(read_with_specutils, **said), _no_catalog, _no_address)


SURVEY = survey()
