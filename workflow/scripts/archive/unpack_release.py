"""Take the files of a release out of the archives that they come in."""

from pathlib import Path

from astropy.table import Table

from labeltransfer.files.provenance import provenance, sha256
from labeltransfer.files.tables import write_table
from labeltransfer.runtime import job
from labeltransfer.sources.datasets import parts_of, read_datasets
from labeltransfer.sources.registry import take_out


def main(snakemake):
    """Write the list of the files, and what is known of each."""
    inputs, params, ledger = snakemake.input, snakemake.params, Path(snakemake.output.files)
    archives, rows = {Path(path).name: path for path in inputs.archives}, []
    for part in parts_of(read_datasets(inputs.datasets), snakemake.wildcards.release):
        for path in take_out(part, archives[part.file], ledger.parent):
            rows.append((part.dataset, path.name, path.stat().st_size, sha256(path)))
    print(f"{len(rows)} files")
    settings = {"release": snakemake.wildcards.release, "data": params.data}
    table = Table(rows=rows, names=("dataset", "file", "bytes", "sha256"))
    write_table(table, ledger, provenance(settings, list(inputs.archives), params.code))


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
