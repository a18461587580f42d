"""Choose spectra of stars that were observed more than once, to label all of them."""

import numpy as np

from labeltransfer.catalogs.repeats import repeated_rows
from labeltransfer.catalogs.selection import SURVEY_COLUMNS
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.runtime import job


def main(snakemake):
    """Write all spectra of the stars of the survey set that have several."""
    inputs, params = snakemake.input, snakemake.params
    star = np.asarray(read_table(inputs.stars, ["star"])["star"])
    chosen = read_table(inputs.survey_set, ["star", "sample_only"])
    rows = repeated_rows(star, chosen["star"][~chosen["sample_only"]], params.most, params.seed)
    table = read_table(inputs.survey, SURVEY_COLUMNS, rows)
    table["star"] = star[rows]
    print(f"{len(table)} spectra of {len(np.unique(table['star']))} stars")
    meta = provenance({"most": params.most, "seed": params.seed}, list(inputs), params.code)
    write_table(table, snakemake.output.stars, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
