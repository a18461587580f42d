"""Choose the reference set and the survey stars to label, and say why every other row was left out."""

import itertools

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.enough import HELD_OUT, check_reference_set
from labeltransfer.catalogs.selection import (
    STAGE,
    choose_survey_stars,
    left_out_blocks,
    reference_columns,
    reference_reasons,
    survey_distances,
    survey_set_blocks,
)
from labeltransfer.files.provenance import provenance
from labeltransfer.files.rejected import rejected_rows
from labeltransfer.files.tables import BLOCK, count_rows, read_table, write_blocks, write_table
from labeltransfer.runtime import blamed_on, job


def main(snakemake):
    """Write the reference set, the survey set, the label distances and the rows left out."""
    inputs, params, outputs = snakemake.input, snakemake.params, snakemake.output
    matches, stars = read_table(inputs.matches), read_table(inputs.stars)
    observed, star = read_table(inputs.survey, rows=matches["survey_row"]), np.asarray(stars["star"])
    pairs, of_match = read_table(inputs.reference)[matches["reference_row"]], star[matches["survey_row"]]
    reasons = reference_reasons(
        pairs, of_match, observed["snrg"], params.cuts, params.hold_out["fraction"], params.seed
    )
    keep = reasons == ""
    where = f"studies.{snakemake.wildcards.study}"
    with blamed_on(where):
        chosen = reference_columns(observed, pairs, of_match, params.labels, params.pipeline, params.groups)[
            keep
        ]
    # Not a parameter: what follows from the set here does not follow from how it is used.
    study = snakemake.config["studies"][snakemake.wildcards.study]
    with blamed_on(inputs.matches):
        check_reference_set(chosen, reasons, count_rows(inputs.reference), study, where, params.seed)
    rejected = rejected_rows(pairs["reference_id"][~keep], "reference", STAGE, reasons[~keep])

    distances = np.full(len(stars), np.nan)
    if params.distance is not None:
        columns = {params.pipeline[name] for name in params.distance["scale"]}
        survey = read_table(inputs.survey, sorted(columns))
        distances = survey_distances(survey, chosen, params.pipeline, params.distance, snakemake.threads)
    rows, held_out = matches["survey_row"][keep], matches["survey_row"][reasons == HELD_OUT]
    choice = choose_survey_stars(stars, rows, held_out, distances, params.distance, params.seed)
    settings = {name: getattr(params, name) for name in ("cuts", "distance", "hold_out", "seed")}
    meta = provenance(settings, list(inputs), params.code)
    write_table(chosen, outputs.reference_set, meta)
    n = write_blocks(
        survey_set_blocks(inputs.survey, choice, star, distances, BLOCK), outputs.survey_set, meta
    )
    write_table(Table({"distance": distances}), outputs.distance, meta)
    left_out = left_out_blocks(inputs.survey, choice, BLOCK)
    write_blocks(itertools.chain([rejected], left_out), outputs.rejected, meta)
    print(f"reference set {len(chosen)} of {len(matches)} matched; survey set {n} of {len(stars)} spectra")


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
