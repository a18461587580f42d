"""Labels of spectra as tables: with formal errors, the scatter between bootstrap models, and how far to trust them."""

from typing import NamedTuple

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.rows import label_columns
from labeltransfer.models.columns import label_table
from labeltransfer.models.priors import prior_of
from labeltransfer.spectra.store import Spectra
from labeltransfer.validation.measured import star_correlations
from labeltransfer.validation.novelty import novelty


class Labeller(NamedTuple):
    """What labels come from, and are held against.

    Attributes
    ----------
    model : labeltransfer.models.base.SpectralModel
    bootstrap : list of models
        Trained on bootstrap samples; may be empty.
    starts : (n_start, k) array
        Labels from which the fits begin.
    reference : labeltransfer.validation.novelty.ReferenceLabels
        Of the stars that the model was trained on.
    units : mapping of str to str
        Unit of each label.
    theory : Table or None
        Gradient spectra that a network's own are compared with.
    """

    model: object
    bootstrap: list
    starts: np.ndarray
    reference: NamedTuple
    units: dict
    theory: Table | None = None


def label_block(block, labeller, threads=1):
    """Label a block of spectra, and say how far each is to be trusted.

    Parameters
    ----------
    block : Spectra
        Its stars have `id`, `snr`, `snr_g`, `redshift` and `phase`.
    labeller : Labeller
    threads : int, optional

    Returns
    -------
    Table
        chi2 and how the fit went; `<label>`, `<label>_err` and, with bootstrap models, `<label>_bootstrap`; the
        covariance (n, k, k); the columns of the stars; with theory `<label>_correlation`; `novelty`.
    """
    model, names = labeller.model, labeller.model.label_names
    found = model.label(block.flux, block.ivar, starts=labeller.starts, threads=threads)
    table = Table(
        {name: getattr(found, name) for name in ("chi2", "n_pix", "reduced_chi2", "converged", "start")}
    )
    labels = label_table(found, names, labeller.units)
    scatter = bootstrap_scatter(block, labeller, threads)
    for number, name in enumerate(names):
        table[name], table[f"{name}_err"] = labels[name], labels[f"{name}_err"]
        if scatter is not None:
            table[f"{name}_bootstrap"] = scatter[:, number]
            table[f"{name}_bootstrap"].unit = labeller.units[name]
    table["covariance"] = found.covariance
    for name in ("id", "snr", "snr_g", "redshift", "phase"):
        table[name] = block.stars[name]
    if labeller.theory is not None:
        prior = prior_of(labeller.theory, names)
        correlation = star_correlations(model, found.labels, block.ivar, prior.gradient, prior.points)
        for number, name in enumerate(names):
            table[f"{name}_correlation"] = correlation[:, number]
    table["novelty"] = novelty(label_columns(table, names), labeller.reference)
    return table


def bootstrap_scatter(block, labeller, threads=1):
    """Standard deviation (n, k) of the labels between bootstrap models; None where there are none.

    Models by which a star did not converge do not count for it; NaN where fewer than two are left.
    """
    if not labeller.bootstrap:
        return None
    found = [
        model.label(block.flux, block.ivar, starts=labeller.starts, threads=threads)
        for model in labeller.bootstrap
    ]
    good = np.array([one.converged for one in found])[:, :, None]
    labels, n = np.array([one.labels for one in found]), good.sum(axis=0)
    mean = np.where(good, labels, 0.0).sum(axis=0) / np.maximum(n, 1)
    square = np.where(good, labels - mean, 0.0) ** 2
    return np.sqrt(np.divide(square.sum(axis=0), n - 1, out=np.full(mean.shape, np.nan), where=n > 1))


def no_spectra(n_pix):
    """A block of a store without a single readable spectrum: its table is to have the columns of all others."""
    flux, ivar = np.zeros((2, 0, n_pix), dtype=np.float32)
    stars = Table({name: np.zeros(0) for name in ("snr", "snr_g", "redshift", "phase")})
    stars["id"] = np.zeros(0, dtype="U1")
    return Spectra(None, flux, ivar, stars)
