"""The Cramer-Rao bound of every label at several S/N, and how far above it the measured scatter is."""

from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.runtime import job
from labeltransfer.validation.cramer_rao import bounds_table


def main(snakemake):
    """Write cramer_rao.csv."""
    inputs, params = snakemake.input, snakemake.params
    table = bounds_table(
        read_table(inputs.gradients),
        read_table(inputs.comparison),
        {name: label["step"] for name, label in params.labels.items()},
        params.network["cramer_rao_snr"],
    ).assign(archive=params.source)
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
