"""Compare models of several orders on stars that they had not seen."""

from functools import partial

import numpy as np

from labeltransfer.catalogs.rows import label_columns, rows_of, used_errors
from labeltransfer.catalogs.splits import k_folds
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.models import cannon
from labeltransfer.models.starts import read_starts, spread_starts
from labeltransfer.runtime import job
from labeltransfer.spectra.store import read_stores
from labeltransfer.validation.orders import orders_table, possible_orders


def main(snakemake):
    """Write the table of the orders."""
    inputs, params, threads = snakemake.input, snakemake.params, snakemake.threads
    names, settings = tuple(params.labels), params.model
    spectra, stars, clip = read_stores(inputs.stores), read_table(inputs.stars), read_table(inputs.clip)
    ids = spectra.stars["id"]
    stars, trained = stars[rows_of(stars["spectrum_id"], ids)], clip["trained"][rows_of(clip["id"], ids)]
    labels = label_columns(stars, names)
    errors = used_errors(stars, names, settings, clip)
    starts = read_starts(inputs.starts, names, labels) if inputs.starts else spread_starts(labels)
    fold = k_folds(stars["star"], params.folds, params.seed)
    tests = [fold == number for number in np.unique(fold)]
    options = {**cannon.options_of(settings, names), "threads": threads}
    train = partial(cannon.trainer, spectra.flux, spectra.ivar, labels, errors)
    fewest = min(np.count_nonzero(trained & ~test) for test in tests)
    orders = sorted({*possible_orders(len(names), fewest), settings["order"]})
    how = {"trainable": np.asarray(trained), "starts": starts, "threads": threads}
    expansions = {o: options["order"]._replace(order=o, terms=None) for o in orders}
    expansions[settings["order"]] = options["order"]
    trainers = {o: train(**{**options, "order": expansion}) for o, expansion in expansions.items()}
    table = orders_table((spectra.flux, spectra.ivar), labels, names, tests, trainers, how)
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
