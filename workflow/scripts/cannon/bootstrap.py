"""Train models on bootstrap samples of the stars that the main model was trained on."""

import numpy as np

from labeltransfer.catalogs.rows import rows_of, used_errors
from labeltransfer.catalogs.splits import bootstrap_rows
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table
from labeltransfer.models.cannon import options_of, trainer
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
    errors = used_errors(stars, names, params.model, clip)
    trained = np.flatnonzero(clip["trained"])
    labels = np.column_stack([clip[name] for name in names])
    settings = {"labels": params.labels, "model": params.model, "seed": params.seed}
    meta = provenance(settings, list(inputs), params.code)
    samples = trained[bootstrap_rows(len(trained), len(paths), params.seed)]
    options = options_of(params.model, names)
    train_on = trainer(spectra.flux, spectra.ivar, labels, errors, threads=snakemake.threads, **options)
    for replicate, rows in enumerate(counted(samples, lambda rows: 1, len(paths), "models")):
        about = {**meta, "settings": {**settings, "replicate": replicate}}
        save_model(paths[replicate], train_on(rows).on(spectra.wavelength), about)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
