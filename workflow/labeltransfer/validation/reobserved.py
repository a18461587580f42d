"""Stars of the mock that are observed again, each with one abundance shifted off its correlations."""

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.splits import TEST
from labeltransfer.files.errors import ArchiveError
from labeltransfer.mock.universe import mock_spectra_block
from labeltransfer.spectra.normalise import normalise
from labeltransfer.spectra.prepare import on_grid, signal_to_noise
from labeltransfer.surveys.base import Spectrum
from labeltransfer.validation.shift import shift_abundance


def brightest(stars, n):
    """Ids of the n test stars with the highest S/N, in the order of their ids."""
    test = stars[np.asarray(stars["reason"]) == TEST]
    chosen = test[np.argsort(np.asarray(test["snr"]), kind="stable")[::-1][:n]]
    return np.sort(np.asarray(chosen["id"]))


def prepared(observed, ids, settings):
    """Observed mock spectra on the grid, masked and normalised as if read from files.

    Parameters
    ----------
    observed : labeltransfer.mock.observation.Observed
        Of n stars.
    ids : (n,) str array
    settings : labeltransfer.spectra.prepare.Settings

    Returns
    -------
    flux, ivar : (m, p) float32 arrays
        Of the spectra that could be prepared.
    kept : (n,) bool array
        Which they are.
    """
    flux, ivar = np.zeros((2, len(ids), len(settings.grid)))
    kept = np.ones(len(ids), dtype=bool)
    for i, name in enumerate(ids):
        spectrum = Spectrum(
            observed.wavelength,
            observed.flux[i],
            observed.ivar[i],
            observed.andmask[i],
            observed.ormask[i],
            float(observed.redshift[i]),
            float(observed.redshift_err[i]),
            str(name),
        )
        try:
            flux[i], ivar[i] = on_grid(spectrum, settings)
        except ArchiveError:
            kept[i] = False
    flux, ivar, _ = normalise(flux[kept], ivar[kept], settings.kernel)
    return flux.astype(np.float32), ivar.astype(np.float32), kept


def shifted_blocks(universe, visits, truth, shifts, settings):
    """Spectra of the same stars under the same conditions, with one shift after the other.

    Parameters
    ----------
    universe : labeltransfer.mock.universe.Universe
    visits : (release, (n,) int array, (n,) str array)
        A release of the mock, which of its visits to look at, and the ids of their spectra.
    truth : Table
        Labels of nature of the n stars.
    shifts : sequence of (str, float)
        Label and size; ("", 0.0) for none.
    settings : labeltransfer.spectra.prepare.Settings

    Yields
    ------
    flux, ivar : (m, p) float32 arrays
    stars : Table
        `id`, `star`, `label`, `shift` and `snr`.
    """
    release, rows, ids = visits
    for name, size in shifts:
        labels = shift_abundance(truth, name, size) if name else truth
        observed, _ = mock_spectra_block(universe, release, rows, labels)
        flux, ivar, kept = prepared(observed, ids, settings)
        stars = Table({"id": [f"{name}{size:+g} {star}" for star in ids[kept]], "star": ids[kept]})
        stars["label"], stars["shift"] = np.full(len(flux), name, dtype="U8"), np.full(len(flux), size)
        stars["snr"] = signal_to_noise(flux, ivar)
        yield flux, ivar, stars
