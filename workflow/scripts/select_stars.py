"""Choose the reference set and the survey stars to label, and say why every other row was left out."""

from collections import Counter

import numpy as np
from astropy.table import Table, hstack, vstack

from labeltransfer.catalogs.distance import label_distance
from labeltransfer.catalogs.select import apply_cuts
from labeltransfer.catalogs.tables import read_table, write_table
from labeltransfer.runtime import job, provenance
from labeltransfer.validation.splits import train_test_split

REPEAT = "repeat of a star with a better spectrum"
HELD_OUT = "held out from training as a test"
TRAINED = "spectrum of a reference star"
FAR = "label distance above the cut"
NO_LABELS = "no pipeline labels to measure the label distance with"
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


def reference_stars(survey, reference, matches, star, labels, pipeline, cuts, hold_out, seed):
    """Matched stars whose labels pass the cuts, with the reference labels and the survey's own.

    Returns
    -------
    chosen, rejected, rows : Table, Table, (n,) int
        The reference set, the reference rows left out, and the survey rows of the set.
    """
    pairs = reference[matches["reference_row"]]
    observed = survey[matches["survey_row"]]
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


def survey_stars(survey, stars, reference_rows, distances, settings, seed):
    """Survey rows to label: one spectrum per star, close to the reference set, and a sample of any distance.

    Returns
    -------
    chosen, rejected : Table
        With a column `sample_only` for stars that serve the label-distance figure and not the catalogue.
    """
    n = len(survey)
    reason = np.full(n, "", dtype="U64")
    reason[~np.asarray(stars["best"])] = REPEAT
    reason[reference_rows] = TRAINED
    sampled = np.zeros(n, dtype=bool)
    if settings is not None:
        candidates = np.flatnonzero(reason == "")
        size = min(settings["sample"], len(candidates))
        sampled[np.random.default_rng([seed, 9]).choice(candidates, size, replace=False)] = True
        reason[(reason == "") & np.isnan(distances)] = NO_LABELS
        reason[(reason == "") & (distances >= settings["cut"])] = FAR
    chosen = survey[[*SURVEY_COLUMNS]].copy()
    chosen["star"] = stars["star"]
    chosen["distance"] = distances
    chosen["sample"] = sampled
    chosen["sample_only"] = reason != ""
    chosen = chosen[(reason == "") | sampled]
    left_out = (reason != "") & (reason != TRAINED)
    return chosen, rejected_rows(survey["spectrum_id"][left_out], "survey", reason[left_out])


def distances_to(reference_set, survey, pipeline, settings):
    """Label distance (Eq. 7) of every survey row; NaN where the survey has no labels, or Eq. 7 is not used."""
    if settings is None:
        return np.full(len(survey), np.nan)
    names = list(settings["scale"])
    return label_distance(
        np.column_stack([np.asarray(survey[pipeline[name]], dtype=float) for name in names]),
        np.column_stack([np.asarray(reference_set[name], dtype=float) for name in names]),
        scale=[settings["scale"][name] for name in names],
        n_neighbours=settings["neighbours"],
        form=settings["form"],
    )


def main(snakemake):
    """Write the reference set, the survey set, the label distances and the rows left out."""
    inputs, params = snakemake.input, snakemake.params
    survey, reference = read_table(inputs.survey), read_table(inputs.reference)
    matches, stars = read_table(inputs.matches), read_table(inputs.stars)
    chosen, rejected, rows = reference_stars(
        survey,
        reference,
        matches,
        stars["star"],
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
    distances = distances_to(chosen, survey, params.pipeline, params.distance)
    survey_set, rejected_survey = survey_stars(survey, stars, rows, distances, params.distance, params.seed)
    print(
        f"reference set {len(chosen)} of {len(matches)} matched; survey set {len(survey_set)} of {len(survey)} spectra"
    )
    settings = {
        "cuts": params.cuts,
        "distance": params.distance,
        "hold_out": params.hold_out,
        "seed": params.seed,
    }
    meta = provenance(settings, list(inputs), {"catalogs": params.code})
    outputs = (chosen, survey_set, Table({"distance": distances}), vstack([rejected, rejected_survey]))
    for table, path in zip(outputs, snakemake.output, strict=True):
        write_table(table, path, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
