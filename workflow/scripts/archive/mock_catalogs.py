"""Draw the mock universe and write the catalogues of one release as LAMOST and APOGEE publish them."""

import os
from pathlib import Path

from labeltransfer.mock.universe import (
    draw_universe,
    mock_release,
    write_aspcapstar,
    write_catalogs,
    write_fibres,
    write_truth,
)
from labeltransfer.runtime import job
from labeltransfer.synthesis.model_spectra import read_model_spectra


def main(snakemake):
    """Write the catalogues, a few APOGEE spectra and, apart, the truth."""
    params, outputs = snakemake.params, snakemake.output
    release = mock_release(snakemake.wildcards.release)
    folder = Path(outputs.truth).parent
    universe = draw_universe(params.settings, params.seed, read_model_spectra(snakemake.input.spectra))
    for written, wanted in zip(
        write_catalogs(universe, folder, release), (outputs.lamost, outputs.apogee), strict=True
    ):
        os.replace(written, wanted)
    write_truth(universe, folder, release)
    write_fibres(universe, folder, release)
    print(f"{len(write_aspcapstar(universe, folder, release))} aspcapStar files")
    os.sync()


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
