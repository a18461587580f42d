"""Find the stars of the reference survey among the spectra of the survey."""

from labeltransfer.catalogs.match import crossmatch
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.runtime import job


def main(snakemake):
    """Write matches, stars and the reference stars that the survey did not observe."""
    settings = {
        "match_radius": snakemake.params.match_radius,
        "same_star_radius": snakemake.params.same_star_radius,
    }
    survey = read_table(snakemake.input.survey, ["spectrum_id", "ra", "dec", "snrg"], text=bytes)
    # Only labels of one's own may name their spectra.
    known = read_table(snakemake.input.reference, rows=slice(0)).colnames
    wanted = [name for name in ("reference_id", "ra", "dec", "survey_row") if name in known]
    reference = read_table(snakemake.input.reference, wanted)
    tables = crossmatch(survey, reference, **settings)
    meta = provenance(settings, list(snakemake.input), snakemake.params.code)
    for table, path in zip(tables, snakemake.output, strict=True):
        print(f"{path}: {len(table)} rows")
        write_table(table, path, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
