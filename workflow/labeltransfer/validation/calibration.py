"""Errors that mean what they say, and zero points: what stars that the model never saw tell about its labels.

Formal errors know the noise of a spectrum only. They are too small where the model is imperfect, and wrong
by a constant factor where the survey states its noise wrongly (LAMOST DR2: Ho et al. 2017, section 4). For
each label the total error is taken as

    total^2 = (a * formal)^2 + (c * model_error)^2 + b^2,

where the model error is the scatter of the label between bootstrap models: large where reference stars are
few, which is also where the form of the model fails first. The error of a label has wide wings, since the
model is better for some stars than for others: label - truth is taken to follow Student's t distribution of
that width, while the reference label has Gaussian errors of its own. Their convolution is fitted to the
residuals of held-out stars by maximum likelihood, together with a zero point that may depend on the S/N:
offset + slope / snr. Quadrature would not do: widths add up that way only if both are Gaussian.
"""

import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.table import Column

from labeltransfer.catalogs.enough import CALIBRATION_STARS
from labeltransfer.files.atomic import atomic_path
from labeltransfer.validation.statistics import robust_scatter, z_width

FORMAT = "labeltransfer-calibration"
VERSION = 3
_STARS_PER_BIN = 40
_MAX_BINS = 20
_FEW_STARS, _MOST_STARS = 2_000, 20_000  # thinned evenly over the formal errors, to explore and to settle
_FAILED = 25.0  # width of outright failures in units of the robust scatter
_NODES = (np.arange(12) + 0.5) / 12  # quantiles of the precision that stand for its distribution


class Calibration(NamedTuple):
    """How labels and formal errors of one label become calibrated ones.

    Attributes
    ----------
    factor : float
        a: multiplies the formal error.
    model_factor : float
        c: multiplies the scatter between bootstrap models.
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
    model_factor: float
    floor: float
    wings: float
    offset: float
    slope: float
    n: int
    width: float
    reference_removed: bool


def fit_calibration(residual, formal, reference_error=0.0, snr=None, model_error=0.0):
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
    model_error : float or (n,) array_like, optional
        Scatter of the label between bootstrap models.

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
    reference_error, model_error = (
        np.broadcast_to(np.asarray(error, dtype=float), residual.shape)
        for error in (reference_error, model_error)
    )
    inverse = np.zeros(residual.shape) if snr is None else 1 / np.asarray(snr, dtype=float)
    if inverse.shape != residual.shape:
        raise ValueError(f"snr must have one value per star: found {inverse.shape} and {residual.shape}")

    good = np.isfinite(residual) & np.isfinite(formal) & (formal > 0) & np.isfinite(reference_error)
    good &= np.isfinite(inverse) & np.isfinite(model_error)
    n = np.count_nonzero(good)
    if n < CALIBRATION_STARS:
        raise ValueError(
            f"error calibration needs at least {CALIBRATION_STARS} stars with residual and errors: found {n} of "
            f"{good.size}. Give more reference stars"
        )
    residual, formal, reference_error, inverse, model_error = (
        x[good] for x in (residual, formal, reference_error, inverse, model_error)
    )
    if not robust_scatter(residual) > 0:
        raise ValueError(f"the residuals of {n} stars have no scatter: were these stars trained on?")
    removed = not _contradicted(residual, formal, reference_error)
    used = reference_error if removed else np.zeros(n)
    fit = _fit(residual, formal, model_error, used, inverse)
    factor, model_factor, floor, wings, offset, slope = (float(value) for value in fit)
    factor, model_factor, floor = (_core(wings) * value for value in (factor, model_factor, floor))
    expected = np.sqrt((factor * formal) ** 2 + (model_factor * model_error) ** 2 + floor**2 + used**2)
    width = z_width(residual - offset - slope * inverse, expected)
    return Calibration(factor, model_factor, floor, wings, offset, slope, int(n), width, removed)


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


def apply_calibration(formal, calibration, model_error=0.0):
    """Turn formal errors of a label into total errors.

    Parameters
    ----------
    formal : array_like
        Formal errors; NaN stays NaN.
    calibration : Calibration
        Of that label.
    model_error : array_like, optional
        Scatter of the label between bootstrap models, as in the fit.

    Returns
    -------
    total : array of the same shape
    """
    formal, model_error = np.asarray(formal, dtype=float), np.asarray(model_error, dtype=float)
    return np.sqrt(
        (calibration.factor * formal) ** 2
        + (calibration.model_factor * model_error) ** 2
        + calibration.floor**2
    )


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
    from scipy.stats import norm  # late: who applies a calibration does not wait for it
    from scipy.stats import t as student_t

    return float(student_t.ppf(0.75, wings) / norm.ppf(0.75))


def _fit(residual, formal, model_error, reference_error, inverse):
    """Maximum-likelihood factors, floor, wings, offset and slope; a fraction of outright failures is fitted too."""
    from scipy.optimize import minimize  # late: who applies a calibration does not wait for them
    from scipy.special import expit
    from scipy.stats import gamma

    by_formal = np.argsort(formal, kind="stable")
    unit, typical, lever = robust_scatter(residual), np.median(formal), np.median(inverse) or 1.0
    typical_model = np.median(model_error) or 1.0
    reference2, formal2 = (reference_error / unit) ** 2, (formal / typical) ** 2
    model2 = (model_error / typical_model) ** 2
    # Parameters without anything to tell them from the others stay at 0.
    free = np.array([True, model2.any(), True, True, True, True, np.ptp(inverse) > 0])

    def minus_log_likelihood(chosen, stride):
        p = np.zeros(len(free))
        p[free] = chosen
        factor, model_factor, floor, log_wings, logit, offset, slope = p
        wings, failures = 2 + math.exp(min(log_wings, 5.0)), 0.2 * expit(logit)
        # Student's t is a mixture of Gaussians over a Gamma-distributed precision: so is its sum with one.
        precision = gamma.ppf(_NODES, wings / 2, scale=2 / wings)
        rows = by_formal[::stride]
        own = factor**2 * formal2[rows] + model_factor**2 * model2[rows] + floor**2
        variance = own[:, None] / precision + reference2[rows, None] + 1e-12
        deviation = (residual[rows] / unit - offset - slope * inverse[rows] / lever)[:, None]
        density = np.mean(np.exp(-0.5 * deviation**2 / variance) / np.sqrt(variance), axis=1)
        broad = np.exp(-0.5 * (deviation[:, 0] / _FAILED) ** 2) / _FAILED
        return -np.sum(np.log((1 - failures) * density + failures * broad + 1e-300))

    def climb(start, stride, step):
        steps = step * np.diag(np.array([0.3, 0.3, 0.3, 1.0, 1.0, 0.2, 0.2])[free])
        options = {"initial_simplex": np.vstack([start, start + steps]), "maxfev": 3000}
        options |= {"xatol": 1e-3, "fatol": 1e-3}
        return minimize(minus_log_likelihood, start, (stride,), method="Nelder-Mead", options=options)

    centre = np.median(residual) / unit
    starts = [[0.6, 0.6, 0.6], [1.0, 0.1, 0.1], [0.1, 1.0, 0.1]]
    starts = [np.array([*start, 1.5, -2.0, centre, 0.0])[free] for start in starts]
    thin = -(-len(residual) // _FEW_STARS)
    best = min((climb(start, thin, 1.0) for start in starts), key=lambda fit: fit.fun)
    p = np.zeros(len(free))
    p[free] = climb(best.x, -(-len(residual) // _MOST_STARS), 0.3).x
    factor, model_factor, floor, log_wings, _, offset, slope = p
    return (
        abs(factor) * unit / typical,
        abs(model_factor) * unit / typical_model,
        abs(floor) * unit,
        2 + math.exp(min(log_wings, 5.0)),
        offset * unit,
        slope / lever * unit,
    )


def _contradicted(residual, formal, reference_error):
    """Whether the reference errors alone exceed the residuals, by 3 standard errors in a bin or overall."""
    n_bins = min(max(len(residual) // _STARS_PER_BIN, 2), _MAX_BINS)
    bins = np.array_split(np.argsort(formal, kind="stable"), n_bins)
    for rows in [*bins, np.arange(len(residual))]:
        variance = robust_scatter(residual[rows]) ** 2
        # A MAD of n Gaussian values has the precision of a standard deviation of 0.37 n values.
        uncertainty = variance * math.sqrt(2 / (0.37 * len(rows)))
        if np.mean(reference_error[rows] ** 2) > variance + 3 * uncertainty:
            return True
    return False


def reference_error(table, column):
    """Errors (n,) of a column of reference labels; 0 where the reference survey gives none."""
    if f"{column}_err" not in table.colnames:
        return np.zeros(len(table))
    return np.nan_to_num(np.asarray(table[f"{column}_err"], dtype=float))


def bootstrap_error(labels, name):
    """Scatter of a label between bootstrap models (n,); 0 where the study has none."""
    column = f"{name}_bootstrap"
    return np.asarray(labels[column], dtype=float) if column in labels.colnames else np.zeros(len(labels))


def fit_calibrations(table, names, here, reference, good):
    """Calibration of each label from stars whose labels are known.

    Parameters
    ----------
    table : Table
        With `snr`; for each label `<label><here>` and its formal error `<label><here>_err`; `<label><reference>`,
        perhaps with its error; perhaps `<label>_bootstrap`.
    names : sequence of str
        Labels.
    here, reference : str
        Ends of the names of columns: of labels from models that had not seen the stars, and of reference labels.
    good : (n,) bool array
        Stars to fit.

    Returns
    -------
    dict of str to Calibration
        By label.

    Raises
    ------
    ValueError
        As `fit_calibration`.
    """
    return {
        name: fit_calibration(
            np.asarray(table[name + here] - table[name + reference], dtype=float)[good],
            np.asarray(table[f"{name}{here}_err"], dtype=float)[good],
            reference_error(table, name + reference)[good],
            np.asarray(table["snr"])[good],
            bootstrap_error(table, name)[good],
        )
        for name in names
    }


def calibrated(labels, names, calibrations, at_zero=True):
    """Labels with calibrated errors, at the zero point of the reference labels.

    Parameters
    ----------
    labels : Table
        With `<label>`, `<label>_err`, perhaps `<label>_bootstrap`, and `snr`; it stays as it is.
    names : sequence of str
        Labels.
    calibrations : mapping of str to Calibration
        By label.
    at_zero : bool, optional
        False leaves the zero points as they are.

    Returns
    -------
    Table
        With columns `<label>_total` and `<label>_wings` besides.
    """
    labels = labels.copy(copy_data=False)
    for name in names:
        calibration, unit = calibrations[name], labels[name].unit
        labels[f"{name}_total"] = apply_calibration(
            labels[f"{name}_err"], calibration, bootstrap_error(labels, name)
        )
        labels[f"{name}_wings"] = np.full(len(labels), calibration.wings)
        if at_zero:
            values = np.asarray(labels[name], dtype=float) - zero_point(labels["snr"], calibration)
            labels.replace_column(name, Column(values, unit=unit))
    return labels
