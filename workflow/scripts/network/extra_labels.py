"""Try further labels with the prior, on some of the pixels: how well they are found, and what dust does to them."""

import numpy as np
import pandas as pd

from labeltransfer.catalogs.rows import label_columns, rows_of
from labeltransfer.catalogs.splits import TEST
from labeltransfer.files.csvfile import read_chosen, write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.models.network import NetworkOptions, train_network
from labeltransfer.models.priors import prior_of, stepped_name, theory_table
from labeltransfer.models.starts import spread_starts
from labeltransfer.runtime import job
from labeltransfer.spectra.prepare import kernel_from, smoothing_of
from labeltransfer.spectra.store import read_stores
from labeltransfer.synthesis.model_spectra import read_model_spectra
from labeltransfer.validation.extra_labels import fit_rows, telling_pixels, without_na_d
from labeltransfer.validation.gradient_correlation import gradient_correlation


def main(snakemake):
    """Write extra_labels.csv."""
    inputs, params, threads = snakemake.input, snakemake.params, snakemake.threads
    extra = {name: about for name, about in params.extra.items() if "step" in about}
    labels, network = {**params.labels, **extra}, params.network
    names, spectra = tuple(labels), read_stores(inputs.stores)
    ids, stars, clip = spectra.stars["id"], read_table(inputs.stars), read_table(inputs.clip)
    stars, clip = stars[rows_of(stars["spectrum_id"], ids)], clip[rows_of(clip["id"], ids)]
    values = label_columns(stars, names)
    known = np.isfinite(values).all(axis=1)
    train, test = np.asarray(clip["trained"]) & known, (np.asarray(clip["reason"]) == TEST) & known
    models = read_model_spectra(inputs.spectra, labels=[stepped_name(name) for name in names])
    theory = theory_table(
        models,
        network["references"],
        labels,
        spectra.wavelength,
        kernel_from(spectra.wavelength, params.preparation["normalisation"], inputs.noise),
        np.median(spectra.ivar[train], axis=0),
        smoothing_of(params.preparation, models.resolution, spectra.wavelength),
    )
    prior = prior_of(theory, names, **network["prior"])
    pixels = telling_pixels(prior.gradient[0], len(extra), network["scan"]["pixels"])
    prior = prior.at(pixels)
    flux, ivar, wavelength = spectra.flux[:, pixels], spectra.ivar[:, pixels], spectra.wavelength[pixels]
    options = NetworkOptions(
        hidden=network["hidden"],
        ridge=read_chosen(inputs.ridge, "ridge"),
        n_iterations=network["scan"]["iterations"],
        seed=params.seed,
    )
    how = {"prior": prior, "options": options, "threads": threads}
    model = train_network(flux[train], ivar[train], values[train], names, **how)
    correlation = gradient_correlation(model.gradients(prior.points[0], prior.steps), prior.gradient[0])
    a_k = np.asarray(stars["a_k"], dtype=float) if "a_k" in stars.colnames else np.full(len(stars), np.nan)
    starts, tables = spread_starts(values[train]), []
    for fit, used in (("all", ivar[test]), ("without Na D", without_na_d(wavelength, ivar[test]))):
        found = model.label(flux[test], used, starts=starts, threads=threads)
        table = pd.DataFrame(fit_rows(found, values[test], names, a_k[test]))
        table.insert(1, "extra", table["label"].isin(list(extra)))
        table.insert(2, "fit", fit)
        tables.append(table.assign(correlation=correlation))
    table = pd.concat(tables, ignore_index=True).assign(pixels=len(pixels), archive=params.source)
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
