"""Errors of spectra that come without any, from what principal components of the spectra leave of them.

A set of normalised spectra is described by its mean and K principal components. What they leave of a spectrum that had
no part in making them is noise, and what the components do not know of the star; a model of the labels, which knows
less of it, has its intrinsic scatter to itself. The noise is taken as

    sigma_ij = a_i(lambda_j) b_j,

with b_j the shape that all spectra share and a_i the star's own factor, which changes slowly with wavelength: the
colours of stars differ, and so do the arms of a spectrograph.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from labeltransfer.files.tables import read_table
from labeltransfer.spectra.grid import require_grid

_FOLDS = 4  # parts of the spectra, each left out of one set of components
_STRETCH = 700  # pixels that share one factor, about
_CLIP = 5.0  # scales beyond which a pixel does not count in a fit
_TRIM = 3.0  # scales beyond which it does not count in a scale
# Variance of a normal distribution within that.
_TRIMMED = 0.9733369
_MEDIAN = 1.4826022  # standard deviation over median of absolute values, of a normal distribution
_ROUNDS, _SETTLED = (
    30,
    0.01,
)  # of components and weights in turn: at most, and when no weight changes by more than this
_STEPS = 3  # of clipping
_MOST_LEVERAGE = 0.9
_FAINTEST = 0.2  # no star has less than this part of the median error as weight in the components
_BLOCK = 256  # stars that are fitted at a time


class NoiseModel(NamedTuple):
    """What spectra look like, and the shape of their noise.

    Attributes
    ----------
    mean : (n_fold, n_pix) float64
        Mean spectrum of all stars but those of a fold.
    components : (n_fold, n_component, n_pix) float64
        Their principal components, in units in which the sum of the squares of a star's coefficients is the variance
        that the components' own noise adds to its residual, over b^2.
    shape : (n_pix,) float64
        b: noise of a pixel over the factor of its star; the median is 1.
    """

    mean: np.ndarray
    components: np.ndarray
    shape: np.ndarray


def noise_model(flux, weight, n_components, rng):
    """Principal components of spectra, and the shape of the noise in what components of other stars leave of them.

    Parameters
    ----------
    flux : (n_star, n_pix) array
        Normalised.
    weight : (n_star, n_pix) array
        What the inverse variance would be if all noise were of one size: 1, or more where interpolation smooths; 0 for
        bad pixels.
    n_components : int
    rng : numpy.random.Generator
        Divides the stars into folds.

    Returns
    -------
    NoiseModel

    Raises
    ------
    ValueError
        If there are fewer than two stars for each component in the smallest set.
    """
    n, fewest = len(flux), len(flux) - -(-len(flux) // _FOLDS)
    if fewest < 2 * n_components:
        raise ValueError(
            f"{n_components} components of {n} spectra without errors: {fewest} are in the smallest set, and 2 for "
            "each component are needed; lower preparation.residual_components"
        )
    flux, weight = np.asarray(flux, dtype=float), np.asarray(weight, dtype=float)
    fold = rng.permutation(n) % _FOLDS
    residual, means, components = np.empty(flux.shape), [], []
    for number in range(_FOLDS):
        out = fold == number
        mean, basis, shape = _components(flux[~out], weight[~out] > 0, n_components)
        residual[out] = _residual(flux[out], weight[out], mean, basis, shape)[0]
        means.append(mean)
        components.append(basis)
    shape = _separate(residual, weight > 0)[1]
    return NoiseModel(np.array(means), np.array(components), shape)


def residual_ivar(flux, weight, model):
    """Inverse variance of spectra from what a model's components leave of them.

    Parameters
    ----------
    flux, weight : (n, n_pix) arrays
        As for `noise_model`.
    model : NoiseModel

    Returns
    -------
    ivar : (n, n_pix) float64
        1 / (a_i b_j)^2, of noise without interpolation: times the weight it is that of the pixel. 0 in bad pixels.
    factor : (n, n_factor) float64
        a_i in the middle of equal parts of the grid; between them its logarithm is interpolated. NaN without a good
        pixel.
    """
    flux, weight = np.asarray(flux, dtype=float), np.asarray(weight, dtype=float)
    good, factor = weight > 0, np.zeros((len(flux), len(_edges(flux.shape[1])) - 1))
    for start in range(0, len(flux), _BLOCK):
        rows = slice(start, start + _BLOCK)
        for mean, basis in zip(model.mean, model.components, strict=True):
            residual, extra = _residual(flux[rows], weight[rows], mean, basis, model.shape)
            square = _factors(residual / model.shape, good[rows]) ** 2
            # A star of the set is fitted best by components that it helped to make: those that did not know it count.
            factor[rows] = np.fmax(factor[rows], np.sqrt(np.maximum(square - extra[:, None], square / 4)))
    noise = _spread(factor, flux.shape[1]) * model.shape
    usable = good & (noise > 0)
    ivar = np.divide(1.0, noise**2, out=np.zeros(flux.shape), where=usable)
    return ivar, np.where(factor > 0, factor, np.nan)


def model_table(wavelength, model):
    """Table of a noise model at wavelengths (n_pix,) [Angstrom], a pixel in each row."""
    columns = {
        "wavelength": wavelength,
        "shape": model.shape,
        "mean": model.mean.T,
        "components": np.moveaxis(model.components, 2, 0),
    }
    return Table(columns, units={"wavelength": "Angstrom"})


def read_model(path, wavelength):
    """`NoiseModel` from the file of a `model_table`; ValueError if it is of another grid."""
    table = read_table(path)
    require_grid(table["wavelength"], wavelength, path)
    mean, components, shape = (
        np.asarray(table[name], dtype=float) for name in ("mean", "components", "shape")
    )
    return NoiseModel(mean.T, np.moveaxis(components, 0, 2), shape)


def _components(flux, good, n_components):
    """Mean (n_pix,), components (n_component, n_pix) and shape of the noise (n_pix,) of spectra.

    Where weights are a product of one of the star and one of the pixel, components that minimise the weighted sum of
    squares are singular vectors of spectra times the roots of the weights; bad pixels hold what the components say.
    """
    n, n_pix = flux.shape
    mean = _filled(_median(flux.T, good.T))
    good = good & (np.count_nonzero(good, axis=0) >= 2 * n_components)
    used, star, shape = good, np.ones(n), np.ones(n_pix)
    fit, left = np.broadcast_to(mean, flux.shape), None
    for _ in range(_ROUNDS):
        whole = np.where(used, flux, fit)
        weight = 1 / np.maximum(star, _FAINTEST * np.median(star))
        mean = weight**2 @ whole / np.sum(weight**2)
        white = (whole - mean) * weight[:, None] / shape
        left = _singular_vectors(white, left, n_components)
        basis = left.T @ white
        fit = mean + (left / weight[:, None]) @ basis * shape
        # What components would leave of a star, or a pixel, that had no part in them: one with a component of its own
        # is not without noise.
        known = np.minimum(np.sum(left**2, axis=1), 0.99)
        length = np.maximum(np.sum(basis**2, axis=1), np.finfo(float).tiny)
        fitted = np.minimum(length**-1 @ basis**2, 0.99)
        residual = (flux - fit) / (1 - known)[:, None] / np.sqrt(1 - fitted)
        before = star, shape
        star, shape = _separate(residual, good, n_factors=1, turns=1)
        star, shape = star[:, 0], np.maximum(shape, _FAINTEST)
        used = good & (np.abs(residual) < _CLIP * star[:, None] * shape)
        if all(np.allclose(new, old, rtol=_SETTLED) for new, old in zip((star, shape), before, strict=True)):
            break
    return mean, basis * shape, shape


def _singular_vectors(white, left, n_components):
    """The first left singular vectors (n, n_component): exact, or those of before brought nearer by one step."""
    if left is None:
        return np.linalg.eigh(white @ white.T)[1][:, ::-1][:, :n_components]
    left, _ = np.linalg.qr(white @ (white.T @ left))
    turn = np.linalg.svd(left.T @ white, full_matrices=False)[0]
    return left @ turn


def _residual(flux, weight, mean, basis, shape):
    """What components leave of spectra (n, n_pix) times the root of the weight, and the variance that they add (n,).

    Weighted least squares, star by star, pixels beyond the clip left out; residuals are enlarged by what the fit took.
    """
    root = np.sqrt(weight) / shape
    n_components = len(basis)
    row, column = np.triu_indices(n_components)
    normal = np.empty((len(flux), n_components, n_components))
    normal[:, row, column] = normal[:, column, row] = root**2 @ (basis[row] * basis[column]).T
    diagonal = np.arange(n_components)
    normal[:, diagonal, diagonal] += 1e-10 * np.trace(normal, axis1=1, axis2=2)[:, None] + 1e-300
    inverse = np.linalg.inv(normal)
    scores, counted = np.zeros((len(flux), n_components)), weight > 0
    residual = np.where(counted, flux - mean, 0.0) * root
    start = residual
    for _ in range(1 + _STEPS):
        step = np.where(counted, residual, 0.0) * root @ basis.T
        scores += np.einsum("nkl,nl->nk", inverse, step)
        residual = start - scores @ basis * root
        scale = _factors(residual, weight > 0, 1)
        counted = (weight > 0) & (np.abs(residual) < _CLIP * scale)
    leverage = np.sum(np.linalg.qr((basis / shape).T)[0] ** 2, axis=1)
    here = (weight > 0) @ leverage
    leverage = leverage * (n_components / np.maximum(here, 1e-300))[:, None]
    residual /= np.sqrt(1 - np.minimum(leverage, _MOST_LEVERAGE))
    usual = np.sum(weight, axis=1) / np.maximum(np.count_nonzero(weight, axis=1), 1)
    return residual * shape, np.sum(scores**2, axis=1) * usual


def _separate(residual, good, n_factors=None, turns=3):
    """Factors of the stars (n, n_factor) and shape (n_pix,) of residuals, found by turns; the shape's median is 1."""
    shape = _filled(_scale(residual.T, good.T))
    for _ in range(turns):
        factor = _factors(residual / shape, good, n_factors)
        noise = _spread(factor, residual.shape[1])
        shape = _filled(_scale((residual / np.where(noise > 0, noise, np.inf)).T, good.T))
    size = np.median(shape)
    return factor * size, shape / size


def _factors(ratio, good, n_factors=None):
    """Scales (n, n_factor) of ratios in parts of the grid; that of the whole where a part has few good pixels."""
    edges = _edges(ratio.shape[1], n_factors)
    whole = _scale(ratio, good)
    if len(edges) == 2:
        return whole[:, None]
    factor = np.tile(whole[:, None], len(edges) - 1)
    for part, (start, stop) in enumerate(pairwise(edges)):
        scale = _scale(ratio[:, start:stop], good[:, start:stop])
        enough = np.count_nonzero(good[:, start:stop], axis=1) >= (stop - start) / 4
        factor[enough, part] = scale[enough]
    return factor


def _edges(n_pix, n_factors=None):
    """Where parts of the grid begin and end."""
    n_factors = max(1, round(n_pix / _STRETCH)) if n_factors is None else n_factors
    return np.linspace(0, n_pix, n_factors + 1).round().astype(int)


def _spread(factor, n_pix):
    """Factors (n, n_factor) at all pixels (n, n_pix)."""
    edges = _edges(n_pix, factor.shape[1])
    middle, pixel = (edges[1:] + edges[:-1] - 1) / 2, np.arange(n_pix)
    with np.errstate(divide="ignore"):
        return np.exp([np.interp(pixel, middle, one) for one in np.log(factor)]).reshape(len(factor), n_pix)


def _scale(values, good):
    """Standard deviation about zero of good values in each row, of a normal core; 0 without any."""
    size = np.where(good, np.abs(values), np.inf)
    scale = _MEDIAN * np.nan_to_num(_median(size, good))
    for _ in range(2):
        inner = size < _TRIM * scale[:, None]
        square = np.sum(np.where(inner, size, 0.0) ** 2, axis=1)
        scale = np.sqrt(square / np.maximum(np.count_nonzero(inner, axis=1), 1) / _TRIMMED)
    return scale


def _median(values, good):
    """Median of the good values in each row, NaN without any."""
    ordered = np.where(good, values, np.inf).astype(np.float32)
    ordered.sort(axis=1)
    n_good, rows = np.count_nonzero(good, axis=1), np.arange(len(ordered))
    if not ordered.size:
        return np.full(len(ordered), np.nan)
    middle = 0.5 * (ordered[rows, (n_good - 1) // 2].astype(float) + ordered[rows, n_good // 2])
    return np.where(n_good > 0, middle, np.nan)


def _filled(values):
    """Where no star has a good pixel, the value of the nearest that has one."""
    known = np.flatnonzero(np.isfinite(values) & (values > 0))
    return np.interp(np.arange(len(values)), known, values[known]) if len(known) else np.ones(len(values))
