"""Compare the labels of the catalogue with the truth of the mock."""

from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.runtime import job
from labeltransfer.validation.summaries import recovery_summary, truth_columns


def main(snakemake):
    """Write the table of recovery."""
    inputs, labels = snakemake.input, snakemake.params.labels
    truth = truth_columns(labels)
    here = [f"{name}{suffix}" for name in labels for suffix in ("", "_err", "_total")]
    known = read_table(inputs.catalog, rows=slice(0)).colnames
    about = ["spectrum_id", "snr", "novelty", "reference", "trained"]
    about += [f"{name}_flag" for name in labels if f"{name}_flag" in known]
    table = recovery_summary(
        read_table(inputs.catalog, [*about, *here], text=bytes),
        read_table(inputs.truth, ["spectrum_id", *truth.values()], text=bytes),
        truth,
        snakemake.params.min_snr,
    ).assign(archive="mock")
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
