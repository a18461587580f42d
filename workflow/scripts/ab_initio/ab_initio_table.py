"""Gather the computed spectra into the table that gradients are taken from."""

import numpy as np

from labeltransfer.runtime import job
from labeltransfer.synthesis.degrade import observe, survey_pixels
from labeltransfer.synthesis.steps import step_names, take_step
from labeltransfer.synthesis.table import read_spectrum, spectra_table, write_spectra


def observed_spectra(paths, pixels, resolving_power):
    """Flux and continuum of every file at the pixels: two arrays (n_file, n_pix)."""
    rows = []
    for path in paths:
        wavelength, flux, continuum, sampling = read_spectrum(path)
        rows.append(observe(wavelength, [flux, continuum], pixels, sampling, resolving_power))
    return np.swapaxes(rows, 0, 1)


def main(snakemake):
    """Write the table; the order of its rows is that of the configuration."""
    params = snakemake.params
    names = [(name, step) for name in params.references for step in step_names(params.elements)]
    steps = [take_step(step, params.references[name], params.steps) for name, step in names]
    points = [
        (name, take_step("reference", params.references[name], params.steps).labels) for name, _ in names
    ]
    pixels = survey_pixels()
    flux, continuum = observed_spectra(snakemake.input.spectra, pixels, params.resolving_power)
    provenance = [
        f"{name}: lines above {params.threshold:g} of the continuum "
        f"(molecules {params.molecule_threshold:g}), computed at R = {params.sampling}"
        for name in params.references
    ]
    write_spectra(
        snakemake.output.spectra,
        spectra_table(points, steps, flux, continuum),
        pixels,
        params.resolving_power,
        provenance,
    )
    print(f"{snakemake.output.spectra}: {len(names)} spectra of {len(params.references)} reference points")


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
