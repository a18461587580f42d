"""Get the APOGEE spectrum of the star of Figure 2."""

from pathlib import Path

import numpy as np
from astropy.table import Table

from labeltransfer.files.errors import ArchiveError
from labeltransfer.files.places import located, prefix_of
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.runtime import job
from labeltransfer.sources.example import example_row
from labeltransfer.surveys.registry import get_reference


def path_of(row, inputs, params, prefix):
    """Where the spectrum lies; None where it cannot be had."""
    if params.source in ("local", "registry"):
        return None
    if params.source == "mock":
        folder = located(Path("results/archive/mock") / params.releases["survey"] / "aspcap", prefix)
        return folder / str(row["aspcap_path"])
    from labeltransfer.sources.public import fetch_example  # late: others do not wait for what asks servers

    settings, release = params.archives["public"], params.releases["reference"]
    folder = located(Path(settings["folder"]) / release / "aspcap", prefix)
    return fetch_example(row, inputs.datasets, release, folder, settings)


def main(snakemake):
    """Write wavelength and flux, both empty where there is no such spectrum, and which star it is."""
    inputs, params = snakemake.input, snakemake.params
    row = example_row(read_table(inputs.stars), params.star)
    path, spectrum = path_of(row, inputs, params, prefix_of(inputs.stars)), (np.zeros(0), np.zeros(0))
    try:
        spectrum = get_reference(params.releases["reference"]).read_spectrum(path) if path else spectrum
    except ArchiveError as error:
        print(error)
    settings = {"source": params.source, "star": params.star, "releases": params.releases}
    read = [inputs.stars, *([inputs.datasets] if params.source == "public" else [])]
    meta = provenance(settings, read, params.code)
    meta |= {"reference_id": str(row["reference_id"]), "spectrum_id": str(row["spectrum_id"])}
    table = Table({"wavelength": np.asarray(spectrum[0]), "flux": np.asarray(spectrum[1])})
    write_table(table, snakemake.output.spectrum, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
