"""Labels of the reference stars side by side: from the reference survey, the survey's pipeline and models."""

from typing import NamedTuple

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.catalogs.splits import TEST
from labeltransfer.validation.calibration import apply_calibration, bootstrap_error


class Reference(NamedTuple):
    """What is known of reference stars.

    Attributes
    ----------
    stars : Table
        The reference set: `spectrum_id`, `reference_id`, `ra`, `dec`, `<label>`, perhaps `<label>_err` and
        `<label>_pipeline`.
    clip : Table
        By `id` of their spectra: on which of them the model was `trained`.
    held_out : Table
        By `id`: `<label>_fold`, from models that had not seen them.
    """

    stars: Table
    clip: Table
    held_out: Table


def cannon_comparison(reference, labels, names, calibrations, pipeline):
    """One row per reference star with a spectrum (Figures 5-8 of Ho et al. 2017).

    Parameters
    ----------
    reference : Reference
    labels : Table
        What the rule `label` wrote about them.
    names : sequence of str
        Labels.
    calibrations : mapping of str to Calibration
        By label.
    pipeline : collection of str
        Labels that the survey's pipeline has, too.

    Returns
    -------
    Table
        `<label>_apogee` and `_lamost`, `_cannon` (the model had seen the star, unless the clip took it out),
        `_held_out` (k-fold) and errors.
    """
    ids = np.asarray(labels["id"])
    stars = reference.stars[rows_of(reference.stars["spectrum_id"], ids)]
    held_out = reference.held_out[rows_of(reference.held_out["id"], ids)]
    table = Table({"id": ids, "reference_id": stars["reference_id"], "ra": stars["ra"], "dec": stars["dec"]})
    table["trained"] = reference.clip["trained"][rows_of(reference.clip["id"], ids)]
    for name in ("snr", "snr_g", "converged", "reduced_chi2"):
        table[name] = labels[name]
    for name in names:
        model_error = bootstrap_error(labels, name)
        table[f"{name}_apogee"] = stars[name]
        if f"{name}_err" in stars.colnames:
            table[f"{name}_apogee_err"] = stars[f"{name}_err"]
        table[f"{name}_cannon"] = labels[name]
        table[f"{name}_cannon_err"] = labels[f"{name}_err"]
        table[f"{name}_calibrated_err"] = apply_calibration(
            labels[f"{name}_err"], calibrations[name], model_error
        )
        table[f"{name}_bootstrap"] = model_error
        table[f"{name}_held_out"] = held_out[f"{name}_fold"]
        if name in pipeline:
            table[f"{name}_lamost"] = stars[f"{name}_pipeline"]
    return table


def method_comparison(stars, labels, names):
    """Reference stars that all methods label, with the labels of each.

    Parameters
    ----------
    stars : Table
        What each reference star is for (`reference_clip.fits`).
    labels : mapping of str to Table
        By method.
    names : sequence of str
        Labels.

    Returns
    -------
    Table
        `<label>_apogee`, `<label>_<method>` and errors.
    """
    table = stars["id", "trained", "reason", "snr"].copy()
    table["test"] = np.asarray(stars["reason"]) == TEST
    for name in names:
        table[f"{name}_apogee"] = stars[name]
        if f"{name}_err" in stars.colnames:
            table[f"{name}_apogee_err"] = stars[f"{name}_err"]
    for method, found in labels.items():
        rows = rows_of(found["id"], stars["id"])
        for column in ("converged", "reduced_chi2"):
            table[f"{column}_{method}"] = found[column][rows]
        for name in names:
            table[f"{name}_{method}"] = found[name][rows]
            table[f"{name}_{method}_err"] = found[f"{name}_err"][rows]
    return table
