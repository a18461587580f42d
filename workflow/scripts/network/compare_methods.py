"""Labels of the reference stars from the reference survey and from every method; calibrated errors."""

import numpy as np
from astropy.table import vstack

from labeltransfer.catalogs.splits import k_folds
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.models.files import load_model
from labeltransfer.runtime import blamed_on, job
from labeltransfer.validation.calibration import fit_calibrations, write_calibration
from labeltransfer.validation.comparisons import method_comparison
from labeltransfer.validation.error_tests import cross_fitted, errors_table
from labeltransfer.validation.repeats import read_repeats, repeat_calibrations
from labeltransfer.validation.summaries import method_summary


def main(snakemake):
    """Write the comparison, its summary and the calibration."""
    inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params
    names = list(params.labels)
    labels = {
        "prior": vstack([read_table(path) for path in inputs.prior], metadata_conflicts="silent"),
        **{method: read_table(path) for method, path in zip(params.methods, inputs.others, strict=True)},
    }
    table = method_comparison(read_table(inputs.stars), labels, names)
    good = np.asarray(table["test"] & table["converged_prior"])
    with blamed_on(inputs.stars):
        calibrations = fit_calibrations(table, names, "_prior", "_apogee", good)
        given = None
        if inputs.repeats:
            given = repeat_calibrations(
                *read_repeats(inputs.repeats, inputs.repeats_stars), names, calibrations
            )
    models = {method: load_model(path) for method, path in zip(labels, inputs.models, strict=True)}
    pixels = {method: np.count_nonzero(model.usable) for method, model in models.items()}
    # What is printed is of stars that the calibration was not fitted to.
    part = k_folds(table["id"], 2, params.seed)
    fitted = cross_fitted(table, names, "_prior", "_apogee", good, part, given)
    summary = method_summary(table, pixels, names, fitted)
    tested = np.asarray(table["test"] & table["converged_prior"])
    fitted = tuple({name: one[name][tested] for name in names} for one in fitted)
    errors = errors_table(
        table[tested], names, "_prior", "_apogee", fitted, np.ones(tested.sum(), dtype=bool)
    )
    print(summary.to_string(), errors.to_string(), sep="\n\n")
    write_table(table, outputs.table, provenance({"labels": params.labels}, list(inputs), params.code))
    write_csv(summary, outputs.summary)
    write_csv(errors, outputs.errors)
    write_calibration(given or calibrations, outputs.calibration)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
