"""Labels against scipy's fits, covariances against curvature and Monte Carlo, and spoiled spectra."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import curve_fit, least_squares

from labeltransfer.models.cannon import label, predict
from tests.unit.models.cannon.stars import NAMES, mock_model, mock_stars


def starts_of(model, rng, n_start=7):
    return np.vstack(
        [model.pivot, model.pivot + model.scale * rng.standard_normal((n_start - 1, len(model.pivot)))]
    )


def chi2_of(model, flux, ivar, labels):
    """Chi2 of each star, written plainly."""
    good = ivar > 0
    weight = 1 / (1 / np.where(good, ivar, 1) + model.scatter**2)
    return np.where(good, weight * (flux - predict(model, labels)) ** 2, 0).sum(axis=1)


def assert_same(one, two):
    for name, a, b in zip(one._fields, one, two, strict=True):
        assert a.tobytes() == b.tobytes(), name


@pytest.mark.parametrize(("names", "order"), [(NAMES, 2), (NAMES[:3], 1), (NAMES[:3], 3), (NAMES[:1], 4)])
def test_labels_are_those_of_least_squares_on_the_pixels(rng, names, order):
    model = mock_model(rng, names, order)
    flux, ivar, truth = mock_stars(rng, model, 20)
    found = label(flux, ivar, model, starts=starts_of(model, rng))
    assert found.converged.all()
    np.testing.assert_array_equal(found.n_pix, (ivar > 0).sum(axis=1))
    np.testing.assert_allclose(found.chi2, chi2_of(model, flux, ivar, found.labels), rtol=1e-10)
    np.testing.assert_allclose(found.reduced_chi2, found.chi2 / (found.n_pix - len(names)))
    error = np.sqrt(np.einsum("nkk->nk", found.covariance))
    for n in range(20):
        good = ivar[n] > 0
        root = 1 / np.sqrt(1 / ivar[n, good] + model.scatter[good] ** 2)

        def residual(x, n=n, good=good, root=root):
            spectrum = predict(model, (model.pivot + model.scale * x)[None, :])[0]
            return root * (flux[n] - spectrum)[good]

        answer = least_squares(residual, (truth[n] - model.pivot) / model.scale, xtol=1e-12, gtol=1e-12)
        expected = model.pivot + model.scale * answer.x
        # the labels must be this minimum unless they are at a deeper one
        if found.chi2[n] > 2 * answer.cost - 1e-3:
            assert (np.abs(found.labels[n] - expected) < 1e-3 * error[n]).all()
            assert found.chi2[n] == pytest.approx(2 * answer.cost, rel=1e-6)
            covariance = np.linalg.inv(answer.jac.T @ answer.jac) * np.outer(model.scale, model.scale)
            np.testing.assert_allclose(
                found.covariance[n], covariance, rtol=2e-2, atol=1e-3 * covariance.max()
            )
    assert np.mean(found.start == 0) > 0.5


def test_covariance_is_that_of_curve_fit_in_physical_units(rng):
    model = mock_model(rng)
    flux, ivar, truth = mock_stars(rng, model, 5)
    found = label(flux, ivar, model, starts=starts_of(model, rng))
    for n in range(5):
        good = ivar[n] > 0
        sigma = np.sqrt(1 / ivar[n, good] + model.scatter[good] ** 2)
        labels, covariance = curve_fit(
            lambda _, *values, good=good: predict(model, np.array(values)[None, :])[0, good],
            None,
            flux[n, good],
            p0=truth[n],
            sigma=sigma,
            absolute_sigma=True,
            x_scale=model.scale,
            method="trf",
        )
        error = np.sqrt(np.diag(covariance))
        np.testing.assert_allclose(np.sqrt(np.diag(found.covariance[n])), error, rtol=1e-3)
        np.testing.assert_allclose(found.labels[n], labels, atol=0.01 * error.min(), rtol=1e-5)
        correlation = covariance / np.outer(error, error)
        ours = found.covariance[n] / np.sqrt(
            np.outer(np.diag(found.covariance[n]), np.diag(found.covariance[n]))
        )
        np.testing.assert_allclose(ours, correlation, atol=1e-3)


def test_covariance_is_the_inverse_of_the_curvature_of_chi2(rng):
    model = mock_model(rng)
    _, ivar, truth = mock_stars(rng, model, 3)
    flux = predict(model, truth)  # without noise the Gauss-Newton curvature is the whole curvature
    found = label(flux, ivar, model, starts=truth + 0.1 * model.scale)
    np.testing.assert_allclose(found.labels, truth, rtol=1e-6, atol=1e-6)
    step = 1e-3 * model.scale
    for n in range(3):
        hessian = np.empty((5, 5))
        for i in range(5):
            for j in range(5):
                total = 0.0
                for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                    moved = truth[n].copy()
                    moved[i] += a * step[i]
                    moved[j] += b * step[j]
                    total += a * b * chi2_of(model, flux[n : n + 1], ivar[n : n + 1], moved[None, :])[0]
                hessian[i, j] = total / (4 * step[i] * step[j])
        product = found.covariance[n] @ (hessian / 2)
        np.testing.assert_allclose(product * np.outer(1 / model.scale, model.scale), np.eye(5), atol=1e-3)


def test_formal_errors_are_the_scatter_of_recovered_labels(rng):
    model = mock_model(rng, curvature=0.1)
    flux, ivar, truth = mock_stars(rng, model, 3000)
    found = label(flux, ivar, model, starts=starts_of(model, rng, 3))
    assert found.converged.all()
    z = (found.labels - truth) / np.sqrt(np.einsum("nkk->nk", found.covariance))
    np.testing.assert_allclose(z.std(axis=0), 1, atol=0.05)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=0.08)
    # the whole covariance: Mahalanobis distances follow chi2 with five degrees of freedom
    difference = found.labels - truth
    distance = np.einsum(
        "nk,nk->n", difference, np.linalg.solve(found.covariance, difference[..., None])[..., 0]
    )
    assert distance.mean() == pytest.approx(5, abs=0.3)
    assert found.reduced_chi2.mean() == pytest.approx(1, abs=0.01)
    # in kelvin, not in scaled units
    assert 1 < np.median(np.sqrt(found.covariance[:, 0, 0])) < 100


def test_seven_starts_find_the_best_minimum_of_curved_models(rng):
    # quadratic terms three times as strong as the linear ones, and few pixels: many stars have several minima
    model = mock_model(rng, NAMES[:3], n_pix=10, curvature=3)
    flux, ivar, truth = mock_stars(rng, model, 400, noise=0.05)
    everything = np.vstack([starts_of(model, rng, 200), truth[:50]])
    best = label(flux, ivar, model, starts=everything)
    assert best.converged.mean() > 0.99
    reached = {}
    for n_start in (1, 7):
        found = label(flux, ivar, model, starts=everything[:n_start])
        assert (found.chi2 >= best.chi2 - 1e-3).all()
        reached[n_start] = np.mean(found.chi2 <= best.chi2 + 1e-3)
        assert found.converged.mean() > 0.97
    assert reached[7] > 0.95
    assert reached[1] < 0.9  # else this test would not need several starts


def test_the_lowest_chi2_wins_and_says_which_start(rng):
    model = mock_model(rng, NAMES[:1])
    terms = np.zeros_like(model.theta)
    terms[:, 0], terms[:, 2] = 1.0, 0.03  # flux depends on x^2 alone: two equal minima, at +x and -x
    terms[:150, 1] = 0.002  # and a little on x, so that one of them is better
    model = replace(model, theta=terms)
    truth = model.pivot + model.scale * np.array([[1.5], [-1.5]])
    flux, ivar = predict(model, truth), np.full((2, 300), 1e4)
    left, right = model.pivot - 1.4 * model.scale, model.pivot + 1.4 * model.scale
    found = label(flux, ivar, model, starts=[left, right])
    np.testing.assert_allclose(found.labels, truth, rtol=1e-6)
    np.testing.assert_array_equal(found.start, [1, 0])
    wrong = label(flux, ivar, model, starts=[left])
    assert wrong.labels[0, 0] < model.pivot[0]
    assert wrong.converged.all()
    assert wrong.chi2[0] > 1


@pytest.mark.parametrize("rubbish", [np.nan, np.inf, 1e30])
def test_masked_pixels_are_inert(rng, rubbish):
    model = mock_model(rng)
    flux, ivar, _ = mock_stars(rng, model, 50)
    starts = starts_of(model, rng)
    reference = label(flux, ivar, model, starts=starts)
    masked = ivar == 0
    assert_same(label(np.where(masked, rubbish, flux), ivar, model, starts=starts), reference)
    assert_same(label(flux, np.where(masked, -1, ivar), model, starts=starts), reference)
    if not np.isfinite(rubbish):
        assert_same(label(flux, np.where(masked, rubbish, ivar), model, starts=starts), reference)
        assert_same(
            label(np.where(masked, rubbish, flux), np.where(masked, 1e4, ivar), model, starts=starts),
            reference,
        )


def test_pixels_without_a_model_do_not_count(rng):
    model = mock_model(rng)
    flux, ivar, _ = mock_stars(rng, model, 20)
    starts = starts_of(model, rng)
    status = model.status.copy()
    status[:100] = 1
    status[100:110] = 2
    theta = np.where((status > 0)[:, None], 0.0, model.theta)
    found = label(flux, ivar, replace(model, theta=theta, status=status), starts=starts)
    expected = label(flux, np.where(status > 0, 0.0, ivar), model, starts=starts)
    assert_same(found, expected)
    assert (found.n_pix < 200).all()


def test_spectra_that_say_nothing_are_flagged(rng):
    model = mock_model(rng)
    flux, ivar, _ = mock_stars(rng, model, 6)
    ivar[1] = 0
    ivar[3, 4:] = 0  # at most four pixels for five labels
    found = label(flux, ivar, model, starts=starts_of(model, rng))
    np.testing.assert_array_equal(found.converged, [True, False, True, False, True, True])
    np.testing.assert_array_equal(found.n_pix, (ivar > 0).sum(axis=1))
    for n in (1, 3):
        assert np.isnan(found.labels[n]).all()
        assert np.isnan(found.covariance[n]).all()
        assert np.isnan(found.chi2[n])
        assert np.isnan(found.reduced_chi2[n])
        assert found.start[n] == -1
    assert np.isfinite(found.labels[found.converged]).all()


def test_convergence_is_checked_at_the_answer(rng, monkeypatch):
    model = mock_model(rng, curvature=0.9)
    flux, ivar, _ = mock_stars(rng, model, 50)
    start = [model.pivot + 4 * model.scale]
    # The first steps, as often as a descent goes on.
    monkeypatch.setattr("labeltransfer.models.cannon.labelling._MAX_ITERATIONS", 0)
    hurried = label(flux, ivar, model, starts=start)
    monkeypatch.undo()
    patient = label(flux, ivar, model, starts=start)
    assert not hurried.converged.any()
    assert np.isfinite(hurried.labels).all()
    assert patient.converged.mean() > 0.9
    # flagged as converged means that no small step lowers chi2
    good = patient.converged
    for k in range(5):
        for sign in (-1, 1):
            moved = patient.labels.copy()
            moved[:, k] += sign * 0.1 * np.sqrt(patient.covariance[:, k, k])
            assert (chi2_of(model, flux, ivar, moved)[good] > patient.chi2[good]).all()


def test_a_descent_that_has_not_come_to_a_minimum_goes_on(rng, monkeypatch):
    model = mock_model(rng, curvature=0.9)
    flux, ivar, truth = mock_stars(rng, model, 200)
    far = [model.pivot + 4 * model.scale]
    patient = label(flux, ivar, model, starts=far)
    monkeypatch.setattr("labeltransfer.models.cannon.labelling._MAX_ITERATIONS", 12)
    hurried = label(flux, ivar, model, starts=far)
    assert hurried.converged.mean() > 0.9
    both = hurried.converged & patient.converged
    errors = np.sqrt(np.diagonal(patient.covariance, axis1=1, axis2=2))
    same = np.abs(hurried.labels - patient.labels).max(axis=1) < 0.1 * errors.max(axis=1)
    assert same[both].mean() > 0.9
    # One that never comes to one is no answer beside one that did, however low it is.
    monkeypatch.setattr("labeltransfer.models.cannon.labelling._MAX_ITERATIONS", 2)
    starts = np.vstack([far, truth.mean(axis=0)])
    alone, found = (label(flux, ivar, model, starts=s) for s in (starts[1:], starts))
    # But for those that the model calls converged though their descent had a little way to go.
    assert (found.converged | ~alone.converged).mean() > 0.97


def test_inputs_stay_as_they_were(rng):
    model = mock_model(rng)
    flux, ivar, _ = mock_stars(rng, model, 20)
    starts = starts_of(model, rng)
    before = [a.copy() for a in (flux, ivar, starts)]
    for array in (flux, ivar, starts):
        array.flags.writeable = False
    label(flux, ivar, model, starts=starts)
    for array, copy in zip((flux, ivar, starts), before, strict=True):
        assert array.tobytes() == copy.tobytes()


def test_precision_of_spectra(rng):
    model = mock_model(rng)
    flux, ivar, _ = mock_stars(rng, model, 200)
    flux, ivar = flux.astype(np.float32), ivar.astype(np.float32)
    starts = starts_of(model, rng)
    reference = label(flux.astype(float), ivar.astype(float), model, starts=starts)
    error = np.sqrt(np.einsum("nkk->nk", reference.covariance))
    for dtype in (np.float32, ">f4", ">f8"):
        found = label(flux.astype(dtype), ivar.astype(dtype), model, starts=starts)
        assert (np.abs(found.labels - reference.labels) < 1e-4 * error).all()
        np.testing.assert_allclose(found.chi2, reference.chi2, rtol=1e-6)


def test_single_precision_products_are_harmless_even_at_high_signal_to_noise(rng):
    model = mock_model(rng, n_pix=3000, curvature=0.1, scatter=0.001)
    flux, ivar, _ = mock_stars(rng, model, 300, noise=1 / 300, spread=2)
    starts = starts_of(model, rng)
    single = label(flux, ivar, model, starts=starts, dtype=np.float32)
    double = label(flux, ivar, model, starts=starts, dtype=np.float64)
    assert single.converged.all()
    assert double.converged.all()
    error = np.sqrt(np.einsum("nkk->nk", double.covariance))
    assert 0 < np.abs((single.labels - double.labels) / error).max() < 2e-3
    np.testing.assert_allclose(single.chi2, double.chi2, rtol=1e-6)
    np.testing.assert_allclose(single.covariance, double.covariance, rtol=1e-4, atol=1e-10)


def test_threads_do_not_change_a_byte(rng):
    model = mock_model(rng)
    flux, ivar, _ = mock_stars(rng, model, 200)
    starts = starts_of(model, rng)
    one = label(flux, ivar, model, starts=starts, block=32, threads=1)
    assert_same(label(flux, ivar, model, starts=starts, block=32, threads=2), one)
    whole = label(flux, ivar, model, starts=starts)
    np.testing.assert_allclose(whole.labels, one.labels, rtol=1e-5, atol=1e-6)


def test_sixteen_labels(rng):
    names = [f"label_{k}" for k in range(16)]
    model = mock_model(rng, names, n_pix=800, curvature=0.05)
    flux, ivar, truth = mock_stars(rng, model, 30)
    found = label(flux, ivar, model, starts=[model.pivot])
    assert found.converged.all()
    z = (found.labels - truth) / np.sqrt(np.einsum("nkk->nk", found.covariance))
    assert 0.85 < z.std() < 1.15


def test_bad_input_is_refused(rng):
    model = mock_model(rng)
    flux, ivar, _ = mock_stars(rng, model, 4)
    with pytest.raises(ValueError, match="299 pixels but the model 300"):
        label(flux[:, 1:], ivar[:, 1:], model, starts=[model.pivot])
    with pytest.raises(ValueError, match="flux and ivar must both be"):
        label(flux, ivar[:3], model, starts=[model.pivot])
    for starts in ([np.full(5, np.nan)], np.empty((0, 5))):
        with pytest.raises(ValueError, match=r"starts must be finite and \(n_start, 5\)"):
            label(flux, ivar, model, starts=starts)


def test_no_stars_give_empty_labels(rng):
    model = mock_model(rng)
    found = label(np.empty((0, 300)), np.empty((0, 300)), model, starts=[model.pivot])
    assert found.labels.shape == (0, 5)
    assert found.covariance.shape == (0, 5, 5)


def test_memory_of_a_model_with_many_labels(rng):
    names = tuple("abcdefghijklmnop")
    model = mock_model(rng, names, n_pix=1024, curvature=0.02)
    flux, ivar, _ = mock_stars(rng, model, 4, spread=0.3)
    n_term = model.theta.shape[1] - 1
    # Bytes in float32 of the products of two terms, pixel by pixel.
    kept = 4 * 1024 * n_term * (n_term + 1) // 2
    tracemalloc.start()
    found = label(flux, ivar, model, starts=model.pivot[None])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.converged.all()
    assert peak < 2 * kept
