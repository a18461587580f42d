"""How much of the shift of one abundance every method finds."""

import numpy as np
import pandas as pd

from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.models.files import load_model
from labeltransfer.runtime import job
from labeltransfer.spectra.store import read_stores
from labeltransfer.validation.shift import shift_table


def main(snakemake):
    """Write shift_test.csv."""
    inputs, params = snakemake.input, snakemake.params
    names, stars = list(params.labels), read_stores([inputs.store]).stars
    tables = []
    for method, path, model in zip(params.methods, inputs.labels, inputs.models, strict=True):
        table = shift_table(stars, read_table(path), names)
        table.insert(1, "method", method)
        tables.append(table.assign(pixels=np.count_nonzero(load_model(model).usable)))
    table = pd.concat(tables, ignore_index=True).assign(archive="mock")
    table["label"] = pd.Categorical(table["label"], names)
    table = table.sort_values(["label", "method", "shift"]).astype({"label": str})
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
