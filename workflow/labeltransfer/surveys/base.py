"""What every survey has in common: how its spectra are given, what the workflow asks of it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

FRAMES = ("observed", "rest")


class Spectrum(NamedTuple):
    """One spectrum; arrays have the shape (n_pix,).

    `wavelength` is in Angstrom, increasing, in the `medium` and the `frame` that it says; `flux` and `ivar` are finite,
    and `ivar` is 0 where the file has no usable value; a flag that is not 0 marks a pixel that is bad in all exposures
    (`andmask`) or in any (`ormask`). Numbers that the file lacks are NaN, `obsid` is -1; `ivar` is None for a survey
    that publishes no errors.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray | None
    andmask: np.ndarray
    ormask: np.ndarray
    redshift: float
    redshift_err: float
    spectrum_id: str
    ra: float = np.nan
    dec: float = np.nan
    snrg: float = np.nan
    layout: str = ""
    # LAMOST's names of an observation.
    obsid: int = -1
    lmjd: int = -1
    planid: str = ""
    spid: int = -1
    fiberid: int = -1
    designation: str = ""
    # wavelength / FWHM of a line, where the file says it.
    resolution: float = np.nan
    # "vacuum" or "air"; "" where nobody knows, and such a spectrum is refused.
    medium: str = "vacuum"
    # "observed" (heliocentric, at `redshift`) or "rest", where a redshift, if known, tells what the air absorbed.
    frame: str = "observed"


class Survey(NamedTuple):
    """What the workflow asks of a survey whose spectra get labels.

    Attributes
    ----------
    name : str
        The first part of the names of its releases: lamost of lamost-dr2.
    labels : dict
        Columns that its catalogue may have, from its own pipeline: name -> (unit, description).
    read_spectrum : callable
        Path -> `Spectrum`, or an ArchiveError.
    iterate_catalog : callable, optional
        Of a survey that publishes a catalogue; else its spectra are what is in a folder. Path, `sentinels` (numbers
        that stand for missing labels) -> blocks of rows, (survey, rejected) each:
        spectrum_id, path, obsid, ra, dec [deg] and `labels`, NaN where they are missing; and
        `files.rejected.rejected_rows`.
    address_values : callable, optional
        Of a survey whose archive is asked spectrum by spectrum. spectrum_id, obsid -> what fills an address of its
        archive (spectrum_id, planid, obsid, date), or None for a name that is none of the survey's.
    """

    name: str
    labels: dict
    read_spectrum: Callable
    iterate_catalog: Callable | None = None
    address_values: Callable | None = None


class ReferenceSurvey(NamedTuple):
    """What the workflow asks of a survey whose labels are carried over.

    Attributes
    ----------
    name : str
        The first part of the names of its releases: apogee of apogee-dr12.
    read_catalog : callable
        Path, columns and columns of the errors (label -> column), `sentinels` -> (reference, rejected):
        reference_id, ra, dec [deg] (NaN where they are not known), labels and their errors, snr, flags, path of the
        spectrum; and `files.rejected.rejected_rows`.
    read_spectrum : callable, optional
        Path -> a tuple that begins with wavelength [Angstrom, vacuum, rest frame] and normalised flux.
    """

    name: str
    read_catalog: Callable
    read_spectrum: Callable | None = None


def describe(survey, labels):
    """Put units and descriptions on the columns of a survey table; `labels` as in `Survey`."""
    columns = {"ra": ("deg", "right ascension"), "dec": ("deg", "declination"), **labels}
    for name in set(columns) & set(survey.colnames):
        survey[name].unit, survey[name].description = columns[name]
