"""Label one chunk of spectra: labels, formal and bootstrap errors, and how like the reference set."""

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.distance import label_distance
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_blocks
from labeltransfer.models.files import load_model
from labeltransfer.models.priors import prior_of
from labeltransfer.models.starts import read_starts, spread_starts
from labeltransfer.runtime import counted, job
from labeltransfer.spectra.store import Spectra, iterate, open_store
from labeltransfer.validation.measured import star_correlations

BLOCK = 2048  # spectra that are in memory at a time
NEIGHBOURS = 10


def labelled_block(flux, ivar, model, bootstrap_models, starts, threads):
    """Label a block of stars with the model, and with bootstrap models, if any, for the scatter between them."""
    found = model.label(flux, ivar, starts=starts, threads=threads)
    replicates = [
        other.label(flux, ivar, starts=starts, threads=threads).labels for other in bootstrap_models
    ]
    table = Table({"chi2": found.chi2, "n_pix": found.n_pix, "reduced_chi2": found.reduced_chi2})
    table["converged"], table["start"] = found.converged, found.start
    formal = np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
    for number, name in enumerate(model.label_names):
        table[name] = found.labels[:, number]
        table[f"{name}_err"] = formal[:, number]
        if replicates:
            table[f"{name}_bootstrap"] = np.array(replicates)[:, :, number].std(axis=0, ddof=1)
    table["covariance"] = found.covariance
    return table


def spacing_of(reference):
    """The distance that 99 % of the reference stars stay within of their ten nearest; see `add_novelty`."""
    neighbours = min(NEIGHBOURS, len(reference) - 1)
    # A reference star is its own nearest neighbour, at distance 0.
    own = label_distance(reference, reference, reference.std(axis=0), neighbours + 1)
    return np.quantile(own * (neighbours + 1) / neighbours, 0.99)


def add_novelty(table, reference, spacing, names):
    """How far the labels lie from the reference set, in units of the reference set's own spacing.

    The distance is the mean over the ten nearest reference stars, in labels scaled by their spread; the unit is the
    distance that 99 % of the reference stars themselves stay within. Above 1 the model extrapolates.
    """
    here = np.column_stack([table[name] for name in names])
    neighbours = min(NEIGHBOURS, len(reference) - 1)
    table["novelty"] = label_distance(here, reference, reference.std(axis=0), neighbours) / spacing


def add_correlations(table, ivar, model, theory):
    """How the gradients of a network at the labels of each star follow those of theory."""
    prior = prior_of(theory, model.label_names)
    labels = np.column_stack([table[name] for name in model.label_names])
    correlation = star_correlations(model, labels, ivar, prior.gradient, prior.points)
    for number, name in enumerate(model.label_names):
        table[f"{name}_correlation"] = correlation[:, number]


def main(snakemake):
    """Write the labels of every spectrum of a store."""
    inputs, params = snakemake.input, snakemake.params
    model = load_model(inputs.model)
    bootstrap_models = [load_model(path) for path in inputs.bootstrap]
    clip = read_table(inputs.clip)
    names = model.label_names
    reference = np.column_stack([clip[name] for name in names])
    starts = read_starts(inputs.starts, names, reference) if inputs.starts else spread_starts(reference)
    theory = read_table(inputs.theory) if inputs.theory else None
    trained = reference[clip["trained"]]
    spacing = spacing_of(trained)
    counts = []
    with open_store(inputs.store) as store:
        n_star, n_pix = store["flux"].shape

    def blocks():
        spectra = counted(iterate(inputs.store, BLOCK), lambda block: len(block.stars), n_star, "spectra")
        for block in spectra if n_star else [no_spectra(n_pix)]:
            table = labelled_block(block.flux, block.ivar, model, bootstrap_models, starts, snakemake.threads)
            for name in ("id", "snr", "snr_g", "redshift"):
                table[name] = block.stars[name]
            if theory is not None:
                add_correlations(table, block.ivar, model, theory)
            counts.append(np.count_nonzero(table["converged"]))
            for name in names:
                for suffix in ("", "_err", "_bootstrap"):
                    if name + suffix in table.colnames:
                        table[name + suffix].unit = params.labels[name]["unit"]
            add_novelty(table, trained, spacing, names)
            yield table

    meta = provenance(
        {"labels": params.labels},
        list(inputs),
        params.code,
    )
    n = write_blocks(blocks(), snakemake.output.labels, meta)
    print(f"{n} spectra, {sum(counts)} converged")


def no_spectra(n_pix):
    """A block of a store without a single readable spectrum: its table is to have the columns of all others."""
    flux, ivar = np.zeros((2, 0, n_pix), dtype=np.float32)
    stars = Table({name: np.zeros(0) for name in ("snr", "snr_g", "redshift")})
    stars["id"] = np.zeros(0, dtype="U1")
    return Spectra(None, flux, ivar, stars)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
