"""Try further labels with the prior, on some of the pixels: how well they are found, and what dust does to them."""

import numpy as np
import pandas as pd

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.catalogs.splits import TEST
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.models.network import NetworkOptions, label_network, train_network
from labeltransfer.models.priors import prior_of, stepped_name, theory_table
from labeltransfer.models.starts import spread_starts
from labeltransfer.runtime import job
from labeltransfer.spectra.normalise import banded_kernel
from labeltransfer.spectra.store import read_stores
from labeltransfer.synthesis.model_spectra import read_model_spectra
from labeltransfer.validation.choices import chosen
from labeltransfer.validation.gradient_correlation import gradient_correlation
from labeltransfer.validation.statistics import bias_and_scatter

STRONGEST = 60  # pixels of each further label
NA_D = (5880.0, 5905.0)  # Angstrom, vacuum: the doublet of the star and of clouds at up to 300 km/s from it


def chosen_pixels(gradient, n_extra, n_even):
    """Pixels evenly spread, and those where the last labels are strongest."""
    n_pix = gradient.shape[1]
    even = np.linspace(0, n_pix - 1, min(n_even, n_pix)).astype(int)
    strongest = np.argsort(-np.abs(gradient[-n_extra:]), axis=1, kind="stable")[:, :STRONGEST]
    return np.union1d(even, strongest)


def dust_slope(residual, a_k):
    """Slope of the residual with A_K [per mag] and its standard error."""
    good = np.isfinite(residual) & np.isfinite(a_k)
    if good.sum() < 3:
        return np.nan, np.nan
    slope, covariance = np.polyfit(a_k[good], residual[good], 1, cov=True)
    return slope[0], np.sqrt(covariance[0, 0])


def main(snakemake):
    """Write extra_labels.csv."""
    inputs, params = snakemake.input, snakemake.params
    extra = {name: about for name, about in params.extra.items() if "step" in about}
    labels, network = {**params.labels, **extra}, params.network
    names = tuple(labels)
    spectra, stars = read_stores(inputs.stores), read_table(inputs.stars)
    stars = stars[rows_of(stars["spectrum_id"], spectra.stars["id"])]
    clip = read_table(inputs.clip)
    clip = clip[rows_of(clip["id"], spectra.stars["id"])]
    values = np.column_stack([np.asarray(stars[name], dtype=float) for name in names])
    known = np.isfinite(values).all(axis=1)
    train, test = np.asarray(clip["trained"]) & known, (np.asarray(clip["reason"]) == TEST) & known
    theory = theory_table(
        read_model_spectra(inputs.spectra, labels=[stepped_name(name) for name in names]),
        network["references"],
        labels,
        spectra.wavelength,
        banded_kernel(spectra.wavelength, params.normalisation["width"], params.normalisation["weight"]),
        np.median(spectra.ivar[train], axis=0),
    )
    prior = prior_of(theory, names, **network["prior"])
    pixels = chosen_pixels(prior.gradient[0], len(extra), network["scan"]["pixels"])
    prior = prior.at(pixels)
    model = train_network(
        spectra.flux[np.ix_(train, pixels)],
        spectra.ivar[np.ix_(train, pixels)],
        values[train],
        names,
        prior=prior,
        options=NetworkOptions(
            hidden=network["hidden"],
            ridge=chosen(inputs.ridge, "ridge"),
            n_iterations=network["scan"]["iterations"],
            seed=params.seed,
        ),
        threads=snakemake.threads,
    )
    correlation = gradient_correlation(model.gradients(prior.points[0], prior.steps), prior.gradient[0])
    flux, ivar = spectra.flux[np.ix_(test, pixels)], spectra.ivar[np.ix_(test, pixels)]
    doublet = (spectra.wavelength[pixels] > NA_D[0]) & (spectra.wavelength[pixels] < NA_D[1])
    a_k = (
        np.asarray(stars["a_k"], dtype=float)[test]
        if "a_k" in stars.colnames
        else np.full(test.sum(), np.nan)
    )
    rows = []
    for fit, weight in (("all", ivar), ("without Na D", np.where(doublet, 0, ivar))):
        found = label_network(
            flux, weight, model, starts=spread_starts(values[train]), threads=snakemake.threads
        )
        for j, name in enumerate(names):
            residual = np.where(found.converged, found.labels[:, j] - values[test][:, j], np.nan)
            slope, error = dust_slope(residual, a_k)
            rows.append(
                {
                    "label": name,
                    "extra": name in extra,
                    "fit": fit,
                    "n": np.count_nonzero(np.isfinite(residual)),
                    "scatter": bias_and_scatter(residual)[1],
                    "robust_scatter": bias_and_scatter(residual, "robust")[1],
                    "slope_with_a_k": slope,
                    "slope_error": error,
                    "correlation": correlation[j],
                    "pixels": len(pixels),
                    "archive": params.source,
                }
            )
    table = pd.DataFrame(rows)
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
