"""Choose the ridge of networks by cross-validation on some pixels."""

import pandas as pd

from labeltransfer.catalogs.rows import label_columns
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.models.network import NetworkOptions, RidgeTrial, choose_ridge
from labeltransfer.models.priors import prior_of
from labeltransfer.runtime import job
from labeltransfer.spectra.store import read_stores


def main(snakemake):
    """Write how well networks with each ridge predict the spectra of stars that they were not trained on."""
    inputs, params = snakemake.input, snakemake.params
    training, theory = read_stores([inputs.training]), read_table(inputs.theory)
    names, network = tuple(params.labels), params.network
    settings = network["ridge"]
    strength = network["prior"] if snakemake.wildcards.method == "prior" else {}
    choice = choose_ridge(
        training.flux,
        training.ivar,
        label_columns(training.stars, names),
        names,
        trial=RidgeTrial(settings["choices"], settings["folds"], settings["pixels"]),
        prior=prior_of(theory, names, **strength),
        options=NetworkOptions(
            hidden=network["hidden"], n_iterations=network["scan"]["iterations"], seed=params.seed
        ),
        threads=snakemake.threads,
    )
    table = pd.DataFrame({"ridge": choice.ridges, "held_out": choice.held_out})
    table["chosen"] = table["ridge"] == choice.best
    table["pixels"], table["folds"] = settings["pixels"], settings["folds"]
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
