"""Set the labels of the reference stars side by side: reference survey, survey pipeline, model."""

from astropy.table import vstack

from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.runtime import job
from labeltransfer.validation.calibration import read_calibration
from labeltransfer.validation.comparisons import Reference, cannon_comparison


def main(snakemake):
    """Write the comparison table."""
    inputs, params = snakemake.input, snakemake.params
    table = cannon_comparison(
        Reference(read_table(inputs.stars), read_table(inputs.clip), read_table(inputs.cross_validation)),
        vstack([read_table(path) for path in inputs.labels], metadata_conflicts="silent"),
        list(params.labels),
        read_calibration(inputs.calibration),
        params.pipeline,
    )
    settings = {"labels": params.labels, "pipeline": params.pipeline}
    write_table(table, snakemake.output.table, provenance(settings, list(inputs), params.code))


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
