"""Read the catalogues of the survey and of the reference survey, whatever archive they come from."""

from pathlib import Path

from astropy.table import vstack

from labeltransfer.archives.apogee import read_allstar
from labeltransfer.archives.lamost import read_catalog
from labeltransfer.archives.local import local_catalogs
from labeltransfer.catalogs.tables import write_table
from labeltransfer.runtime import job, provenance


def published_catalogs(lamost, apogee, labels):
    """Read a LAMOST stellar catalogue and an APOGEE allStar file."""
    columns = {name: label["column"] for name, label in labels.items()}
    errors = {name: label["error"] for name, label in labels.items() if label["error"]}
    survey, rejected_survey = read_catalog(lamost)
    reference, rejected_reference = read_allstar(apogee, columns, errors)
    return survey, reference, vstack([rejected_survey, rejected_reference], metadata_conflicts="silent")


def own_catalogs(local):
    """Read a folder of spectra and tables of labels."""
    root = Path(local["root"])
    survey, reference, rejected = local_catalogs(
        root / local["spectra"],
        [root / table for table in local["labels"]],
        local["columns"],
        errors=local["errors"],
        id_column=local["id_column"],
        match=local["match"],
    )
    # Published names recur over folders and releases; the path below the folder does not.
    survey["spectrum_id"] = survey["id"]
    return survey, reference, rejected


def main(snakemake):
    """Write the survey catalogue, the reference catalogue and the rows that neither could take."""
    params, inputs = snakemake.params, snakemake.input
    if params.source == "local":
        tables = own_catalogs(params.local)
    else:
        tables = published_catalogs(inputs.lamost, inputs.apogee, params.labels)
    settings = {"source": params.source, "labels": params.labels}
    meta = provenance(settings, list(inputs), {"archives": params.code})
    for table, path in zip(tables, snakemake.output, strict=True):
        print(f"{path}: {len(table)} rows")
        write_table(table, path, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
