"""Compute the emergent spectrum of one reference point with one label stepped."""

from astropy.table import Table

from labeltransfer.runtime import job
from labeltransfer.synthesis.sme import emergent_spectrum
from labeltransfer.synthesis.steps import take_step
from labeltransfer.synthesis.table import write_spectrum


def main(snakemake):
    """Write wavelength (vacuum), flux and continuum at the sampling of the computation."""
    params = snakemake.params
    step = take_step(snakemake.wildcards.step, params.reference, params.steps)
    lines = Table.read(snakemake.input.lines)
    wavelength, flux, continuum = emergent_spectrum(
        lines, step.labels, step.offsets, sampling=params.sampling
    )
    print(f"{step}: mean of flux / continuum {(flux / continuum).mean():.4f} with {len(lines)} lines")
    write_spectrum(snakemake.output.spectrum, wavelength, flux, continuum, step, params.sampling)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
