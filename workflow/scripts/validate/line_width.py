"""Label spectra of one library by a model of another one, before and after their widths and wavelengths are matched."""

from pathlib import Path

import numpy as np
import pandas as pd

from labeltransfer.catalogs.rows import label_columns
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.errors import ArchiveError
from labeltransfer.files.tables import read_table
from labeltransfer.runtime import job
from labeltransfer.spectra.prepare import on_grid, settings_from
from labeltransfer.surveys.libraries import (
    MIDDLE,
    read_miles,
    read_miles_labels,
    read_miles_names,
    read_stelib,
    same_stars,
)
from labeltransfer.validation.line_width import (
    Reference,
    comparison_table,
    labels_by_step,
    match,
    model_templates,
    on_the_grid,
    star_templates,
    windows_table,
)


def paths_of(files, dataset):
    """Files of a release that was unpacked."""
    table = read_table(files)
    return [Path(files).parent / dataset / str(name) for name in table["file"][table["dataset"] == dataset]]


def usable(files, read, settings):
    """Spectra of a release that can be brought to the grid, and the names of their files."""
    spectra, names = [], []
    for path in paths_of(files, "spectra"):
        try:
            spectrum = read(path)
            on_grid(spectrum, settings)
        except ArchiveError as error:
            print(f"left out: {error}")
        else:
            spectra.append(spectrum)
            names.append(path.stem)
    return spectra, names


def main(snakemake):
    """Write the table of labels, and that of the widths and wavelengths."""
    inputs, params, threads = snakemake.input, snakemake.params, snakemake.threads
    settings = settings_from(params.grid, params.preparation, inputs.windows)
    names = tuple(params.labels)
    (labels,), (stars,) = (paths_of(inputs.reference, kind) for kind in ("labels", "names"))
    table, _ = read_miles_labels(labels)
    known = dict(zip(table["id"].tolist(), label_columns(table, names), strict=True))
    called = read_miles_names(stars)
    low, high = params.teff
    reference, _ = usable(inputs.reference, read_miles, settings)
    reference = [one for one in reference if np.isfinite(known.get(one.spectrum_id, np.nan)).all()]
    teff = np.array([known[one.spectrum_id][names.index("teff")] for one in reference])
    reference = [one for one, here in zip(reference, (teff > low) & (teff < high), strict=True) if here]
    labels = np.array([known[one.spectrum_id] for one in reference])

    survey, files = usable(inputs.survey, read_stelib, settings)
    rows = same_stars(files, [called.get(one.spectrum_id, "") for one in reference])
    survey, rows = [one for one, row in zip(survey, rows, strict=True) if row >= 0], rows[rows >= 0]
    others = np.setdiff1d(np.arange(len(reference)), rows)
    print(f"{len(others)} stars to train on, {len(rows)} to compare")
    same = on_the_grid([reference[row] for row in rows], settings)
    trained_on = Reference(on_the_grid([reference[row] for row in others], settings), labels[others], names)
    fwhm = MIDDLE / np.median([one.resolution for one in reference])

    tables, windows = [], []
    for against, templates in (
        ("model", model_templates(trained_on, settings, threads)),
        ("same star", star_templates(same, settings)),
    ):
        matched = match(survey, templates, settings)
        found = labels_by_step(matched, trained_on, same, settings, threads)
        tables.append(comparison_table(found, labels[rows], names, against, params.seed))
        windows.append(windows_table(matched, settings, against, fwhm))
    for found, path in ((tables, snakemake.output.table), (windows, snakemake.output.windows)):
        found = pd.concat(found, ignore_index=True)
        print(found.to_string())
        write_csv(found, path)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
