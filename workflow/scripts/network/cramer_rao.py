"""The Cramer-Rao bound of every label at several S/N, and how far above it the measured scatter is."""

import numpy as np
import pandas as pd

from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.runtime import job
from labeltransfer.validation.calibration import reference_error
from labeltransfer.validation.cramer_rao import cramer_rao
from labeltransfer.validation.statistics import bias_and_scatter

WINDOW = 1.25  # stars of about an S/N: within this factor of it


def scatter_near(table, name, snr):
    """Scatter of the test stars of about an S/N: as measured, and without the reference errors."""
    near = np.asarray(table["test"]) & np.asarray(table["converged_prior"])
    near &= (np.asarray(table["snr"]) > snr / WINDOW) & (np.asarray(table["snr"]) < snr * WINDOW)
    residual = np.asarray(table[f"{name}_prior"] - table[f"{name}_apogee"], dtype=float)[near]
    _, scatter = bias_and_scatter(residual, "clipped")
    own = scatter**2 - np.mean(reference_error(table, name)[near] ** 2) if near.any() else np.nan
    noise = np.sqrt(np.median(table["reduced_chi2_prior"][near])) if near.any() else np.nan
    return near.sum(), scatter, np.sqrt(own) if own > 0 else np.nan, noise


def bounds(gradients, comparison, names, steps, all_snr):
    """Rows of the table; the noise has the wavelength dependence of the training spectra."""
    ivar = np.asarray(gradients["ivar"], dtype=float)
    typical = np.median(np.sqrt(ivar[ivar > 0]))
    rows = []
    for snr in all_snr:
        noise = ivar * (snr / typical) ** 2
        theory = cramer_rao(np.asarray(gradients["theory"]).T, steps, ivar=noise)
        model = cramer_rao(np.asarray(gradients["prior"]).T, steps, ivar=noise)
        scattered = cramer_rao(
            np.asarray(gradients["prior"]).T,
            steps,
            ivar=noise,
            scatter=np.asarray(gradients["scatter_prior"]),
        )
        for j, name in enumerate(names):
            n, measured, without, factor = scatter_near(comparison, name, snr)
            rows.append(
                {
                    "label": name,
                    "snr": snr,
                    "bound_theory": theory[j],
                    "bound_model": model[j],
                    "bound_model_with_scatter": scattered[j],
                    "noise_over_stated": factor,
                    "n": n,
                    "measured": measured,
                    "measured_without_reference_errors": without,
                    "measured_over_theory": measured / theory[j],
                    "measured_over_model": measured / model[j],
                    "own_over_theory_at_true_noise": without / (theory[j] * factor),
                }
            )
    return pd.DataFrame(rows)


def main(snakemake):
    """Write cramer_rao.csv."""
    inputs, params = snakemake.input, snakemake.params
    names = list(params.labels)
    table = bounds(
        read_table(inputs.gradients),
        read_table(inputs.comparison),
        names,
        [params.labels[name]["step"] for name in names],
        params.network["cramer_rao_snr"],
    ).assign(archive=params.source)
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
