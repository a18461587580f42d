"""Find the stars of the reference survey among the spectra of the survey."""

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.match import group_stars, match, one_star_once
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.runtime import job


def crossmatch(survey, reference, match_radius, same_star_radius):
    """Group repeated spectra into stars, and match the best spectrum of each with the reference survey.

    Returns
    -------
    matches, stars, rejected : Table
        Pairs of rows; per survey row its star and whether it is that star's best spectrum; reference rows
        without a counterpart.
    """
    star = group_stars(survey["ra"], survey["dec"], same_star_radius)
    best = one_star_once(star, survey["snrg"])
    rows = np.flatnonzero(best)
    found = match(
        reference["ra"], reference["dec"], survey["ra"][rows], survey["dec"][rows], match_radius, workers=1
    )
    matches = Table(
        {
            "reference_id": reference["reference_id"][found.index1],
            "spectrum_id": survey["spectrum_id"][rows[found.index2]],
            "separation": found.separation,
            "reference_row": found.index1,
            "survey_row": rows[found.index2],
        }
    )
    matches["separation"].unit = "arcsec"
    lost = np.flatnonzero(found.reason1 != "")
    rejected = Table(
        {
            "id": reference["reference_id"][lost],
            "catalog": np.full(len(lost), "reference"),
            "stage": np.full(len(lost), "cross-match"),
            "reason": found.reason1[lost],
        }
    )
    return matches, Table({"star": star, "best": best}), rejected


def main(snakemake):
    """Write matches, stars and the reference stars that the survey did not observe."""
    settings = {
        "match_radius": snakemake.params.match_radius,
        "same_star_radius": snakemake.params.same_star_radius,
    }
    survey = read_table(snakemake.input.survey, ["spectrum_id", "ra", "dec", "snrg"], text=bytes)
    reference = read_table(snakemake.input.reference, ["reference_id", "ra", "dec"])
    tables = crossmatch(survey, reference, **settings)
    meta = provenance(settings, list(snakemake.input), snakemake.params.code)
    for table, path in zip(tables, snakemake.output, strict=True):
        print(f"{path}: {len(table)} rows")
        write_table(table, path, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
