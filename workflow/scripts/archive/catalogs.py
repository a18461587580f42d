"""Read the catalogues of the survey and of the reference survey, whatever archive they come from."""

from pathlib import Path

from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import write_blocks, write_table
from labeltransfer.runtime import job
from labeltransfer.sources.local import LabelTables, local_catalogs
from labeltransfer.surveys.registry import get_reference, get_survey


def write_survey(lamost, path, meta):
    """Write the survey catalogue from a LAMOST stellar catalogue, block by block; returns the other rows."""
    rejected = []

    def blocks():
        for survey, lost in get_survey("lamost").iterate_catalog(lamost):
            rejected.append(lost)
            yield survey

    print(f"{path}: {write_blocks(blocks(), path, meta)} rows")
    return rejected


def reference_of(apogee, labels):
    """Reference catalogue from an APOGEE allStar file, and the rows that it could not take."""
    columns = {name: label["column"] for name, label in labels.items()}
    errors = {name: label["error"] for name, label in labels.items() if label["error"]}
    return get_reference("apogee").read_catalog(apogee, columns, errors)


def label_tables(local):
    """Paths of one's own tables of labels."""
    return [Path(local["root"]) / table for table in local["labels"]]


def own_catalogs(local, threads):
    """Read a folder of spectra and tables of labels."""
    labels = LabelTables(
        label_tables(local), local["columns"], local["errors"], local["id_column"], local["match"]
    )
    survey, reference, rejected = local_catalogs(
        Path(local["root"]) / local["spectra"], labels, workers=threads
    )
    # Published names recur over folders and releases; the path below the folder does not.
    survey["spectrum_id"] = survey["id"]
    return survey, reference, rejected


def main(snakemake):
    """Write the survey catalogue, the reference catalogue and the rows that neither could take."""
    params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    settings = {"source": params.source, "labels": params.labels}
    if params.source == "local":
        survey, reference, lost = own_catalogs(params.local, snakemake.threads)
        meta = provenance(settings, label_tables(params.local), params.code)
        write_table(survey, outputs.survey, meta)
        rejected = [lost]
    else:
        meta = provenance(settings, list(inputs), params.code)
        rejected = write_survey(inputs.lamost, outputs.survey, meta)
        reference, lost = reference_of(inputs.apogee, params.labels)
        rejected.append(lost)
    write_table(reference, outputs.reference, meta)
    n = write_blocks(rejected, outputs.rejected, meta)
    print(f"{outputs.reference}: {len(reference)} rows; {n} rows of both catalogues left out")


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
