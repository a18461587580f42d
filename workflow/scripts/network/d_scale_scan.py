"""What every strength of the prior does to the scatter, against no prior."""

import pandas as pd

from labeltransfer.files.csvfile import write_csv
from labeltransfer.runtime import job


def main(snakemake):
    """Write d_scale_scan.csv."""
    table = pd.concat([pd.read_csv(path) for path in snakemake.input.tables], ignore_index=True)
    table = table.sort_values("d_scale", kind="stable")
    without = table[table["d_scale"] == 0].set_index("label")["scatter"]
    table.insert(4, "scatter_ratio", table["scatter"] / table["label"].map(without))
    table["archive"] = snakemake.params.source
    print(table.groupby("d_scale")[["scatter_ratio", "correlation"]].median().to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
