"""Errors that mean what they say: formal errors scaled and given a floor by cross-validation.

Formal errors know the noise of a spectrum only. They are too small where the model is imperfect, and wrong
by a constant factor where the survey states its noise wrongly (LAMOST DR2: Ho et al. 2017, section 4). For
each label the total error is taken as

    total^2 = (a * formal)^2 + b^2,    a, b >= 0,

and a, b are fitted to the residuals of stars that the model was not trained on, after removing the errors
of the reference labels themselves in quadrature.
"""

import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from labeltransfer.catalogs.tables import atomic_path
from labeltransfer.validation.statistics import robust_scatter, z_width

FORMAT = "labeltransfer-calibration"
VERSION = 1
_MIN_STARS = 30
_STARS_PER_BIN = 40
_MAX_BINS = 20


class Calibration(NamedTuple):
    """How formal errors of one label become total errors.

    Attributes
    ----------
    factor : float
        a: multiplies the formal error.
    floor : float
        b: added in quadrature, in the unit of the label.
    n : int
        Stars in the fit.
    width : float
        Robust width of residual / expected deviation over those stars: 1 if the form fits.
    reference_removed : bool
        False if the stated reference errors exceed the residuals and were therefore left in, which makes
        the total errors upper limits.
    """

    factor: float
    floor: float
    n: int
    width: float
    reference_removed: bool


def fit_calibration(residual, formal, reference_error=0.0, snr=None):
    """Fit factor and floor of the errors of one label to cross-validated residuals.

    Stars are put in bins of equal number by formal error (and again by S/N, if given). In each bin the
    robust width of residual / expected deviation shall be 1; non-negative least squares on the variances gets
    there in a few rounds. The widths are medians, so outliers do not count, and reference errors enter star
    by star.

    Parameters
    ----------
    residual : (n,) array_like
        Label here minus reference label, for stars that the model was not trained on.
    formal : (n,) array_like
        Formal errors of the labels here, in the same unit.
    reference_error : float or (n,) array_like, optional
        Errors of the reference labels.
    snr : (n,) array_like, optional
        S/N of the spectra.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        If shapes disagree, or fewer than 30 stars have all that is needed, or they do not scatter at all.
    """
    residual, formal = np.asarray(residual, dtype=float), np.asarray(formal, dtype=float)
    if residual.ndim != 1 or formal.shape != residual.shape:
        raise ValueError(f"residual and formal must be of one length: {residual.shape} and {formal.shape}")
    reference_error = np.broadcast_to(np.asarray(reference_error, dtype=float), residual.shape)
    orders = [formal] if snr is None else [formal, np.asarray(snr, dtype=float)]
    if orders[-1].shape != residual.shape:
        raise ValueError(f"snr must have one value per star: found {orders[-1].shape} and {residual.shape}")

    good = np.isfinite(residual) & np.isfinite(formal) & (formal > 0) & np.isfinite(reference_error)
    for order in orders:
        good &= np.isfinite(order)
    n = np.count_nonzero(good)
    if n < _MIN_STARS:
        raise ValueError(
            f"error calibration needs {_MIN_STARS} or more stars with all numbers: found {n} of {good.size}"
        )
    residual, formal, reference_error = residual[good], formal[good], reference_error[good]
    n_bins = min(max(n // _STARS_PER_BIN, 2), _MAX_BINS)
    ranks = [np.argsort(order[good], kind="stable") for order in orders]
    bins = [rows for rank in ranks for rows in np.array_split(rank, n_bins)]

    scatter = robust_scatter(residual)
    if not scatter > 0:
        raise ValueError(f"the residuals of {n} stars have no scatter: were these stars trained on?")
    a2, b2 = _fit(residual, formal, reference_error, bins)
    removed = bool(not _contradicted(residual, reference_error, bins) and a2 + b2 > 0)
    if not removed:
        reference_error = np.zeros(n)
        a2, b2 = _fit(residual, formal, reference_error, bins)
    expected = np.sqrt(a2 * formal**2 + b2 + reference_error**2)
    return Calibration(math.sqrt(a2), math.sqrt(b2), int(n), z_width(residual, expected), removed)


def apply_calibration(formal, calibration):
    """Turn formal errors of a label into total errors.

    Parameters
    ----------
    formal : array_like
        Formal errors; NaN stays NaN.
    calibration : Calibration
        Of that label.

    Returns
    -------
    total : array of the same shape
    """
    return np.hypot(calibration.factor * np.asarray(formal, dtype=float), calibration.floor)


def write_calibration(calibrations, path):
    """Write the calibrations of several labels as JSON.

    Parameters
    ----------
    calibrations : mapping of str to Calibration
        By label.
    path : str or Path
        The file; it is replaced if it exists.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "labels": {name: item._asdict() for name, item in calibrations.items()},
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_calibration(path):
    """Read what `write_calibration` wrote.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    dict of str to Calibration

    Raises
    ------
    ValueError
        If the file is no calibration of this version.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (FORMAT, VERSION):
            raise ValueError(f"format {content['format']!r} version {content['version']!r}")
        return {name: Calibration(**item) for name, item in content["labels"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: expected {FORMAT} version {VERSION}, found {error}; delete it and rerun to make it anew"
        ) from error


def _fit(residual, formal, reference_error, bins, rounds=30):
    """Squares of factor and floor such that the width of residual / expected deviation is 1 in the bins."""
    formal2, reference2 = formal**2, reference_error**2
    mean_formal2 = np.array([formal2[rows].mean() for rows in bins])
    mean_reference2 = np.array([reference2[rows].mean() for rows in bins])
    unit = np.median(formal2)  # so that both unknowns are of order one
    root_n = np.sqrt([len(rows) for rows in bins])
    variance = np.full(len(residual), robust_scatter(residual) ** 2)
    answer = np.array([-1.0, -1.0])
    for _ in range(rounds):
        deviate = residual / np.sqrt(variance)
        wanted = np.array([robust_scatter(deviate[rows]) ** 2 * variance[rows].mean() for rows in bins])
        # Weights from the fit, not from the measured widths: bins that scatter low by chance would win.
        weight = root_n / np.array([variance[rows].mean() for rows in bins])
        design = np.column_stack([mean_formal2 / unit, np.ones(len(bins))])
        before, scale = answer, wanted.max()
        answer, _ = nnls(weight[:, None] * design * scale, weight * (wanted - mean_reference2))
        answer *= scale
        variance = answer[0] / unit * formal2 + answer[1] + reference2
        if not (variance > 0).all() or np.allclose(answer, before, rtol=1e-6, atol=1e-12 * scale):
            break
    return answer[0] / unit, answer[1]


def _contradicted(residual, reference_error, bins):
    """Whether reference errors alone exceed the residuals, by three standard errors in a bin or overall."""
    for rows in [*bins, slice(None)]:
        variance = robust_scatter(residual[rows]) ** 2
        # A MAD of n Gaussian values has the precision of a standard deviation of 0.37 n values.
        uncertainty = variance * math.sqrt(2 / (0.37 * len(residual[rows])))
        if np.mean(reference_error[rows] ** 2) > variance + 3 * uncertainty:
            return True
    return False
