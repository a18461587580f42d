"""Get the APOGEE spectrum of the star of Figure 2."""

from pathlib import Path

import numpy as np
from astropy.table import Table

from labeltransfer.files.errors import ArchiveError
from labeltransfer.files.places import located, prefix_of
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.runtime import job
from labeltransfer.surveys.registry import get_reference


def example_row(stars, wanted):
    """The wanted star, or the reference star with the highest S/N where it is not in the set."""
    ids = np.asarray(stars["reference_id"]).tolist()
    if wanted in ids:
        return stars[ids.index(wanted)]
    print(f"{wanted} is not in the reference set; the star with the highest S/N stands in")
    snr = np.asarray(stars["snrg"], dtype=float)
    return stars[int(np.nanargmax(snr)) if np.isfinite(snr).any() else 0]


def reference_spectrum(row, inputs, params, prefix=""):
    """Wavelength and flux of the star in the reference survey; empty where there is no such spectrum."""
    if params.source == "local":
        return np.zeros(0), np.zeros(0)
    if params.source == "public":
        from labeltransfer.files.transfer import (
            Limits,
        )  # late: other archives do not wait for what asks servers
        from labeltransfer.sources.public import fetch_aspcapstar, read_datasets

        settings = params.archives["public"]
        folder = located(Path(settings["folder"]) / params.releases["apogee"] / "aspcap", prefix)
        ledger = fetch_aspcapstar(
            Table(rows=[row]),
            read_datasets(inputs.datasets),
            params.releases["apogee"],
            folder,
            base_url=settings["apogee_mirror"],
            limits=Limits(retries=settings["retries"]),
        )
        if ledger["status"][0] == "failed":
            print(f"{row['reference_id']}: {ledger['reason'][0]}")
            return np.zeros(0), np.zeros(0)
        path = folder / str(ledger["path"][0])
    else:
        folder = located(Path("results/archive/mock") / params.releases["lamost"] / "aspcap", prefix)
        path = folder / str(row["aspcap_path"])
    try:
        spectrum = get_reference("apogee").read_spectrum(path)
    except ArchiveError as error:
        print(error)
        return np.zeros(0), np.zeros(0)
    return np.asarray(spectrum[0]), np.asarray(spectrum[1])


def main(snakemake):
    """Write wavelength and flux, and which star it is."""
    inputs, params = snakemake.input, snakemake.params
    row = example_row(read_table(inputs.stars), params.star)
    wavelength, flux = reference_spectrum(row, inputs, params, prefix_of(inputs.stars))
    settings = {"source": params.source, "star": params.star, "releases": params.releases}
    read = [inputs.stars, *([inputs.datasets] if params.source == "public" else [])]
    meta = provenance(settings, read, params.code)
    meta |= {"reference_id": str(row["reference_id"]), "spectrum_id": str(row["spectrum_id"])}
    write_table(Table({"wavelength": wavelength, "flux": flux}), snakemake.output.spectrum, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
