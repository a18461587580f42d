"""Have the spectra of one chunk of stars at hand, from whatever archive, and say which could not be had."""

from pathlib import Path

import numpy as np
from astropy.table import vstack

from labeltransfer.files.chunks import chunk_rows, rows_by_name
from labeltransfer.files.places import located, prefix_of
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import count_rows, read_table, write_table
from labeltransfer.runtime import counted, job
from labeltransfer.sources.at_hand import (
    spectra_at_hand,
    spectra_fetched,
    spectra_listed,
    worth_another_try,
)

BLOCK = 500  # after so many the log says how far it is


def fetched(stars, datasets, release, settings, prefix=""):
    """Ledger of spectra fetched from the public servers, whose addresses the table of datasets has."""
    from labeltransfer.files.transfer import Limits  # late: other archives do not wait for what asks servers
    from labeltransfer.sources.datasets import read_datasets
    from labeltransfer.sources.public import fetch_spectra

    datasets, folder = read_datasets(datasets), Path(settings["folder"]) / release / "spectra"
    limits = Limits(settings["concurrency"], settings["retries"], deadline=settings["deadline"])
    how = {"base_url": settings["lamost_mirror"], "limits": limits}
    blocks = [stars[first : first + BLOCK] for first in range(0, max(len(stars), 1), BLOCK)]
    parts = [
        fetch_spectra(block, datasets, release, located(folder, prefix), **how)
        for block in counted(blocks, len, len(stars), "spectra")
    ]
    ledger = vstack(parts, metadata_conflicts="silent")
    # For the log alone: they differ from run to run, and the ledger is an input of what follows.
    print(f"{np.sum(ledger['attempts'])} requests, {np.sum(ledger['seconds']):.0f} s, side by side")
    print(f"{np.sum(ledger['status'] == 'present')} spectra were here before")
    return spectra_fetched(stars, ledger, folder)


def main(snakemake):
    """Write the fetch ledger of the chunk."""
    inputs, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    if params.source == "local":
        stars = read_table(inputs.stars)
        stars = stars[rows_by_name(stars["spectrum_id"].tolist(), wildcards.item)]
    else:
        stars = read_table(inputs.stars, rows=chunk_rows(count_rows(inputs.stars), wildcards.item))
    archives, prefix = params.archives, prefix_of(snakemake.output.ledger)
    if params.source == "public":
        ledger = fetched(stars, inputs.datasets, params.release, archives["public"], prefix)
    elif params.source == "local":
        known = read_table(inputs.survey, ["spectrum_id", "bytes", "sha256"])
        ledger = spectra_listed(stars, known, Path(archives["local"]["root"]) / archives["local"]["spectra"])
    else:
        folder = Path("results/archive") / params.source / params.release / "spectra"
        ledger = spectra_at_hand(stars, folder, prefix)
    print(f"{len(ledger)} spectra, {np.count_nonzero(ledger['status'] == 'failed')} not to be had")
    if reason := worth_another_try(ledger):
        raise SystemExit(reason)
    # Where each spectrum came from, and its checksum, stand in its row.
    settings = {"source": params.source, "release": params.release}
    # One's own were made from no other file; the set that they are of may change without them.
    read = {"public": [inputs.stars, inputs.datasets], "local": []}.get(params.source, [inputs.stars])
    write_table(ledger, snakemake.output.ledger, provenance(settings, read, params.code))


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
