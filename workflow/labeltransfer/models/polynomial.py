"""The polynomial vectorizer of The Cannon: labels to the terms that multiply its coefficients.

Quadratic in five labels this is Eq. 6 of Ho et al. 2017: 1 constant, 5 linear and 15 quadratic terms.
"""

from functools import lru_cache
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np


class Polynomial(NamedTuple):
    """All monomials of some labels up to some order, as tables that make them and their derivatives cheap.

    Terms come by rising order: the constant, the labels, then products in the order of the upper triangle
    (11, 12, ..., 22, ...).  ``T`` is the number of terms, ``E`` that of derivatives that are not zero.

    Attributes
    ----------
    exponents : (T, k) int array
        Power of each label in each term.
    parent, variable : (T,) int arrays
        ``v[t] = v[parent[t]] * x[variable[t]]`` for t > 0; the parent always comes earlier.
    slope_term, slope_label, slope_source : (E,) int arrays
    slope_factor : (E,) float array
        ``dv[slope_term] / dx[slope_label] = slope_factor * v[slope_source]``; all others are zero.
    """

    exponents: np.ndarray
    parent: np.ndarray
    variable: np.ndarray
    slope_term: np.ndarray
    slope_label: np.ndarray
    slope_source: np.ndarray
    slope_factor: np.ndarray


class Expansion(NamedTuple):
    """Which polynomial a model is.

    Attributes
    ----------
    order : int
        Its order.
    terms : sequence of str or None
        Terms beside the constant, such as "teff" or "teff^2*logg" (`chosen_terms`); all up to the order if None.
    forms : mapping of str to str or None
        Labels that enter as a function of them, one of `labeltransfer.models.base.FORMS`: ``{"teff": "5040/x"}``.
    """

    order: int = 2
    terms: tuple | None = None
    forms: dict | None = None


@lru_cache(maxsize=32)
def polynomial(n_label, order=2):
    """Tables of all monomials of ``n_label`` labels up to ``order``.

    Raises
    ------
    ValueError
        If there is no label or the order is below one.
    """
    if n_label < 1 or order < 1:
        raise ValueError(f"a polynomial needs >= 1 label and order >= 1, not {n_label} labels, order {order}")
    products = [p for o in range(order + 1) for p in combinations_with_replacement(range(n_label), o)]
    index = {p: t for t, p in enumerate(products)}
    exponents = np.array([[p.count(k) for k in range(n_label)] for p in products])
    parent = np.array([0] + [index[p[:-1]] for p in products[1:]])
    variable = np.array([0] + [p[-1] for p in products[1:]])
    slopes = []
    for t, p in enumerate(products):
        for k in sorted(set(p)):
            lowered = list(p)
            lowered.remove(k)
            slopes.append((t, k, index[tuple(lowered)], p.count(k)))
    term, label, source, factor = np.array(slopes).T.copy()
    tables = Polynomial(exponents, parent, variable, term, label, source, factor.astype(float))
    for table in tables:
        table.flags.writeable = False  # the cache hands the same arrays to everyone
    return tables


def term_names(exponents, label_names):
    """Names of terms as `chosen_terms` reads them: "teff^2*logg"; "1" for the constant."""
    powers = (
        [f"{n}^{p}" if p > 1 else n for n, p in zip(label_names, row, strict=True) if p] for row in exponents
    )
    return ["*".join(parts) or "1" for parts in powers]


def chosen_terms(names, label_names, order):
    """Which terms of a polynomial some names stand for.

    Parameters
    ----------
    names : sequence of str or None
        Products of labels and their powers, such as "teff", "teff^2" or "teff^2*logg", in any order; None for all
        terms. The constant is always there.
    label_names : sequence of k str
    order : int
        Of the polynomial.

    Returns
    -------
    (t,) int array
        Rising indices into the terms of ``polynomial(k, order)``.

    Raises
    ------
    ValueError
        For names of no term of this polynomial, a term that is there twice, or a label without a term.
    """
    exponents = polynomial(len(label_names), order).exponents
    if names is None:
        return np.arange(len(exponents))
    index, chosen = {tuple(powers): t for t, powers in enumerate(exponents.tolist())}, {0: "1"}
    for name in names:
        powers = [0] * len(label_names)
        for factor in str(name).replace(" ", "").split("*"):
            label, _, power = factor.partition("^")
            if label not in label_names or not (power or "1").isdigit():
                known = ", ".join(label_names)
                raise ValueError(f"term {name!r}: {factor!r} is no power of a label; labels are {known}")
            powers[list(label_names).index(label)] += int(power or 1)
        term = index.get(tuple(powers))
        if term is None or term in chosen:
            raise ValueError(
                f"term {name!r} " + ("stands twice" if term else f"is no term of order {order} or less")
            )
        chosen[term] = name
    lost = [
        name
        for name, used in zip(label_names, exponents[sorted(chosen)].any(axis=0), strict=True)
        if not used
    ]
    if lost:
        raise ValueError(f"no term holds {', '.join(lost)}: the model could not find it")
    return np.array(sorted(chosen))


def vectorize(x, terms):
    """Terms of each star.

    Parameters
    ----------
    x : (n, k) array
        Centred and scaled labels.
    terms : Polynomial
        From `polynomial`.

    Returns
    -------
    (n, T) float array
    """
    x = np.asarray(x, dtype=float)
    v = np.ones((len(x), len(terms.parent)))
    for t in range(1, len(terms.parent)):
        np.multiply(v[:, terms.parent[t]], x[:, terms.variable[t]], out=v[:, t])
    return v


def unbiased_terms(x, error, terms):
    """Terms of each star that are on average those of its true labels, though the labels given have errors.

    The square of a label with a Gaussian error e is too large by e^2 on average, and so on: Hermite's polynomials
    with the variance e^2, x, x^2 - e^2, x^3 - 3 e^2 x, ..., take that away. With products of terms in the normal
    equations replaced by them, label errors no longer flatten the model (Fuller 1987, Measurement Error Models).

    Parameters
    ----------
    x, error : (n, k) arrays
        Centred and scaled labels, and their standard errors, which are taken to be independent.
    terms : Polynomial
        From `polynomial`.

    Returns
    -------
    (n, T) float array
    """
    x, variance = np.asarray(x, dtype=float), np.square(error, dtype=float)
    index = {tuple(powers): t for t, powers in enumerate(terms.exponents.tolist())}
    v = np.ones((len(terms.parent), len(x)))
    for t in range(1, len(v)):
        label = terms.variable[t]
        np.multiply(v[terms.parent[t]], x[:, label], out=v[t])
        powers = terms.exponents[t].tolist()
        if powers[label] > 1:
            powers[label] -= 2
            v[t] -= (powers[label] + 1) * variance[:, label] * v[index[tuple(powers)]]
    return np.ascontiguousarray(v.T)


@lru_cache(maxsize=32)
def product_terms(n_label, order, chosen=None):
    """The products of all pairs of terms, each once: for two labels x1 (x2) and x2 (x1) are one.

    Parameters
    ----------
    n_label, order : int
        As for `polynomial`.
    chosen : tuple of T int, optional
        The terms; all of them if None.

    Returns
    -------
    terms : Polynomial
        Of twice the order; its first terms are those of ``polynomial(n_label, order)``.
    index : (T (T + 1) / 2,) int array
        Which of them the product of each pair of the chosen is, in the order of the rows of the upper triangle.
    """
    few, many = polynomial(n_label, order).exponents, polynomial(n_label, 2 * order)
    few = few if chosen is None else few[list(chosen)]
    place = {tuple(powers): t for t, powers in enumerate(many.exponents.tolist())}
    first, second = np.triu_indices(len(few))
    products = few[first] + few[second]
    index = np.array([place[tuple(powers)] for powers in products.tolist()])
    index.flags.writeable = False
    return many, index


def vectorize_slopes(x, terms):
    """Derivatives of the terms by the labels.

    Parameters
    ----------
    x : (n, k) array
        Centred and scaled labels.
    terms : Polynomial
        From `polynomial`.

    Returns
    -------
    (n, T, k) float array
    """
    v = vectorize(x, terms)
    slopes = np.zeros((*v.shape, terms.exponents.shape[1]))
    slopes[:, terms.slope_term, terms.slope_label] = terms.slope_factor * v[:, terms.slope_source]
    return slopes
