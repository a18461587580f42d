"""From files to normalised spectra on the common grid; in blocks, so that memory stays small."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from labeltransfer.files.errors import ArchiveError
from labeltransfer.files.tables import read_table
from labeltransfer.spectra.frame import line_variance, mean_smoothing, pixel_phase, to_common_grid
from labeltransfer.spectra.grid import common_grid, require_grid
from labeltransfer.spectra.masks import read_windows, window_mask
from labeltransfer.spectra.medium import MEDIA, to_vacuum
from labeltransfer.spectra.normalise import banded_kernel, normalise
from labeltransfer.spectra.residual_noise import NoiseModel, read_model, residual_ivar
from labeltransfer.spectra.resolution import Resolution, broaden, excess_width, read_resolution
from labeltransfer.spectra.signal import band_snr, signal_to_noise
from labeltransfer.surveys.base import FRAMES
from labeltransfer.surveys.registry import get_survey

NO_REDSHIFT = "missing redshift"
TOO_FEW_PIXELS = "too few good pixels"
NO_FLUX = "no flux above zero"
NO_MEDIUM = "air or vacuum is not known"
NO_FRAME = "observed or at rest is not known"
NOT_INCREASING = "wavelength not increasing"
NO_ERRORS = "no errors"
G_BAND = (4000.0, 5500.0)  # rest-frame Angstrom


class Settings(NamedTuple):
    """How spectra are prepared.

    Attributes
    ----------
    grid : (n_pix,) float64
        Common grid of rest wavelengths [Angstrom].
    kernel : normalise.Kernel
        Of that grid.
    windows : list of masks.Window
        Masked in their frames.
    variance, interpolation : str
        Rules of `frame.to_common_grid`.
    resolution : resolution.Resolution or None
        Where all spectra are brought to one line width.
    andmask, ormask : bool
        Whether to mask pixels flagged in all exposures, and in any.
    min_good_fraction : float
        A spectrum with a smaller fraction of good pixels is left out; masked windows count as bad.
    missing_errors : float, residual_noise.NoiseModel, "residuals" or None
        S/N of every pixel of spectra of which no errors are known, or what these follow from, "residuals" where that is
        not there yet; None leaves them out.
    snr_band : (float, float) or None
        Rest wavelengths [Angstrom] over which `snr_g` is taken; None for the whole grid.
    """

    grid: np.ndarray
    kernel: object
    windows: list
    variance: str = "information"
    andmask: bool = True
    ormask: bool = False
    min_good_fraction: float = 0.5
    interpolation: str = "linear"
    resolution: Resolution | None = None
    missing_errors: float | NoiseModel | str | None = None
    snr_band: tuple | None = G_BAND


def in_vacuum(spectrum):
    """The spectrum with wavelengths in vacuum.

    Raises
    ------
    ArchiveError
        "air or vacuum is not known", "wavelength not increasing".
    """
    if spectrum.medium not in MEDIA:
        text = f"{spectrum.spectrum_id}: wavelengths in air or in vacuum? Say which"
        raise ArchiveError(text, NO_MEDIUM)
    if not (np.diff(spectrum.wavelength) > 0).all():
        raise ArchiveError(f"{spectrum.spectrum_id}: wavelengths do not increase", NOT_INCREASING)
    if spectrum.medium == "vacuum":
        return spectrum
    return spectrum._replace(wavelength=to_vacuum(spectrum.wavelength), medium="vacuum")


def to_rest(spectrum):
    """Redshift that brings a spectrum to rest, 0 for one that is.

    Raises
    ------
    ArchiveError
        "missing redshift" where it is not known, or at -1 or below; "observed or at rest is not known".
    """
    if spectrum.frame not in FRAMES:
        text = f"{spectrum.spectrum_id}: frame must be one of {', '.join(FRAMES)}: found {spectrum.frame!r}"
        raise ArchiveError(text, NO_FRAME)
    redshift = 0.0 if spectrum.frame == "rest" else spectrum.redshift
    if not (np.isfinite(redshift) and redshift > -1):
        raise ArchiveError(f"{spectrum.spectrum_id}: no redshift, hence no rest frame", NO_REDSHIFT)
    return redshift


def on_grid(spectrum, settings):
    """Mask a spectrum and bring it to the common grid in the rest frame.

    Parameters
    ----------
    spectrum : surveys.base.Spectrum
        As it was read.
    settings : Settings
        The kernel is not used.

    Returns
    -------
    flux, ivar : (n_pix,) float64
        Not yet normalised; without errors, ivar is what noise of size one gives with the rule "propagate".

    Raises
    ------
    ArchiveError
        With the reason "no errors", "too few good pixels", or "no flux above zero" if the median flux of the good
        pixels is not positive; and those of `in_vacuum`, `to_rest` and `resolution.excess_width`.
    """
    if spectrum.ivar is None and settings.missing_errors is None:
        text = f"{spectrum.spectrum_id}: no errors, and no preparation.missing_errors in their place"
        raise ArchiveError(text, NO_ERRORS)
    wavelength, redshift = in_vacuum(spectrum).wavelength, to_rest(spectrum)
    bad = np.zeros(len(wavelength), dtype=bool)
    # A spectrum at rest whose velocity nobody knows has the air's bands anywhere.
    if np.isfinite(spectrum.redshift):
        observed = wavelength * (1 + (spectrum.redshift - redshift))
        bad |= window_mask(observed, settings.windows, "observed")
    if settings.andmask:
        bad |= spectrum.andmask != 0
    if settings.ormask:
        bad |= spectrum.ormask != 0
    given, variance = spectrum.ivar, settings.variance
    if given is None:
        given, variance = (spectrum.andmask == 0).astype(float), "propagate"
    flux, ivar = to_common_grid(
        wavelength,
        spectrum.flux,
        np.where(bad, 0.0, given),
        redshift,
        settings.grid,
        variance,
        settings.interpolation,
    )
    if settings.resolution is not None:
        excess = excess_width(settings.resolution, spectrum, settings.grid)
        flux, ivar = broaden(flux, ivar, excess, variance)
    ivar[window_mask(settings.grid, settings.windows, "rest")] = 0.0
    good = np.count_nonzero(ivar)
    if good < settings.min_good_fraction * len(ivar):
        raise ArchiveError(f"{spectrum.spectrum_id}: {good} good pixels of {len(ivar)}", TOO_FEW_PIXELS)
    if not _median_is_positive(flux[ivar > 0]):
        raise ArchiveError(f"{spectrum.spectrum_id}: median flux is not positive", NO_FLUX)
    return flux, ivar


def _median_is_positive(values):
    """Whether their median is above zero, which need not be known for that."""
    return 2 * np.count_nonzero(values > 0) >= len(values) + 2 or np.median(values) > 0


class Gridded(NamedTuple):
    """Spectra on the common grid, before they are normalised.

    Attributes
    ----------
    flux, ivar : (m, n_pix) float64
    redshift, phase : (m,) float64
        Phase: see `frame.pixel_phase`.
    kept : (m,) int array
        Which of the files they are.
    reasons : dict of int to str
        Why the other files are none.
    assumed : (m,) bool array, optional
        Spectra without errors of their own.
    """

    flux: np.ndarray
    ivar: np.ndarray
    redshift: np.ndarray
    phase: np.ndarray
    kept: np.ndarray
    reasons: dict
    assumed: np.ndarray | None = None


def gridded(paths, settings, survey="lamost"):
    """Read spectra, mask them and bring them to the common grid; parameters as for `prepare`.

    Returns
    -------
    Gridded
        All of them at once.
    """
    read_spectrum = get_survey(survey).read_spectrum
    return gridded_from([partial(read_spectrum, path) for path in paths], settings)


def gridded_from(readers, settings):
    """`Gridded` of what functions without arguments return, or raise."""
    flux, ivar = np.empty((2, len(readers), len(settings.grid)))
    kept, redshifts, phases, assumed, reasons = [], [], [], [], {}
    for row, read in enumerate(readers):
        try:
            spectrum = in_vacuum(read())
            flux[len(kept)], ivar[len(kept)] = on_grid(spectrum, settings)
        except ArchiveError as error:
            reasons[row] = error.reason
        else:
            kept.append(row)
            assumed.append(spectrum.ivar is None)
            redshifts.append(spectrum.redshift)
            phases.append(pixel_phase(spectrum.wavelength, to_rest(spectrum), settings.grid))
    numbers = (np.array(column, dtype=float) for column in (redshifts, phases))
    kept, assumed = np.array(kept, dtype=int), np.array(assumed, dtype=bool)
    return Gridded(flux[: len(kept)], ivar[: len(kept)], *numbers, kept, reasons, assumed)


def prepare(ids, paths, settings, block=512, survey="lamost"):
    """Prepare spectra from their files.

    Parameters
    ----------
    ids : (n,) sequence of str
        What the spectra are called.
    paths : (n,) sequence of str
        Their files.
    settings : Settings
        Grid, kernel, masks and limits.
    block : int
        Spectra held at a time.
    survey : str
        Name of the survey that the files are of.

    Yields
    ------
    flux, ivar : (m, n_pix) float32
        Normalised; m is at most `block`.
    stars : Table
        m rows: id, redshift, phase (sub-pixel phase of the redshift, `frame.pixel_phase`), snr, snr_g, n_good.
    rejected : list of (id, reason)
        Of the files read for this block; no file stops the others.
    """
    for start in range(0, len(ids), block):
        rows = slice(start, start + block)
        yield prepared(ids[rows], gridded(paths[rows], settings, survey), settings)


def prepared(names, raw, settings):
    """What `prepare` yields of spectra (`Gridded`) with names (n,)."""
    kept, reasons = raw.kept, dict(raw.reasons)
    flux, ivar, _ = normalise(raw.flux, raw.ivar, settings.kernel)
    if raw.assumed is not None and raw.assumed.any():
        weight = np.where(ivar[raw.assumed] > 0, raw.ivar[raw.assumed], 0.0)
        ivar[raw.assumed] = _errors_instead(flux[raw.assumed], weight, settings)
    snr, snr_g = signal_to_noise(flux, ivar), band_snr(flux, ivar, settings)
    flux, ivar = _single(flux, ivar)
    n_good = np.count_nonzero(ivar, axis=1)
    enough = n_good >= settings.min_good_fraction * len(settings.grid)
    for row in kept[~enough]:
        reasons[row] = TOO_FEW_PIXELS
    stars = Table(
        {
            "id": np.array([names[row] for row in kept], dtype=str),
            "redshift": raw.redshift,
            "phase": raw.phase,
            "snr": snr,
            "snr_g": snr_g,
            "n_good": n_good,
        }
    )
    rejected = [(names[row], reasons[row]) for row in sorted(reasons)]
    return flux[enough], ivar[enough], stars[enough], rejected


def _errors_instead(flux, weight, settings):
    """Inverse variance of normalised spectra without errors; their weight is that of noise of size one."""
    if settings.missing_errors == "residuals":
        raise ValueError("preparation.missing_errors: 'residuals' need a noise model of such spectra")
    if not isinstance(settings.missing_errors, NoiseModel):
        return np.where(weight > 0, settings.missing_errors**2, 0.0)
    ivar, _ = residual_ivar(flux, weight, settings.missing_errors)
    return ivar * weight if settings.variance == "propagate" else ivar


def _single(flux, ivar):
    """Normalised spectra in float32; a pixel beyond its range is masked."""
    with np.errstate(over="ignore", under="ignore"):
        flux, ivar = flux.astype(np.float32), ivar.astype(np.float32)
    bad = ~(np.isfinite(flux) & np.isfinite(ivar))
    flux[bad], ivar[bad] = 1.0, 0.0
    return flux, ivar


def settings_from(grid, preparation, windows, fibres=None, noise=None, residuals=None):
    """Settings of the preparation from their parts of the configuration, and tables of what these may need.

    Parameters
    ----------
    grid, preparation : mapping
        Parts of the configuration.
    windows : sequence of path
        Tables of masked windows.
    fibres : path, optional
        Table of the fibres' resolution.
    noise : path, optional
        File of a `noise_table`.
    residuals : path, optional
        File of a `residual_noise.model_table`, for missing errors "residuals".

    Returns
    -------
    Settings
    """
    wavelength, missing = common_grid(**grid), preparation.get("missing_errors")
    if missing == "residuals" and residuals:
        missing = read_model(residuals, wavelength)
    return Settings(
        wavelength,
        kernel_from(wavelength, preparation["normalisation"], noise),
        read_windows(*windows),
        preparation["variance"],
        preparation["andmask"],
        preparation["ormask"],
        preparation["min_good_fraction"],
        preparation["interpolation"],
        read_resolution(preparation["resolution"]["common"], fibres) if preparation["resolution"] else None,
        missing,
        preparation.get("snr_band", G_BAND),
    )


def kernel_from(wavelength, normalisation, noise=None):
    """Kernel of Eq. 1 on a grid, from its part of the configuration; noise as for `settings_from`, or an array."""
    keys = ("width", "weight", "errors", "fit")
    shape = read_noise(noise, wavelength) if isinstance(noise, str | Path) else noise
    return banded_kernel(wavelength, *(normalisation[key] for key in keys), typical=shape)


def noise_table(wavelength, noise):
    """Table of the typical noise (n_pix,), from `normalise.typical_noise`, at wavelengths (n_pix,) [Angstrom]."""
    return Table({"wavelength": wavelength, "ivar": noise}, units={"wavelength": "Angstrom"})


def read_noise(path, wavelength):
    """Typical noise (n_pix,) from the file of a `noise_table`.

    Raises
    ------
    ValueError
        If it is of another grid.
    """
    table = read_table(path)
    require_grid(table["wavelength"], wavelength, path)
    return np.asarray(table["ivar"], dtype=float)


def smoothing_of(preparation, resolution, grid):
    """By how much the preparation widens lines of a given R on average [pixel^2]; negative where it cannot."""
    smoothing = mean_smoothing(preparation["interpolation"])
    if preparation["resolution"]:
        common = preparation["resolution"]["common"]
        smoothing += line_variance(common, grid) - line_variance(resolution, grid)
    return smoothing
