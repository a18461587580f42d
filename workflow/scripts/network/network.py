"""Put the networks of all parts of the pixels together."""

from dataclasses import replace

import numpy as np

from labeltransfer.models.files import load_model, load_provenance, save_model
from labeltransfer.models.network import join_networks
from labeltransfer.runtime import job
from labeltransfer.spectra.prepare import read_noise


def main(snakemake):
    """Write the model of all pixels."""
    models = [load_model(path) for path in snakemake.input.parts]
    order = np.argsort([model.wavelength[0] for model in models])
    model = join_networks([models[i] for i in order])
    if snakemake.input.noise:
        model = replace(model, noise=read_noise(snakemake.input.noise, model.wavelength))
    n = np.count_nonzero(model.usable)
    print(f"{n} of {len(model.b)} pixels, mean loss {model.loss[model.usable].sum() / max(n, 1):.4f}")
    save_model(snakemake.output.model, model, load_provenance(snakemake.input.parts[0]))


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
