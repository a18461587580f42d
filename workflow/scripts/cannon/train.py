"""Train the model on the reference set, drop the stars that it does not give back, and train again."""

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.enough import CLIPPED, UNREAD, check_trainable
from labeltransfer.catalogs.rows import label_columns, label_errors, rows_of
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.models.cannon import error_share, options_of, trainer
from labeltransfer.models.clip import borne_out, train_with_clip
from labeltransfer.models.files import save_model
from labeltransfer.models.polynomial import chosen_terms
from labeltransfer.models.starts import read_starts, spread_starts
from labeltransfer.runtime import blamed_on, job
from labeltransfer.spectra.prepare import read_noise
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
    settings, threads = params.model, snakemake.threads
    options = options_of(settings, names)
    how = {"n_sigma": settings["clip"], "starts": starts, "threads": threads}

    def trained_with(errors):
        train_on = trainer(spectra.flux, spectra.ivar, labels, errors, threads=threads, **options)
        return train_with_clip(train_on, spectra.flux, spectra.ivar, labels, **how)

    model, keep, first = trained_with(np.zeros(labels.shape))
    stated = label_errors(stars, names)
    believed = borne_out(labels[keep], first.labels[keep], stated[keep])
    borne = [name for name, yes in zip(names, believed, strict=True) if yes]
    print(f"stated errors of labels that the stars bear out: {', '.join(borne) or 'none'}")
    errors = stated * believed * (settings["errors_in_labels"] == "stated")
    if errors.any():
        model, keep, first = trained_with(errors)
    check(snakemake, stars[keep], {UNREAD: unread, CLIPPED: np.count_nonzero(~keep)})
    print(f"trained on {keep.sum()} of {len(keep)} reference stars; {np.count_nonzero(~keep)} clipped")
    meta = provenance({"labels": params.labels, "model": settings}, list(inputs), params.code)
    meta["errors_borne_out"] = borne
    if errors.any():
        chosen = chosen_terms(options["order"].terms, names, settings["order"])
        share = error_share(labels[keep], errors[keep], settings["order"], chosen, model.forms)
        print(f"corrected for {share:.3f} of the variance of the reference labels' errors")
        meta["label_error_share"] = share
    noise = read_noise(inputs.noise, spectra.wavelength) if inputs.noise else None
    save_model(snakemake.output.model, model.on(spectra.wavelength, noise), meta)
    clip = Table({"id": spectra.stars["id"], "trained": keep})
    for number, name in enumerate(names):
        clip[name] = labels[:, number]
        clip[f"{name}_first"] = first.labels[:, number]
    write_table(clip, snakemake.output.clip, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
