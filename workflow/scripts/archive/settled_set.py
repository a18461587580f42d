"""The reference set as models see it: another file only when its stars are others."""

from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.runtime import job
from labeltransfer.sources.at_hand import numbered_anew


def main(snakemake):
    """Write the set, numbered by itself."""
    stars, params = read_table(snakemake.input.stars), snakemake.params
    # Of its content alone: the file that it is copied from is written anew with every change of the catalogue.
    write_table(
        numbered_anew(stars), snakemake.output.stars, provenance({"set": params.mark}, [], params.code)
    )
    print(f"{len(stars)} stars")


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
