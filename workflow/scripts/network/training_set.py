"""Divide the reference stars by the S/N of their spectra: those to train on, and those to test with."""

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.enough import CLIPPED, UNREAD, check_network
from labeltransfer.catalogs.rows import label_columns, label_errors, rows_of
from labeltransfer.catalogs.splits import TEST, UNUSED, clip_reason, divide
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.models import cannon
from labeltransfer.models.clip import borne_out, train_with_clip
from labeltransfer.runtime import blamed_on, job
from labeltransfer.spectra.store import read_stores, write_store


def check(snakemake, reason, lost):
    """End the job where there are stars too few for all that follows."""
    # Not a parameter: the stars do not depend on what is done with them.
    name, studies = snakemake.wildcards.study, snakemake.config["studies"]
    train, test, unused = (np.count_nonzero(reason == kind) for kind in ("", TEST, UNUSED))
    with blamed_on(snakemake.input.stars):
        check_network(train, test, lost | {UNUSED: unused}, studies[name], f"studies.{name}")


def main(snakemake):
    """Write the training spectra with their labels, and what every reference star is for."""
    inputs, params = snakemake.input, snakemake.params
    names = tuple(params.labels)
    spectra, stars = read_stores(inputs.stores), read_table(inputs.stars)
    unread = len(stars) - len(spectra.stars)
    stars = stars[rows_of(stars["spectrum_id"], spectra.stars["id"])]
    labels, snr = label_columns(stars, names), np.asarray(spectra.stars["snr"])
    train, reason = divide(snr, params.network["train_snr"], params.network["test_snr"])
    check(snakemake, reason, {UNREAD: unread})
    # A model that is linear in the labels cannot follow the outliers it is to find.
    rows, n_sigma = np.flatnonzero(train), params.model["clip"]
    flux, ivar, given = spectra.flux[rows], spectra.ivar[rows], labels[rows]
    how = {"label_names": names, "order": 1, "threads": snakemake.threads}

    def linear(keep):
        return cannon.train(flux[keep], ivar[keep], given[keep], **how)

    _, keep, first = train_with_clip(linear, flux, ivar, given, n_sigma=n_sigma, threads=snakemake.threads)
    believed = borne_out(given[keep], first.labels[keep], label_errors(stars, names)[rows][keep])
    train[rows[~keep]] = False
    reason[rows[~keep]] = clip_reason(n_sigma)
    check(snakemake, reason, {UNREAD: unread, CLIPPED: np.count_nonzero(~keep)})
    for text in np.unique(reason):
        print(f"{np.count_nonzero(reason == text)} stars: {text or 'training'}")

    settings = {"labels": params.labels, "network": params.network, "clip": n_sigma}
    meta = provenance(settings, list(inputs), params.code)
    meta["errors_borne_out"] = [name for name, yes in zip(names, believed, strict=True) if yes]
    table = Table({"id": spectra.stars["id"], "trained": train, "reason": reason, "snr": snr})
    for number, name in enumerate(names):
        table[name] = labels[:, number]
        if f"{name}_err" in stars.colnames:
            table[f"{name}_err"] = stars[f"{name}_err"]
    write_table(table, snakemake.output.stars, meta)
    block = spectra.flux[train], spectra.ivar[train], table["id", "snr", *names][train]
    write_store(snakemake.output.training, spectra.wavelength, [block], meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
