"""Bias, scatter and z-scores of labels, by groups of stars: the tables that a validation prints."""

from itertools import pairwise

import numpy as np
import pandas as pd

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.validation.measured import OUT_OF_RANGE
from labeltransfer.validation.statistics import comparison, z_width

SNR_EDGES = (30.0, 50.0, 100.0, 200.0)  # of test stars
_CALIBRATED = "prior"  # the method whose errors are calibrated
# What a column of allStar measures, where its name is not the label's: Ho et al. 2017 call [M/H] [Fe/H].
_TRUTH_OF_COLUMN = {"PARAM_M_H": "m_h"}


def truth_columns(labels):
    """Label -> the column of the mock's truth that it measures, for the labels of a study's configuration."""
    return {name: _TRUTH_OF_COLUMN.get(str(label["column"]), name) for name, label in labels.items()}


def cross_validation_summary(table, names, fitted, min_snr):
    """How well models find the labels of stars that they had not seen.

    Parameters
    ----------
    table : Table
        What the rule `cross_validate` wrote, perhaps with `<label>_bootstrap`.
    names : sequence of str
        Labels.
    fitted : (zero, error)
        By label, from `labeltransfer.validation.error_tests.cross_fitted`.
    min_snr : float
        Of bright stars.

    Returns
    -------
    DataFrame
        A row for each scheme, S/N and label.
    """
    rows, everyone = [], np.ones(len(table), dtype=bool)
    schemes = {
        "fold": ("k-fold", everyone),
        "split": (_shares(table["in_test_20"]), np.asarray(table["in_test_20"])),
    }
    if "group" in table.colnames:
        schemes["group"] = ("whole groups", everyone)
    for scheme, (title, tested) in schemes.items():
        for lowest in (0.0, min_snr):
            mask = tested & table["trained"] & table[f"converged_{scheme}"] & (table["snr"] > lowest)
            for name in names:
                here, reference = table[f"{name}_{scheme}"][mask], table[name][mask]
                formal = np.asarray(table[f"{name}_{scheme}_err"][mask], dtype=float)
                zero, error = (values[name][mask] for values in fitted)
                rows.append(
                    {
                        "scheme": title,
                        "snr_above": lowest,
                        "label": name,
                        **comparison(here, reference)._asdict(),
                        "median_formal_error": _median(formal),
                        "z_width_formal": z_width(here - reference, formal),
                        "z_width_calibrated": z_width(here - reference - zero, error),
                    }
                )
    return pd.DataFrame(rows)


def _shares(test):
    """A split in words: 80/20 where a fifth of the stars is its test."""
    percent = round(100 * np.mean(test))
    return f"{100 - percent}/{percent}"


def method_summary(table, pixels, names, fitted):
    """How well several methods find the labels of training stars and of test stars.

    Parameters
    ----------
    table : Table
        From `labeltransfer.validation.comparisons.method_comparison`.
    pixels : mapping of str to int
        Pixels that each method uses.
    names : sequence of str
        Labels.
    fitted : (zero, error)
        By label, for the networks with a prior, from `labeltransfer.validation.error_tests.cross_fitted`.

    Returns
    -------
    DataFrame
        A row for each method, group of stars and label.
    """
    snr = np.asarray(table["snr"])
    groups = [("training", snr.min(), snr.max(), np.asarray(table["trained"]))]
    for low, high in [(SNR_EDGES[0], SNR_EDGES[-1]), *pairwise(SNR_EDGES)]:
        groups.append(("test", low, high, np.asarray(table["test"]) & (snr >= low) & (snr <= high)))
    rows = []
    for method, n_pix in pixels.items():
        for group, low, high, chosen in groups:
            mask = chosen & np.asarray(table[f"converged_{method}"])
            for name in names:
                here, reference = table[f"{name}_{method}"][mask], table[f"{name}_apogee"][mask]
                formal = np.asarray(table[f"{name}_{method}_err"][mask], dtype=float)
                row = {"method": method, "stars": group, "snr_from": low, "snr_to": high, "label": name}
                row |= comparison(here, reference)._asdict()
                row["reduced_chi2"] = _median(table[f"reduced_chi2_{method}"][mask])
                row["pixels"] = n_pix
                row["median_formal_error"] = _median(formal)
                row["z_width_formal"] = z_width(here - reference, formal)
                if method == _CALIBRATED:
                    zero, error = (values[name][mask] for values in fitted)
                    row["z_width_calibrated"] = z_width(here - reference - zero, error)
                rows.append(row)
    return pd.DataFrame(rows)


def recovery_summary(catalogue, truth, columns, min_snr):
    """How well the labels of a catalogue agree with the truth of the mock.

    Parameters
    ----------
    catalogue : Table
        With `spectrum_id`, `snr`, `novelty`, `reference`, `trained` and, for each label, `<label>`, `<label>_err`
        and `<label>_total`; perhaps `<label>_flag`.
    truth : Table
        With `spectrum_id`, for every star of the catalogue.
    columns : mapping of str to str
        Column of the truth of each label.
    min_snr : float
        Of bright stars.

    Returns
    -------
    DataFrame
        A row for each group of stars, S/N and label. Where labels have flags, survey stars stand apart by whether one
        of their labels is outside its training range, which spoils the others.
    """
    truth = truth[rows_of(truth["spectrum_id"], catalogue["spectrum_id"])]
    survey, inside = ~np.asarray(catalogue["reference"]), np.asarray(catalogue["novelty"]) <= 1
    groups = {
        "survey": survey & inside,
        "survey outside the reference set": survey & ~inside,
        "reference": np.asarray(catalogue["trained"]),
    }
    flags = [
        np.asarray(catalogue[f"{name}_flag"]) for name in columns if f"{name}_flag" in catalogue.colnames
    ]
    if flags:
        beyond = np.any([flag & OUT_OF_RANGE != 0 for flag in flags], axis=0)
        groups["survey, all labels within their training ranges"] = survey & ~beyond
        groups["survey, a label outside its training range"] = survey & beyond
    rows = []
    for group, chosen in groups.items():
        for lowest in (0.0, min_snr):
            mask = chosen & (np.asarray(catalogue["snr"]) > lowest)
            for name, column in columns.items():
                here, formal, total = (
                    np.asarray(catalogue[name + suffix], dtype=float)[mask]
                    for suffix in ("", "_err", "_total")
                )
                true = np.asarray(truth[column], dtype=float)[mask]
                found = comparison(here, true)
                rows.append(
                    {
                        "stars": group,
                        "snr_above": lowest,
                        "label": name,
                        **found._asdict(),
                        "bias_over_scatter": found.median / found.robust_scatter if found.n > 1 else np.nan,
                        "z_width_formal": z_width(here - true, formal),
                        "z_width_calibrated": z_width(here - true, total),
                        "beyond_3": np.mean(np.abs(here - true) > 3 * total) if found.n else np.nan,
                    }
                )
    return pd.DataFrame(rows)


def _median(values):
    return np.median(values) if len(values) else np.nan
