"""The polynomial vectorizer against products written out by hand and numerical derivatives."""

from math import comb

import numpy as np
import pytest

from labeltransfer.models.polynomial import (
    polynomial,
    product_terms,
    unbiased_terms,
    vectorize,
    vectorize_slopes,
)


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


@pytest.mark.parametrize(("n_label", "order"), [(1, 2), (3, 2), (5, 2), (2, 3)])
def test_products_of_terms_stand_once(n_label, order, rng):
    x = rng.standard_normal((9, n_label))
    v = vectorize(x, polynomial(n_label, order))
    terms, index = product_terms(n_label, order)
    products = vectorize(x, terms)
    first, second = np.triu_indices(v.shape[1])
    np.testing.assert_allclose(products[:, index], v[:, first] * v[:, second], rtol=1e-12)
    np.testing.assert_array_equal(products[:, : v.shape[1]], v)
    assert len(np.unique(index)) == products.shape[1]


def test_unbiased_terms_are_hermite_polynomials_and_right_on_average(rng):
    terms = polynomial(2, 4)
    x, error = np.array([[0.7, -1.3], [2.0, 0.4]]), np.array([[0.4, 0.0], [0.3, 0.5]])
    found = unbiased_terms(x, error, terms)
    hermite = np.polynomial.hermite_e.hermeval
    for powers, column in zip(terms.exponents, found.T, strict=True):
        expected = np.ones(2)
        for label, power in enumerate(powers):
            for star in range(2):
                e, value = error[star, label], x[star, label]
                weight = np.eye(power + 1)[power]
                expected[star] *= e**power * hermite(value / e, weight) if e > 0 else value**power
        np.testing.assert_allclose(column, expected, rtol=1e-12)
    noisy = x[0] + error[0] * rng.standard_normal((400_000, 2))
    mean = unbiased_terms(noisy, np.broadcast_to(error[0], noisy.shape), terms)
    truth = vectorize(x[:1], terms)[0]
    z = (mean.mean(axis=0) - truth) / (mean.std(axis=0) / np.sqrt(len(noisy)) + 1e-9)
    assert np.abs(z).max() < 4
    biased = vectorize(noisy, terms).mean(axis=0)
    assert np.abs(biased - truth).max() > 0.1
    np.testing.assert_array_equal(unbiased_terms(x, np.zeros((2, 2)), terms), vectorize(x, terms))
