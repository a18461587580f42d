"""Have the spectra of one chunk of stars at hand, from whatever archive, and say which could not be had."""

from collections import Counter
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from labeltransfer.files.chunks import chunk_rows
from labeltransfer.files.places import located, prefix_of
from labeltransfer.files.provenance import provenance, sha256
from labeltransfer.files.tables import count_rows, read_table, write_table
from labeltransfer.runtime import counted, job

# What another try will not cure; anything else that fails more than a few spectra fails the job, which is tried again.
FINAL = ("missing on server", "unsafe file name", "no such file")
TOLERATED = 0.02
BLOCK = 500  # after so many the log says how far it is


def spectra_at_hand(stars, folder, prefix=""):
    """Ledger of spectra that lie in a folder already (mock and local archives)."""
    names = [Path(folder) / name for name in np.asarray(stars["path"]).tolist()]
    paths = [located(name, prefix) for name in names]
    sizes = [path.stat().st_size if path.is_file() else -1 for path in paths]
    there = np.array(sizes, dtype=np.int64) >= 0
    return Table(
        {
            "spectrum_id": stars["spectrum_id"],
            "path": np.array([str(name) for name in names], dtype=str),
            "status": np.where(there, "ok", "failed"),
            "reason": np.where(there, "", "no such file"),
            "bytes": sizes,
            # The catalogue leads back to the very bytes of each spectrum.
            "sha256": [sha256(path) if size >= 0 else "" for path, size in zip(paths, sizes, strict=True)],
        }
    )


def fetched_spectra(stars, datasets, release, settings, prefix=""):
    """Ledger of spectra fetched from the public servers, whose addresses the table of datasets has."""
    from labeltransfer.files.transfer import Limits  # late: other archives do not wait for what asks servers
    from labeltransfer.sources.public import fetch_spectra, read_datasets

    datasets = read_datasets(datasets)
    folder = Path(settings["folder"]) / release / "spectra"
    limits = Limits(settings["concurrency"], settings["retries"], deadline=settings["deadline"])
    blocks = [stars[first : first + BLOCK] for first in range(0, max(len(stars), 1), BLOCK)]
    ledger = vstack(
        [
            fetch_spectra(
                block,
                datasets,
                release,
                located(folder, prefix),
                base_url=settings["lamost_mirror"],
                limits=limits,
            )
            for block in counted(blocks, len, len(stars), "spectra")
        ],
        metadata_conflicts="silent",
    )
    # For the log alone: they differ from run to run, and the ledger is an input of what follows.
    print(f"{np.sum(ledger['attempts'])} requests, {np.sum(ledger['seconds']):.0f} s, side by side")
    print(f"{np.sum(ledger['status'] == 'present')} spectra were here before")
    status = np.where(ledger["status"] == "failed", "failed", "ok")
    return Table(
        {
            "spectrum_id": stars["spectrum_id"],
            "path": np.array([str(folder / path) for path in np.asarray(ledger["path"]).tolist()], dtype=str),
            "status": status,
            **{name: ledger[name] for name in ("reason", "bytes", "sha256", "url")},
        }
    )


def main(snakemake):
    """Write the fetch ledger of the chunk."""
    inputs, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    stars = read_table(inputs.stars, rows=chunk_rows(count_rows(inputs.stars), wildcards.item))
    archives, prefix = params.archives, prefix_of(snakemake.output.ledger)
    if params.source == "public":
        ledger = fetched_spectra(stars, inputs.datasets, params.release, archives["public"], prefix)
    elif params.source == "local":
        ledger = spectra_at_hand(stars, Path(archives["local"]["root"]) / archives["local"]["spectra"])
    else:
        ledger = spectra_at_hand(stars, Path("results/archive/mock") / params.release / "spectra", prefix)
    failed = np.asarray(ledger["status"]) == "failed"
    curable = failed & ~np.isin(np.asarray(ledger["reason"]), FINAL)
    print(f"{len(ledger)} spectra, {failed.sum()} not to be had")
    if curable.sum() > max(5, TOLERATED * len(ledger)):
        most = Counter(ledger["reason"][curable].tolist()).most_common(1)[0][0]
        raise SystemExit(
            f"{curable.sum()} of {len(ledger)} spectra could not be fetched, most of them for the reason {most!r}: "
            "the server may be down. What came is kept; run again later to fetch the rest."
        )
    # Where each spectrum came from, and its checksum, stand in its row.
    settings = {"source": params.source, "release": params.release}
    read = [inputs.stars, *([inputs.datasets] if params.source == "public" else [])]
    write_table(ledger, snakemake.output.ledger, provenance(settings, read, params.code))


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
