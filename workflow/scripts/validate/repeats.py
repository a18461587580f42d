"""Compare the labels of stars that were observed more than once."""

from labeltransfer.files.csvfile import write_csv
from labeltransfer.runtime import job
from labeltransfer.validation.calibration import calibrated, read_calibration
from labeltransfer.validation.repeats import read_repeats, repeats_table


def main(snakemake):
    """Write the table of repeats."""
    inputs, names = snakemake.input, list(snakemake.params.labels)
    labels, star = read_repeats(inputs.labels, inputs.stars)
    labels = calibrated(labels, names, read_calibration(inputs.calibration), at_zero=False)
    table = repeats_table(labels, names, star).assign(archive=snakemake.params.source)
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
