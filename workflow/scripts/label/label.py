"""Label one chunk of spectra: labels, formal and bootstrap errors, and how like the reference set."""

import numpy as np

from labeltransfer.catalogs.rows import label_columns
from labeltransfer.files.provenance import provenance
from labeltransfer.files.tables import read_table, write_blocks
from labeltransfer.models.files import load_model
from labeltransfer.models.starts import read_starts, spread_starts
from labeltransfer.runtime import counted, job
from labeltransfer.spectra.store import iterate, open_store
from labeltransfer.validation.labelling import Labeller, label_block, no_spectra
from labeltransfer.validation.novelty import reference_labels

BLOCK = 2048  # spectra that are in memory at a time


def main(snakemake):
    """Write the labels of every spectrum of a store."""
    inputs, params = snakemake.input, snakemake.params
    model, clip = load_model(inputs.model), read_table(inputs.clip)
    names = model.label_names
    reference = label_columns(clip, names)
    labeller = Labeller(
        model,
        [load_model(path) for path in inputs.bootstrap],
        read_starts(inputs.starts, names, reference) if inputs.starts else spread_starts(reference),
        reference_labels(reference[clip["trained"]]),
        {name: label["unit"] for name, label in params.labels.items()},
        read_table(inputs.theory) if inputs.theory else None,
    )
    with open_store(inputs.store) as store:
        n_star, n_pix = store["flux"].shape
    counts = []

    def blocks():
        spectra = iterate(inputs.store, BLOCK) if n_star else [no_spectra(n_pix)]
        for block in counted(spectra, lambda block: len(block.stars), n_star, "spectra"):
            table = label_block(block, labeller, snakemake.threads)
            counts.append(np.count_nonzero(table["converged"]))
            yield table

    meta = provenance({"labels": params.labels}, list(inputs), params.code)
    n = write_blocks(blocks(), snakemake.output.labels, meta)
    print(f"{n} spectra, {sum(counts)} converged")


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
