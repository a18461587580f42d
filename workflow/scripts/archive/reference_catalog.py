"""Gather the labels that are to be carried over: from the reference survey's catalogue, or from tables of one's own."""

from pathlib import Path

from astropy.table import vstack

from labeltransfer.catalogs.cuts import check_cuts
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.runtime import blamed_on, job
from labeltransfer.sources.own_labels import LabelTables, join_by_name, join_labels
from labeltransfer.surveys.registry import get_reference


def published_labels(path, params):
    """Labels from the reference survey's catalogue, and the rows that could not be taken."""
    columns = {name: label["column"] for name, label in params.labels.items()}
    errors = {name: label["error"] for name, label in params.labels.items() if label["error"]}
    return get_reference(params.release).read_catalog(path, columns, errors, sentinels=params.missing)


def labels_by_name(inputs, params):
    """Labels that come with the spectra which they name, and the rows that could not be taken."""
    files = read_table(inputs.files)
    (name,) = files["file"][files["dataset"] == "labels"]
    reference, rejected = published_labels(Path(inputs.files).parent / "labels" / str(name), params)
    reference, lost = join_by_name(reference, read_table(inputs.survey))
    return reference, vstack([rejected, lost], metadata_conflicts="silent")


def own_labels(inputs, params):
    """Labels of one's own spectra, and the rows that belong to none."""
    spectra, local = read_table(inputs.survey), params.local
    # The name that spectra bear in their headers and tables, not the path that tells them apart here.
    spectra["spectrum_id"] = spectra["name"]
    how = {"id_column": local["id_column"], "match": local["match"], "labels": tuple(params.labels)}
    how |= {"sentinels": tuple(params.missing), "radius": params.radius}
    asked = LabelTables(inputs.labels, local["columns"], local["errors"], **how)
    reference, rejected = join_labels(spectra, asked)
    reference["spectrum_id"] = reference["id"]
    return reference, rejected


def main(snakemake):
    """Write the reference catalogue, and the rows that it could not take."""
    params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    settings = {"source": params.source, "labels": params.labels, "missing": params.missing}
    meta = provenance(settings, list(inputs), params.code)
    if params.source == "local":
        reference, lost = own_labels(inputs, params)
    elif params.source == "registry":
        reference, lost = labels_by_name(inputs, params)
    else:
        reference, lost = published_labels(inputs.labels, params)
    # Known now, before anything is prepared: what the selection is to ask for.
    study = snakemake.wildcards.study
    where = " (columns are named in archives.local.columns)" if params.source == "local" else ""
    with blamed_on(f"studies.{study}.cuts{where}"):
        check_cuts(snakemake.config["studies"][study]["cuts"], reference.colnames)
    write_table(reference, outputs.reference, meta)
    write_table(lost, outputs.rejected, meta | {"rows_found": len(reference) + len(lost)})
    print(f"{outputs.reference}: {len(reference)} rows; {len(lost)} rows left out")


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
