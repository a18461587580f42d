"""The typical shape of the survey's noise, for an Eq. 1 that weights all spectra alike."""

import numpy as np
from astropy.table import vstack

from labeltransfer.files.places import located, prefix_of
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.runtime import job
from labeltransfer.spectra.normalise import typical_noise
from labeltransfer.spectra.prepare import gridded, noise_table, settings_from


def main(snakemake):
    """Write the table of the typical noise."""
    inputs, params = snakemake.input, snakemake.params
    fetched = vstack([read_table(path) for path in inputs.fetched], metadata_conflicts="silent")
    fetched = fetched[np.asarray(fetched["status"]) != "failed"]
    rows = np.random.default_rng(params.seed).permutation(len(fetched))[: params.most]
    prefix = prefix_of(inputs.fetched[0])
    paths = [str(located(name, prefix)) for name in fetched["path"][np.sort(rows)]]
    # The kernel is not used yet: it is what this table is for.
    preparation = {
        **params.preparation,
        "normalisation": {**params.preparation["normalisation"], "errors": "none"},
    }
    settings = settings_from(params.grid, preparation, inputs.windows, inputs.fibres)
    raw = gridded(paths, settings, params.survey)
    print(f"{len(raw.kept)} of {len(paths)} spectra")
    wanted = {name: getattr(params, name) for name in ("grid", "preparation", "most", "seed")}
    meta = provenance(wanted, list(inputs), params.code)
    write_table(noise_table(settings.grid, typical_noise(raw.ivar)), snakemake.output.noise, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
