"""Compare the labels of the catalogue with the truth of the mock."""

from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.runtime import job
from labeltransfer.validation.summaries import recovery_summary

# What a column of allStar measures, where its name is not the label's: Ho et al. 2017 call [M/H] [Fe/H].
TRUTH_OF_COLUMN = {"PARAM_M_H": "m_h"}


def main(snakemake):
    """Write the table of recovery."""
    inputs, labels = snakemake.input, snakemake.params.labels
    truth = {name: TRUTH_OF_COLUMN.get(str(label["column"]), name) for name, label in labels.items()}
    here = [f"{name}{suffix}" for name in labels for suffix in ("", "_err", "_total")]
    about = ["spectrum_id", "snr", "novelty", "reference", "trained"]
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
