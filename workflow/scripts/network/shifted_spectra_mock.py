"""Observe stars of the mock again, each with one abundance shifted off its correlations."""

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.files.errors import ArchiveError
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table
from labeltransfer.mock.nature import LABELS
from labeltransfer.mock.universe import draw_universe, mock_release, mock_spectra_block, release_visits
from labeltransfer.runtime import job
from labeltransfer.spectra.normalise import normalise
from labeltransfer.spectra.prepare import on_grid, settings_from, signal_to_noise
from labeltransfer.spectra.store import write_store
from labeltransfer.surveys.base import Spectrum
from labeltransfer.synthesis.model_spectra import read_model_spectra
from labeltransfer.validation.shift import shift_abundance


def brightest(stars, n):
    """Ids of the n test stars with the highest S/N, in the order of their ids."""
    test = stars[np.asarray(stars["reason"]) == "S/N of the test stars"]
    chosen = test[np.argsort(np.asarray(test["snr"]), kind="stable")[::-1][:n]]
    return np.sort(np.asarray(chosen["id"]))


def prepared(observed, ids, settings):
    """Observed mock spectra on the grid, masked and normalised as if read from files: flux, ivar, kept rows."""
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


def main(snakemake):
    """Write a store of the spectra, without a shift first and then with each."""
    inputs, params = snakemake.input, snakemake.params
    universe = draw_universe(params.settings, params.seed, read_model_spectra(inputs.spectra))
    release = mock_release(params.release)
    ids = brightest(read_table(inputs.stars), params.shift["stars"])
    visits = release_visits(universe, release)
    rows = rows_of(visits["spectrum_id"], ids)
    truth = universe.stars[visits["star"][rows]][list(LABELS)]
    settings = settings_from(params.grid, params.preparation, inputs.windows)
    shifts = [("", 0.0)]
    shifts += [
        (name, size) for name in params.labels if name.endswith("_h") for size in params.shift["sizes"]
    ]

    def blocks():
        for name, size in shifts:
            labels = shift_abundance(truth, name, size) if name else truth
            observed, _ = mock_spectra_block(universe, release, rows, labels)
            flux, ivar, kept = prepared(observed, ids, settings)
            n = len(flux)
            stars = Table({"id": [f"{name}{size:+g} {star}" for star in ids[kept]], "star": ids[kept]})
            stars["label"], stars["shift"] = np.full(n, name, dtype="U8"), np.full(n, size)
            stars["snr"] = signal_to_noise(flux, ivar)
            yield flux, ivar, stars

    wanted = {"settings": params.settings, "shift": params.shift, "seed": params.seed}
    n = write_store(
        snakemake.output.store, settings.grid, blocks(), provenance(wanted, list(inputs), params.code)
    )
    print(f"{n} spectra of {len(ids)} stars, {len(shifts) - 1} shifts")


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
