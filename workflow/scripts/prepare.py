"""Turn one chunk of fetched spectra into a store of normalised spectra on the common grid."""

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.tables import read_table, write_table
from labeltransfer.runtime import counted, job, provenance
from labeltransfer.spectra.grid import common_grid
from labeltransfer.spectra.masks import read_windows
from labeltransfer.spectra.normalise import banded_kernel, kernel_fwhm
from labeltransfer.spectra.prepare import Settings, prepare
from labeltransfer.spectra.store import write_store


def settings_from(grid, preparation, windows):
    """Settings of the preparation from their parts of the configuration."""
    wavelength = common_grid(**grid)
    normalisation = preparation["normalisation"]
    return Settings(
        wavelength,
        banded_kernel(wavelength, normalisation["width"], normalisation["weight"]),
        read_windows(*windows),
        preparation["variance"],
        preparation["andmask"],
        preparation["ormask"],
        preparation["min_good_fraction"],
    )


def main(snakemake):
    """Write the store and the spectra that did not make it, with their reasons."""
    inputs, params = snakemake.input, snakemake.params
    fetched = read_table(inputs.fetched)
    here = np.asarray(fetched["status"]) != "failed"
    rejected = [
        (name, f"not fetched: {reason}")
        for name, reason in zip(fetched["spectrum_id"][~here], fetched["reason"][~here], strict=True)
    ]
    settings = settings_from(params.grid, params.preparation, inputs.windows)
    ids, paths = (np.asarray(fetched[name][here]).tolist() for name in ("spectrum_id", "path"))

    def blocks():
        made = prepare(ids, paths, settings, params.preparation["block"])
        for flux, ivar, stars, lost in counted(
            made, lambda made: len(made[2]) + len(made[3]), len(ids), "spectra"
        ):
            rejected.extend(lost)
            yield flux, ivar, stars

    normalisation = params.preparation["normalisation"]
    described = {
        "grid": params.grid,
        "preparation": params.preparation,
        "kernel_fwhm": kernel_fwhm(normalisation["width"], normalisation["weight"]),
    }
    meta = provenance(described, list(inputs), dict(zip(("archives", "spectra"), params.code, strict=True)))
    n = write_store(snakemake.output.store, settings.grid, blocks(), meta)
    print(f"{n} spectra prepared, {len(rejected)} left out")
    table = Table(
        {
            "id": np.array([name for name, _ in rejected], dtype=str),
            "catalog": np.full(len(rejected), "survey"),
            "stage": np.full(len(rejected), "spectra"),
            "reason": np.array([reason for _, reason in rejected], dtype=str),
        }
    )
    write_table(table, snakemake.output.rejected, meta)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
