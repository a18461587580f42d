"""Measure here what Ting et al. 2017 print, and set both side by side."""

import numpy as np
import pandas as pd

from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.models.files import load_model
from labeltransfer.runtime import job
from labeltransfer.validation.published import published_vs_here, read_published


def measure(published, comparison, summary, correlation, bounds, scan, extra, model, labels):
    """What this run measures of the paper's quantities: (quantity, label) -> number, or the reason for none."""
    wanted = set(zip(published["quantity"], published["label"], strict=True))
    test = summary[(summary["method"] == "prior") & (summary["stars"] == "test")]
    # The first rows of the test stars are those of the whole range of S/N.
    whole = test.drop_duplicates("label").set_index("label")
    abundances = [name for name in labels if name.endswith("_h")]
    first = correlation[correlation["reference"] == correlation["reference"].iloc[0]]
    lowest = bounds[(bounds["snr"] == 30) & bounds["label"].isin(abundances)]
    chosen = scan[scan["d_scale"] == model.d_scale]
    found = {
        ("training_stars", ""): np.count_nonzero(comparison["trained"]),
        ("test_stars", ""): np.count_nonzero(comparison["test"]),
        ("labels", ""): len(labels),
        ("abundances", ""): len(abundances),
        ("hidden_nodes", ""): model.w.shape[1],
        ("d_scale", ""): model.d_scale,
        ("scatter_growth", ""): chosen["scatter_ratio"].median(),
        ("abundance_scatter", ""): whole.loc[abundances, "scatter"].median(),
        ("cramer_rao_snr_30", ""): lowest["bound_theory"].median(),
        ("scatter_over_cramer_rao_snr_30", ""): lowest["measured_over_theory"].median(),
        **{
            (f"correlation_{method}", ""): rows["correlation"].median()
            for method, rows in first.groupby("method")
        },
        **{("step", name): about["step"] for name, about in labels.items()},
        **{("scatter", name): value for name, value in extra.items()},
        **{("scatter", name): whole.loc[name, "scatter"] for name in labels},
    }
    return {key: value for key, value in found.items() if key in wanted}


def main(snakemake):
    """Write published_vs_here.csv."""
    inputs, params = snakemake.input, snakemake.params
    published = read_published(inputs.published)
    tables = (pd.read_csv(path) for path in (inputs.summary, inputs.correlation, inputs.bounds, inputs.scan))
    extra = {}
    if inputs.extra:
        tried = pd.read_csv(inputs.extra)
        extra = tried[tried["extra"] & (tried["fit"] == "all")].set_index("label")["scatter"].to_dict()
    measured = measure(
        published, read_table(inputs.comparison), *tables, extra, load_model(inputs.model), params.labels
    )
    table = published_vs_here(published, measured, params.source)
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
