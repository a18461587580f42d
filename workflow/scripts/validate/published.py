"""Measure here what the paper printed, and set both side by side."""

import pandas as pd

from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.models.files import load_model
from labeltransfer.runtime import job
from labeltransfer.validation.published import published_vs_here, read_published, wanted_of
from labeltransfer.validation.quantities import CannonRun, cannon_quantities, ness_quantities


def main(snakemake):
    """Write published_vs_here.csv."""
    inputs, params = snakemake.input, snakemake.params
    names, published, matches = (
        list(params.labels),
        read_published(inputs.published),
        read_table(inputs.matches),
    )
    # Of no rows: the catalogue of a run without bootstrap models lacks their columns.
    columns = read_table(inputs.catalog, rows=slice(0)).colnames
    bootstrap = [f"{name}_bootstrap" for name in names if f"{name}_bootstrap" in columns]
    run = CannonRun(
        read_table(inputs.comparison),
        read_table(inputs.catalog, ["spectrum_id", "reference", "reduced_chi2", *bootstrap], text=bytes),
        pd.read_parquet(inputs.ledger, columns=["stage"]),
        read_table(inputs.reference, names)[matches["reference_row"]],
        matches["separation"],
        len(load_model(inputs.model).wavelength),
        read_table(inputs.cross_validation),
        params.tutorial,
    )
    wanted = wanted_of(published)
    if params.paper == "ness2015":
        measured = ness_quantities(wanted, run, names)
    else:
        measured = cannon_quantities(wanted, run, names, params.min_snr)
    table = published_vs_here(published, measured, params.source)
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
