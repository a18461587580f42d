"""Draw one figure of Ting et al. 2017, or of ours about the same models: the file's name says which."""

from pathlib import Path

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.figures import ting2017
from labeltransfer.figures.style import save
from labeltransfer.files.provenance import figure_provenance
from labeltransfer.files.tables import read_table
from labeltransfer.models.files import load_model
from labeltransfer.models.network import predict_network
from labeltransfer.runtime import job
from labeltransfer.spectra.store import read_stores

TITLE_LABELS = ("teff", "logg", "fe_h", "mg_h")
TYPICAL_SNR = 100.0


def example_of(comparison, wanted):
    """Row of the star to show: the one wanted, or the test star with the S/N nearest to 100."""
    names = comparison["id"].tolist()
    if wanted in names:
        return names.index(wanted)
    test = np.asarray(comparison["test"])
    return int(np.argmin(np.where(test, np.abs(comparison["snr"] - TYPICAL_SNR), np.inf)))


def figure_01(inputs, params):
    """One spectrum and the model at its reference labels."""
    comparison, model = read_table(inputs.comparison), load_model(inputs.model)
    row = comparison[example_of(comparison, params.study["example_star"])]
    spectra = read_stores(inputs.stores)
    star = rows_of(spectra.stars["id"], [row["id"]])[0]
    ivar = np.asarray(spectra.ivar[star], dtype=float)
    good = ivar > 0
    labels = {name: float(row[f"{name}_apogee"]) for name in model.label_names}
    return ting2017.figure_01(
        spectra.wavelength,
        np.where(good, spectra.flux[star], np.nan),
        np.where(good, 1 / np.sqrt(np.where(good, ivar, 1.0)), np.nan),
        predict_network(model, [list(labels.values())])[0],
        params.source,
        star=str(row["id"]),
        labels={name: labels[name] for name in TITLE_LABELS if name in labels},
    )


def figure_02(inputs, params):
    """One to one."""
    comparison = read_table(inputs.comparison)
    shown = comparison[
        (comparison["trained"] | comparison["test"]) & np.asarray(comparison["converged_prior"])
    ]
    for name in params.study["labels"]:
        shown[f"{name}_here"] = shown[f"{name}_prior"]
    return ting2017.figure_02(shown, params.source, labels=list(params.study["labels"]))


def figure_03(inputs, params):
    """Gradients of every method, and their correlations with theory."""
    table = read_table(inputs.gradients)
    correlation = Table.read(inputs.correlation, format="ascii.csv")
    correlation = correlation[correlation["reference"] == correlation["reference"][0]]
    names, methods = list(params.study["labels"]), list(dict.fromkeys(correlation["method"].tolist()))
    step = params.study["labels"]["mg_h"]
    return ting2017.figure_03(
        table["wavelength"],
        np.asarray(table["theory"]).T,
        {method: np.asarray(table[method]).T for method in methods},
        {
            method: np.asarray(correlation["correlation"][correlation["method"] == method])
            for method in methods
        },
        names,
        params.source,
        step=f"{step['step']:g} {step['unit']}",
    )


def d_scale(inputs, params):
    """Scatter and correlation against the strength of the prior."""
    return ting2017.figure_d_scale(
        Table.read(inputs.table, format="ascii.csv"),
        params.source,
        chosen=params.study["network"]["prior"]["d_scale"],
    )


def cramer_rao(inputs, params):
    """Bounds and measured scatter."""
    return ting2017.figure_cramer_rao(Table.read(inputs.table, format="ascii.csv"), params.source)


def shift_test(inputs, params):
    """Recovered fraction of shifts."""
    return ting2017.figure_shift_test(Table.read(inputs.table, format="ascii.csv"), params.source)


def main(snakemake):
    """Draw the figure that the output is named after."""
    figure = globals()[Path(snakemake.output.png).stem](snakemake.input, snakemake.params)
    save(
        figure,
        snakemake.output.pdf,
        snakemake.output.png,
        figure_provenance(dict(snakemake.params.items()), snakemake.input),
    )


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
