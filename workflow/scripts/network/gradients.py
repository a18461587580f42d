"""Gradient spectra of every model at the reference points, beside those of theory."""

import numpy as np
import pandas as pd
from astropy.table import Table

from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.models.files import load_model
from labeltransfer.models.priors import prior_of
from labeltransfer.runtime import job
from labeltransfer.spectra.store import read_stores
from labeltransfer.validation.gradient_correlation import gradient_correlation
from labeltransfer.validation.shift import linear_response


def main(snakemake):
    """Write the gradients at the first reference point, and the correlations with theory at all of them."""
    inputs, params = snakemake.input, snakemake.params
    names = list(params.labels)
    theory = read_table(inputs.theory)
    training = read_stores([inputs.training])
    ivar = np.median(training.ivar, axis=0)
    prior = prior_of(theory, names)
    gradient, steps, points = prior.gradient, prior.steps, prior.points
    references = list(dict.fromkeys(theory["reference"].tolist()))
    table = Table({"wavelength": training.wavelength, "ivar": ivar, "theory": gradient[0].T})
    rows = []
    for method, path in zip(params.methods, inputs.models, strict=True):
        model = load_model(path)
        for number, reference in enumerate(references):
            found = model.gradients(points[number], steps)
            if number == 0:
                table[method], table[f"scatter_{method}"] = found.T, model.scatter
            correlation = gradient_correlation(found, gradient[number])
            compared = (np.isfinite(found) & np.isfinite(gradient[number])).sum(axis=1)
            response = np.diag(linear_response(found, gradient[number], ivar, model.scatter))
            rows += [
                {
                    "method": method,
                    "reference": reference,
                    "label": name,
                    "correlation": correlation[j],
                    "response_to_theory": response[j],
                    "pixels": compared[j],
                    "archive": params.source,
                }
                for j, name in enumerate(names)
            ]
    frame = pd.DataFrame(rows)
    print(frame.set_index(["reference", "method", "label"])["correlation"].to_string())
    settings = {"labels": params.labels, "reference": references[0]}
    write_table(table, snakemake.output.gradients, provenance(settings, list(inputs), params.code))
    write_csv(frame, snakemake.output.correlation)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
