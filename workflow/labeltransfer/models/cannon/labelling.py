"""Labels of stars: products of weights and coefficients, then the minimum of a polynomial for each star."""

from typing import NamedTuple

import numpy as np

from labeltransfer.models.base import Labels, Minima, check_starts, check_usable, labels_at
from labeltransfer.models.cannon.kernels import DescentRule, Fits, fit_labels
from labeltransfer.models.cannon.weighting import add_chi2, label_weights
from labeltransfer.models.data import check_spectra, native, run_blocks
from labeltransfer.models.polynomial import vectorize

# Label fits stop when the expected drop of chi2 is below the first, and count as converged below the second.
_CHI2_STOP = 1e-8
_CHI2_CONVERGED = 1e-4
_MAX_ITERATIONS = 60
# Pixels that are turned into weights at a time: small enough for them to stay in the cache.
_PIXEL_CHUNK = 512
# Pixels whose products are made at a time: all at once, in float64, would take six times the memory that is kept.
_PIXELS_OF_PAIRS = 64
# Sums of single precision below this may have lost what they were made of.
_LEAST_SUM = 1e-25
# Stars have fewer numbers than this in their products, to bound the memory of models with many terms, but
# for as many stars as the second.
_MOST_PRODUCTS = 2**22
_LEAST_STARS = 64


class _Tables(NamedTuple):
    """A model of p pixels as products want it; t terms beside the constant."""

    base: np.ndarray  # (p,) flux at the pivot
    s2: np.ndarray  # (p,) s^2, infinite where there is no model, which has no weight then
    theta: np.ndarray  # (p, t + 1)
    coefficients: np.ndarray  # (p, t) those of theta but for the constant, in the precision of the products
    pairs: np.ndarray  # (p, t (t + 1) / 2) products of two of them

    @classmethod
    def of(cls, model, dtype):
        """Tables of a model."""
        # Whatever stands at a pixel without a model must not touch a star, not even with no weight.
        full = np.where(model.usable[:, None], model.theta, 0.0)
        theta = np.ascontiguousarray(full[:, 1:])
        first, second = np.triu_indices(theta.shape[1])
        pairs = np.empty((len(theta), len(first)), dtype)
        for pixel in range(0, len(theta), _PIXELS_OF_PAIRS):
            few = theta[pixel : pixel + _PIXELS_OF_PAIRS]
            with np.errstate(over="ignore"):  # see `_statistics`
                pairs[pixel : pixel + _PIXELS_OF_PAIRS] = few[:, first] * few[:, second]
        with np.errstate(over="ignore", invalid="ignore"):
            s2 = np.where(model.usable, model.scatter**2, np.inf)
            coefficients = theta.astype(dtype)
        return cls(np.ascontiguousarray(full[:, 0]), s2, full, coefficients, pairs)

    def chunks(self):
        """Slices of pixels."""
        n_pix = len(self.base)
        return [slice(a, min(a + _PIXEL_CHUNK, n_pix)) for a in range(0, n_pix, _PIXEL_CHUNK)]


class _Statistics(NamedTuple):
    """All that the spectra of n stars say of their labels: chi2 is a polynomial with these coefficients."""

    packed: np.ndarray  # (n, t (t + 1) / 2) H = sum(w theta theta^T)
    g: np.ndarray  # (n, t) sum(w y theta), with y the residuals from the flux at the pivot
    n_pix: np.ndarray  # (n,) pixels in use


def label(flux, ivar, model, *, starts=None, block=2048, threads=1, dtype=np.float32):
    """Labels of stars from their spectra: the minimum of chi2 with weights 1 / (1 / ivar + s^2).

    Parameters
    ----------
    flux, ivar : (n, p) arrays
        Normalised flux and inverse variance on the model's pixels, float32 or float64; they are not modified.
        Pixels without ivar > 0 (or with a flux that is not finite) are ignored whatever they hold.
        Anything that slices by rows will do, such as a dataset of an open HDF5 file.
    model : CannonModel
        Trained on the same pixels.
    starts : (m, k) array, optional
        Starting points in physical units, by default seven about the centre of the training labels; all are followed
        and the lowest chi2 wins.
    block : int
        Stars per unit of work (fewer for models with many terms).
    threads : int
        Threads over the blocks; the result does not depend on it.
    dtype : float32 or float64
        Precision of the matrix products.  As they act on residuals from the model at the pivot, float32 moves
        labels by less than 0.002 of their formal errors up to S/N = 300, in two thirds of the time.  All
        iterations, and chi2 at the labels, are in float64 either way.

    Returns
    -------
    labeltransfer.models.base.Labels

    Raises
    ------
    ValueError
        For shapes that do not agree, starting points that are not finite, or a model without a usable pixel.

    Notes
    -----
    With residuals y from the model at the pivot, chi2 = sum(w y^2) - 2 g.v(x) + v(x)^T H v(x), where
    g = sum(w y theta) and H = sum(w theta theta^T) run over the pixels; v(x) lacks the constant term.
    """
    check_spectra(flux, ivar, len(model.theta))
    check_usable(model)
    starts, n_star = check_starts(starts, model), len(flux)
    tables = _Tables.of(model, dtype)
    block = min(block, max(_LEAST_STARS, _MOST_PRODUCTS // tables.pairs.shape[1]))

    def label_block(first):
        rows = slice(first, min(first + block, n_star))
        f, iv = (native(np.ascontiguousarray(spectra[rows])) for spectra in (flux, ivar))
        statistics = _statistics(f, iv, tables)
        lost = _lost(statistics)
        if lost.any():
            # Beyond single precision: weights or fluxes that are no normalised spectrum's.
            again = _statistics(f[lost], iv[lost], _Tables.of(model, np.float64))
            for sums, exact in zip(statistics, again, strict=True):
                sums[lost] = exact
        minima = _minima(statistics, starts, model.terms)
        terms = vectorize(minima.x, model.terms)
        minima.chi2[:] = 0.0
        for pixels in tables.chunks():
            add_chi2(f, iv, pixels.start, tables.s2, terms @ tables.theta[pixels].T, minima.chi2)
        return labels_at(minima, statistics.n_pix, model.label_scale)

    parts = run_blocks(label_block, range(0, max(n_star, 1), block), threads)
    return Labels(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _statistics(flux, ivar, tables):
    """`_Statistics` of stars: two matrix products for some pixels at a time."""
    n, dtype = len(flux), tables.pairs.dtype
    packed, g = np.zeros((n, tables.pairs.shape[1])), np.zeros((n, tables.coefficients.shape[1]))
    n_pix = np.zeros(n, dtype=np.int64)
    for pixels in tables.chunks():
        shape = (n, pixels.stop - pixels.start)
        w, wy = np.empty(shape, dtype), np.empty(shape, dtype)
        label_weights(flux, ivar, pixels.start, tables.base, tables.s2, w, wy, n_pix)
        with np.errstate(over="ignore", invalid="ignore"):
            packed += w @ tables.pairs[pixels]
            g += wy @ tables.coefficients[pixels]
    return _Statistics(packed, g, n_pix)


def _lost(statistics):
    """Stars (n,) whose sums overflowed, or are so small that they may have lost what they were made of."""
    largest = np.abs(statistics.packed).max(axis=1, initial=0.0)
    finite = np.isfinite(largest) & np.isfinite(statistics.g).all(axis=1)
    return ~finite | ((largest < _LEAST_SUM) & (statistics.n_pix > 0))


def _minima(statistics, starts, terms):
    """`Minima` of stars, without their chi2."""
    n, n_label = len(statistics.g), starts.shape[1]
    minima = Minima.none(n, n_label)
    normal = np.full((n, n_label * (n_label + 1) // 2), np.nan)
    rule = DescentRule(_CHI2_STOP, _CHI2_CONVERGED, _MAX_ITERATIONS)
    fits = Fits(minima.x, normal, minima.converged, minima.start)
    fit_labels(statistics.packed, statistics.g, starts, terms, rule, fits)
    minima.x[minima.start < 0] = np.nan
    i, j = np.triu_indices(n_label)
    minima.normal[:, i, j] = minima.normal[:, j, i] = normal
    return minima
