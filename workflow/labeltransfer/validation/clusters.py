"""What clusters tell of labels: their stars were born together, so that spread within one is error."""

import numpy as np
import pandas as pd

from labeltransfer.validation.statistics import robust_scatter

ALL = "all"
_FEWEST = 5  # stars that a spread is measured from


def by_cluster(table, names, scheme="fold"):
    """Held-out labels of each cluster beside its reference labels (Ness et al. 2015, section 5.2).

    Parameters
    ----------
    table : Table or DataFrame
        group, its cluster ('' for stars of none, which are left out), and of each label ``<label>``, the reference,
        ``<label>_<scheme>``, by a model that had not seen the star, and ``<label>_<scheme>_err``, its formal error.
        Stars that lack one of them do not count for that label.
    names : sequence of str
        Labels.
    scheme : str, optional
        Which held-out labels.

    Returns
    -------
    DataFrame
        A row for each cluster, by name, and label: n, mean_difference (held out - reference) and the standard error of
        that mean, spread_reference and spread_held_out within the cluster (1.4826 MAD), median_formal_error. NaN where
        a cluster has fewer than five stars, or two for the error of the mean. The last rows, of "all", have the spread
        about the median of each cluster with five stars or more: it is low, by 27 % where all have five and 4 % where
        all have thirty, as the medians were found from the same stars.
    """
    cluster = np.asarray(table["group"]).astype(str)
    rows = []
    for name in names:
        reference, held_out, error = (
            np.asarray(table[column], dtype=float)
            for column in (name, f"{name}_{scheme}", f"{name}_{scheme}_err")
        )
        known = (cluster != "") & np.isfinite(reference) & np.isfinite(held_out)
        away = np.full((2, len(cluster)), np.nan)
        for one in np.unique(cluster[known]):
            of = known & (cluster == one)
            values = np.array([reference[of], held_out[of]])
            if values.shape[1] >= _FEWEST:
                away[:, of] = values - np.median(values, axis=1, keepdims=True)
            rows.append(_row(one, name, values, away[:, of], error[of]))
        values = np.array([reference[known], held_out[known]])
        rows.append(_row(ALL, name, values, away[:, known], error[known]))
    rows.sort(key=lambda row: (row["cluster"] == ALL, row["cluster"]))
    return pd.DataFrame(rows)


def _row(cluster, name, values, away, error):
    """Reference and held-out labels (2, n), their distances (2, n) from the medians of clusters, formal errors (n,)."""
    difference = values[1] - values[0]
    n = len(difference)
    spread = [robust_scatter(one) for one in away]
    known = error[np.isfinite(error)]
    return {
        "cluster": cluster,
        "label": name,
        "n": n,
        "mean_difference": difference.mean() if n else np.nan,
        "mean_difference_err": difference.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan,
        "spread_reference": spread[0],
        "spread_held_out": spread[1],
        "median_formal_error": np.median(known) if len(known) else np.nan,
    }
