"""Labels from networks against scipy's fits, Monte Carlo, finite differences, and spoiled spectra."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

from labeltransfer.models.network import (
    NetworkModel,
    label,
    label_network,
    predict_network,
)

NAMES = ("teff", "logg", "c_h", "mg_h")
PIVOT = np.array([4800.0, 2.5, -0.2, 0.0])
SCALE = np.array([300.0, 0.6, 0.25, 0.2])


def mock_model(rng, n_pix=600, hidden=12, scatter=0.004, curvature=1.0):
    """Networks of random weights, whose flux changes by several per cent over the range of the labels."""
    k = len(NAMES)
    W = 0.4 * curvature * rng.standard_normal((n_pix, hidden, k))
    c = rng.standard_normal((n_pix, hidden))
    w = 0.05 / curvature * rng.standard_normal((n_pix, hidden))
    b = 1.0 - w.sum(axis=1) / 2
    s = scatter * rng.uniform(0.7, 1.3, n_pix)
    zero = np.zeros(n_pix)
    numbers = (1e-2, 0.0, 0.0, 1e-4, "rel_l2")
    return NetworkModel(
        NAMES, PIVOT, SCALE, W, c, w, b, s, zero, zero, zero.astype(int), zero.astype(np.int8), *numbers
    )


def mock_stars(rng, model, n_star, noise=0.02, spread=1.0):
    """Flux, ivar and true labels of stars that the model describes, 5 % of the pixels masked."""
    labels = PIVOT + SCALE * spread * rng.standard_normal((n_star, len(PIVOT)))
    clean = predict_network(model, labels)
    sigma = noise * np.exp(0.3 * rng.standard_normal((n_star, 1)) + 0.1 * rng.standard_normal(clean.shape))
    flux = clean + np.hypot(sigma, model.scatter) * rng.standard_normal(clean.shape)
    return flux, np.where(rng.random(clean.shape) < 0.05, 0.0, sigma**-2), labels


def starts(rng, n_start=5):
    return np.vstack([PIVOT, PIVOT + SCALE * rng.standard_normal((n_start - 1, len(PIVOT)))])


def errors_of(found):
    return np.sqrt(np.einsum("nkk->nk", found.covariance))


def assert_same(one, two):
    for name, a, b in zip(one._fields, one, two, strict=True):
        assert a.tobytes() == b.tobytes(), name


def test_flux_is_eq_1_and_slopes_are_finite_differences(rng):
    model = mock_model(rng, n_pix=20)
    x = rng.standard_normal((7, 4))
    expected = np.empty((7, 20))
    for n in range(7):
        for p in range(20):
            nodes = [model.W[p, i] @ x[n] + model.c[p, i] for i in range(12)]
            expected[n, p] = sum(model.w[p, i] / (1 + np.exp(-nodes[i])) for i in range(12)) + model.b[p]
    np.testing.assert_allclose(predict_network(model, PIVOT + SCALE * x), expected, rtol=1e-12)
    tables = label.tables_of(model, np.arange(20), np.float64)
    padded = np.column_stack([x, np.ones(7)])
    flux, slopes = label.flux_and_slopes(padded, tables, slice(0, 20))
    np.testing.assert_allclose(flux.T, expected, rtol=1e-12)
    for k in range(4):
        change = 1e-5 * SCALE * (np.arange(4) == k)
        up, down = (predict_network(model, PIVOT + SCALE * x + sign * change) for sign in (1, -1))
        np.testing.assert_allclose(slopes[:, :, k].T, (up - down) / 2e-5, atol=1e-7)


def test_gradients_are_central_differences(rng):
    model = mock_model(rng, n_pix=20)
    steps = np.array([200.0, 0.5, 0.2, 0.2])
    found = model.gradients(PIVOT, steps)
    for k in range(4):
        change = steps * (np.arange(4) == k)
        ends = predict_network(model, np.array([PIVOT + change, PIVOT - change]))
        np.testing.assert_allclose(found[k], 0.5 * (ends[0] - ends[1]), atol=1e-14)


def test_labels_without_noise_are_exact(rng):
    model = mock_model(rng)
    _, ivar, labels = mock_stars(rng, model, 30)
    found = label_network(predict_network(model, labels), ivar, model, starts=starts(rng))
    assert found.converged.all()
    assert (np.abs(found.labels - labels) < 1e-4 * errors_of(found)).all()
    assert found.chi2.max() < 1e-7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_are_those_of_least_squares(rng, dtype):
    model = mock_model(rng)
    flux, ivar, truth = mock_stars(rng, model, 12)
    found = label_network(flux, ivar, model, starts=starts(rng), dtype=dtype)
    assert found.converged.all()
    np.testing.assert_array_equal(found.n_pix, (ivar > 0).sum(axis=1))
    np.testing.assert_allclose(found.reduced_chi2, found.chi2 / (found.n_pix - 4))
    for n in range(12):
        good = ivar[n] > 0
        root = 1 / np.sqrt(1 / ivar[n, good] + model.scatter[good] ** 2)

        def residual(x, n=n, good=good, root=root):
            return root * (flux[n] - predict_network(model, PIVOT + SCALE * x)[0])[good]

        answer = least_squares(residual, (truth[n] - PIVOT) / SCALE, xtol=1e-12, ftol=1e-12)
        assert found.chi2[n] < 2 * answer.cost + 1e-6
        error = errors_of(found)[n]
        if found.chi2[n] > 2 * answer.cost - 1e-3:  # the same minimum, not a deeper one
            assert (np.abs(found.labels[n] - PIVOT - SCALE * answer.x) < 2e-3 * error).all()
            covariance = np.linalg.inv(answer.jac.T @ answer.jac) * np.outer(SCALE, SCALE)
            np.testing.assert_allclose(found.covariance[n], covariance, atol=2e-3 * error.max() ** 2)
        exact = residual((found.labels[n] - PIVOT) / SCALE)
        np.testing.assert_allclose(found.chi2[n], exact @ exact, rtol=1e-10)


def test_z_scores_have_unit_variance_in_physical_units(rng):
    model = mock_model(rng, n_pix=1000)  # of which the coarse descent sees every other one
    flux, ivar, labels = mock_stars(rng, model, 500)
    found = label_network(flux, ivar, model, starts=starts(rng))
    assert found.converged.mean() > 0.995
    difference = found.labels - labels
    z = difference / errors_of(found)
    np.testing.assert_allclose(z.std(axis=0), 1.0, atol=0.1)
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=0.15)
    # the whole covariance, not its diagonal alone
    distance = np.einsum("nk,nkl,nl->n", difference, np.linalg.inv(found.covariance), difference)
    np.testing.assert_allclose(distance.mean(), 4.0, rtol=0.1)
    np.testing.assert_allclose(found.reduced_chi2.mean(), 1.0, atol=0.02)


def test_several_starts_find_the_deeper_of_two_minima(rng):
    """Flux that rises and falls again with the label, and a weak trend that tells the two sides apart."""
    n_pix, k = 1000, 1
    W = np.tile([[4.0], [4.0], [0.5]], (n_pix, 1, 1))
    c = np.tile([4.0, -4.0, 0.0], (n_pix, 1))
    w = np.tile([0.2, -0.2, 0.04], (n_pix, 1)) * rng.standard_normal((n_pix, 3))[:, [0, 0, 1]]
    zero = np.zeros(n_pix)
    model = NetworkModel(
        NAMES[:k], PIVOT[:k], SCALE[:k], W, c, w, 1 + zero, zero + 0.004, zero, zero, zero.astype(int),
        zero.astype(np.int8), 1e-2, 0.0, 0.0, 1e-4, "rel_l2",
    )  # fmt: skip
    x = rng.uniform(0.7, 1.4, (100, 1)) * rng.choice([-1, 1], (100, 1))
    labels = PIVOT[:k] + SCALE[:k] * x
    flux = predict_network(model, labels) + 0.01 * rng.standard_normal((100, n_pix))
    ivar = np.full(flux.shape, 1e4)
    sides = PIVOT[:k] + SCALE[:k] * np.array([[-1.0], [1.0]])
    one = label_network(flux, ivar, model, starts=sides[:1])
    both = label_network(flux, ivar, model, starts=sides)
    assert one.converged.all()
    assert both.converged.all()
    right = np.abs(one.labels - labels) < 6 * errors_of(one)
    np.testing.assert_array_equal(right, x < 0)
    assert (np.abs(both.labels - labels) < 6 * errors_of(both)).all()
    np.testing.assert_array_equal(both.start, (x[:, 0] > 0).astype(int))


def test_masked_pixels_are_inert_and_inputs_stay(rng):
    model = mock_model(rng)
    flux, ivar, _ = mock_stars(rng, model, 20)
    spoiled = np.where(ivar > 0, flux, rng.choice([np.nan, np.inf, -1e30], flux.shape))
    holes = np.where(ivar > 0, ivar, rng.choice([0.0, -1.0, np.nan], flux.shape))
    copies = spoiled.copy(), holes.copy()
    points = starts(rng)
    assert_same(
        label_network(flux, ivar, model, starts=points), label_network(spoiled, holes, model, starts=points)
    )
    assert spoiled.tobytes() == copies[0].tobytes()
    assert holes.tobytes() == copies[1].tobytes()


def test_pixels_without_a_network_are_not_used(rng):
    model = mock_model(rng)
    flux, ivar, _ = mock_stars(rng, model, 5)
    status = np.zeros(600, dtype=np.int8)
    status[::3] = 1
    found = label_network(flux, ivar, replace(model, status=status), starts=PIVOT)
    ivar[:, ::3] = 0.0
    expected = label_network(flux, ivar, model, starts=PIVOT, dtype=np.float64)
    np.testing.assert_allclose(found.labels, expected.labels, atol=1e-3 * errors_of(expected).min())
    np.testing.assert_array_equal(found.n_pix, expected.n_pix)


def test_stars_that_say_nothing_have_no_labels(rng):
    model = mock_model(rng)
    flux, ivar, _ = mock_stars(rng, model, 6)
    ivar[1] = 0.0
    ivar[2, 3:] = 0.0  # fewer pixels than labels
    found = label_network(flux, ivar, model, starts=starts(rng))
    np.testing.assert_array_equal(
        np.isnan(found.labels).any(axis=1), [False, True, True, False, False, False]
    )
    np.testing.assert_array_equal(found.start < 0, np.isnan(found.chi2))
    assert not found.converged[1:3].any()
    # a label that no pixel knows
    blind = replace(model, W=model.W * [1, 1, 1, 0])
    found = label_network(flux, ivar, blind, starts=starts(rng))
    assert np.isnan(found.labels).all()
    assert not found.converged.any()


def test_convergence_is_not_claimed_before_it_is_reached(rng):
    model = mock_model(rng, n_pix=2000, curvature=2.0)
    flux, ivar, _ = mock_stars(rng, model, 40, noise=0.05)
    far = PIVOT + 2.5 * SCALE
    rushed = label_network(flux, ivar, model, starts=far, n_iterations=1)
    patient = label_network(flux, ivar, model, starts=far)
    assert patient.converged.all()
    above = rushed.chi2 - patient.chi2
    assert 0.1 < rushed.converged.mean() < 0.7
    assert np.abs(above[rushed.converged]).max() < 1e-3
    assert above[~rushed.converged].min() > 1e-5
    assert above[~rushed.converged].max() > 1e-3


def test_stars_that_the_model_does_not_describe_converge(rng, monkeypatch):
    """Large residuals bend chi2 more than Gauss-Newton knows: the same minima, with the secant and soon."""
    model = mock_model(rng, curvature=2.0)
    flux, ivar, _ = mock_stars(rng, model, 40, noise=0.005)
    flux += 0.15 * rng.standard_normal(flux.shape)
    points = starts(rng)
    found = label_network(flux, ivar, model, starts=points)
    assert found.converged.all()
    for n in range(10):
        good = ivar[n] > 0
        root = 1 / np.sqrt(1 / ivar[n, good] + model.scatter[good] ** 2)

        def residual(x, n=n, good=good, root=root):
            return root * (flux[n] - predict_network(model, PIVOT + SCALE * x)[0])[good]

        here = (found.labels[n] - PIVOT) / SCALE
        answer = least_squares(residual, here, xtol=1e-12, ftol=1e-12, gtol=1e-12)
        error = errors_of(found)[n] * np.sqrt(found.reduced_chi2[n])
        assert (np.abs(answer.x - here) * SCALE < 2e-3 * error).all()
        np.testing.assert_allclose(found.chi2[n], 2 * answer.cost, rtol=1e-7)
    monkeypatch.setattr(label, "_CHI2_NEAR", 0.0)
    plain = label_network(flux, ivar, model, starts=points)
    assert plain.converged.mean() < 0.95
    assert (plain.chi2 > found.chi2 - 1e-3).all()


def test_threads_change_nothing(rng):
    model = mock_model(rng)
    flux, ivar, _ = mock_stars(rng, model, 50)
    points = starts(rng)
    one = label_network(flux, ivar, model, starts=points, block=16)
    assert_same(one, label_network(flux, ivar, model, starts=points, block=16, threads=2))


def test_bad_arguments_are_named(rng):
    model = mock_model(rng)
    flux, ivar, _ = mock_stars(rng, model, 3)
    with pytest.raises(ValueError, match="599 pixels but the model 600"):
        label_network(flux[:, 1:], ivar[:, 1:], model, starts=PIVOT)
    with pytest.raises(ValueError, match=r"finite and \(n_start, 4\)"):
        label_network(flux, ivar, model, starts=PIVOT * np.nan)
    with pytest.raises(ValueError, match="found shapes"):
        label_network(flux, ivar[:2], model, starts=PIVOT)


def test_no_stars_no_labels(rng):
    found = label_network(np.zeros((0, 600)), np.zeros((0, 600)), mock_model(rng), starts=PIVOT)
    assert found.labels.shape == (0, 4)
    assert found.covariance.shape == (0, 4, 4)
