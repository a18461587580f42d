"""Label all stars of a sample with one of the models that are compared."""

import numpy as np
from astropy.table import Table, hstack, vstack

from labeltransfer.catalogs.rows import label_columns
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import write_table
from labeltransfer.models.columns import label_table
from labeltransfer.models.files import load_model
from labeltransfer.models.starts import spread_starts
from labeltransfer.runtime import job
from labeltransfer.spectra.store import iterate, read_stores

BLOCK = 512


def main(snakemake):
    """Write the labels."""
    inputs, params = snakemake.input, snakemake.params
    model = load_model(inputs.model)
    names, units = model.label_names, {name: label["unit"] for name, label in params.labels.items()}
    starts = spread_starts(label_columns(read_stores([inputs.training]).stars, names))
    tables = []
    for path in inputs.stores:
        for block in iterate(path, BLOCK):
            found = model.label(block.flux, block.ivar, starts=starts, threads=snakemake.threads)
            about = {name: getattr(found, name) for name in ("converged", "reduced_chi2")}
            tables.append(
                hstack([Table({"id": block.stars["id"], **about}), label_table(found, names, units)])
            )
    table = vstack(tables, metadata_conflicts="silent")
    print(f"{len(table)} spectra, {np.count_nonzero(table['converged'])} converged")
    write_table(
        table, snakemake.output.labels, provenance({"labels": params.labels}, list(inputs), params.code)
    )


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
