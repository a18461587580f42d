"""Fetch one catalogue of the public archive."""

import os
from pathlib import Path

from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.transfer import Limits
from labeltransfer.runtime import job
from labeltransfer.sources.datasets import read_datasets
from labeltransfer.sources.public import fetch_allstar, fetch_catalog

FETCHERS = {"stellar_catalog": (fetch_catalog, "lamost_mirror"), "allstar": (fetch_allstar, "apogee_mirror")}


def main(snakemake):
    """Fetch the file, verified, and write its line of the fetch ledger."""
    settings, wildcards = snakemake.params.settings, snakemake.wildcards
    fetch, mirror = FETCHERS[wildcards.dataset]
    target = Path(snakemake.output.catalog)
    path, ledger = fetch(
        read_datasets(snakemake.input.datasets),
        wildcards.release,
        target.parent,
        base_url=settings[mirror],
        limits=Limits(retries=settings["retries"]),
    )
    # Under its published name the file outlives this step, and is only checked when the step runs again.
    target.unlink(missing_ok=True)
    os.link(path, target)
    write_csv(ledger.to_pandas(), snakemake.output.ledger)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
