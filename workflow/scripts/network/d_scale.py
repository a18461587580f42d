"""Cross-validate networks with several strengths of the prior, on some of the pixels."""

import numpy as np
import pandas as pd

from labeltransfer.catalogs.rows import label_columns
from labeltransfer.catalogs.splits import k_folds
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.models.network import NetworkOptions, label_network, train_network
from labeltransfer.models.priors import prior_of
from labeltransfer.models.starts import spread_starts
from labeltransfer.runtime import job
from labeltransfer.spectra.store import read_stores
from labeltransfer.validation.choices import chosen
from labeltransfer.validation.gradient_correlation import gradient_correlation
from labeltransfer.validation.statistics import bias_and_scatter


def cross_validate(flux, ivar, labels, fold, names, prior, options, threads):
    """Labels of every star from networks that never saw it, and those networks."""
    found, models = np.full(labels.shape, np.nan), []
    for number in np.unique(fold):
        test = fold == number
        model = train_network(
            flux[~test], ivar[~test], labels[~test], names, prior=prior, options=options, threads=threads
        )
        result = label_network(
            flux[test], ivar[test], model, starts=spread_starts(labels[~test]), threads=threads
        )
        found[test] = np.where(result.converged[:, None], result.labels, np.nan)
        models.append(model)
    return found, models


def main(snakemake):
    """Write scatter and gradient correlation for one D_scale."""
    inputs, params = snakemake.input, snakemake.params
    names, settings = tuple(params.labels), params.network["scan"]
    training, theory = read_stores([inputs.training]), read_table(inputs.theory)
    labels = label_columns(training.stars, names)
    d_scale = settings["d_scales"][int(snakemake.wildcards.number)]
    n_pix = len(training.wavelength)
    pixels = np.linspace(0, n_pix - 1, min(settings["pixels"], n_pix)).astype(int)
    options = NetworkOptions(
        hidden=params.network["hidden"],
        ridge=chosen(inputs.ridge if d_scale > 0 else inputs.plain_ridge, "ridge"),
        n_iterations=settings["iterations"],
        seed=params.seed,
    )
    prior = prior_of(theory, names, **{**params.network["prior"], "d_scale": d_scale}).at(pixels)
    fold = k_folds(training.stars["id"], settings["folds"], params.seed)
    found, models = cross_validate(
        training.flux[:, pixels],
        training.ivar[:, pixels],
        labels,
        fold,
        names,
        prior,
        options,
        snakemake.threads,
    )
    here = np.mean([model.gradients(prior.points[0], prior.steps) for model in models], axis=0)
    correlation = gradient_correlation(here, prior.gradient[0])
    rows = []
    for j, name in enumerate(names):
        residual = found[:, j] - labels[:, j]
        _, scatter = bias_and_scatter(residual, "clipped")
        rows.append(
            {
                "d_scale": d_scale,
                "label": name,
                "scatter": scatter,
                "robust_scatter": bias_and_scatter(residual, "robust")[1],
                "correlation": correlation[j],
                "n": np.count_nonzero(np.isfinite(residual)),
                "ridge": options.ridge,
                "pixels": len(pixels),
                "folds": settings["folds"],
            }
        )
    table = pd.DataFrame(rows)
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
