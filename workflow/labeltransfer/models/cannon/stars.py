"""Training stars as the model sees them: the terms of their labels, their products, and what errors do to both."""

from typing import NamedTuple

import numpy as np

from labeltransfer.models.base import LabelScale
from labeltransfer.models.data import weights
from labeltransfer.models.polynomial import polynomial, product_terms, unbiased_terms

#: Stars that are weighted at a time, so that their weights stay in the cache.
STAR_CHUNK = 1024

# Errors of labels are corrected for only so far that in no direction of the terms less than this part of the
# spread of the stars is left, and that to one part in two to the power of the second.
_LEAST_LEFT = 0.2
_SHARE_STEPS = 10


class Stars(NamedTuple):
    """What n training stars are to a model of T terms."""

    products: np.ndarray  # (n, M) products of all pairs of terms, each once
    index: np.ndarray  # (T (T + 1) / 2,) which of them the product of each pair is
    design: np.ndarray  # (n, T) terms of the stars
    error: np.ndarray | None  # (n, k) errors of the scaled labels, if products are corrected for them


def error_share(labels, label_errors, order=2, chosen=None, forms=()):
    """The part of the variance of label errors that training corrects for; one where all of it can be.

    Corrected products of terms stand for those of the true labels, whose spread is smaller. Where errors are nearly
    as large as the spread of a label given the others, what is left is noise, and its inverse anything: the
    correction then ends where 0.2 of the spread is left in the worst direction.

    Parameters
    ----------
    labels : (n, k) array
        Of the training stars.
    label_errors : (n, k) array
        Their standard errors; NaN counts as none, and what exceeds the spread of a label as that.
    order : int
        Order of the model.
    chosen : (T,) int array, optional
        Its terms, from `labeltransfer.models.polynomial.chosen_terms`.
    forms : tuple of k str
        Of its labels.

    Returns
    -------
    float
    """
    scale = LabelScale.of(labels, forms)
    x, error = scale.to_scaled(labels), _scaled_errors(label_errors, labels, scale)
    terms, index = product_terms(x.shape[1], order, _as_key(chosen))
    n_term = len(polynomial(x.shape[1], order).parent) if chosen is None else len(chosen)
    first, second = np.triu_indices(n_term)

    def moments(share):
        full = np.empty((first[-1] + 1, first[-1] + 1))
        mean = unbiased_terms(x, np.sqrt(share) * error, terms).mean(axis=0)
        full[first, second] = full[second, first] = mean[index]
        return full

    try:
        whitening = np.linalg.inv(np.linalg.cholesky(moments(0.0)))
    except np.linalg.LinAlgError:  # labels that cannot be told apart
        return 0.0

    def is_sound(share):
        return np.linalg.eigvalsh(whitening @ moments(share) @ whitening.T)[0] >= _LEAST_LEFT

    if is_sound(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(_SHARE_STEPS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if is_sound(middle) else (low, middle)
    return low


def _scaled_errors(label_errors, labels, scale):
    """Errors (n, k) of scaled labels; none is larger than the spread, or a single star would end the correction."""
    return np.minimum(np.nan_to_num(label_errors) * np.abs(scale.slope(labels)), 1.0)


def _as_key(chosen):
    """Chosen terms as what a cache can look up."""
    return None if chosen is None else tuple(np.asarray(chosen).tolist())


def known_errors(label_errors, labels):
    """Errors of the labels (n, k), zero where there are none; None if that is everywhere."""
    if label_errors is None:
        return None
    error = np.nan_to_num(np.asarray(label_errors, dtype=float))
    if error.shape != labels.shape or not (np.isfinite(error) & (error >= 0)).all():
        raise ValueError(
            f"label_errors must be {labels.shape} numbers that are not negative: found {error.shape}, "
            f"from {np.min(error, initial=0):g} to {np.max(error, initial=0):g}"
        )
    return error if error.any() else None


def stars_of(labels, scale, order, chosen=None, error=None):
    """`Stars` of labels (n, k), corrected for their errors (n, k) as far as `error_share` allows."""
    x = scale.to_scaled(labels)
    if error is not None:
        share = error_share(labels, error, order, chosen, scale.forms)
        error = _scaled_errors(error, labels, scale) * np.sqrt(share)
    terms, index = product_terms(x.shape[1], order, _as_key(chosen))
    products = unbiased_terms(x, np.zeros_like(x) if error is None else error, terms)
    n_all = len(polynomial(x.shape[1], order).parent)
    every = chosen is None or len(chosen) == n_all
    design = products[:, :n_all] if every else np.ascontiguousarray(products[:, chosen])
    return Stars(products, index, design, error)


def label_noise(theta, ivar, s2, stars):
    """Variance (P,) that the errors of the labels add to the flux: what of s^2 is theirs and not of the spectra.

    The square of a value without bias is too large by its variance, and products without bias say by how much.
    """
    first, second = np.triu_indices(theta.shape[1])
    square = np.zeros((stars.products.shape[1], len(theta)))
    np.add.at(square, stars.index, (theta[:, first] * theta[:, second] * np.where(first == second, 1, 2)).T)
    noise, total = np.zeros((2, len(theta)))
    for start in range(0, len(stars.products), STAR_CHUNK):
        chunk = slice(start, start + STAR_CHUNK)
        weight = weights(ivar[:, chunk], s2[:, None]) ** 2
        variance = (theta @ stars.design[chunk].T) ** 2 - square.T @ stars.products[chunk].T
        noise += np.einsum("pn,pn->p", weight, variance)
        total += weight.sum(axis=1)
    return np.divide(noise, total, out=noise, where=total > 0)
