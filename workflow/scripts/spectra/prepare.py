"""Turn one chunk of fetched spectra into a store of normalised spectra on the common grid."""

import numpy as np

from labeltransfer.files.places import located, prefix_of
from labeltransfer.files.provenance import provenance
from labeltransfer.files.rejected import rejected_rows
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.runtime import counted, job
from labeltransfer.spectra.normalise import kernel_fwhm
from labeltransfer.spectra.prepare import prepare, settings_from
from labeltransfer.spectra.store import write_store


def main(snakemake):
    """Write the store and the spectra that did not make it, with their reasons."""
    inputs, params = snakemake.input, snakemake.params
    fetched = read_table(inputs.fetched)
    here = np.asarray(fetched["status"]) != "failed"
    rejected = [
        (name, f"not fetched: {reason}")
        for name, reason in zip(fetched["spectrum_id"][~here], fetched["reason"][~here], strict=True)
    ]
    tables = inputs.windows, inputs.fibres, inputs.noise, inputs.residuals
    settings = settings_from(params.grid, params.preparation, *tables)
    ids, names = (np.asarray(fetched[name][here]).tolist() for name in ("spectrum_id", "path"))
    prefix = prefix_of(inputs.fetched)
    paths = [str(located(name, prefix)) for name in names]

    def blocks():
        made = prepare(ids, paths, settings, params.preparation["block"], params.survey)
        for flux, ivar, stars, lost in counted(
            made, lambda made: len(made[2]) + len(made[3]), len(ids), "spectra"
        ):
            rejected.extend(lost)
            yield flux, ivar, stars

    normalisation = params.preparation["normalisation"]
    described = {
        "grid": params.grid,
        "preparation": params.preparation,
        "kernel_fwhm": kernel_fwhm(normalisation["width"], normalisation["weight"]),
    }
    meta = provenance(described, list(inputs), params.code)
    n = write_store(snakemake.output.store, settings.grid, blocks(), meta)
    print(f"{n} spectra prepared, {len(rejected)} left out")
    ids, reasons = zip(*rejected, strict=True) if rejected else ((), ())
    write_table(rejected_rows(ids, "survey", "spectra", reasons), snakemake.output.rejected, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
