"""The polynomial vectorizer against products written out by hand and numerical derivatives."""

from math import comb

import numpy as np
import pytest

from labeltransfer.models.polynomial import polynomial, vectorize, vectorize_slopes


def test_quadratic_in_five_labels_is_equation_6(rng):
    x = rng.standard_normal((7, 5))
    i, j = np.triu_indices(5)
    expected = np.hstack([np.ones((7, 1)), x, x[:, i] * x[:, j]])
    v = vectorize(x, polynomial(5, 2))
    assert v.shape == (7, 21)
    np.testing.assert_allclose(v, expected, rtol=1e-15)


@pytest.mark.parametrize(("n_label", "order"), [(1, 1), (1, 4), (3, 1), (3, 3), (4, 2), (16, 2)])
def test_terms_are_all_monomials_once(n_label, order, rng):
    terms = polynomial(n_label, order)
    exponents = terms.exponents
    assert len(exponents) == comb(n_label + order, order)
    assert len(np.unique(exponents, axis=0)) == len(exponents)
    assert exponents.sum(axis=1).max() == order
    assert (terms.parent[1:] < np.arange(1, len(exponents))).all()
    x = rng.uniform(0.5, 2, (4, n_label))
    expected = np.prod(x[:, None, :] ** exponents, axis=2)
    np.testing.assert_allclose(vectorize(x, terms), expected, rtol=1e-13)


@pytest.mark.parametrize(("n_label", "order"), [(1, 1), (1, 5), (3, 3), (5, 2)])
def test_slopes_are_derivatives(n_label, order, rng):
    terms = polynomial(n_label, order)
    x = rng.standard_normal((6, n_label))
    slopes = vectorize_slopes(x, terms)
    step = 1e-6
    for k in range(n_label):
        up, down = x.copy(), x.copy()
        up[:, k] += step
        down[:, k] -= step
        numerical = (vectorize(up, terms) - vectorize(down, terms)) / (2 * step)
        np.testing.assert_allclose(slopes[:, :, k], numerical, atol=1e-7)
    assert np.count_nonzero(slopes[0]) == len(terms.slope_term)


def test_tables_are_shared_and_cannot_be_changed():
    terms = polynomial(3, 2)
    assert polynomial(3, 2) is terms
    with pytest.raises(ValueError, match="read-only"):
        terms.parent[1] = 5


@pytest.mark.parametrize(("n_label", "order"), [(0, 2), (3, 0)])
def test_empty_polynomials_are_refused(n_label, order):
    with pytest.raises(ValueError, match="order >= 1"):
        polynomial(n_label, order)
