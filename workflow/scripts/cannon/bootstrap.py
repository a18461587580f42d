"""Train models on bootstrap samples of the stars that the main model was trained on."""

import numpy as np

from labeltransfer.catalogs.rows import label_errors, rows_of
from labeltransfer.catalogs.splits import bootstrap_rows
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table
from labeltransfer.models.cannon import train
from labeltransfer.models.files import save_model
from labeltransfer.runtime import counted, job
from labeltransfer.spectra.store import read_stores


def main(snakemake):
    """Write the models of all replicates, each as soon as it is trained."""
    inputs, params = snakemake.input, snakemake.params
    names, paths = tuple(params.labels), snakemake.output.models
    clip, stars = read_table(inputs.clip), read_table(inputs.stars)
    spectra = read_stores(inputs.stores)
    clip = clip[rows_of(clip["id"], spectra.stars["id"])]
    stars = stars[rows_of(stars["spectrum_id"], spectra.stars["id"])]
    errors = label_errors(stars, names) * (params.model["errors_in_labels"] == "stated")
    trained = np.flatnonzero(clip["trained"])
    labels = np.column_stack([clip[name] for name in names])
    settings = {"labels": params.labels, "model": params.model, "seed": params.seed}
    meta = provenance(settings, list(inputs), params.code)
    samples = trained[bootstrap_rows(len(trained), len(paths), params.seed)]
    for replicate, rows in enumerate(counted(samples, lambda rows: 1, len(paths), "models")):
        model = train(
            spectra.flux[rows],
            spectra.ivar[rows],
            labels[rows],
            label_names=names,
            order=params.model["order"],
            scatter=params.model["scatter"],
            label_errors=errors[rows],
            threads=snakemake.threads,
        )
        about = {**meta, "settings": {**settings, "replicate": replicate}}
        save_model(paths[replicate], model.on(spectra.wavelength), about)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
