"""Measure here what Ting et al. 2017 print, and set both side by side."""

import pandas as pd

from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.models.files import load_model
from labeltransfer.runtime import job
from labeltransfer.validation.published import published_vs_here, read_published, wanted_of
from labeltransfer.validation.quantities import NetworkRun, network_quantities


def main(snakemake):
    """Write published_vs_here.csv."""
    inputs, params = snakemake.input, snakemake.params
    published = read_published(inputs.published)
    tables = (pd.read_csv(path) for path in (inputs.summary, inputs.correlation, inputs.bounds, inputs.scan))
    extra = {}
    if inputs.extra:
        tried = pd.read_csv(inputs.extra)
        extra = tried[tried["extra"] & (tried["fit"] == "all")].set_index("label")["scatter"].to_dict()
    run = NetworkRun(read_table(inputs.comparison), *tables, extra, load_model(inputs.model))
    measured = network_quantities(wanted_of(published), run, params.labels)
    table = published_vs_here(published, measured, params.source)
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
