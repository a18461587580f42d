"""Write one part of the spectra of a release of the mock archive."""

import json
import os
from pathlib import Path

from labeltransfer.files.atomic import atomic_path
from labeltransfer.files.chunks import chunk_rows
from labeltransfer.mock.universe import draw_universe, mock_release, release_visits, write_spectra
from labeltransfer.runtime import job
from labeltransfer.synthesis.model_spectra import read_model_spectra


def main(snakemake):
    """Write the files of the part, and then a note of how many there are."""
    params, wildcards = snakemake.params, snakemake.wildcards
    release = mock_release(wildcards.release)
    folder = Path(snakemake.output.written).parents[1]
    universe = draw_universe(params.settings, params.seed, read_model_spectra(snakemake.input.spectra))
    rows = chunk_rows(len(release_visits(universe, release)), wildcards.item)
    written = write_spectra(universe, folder, release, rows)
    print(f"{len(written)} files of rows {rows.start} to {rows.stop}")
    os.sync()  # thousands of small files reach the disk before the note that they are there
    with atomic_path(snakemake.output.written) as temporary:
        temporary.write_text(
            json.dumps({"release": release, "archive": "mock", "files": len(written)}) + "\n"
        )


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
