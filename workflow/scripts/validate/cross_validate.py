"""Label reference stars with models that never saw them: an 80/20 split and k folds, divided by star."""

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.enough import check_training_parts
from labeltransfer.catalogs.rows import label_columns, rows_of, used_errors
from labeltransfer.catalogs.splits import group_folds, k_folds, train_test_split
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.models import cannon
from labeltransfer.models.starts import read_starts, spread_starts
from labeltransfer.runtime import blamed_on, job
from labeltransfer.spectra.store import read_stores
from labeltransfer.validation.held_out import held_out_labels


def main(snakemake):
    """Write, for every reference star, the labels that the models which had not seen it gave."""
    inputs, params, threads = snakemake.input, snakemake.params, snakemake.threads
    names, validation, model = tuple(params.labels), params.validation, params.model
    spectra, stars, clip = read_stores(inputs.stores), read_table(inputs.stars), read_table(inputs.clip)
    ids = spectra.stars["id"]
    stars, clip = stars[rows_of(stars["spectrum_id"], ids)], clip[rows_of(clip["id"], ids)]
    labels, trainable = label_columns(clip, names), np.asarray(clip["trained"])
    starts = read_starts(inputs.starts, names, labels) if inputs.starts else spread_starts(labels)

    fold = k_folds(stars["star"], validation["folds"], params.seed)
    split = ~train_test_split(stars["star"], validation["train_fraction"], params.seed)
    schemes = {"fold": [fold == number for number in range(validation["folds"])], "split": [split]}
    keys = {"fold": "folds", "split": "train_fraction"}
    if validation.get("groups"):
        group = group_folds(stars["group"])
        schemes["group"], keys["group"] = [group == number for number in np.unique(group)], "groups"
    parts = {
        f"validation.{key}": [np.count_nonzero(trainable & ~test) for test in schemes[scheme]]
        for scheme, key in keys.items()
    }
    with blamed_on(inputs.clip):
        check_training_parts(parts, {"labels": names, "model": model}, f"studies.{snakemake.wildcards.study}")
    table = Table({"id": ids, "trained": trainable, "fold": fold, "in_test_20": split})
    table["snr"], table["snr_g"] = spectra.stars["snr"], spectra.stars["snr_g"]
    errors = used_errors(stars, names, model, clip)
    train = cannon.trainer(
        spectra.flux, spectra.ivar, labels, errors, **cannon.options_of(model, names), threads=threads
    )
    how = {"trainable": trainable, "starts": starts, "threads": threads}
    for scheme, tests in schemes.items():
        found = held_out_labels(spectra.flux, spectra.ivar, labels, tests, train, **how)
        for j, name in enumerate(names):
            table[f"{name}_{scheme}"], table[f"{name}_{scheme}_err"] = found.labels[:, j], found.errors[:, j]
        table[f"reduced_chi2_{scheme}"], table[f"converged_{scheme}"] = found.reduced_chi2, found.converged
    if validation.get("groups"):
        table["group"] = stars["group"]
    for j, name in enumerate(names):
        table[name] = labels[:, j]
        if f"{name}_err" in stars.colnames:
            table[f"{name}_err"] = stars[f"{name}_err"]
    settings = {name: getattr(params, name) for name in ("labels", "model", "validation", "seed")}
    write_table(table, snakemake.output.table, provenance(settings, list(inputs), params.code))


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
