"""Measure here what the paper printed, and set both side by side."""

import numpy as np
import pandas as pd

from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.models.files import load_model
from labeltransfer.runtime import job
from labeltransfer.validation.published import published_vs_here, read_published
from labeltransfer.validation.statistics import bias_and_scatter, scatter_against_snr

SNR_CENTRES = (10, 30, 50, 70, 90, 110)
TUTORIAL = "the tutorial's own stars; compare with the 80/20 split in validation/cross_validation.csv"


def measure(published, comparison, catalog, ledger, reference, matches, names, min_snr, n_pix):
    """What this run measures of the paper's quantities: (quantity, label) -> number, or the reason for none.

    The ids of the catalogue are bytes.
    """
    wanted = set(zip(published["quantity"], published["label"], strict=True))
    trained = np.asarray(comparison["trained"] & comparison["converged"])
    bright = trained & (np.asarray(comparison["snr"]) > min_snr)
    n_labelled = len(catalog) + np.count_nonzero(ledger["stage"] == "labels")
    labelled = np.isfinite(
        [np.asarray(reference[name][matches["reference_row"]], dtype=float) for name in names]
    )
    found = {
        ("overlap_stars", ""): len(matches),
        ("overlap_stars_with_labels", ""): np.count_nonzero(labelled.all(axis=0)),
        ("reference_stars", ""): np.count_nonzero(comparison["trained"]),
        ("test_stars", ""): np.count_nonzero(~np.asarray(catalog["reference"])),
        ("catalogue_stars", ""): len(catalog),
        ("match_separation_median", ""): np.median(matches["separation"]),
        ("match_separation_99_percent", ""): np.quantile(matches["separation"], 0.99),
        ("pixels", ""): n_pix,
        ("a_k_reach", ""): np.max(comparison["a_k_apogee"])
        if "a_k_apogee" in comparison.colnames
        else "no A_K",
        ("chi2_low_by", ""): 1 / np.median(catalog["reduced_chi2"]),
        ("removed_fraction", ""): np.count_nonzero(ledger["stage"] == "labels") / max(1, n_labelled),
        ("a_v_reach", ""): "A_V is not a label; it is A_K / 0.114",
        ("training_time", ""): "benchmarks/compare.py measures it",
        ("labelling_time", ""): "benchmarks/compare.py measures it",
        ("tutorial_training_stars", ""): TUTORIAL,
        ("tutorial_test_stars", ""): TUTORIAL,
    }
    for name in names:
        residual = np.asarray(comparison[f"{name}_cannon"] - comparison[f"{name}_apogee"], dtype=float)
        found["tutorial_bias", name] = found["tutorial_scatter", name] = TUTORIAL
        bias, scatter = bias_and_scatter(residual[bright])
        found["bias", name], found["scatter", name] = bias, scatter
        found["bootstrap_error", name] = (
            np.median(catalog[f"{name}_bootstrap"])
            if f"{name}_bootstrap" in catalog.colnames
            else "no bootstrap models in this run"
        )
        if f"{name}_apogee_err" in comparison.colnames:
            found["reference_error", name] = np.median(comparison[f"{name}_apogee_err"][trained])
        curves = {"cannon": residual}
        if f"{name}_lamost" in comparison.colnames:
            curves["pipeline"] = np.asarray(
                comparison[f"{name}_lamost"] - comparison[f"{name}_apogee"], dtype=float
            )
        for method, values in curves.items():
            curve = scatter_against_snr(
                values[trained], np.asarray(comparison["snr_g"])[trained], SNR_CENTRES
            )
            for centre, value in zip(SNR_CENTRES, curve.scatter, strict=True):
                found[f"scatter_{method}_snr_{centre}", name] = (
                    value if np.isfinite(value) else "too few stars at this S/N"
                )
    for quantity, label in wanted:
        if quantity == "reduced_chi2":
            row = np.flatnonzero(np.asarray(catalog["spectrum_id"]) == label.encode())
            found[quantity, label] = (
                float(catalog["reduced_chi2"][row[0]]) if len(row) else "not in this catalogue"
            )
    return {key: value for key, value in found.items() if key in wanted}


def main(snakemake):
    """Write published_vs_here.csv."""
    inputs, params = snakemake.input, snakemake.params
    published = read_published(inputs.published)
    # Of no rows: the catalogue of a run without bootstrap models lacks their columns.
    columns = read_table(inputs.catalog, rows=slice(0)).colnames
    bootstrap = [f"{name}_bootstrap" for name in params.labels if f"{name}_bootstrap" in columns]
    measured = measure(
        published,
        read_table(inputs.comparison),
        read_table(inputs.catalog, ["spectrum_id", "reference", "reduced_chi2", *bootstrap], text=bytes),
        pd.read_parquet(inputs.ledger, columns=["stage"]),
        read_table(inputs.reference, list(params.labels)),
        read_table(inputs.matches),
        list(params.labels),
        params.min_snr,
        len(load_model(inputs.model).wavelength),
    )
    table = published_vs_here(published, measured, params.source)
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
