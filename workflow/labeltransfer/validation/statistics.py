"""Bias and scatter of labels against a reference, the way the papers print them and robustly.

Ho et al. 2017 print the mean and the plain standard deviation of the differences, without clipping (their
plotting code, for Figs. 1, 5, 6 and 7): `kind="std"`, the default here. A few failures dominate that
number, so `kind="robust"` (median, 1.4826 MAD) and `kind="clipped"` stand beside it. Missing values never
count.
"""

from typing import NamedTuple

import numpy as np

MAD_TO_SIGMA = 1.482602218505602  # of a Gaussian
KINDS = ("std", "robust", "clipped")


class Comparison(NamedTuple):
    """How labels compare with their reference, in the units of the label.

    Attributes
    ----------
    n : int
        Stars compared.
    bias, scatter : float
        Mean and standard deviation of (here - reference): what Ho et al. 2017 print.
    median, robust_scatter : float
        Median and 1.4826 x median absolute deviation.
    clipped_bias, clipped_scatter : float
        Mean and standard deviation after iterative 4-sigma clipping.
    n_clipped : int
        Stars that the clipping removed.
    """

    n: int
    bias: float
    scatter: float
    median: float
    robust_scatter: float
    clipped_bias: float
    clipped_scatter: float
    n_clipped: int


class ScatterCurve(NamedTuple):
    """Scatter in bins of S/N.

    Attributes
    ----------
    snr : (n_bin,) float64
        Bin centres.
    scatter, error : (n_bin,) float64
        Scatter, and its standard error from bootstrap samples; NaN for a bin with too few stars.
    n : (n_bin,) int64
        Stars in the bin.
    """

    snr: np.ndarray
    scatter: np.ndarray
    error: np.ndarray
    n: np.ndarray


_LEAST_POINTS = 10  # that a slope is fitted to


def robust_scatter(values):
    """Width of a distribution as 1.4826 x median absolute deviation; NaN without finite values.

    Parameters
    ----------
    values : array_like
        Of any shape; non-finite values are left out.

    Returns
    -------
    float
    """
    values = _finite(values)
    return float(MAD_TO_SIGMA * np.median(np.abs(values - np.median(values)))) if values.size else np.nan


def clip(values, n_sigma=4.0, max_iterations=50):
    """Mark the values within `n_sigma` standard deviations of the mean, iterated until none is removed.

    The first pass uses median and robust scatter, so that a single huge value cannot hide the others.

    Parameters
    ----------
    values : (n,) array_like
        Non-finite values are never kept.
    n_sigma : float, optional
        Where to clip.
    max_iterations : int, optional
        Bound on the iterations.

    Returns
    -------
    keep : (n,) bool
    """
    values = np.asarray(values, dtype=float)
    keep = np.isfinite(values)
    if not keep.any():
        return keep
    centre, width = np.median(values[keep]), robust_scatter(values)
    if width == 0:
        centre, width = values[keep].mean(), values[keep].std()
    for _ in range(max_iterations):
        with np.errstate(invalid="ignore"):
            now = np.isfinite(values) & (np.abs(values - centre) <= n_sigma * width)
        if not now.any() or (now == keep).all():
            break
        keep = now
        centre, width = values[keep].mean(), values[keep].std()
    return keep


def bias_and_scatter(residual, kind="std"):
    """Centre and width of differences.

    Parameters
    ----------
    residual : array_like
        Differences (here - reference); non-finite ones are left out.
    kind : {"std", "robust", "clipped"}, optional
        Mean and standard deviation; median and 1.4826 MAD; mean and standard deviation clipped at 4 sigma.

    Returns
    -------
    bias, scatter : float
        NaN without finite differences.

    Raises
    ------
    ValueError
        If the kind is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}: found {kind!r}")
    residual = _finite(residual)
    if residual.size == 0:
        return np.nan, np.nan
    if kind == "robust":
        return float(np.median(residual)), robust_scatter(residual)
    if kind == "clipped":
        residual = residual[clip(residual)]
    return float(residual.mean()), float(residual.std())


def comparison(label_here, label_reference, mask=None):
    """Compare labels with their reference values, star by star.

    Parameters
    ----------
    label_here, label_reference : (n,) array_like
        One label, in one unit.
    mask : (n,) bool array_like, optional
        Stars to use, for example those with S/N > 50; all by default.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    here, reference = np.asarray(label_here, dtype=float), np.asarray(label_reference, dtype=float)
    mask = np.ones(here.shape, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    if not here.shape == reference.shape == mask.shape or here.ndim != 1:
        raise ValueError(
            f"labels, reference and mask must be of one length: {here.shape}, {reference.shape}, {mask.shape}"
        )
    residual = _finite((here - reference)[mask])
    n_kept = np.count_nonzero(clip(residual))
    return Comparison(
        residual.size,
        *bias_and_scatter(residual, "std"),
        *bias_and_scatter(residual, "robust"),
        *bias_and_scatter(residual, "clipped"),
        residual.size - n_kept,
    )


def scatter_against_snr(
    residual,
    snr,
    centres=(10, 30, 50, 70, 90, 110),
    half_width=10.0,
    kind="std",
    n_bootstrap=100,
    seed=0,
    min_count=10,
):
    """Scatter of label differences in bins of S/N, with bootstrap errors (Fig. 7 of Ho et al. 2017).

    Parameters
    ----------
    residual : (n,) array_like
        Differences (here - reference); non-finite ones are left out.
    snr : (n,) array_like
        S/N of the spectra.
    centres : (n_bin,) array_like, optional
        Bin centres; the default is the paper's.
    half_width : float, optional
        A star is in a bin if its S/N is closer to the centre than this.
    kind : {"std", "robust", "clipped"}, optional
        As in `bias_and_scatter`.
    n_bootstrap : int, optional
        Bootstrap samples for the errors.
    seed : int, optional
        Of the samples.
    min_count : int, optional
        A bin with fewer stars gives NaN.

    Returns
    -------
    ScatterCurve

    Raises
    ------
    ValueError
        If shapes disagree or the kind is unknown.
    """
    residual, snr = np.asarray(residual, dtype=float), np.asarray(snr, dtype=float)
    if residual.shape != snr.shape or residual.ndim != 1:
        raise ValueError(f"residual and snr must be of one length: found {residual.shape} and {snr.shape}")
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}: found {kind!r}")
    centres = np.array(centres, dtype=float)
    scatter, error = np.full((2, len(centres)), np.nan)
    count = np.zeros(len(centres), dtype=np.int64)
    for i, centre in enumerate(centres):
        chosen = residual[(np.abs(snr - centre) < half_width) & np.isfinite(residual)]
        count[i] = len(chosen)
        if len(chosen) < max(min_count, 2):
            continue
        scatter[i] = bias_and_scatter(chosen, kind)[1]
        rng = np.random.default_rng([seed, i])
        samples = rng.integers(0, len(chosen), (n_bootstrap, len(chosen)))
        error[i] = np.std([bias_and_scatter(chosen[rows], kind)[1] for rows in samples])
    return ScatterCurve(centres, scatter, error, count)


def z_width(residual, error):
    """Robust width of residual / error: 1 if the errors are right.

    Parameters
    ----------
    residual, error : (n,) array_like
        Differences from the truth and their stated standard errors. Stars whose error is missing or not
        positive are left out.

    Returns
    -------
    float
    """
    residual, error = np.asarray(residual, dtype=float), np.asarray(error, dtype=float)
    good = np.isfinite(residual) & np.isfinite(error) & (error > 0)
    return robust_scatter(residual[good] / error[good])


def _finite(values):
    values = np.asarray(values, dtype=float)
    return values[np.isfinite(values)]


def slope(x, y):
    """Slope of a straight line through points, and its error from their scatter; NaN for fewer than 10 of them."""
    if len(x) < _LEAST_POINTS or not np.ptp(x) > 0:
        return np.nan, np.nan
    x = x - x.mean()
    value = x @ y / (x @ x)
    rest = y - y.mean() - value * x
    return value, np.sqrt(rest @ rest / (len(x) - 2) / (x @ x))
