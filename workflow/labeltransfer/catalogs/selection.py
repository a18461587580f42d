"""From matched stars to a reference set, and from a survey's catalogue to the stars to label; nobody goes unexplained.

Survey rows number millions: what is decided about them is one small number per row, and tables of them come in blocks.
"""

from typing import NamedTuple

import numpy as np
from astropy.table import hstack

from labeltransfer.catalogs.cuts import apply_cuts
from labeltransfer.catalogs.distance import label_distance
from labeltransfer.catalogs.enough import BETTER_SPECTRUM, HELD_OUT
from labeltransfer.catalogs.rows import among, index_ids
from labeltransfer.catalogs.splits import train_test_split
from labeltransfer.files.rejected import rejected_rows
from labeltransfer.files.tables import read_table

STAGE = "selection"
REPEAT = "repeat of a star with a better spectrum"
TRAINED = "spectrum of a reference star"
FAR = "label distance above the cut"
NO_LABELS = "no pipeline labels to measure the label distance with"
OF_REFERENCE = "another spectrum of the star is in the reference set"
OF_HELD_OUT = "another spectrum of the star has the labels that were held out"
SURVEY_REASONS = ("", REPEAT, TRAINED, NO_LABELS, FAR, OF_REFERENCE, OF_HELD_OUT)
SURVEY_COLUMNS = ("spectrum_id", "path", "obsid", "ra", "dec", "snrg")
_SAMPLE_STREAM = 9  # of random numbers, beside the seed


class SurveyChoice(NamedTuple):
    """What becomes of each row of the survey's catalogue.

    Attributes
    ----------
    code : (n,) int8
        Place in `SURVEY_REASONS`; 0 for the rows to label.
    sampled : (n,) bool
        Rows of any label distance that serve the figures of it, and the catalogue only where `code` is 0.
    """

    code: np.ndarray
    sampled: np.ndarray


def reference_reasons(pairs, star, quality, cuts, held_out=0.0, seed=0):
    """Why matched stars are not in the reference set.

    Of several matches of a star, which there are where labels name their spectra, the best that passes the cuts counts.

    Parameters
    ----------
    pairs : Table
        Rows of the reference catalogue, one for each match.
    star : (n,) int array
        Star of each match.
    quality : (n,) array
        What makes one spectrum of a star better than another, as for `labeltransfer.catalogs.match.one_star_once`.
    cuts : sequence of mappings
        As for `labeltransfer.catalogs.cuts.apply_cuts`.
    held_out : float, optional
        Fraction of the stars that pass the cuts to keep from training, as a test. Of so few stars that it means
        none or all, none is kept.
    seed : int, optional
        Of the draw.

    Returns
    -------
    (n,) str
        Empty for the reference set.
    """
    # Late: who needs other parts of this module does not wait for what searches the sky.
    from labeltransfer.catalogs.match import one_star_once

    keep, reason = apply_cuts(pairs, cuts)
    passed, other = np.flatnonzero(keep), np.zeros(len(keep), dtype=bool)
    other[passed[~one_star_once(np.asarray(star)[passed], np.asarray(quality)[passed])]] = True
    keep, reason = keep & ~other, np.where(other, BETTER_SPECTRUM, reason)
    n_star = np.count_nonzero(keep)
    if 0 < round((1 - held_out) * n_star) < n_star:
        trained = train_test_split(np.asarray(star)[keep], 1 - held_out, seed)
        test = np.zeros(len(keep), dtype=bool)
        test[np.flatnonzero(keep)[~trained]] = True
        reason = np.where(test, HELD_OUT, reason)
    return reason


def reference_columns(observed, pairs, star, labels, pipeline, group=None):
    """Matched stars as the survey saw them, with the reference labels and the survey's own beside each other.

    Parameters
    ----------
    observed, pairs : Table
        Rows of the survey's and of the reference catalogue, one for each match.
    star : (n,) int array
        Star of each match.
    labels : sequence of str
        Labels to take, with their errors (`<label>_err`) where there are any.
    pipeline : mapping of str to str
        Label -> the survey's column of it, which becomes `<label>_pipeline`.
    group : str, optional
        Column of the reference catalogue that names the group of a star, such as its cluster; it becomes `group`.

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        If there is no such column.
    """
    columns = [
        "reference_id",
        *labels,
        *(f"{name}_err" for name in labels if f"{name}_err" in pairs.colnames),
    ]
    columns += [name for name in ("aspcap_path",) if name in pairs.colnames]
    stars = hstack([observed[[*SURVEY_COLUMNS]], pairs[columns]], metadata_conflicts="silent")
    stars["star"] = star
    for name, column in pipeline.items():
        stars[f"{name}_pipeline"] = observed[column]
    if group is not None:
        if group not in pairs.colnames:
            known = ", ".join(pairs.colnames)
            raise ValueError(
                f"validation.groups: no column {group!r} of the reference catalogue; there are {known}"
            )
        stars["group"] = pairs[group].astype(str)
    return stars


def survey_distances(survey, reference_set, pipeline, settings, threads=1):
    """Label distance (Eq. 7 of Ho et al. 2017) of survey rows from the reference set.

    Parameters
    ----------
    survey : Table
        With the survey's own labels.
    reference_set : Table
        With the reference labels.
    pipeline : mapping of str to str
        Label -> the survey's column of it.
    settings : mapping
        `scale` (label -> unit of distance), `neighbours` and `form`.
    threads : int, optional

    Returns
    -------
    (n,) float64
        NaN where the survey has no labels.
    """
    names = list(settings["scale"])
    return label_distance(
        np.column_stack([np.asarray(survey[pipeline[name]], dtype=float) for name in names]),
        np.column_stack([np.asarray(reference_set[name], dtype=float) for name in names]),
        scale=[settings["scale"][name] for name in names],
        n_neighbours=settings["neighbours"],
        form=settings["form"],
        workers=threads,
    )


def choose_survey_stars(stars, reference_rows, held_out_rows, distances, settings=None, seed=0):
    """Choose the survey rows to label: of each star without a spectrum in the reference set one, close to that set.

    It is the best, but for stars whose labels were held out as a test: these are of one spectrum, which may be another.

    Parameters
    ----------
    stars : Table
        Of each row the `star`, and whether it is the `best` spectrum of it.
    reference_rows : int array
        Rows of the reference set.
    held_out_rows : int array
        Rows whose labels were held out.
    distances : (n,) array
        Label distance of each row.
    settings : mapping, optional
        `cut` of the label distance and size of the `sample` of any; None labels stars of any.
    seed : int, optional
        Of the sample.

    Returns
    -------
    SurveyChoice
    """
    star, best = np.asarray(stars["star"]), np.asarray(stars["best"])
    code = np.zeros(len(best), dtype=np.int8)
    # A star may be in the reference set by a spectrum that has labels of its own, and not be the best.
    code[np.isin(star, star[reference_rows])] = SURVEY_REASONS.index(OF_REFERENCE)
    code[np.isin(star, star[held_out_rows])] = SURVEY_REASONS.index(OF_HELD_OUT)
    code[~best] = SURVEY_REASONS.index(REPEAT)
    code[held_out_rows] = 0
    code[reference_rows] = SURVEY_REASONS.index(TRAINED)
    sampled = np.zeros(len(best), dtype=bool)
    if settings is not None:
        candidates = np.flatnonzero(code == 0)
        size = min(settings["sample"], len(candidates))
        rng = np.random.default_rng([seed, _SAMPLE_STREAM])
        sampled[rng.choice(candidates, size, replace=False)] = True
        code[(code == 0) & np.isnan(distances)] = SURVEY_REASONS.index(NO_LABELS)
        code[(code == 0) & (distances >= settings["cut"])] = SURVEY_REASONS.index(FAR)
    return SurveyChoice(code, sampled)


def survey_set_blocks(path, choice, star, distances, block):
    """Survey rows to label, block by block.

    Parameters
    ----------
    path : str or Path
        The survey's catalogue.
    choice : SurveyChoice
    star, distances : (n,) arrays
        Star and label distance of each row of the catalogue.
    block : int
        Most rows of a table.

    Yields
    ------
    Table
        `SURVEY_COLUMNS`, `star`, `distance`, `sample`, and `sample_only`, which marks stars that the catalogue is
        not to have. At least one table.
    """
    for rows in _row_blocks((choice.code == 0) | choice.sampled, block):
        chosen = read_table(path, SURVEY_COLUMNS, rows)
        chosen["star"] = star[rows]
        chosen["distance"] = distances[rows]
        chosen["sample"] = choice.sampled[rows]
        chosen["sample_only"] = choice.code[rows] != 0
        yield chosen


def left_out_blocks(path, choice, block):
    """Survey rows that are not labelled, as the ledger wants them, block by block; parameters as above.

    Rows of the reference set are not among them: they are labelled with it.
    """
    reasons = np.array(SURVEY_REASONS)
    for rows in _row_blocks((choice.code != 0) & (choice.code != SURVEY_REASONS.index(TRAINED)), block):
        names = read_table(path, ["spectrum_id"], rows)["spectrum_id"]
        yield rejected_rows(names, "survey", STAGE, reasons[choice.code[rows]])


def held_out_spectra(rejected, matches):
    """Spectra of the stars whose reference labels were kept from training.

    Parameters
    ----------
    rejected : iterable of Table
        Rows that the selection left out, texts as bytes.
    matches : Table
        `reference_id` and `spectrum_id` of the matched stars, bytes.

    Returns
    -------
    Index
    """
    names = [np.asarray(block["id"])[np.asarray(block["reason"]) == HELD_OUT.encode()] for block in rejected]
    return index_ids(matches["spectrum_id"][among(np.concatenate(names), matches["reference_id"])])


def _row_blocks(mask, block):
    """Rows where the mask is true, in blocks; one of no rows where it never is."""
    rows = np.flatnonzero(mask)
    return (rows[start : start + block] for start in range(0, max(len(rows), 1), block))
