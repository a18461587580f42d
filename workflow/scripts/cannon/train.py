"""Train the model on the reference set, drop the stars that it does not give back, and train again."""

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.enough import CLIPPED, UNREAD, check_trainable
from labeltransfer.catalogs.rows import label_columns, rows_of
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.models.cannon import train
from labeltransfer.models.clip import train_with_clip
from labeltransfer.models.files import save_model
from labeltransfer.models.starts import read_starts, spread_starts
from labeltransfer.runtime import blamed_on, job
from labeltransfer.spectra.store import read_stores


def check(snakemake, trained, lost):
    """End the job, before it has trained for long, where there are stars too few for all that follows."""
    # Not a parameter: the model does not depend on what is done with it.
    name, config = snakemake.wildcards.study, snakemake.config
    n_star = len(np.unique(trained["star"]))
    with blamed_on(snakemake.input.stars):
        check_trainable(n_star, lost, config["studies"][name], f"studies.{name}", config["seed"])


def main(snakemake):
    """Write the model and which reference stars it was trained on."""
    inputs, params = snakemake.input, snakemake.params
    names = tuple(params.labels)
    stars = read_table(inputs.stars)
    spectra = read_stores(inputs.stores)
    unread = len(stars) - len(spectra.stars)
    stars = stars[rows_of(stars["spectrum_id"], spectra.stars["id"])]
    check(snakemake, stars, {UNREAD: unread})
    labels = label_columns(stars, names)
    starts = read_starts(inputs.starts, names, labels) if inputs.starts else spread_starts(labels)
    model, keep, first = train_with_clip(
        train,
        spectra.flux,
        spectra.ivar,
        labels,
        label_names=names,
        wavelength=spectra.wavelength,
        n_sigma=params.model["clip"],
        starts=starts,
        order=params.model["order"],
        scatter=params.model["scatter"],
        threads=snakemake.threads,
    )
    check(snakemake, stars[keep], {UNREAD: unread, CLIPPED: np.count_nonzero(~keep)})
    print(f"trained on {keep.sum()} of {len(keep)} reference stars; {np.count_nonzero(~keep)} clipped")
    meta = provenance({"labels": params.labels, "model": params.model}, list(inputs), params.code)
    save_model(snakemake.output.model, model, meta)
    clip = Table({"id": spectra.stars["id"], "trained": keep})
    for number, name in enumerate(names):
        clip[name] = labels[:, number]
        clip[f"{name}_first"] = first.labels[:, number]
    write_table(clip, snakemake.output.clip, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
