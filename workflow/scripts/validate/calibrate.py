"""Fit how formal errors become total errors, and tabulate the cross-validation."""

import numpy as np
import pandas as pd
from astropy.table import vstack

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.runtime import job
from labeltransfer.validation.calibration import (
    apply_calibration,
    fit_calibration,
    with_bootstrap,
    write_calibration,
    zero_point,
)
from labeltransfer.validation.statistics import comparison, z_width


def reference_errors(table, name):
    """Errors of the reference labels; 0 where the reference survey gives none."""
    if f"{name}_err" not in table.colnames:
        return np.zeros(len(table))
    return np.nan_to_num(np.asarray(table[f"{name}_err"], dtype=float))


def calibrations_of(table, names):
    """Calibration of each label from the k-fold residuals of the stars that the model may train on."""
    good = np.asarray(table["trained"] & table["converged_fold"])
    found = {}
    for name in names:
        reference_error = reference_errors(table, name)[good]
        residual = np.asarray(table[f"{name}_fold"] - table[name], dtype=float)[good]
        formal = np.asarray(table[f"{name}_fold_err"], dtype=float)[good]
        found[name] = fit_calibration(
            residual, formal, reference_error, table["snr"][good], table[f"{name}_bootstrap"][good]
        )
    return found


def summary_of(table, names, calibrations, min_snr):
    """Bias, scatter and z-scores per label, scheme and S/N."""
    rows = []
    for scheme, tested in (("fold", np.ones(len(table), dtype=bool)), ("split", table["in_test_20"])):
        for lowest in (0.0, min_snr):
            mask = tested & table["trained"] & table[f"converged_{scheme}"] & (table["snr"] > lowest)
            for name in names:
                here, reference = table[f"{name}_{scheme}"][mask], table[name][mask]
                formal = np.asarray(table[f"{name}_{scheme}_err"][mask], dtype=float)
                reference_error = reference_errors(table, name)[mask]
                model_error = np.asarray(table[f"{name}_bootstrap"][mask], dtype=float)
                total = np.hypot(apply_calibration(formal, calibrations[name], model_error), reference_error)
                found = comparison(here, reference)
                at_zero = here - reference - zero_point(table["snr"][mask], calibrations[name])
                rows.append(
                    {
                        "scheme": "k-fold" if scheme == "fold" else "80/20",
                        "snr_above": lowest,
                        "label": name,
                        **found._asdict(),
                        "median_formal_error": np.median(formal) if len(formal) else np.nan,
                        "z_width_formal": z_width(here - reference, formal),
                        "z_width_calibrated": z_width(at_zero, total),
                    }
                )
    return pd.DataFrame(rows)


def main(snakemake):
    """Write the calibration and the table of cross-validation results."""
    table = read_table(snakemake.input.table)
    names = list(snakemake.params.labels)
    labels = vstack([read_table(path) for path in snakemake.input.labels], metadata_conflicts="silent")
    labels = with_bootstrap(labels[rows_of(labels["id"], table["id"])], names)
    # A model that leaves out one of k folds has seen less, and scatters that much more between samples.
    folds = snakemake.params.folds
    for name in names:
        table[f"{name}_bootstrap"] = labels[f"{name}_bootstrap"] * np.sqrt(folds / (folds - 1))
    try:
        calibrations = calibrations_of(table, names)
    except ValueError as error:
        raise SystemExit(f"{snakemake.input.table}: {error}") from error
    write_calibration(calibrations, snakemake.output.calibration)
    summary = summary_of(table, names, calibrations, snakemake.params.min_snr)
    print(summary.to_string())
    write_csv(summary, snakemake.output.summary)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
