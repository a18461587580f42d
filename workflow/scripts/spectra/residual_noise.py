"""The noise of spectra that come without errors, from what principal components of the reference spectra leave."""

import numpy as np
from astropy.table import vstack

from labeltransfer.files.places import located, prefix_of
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.runtime import job
from labeltransfer.spectra.normalise import normalise
from labeltransfer.spectra.prepare import gridded, settings_from
from labeltransfer.spectra.residual_noise import model_table, noise_model


def main(snakemake):
    """Write the table of the noise model."""
    inputs, params = snakemake.input, snakemake.params
    fetched = vstack([read_table(path) for path in inputs.fetched], metadata_conflicts="silent")
    fetched = fetched[np.asarray(fetched["status"]) != "failed"]
    rng = np.random.default_rng(params.seed)
    rows = np.sort(rng.permutation(len(fetched))[: params.most])
    prefix = prefix_of(inputs.fetched[0])
    paths = [str(located(name, prefix)) for name in fetched["path"][rows]]
    settings = settings_from(params.grid, params.preparation, inputs.windows, inputs.fibres, inputs.noise)
    raw = gridded(paths, settings, params.survey)
    without = raw.assumed
    print(f"{np.count_nonzero(without)} spectra without errors of {len(paths)}")
    flux, ivar, _ = normalise(raw.flux[without], raw.ivar[without], settings.kernel)
    weight = np.where(ivar > 0, raw.ivar[without], 0.0)
    model = noise_model(flux, weight, params.preparation["residual_components"], rng)
    wanted = {name: getattr(params, name) for name in ("grid", "preparation", "most", "seed")}
    meta = provenance(wanted, list(inputs), params.code)
    write_table(model_table(settings.grid, model), snakemake.output.model, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
