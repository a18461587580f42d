"""Gather all labels into the catalogue, and write down the fate of every row of the input catalogues."""

import itertools
from typing import NamedTuple

import numpy as np
from astropy.table import Table, hstack, vstack

from labeltransfer.catalogs.ledger import assemble, count_fates, ledger_blocks
from labeltransfer.catalogs.rows import Index, among, index_ids, rows_of
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.parquet import write_parquet_blocks
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import iterate_table, read_table, write_blocks
from labeltransfer.runtime import job
from labeltransfer.validation.calibration import apply_calibration, read_calibration, zero_point
from labeltransfer.validation.measured import MEASURED_FLAGS, measured_flags

FLAGS = {
    1: "labels lie outside the reference set (novelty above 1)",
    2: "clipped from the reference set",
    4: "S/N below 10",
    8: "held out from training",
}
LOW_SNR = 10.0
STARS = ["spectrum_id", "obsid", "ra", "dec", "distance"]
BLOCK = 8192


class Stars(NamedTuple):
    """A table of stars, and where each spectrum stands in it."""

    table: Table
    index: Index


class Fates(NamedTuple):
    """What became of the stars with labels: tables for the ledger, in the order of its stages."""

    untrained: list
    bad_survey: list
    bad_reference: list
    good: list


def bad_labels(labels, max_reduced_chi2):
    """Reason why labels do not enter the catalogue; empty where they do."""
    reason = np.full(len(labels), "", dtype="U64")
    good = np.all([np.isfinite(labels[name]) for name in ("chi2", "reduced_chi2")], axis=0)
    reason[np.asarray(labels["reduced_chi2"]) > max_reduced_chi2] = f"reduced chi2 above {max_reduced_chi2:g}"
    reason[~(np.asarray(labels["converged"]) & good)] = "labels did not converge"
    return reason


def rejected_rows(ids, catalog, stage, reasons):
    """Rows of the ledger's kind."""
    n = len(ids)
    return Table(
        {
            "id": np.asarray(ids),
            "catalog": np.full(n, catalog.encode()),
            "stage": np.full(n, stage.encode()),
            "reason": np.asarray(np.broadcast_to(reasons, n)),
        }
    )


def fate_rows(ids, catalog, fate):
    """Fates of the ledger's kind."""
    n = len(ids)
    return Table(
        {"id": np.asarray(ids), "catalog": np.full(n, catalog.encode()), "fate": np.full(n, fate.encode())}
    )


def build_catalog(labels, stars, names, trained, in_reference, clipped, calibrations, at_zero):
    """Table 1 of Ho et al. 2017, with errors of several kinds, flags and positions.

    Parameters
    ----------
    labels, stars : Table
        Labels of the stars that are in, and where they stand in the input catalogue, row by row.
    names : sequence of str
        Labels.
    trained, in_reference, clipped : (n,) bool
        Whether the model was trained on the star; whether it was in the reference set; whether the clip took it out.
    calibrations : dict of str to Calibration
        By label.
    at_zero : bool
        Whether to subtract the zero points that held-out reference stars show.
    """
    table = Table()
    table["spectrum_id"] = labels["id"]
    for name in ("obsid", "ra", "dec"):
        table[name] = stars[name]
    table["ra"].unit = table["dec"].unit = "deg"
    about = {
        "": "from the survey spectrum"
        + (", zero point of held-out reference stars removed" if at_zero else ""),
        "_err": "formal error",
        "_total": "error calibrated on held-out stars",
        "_bootstrap": "scatter between bootstrap models",
    }
    if f"{names[0]}_bootstrap" not in labels.colnames:
        del about["_bootstrap"]
    for suffix, text in about.items():
        for name in names:
            values = (
                calibrated(labels, name, calibrations[name]) if suffix == "_total" else labels[name + suffix]
            )
            values = np.asarray(values, dtype=float)
            if suffix == "" and at_zero:
                values = values - zero_point(labels["snr"], calibrations[name])
            table[name + suffix] = values.astype(np.float32)
            table[name + suffix].unit = labels[name].unit
            table[name + suffix].description = text
    table["reduced_chi2"] = np.asarray(labels["reduced_chi2"], dtype=np.float32)
    table["snr"] = np.asarray(labels["snr"], dtype=np.float32)
    table["snr"].description = "median of flux / error over the good pixels"
    table["snr_g"] = np.asarray(labels["snr_g"], dtype=np.float32)
    table["label_distance"] = np.asarray(stars["distance"], dtype=np.float32)
    table["label_distance"].description = "Eq. 7, survey pipeline labels to the reference set"
    table["novelty"] = np.asarray(labels["novelty"], dtype=np.float32)
    table["novelty"].description = "distance of the labels here from the reference set; above 1 extrapolates"
    table["reference"] = in_reference
    table["trained"] = trained
    flags = np.zeros(len(table), dtype=np.int32)
    flags[~(np.asarray(table["novelty"]) <= 1)] |= 1
    flags[clipped] |= 2
    flags[~(np.asarray(table["snr"]) >= LOW_SNR)] |= 4
    flags[in_reference & ~trained & ~clipped] |= 8
    table["flags"] = flags
    table["flags"].description = "; ".join(f"{bit}: {text}" for bit, text in FLAGS.items())
    return table


def add_measured(table, labels, names, training, threshold):
    """Whether each label of each star was measured or inferred, where the labels say how they follow theory."""
    for name in names:
        flags = measured_flags(
            labels[f"{name}_correlation"],
            np.asarray(labels[name], dtype=float),
            np.asarray(labels[f"{name}_err"], dtype=float),
            np.asarray(training[name], dtype=float),
            threshold,
        )
        table[f"{name}_correlation"] = np.asarray(labels[f"{name}_correlation"], dtype=np.float32)
        table[f"{name}_correlation"].description = "of the model's and theory's gradients for this star"
        table[f"{name}_flag"] = flags
        table[f"{name}_flag"].description = "; ".join(
            f"{bit}: {text}" for bit, text in MEASURED_FLAGS.items()
        )


def reference_rows(labels, stars, clip, study, fates):
    """Reference stars of a block of labels that enter the catalogue, and what `build_catalog` needs of them.

    Returns
    -------
    labels, stars : Table
    trained, clipped : bool arrays
    """
    here = stars.table[rows_of(stars.index, labels["id"])]
    here["distance"] = np.nan
    model = clip.table[rows_of(clip.index, labels["id"])]
    trained = np.asarray(model["trained"])
    clip_reason = f"differs from the model by more than {study['model']['clip']:g} times the scatter"
    untrained = np.where(trained, "", clip_reason)
    if "reason" in model.colnames:
        untrained = np.asarray(model["reason"], dtype=str)
    reason = bad_labels(labels, study["max_reduced_chi2"])
    good = reason == ""
    ids = here["reference_id"]
    fates.untrained.append(rejected_rows(ids[~trained], "reference", "training", untrained[~trained]))
    fates.bad_reference.append(rejected_rows(labels["id"][~good], "survey", "labels", reason[~good]))
    fates.good.append(fate_rows(labels["id"][good & trained], "survey", "labelled and trained on"))
    fates.good.append(fate_rows(labels["id"][good & ~trained], "survey", "labelled"))
    fates.good.append(fate_rows(ids[trained], "reference", "trained on"))
    return labels[good], here[STARS][good], trained[good], (untrained == clip_reason)[good]


def survey_rows(labels, stars, study, fates):
    """Survey stars of a block of labels that enter the catalogue, and those of the label-distance sample.

    Stars of the sample that the cut excludes serve Figures 9 and 10, and stop there.

    Returns
    -------
    labels, stars, sample : Table
    """
    here = stars.table[rows_of(stars.index, labels["id"])]
    sampled, inside = np.asarray(here["sample"]), ~np.asarray(here["sample_only"])
    sample = hstack([labels[sampled], here[["distance"]][sampled]], metadata_conflicts="silent")
    labels, here = labels[inside], here[inside]
    reason = bad_labels(labels, study["max_reduced_chi2"])
    good = reason == ""
    fates.bad_survey.append(rejected_rows(labels["id"][~good], "survey", "labels", reason[~good]))
    fates.good.append(fate_rows(labels["id"][good], "survey", "labelled"))
    return labels[good], here[STARS][good], sample


def catalog_blocks(inputs, study, reference, survey, fates, samples):
    """Rows of the catalogue, block by block of labels; `fates` and `samples` take what belongs elsewhere."""
    names = list(study["labels"])
    clip = indexed(read_table(inputs.clip), "id")
    calibrations = read_calibration(inputs.calibration)
    held_out = held_out_spectra(inputs)
    training = clip.table[clip.table["trained"]]

    def finished(labels, stars, trained, in_reference, clipped):
        zero_point = study["validation"]["zero_point"]
        table = build_catalog(labels, stars, names, trained, in_reference, clipped, calibrations, zero_point)
        if f"{names[0]}_correlation" in labels.colnames:
            add_measured(table, labels, names, training, study["network"]["measured_correlation"])
        table["flags"][among(held_out, table["spectrum_id"])] |= 8
        return table

    for labels in all_blocks(inputs.reference_labels):
        labels, stars, trained, clipped = reference_rows(labels, reference, clip, study, fates)
        yield finished(labels, stars, trained, np.ones(len(labels), dtype=bool), clipped)
    for labels in all_blocks(inputs.survey_labels):
        labels, stars, sample = survey_rows(labels, survey, study, fates)
        samples.append(sample)
        nobody = np.zeros(len(labels), dtype=bool)
        yield finished(labels, stars, nobody, nobody, nobody)


def unread_rows(inputs, reference, survey):
    """Rejected rows of spectra that could not be read or prepared, and of the reference stars they were of."""
    sample_only = survey.table["spectrum_id"][np.asarray(survey.table["sample_only"])]
    tables = [read_table(path, text=bytes) for path in (*inputs.rejected_reference, *inputs.rejected_survey)]
    unread = vstack(tables, metadata_conflicts="silent")
    unread = unread[~among(sample_only, unread["id"])][["id", "catalog", "stage", "reason"]]
    index = index_ids(unread["id"])
    lost = reference.table[among(index, reference.table["spectrum_id"])]
    reasons = unread["reason"][rows_of(index, lost["spectrum_id"])]
    return unread, rejected_rows(lost["reference_id"], "reference", "spectra", reasons)


def ledger_of(inputs, reference, survey, fates):
    """The ledger from all tables of rejected rows and the fates of the stars with labels."""
    rejected = itertools.chain(
        iterate_table(inputs.rejected_catalogs, text=bytes),
        iterate_table(inputs.rejected_crossmatch, text=bytes),
        iterate_table(inputs.rejected_select, text=bytes),
        unread_rows(inputs, reference, survey),
        fates.untrained,
        fates.bad_survey,
        fates.bad_reference,
    )
    return assemble(
        all_ids(inputs.survey, "spectrum_id", inputs.rejected_catalogs, "survey"),
        all_ids(inputs.reference, "reference_id", inputs.rejected_catalogs, "reference"),
        rejected,
        fates.good,
    )


def main(snakemake):
    """Write the catalogue, the ledger, its counts, and the labels of the label-distance sample."""
    inputs, params, outputs = snakemake.input, snakemake.params, snakemake.output
    settings = {"source": params.source, "study": params.study, "seed": params.seed}
    meta = provenance(settings, list(inputs), params.code)
    meta["archive"] = params.source
    columns = [*STARS, "sample", "sample_only"]
    survey = indexed(read_table(inputs.survey_set, columns, text=bytes), "spectrum_id")
    reference = indexed(read_table(inputs.reference_set, text=bytes), "spectrum_id")

    fates, samples = Fates([], [], [], []), []
    blocks = catalog_blocks(inputs, params.study, reference, survey, fates, samples)
    n = write_blocks(blocks, outputs.fits, meta, sort_by="spectrum_id")
    write_parquet_blocks(iterate_table(outputs.fits), outputs.parquet)
    write_blocks(samples, outputs.distance, meta)
    ledger = ledger_of(inputs, reference, survey, fates)
    counts = count_fates(ledger)
    print(f"{n} stars in the catalogue\n{counts.to_string()}")
    write_parquet_blocks(ledger_blocks(ledger), outputs.ledger, meta)
    write_csv(counts.assign(archive=params.source), outputs.fates)


def indexed(table, name):
    """A table with the index of its ids."""
    return Stars(table, index_ids(table[name]))


def all_blocks(paths):
    """Blocks of several tables, one after the other."""
    return itertools.chain.from_iterable(iterate_table(path, block=BLOCK, text=bytes) for path in paths)


def all_ids(path, column, rejected_path, catalog):
    """Ids of all rows of an input catalogue: those that were taken, and those that were not."""
    rejected = read_table(rejected_path, ["id", "catalog"], text=bytes)
    lost = np.asarray(rejected["id"])[np.asarray(rejected["catalog"]) == catalog.encode()]
    return np.concatenate([np.asarray(read_table(path, [column], text=bytes)[column]), lost])


def calibrated(labels, name, calibration):
    """Total error of a label."""
    bootstrap = labels[f"{name}_bootstrap"] if f"{name}_bootstrap" in labels.colnames else 0.0
    return apply_calibration(labels[f"{name}_err"], calibration, bootstrap)


def held_out_spectra(inputs):
    """Spectra of the stars whose reference labels were kept from training."""
    names = [
        np.asarray(block["id"])[np.asarray(block["reason"]) == b"held out from training as a test"]
        for block in iterate_table(inputs.rejected_select, ["id", "reason"], text=bytes)
    ]
    matches = read_table(inputs.matches, ["reference_id", "spectrum_id"], text=bytes)
    return index_ids(matches["spectrum_id"][among(np.concatenate(names), matches["reference_id"])])


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
