"""Label reference stars with models that never saw them: an 80/20 split and k folds, divided by star."""

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.enough import check_training_parts
from labeltransfer.catalogs.rows import rows_of
from labeltransfer.catalogs.splits import k_folds, train_test_split
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.models.cannon import label, train
from labeltransfer.models.starts import read_starts, spread_starts
from labeltransfer.runtime import job
from labeltransfer.spectra.store import read_stores


def held_out_labels(spectra, labels, test, trainable, names, starts, settings, threads):
    """Labels of the test stars from a model trained on the others, without stars that the clip removed."""
    rows = np.flatnonzero(trainable & ~test)
    model = train(
        spectra.flux[rows],
        spectra.ivar[rows],
        labels[rows],
        label_names=names,
        order=settings["order"],
        scatter=settings["scatter"],
        threads=threads,
    )
    return label(spectra.flux[test], spectra.ivar[test], model, starts=starts, threads=threads)


def main(snakemake):
    """Write, for every reference star, the labels that the models which had not seen it gave."""
    inputs, params = snakemake.input, snakemake.params
    names = tuple(params.labels)
    spectra = read_stores(inputs.stores)
    ids = spectra.stars["id"]
    stars, clip = read_table(inputs.stars), read_table(inputs.clip)
    stars, clip = stars[rows_of(stars["spectrum_id"], ids)], clip[rows_of(clip["id"], ids)]
    labels = np.column_stack([clip[name] for name in names])
    trainable = np.asarray(clip["trained"])
    starts = read_starts(inputs.starts, names, labels) if inputs.starts else spread_starts(labels)

    fold = k_folds(stars["star"], params.validation["folds"], params.seed)
    split = ~train_test_split(stars["star"], params.validation["train_fraction"], params.seed)
    table = Table({"id": ids, "trained": trainable, "fold": fold, "in_test_20": split})
    table["snr"], table["snr_g"] = spectra.stars["snr"], spectra.stars["snr_g"]
    schemes = {"fold": [fold == number for number in range(params.validation["folds"])], "split": [split]}
    parts = {
        f"validation.{key}": [np.count_nonzero(trainable & ~test) for test in schemes[scheme]]
        for scheme, key in (("fold", "folds"), ("split", "train_fraction"))
    }
    try:
        check_training_parts(parts, len(names), params.model["order"], f"studies.{snakemake.wildcards.study}")
    except ValueError as error:
        raise SystemExit(f"{inputs.clip}: {error}") from None
    for scheme, tests in schemes.items():
        values, errors = np.full((2, *labels.shape), np.nan)
        chi2, converged = np.full(len(ids), np.nan), np.zeros(len(ids), dtype=bool)
        for test in tests:
            found = held_out_labels(
                spectra, labels, test, trainable, names, starts, params.model, snakemake.threads
            )
            values[test] = found.labels
            errors[test] = np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
            chi2[test], converged[test] = found.reduced_chi2, found.converged
        for number, name in enumerate(names):
            table[f"{name}_{scheme}"], table[f"{name}_{scheme}_err"] = values[:, number], errors[:, number]
        table[f"reduced_chi2_{scheme}"], table[f"converged_{scheme}"] = chi2, converged
    for number, name in enumerate(names):
        table[name] = labels[:, number]
        if f"{name}_err" in stars.colnames:
            table[f"{name}_err"] = stars[f"{name}_err"]
    settings = {
        "labels": params.labels,
        "model": params.model,
        "validation": params.validation,
        "seed": params.seed,
    }
    meta = provenance(settings, list(inputs), params.code)
    write_table(table, snakemake.output.table, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
