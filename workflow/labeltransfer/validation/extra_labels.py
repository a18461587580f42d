"""Further labels, tried on some of the pixels: how well they are found, and what dust does to them."""

import numpy as np

from labeltransfer.models.network import even_pixels
from labeltransfer.validation.statistics import bias_and_scatter

STRONGEST = 60  # pixels of each further label
NA_D = (5880.0, 5905.0)  # Angstrom, vacuum: the doublet of the star and of clouds at up to 300 km/s from it


def telling_pixels(gradient, n_extra, n_even):
    """Pixels evenly spread, and those where the last labels are strongest.

    Parameters
    ----------
    gradient : (k, p) array
        Of theory, all finite.
    n_extra : int
        How many labels, the last ones, are the further ones.
    n_even : int
        Pixels that are evenly spread.

    Returns
    -------
    int array
        Numbers of pixels, increasing.
    """
    strongest = np.argsort(-np.abs(gradient[-n_extra:]), axis=1, kind="stable")[:, :STRONGEST]
    return np.union1d(even_pixels(gradient.shape[1], n_even), strongest)


def without_na_d(wavelength, ivar):
    """Inverse variances (n, p) that are 0 at the sodium doublet, where interstellar gas absorbs too."""
    return np.where((wavelength > NA_D[0]) & (wavelength < NA_D[1]), 0, ivar)


def dust_slope(residual, a_k):
    """Slope of residuals (n,) with A_K [per mag] and its standard error; NaN of fewer than three stars."""
    good = np.isfinite(residual) & np.isfinite(a_k)
    if good.sum() < 3:
        return np.nan, np.nan
    slope, covariance = np.polyfit(a_k[good], residual[good], 1, cov=True)
    return slope[0], np.sqrt(covariance[0, 0])


def fit_rows(found, truth, names, a_k):
    """Scatter and dependence on dust of each label.

    Parameters
    ----------
    found : labeltransfer.models.base.Labels
        Of n stars.
    truth : (n, k) array
        Their reference labels.
    names : sequence of k str
    a_k : (n,) array
        Extinction [mag]; NaN where unknown.

    Returns
    -------
    list of dict
        A row for each label.
    """
    rows = []
    for number, name in enumerate(names):
        residual = np.where(found.converged, found.labels[:, number] - truth[:, number], np.nan)
        slope, error = dust_slope(residual, a_k)
        rows.append(
            {
                "label": name,
                "n": np.count_nonzero(np.isfinite(residual)),
                "scatter": bias_and_scatter(residual)[1],
                "robust_scatter": bias_and_scatter(residual, "robust")[1],
                "slope_with_a_k": slope,
                "slope_error": error,
            }
        )
    return rows
