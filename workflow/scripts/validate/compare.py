"""Set the labels of the reference stars side by side: reference survey, survey pipeline, model."""

import numpy as np
from astropy.table import Table, vstack

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.runtime import job
from labeltransfer.validation.calibration import apply_calibration, read_calibration, with_bootstrap


def compare(stars, clip, labels, cross_validation, calibrations, names, pipeline):
    """One row per reference star with a spectrum; `_cannon` is the leave-none-out label, `_held_out` the k-fold one."""
    ids = np.asarray(labels["id"])
    stars = stars[rows_of(stars["spectrum_id"], ids)]
    held_out = cross_validation[rows_of(cross_validation["id"], ids)]
    table = Table({"id": ids, "reference_id": stars["reference_id"], "ra": stars["ra"], "dec": stars["dec"]})
    table["trained"] = clip["trained"][rows_of(clip["id"], ids)]
    for name in ("snr", "snr_g", "converged", "reduced_chi2"):
        table[name] = labels[name]
    for name in names:
        table[f"{name}_apogee"] = stars[name]
        if f"{name}_err" in stars.colnames:
            table[f"{name}_apogee_err"] = stars[f"{name}_err"]
        table[f"{name}_cannon"] = labels[name]
        table[f"{name}_cannon_err"] = labels[f"{name}_err"]
        table[f"{name}_calibrated_err"] = apply_calibration(
            labels[f"{name}_err"], calibrations[name], labels[f"{name}_bootstrap"]
        )
        table[f"{name}_bootstrap"] = labels[f"{name}_bootstrap"]
        table[f"{name}_held_out"] = held_out[f"{name}_fold"]
        if name in pipeline:
            table[f"{name}_lamost"] = stars[f"{name}_pipeline"]
    return table


def main(snakemake):
    """Write the comparison table."""
    inputs, params = snakemake.input, snakemake.params
    labels = vstack([read_table(path) for path in inputs.labels], metadata_conflicts="silent")
    table = compare(
        read_table(inputs.stars),
        read_table(inputs.clip),
        with_bootstrap(labels, list(params.labels)),
        read_table(inputs.cross_validation),
        read_calibration(inputs.calibration),
        list(params.labels),
        params.pipeline,
    )
    settings = {"labels": params.labels, "pipeline": params.pipeline}
    write_table(table, snakemake.output.table, provenance(settings, list(inputs), params.code))


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
