"""Train the networks of one part of the pixels."""

import json

import numpy as np
import pandas as pd

from labeltransfer.catalogs.rows import chunk_rows
from labeltransfer.catalogs.tables import read_table
from labeltransfer.models.files import save_model
from labeltransfer.models.network import join_networks, train_network
from labeltransfer.runtime import counted, job, provenance
from labeltransfer.spectra.store import read_stores

PIECE = 128  # pixels between two looks at the progress


def training_labels(training, names):
    """Labels (n, k) of the stars in a store of training spectra."""
    return np.column_stack([training.stars[name] for name in names])


def prior_of(theory, names):
    """Gradients (R, k, p), steps (k,) and reference points (R, k) from the table of theory."""
    references = list(dict.fromkeys(theory["reference"].tolist()))
    rows = [
        [np.flatnonzero((theory["reference"] == point) & (theory["label"] == name))[0] for name in names]
        for point in references
    ]
    gradient = np.asarray(theory["gradient"], dtype=float)[rows]
    return gradient, np.asarray(theory["step"])[rows[0]], np.asarray(theory["value"])[rows]


def options_of(theory, names, network, method):
    """Arguments of `train_network` that make the prior, for the method that has one."""
    gradient, steps, points = prior_of(theory, names)
    options = {"label_names": names, "hidden": network["hidden"], "d_scale": 0.0}
    if method == "prior":
        options |= network["prior"] | {"gradient": gradient, "steps": steps, "reference_point": points}
    return options


def chosen(path, column):
    """The number in the row of a table that was chosen: a ridge or a strength."""
    table = pd.read_csv(path)
    return float(table[column][table["chosen"]].iloc[0])


def main(snakemake):
    """Write the networks of the part."""
    inputs, params, method = snakemake.input, snakemake.params, snakemake.wildcards.method
    names = tuple(params.labels)
    training, theory = read_stores([inputs.training]), read_table(inputs.theory)
    part = chunk_rows(len(training.wavelength), snakemake.wildcards.item)
    options = options_of(theory, names, params.network, method)
    gradient = options.pop("gradient", None)
    options |= {
        "ridge": chosen(inputs.ridge, "ridge"),
        "l1": chosen(inputs.strength, "strength") if method == "l1" else 0.0,
        "n_iterations": params.network["iterations" if method == "prior" else "comparison_iterations"],
    }
    pieces = [slice(first, min(first + PIECE, part.stop)) for first in range(part.start, part.stop, PIECE)]
    models = []
    for piece in counted(pieces, lambda piece: piece.stop - piece.start, part.stop - part.start, "pixels"):
        model = train_network(
            training.flux[:, piece],
            training.ivar[:, piece],
            training_labels(training, names),
            gradient=None if gradient is None else gradient[:, :, piece],
            seed=params.seed,
            first_pixel=piece.start,
            wavelength=training.wavelength[piece],
            threads=snakemake.threads,
            **options,
        )
        models.append(model)
    model = join_networks(models)
    print(f"{np.count_nonzero(model.usable)} of {len(model.b)} pixels, mean loss {model.loss.mean():.4f}")
    code = dict(zip(("spectra", "models"), params.code, strict=True))
    settings = {"labels": params.labels, "network": params.network, "seed": params.seed, "method": method}
    meta = provenance(settings, list(inputs), code)
    save_model(
        snakemake.output.model, model, {key: json.dumps(value, sort_keys=True) for key, value in meta.items()}
    )


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
