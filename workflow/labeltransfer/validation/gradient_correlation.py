"""Measured or inferred: how a model's gradients follow theory's, by label (Ting et al. 2017, Fig. 3)."""

import numpy as np
from astropy.table import Table


def gradient_correlation(gradients, theory, weight=None):
    """Correlation of two sets of gradient spectra over the wavelengths, label by label.

    Parameters
    ----------
    gradients, theory : (k, p) arrays
        Change of the normalised flux per step; pixels that are not finite in both are left out.
    weight : (p,) array, optional
        Weights of the pixels, for example the inverse variance of typical data; equal by default.

    Returns
    -------
    (k,) array
        Pearson's coefficient; NaN where one of the two is constant or fewer than three pixels are known.

    Raises
    ------
    ValueError
        If the shapes do not agree.
    """
    gradients, theory = np.asarray(gradients, dtype=float), np.asarray(theory, dtype=float)
    if gradients.shape != theory.shape or gradients.ndim != 2:
        raise ValueError(
            f"gradients and theory must both be (n_label, n_pix), found {gradients.shape} and {theory.shape}"
        )
    weight = np.ones(gradients.shape[1]) if weight is None else np.asarray(weight, dtype=float)
    correlation = np.full(len(gradients), np.nan)
    for k, (g, t) in enumerate(zip(gradients, theory, strict=True)):
        known = np.isfinite(g) & np.isfinite(t) & (weight > 0)
        if known.sum() < 3 or np.ptp(g[known]) == 0 or np.ptp(t[known]) == 0:
            continue
        w = weight[known] / weight[known].sum()
        g, t = g[known] - w @ g[known], t[known] - w @ t[known]
        correlation[k] = np.clip((w @ (g * t)) / np.sqrt((w @ g**2) * (w @ t**2)), -1.0, 1.0)
    return correlation


def closeness(gradients, theory):
    """How close gradients at several reference points are to theory's: their mean correlation.

    Parameters
    ----------
    gradients, theory : (R, k, p) arrays
        At R reference points.

    Returns
    -------
    float
        Mean over reference points and labels; a gradient that does not vary, such as that of a model without
        the label, counts as no correlation.  A distance |g - t| would prefer such a model to one with noise.
    """
    found = [gradient_correlation(g, t) for g, t in zip(gradients, theory, strict=True)]
    return float(np.nan_to_num(found).mean())


def correlation_table(gradients, theory, label_names, weight=None):
    """Correlations of the gradients of several methods with theory: what Fig. 3 (right) is drawn from.

    Parameters
    ----------
    gradients : dict of str to (k, p) array
        Gradients by method.
    theory : (k, p) array
        Gradients from theory.
    label_names : sequence of k str
        Names of the rows.
    weight : (p,) array, optional
        As for `gradient_correlation`.

    Returns
    -------
    astropy.table.Table
        Columns method, label, correlation; one row per method and label.
    """
    rows = [
        (method, label, value)
        for method, found in gradients.items()
        for label, value in zip(label_names, gradient_correlation(found, theory, weight), strict=True)
    ]
    table = Table(rows=rows, names=("method", "label", "correlation"), dtype=(str, str, float))
    table["correlation"].description = "of the model's and the theory's gradient spectra over the wavelengths"
    return table
