"""Choose the strength of the L1 penalty: the one whose networks have gradients closest to theory."""

import pandas as pd

from labeltransfer.catalogs.rows import label_columns
from labeltransfer.files.csvfile import read_chosen, write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.models.network import NetworkOptions, even_pixels, train_network
from labeltransfer.models.priors import prior_of
from labeltransfer.runtime import job
from labeltransfer.spectra.store import read_stores
from labeltransfer.validation.gradient_correlation import closeness


def main(snakemake):
    """Write how far the gradients are from theory for each strength, on some pixels."""
    inputs, params = snakemake.input, snakemake.params
    names, settings = tuple(params.labels), params.network["l1"]
    training, theory = read_stores([inputs.training]), read_table(inputs.theory)
    labels = label_columns(training.stars, names)
    pixels = even_pixels(len(training.wavelength), settings["pixels"])
    prior = prior_of(theory, names).at(pixels)
    rows = []
    for strength in settings["strengths"]:
        model = train_network(
            training.flux[:, pixels],
            training.ivar[:, pixels],
            labels,
            names,
            options=NetworkOptions(
                hidden=params.network["hidden"],
                ridge=read_chosen(inputs.ridge, "ridge"),
                l1=strength,
                n_iterations=params.network["comparison_iterations"],
                seed=params.seed,
            ),
            threads=snakemake.threads,
        )
        found = [model.gradients(point, prior.steps) for point in prior.points]
        rows.append((strength, closeness(found, prior.gradient), model.loss.mean(), len(pixels)))
        print(f"Lambda = {strength:g}: mean correlation with theory {rows[-1][1]:.3f}", flush=True)
    table = pd.DataFrame(rows, columns=["strength", "correlation", "loss", "pixels"])
    table["chosen"] = table.index == table["correlation"].argmax()
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
