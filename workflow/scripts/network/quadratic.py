"""Train the comparison model that is a polynomial, the one of The Cannon."""

from labeltransfer.catalogs.rows import label_columns, rows_of, used_errors
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table
from labeltransfer.models.cannon import options_of, train
from labeltransfer.models.files import save_model
from labeltransfer.runtime import job
from labeltransfer.spectra.store import read_stores


def main(snakemake):
    """Write the model."""
    inputs, params = snakemake.input, snakemake.params
    names = tuple(params.labels)
    training = read_stores([inputs.training])
    clip = read_table(inputs.clip)
    errors = used_errors(clip[rows_of(clip["id"], training.stars["id"])], names, params.model, clip)
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
