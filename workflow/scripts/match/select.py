"""Choose the reference set and the survey stars to label, and say why every other row was left out."""

import itertools
from collections import Counter

import numpy as np
from astropy.table import Table, hstack

from labeltransfer.catalogs.cuts import apply_cuts
from labeltransfer.catalogs.distance import label_distance
from labeltransfer.catalogs.splits import train_test_split
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import BLOCK, read_table, write_blocks, write_table
from labeltransfer.runtime import job

REPEAT = "repeat of a star with a better spectrum"
HELD_OUT = "held out from training as a test"
TRAINED = "spectrum of a reference star"
FAR = "label distance above the cut"
NO_LABELS = "no pipeline labels to measure the label distance with"
SURVEY_REASONS = ("", REPEAT, TRAINED, NO_LABELS, FAR)
SURVEY_COLUMNS = ("spectrum_id", "path", "obsid", "ra", "dec", "snrg")


def rejected_rows(ids, catalog, reasons):
    """Rows of the ledger's kind, of the stage that this script is."""
    n = len(ids)
    return Table(
        {
            "id": ids,
            "catalog": np.full(n, catalog),
            "stage": np.full(n, "selection"),
            "reason": np.asarray(reasons),
        }
    )


def reference_stars(observed, reference, matches, star, labels, pipeline, cuts, hold_out, seed):
    """Matched stars whose labels pass the cuts, with the reference labels and the survey's own.

    Parameters
    ----------
    observed : Table
        The survey rows of the matches.
    reference, matches : Table
        The reference catalogue, and its matches with the survey.
    star : (n,) int array
        Star of each row of the survey.
    labels, pipeline, cuts, hold_out, seed
        From the configuration.

    Returns
    -------
    chosen, rejected, rows : Table, Table, (n,) int
        The reference set, the reference rows left out, and the survey rows of the set.
    """
    pairs = reference[matches["reference_row"]]
    keep, reason = apply_cuts(pairs, cuts)
    if hold_out["fraction"] > 0 and keep.any():
        stars = np.asarray(star[matches["survey_row"]])[keep]
        trained = train_test_split(stars, 1 - hold_out["fraction"], seed)
        reason = reason.astype("U64")
        reason[np.flatnonzero(keep)[~trained]] = HELD_OUT
        keep[np.flatnonzero(keep)[~trained]] = False
    columns = [
        "reference_id",
        *labels,
        *(f"{name}_err" for name in labels if f"{name}_err" in pairs.colnames),
    ]
    columns += [name for name in ("aspcap_path",) if name in pairs.colnames]
    chosen = hstack([observed[[*SURVEY_COLUMNS]], pairs[columns]], metadata_conflicts="silent")
    chosen["star"] = star[matches["survey_row"]]
    for name, column in pipeline.items():
        chosen[f"{name}_pipeline"] = observed[column]
    rejected = rejected_rows(pairs["reference_id"][~keep], "reference", reason[~keep])
    return chosen[keep], rejected, np.asarray(matches["survey_row"])[keep]


def survey_reasons(best, reference_rows, distances, settings, seed):
    """Why survey rows are not labelled: all but one spectrum per star, close to the reference set.

    Parameters
    ----------
    best : (n,) bool array
        Whether a row is the best spectrum of its star.
    reference_rows : int array
        Rows of the reference set.
    distances : (n,) array
        Label distance of each row.
    settings : mapping or None
        Of the label distance; None labels stars of any.
    seed : int

    Returns
    -------
    code : (n,) int8 array
        Place in `SURVEY_REASONS`; 0 for the rows to label.
    sampled : (n,) bool array
        Rows of any distance that serve the label-distance figure, and the catalogue only where `code` is 0.
    """
    code = np.zeros(len(best), dtype=np.int8)
    code[~best] = SURVEY_REASONS.index(REPEAT)
    code[reference_rows] = SURVEY_REASONS.index(TRAINED)
    sampled = np.zeros(len(best), dtype=bool)
    if settings is not None:
        candidates = np.flatnonzero(code == 0)
        size = min(settings["sample"], len(candidates))
        sampled[np.random.default_rng([seed, 9]).choice(candidates, size, replace=False)] = True
        code[(code == 0) & np.isnan(distances)] = SURVEY_REASONS.index(NO_LABELS)
        code[(code == 0) & (distances >= settings["cut"])] = SURVEY_REASONS.index(FAR)
    return code, sampled


def survey_set_blocks(path, code, sampled, star, distances):
    """Survey rows to label, block by block; `sample_only` marks stars that the catalogue is not to have."""
    for rows in row_blocks((code == 0) | sampled):
        chosen = read_table(path, SURVEY_COLUMNS, rows)
        chosen["star"] = star[rows]
        chosen["distance"] = distances[rows]
        chosen["sample"] = sampled[rows]
        chosen["sample_only"] = code[rows] != 0
        yield chosen


def left_out_blocks(path, code):
    """Survey rows that are not labelled, block by block; rows of the reference set are, with it."""
    reasons = np.array(SURVEY_REASONS)
    for rows in row_blocks((code != 0) & (code != SURVEY_REASONS.index(TRAINED))):
        names = read_table(path, ["spectrum_id"], rows)["spectrum_id"]
        yield rejected_rows(np.asarray(names), "survey", reasons[code[rows]])


def row_blocks(mask):
    """Rows where the mask is true, in blocks; one of no rows where it never is."""
    rows = np.flatnonzero(mask)
    return (rows[start : start + BLOCK] for start in range(0, max(len(rows), 1), BLOCK))


def distances_to(reference_set, path, pipeline, settings, threads):
    """Label distance (Eq. 7) of every survey row; NaN where the survey has no labels."""
    names = list(settings["scale"])
    survey = read_table(path, list(dict.fromkeys(pipeline[name] for name in names)))
    return label_distance(
        np.column_stack([np.asarray(survey[pipeline[name]], dtype=float) for name in names]),
        np.column_stack([np.asarray(reference_set[name], dtype=float) for name in names]),
        scale=[settings["scale"][name] for name in names],
        n_neighbours=settings["neighbours"],
        form=settings["form"],
        workers=threads,
    )


def main(snakemake):
    """Write the reference set, the survey set, the label distances and the rows left out."""
    inputs, params, outputs = snakemake.input, snakemake.params, snakemake.output
    matches, stars = read_table(inputs.matches), read_table(inputs.stars)
    chosen, rejected, rows = reference_stars(
        read_table(inputs.survey, rows=matches["survey_row"]),
        read_table(inputs.reference),
        matches,
        np.asarray(stars["star"]),
        params.labels,
        params.pipeline,
        params.cuts,
        params.hold_out,
        params.seed,
    )
    needed = 1 if params.distance is None else params.distance["neighbours"]
    if len(chosen) < needed:
        reasons = Counter(np.asarray(rejected["reason"]).tolist()).most_common()
        raise SystemExit(
            f"{inputs.matches}: {len(chosen)} of {len(matches)} matched stars pass the cuts, "
            f"at least {needed} are needed: look at match_radius and cuts in the configuration. Left out: "
            + ", ".join(f"{count} {reason}" for reason, count in reasons)
        )
    distances = np.full(len(stars), np.nan)
    if params.distance is not None:
        distances = distances_to(chosen, inputs.survey, params.pipeline, params.distance, snakemake.threads)
    code, sampled = survey_reasons(np.asarray(stars["best"]), rows, distances, params.distance, params.seed)
    settings = {
        "cuts": params.cuts,
        "distance": params.distance,
        "hold_out": params.hold_out,
        "seed": params.seed,
    }
    meta = provenance(settings, list(inputs), params.code)
    write_table(chosen, outputs.reference_set, meta)
    blocks = survey_set_blocks(inputs.survey, code, sampled, np.asarray(stars["star"]), distances)
    n = write_blocks(blocks, outputs.survey_set, meta)
    write_table(Table({"distance": distances}), outputs.distance, meta)
    write_blocks(itertools.chain([rejected], left_out_blocks(inputs.survey, code)), outputs.rejected, meta)
    print(f"reference set {len(chosen)} of {len(matches)} matched; survey set {n} of {len(stars)} spectra")


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
