"""Train the networks of one part of the pixels, or of a sample of it for the comparison with an L1 penalty."""

from dataclasses import replace

import numpy as np

from labeltransfer.catalogs.rows import label_columns
from labeltransfer.files.chunks import chunk_rows
from labeltransfer.files.csvfile import read_chosen
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table
from labeltransfer.models.files import save_model
from labeltransfer.models.network import NetworkOptions, join_networks, sample_pixels, train_sample
from labeltransfer.models.priors import prior_of
from labeltransfer.runtime import counted, job
from labeltransfer.spectra.store import read_stores

PIECE = 128  # pixels between two looks at the progress


def main(snakemake):
    """Write the networks of the part."""
    inputs, params, method = snakemake.input, snakemake.params, snakemake.wildcards.method
    names = tuple(params.labels)
    training, theory = read_stores([inputs.training]), read_table(inputs.theory)
    part = chunk_rows(len(training.wavelength), snakemake.wildcards.item)
    prior = prior_of(theory, names, **(params.network["prior"] if method == "prior" else {}))
    options = NetworkOptions(
        hidden=params.network["hidden"],
        ridge=read_chosen(inputs.ridge, "ridge"),
        l1=read_chosen(inputs.strength, "strength") if method == "l1" else 0.0,
        n_iterations=params.network["iterations" if method == "prior" else "comparison_iterations"],
        seed=params.seed,
    )
    chosen_pixels = np.ones(len(training.wavelength), dtype=bool)
    if method == "l1":
        sample = params.network["l1"]
        chosen_pixels = sample_pixels(training.wavelength, sample["model_pixels"], sample["window"])
    pieces = [slice(first, min(first + PIECE, part.stop)) for first in range(part.start, part.stop, PIECE)]
    models = []
    for piece in counted(pieces, lambda piece: piece.stop - piece.start, part.stop - part.start, "pixels"):
        model = train_sample(
            training.flux[:, piece],
            training.ivar[:, piece],
            label_columns(training.stars, names),
            names,
            chosen_pixels[piece],
            prior=prior.at(piece),
            options=replace(options, first_pixel=piece.start),
            wavelength=training.wavelength[piece],
            threads=snakemake.threads,
        )
        models.append(model)
    model = join_networks(models)
    n = np.count_nonzero(model.usable)
    print(f"{n} of {len(model.b)} pixels, mean loss {model.loss[model.usable].sum() / max(n, 1):.4f}")
    settings = {"labels": params.labels, "network": params.network, "seed": params.seed, "method": method}
    meta = provenance(settings, list(inputs), params.code)
    save_model(snakemake.output.model, model, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
