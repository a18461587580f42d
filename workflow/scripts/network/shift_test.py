"""How much of the shift of one abundance every method finds."""

import numpy as np
import pandas as pd

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.models.files import load_model
from labeltransfer.runtime import job
from labeltransfer.spectra.store import read_stores
from labeltransfer.validation.shift import recovery


def shifts_of(stars, found, names, method):
    """One row per label and shift: the recovered fraction, and which other label moved most."""
    values = np.column_stack([found[name] for name in names])
    values[~np.asarray(found["converged"])] = np.nan
    values = values[rows_of(found["id"], stars["id"])]
    label, shift = np.asarray(stars["label"]), np.asarray(stars["shift"])
    base = {star: values[row] for row, star in enumerate(stars["star"].tolist()) if shift[row] == 0}
    rows = []
    abundances = [name.endswith("_h") for name in names]
    for name, size in sorted(set(zip(label.tolist(), shift.tolist(), strict=True)) - {("", 0.0)}):
        here = np.flatnonzero((label == name) & (shift == size) & np.isin(stars["star"], list(base)))
        number = names.index(name)
        before = np.array([base[star] for star in stars["star"][here].tolist()]).reshape(-1, len(names))
        result = recovery(values[here], before, size, number)
        others = np.where(abundances, np.abs(result.leak), 0.0)
        others[number] = 0.0
        most = int(np.argmax(np.nan_to_num(others)))
        rows.append(
            {
                "label": name,
                "method": method,
                "shift": size,
                "recovered_fraction": result.fraction,
                "error": result.error,
                "n": result.n,
                "largest_leak": result.leak[most],
                "leaks_to": names[most],
            }
        )
    return rows


def main(snakemake):
    """Write shift_test.csv."""
    inputs, params = snakemake.input, snakemake.params
    names = list(params.labels)
    stars = read_stores([inputs.store]).stars
    rows = []
    pixels = {}
    for method, path, model in zip(params.methods, inputs.labels, inputs.models, strict=True):
        rows += shifts_of(stars, read_table(path), names, method)
        pixels[method] = np.count_nonzero(load_model(model).usable)
    table = pd.DataFrame(rows)
    table["pixels"] = table["method"].map(pixels)
    table["label"] = pd.Categorical(table["label"], names)
    table = table.sort_values(["label", "method", "shift"]).astype({"label": str}).assign(archive="mock")
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
