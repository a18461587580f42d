"""Gather all labels into the catalogue, and write down the fate of every row of the input catalogues."""

import numpy as np
from astropy.table import Table, hstack, vstack

from labeltransfer.catalogs.ledger import assemble, count_fates
from labeltransfer.catalogs.rows import rows_of
from labeltransfer.catalogs.tables import read_table, write_csv, write_parquet, write_table
from labeltransfer.runtime import job, provenance
from labeltransfer.validation.calibration import apply_calibration, read_calibration, zero_point
from labeltransfer.validation.measured import MEASURED_FLAGS, measured_flags

FLAGS = {
    1: "labels lie outside the reference set (novelty above 1)",
    2: "clipped from the reference set",
    4: "S/N below 10",
    8: "held out from training",
}
LOW_SNR = 10.0


def read_all(paths):
    """Tables of the same columns, one below the other."""
    return vstack([read_table(path) for path in paths], metadata_conflicts="silent")


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
            "id": np.asarray(ids, dtype=str),
            "catalog": np.full(n, catalog),
            "stage": np.full(n, stage),
            "reason": np.asarray(np.broadcast_to(reasons, n), dtype=str),
        }
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


def main(snakemake):
    """Write the catalogue, the ledger, its counts, and the labels of the label-distance sample."""
    inputs, params, outputs = snakemake.input, snakemake.params, snakemake.output
    names = list(params.study["labels"])
    survey_set, reference_set = read_table(inputs.survey_set), read_table(inputs.reference_set)
    clip = read_table(inputs.clip)
    reference_labels, survey_labels = read_all(inputs.reference_labels), read_all(inputs.survey_labels)

    # Stars of the label-distance sample that the cut excludes serve Figures 9 and 10, and stop here.
    rows = rows_of(survey_set["spectrum_id"], survey_labels["id"])
    sampled = np.asarray(survey_set["sample"])[rows]
    write_table(
        hstack(
            [survey_labels[sampled], survey_set[["distance"]][rows[sampled]]], metadata_conflicts="silent"
        ),
        outputs.distance,
    )
    outside = np.asarray(survey_set["sample_only"])[rows]
    survey_labels, survey_stars = survey_labels[~outside], survey_set[rows[~outside]]

    reference_rows = rows_of(reference_set["spectrum_id"], reference_labels["id"])
    reference_stars = reference_set[reference_rows]
    reference_stars["distance"] = np.nan
    clip_rows = rows_of(clip["id"], reference_labels["id"])
    trained = np.asarray(clip["trained"])[clip_rows]
    clip_reason = f"differs from the model by more than {params.study['model']['clip']:g} times the scatter"
    reason_untrained = np.where(trained, "", clip_reason)
    if "reason" in clip.colnames:
        reason_untrained = np.asarray(clip["reason"], dtype=str)[clip_rows]

    reason_survey = bad_labels(survey_labels, params.study["max_reduced_chi2"])
    reason_reference = bad_labels(reference_labels, params.study["max_reduced_chi2"])
    good_survey, good_reference = reason_survey == "", reason_reference == ""
    columns = ["spectrum_id", "obsid", "ra", "dec", "distance"]
    n_reference, n_survey = np.count_nonzero(good_reference), np.count_nonzero(good_survey)
    labelled = vstack(
        [reference_labels[good_reference], survey_labels[good_survey]], metadata_conflicts="silent"
    )
    catalog = build_catalog(
        labelled,
        vstack(
            [reference_stars[columns][good_reference], survey_stars[columns][good_survey]],
            metadata_conflicts="silent",
        ),
        names,
        np.concatenate([trained[good_reference], np.zeros(n_survey, dtype=bool)]),
        np.arange(len(labelled)) < n_reference,
        np.concatenate([reason_untrained[good_reference] == clip_reason, np.zeros(n_survey, dtype=bool)]),
        read_calibration(inputs.calibration),
        params.study["validation"]["zero_point"],
    )
    if f"{names[0]}_correlation" in labelled.colnames:
        threshold = params.study["network"]["measured_correlation"]
        add_measured(catalog, labelled, names, clip[clip["trained"]], threshold)
    order = np.argsort(np.asarray(catalog["spectrum_id"]), kind="stable")
    catalog = catalog[order]
    held_out = held_out_stars(inputs, catalog, read_table(inputs.rejected_select))
    catalog["flags"][held_out] |= 8

    unread = read_all([*inputs.rejected_reference, *inputs.rejected_survey])
    sample_only = set(np.asarray(survey_set["spectrum_id"])[np.asarray(survey_set["sample_only"])].tolist())
    unread = unread[[name not in sample_only for name in np.asarray(unread["id"]).tolist()]]
    lost = np.isin(np.asarray(reference_set["spectrum_id"]), np.asarray(unread["id"]))
    unread_reference = rejected_rows(
        reference_set["reference_id"][lost],
        "reference",
        "spectra",
        [unread["reason"][row] for row in rows_of(unread["id"], reference_set["spectrum_id"][lost])],
    )
    rejected_catalogs = read_table(inputs.rejected_catalogs)
    survey_ids = [*read_table(inputs.survey)["spectrum_id"], *ids_of(rejected_catalogs, "survey")]
    reference_ids = [*read_table(inputs.reference)["reference_id"], *ids_of(rejected_catalogs, "reference")]
    rejected = [
        rejected_catalogs,
        read_table(inputs.rejected_crossmatch),
        read_table(inputs.rejected_select),
        unread[["id", "catalog", "stage", "reason"]],
        unread_reference,
        rejected_rows(
            reference_stars["reference_id"][~trained], "reference", "training", reason_untrained[~trained]
        ),
        rejected_rows(survey_labels["id"][~good_survey], "survey", "labels", reason_survey[~good_survey]),
        rejected_rows(
            reference_labels["id"][~good_reference], "survey", "labels", reason_reference[~good_reference]
        ),
    ]
    fates = vstack(
        [
            Table({"id": np.asarray(ids, dtype=str), "catalog": [kind] * len(ids), "fate": [fate] * len(ids)})
            for ids, kind, fate in (
                (survey_labels["id"][good_survey], "survey", "labelled"),
                (reference_labels["id"][good_reference & trained], "survey", "labelled and trained on"),
                (reference_labels["id"][good_reference & ~trained], "survey", "labelled"),
                (reference_stars["reference_id"][trained], "reference", "trained on"),
            )
            if len(ids)
        ]
    )
    ledger = assemble(survey_ids, reference_ids, rejected, fates)
    counts = count_fates(ledger)
    print(counts.to_string())
    settings = {"source": params.source, "study": params.study, "seed": params.seed}
    meta = provenance(settings, list(inputs), dict(zip(("catalogs", "validation"), params.code, strict=True)))
    meta["archive"] = params.source
    write_table(catalog, outputs.fits, meta)
    write_parquet(catalog, outputs.parquet, meta)
    write_parquet(ledger, outputs.ledger, meta)
    write_csv(counts.assign(archive=params.source), outputs.fates)


def calibrated(labels, name, calibration):
    """Total error of a label."""
    bootstrap = labels[f"{name}_bootstrap"] if f"{name}_bootstrap" in labels.colnames else 0.0
    return apply_calibration(labels[f"{name}_err"], calibration, bootstrap)


def ids_of(rejected, catalog):
    """Ids of one catalogue among rejected rows."""
    return rejected["id"][np.asarray(rejected["catalog"]) == catalog]


def held_out_stars(inputs, catalog, rejected):
    """Stars of the catalogue whose reference labels were kept from training."""
    names = rejected["id"][np.asarray(rejected["reason"]) == "held out from training as a test"]
    if not len(names):
        return np.zeros(len(catalog), dtype=bool)
    matches = read_table(inputs.matches)
    spectra = matches["spectrum_id"][np.isin(np.asarray(matches["reference_id"]), np.asarray(names))]
    return np.isin(np.asarray(catalog["spectrum_id"]), np.asarray(spectra))


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
