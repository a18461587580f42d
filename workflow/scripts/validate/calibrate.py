"""Fit how formal errors become total errors, and tabulate the cross-validation."""

import numpy as np
from astropy.table import vstack

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.runtime import blamed_on, job
from labeltransfer.validation.calibration import bootstrap_error, fit_calibrations, write_calibration
from labeltransfer.validation.error_tests import cross_fitted, errors_table
from labeltransfer.validation.repeats import read_repeats, repeat_calibrations
from labeltransfer.validation.summaries import cross_validation_summary


def main(snakemake):
    """Write the calibration and the table of cross-validation results."""
    inputs, params, outputs = snakemake.input, snakemake.params, snakemake.output
    table, names, folds = read_table(inputs.table), list(params.labels), params.folds
    labels = vstack([read_table(path) for path in inputs.labels], metadata_conflicts="silent")
    labels = labels[rows_of(labels["id"], table["id"])]
    # A model that leaves out one of k folds has seen less, and scatters that much more between samples.
    for name in names:
        table[f"{name}_bootstrap"] = bootstrap_error(labels, name) * np.sqrt(folds / (folds - 1))
    good = np.asarray(table["trained"] & table["converged_fold"])
    with blamed_on(inputs.table):
        calibrations = fit_calibrations(table, names, "_fold", "", good)
        given = None
        if inputs.repeats:
            given = repeat_calibrations(
                *read_repeats(inputs.repeats, inputs.repeats_stars), names, calibrations
            )
    write_calibration(given or calibrations, outputs.calibration)
    # What is printed is of stars that the calibration was not fitted to; folds are divided by star.
    fitted = cross_fitted(table, names, "_fold", "", good, np.asarray(table["fold"]) % 2, given)
    summary = cross_validation_summary(table, names, fitted, params.min_snr)
    converged = table[table["converged_fold"]]
    fitted = tuple({name: part[name][table["converged_fold"]] for name in names} for part in fitted)
    errors = errors_table(converged, names, "_fold", "", fitted, np.asarray(converged["trained"]))
    print(summary.to_string(), errors.to_string(), sep="\n\n")
    write_csv(summary, outputs.summary)
    write_csv(errors, outputs.errors)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
