"""LAMOST for specutils: our spectra as its objects, and a loader of LAMOST's four layouts among its own.

specutils knows the loaders that a session has registered, and runs the files of ``~/.specutils`` when it is imported;
it looks for no entry points. So either call `register`, or put the call into a file of that folder.
"""

import io
import re

import numpy as np
from astropy.io import fits

from labeltransfer.files import fitsfile
from labeltransfer.files.content import gunzip, read_bytes
from labeltransfer.files.errors import ArchiveError
from labeltransfer.surveys import lamost
from labeltransfer.surveys.through_specutils import KEPT, import_specutils

LABEL = "LAMOST low-resolution"
_ABOVE_GENERIC = 10  # specutils' own priority of the formats of surveys
_START = 10 * fitsfile.BLOCK
_GZIP = b"\x1f\x8b"
_NAMED = re.compile(rb"^SIMPLE  =(?s:.*)(?:TELESCOP|ORIGIN  |DESIG   )= '[^']*LAMOST")


def to_specutils(spectrum, unit=""):
    """Convert a spectrum to one of specutils.

    Parameters
    ----------
    spectrum : Spectrum
    unit : str or Unit, optional
        Of the flux; LAMOST's is relative, without any.

    Returns
    -------
    specutils.Spectrum
        Spectral axis in Angstrom; uncertainty an InverseVariance, or None; mask where `andmask` is raised; redshift,
        hence radial velocity, that of an observed spectrum. Its metadata have andmask, ormask, redshift, medium, frame
        and what else is known of the spectrum.

    Raises
    ------
    ImportError
        Without specutils.
    """
    specutils = import_specutils()
    from astropy import units as u
    from astropy.nddata import InverseVariance

    unit, moving = u.Unit(unit), spectrum.frame == "observed" and np.isfinite(spectrum.redshift)
    about = {key: getattr(spectrum, key) for key in ("redshift", "medium", "frame", *KEPT)}
    known = {key: value for key, value in about.items() if value != "" and (value == value) and value != -1}
    flags = {"andmask": spectrum.andmask, "ormask": spectrum.ormask}
    return specutils.Spectrum(
        flux=spectrum.flux * unit,
        spectral_axis=spectrum.wavelength * u.AA,
        uncertainty=None if spectrum.ivar is None else InverseVariance(spectrum.ivar, unit=unit**-2),
        mask=spectrum.andmask != 0,
        redshift=spectrum.redshift if moving else None,
        meta=known | flags,
    )


def register():
    """Make `specutils.Spectrum.read` and `specutils.SpectrumList.read` know LAMOST's files; again does no harm.

    Raises
    ------
    ImportError
        Without specutils.
    """
    specutils = import_specutils()
    from specutils.io.registers import data_loader

    data_loader(
        LABEL, identifier=is_lamost, dtype=specutils.Spectrum, extensions=["fits", "fits.gz"],
        priority=_ABOVE_GENERIC, force=True,
    )(load)  # fmt: skip


def load(source, **options):
    """Load a LAMOST spectrum of any layout, as `to_specutils` gives it.

    Parameters
    ----------
    source : path, binary file or HDUList
    **options
        Accepted and not used, as specutils hands on what its other loaders know.

    Raises
    ------
    ArchiveError
        As `lamost.read_spectrum`.
    """
    return to_specutils(lamost.spectrum_from(*_content(source)))


def is_lamost(origin, path, fileobj, *args, **options):
    """Whether a file is a LAMOST low-resolution spectrum, from its content; arguments as astropy's registry has them.

    A damaged one counts, so that its reader can say what is wrong with it.
    """
    source = fileobj if fileobj is not None else args[0] if args else path
    if origin != "read" or not _NAMED.search(_content(source, _START)[0][:_START]):
        return False
    try:
        lamost.spectrum_from(*_content(source))
    except ArchiveError as error:
        return error.reason != "unknown layout"
    return True


def _content(source, most=-1):
    """The unzipped bytes of a source, of a plain stream at most so many, and its name; it is back at its start then."""
    if isinstance(source, fits.HDUList):
        whole = io.BytesIO()
        source.writeto(whole, output_verify="ignore")
        return whole.getvalue(), source.filename() or ""
    if hasattr(source, "read"):
        # From its start, as all of specutils reads: another loader may have given up in the middle.
        source.seek(0)
        name, zipped = getattr(source, "name", ""), source.read(2) == _GZIP
        source.seek(0)
        data = gunzip(source.read(), name) if zipped else source.read(most)
        source.seek(0)
        return data, name
    return read_bytes(source), source
