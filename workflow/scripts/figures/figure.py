"""Draw one figure: the parameter `paper` says whose it is, and the name of the file which."""

import importlib
from pathlib import Path

from labeltransfer.figures.style import save
from labeltransfer.files.provenance import figure_provenance
from labeltransfer.runtime import job


def main(snakemake):
    """Draw the figure that the output is named after."""
    files, settings = dict(snakemake.input.items()), dict(snakemake.params.items())
    # This module alone: those of the other figures would load for longer than the drawing takes.
    name = f"labeltransfer.figures.{settings['paper']}.{Path(snakemake.output.png).stem}"
    figure = importlib.import_module(name).from_files(files, settings)
    made_from = figure_provenance(settings, snakemake.input)
    save(figure, snakemake.output.pdf, snakemake.output.png, made_from)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
