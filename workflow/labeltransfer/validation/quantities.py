"""What a run measures of the quantities whose values the papers print."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from astropy.table import Table

from labeltransfer.validation.statistics import bias_and_scatter, scatter_against_snr

_DWARF_LOGG = 3.8
SNR_CENTRES = (10, 30, 50, 70, 90, 110)  # of Figure 7 of Ho et al. 2017
_TUTORIAL = "the tutorial's own stars; compare with the 80/20 split in validation/cross_validation.csv"
_ELSEWHERE = {
    ("a_v_reach", ""): "A_V is not a label; it is A_K / 0.114",
    ("training_time", ""): "benchmarks/compare.py measures it",
    ("labelling_time", ""): "benchmarks/compare.py measures it",
    ("tutorial_training_stars", ""): _TUTORIAL,
    ("tutorial_test_stars", ""): _TUTORIAL,
}


class CannonRun(NamedTuple):
    """Tables of a run of The Cannon.

    Attributes
    ----------
    comparison : Table
        From `labeltransfer.validation.comparisons.cannon_comparison`.
    catalogue : Table
        With `spectrum_id` (bytes), `reference`, `reduced_chi2` and, if there are bootstrap models,
        `<label>_bootstrap`.
    ledger : DataFrame
        With `stage`.
    matched : Table
        Reference labels of the matched stars.
    separation : (n,) array
        Between their positions in both surveys [arcsec].
    n_pix : int
        Of the model.
    held_out : Table or None
        The cross-validation.
    tutorial : bool
        Whether the stars are those of the authors' tutorial.
    """

    comparison: Table
    catalogue: Table
    ledger: pd.DataFrame
    matched: Table
    separation: np.ndarray
    n_pix: int
    held_out: Table | None = None
    tutorial: bool = False


class NetworkRun(NamedTuple):
    """Tables of a run of networks, as its targets hold them, and their model.

    Attributes
    ----------
    comparison : Table
    summary, correlation, bounds, scan : DataFrame
    extra : mapping of str to float
        Scatter of further labels that were tried.
    model : labeltransfer.models.network.NetworkModel
        The networks with a prior.
    """

    comparison: Table
    summary: pd.DataFrame
    correlation: pd.DataFrame
    bounds: pd.DataFrame
    scan: pd.DataFrame
    extra: dict
    model: object


def cannon_quantities(wanted, run, names, min_snr):
    """What a run of The Cannon measures of the quantities of Ho et al. 2017.

    Parameters
    ----------
    wanted : collection of (str, str)
        Quantities and labels that are printed.
    run : CannonRun
    names : sequence of str
        Labels.
    min_snr : float
        Of bright stars.

    Returns
    -------
    dict of (str, str) to float or str
        A text is the reason why there is no number.
    """
    comparison, catalogue = run.comparison, run.catalogue
    lost = np.count_nonzero(run.ledger["stage"] == "labels")
    labelled = np.isfinite([np.asarray(run.matched[name], dtype=float) for name in names])
    found = _ELSEWHERE | {
        ("overlap_stars", ""): len(run.matched),
        ("overlap_stars_with_labels", ""): np.count_nonzero(labelled.all(axis=0)),
        ("reference_stars", ""): np.count_nonzero(comparison["trained"]),
        ("test_stars", ""): np.count_nonzero(~np.asarray(catalogue["reference"])),
        ("catalogue_stars", ""): len(catalogue),
        ("match_separation_median", ""): np.median(run.separation),
        ("match_separation_99_percent", ""): np.quantile(run.separation, 0.99),
        ("pixels", ""): run.n_pix,
        ("a_k_reach", ""): "no A_K",
        ("chi2_low_by", ""): 1 / np.median(catalogue["reduced_chi2"]),
        ("removed_fraction", ""): lost / max(1, len(catalogue) + lost),
    }
    if "a_k_apogee" in comparison.colnames:
        found["a_k_reach", ""] = np.max(comparison["a_k_apogee"])
    if run.tutorial:
        test, trained = (np.asarray(run.held_out[column]) for column in ("in_test_20", "trained"))
        found["tutorial_training_stars", ""] = np.count_nonzero(~test & trained)
        found["tutorial_test_stars", ""] = np.count_nonzero(test & trained)
    for name in names:
        for quantity, value in _label_quantities(run, name, min_snr).items():
            found[quantity, name] = value
    for quantity, spectrum in wanted:
        if quantity == "reduced_chi2":
            row = np.flatnonzero(np.asarray(catalogue["spectrum_id"]) == spectrum.encode())
            value = float(catalogue["reduced_chi2"][row[0]]) if len(row) else "not in this catalogue"
            found[quantity, spectrum] = value
    return {key: value for key, value in found.items() if key in wanted}


def ness_quantities(wanted, run, names):
    """What a run of The Cannon measures of the quantities of Ness et al. 2015; parameters as `cannon_quantities`.

    Its scatter is that of stars held out, alone or with their cluster, with outliers.
    """
    table = run.held_out[np.asarray(run.held_out["trained"])]
    clusters = [one for one in np.unique(table["group"]) if one]
    found = {
        ("reference_stars", ""): len(table),
        ("reference_clusters", ""): len(clusters),
        ("reference_dwarfs", ""): np.count_nonzero(table["logg"] > _DWARF_LOGG),
    }
    for name in names:
        reference = np.asarray(table[name], dtype=float)
        found["label_lowest", name], found["label_highest", name] = reference.min(), reference.max()
        found["formal_error", name] = np.nanmedian(table[f"{name}_fold_err"])
        for quantity, scheme in (("scatter", "fold"), ("scatter_left_out_cluster", "group")):
            good = np.asarray(table[f"converged_{scheme}"])
            found[quantity, name] = np.std((table[f"{name}_{scheme}"] - reference)[good])
        if f"{name}_err" in table.colnames and np.isfinite(table[f"{name}_err"]).any():
            found["reference_error", name] = np.nanmedian(table[f"{name}_err"])
    return {key: value for key, value in found.items() if key in wanted}


def _label_quantities(run, name, min_snr):
    """Quantities of one label."""
    comparison, catalogue = run.comparison, run.catalogue
    trained = np.asarray(comparison["trained"] & comparison["converged"])
    bright = trained & (np.asarray(comparison["snr"]) > min_snr)
    residuals = {
        method: np.asarray(comparison[f"{name}_{column}"] - comparison[f"{name}_apogee"], dtype=float)
        for method, column in (("cannon", "cannon"), ("pipeline", "lamost"))
        if f"{name}_{column}" in comparison.colnames
    }
    found = {"tutorial_bias": _TUTORIAL, "tutorial_scatter": _TUTORIAL}
    if run.tutorial:
        tested = run.held_out[np.asarray(run.held_out["in_test_20"] & run.held_out["trained"])]
        off = np.asarray(tested[f"{name}_split"] - tested[name])[np.asarray(tested["converged_split"])]
        found["tutorial_bias"], found["tutorial_scatter"] = bias_and_scatter(off)
    found["bias"], found["scatter"] = bias_and_scatter(residuals["cannon"][bright])
    found["bootstrap_error"] = (
        np.median(catalogue[f"{name}_bootstrap"])
        if f"{name}_bootstrap" in catalogue.colnames
        else "no bootstrap models in this run"
    )
    if f"{name}_apogee_err" in comparison.colnames:
        found["reference_error"] = np.median(comparison[f"{name}_apogee_err"][trained])
    for method, residual in residuals.items():
        snr = np.asarray(comparison["snr_g"])[trained]
        curve = scatter_against_snr(residual[trained], snr, SNR_CENTRES)
        for centre, value in zip(SNR_CENTRES, curve.scatter, strict=True):
            few = "too few stars at this S/N"
            found[f"scatter_{method}_snr_{centre}"] = value if np.isfinite(value) else few
    return found


def network_quantities(wanted, run, labels):
    """What a run of networks measures of the quantities of Ting et al. 2017.

    Parameters
    ----------
    wanted : collection of (str, str)
        Quantities and labels that are printed.
    run : NetworkRun
    labels : mapping of str to mapping
        Settings of each label, with its `step`.

    Returns
    -------
    dict of (str, str) to float
    """
    test = run.summary[(run.summary["method"] == "prior") & (run.summary["stars"] == "test")]
    # The first rows of the test stars are those of the whole range of S/N.
    whole = test.drop_duplicates("label").set_index("label")
    abundances = [name for name in labels if name.endswith("_h")]
    first = run.correlation[run.correlation["reference"] == run.correlation["reference"].iloc[0]]
    lowest = run.bounds[(run.bounds["snr"] == 30) & run.bounds["label"].isin(abundances)]
    chosen = run.scan[run.scan["d_scale"] == run.model.d_scale]
    found = {
        ("training_stars", ""): np.count_nonzero(run.comparison["trained"]),
        ("test_stars", ""): np.count_nonzero(run.comparison["test"]),
        ("labels", ""): len(labels),
        ("abundances", ""): len(abundances),
        ("hidden_nodes", ""): run.model.w.shape[1],
        ("d_scale", ""): run.model.d_scale,
        ("scatter_growth", ""): chosen["scatter_ratio"].median(),
        ("abundance_scatter", ""): whole.loc[abundances, "scatter"].median(),
        ("cramer_rao_snr_30", ""): lowest["bound_theory"].median(),
        ("scatter_over_cramer_rao_snr_30", ""): lowest["measured_over_theory"].median(),
    }
    for method, rows in first.groupby("method"):
        found[f"correlation_{method}", ""] = rows["correlation"].median()
    for name, about in labels.items():
        found["step", name], found["scatter", name] = about["step"], whole.loc[name, "scatter"]
    for name in run.extra.keys() - labels.keys():
        found["scatter", name] = run.extra[name]
    return {key: value for key, value in found.items() if key in wanted}
