"""Train one model on a bootstrap sample of the stars that the main model was trained on."""

import numpy as np

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.catalogs.splits import bootstrap_rows
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table
from labeltransfer.models.cannon import train
from labeltransfer.models.files import save_model
from labeltransfer.runtime import job
from labeltransfer.spectra.store import read_stores


def main(snakemake):
    """Write the model of one replicate."""
    inputs, params = snakemake.input, snakemake.params
    names, replicate = tuple(params.labels), int(snakemake.wildcards.replicate)
    clip = read_table(inputs.clip)
    spectra = read_stores(inputs.stores)
    clip = clip[rows_of(clip["id"], spectra.stars["id"])]
    trained = np.flatnonzero(clip["trained"])
    rows = trained[bootstrap_rows(len(trained), params.n_models, params.seed)[replicate]]
    labels = np.column_stack([clip[name][rows] for name in names])
    model = train(
        spectra.flux[rows],
        spectra.ivar[rows],
        labels,
        label_names=names,
        wavelength=spectra.wavelength,
        order=params.model["order"],
        scatter=params.model["scatter"],
        threads=snakemake.threads,
    )
    settings = {"labels": params.labels, "model": params.model, "replicate": replicate, "seed": params.seed}
    meta = provenance(settings, list(inputs), params.code)
    save_model(snakemake.output.model, model, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
