"""APOGEE's combined spectra as spectra to be labelled: aspcapStar, which the survey normalised, and apStar.

Both have the same pixels, 10^(4.179 + 6e-6 i) Angstrom in vacuum, and are at rest; their visits were taken at various
velocities of the Earth, so that nothing tells what the air absorbed. Three detectors leave gaps without flux.
The layout of apStar is that of SDSS's data model: rows of the combined spectrum, weighted pixel by pixel and as a
whole, then of the visits; spectra of one visit have one row.
"""

import os
import re

import numpy as np

from labeltransfer.files import fitsfile
from labeltransfer.files.content import read_bytes
from labeltransfer.files.errors import refusal
from labeltransfer.surveys.apogee import log_wavelength, read_aspcapstar
from labeltransfer.surveys.base import Spectrum

#: APOGEE_PIXMASK: name -> bit.
PIXMASK = {
    "BADPIX": 0,
    "CRPIX": 1,
    "SATPIX": 2,
    "UNFIXABLE": 3,
    "BADDARK": 4,
    "BADFLAT": 5,
    "BADERR": 6,
    "NOSKY": 7,
    "LITTROW_GHOST": 8,
    "PERSIST_HIGH": 9,
    "PERSIST_MED": 10,
    "PERSIST_LOW": 11,
    "SIG_SKYLINE": 12,
    "SIG_TELLURIC": 13,
    "NOT_ENOUGH_PSF": 14,
}
#: Those that spoil a pixel; the others say that it may be affected, persistence that of a third of all fibres.
BAD_PIXEL = (
    "BADPIX",
    "CRPIX",
    "SATPIX",
    "UNFIXABLE",
    "BADDARK",
    "BADFLAT",
    "BADERR",
    "NOSKY",
    "SIG_SKYLINE",
    "NOT_ENOUGH_PSF",
)
# The pipeline raises the errors of pixels that it distrusts by factors of 30 to 10,000, and leaves their flux.
_RAISED = 10.0
_NAME = re.compile(r"(?:2M|AP)\d{8}[+-]\d{7}\d*|VESTA")


def read_spectrum(path):
    """Read a combined spectrum, apStar if its third image is a mask of pixels, else aspcapStar: see below."""
    headers = [header for header, _, _ in _first_units(read_bytes(path), path)]
    flagged = len(headers) > 3 and fitsfile.integer(headers[3], "BITPIX") > 0
    return (read_apstar_spectrum if flagged else read_aspcap_spectrum)(path)


def read_aspcap_spectrum(path):
    """Read an aspcapStar file: flux over the survey's own pseudo-continuum.

    Pixels in gaps have neither flux nor error; a flux of zero is none either, and neither is one whose error is more
    than ten times the median of the spectrum.

    Parameters
    ----------
    path : str or path
        FITS file, gzipped or not.

    Returns
    -------
    Spectrum
        At rest, in vacuum; its redshift is not known. DR10 states no error below 0.5 %.

    Raises
    ------
    ArchiveError
        As `read_aspcapstar`; 'all pixels bad', 'no identifier'.
    """
    found = read_aspcapstar(path)
    header = next(fitsfile.hdus(read_bytes(path), path))[0]
    return _spectrum(path, header, found.wavelength, (found.flux, found.error), "aspcapStar")


def read_apstar_spectrum(path, bad=BAD_PIXEL):
    """Read an apStar file: the spectrum combined with weights for each pixel.

    Parameters
    ----------
    path : str or path
        FITS file, gzipped or not.
    bad : sequence of str
        Names in `PIXMASK` that spoil a pixel.

    Returns
    -------
    Spectrum
        At rest, in vacuum, flux in 1e-17 erg/s/cm^2/Angstrom. `andmask` has the bits that all visits share,
        `ormask` those of the combined spectrum, which are those of any visit; of `bad` alone.

    Raises
    ------
    ArchiveError
        As for any FITS file; 'unknown layout', 'no wavelength solution', 'all pixels bad', 'no identifier'.
    """
    data = read_bytes(path)
    units = _first_units(data, path)
    images = [
        np.atleast_2d(fitsfile.image(header, data, start))
        for header, start, stop in units[1:]
        if stop > start
    ]
    kinds = "".join(array.dtype.kind for array in images)
    if kinds not in ("ffi", "ffu") or len({array.shape for array in images}) != 1 or images[0].ndim != 2:
        found = f"extensions of shape {[array.shape for array in images]}"
        cure = "Check that this is an apStar file."
        raise refusal(path, "unknown layout", "images of flux, error and pixel mask", found, cure)
    wavelength = log_wavelength(units[1][0], images[0].shape[1], path)
    with np.errstate(over="ignore", invalid="ignore"):
        flux, error = (array[0].astype(np.float64) for array in images[:2])
    mask = (images[2].astype(np.int64) & sum(1 << PIXMASK[name] for name in bad)).astype(np.uint32)
    # What the second row holds differs between releases; the visits are as they are in all of them.
    shared = np.bitwise_and.reduce(mask[2:], axis=0) if len(mask) > 2 else mask[0]
    found = _spectrum(path, units[0][0], wavelength, (flux, error), "apStar")
    lost = found.andmask
    return found._replace(andmask=lost | shared, ormask=lost | mask[0])


def _first_units(data, path):
    """The primary unit and three extensions, or as many as there are; what follows is not looked at."""
    return [unit for unit, _ in zip(fitsfile.hdus(data, path), range(4), strict=False)]


def _spectrum(path, header, wavelength, values, layout):
    """A spectrum at rest from flux and error (n_pix,); bit 31 of the masks is of pixels that have no usable value."""
    flux, error = values
    good = np.isfinite(flux) & np.isfinite(error) & (flux != 0) & (error > 0)
    if good.any():
        good &= error <= _RAISED * np.median(error[good])
    else:
        cure = "Leave this spectrum out."
        raise refusal(path, "all pixels bad", "a pixel with flux and error", "none", cure)
    ivar = np.zeros(len(flux))
    ivar[good] = error[good] ** -2.0
    lost = np.where(good, 0, 1 << 31).astype(np.uint32)
    return Spectrum(
        wavelength,
        np.where(good, flux, 0.0),
        ivar,
        lost,
        lost,
        np.nan,
        np.nan,
        _identity(header, path),
        ra=fitsfile.number(header, "RA"),
        dec=fitsfile.number(header, "DEC"),
        layout=layout,
        frame="rest",
    )


def _identity(header, path):
    """APOGEE_ID by the header, or by the name of the file."""
    for keyword in ("OBJ", "OBJID"):
        name = fitsfile.text(header, keyword)
        if name:
            return name
    match = _NAME.search(os.path.basename(os.fspath(path)))
    if match is None:
        raise refusal(path, "no identifier", "OBJ or OBJID in the header", "none", "Leave it out.")
    return match[0]
