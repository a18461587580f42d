"""Train the comparison models that are polynomials: a quadratic one, and one with an L1 penalty."""

import json

import numpy as np
import pandas as pd
from network_part import prior_of, training_labels

from labeltransfer.catalogs.tables import read_table, write_csv
from labeltransfer.models.cannon import predict, train
from labeltransfer.models.files import save_model
from labeltransfer.models.gradients import choose_lambda
from labeltransfer.models.lasso import train_lasso
from labeltransfer.runtime import job, provenance
from labeltransfer.spectra.store import read_stores


def central_gradients(model, point, steps):
    """Half the change of flux (k, p) from minus to plus the step in each label, as for networks and theory."""
    steps = np.diag(steps)
    return 0.5 * (predict(model, point + steps) - predict(model, point - steps))


def scan_strengths(flux, ivar, labels, theory, names, strengths, pixels, order, threads):
    """How far the gradients are from theory for each strength of the penalty, on some pixels."""
    gradient, steps, points = prior_of(theory, names)
    models = train_lasso(
        flux[:, pixels],
        ivar[:, pixels],
        labels,
        label_names=names,
        strengths=strengths,
        order=order,
        threads=threads,
    )
    found = dict(zip(strengths, models, strict=True))
    return choose_lambda(
        strengths,
        lambda strength: np.concatenate(
            [central_gradients(found[strength], point, steps) for point in points], axis=1
        ),
        np.concatenate(list(gradient[:, :, pixels]), axis=1),
    )


def main(snakemake):
    """Write both models, and the table of the strengths of the penalty."""
    inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params
    names, settings = tuple(params.labels), params.network["l1"]
    training, theory = read_stores([inputs.training]), read_table(inputs.theory)
    labels = training_labels(training, names)
    options = {"label_names": names, "order": params.model["order"], "threads": snakemake.threads}
    quadratic = train(
        training.flux,
        training.ivar,
        labels,
        scatter=params.model["scatter"],
        wavelength=training.wavelength,
        **options,
    )
    stride = max(1, len(training.wavelength) // settings["pixels"])
    pixels = np.arange(stride // 2, len(training.wavelength), stride)
    choice = scan_strengths(
        training.flux,
        training.ivar,
        labels,
        theory,
        names,
        settings["strengths"],
        pixels,
        params.model["order"],
        snakemake.threads,
    )
    table = pd.DataFrame({"strength": choice.strengths, "gradient_distance": choice.distance})
    table["chosen"], table["pixels"] = table["strength"] == choice.best, len(pixels)
    print(table.to_string())
    l1 = train_lasso(
        training.flux,
        training.ivar,
        labels,
        strengths=[choice.best],
        wavelength=training.wavelength,
        **options,
    )[0]
    print(f"L1: {np.mean(l1.theta != 0):.3f} of the coefficients are not zero")
    code = dict(zip(("spectra", "models"), params.code, strict=True))
    wanted = {"labels": params.labels, "model": params.model, "l1": settings}
    meta = provenance(wanted, list(inputs), code)
    meta = {key: json.dumps(value, sort_keys=True) for key, value in meta.items()}
    save_model(outputs.quadratic, quadratic, meta)
    save_model(outputs.l1, l1, meta)
    write_csv(table, outputs.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
