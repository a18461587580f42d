"""Errors that mean what they say, and zero points: what stars that the model never saw tell about its labels.

Formal errors know the noise of a spectrum only. They are too small where the model is imperfect, and wrong
by a constant factor where the survey states its noise wrongly (LAMOST DR2: Ho et al. 2017, section 4). For
each label the total error is taken as

    total^2 = (a * formal)^2 + b^2,    a, b >= 0.

The error of a label has wide wings, since the model is better for some stars than for others: label - truth
is taken to follow Student's t distribution of that width, while the reference label has Gaussian errors of
its own. Their convolution is fitted to the residuals of held-out stars by maximum likelihood, together with
a zero point that may depend on the S/N: offset + slope / snr. Quadrature would not do: widths add up that way only
if both are Gaussian.
"""

import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.stats import gamma, norm
from scipy.stats import t as student_t

from labeltransfer.catalogs.tables import atomic_path
from labeltransfer.validation.statistics import robust_scatter, z_width

FORMAT = "labeltransfer-calibration"
VERSION = 2
_MIN_STARS = 30
_STARS_PER_BIN = 40
_MAX_BINS = 20
_MOST_STARS = 4000  # that the fit looks at; more are thinned evenly over the formal errors
_FAILED = 10.0  # width of outright failures in units of the robust scatter
_NODES = (np.arange(12) + 0.5) / 12  # quantiles of the precision that stand for its distribution


class Calibration(NamedTuple):
    """How labels and formal errors of one label become calibrated ones.

    Attributes
    ----------
    factor : float
        a: multiplies the formal error.
    floor : float
        b: added in quadrature, in the unit of the label.
    wings : float
        Degrees of freedom of the t distribution; large for Gaussian errors.
    offset, slope : float
        Zero point of the labels: offset + slope / snr is to be subtracted. slope is 0 if no S/N was given.
    n : int
        Stars in the fit.
    width : float
        Robust width of residual / expected deviation over those stars: near 1 if the form fits.
    reference_removed : bool
        False if the stated reference errors exceed the residuals and were therefore left in, which makes
        the total errors upper limits.
    """

    factor: float
    floor: float
    wings: float
    offset: float
    slope: float
    n: int
    width: float
    reference_removed: bool


def fit_calibration(residual, formal, reference_error=0.0, snr=None):
    """Fit the calibration of one label to cross-validated residuals, by maximum likelihood.

    Parameters
    ----------
    residual : (n,) array_like
        Label here minus reference label, for stars that the model was not trained on.
    formal : (n,) array_like
        Formal errors of the labels here, in the same unit.
    reference_error : float or (n,) array_like, optional
        Errors of the reference labels.
    snr : (n,) array_like, optional
        S/N of the spectra; without it the zero point is a constant.

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
        raise ValueError(
            f"residual and formal must be of one length: found {residual.shape} and {formal.shape}"
        )
    reference_error = np.broadcast_to(np.asarray(reference_error, dtype=float), residual.shape)
    inverse = np.zeros(residual.shape) if snr is None else 1 / np.asarray(snr, dtype=float)
    if inverse.shape != residual.shape:
        raise ValueError(f"snr must have one value per star: found {inverse.shape} and {residual.shape}")

    good = np.isfinite(residual) & np.isfinite(formal) & (formal > 0) & np.isfinite(reference_error)
    good &= np.isfinite(inverse)
    n = np.count_nonzero(good)
    if n < _MIN_STARS:
        raise ValueError(
            f"error calibration needs at least {_MIN_STARS} stars with residual and errors: found {n} of {good.size}"
        )
    residual, formal, reference_error, inverse = (
        x[good] for x in (residual, formal, reference_error, inverse)
    )
    if not robust_scatter(residual) > 0:
        raise ValueError(f"the residuals of {n} stars have no scatter: were these stars trained on?")
    removed = not _contradicted(residual, formal, reference_error)
    fit = _fit(residual, formal, reference_error if removed else np.zeros(n), inverse)
    factor, floor, wings, offset, slope = (float(value) for value in fit)
    factor, floor = factor * _core(wings), floor * _core(wings)
    expected = np.hypot(np.hypot(factor * formal, floor), reference_error if removed else 0.0)
    width = z_width(residual - offset - slope * inverse, expected)
    return Calibration(factor, floor, wings, offset, slope, int(n), width, removed)


def zero_point(snr, calibration):
    """What to subtract from a label of spectra of given S/N.

    Parameters
    ----------
    snr : array_like
    calibration : Calibration
        Of that label.

    Returns
    -------
    array of the same shape
        The constant part alone where the S/N is not known or not positive.
    """
    snr = np.asarray(snr, dtype=float)
    inverse = np.divide(1.0, snr, out=np.zeros_like(snr), where=np.isfinite(snr) & (snr > 0))
    return calibration.offset + calibration.slope * inverse


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


def _core(wings):
    """Robust width (1.4826 MAD) of the t distribution of unit scale."""
    return float(student_t.ppf(0.75, wings) / norm.ppf(0.75))


def _fit(residual, formal, reference_error, inverse):
    """Maximum-likelihood factor, floor, wings, offset and slope; a fraction of outright failures is fitted as well."""
    stride = -(-len(residual) // _MOST_STARS)
    residual, formal, reference_error, inverse = (
        x[np.argsort(formal, kind="stable")][::stride] for x in (residual, formal, reference_error, inverse)
    )
    unit, typical = robust_scatter(residual), np.median(formal)
    slanted = np.ptp(inverse) > 0
    lever = np.median(inverse) if slanted else 1.0
    reference2, formal2 = (reference_error[:, None] / unit) ** 2, (formal[:, None] / typical) ** 2

    def minus_log_likelihood(p):
        factor, floor, log_wings, logit, offset, *slope = p
        wings, failures = 2 + math.exp(min(log_wings, 5.0)), 0.2 / (1 + math.exp(-logit))
        # Student's t is a mixture of Gaussians over a Gamma-distributed precision; each stays Gaussian in the sum.
        precision = gamma.ppf(_NODES, wings / 2, scale=2 / wings)
        variance = (factor**2 * formal2 + floor**2) / precision + reference2 + 1e-12
        deviation = (residual / unit - offset - (slope[0] * inverse / lever if slope else 0.0))[:, None]
        density = np.mean(np.exp(-0.5 * deviation**2 / variance) / np.sqrt(variance), axis=1)
        broad = np.exp(-0.5 * (deviation[:, 0] / _FAILED) ** 2) / _FAILED
        return -np.sum(np.log((1 - failures) * density + failures * broad + 1e-300))

    fits = []
    for factor, floor in ((0.7, 0.7), (1.0, 0.1)):
        start = [factor, floor, 1.5, -2.0, np.median(residual) / unit, *([0.0] if slanted else [])]
        steps = np.diag([0.3, 0.3, 1.0, 1.0, 0.2, *([0.2] if slanted else [])])
        options = {
            "initial_simplex": np.vstack([start, start + steps]),
            "xatol": 1e-3,
            "fatol": 1e-3,
            "maxfev": 2000,
        }
        fits.append(minimize(minus_log_likelihood, start, method="Nelder-Mead", options=options))
    factor, floor, log_wings, _, offset, *slope = min(fits, key=lambda fit: fit.fun).x
    return (
        abs(factor) * unit / typical,
        abs(floor) * unit,
        2 + math.exp(min(log_wings, 5.0)),
        offset * unit,
        slope[0] / lever * unit if slanted else 0.0,
    )


def _contradicted(residual, formal, reference_error):
    """Whether the reference errors alone exceed the residuals, by three standard errors in a bin or overall."""
    n_bins = min(max(len(residual) // _STARS_PER_BIN, 2), _MAX_BINS)
    bins = np.array_split(np.argsort(formal, kind="stable"), n_bins)
    for rows in [*bins, np.arange(len(residual))]:
        variance = robust_scatter(residual[rows]) ** 2
        # A MAD of n Gaussian values has the precision of a standard deviation of 0.37 n values.
        uncertainty = variance * math.sqrt(2 / (0.37 * len(rows)))
        if np.mean(reference_error[rows] ** 2) > variance + 3 * uncertainty:
            return True
    return False
