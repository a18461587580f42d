"""Labels of the reference stars from the reference survey and from every method; calibrated errors."""

from itertools import pairwise

import numpy as np
import pandas as pd
from astropy.table import vstack

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.models.files import load_model
from labeltransfer.runtime import job
from labeltransfer.validation.calibration import (
    apply_calibration,
    fit_calibration,
    reference_error,
    write_calibration,
)
from labeltransfer.validation.statistics import comparison, z_width

SNR_EDGES = (30.0, 50.0, 100.0, 200.0)


def compare(stars, labels, names):
    """One table of all: `<label>_apogee`, `<label>_<method>` and errors, by the stars that all methods label.

    Parameters
    ----------
    stars : Table
        What each reference star is for (`reference_clip.fits`).
    labels : dict of str to Table
        By method.
    names : sequence of str
    """
    table = stars["id", "trained", "reason", "snr"].copy()
    table["test"] = np.asarray(stars["reason"]) == "S/N of the test stars"
    for name in names:
        table[f"{name}_apogee"] = stars[name]
        if f"{name}_err" in stars.colnames:
            table[f"{name}_apogee_err"] = stars[f"{name}_err"]
    for method, found in labels.items():
        rows = rows_of(found["id"], stars["id"])
        for column in ("converged", "reduced_chi2"):
            table[f"{column}_{method}"] = found[column][rows]
        for name in names:
            table[f"{name}_{method}"] = found[name][rows]
            table[f"{name}_{method}_err"] = found[f"{name}_err"][rows]
    return table


def summary_of(table, pixels, names, calibrations):
    """Bias, scatter and z-scores per method (of so many pixels), group of stars and label."""
    snr = np.asarray(table["snr"])
    groups = [("training", snr.min(), snr.max(), np.asarray(table["trained"]))]
    for low, high in [(SNR_EDGES[0], SNR_EDGES[-1]), *pairwise(SNR_EDGES)]:
        groups.append(("test", low, high, np.asarray(table["test"]) & (snr >= low) & (snr <= high)))
    rows = []
    for method, n_pix in pixels.items():
        for group, low, high, chosen in groups:
            mask = chosen & np.asarray(table[f"converged_{method}"])
            for name in names:
                here, reference = table[f"{name}_{method}"][mask], table[f"{name}_apogee"][mask]
                formal = np.asarray(table[f"{name}_{method}_err"][mask], dtype=float)
                row = {"method": method, "stars": group, "snr_from": low, "snr_to": high, "label": name}
                row |= comparison(here, reference)._asdict()
                row["reduced_chi2"] = (
                    np.median(table[f"reduced_chi2_{method}"][mask]) if mask.any() else np.nan
                )
                row["pixels"] = n_pix
                row["median_formal_error"] = np.median(formal) if mask.any() else np.nan
                row["z_width_formal"] = z_width(here - reference, formal)
                if method == "prior":
                    total = np.hypot(
                        apply_calibration(formal, calibrations[name]), reference_error(table, name)[mask]
                    )
                    row["z_width_calibrated"] = z_width(here - reference, total)
                rows.append(row)
    return pd.DataFrame(rows)


def calibrations_of(table, names):
    """How formal errors become total ones, from the test stars."""
    good = np.asarray(table["test"] & table["converged_prior"])
    return {
        name: fit_calibration(
            np.asarray(table[f"{name}_prior"] - table[f"{name}_apogee"], dtype=float)[good],
            np.asarray(table[f"{name}_prior_err"], dtype=float)[good],
            reference_error(table, name)[good],
            np.asarray(table["snr"])[good],
        )
        for name in names
    }


def main(snakemake):
    """Write the comparison, its summary and the calibration."""
    inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params
    names = list(params.labels)
    labels = {
        "prior": vstack([read_table(path) for path in inputs.prior], metadata_conflicts="silent"),
        **{method: read_table(path) for method, path in zip(params.methods, inputs.others, strict=True)},
    }
    table = compare(read_table(inputs.stars), labels, names)
    try:
        calibrations = calibrations_of(table, names)
    except ValueError as error:
        raise SystemExit(f"{inputs.stars}: {error}") from error
    models = {method: load_model(path) for method, path in zip(labels, inputs.models, strict=True)}
    pixels = {method: np.count_nonzero(model.usable) for method, model in models.items()}
    summary = summary_of(table, pixels, names, calibrations)
    print(summary.to_string())
    write_table(table, outputs.table, provenance({"labels": params.labels}, list(inputs), params.code))
    write_csv(summary, outputs.summary)
    write_calibration(calibrations, outputs.calibration)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
