"""Spectra that are in memory, prepared like those of files."""

from functools import partial

import numpy as np

from labeltransfer.spectra.prepare import gridded_from, prepared
from labeltransfer.surveys.base import Spectrum


def prepare_arrays(wavelength, flux, ivar, redshift, settings, ids=None, **about):
    """Prepare spectra that are in memory.

    Parameters
    ----------
    wavelength : (n_pix,) or (n, n_pix) array
        Increasing [Angstrom].
    flux, ivar : (n, n_pix) arrays
        Any units, as long as they go together; a pixel with ivar <= 0 or without a finite value is bad. Without
        errors ivar may be None, where the settings say what stands in their place (`missing_errors`).
    redshift : float or (n,) array
        Z of each star.
    settings : Settings
        Grid, kernel, masks and limits, for example from `default_settings`.
    ids : (n,) sequence of str, optional
        What the spectra are called; by default their numbers.
    **about
        What else `labeltransfer.surveys.base.Spectrum` says of all of them: `medium` ("vacuum" unless it is "air"),
        `frame` ("observed" unless it is "rest"), `resolution`.

    Returns
    -------
    flux, ivar : (m, n_pix) float32
        Normalised, on the grid of the settings.
    stars : Table
    rejected : list of (id, reason)
        Both as `prepare` yields them.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    flux, without = np.atleast_2d(np.asarray(flux, dtype=float)), ivar is None
    ivar = np.ones(flux.shape) if without else np.atleast_2d(np.asarray(ivar, dtype=float))
    wavelength, n = np.asarray(wavelength, dtype=float), len(flux)
    if flux.shape != ivar.shape or wavelength.shape not in (flux.shape, flux.shape[1:]):
        raise ValueError(
            f"wavelength, flux and ivar disagree: {wavelength.shape}, {flux.shape} and {ivar.shape}; flux and ivar "
            "must be (n, n_pix), and wavelength that or (n_pix,)"
        )
    wavelength, redshift = np.broadcast_to(wavelength, flux.shape), np.broadcast_to(redshift, n)
    names = [str(i) for i in range(n)] if ids is None else [str(name) for name in ids]
    if len(names) != n:
        raise ValueError(f"{len(names)} ids for {n} spectra")

    def spectrum(row):
        good = (ivar[row] > 0) & np.isfinite(ivar[row]) & np.isfinite(flux[row])
        clean, errors = np.where(good, flux[row], 0.0), None if without else np.where(good, ivar[row], 0.0)
        bad = (~good).astype(np.uint32)
        return Spectrum(
            wavelength[row], clean, errors, bad, bad, float(redshift[row]), np.nan, names[row], **about
        )

    return prepared(names, gridded_from([partial(spectrum, row) for row in range(n)], settings), settings)
