"""Compare the labels of the catalogue with the truth of the mock."""

import numpy as np
import pandas as pd

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.tables import read_table
from labeltransfer.runtime import job
from labeltransfer.validation.statistics import comparison, z_width

# What a column of allStar measures, where its name is not the label's: Ho et al. 2017 call [M/H] [Fe/H].
TRUTH_OF_COLUMN = {"PARAM_M_H": "m_h"}


def recovery(catalog, truth, labels, min_snr):
    """Bias, scatter and z-scores against truth, of survey and reference stars, for all S/N and above `min_snr`."""
    truth = truth[rows_of(truth["spectrum_id"], catalog["spectrum_id"])]
    inside = np.asarray(catalog["novelty"]) <= 1
    snr = np.asarray(catalog["snr"])
    groups = {
        "survey": ~np.asarray(catalog["reference"]) & inside,
        "survey outside the reference set": ~np.asarray(catalog["reference"]) & ~inside,
        "reference": np.asarray(catalog["trained"]),
    }
    rows = []
    for group, chosen in groups.items():
        for lowest in (0.0, min_snr):
            mask = chosen & (snr > lowest)
            for name, label in labels.items():
                here = np.asarray(catalog[name], dtype=float)[mask]
                true = np.asarray(truth[TRUTH_OF_COLUMN.get(str(label["column"]), name)], dtype=float)[mask]
                found = comparison(here, true)
                rows.append(
                    {
                        "stars": group,
                        "snr_above": lowest,
                        "label": name,
                        **found._asdict(),
                        "bias_over_scatter": found.median / found.robust_scatter if found.n > 1 else np.nan,
                        "z_width_formal": z_width(
                            here - true, np.asarray(catalog[f"{name}_err"], dtype=float)[mask]
                        ),
                        "z_width_calibrated": z_width(
                            here - true, np.asarray(catalog[f"{name}_total"], dtype=float)[mask]
                        ),
                        "archive": "mock",
                    }
                )
    return pd.DataFrame(rows)


def main(snakemake):
    """Write the table of recovery."""
    params = snakemake.params
    here = [f"{name}{suffix}" for name in params.labels for suffix in ("", "_err", "_total")]
    true = [TRUTH_OF_COLUMN.get(str(label["column"]), name) for name, label in params.labels.items()]
    about = ["spectrum_id", "snr", "novelty", "reference", "trained"]
    table = recovery(
        read_table(snakemake.input.catalog, [*about, *here], text=bytes),
        read_table(snakemake.input.truth, ["spectrum_id", *true], text=bytes),
        params.labels,
        params.min_snr,
    )
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
