"""List the spectra that may get labels: from the survey's catalogue, or from a folder of one's own."""

from pathlib import Path

import numpy as np

from labeltransfer.files.places import located, prefix_of
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import write_blocks
from labeltransfer.runtime import job
from labeltransfer.sources.listing import list_files
from labeltransfer.sources.local import scan_spectra
from labeltransfer.surveys.registry import get_survey


def spectra_in(folder, threads, release, named=False):
    """Spectra in a folder, and the files there that are none; `named` as published where no name is there twice."""
    listing = list_files(folder)
    print(f"{folder}: {listing.summary()}")
    survey, rejected = scan_spectra(folder, threads, release, listing)
    if len(survey) + len(rejected) != len(listing.paths):
        raise RuntimeError(
            f"{folder}: {len(listing.paths)} files, but {len(survey)} + {len(rejected)} rows of them"
        )
    # Published names recur over folders and releases; the path below the folder does not.
    survey.rename_column("spectrum_id", "name")
    unique = len(np.unique(survey["name"])) == len(survey)
    survey["spectrum_id"] = survey["name" if named and unique else "id"]
    return survey, rejected


def main(snakemake):
    """Write the survey's catalogue, and its rows that could not be taken."""
    params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    meta = provenance({"source": params.source, "missing": params.missing}, list(inputs), params.code)
    rejected, found_rows = [], 0

    def blocks():
        nonlocal found_rows
        if params.source == "local":
            found = [spectra_in(params.folder, snakemake.threads, params.release)]
        elif params.source == "registry":
            folder = Path("results/archive/registry") / params.release / "spectra"
            folder = located(folder, prefix_of(outputs.survey))
            found = [spectra_in(folder, snakemake.threads, params.release, named=True)]
        else:
            found = get_survey(params.release).iterate_catalog(inputs.catalog, sentinels=params.missing)
        for survey, lost in found:
            rejected.append(lost)
            found_rows += len(survey) + len(lost)
            yield survey

    n = write_blocks(blocks(), outputs.survey, meta)
    lost = write_blocks(rejected, outputs.rejected, meta | {"rows_found": found_rows})
    print(f"{outputs.survey}: {n} rows; {lost} rows left out")


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
