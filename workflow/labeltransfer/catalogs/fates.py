"""What becomes of stars that have labels, and of those whose spectra could not be read.

Labels come in blocks. Of each block the rows that the catalogue takes go on, and the fate of every row is written down
for the ledger.
"""

from typing import NamedTuple

import numpy as np
from astropy.table import Table, hstack

from labeltransfer.catalogs.rows import among, index_ids, looked_up, rows_of
from labeltransfer.catalogs.splits import clip_reason
from labeltransfer.files.rejected import fate_rows, rejected_rows

STAR_COLUMNS = ("spectrum_id", "obsid", "ra", "dec", "distance")


class Limits(NamedTuple):
    """What keeps stars out of the catalogue and out of the training set.

    Attributes
    ----------
    reduced_chi2 : float
        Labels whose spectra fit worse than this do not enter the catalogue.
    clip : float
        Of reference stars from the model, in units of its scatter; those beyond it are not trained on.
    """

    reduced_chi2: float
    clip: float


class Kept(NamedTuple):
    """Rows of a block of labels that the catalogue takes.

    Attributes
    ----------
    labels, stars : Table
        Labels, and where the stars stand in the input catalogue, row by row.
    trained, in_reference, clipped : (n,) bool
        Whether the model was trained on the star; whether it was in the reference set; whether the clip took it out.
    """

    labels: Table
    stars: Table
    trained: np.ndarray
    in_reference: np.ndarray
    clipped: np.ndarray


class Fates(NamedTuple):
    """What became of the stars with labels: tables for the ledger, in the order of its stages."""

    untrained: list
    bad_survey: list
    bad_reference: list
    good: list

    def rejected(self):
        """Tables of rejected rows, stage by stage."""
        return [*self.untrained, *self.bad_survey, *self.bad_reference]


def no_fates():
    """Fates of nobody yet."""
    return Fates([], [], [], [])


def bad_labels(labels, max_reduced_chi2):
    """Why labels do not enter the catalogue.

    Parameters
    ----------
    labels : Table
        With `chi2`, `reduced_chi2` and `converged`.
    max_reduced_chi2 : float

    Returns
    -------
    (n,) str
        Empty where they do.
    """
    reason = np.full(len(labels), "", dtype="U64")
    good = np.all([np.isfinite(labels[name]) for name in ("chi2", "reduced_chi2")], axis=0)
    reason[np.asarray(labels["reduced_chi2"]) > max_reduced_chi2] = f"reduced chi2 above {max_reduced_chi2:g}"
    reason[~(np.asarray(labels["converged"]) & good)] = "labels did not converge"
    return reason


def keep_reference(labels, stars, clip, limits, fates):
    """Reference stars of a block of labels that the catalogue takes.

    Parameters
    ----------
    labels : Table
        With `id` (of the spectrum, bytes) and what `bad_labels` looks at.
    stars, clip : Indexed
        The reference set by `spectrum_id`; by `id` which stars the model was `trained` on, and the `reason` why not,
        where there are others than the clip.
    limits : Limits
    fates : Fates
        Takes what became of all rows.

    Returns
    -------
    Kept
    """
    here = looked_up(stars, labels["id"])
    here["distance"] = np.nan
    model = looked_up(clip, labels["id"])
    trained, clipped_out = np.asarray(model["trained"]), clip_reason(limits.clip)
    untrained = np.where(trained, "", clipped_out)
    if "reason" in model.colnames:
        untrained = np.asarray(model["reason"], dtype=str)
    reason = bad_labels(labels, limits.reduced_chi2)
    good = reason == ""
    ids = here["reference_id"]
    fates.untrained.append(rejected_rows(ids[~trained], "reference", "training", untrained[~trained]))
    fates.bad_reference.append(rejected_rows(labels["id"][~good], "survey", "labels", reason[~good]))
    fates.good.append(fate_rows(labels["id"][good & trained], "survey", "labelled and trained on"))
    fates.good.append(fate_rows(labels["id"][good & ~trained], "survey", "labelled"))
    fates.good.append(fate_rows(ids[trained], "reference", "trained on"))
    clipped = (untrained == clipped_out)[good]
    everyone = np.ones(np.count_nonzero(good), dtype=bool)
    return Kept(labels[good], here[[*STAR_COLUMNS]][good], trained[good], everyone, clipped)


def keep_survey(labels, stars, limits, fates):
    """Survey stars of a block of labels that the catalogue takes, and those of the label-distance sample.

    Stars of the sample that the cut excludes serve Figures 9 and 10 of Ho et al. 2017, and stop there. Parameters as
    for `keep_reference`; `stars` are the survey set.

    Returns
    -------
    Kept
    sample : Table
        Labels of the sample, with their `distance`.
    """
    here = looked_up(stars, labels["id"])
    sampled, inside = np.asarray(here["sample"]), ~np.asarray(here["sample_only"])
    sample = hstack([labels[sampled], here[["distance"]][sampled]], metadata_conflicts="silent")
    labels, here = labels[inside], here[inside]
    reason = bad_labels(labels, limits.reduced_chi2)
    good = reason == ""
    fates.bad_survey.append(rejected_rows(labels["id"][~good], "survey", "labels", reason[~good]))
    fates.good.append(fate_rows(labels["id"][good], "survey", "labelled"))
    nobody = np.zeros(np.count_nonzero(good), dtype=bool)
    return Kept(labels[good], here[[*STAR_COLUMNS]][good], nobody, nobody, nobody), sample


def unread_rows(unread, survey, reference):
    """Rejected rows of spectra that could not be read or prepared, and of the reference stars they were of.

    Parameters
    ----------
    unread : Table
        Rejected rows of spectra, bytes.
    survey, reference : Indexed
        The survey set and the reference set, by `spectrum_id`.

    Returns
    -------
    spectra, stars : Table
        Without the spectra that only the label-distance sample wanted: the ledger has their stars already.
    """
    sample_only = survey.table["spectrum_id"][np.asarray(survey.table["sample_only"])]
    unread = unread[~among(sample_only, unread["id"])][["id", "catalog", "stage", "reason"]]
    index = index_ids(unread["id"])
    lost = reference.table[among(index, reference.table["spectrum_id"])]
    reasons = unread["reason"][rows_of(index, lost["spectrum_id"])]
    return unread, rejected_rows(lost["reference_id"], "reference", "spectra", reasons)
