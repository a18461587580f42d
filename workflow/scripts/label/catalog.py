"""Gather all labels into the catalogue, and write down the fate of every row of the input catalogues."""

import itertools

import numpy as np
from astropy.table import vstack

from labeltransfer.catalogs.fates import STAR_COLUMNS, no_fates, unread_rows
from labeltransfer.catalogs.ledger import CATALOGS, assemble, check_counts, count_fates, ledger_blocks
from labeltransfer.catalogs.rows import indexed
from labeltransfer.catalogs.selection import held_out_spectra
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.parquet import write_parquet_blocks
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import iterate_table, read_table, write_blocks
from labeltransfer.runtime import job
from labeltransfer.validation.assembly import Stars, catalogue_blocks, judgement_of
from labeltransfer.validation.calibration import read_calibration

BLOCK = 8192


def read_blocks(*paths, columns=None):
    """Blocks of several tables, one after the other; texts are bytes."""
    return itertools.chain.from_iterable(iterate_table(path, columns, BLOCK, bytes) for path in paths)


def main(snakemake):
    """Write the catalogue, the ledger, its counts, and the labels of the label-distance sample."""
    inputs, study, outputs = snakemake.input, snakemake.params.study, snakemake.output
    source = snakemake.params.source
    settings = {
        "source": source,
        "data": snakemake.params.data,
        "study": study,
        "seed": snakemake.params.seed,
    }
    meta = provenance(settings, list(inputs), snakemake.params.code) | {"archive": source}
    columns = [*STAR_COLUMNS, "sample", "sample_only"]
    stars = Stars(
        indexed(read_table(inputs.reference_set, text=bytes), "spectrum_id"),
        indexed(read_table(inputs.survey_set, columns, text=bytes), "spectrum_id"),
        indexed(read_table(inputs.clip), "id"),
        held_out_spectra(
            read_blocks(inputs.rejected_select, columns=["id", "reason"]),
            read_table(inputs.matches, ["reference_id", "spectrum_id"], text=bytes),
        ),
    )
    judgement = judgement_of(study, read_calibration(inputs.calibration))
    fates, samples = no_fates(), []
    labels = read_blocks(*inputs.reference_labels), read_blocks(*inputs.survey_labels)
    blocks = catalogue_blocks(*labels, stars, judgement, fates, samples)
    n = write_blocks(blocks, outputs.fits, meta, sort_by="spectrum_id")
    write_parquet_blocks(iterate_table(outputs.fits), outputs.parquet)
    write_blocks(samples, outputs.distance, meta)

    unread = [read_table(path, text=bytes) for path in (*inputs.rejected_reference, *inputs.rejected_survey)]
    unread = unread_rows(vstack(unread, metadata_conflicts="silent"), stars.survey, stars.reference)
    catalogs = inputs.rejected_survey_catalog, inputs.rejected_reference_catalog
    earlier = read_blocks(*catalogs, inputs.rejected_crossmatch, inputs.rejected_select)
    survey = read_table(inputs.survey, ["spectrum_id"], text=bytes)["spectrum_id"]
    reference = read_table(inputs.reference, ["reference_id"], text=bytes)["reference_id"]
    lost = [read_table(path, ["id"], text=bytes) for path in catalogs]
    ids = np.concatenate([survey, lost[0]["id"]]), np.concatenate([reference, lost[1]["id"]])
    ledger = assemble(*ids, itertools.chain(earlier, unread, fates.rejected()), fates.good)
    check_counts(ledger, {name: table.meta["rows_found"] for name, table in zip(CATALOGS, lost, strict=True)})
    counts = count_fates(ledger)
    if not n:
        raise SystemExit(
            f"{outputs.fits}: not one star has labels that can be used. What became of all rows:\n{counts}"
        )
    print(f"{n} stars in the catalogue\n{counts.to_string()}")
    write_parquet_blocks(ledger_blocks(ledger), outputs.ledger, meta)
    write_csv(counts.assign(archive=source), outputs.fates)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
