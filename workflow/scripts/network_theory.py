"""Ab initio gradient spectra on the survey's pixels, normalised as the data."""

import numpy as np
from astropy.table import Table

from labeltransfer.archives.ab_initio import read_model_spectra
from labeltransfer.catalogs.tables import write_table
from labeltransfer.models.gradients import gradient_spectra, reference_labels, stepped_name
from labeltransfer.runtime import job, provenance
from labeltransfer.spectra.normalise import banded_kernel
from labeltransfer.spectra.store import read_stores


def theory_table(models, references, labels, wavelength, kernel, ivar):
    """One row per reference point and label: the step, the label's value there, and the gradient spectrum."""
    names = list(labels)
    steps = np.array([labels[name]["step"] for name in names])
    table = Table()
    table["reference"] = np.repeat(references, len(names))
    table["label"] = np.tile(names, len(references))
    table["step"] = np.tile(steps, len(references))
    table["value"] = np.concatenate([reference_labels(models, point, names) for point in references])
    table["gradient"] = np.concatenate(
        [gradient_spectra(models, point, names, steps, wavelength, kernel, ivar) for point in references]
    )
    table["gradient"].description = "change of the normalised flux for one step, on the common grid"
    return table


def main(snakemake):
    """Write the gradients."""
    inputs, params = snakemake.input, snakemake.params
    training = read_stores([inputs.training])
    models = read_model_spectra(inputs.spectra, labels=[stepped_name(name) for name in params.labels])
    kernel = banded_kernel(training.wavelength, params.normalisation["width"], params.normalisation["weight"])
    # Eq. 1 weights pixels by their errors: those of the data, or the continuum would be another.
    table = theory_table(
        models,
        params.references,
        params.labels,
        training.wavelength,
        kernel,
        np.median(training.ivar, axis=0),
    )
    settings = {
        "labels": params.labels,
        "references": params.references,
        "normalisation": params.normalisation,
    }
    code = dict(zip(("archives", "spectra", "models"), params.code, strict=True))
    meta = provenance(settings, list(inputs), code) | {"resolving_power": models.resolution}
    write_table(table, snakemake.output.theory, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
