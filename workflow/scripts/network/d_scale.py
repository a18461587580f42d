"""Cross-validate networks with several strengths of the prior, on some of the pixels."""

import numpy as np
import pandas as pd

from labeltransfer.catalogs.rows import label_columns
from labeltransfer.catalogs.splits import k_folds
from labeltransfer.files.csvfile import read_chosen, write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.models.network import NetworkOptions, even_pixels, train_network
from labeltransfer.models.priors import prior_of
from labeltransfer.runtime import job
from labeltransfer.spectra.store import read_stores
from labeltransfer.validation.gradient_correlation import gradient_correlation
from labeltransfer.validation.held_out import held_out_labels
from labeltransfer.validation.statistics import bias_and_scatter


def main(snakemake):
    """Write scatter and gradient correlation for one D_scale."""
    inputs, params, threads = snakemake.input, snakemake.params, snakemake.threads
    names, settings = tuple(params.labels), params.network["scan"]
    training, theory = read_stores([inputs.training]), read_table(inputs.theory)
    labels = label_columns(training.stars, names)
    d_scale = settings["d_scales"][int(snakemake.wildcards.number)]
    pixels = even_pixels(len(training.wavelength), settings["pixels"])
    options = NetworkOptions(
        hidden=params.network["hidden"],
        ridge=read_chosen(inputs.ridge if d_scale > 0 else inputs.plain_ridge, "ridge"),
        n_iterations=settings["iterations"],
        seed=params.seed,
    )
    prior = prior_of(theory, names, **{**params.network["prior"], "d_scale": d_scale}).at(pixels)
    fold = k_folds(training.stars["id"], settings["folds"], params.seed)
    tests = [fold == number for number in np.unique(fold)]
    flux, ivar = training.flux[:, pixels], training.ivar[:, pixels]
    how = {"label_names": names, "prior": prior, "options": options, "threads": threads}

    def train(rows):
        return train_network(flux[rows], ivar[rows], labels[rows], **how)

    found = held_out_labels(flux, ivar, labels, tests, train, threads=threads)
    here = np.mean([model.gradients(prior.points[0], prior.steps) for model in found.models], axis=0)
    residual = np.where(found.converged[:, None], found.labels - labels, np.nan)
    table = pd.DataFrame(
        {
            "d_scale": d_scale,
            "label": names,
            "scatter": [bias_and_scatter(column, "clipped")[1] for column in residual.T],
            "robust_scatter": [bias_and_scatter(column, "robust")[1] for column in residual.T],
            "correlation": gradient_correlation(here, prior.gradient[0]),
            "n": np.isfinite(residual).sum(axis=0),
            "ridge": options.ridge,
            "pixels": len(pixels),
            "folds": settings["folds"],
        }
    )
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
