"""Ab initio gradient spectra on the survey's pixels, normalised as the data."""

import numpy as np

from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import write_table
from labeltransfer.models.priors import stepped_name, theory_table
from labeltransfer.runtime import job
from labeltransfer.spectra.prepare import kernel_from, smoothing_of
from labeltransfer.spectra.store import read_stores
from labeltransfer.synthesis.model_spectra import read_model_spectra


def main(snakemake):
    """Write the gradients."""
    inputs, params = snakemake.input, snakemake.params
    training = read_stores([inputs.training])
    models = read_model_spectra(inputs.spectra, labels=[stepped_name(name) for name in params.labels])
    # Eq. 1 weights pixels by their errors: those of the data, or the continuum would be another.
    table = theory_table(
        models,
        params.references,
        params.labels,
        training.wavelength,
        kernel_from(training.wavelength, params.preparation["normalisation"], inputs.noise),
        np.median(training.ivar, axis=0),
        smoothing_of(params.preparation, models.resolution, training.wavelength),
    )
    settings = {
        "labels": params.labels,
        "references": params.references,
        "preparation": params.preparation,
    }
    meta = provenance(settings, list(inputs), params.code) | {"resolving_power": models.resolution}
    write_table(table, snakemake.output.theory, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
