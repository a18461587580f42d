"""Observe stars of the mock again, each with one abundance shifted off its correlations."""

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table
from labeltransfer.mock.nature import LABELS
from labeltransfer.mock.universe import draw_universe, mock_release, release_visits
from labeltransfer.runtime import job
from labeltransfer.spectra.prepare import settings_from
from labeltransfer.spectra.store import write_store
from labeltransfer.synthesis.model_spectra import read_model_spectra
from labeltransfer.validation.reobserved import brightest, shifted_blocks


def main(snakemake):
    """Write a store of the spectra, without a shift first and then with each."""
    inputs, params = snakemake.input, snakemake.params
    universe = draw_universe(params.settings, params.seed, read_model_spectra(inputs.spectra))
    release = mock_release(params.release)
    ids = brightest(read_table(inputs.stars), params.shift["stars"])
    visits = release_visits(universe, release)
    rows = rows_of(visits["spectrum_id"], ids)
    truth = universe.stars[visits["star"][rows]][list(LABELS)]
    settings = settings_from(params.grid, params.preparation, inputs.windows, inputs.fibres, inputs.noise)
    abundances = [name for name in params.labels if name.endswith("_h")]
    shifts = [("", 0.0), *((name, size) for name in abundances for size in params.shift["sizes"])]
    blocks = shifted_blocks(universe, (release, rows, ids), truth, shifts, settings)
    wanted = {"settings": params.settings, "shift": params.shift, "seed": params.seed}
    meta = provenance(wanted, list(inputs), params.code)
    n = write_store(snakemake.output.store, settings.grid, blocks, meta)
    print(f"{n} spectra of {len(ids)} stars, {len(shifts) - 1} shifts")


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
