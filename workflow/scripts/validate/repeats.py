"""Compare the labels of stars that were observed more than once."""

from astropy.table import vstack

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.runtime import job
from labeltransfer.validation.calibration import calibrated, read_calibration
from labeltransfer.validation.repeats import repeats_table


def main(snakemake):
    """Write the table of repeats."""
    inputs, names = snakemake.input, list(snakemake.params.labels)
    labels = vstack([read_table(path) for path in inputs.labels], metadata_conflicts="silent")
    stars = read_table(inputs.stars)
    star = stars["star"][rows_of(stars["spectrum_id"], labels["id"])]
    labels = calibrated(labels, names, read_calibration(inputs.calibration), at_zero=False)
    table = repeats_table(labels, names, star).assign(archive=snakemake.params.source)
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
