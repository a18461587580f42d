"""What groups of stars, such as clusters, tell of labels."""

import pandas as pd

from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.runtime import job
from labeltransfer.validation.clusters import by_cluster


def main(snakemake):
    """Write the table of groups, for stars held out alone and with their whole group."""
    table = read_table(snakemake.input.table)
    table = table[table["trained"]]
    schemes = {"k-fold": "fold", "whole groups": "group"}
    found = {
        title: by_cluster(table, list(snakemake.params.labels), scheme) for title, scheme in schemes.items()
    }
    found = pd.concat([part.assign(scheme=title) for title, part in found.items()])
    print(found.to_string())
    write_csv(found, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
