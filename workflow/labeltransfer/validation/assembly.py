"""The catalogue from blocks of labels: with what held-out stars say of their errors, and theory of their origin."""

from typing import NamedTuple

import numpy as np

from labeltransfer.catalogs.catalogue import HELD_OUT, catalogue_rows, physical_ranges
from labeltransfer.catalogs.fates import Limits, keep_reference, keep_survey
from labeltransfer.catalogs.rows import Index, Indexed, among
from labeltransfer.validation.calibration import calibrated
from labeltransfer.validation.measured import with_measured_flags


class Stars(NamedTuple):
    """What is known of the stars before their labels.

    Attributes
    ----------
    reference, survey : Indexed
        The reference set and the survey set, by `spectrum_id`.
    clip : Indexed
        Which reference stars the model was trained on, by `id` of their spectra.
    held_out : Index
        Spectra of stars whose reference labels were kept from training.
    """

    reference: Indexed
    survey: Indexed
    clip: Indexed
    held_out: Index


class Judgement(NamedTuple):
    """What makes labels those of the catalogue.

    Attributes
    ----------
    ranges : dict of str to (float, float)
        By label, between what it is physical.
    calibrations : dict of str to Calibration
        By label.
    at_zero : bool
        Whether to subtract the zero points that held-out reference stars show.
    limits : Limits
        See `labeltransfer.catalogs.fates`.
    correlation : float or None
        Least correlation of a model's gradient with theory's at which a label counts as measured.
    """

    ranges: dict
    calibrations: dict
    at_zero: bool
    limits: Limits
    correlation: float | None = None


def judgement_of(study, calibrations):
    """What the settings of a study say of its catalogue.

    Parameters
    ----------
    study : mapping
        A study of the configuration.
    calibrations : dict of str to Calibration
        By label.

    Returns
    -------
    Judgement
    """
    return Judgement(
        physical_ranges(study["labels"]),
        calibrations,
        study["validation"]["zero_point"],
        Limits(study["max_reduced_chi2"], study["model"]["clip"]),
        study["network"]["measured_correlation"] if study.get("network") else None,
    )


def catalogue_blocks(reference_labels, survey_labels, stars, judgement, fates, samples):
    """The catalogue, block by block of labels: reference stars first.

    Parameters
    ----------
    reference_labels, survey_labels : iterable of Table
        Blocks of what the rule `label` wrote; texts are bytes.
    stars : Stars
    judgement : Judgement
    fates : labeltransfer.catalogs.fates.Fates
        Takes what becomes of every row.
    samples : list
        Takes the labels of the label-distance sample, a table for each block of the survey.

    Yields
    ------
    Table
    """
    for labels in reference_labels:
        kept = keep_reference(labels, stars.reference, stars.clip, judgement.limits, fates)
        yield finished(kept, stars, judgement)
    for labels in survey_labels:
        kept, sample = keep_survey(labels, stars.survey, judgement.limits, fates)
        samples.append(sample)
        yield finished(kept, stars, judgement)


def finished(kept, stars, judgement):
    """Rows of the catalogue from the rows of labels that it takes; parameters as for `catalogue_blocks`."""
    names, labels = tuple(judgement.ranges), kept.labels
    if f"{names[0]}_correlation" in labels.colnames:
        training = stars.clip.table[np.asarray(stars.clip.table["trained"])]
        labels = with_measured_flags(labels, names, training, judgement.correlation)
    labels = calibrated(labels, names, judgement.calibrations, judgement.at_zero)
    zero = ", zero point of held-out reference stars removed" if judgement.at_zero else ""
    table = catalogue_rows(kept._replace(labels=labels), judgement.ranges, f"from the survey spectrum{zero}")
    table["flags"][among(stars.held_out, table["spectrum_id"])] |= HELD_OUT
    return table
