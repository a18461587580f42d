"""Train the comparison model that is a polynomial, the one of The Cannon."""

from labeltransfer.catalogs.rows import label_columns, label_errors
from labeltransfer.files.provenance import provenance
from labeltransfer.models.cannon import options_of, train
from labeltransfer.models.files import save_model
from labeltransfer.runtime import job
from labeltransfer.spectra.store import read_stores


def main(snakemake):
    """Write the model."""
    inputs, params = snakemake.input, snakemake.params
    names = tuple(params.labels)
    training = read_stores([inputs.training])
    errors = label_errors(training.stars, names) * (params.model["errors_in_labels"] == "stated")
    model = train(
        training.flux,
        training.ivar,
        label_columns(training.stars, names),
        label_errors=errors,
        **options_of(params.model, names),
        threads=snakemake.threads,
    )
    meta = provenance({"labels": params.labels, "model": params.model}, list(inputs), params.code)
    save_model(snakemake.output.model, model.on(training.wavelength), meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
