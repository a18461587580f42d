"""Whether errors mean what they say: z-scores of stars that the calibration was not fitted to, in bins."""

from itertools import pairwise

import numpy as np
import pandas as pd

from labeltransfer.catalogs.enough import CALIBRATION_STARS
from labeltransfer.validation.calibration import (
    apply_calibration,
    bootstrap_error,
    fit_calibrations,
    reference_error,
    zero_point,
)
from labeltransfer.validation.statistics import robust_scatter

SNR_EDGES = (0.0, 20.0, 50.0, 100.0, np.inf)
_METALLICITIES = ("fe_h", "m_h")
_LEAST_STARS = 20
KEPT, ALL = "without those that the clip took", "with them"


def cross_fitted(table, names, here, reference, good, part, given=None):
    """Zero points and errors of held-out labels by calibrations that were fitted to other stars.

    Parameters
    ----------
    table, names, here, reference, good
        As for `labeltransfer.validation.calibration.fit_calibrations`.
    part : (n,) array
        Stars of one part get the calibration of the others.
    given : mapping of str to Calibration, optional
        Errors that were calibrated on something else, by label: then only the zero points are fitted.

    Returns
    -------
    zero, error : dict of str to (n,) float64
        By label: what to subtract, and the expected deviation from the reference label, whose own error is in it.
        NaN where the other parts have too few stars for a calibration.
    """
    zero, error = ({name: np.full(len(table), np.nan) for name in names} for _ in range(2))
    for number in np.unique(part):
        own, others = part == number, good & (part != number)
        if np.count_nonzero(others) < CALIBRATION_STARS:
            continue
        for name, fit in fit_calibrations(table, names, here, reference, others).items():
            zero[name][own] = zero_point(table["snr"], fit)[own]
            formal, model = table[f"{name}{here}_err"], bootstrap_error(table, name)
            fit = fit if given is None else given[name]
            theirs = reference_error(table, name + reference) * fit.reference_removed
            error[name][own] = np.hypot(apply_calibration(formal, fit, model), theirs)[own]
    return zero, error


def errors_table(table, names, here, reference, fitted, kept):
    """Scatter and z-scores of held-out labels by S/N, Teff and metallicity.

    Parameters
    ----------
    table, names, here, reference
        As for `cross_fitted`.
    fitted : (zero, error)
        From `cross_fitted`.
    kept : (n,) bool array
        Stars that the clip left. All numbers are given without the others and with them.

    Returns
    -------
    DataFrame
        `of` says which quantity the bins `low` to `high` are of, thirds of the stars for labels. `z_width` is the
        robust width of residual over error and 1 if that is right; `beyond_3` the share of stars beyond 3 errors,
        0.0027 for Gaussians. NaN for fewer than 20 stars.
    """
    snr = np.asarray(table["snr"], dtype=float)
    bins = [("all", -np.inf, np.inf, np.ones(len(table), dtype=bool))]
    bins += [("snr", low, high, (snr >= low) & (snr < high)) for low, high in pairwise(SNR_EDGES)]
    metallicity = [name for name in names if name in _METALLICITIES][:1]
    for name in [*(name for name in names if name == "teff"), *metallicity]:
        values = np.asarray(table[name + reference], dtype=float)
        edges = np.nanquantile(values, [0, 1 / 3, 2 / 3, 1]) if np.isfinite(values).any() else np.zeros(4)
        edges[-1] = np.nextafter(edges[-1], np.inf)
        bins += [(name, low, high, (values >= low) & (values < high)) for low, high in pairwise(edges)]
    rows = []
    for name in names:
        residual = np.asarray(table[name + here], dtype=float) - np.asarray(
            table[name + reference], dtype=float
        )
        z = (residual - fitted[0][name]) / fitted[1][name]
        for stars, chosen in ((KEPT, kept), (ALL, np.ones(len(table), dtype=bool))):
            for of, low, high, inside in bins:
                rows.append({"label": name, "stars": stars, "of": of, "low": low, "high": high})
                rows[-1] |= _width_and_wings(residual, z, chosen & inside & np.isfinite(z))
    return pd.DataFrame(rows)


def _width_and_wings(residual, z, chosen):
    n = np.count_nonzero(chosen)
    if n < _LEAST_STARS:
        return {"n": n} | dict.fromkeys(("scatter", "robust_scatter", "z_width", "beyond_3"), np.nan)
    return {
        "n": n,
        "scatter": residual[chosen].std(),
        "robust_scatter": robust_scatter(residual[chosen]),
        "z_width": robust_scatter(z[chosen]),
        "beyond_3": np.mean(np.abs(z[chosen]) > 3),
    }
