"""Training against scipy's optimum and the nature that stars are made from; priors, scatter, masks."""

from dataclasses import fields

import numpy as np
import pytest
from scipy.optimize import minimize

from labeltransfer.models.files import load_model, save_model
from labeltransfer.models.network import FORMS, join_networks, predict_network
from labeltransfer.models.scatter import fit_scatter
from tests.unit.models.network.stars import (
    POINT,
    STEPS,
    mock_flux,
    mock_gradients,
    mock_stars,
    plain_loss,
    prior_of,
    same,
    train,
    weights_of,
)


@pytest.mark.parametrize("form", [None, *FORMS])
def test_loss_is_as_low_as_that_of_lbfgs(rng, form):
    flux, ivar, labels = mock_stars(rng)
    options = {"hidden": 6, "n_iterations": 60}
    prior = None
    if form:
        theory = 1.2 * mock_gradients() + 0.001
        prior = (theory, POINT)
        strength = 10.0 if form.startswith("rel") else 1e4 if form == "l2" else 1e2
        options["prior"] = prior_of(theory, form=form, d_scale=strength)
    model = train(flux, ivar, labels, **options)
    for pixel in (0, 3):
        arguments = (pixel, model, flux, ivar, labels, prior)
        ours = plain_loss(weights_of(model, pixel), *arguments)
        np.testing.assert_allclose(ours, model.loss[pixel], rtol=1e-8)
        theirs = np.inf
        for _ in range(2):
            start = np.concatenate([rng.standard_normal(24), 0.02 * rng.standard_normal(6), [1.0]])
            answer = minimize(plain_loss, start, args=arguments, method="L-BFGS-B", options={"maxiter": 400})
            theirs = min(theirs, answer.fun)
        assert ours < 1.01 * theirs


def test_loss_under_the_l1_penalty_falls_and_weights_vanish(rng):
    flux, ivar, labels = mock_stars(rng)
    ridge = train(flux, ivar, labels)
    zeros = []
    for l1 in (1e-3, 1e-2, 1e-1):
        model = train(flux, ivar, labels, l1=l1, n_iterations=30)
        for pixel in range(5):
            arguments = (pixel, model, flux, ivar, labels)
            np.testing.assert_allclose(
                plain_loss(weights_of(model, pixel), *arguments), model.loss[pixel], rtol=1e-6
            )
            assert model.loss[pixel] <= plain_loss(weights_of(ridge, pixel), *arguments)
        answer = minimize(
            plain_loss,
            weights_of(model, 3),
            args=(3, model, flux, ivar, labels),
            method="L-BFGS-B",
            options={"maxiter": 200},
        )
        assert model.loss[3] < 1.01 * answer.fun
        zeros.append(np.mean(np.abs(np.concatenate([model.W.ravel(), model.c.ravel()])) < 1e-3))
    assert zeros[0] < zeros[1] < zeros[2]
    assert zeros[2] > 0.7


def test_nature_is_learned_better_than_noise(rng):
    flux, ivar, labels = mock_stars(rng, 400)
    model = train(flux, ivar, labels)
    _, _, other = mock_stars(rng, 400)
    error = predict_network(model, other) - mock_flux(other)
    assert np.sqrt(np.mean(error**2)) < 0.3 * 0.005
    np.testing.assert_allclose(model.gradients(POINT, STEPS), mock_gradients(), atol=2e-3)


@pytest.mark.parametrize("form", FORMS)
def test_strong_prior_gives_the_gradients_of_theory(rng, form):
    flux, ivar, labels = mock_stars(rng)
    theory = 1.3 * mock_gradients()
    theory[2, 0] = 0.004
    off = []
    for d_scale in (0.0, 1e2, 1e6):
        prior = prior_of(theory, form=form, d_scale=d_scale)
        model = train(flux, ivar, labels, prior=prior, ridge=1e-3, n_iterations=40)
        off.append(np.sqrt(np.mean((model.gradients(POINT, STEPS) - theory) ** 2)))
    assert off[0] > 0.003
    assert off[2] < 0.02 * off[0]
    assert off[2] <= off[1] <= off[0]


def test_zero_theory_means_no_gradient(rng):
    """What the relative form is for: where theory says nothing, the label must not act."""
    flux, ivar, labels = mock_stars(rng)
    theory = mock_gradients()
    theory[1] = 0.0
    model = train(flux, ivar, labels, prior=prior_of(theory))
    assert np.abs(model.gradients(POINT, STEPS)[1]).max() < 2e-4


def test_several_reference_points(rng):
    flux, ivar, labels = mock_stars(rng)
    points = np.array([POINT, POINT - [0.0, 0.3, 0.4]])
    theory = 1.2 * mock_gradients(points)
    prior = prior_of(theory, points, d_scale=1e5)
    model = train(flux, ivar, labels, prior=prior, ridge=1e-3, n_iterations=40)
    for point, expected in zip(points, theory, strict=True):
        np.testing.assert_allclose(model.gradients(point, STEPS), expected, atol=1e-3)
    arguments = (model, flux, ivar, labels, (theory, points))
    np.testing.assert_allclose(plain_loss(weights_of(model, 2), 2, *arguments), model.loss[2], rtol=1e-6)


def test_no_prior_is_no_prior_and_unknown_gradients_have_none(rng):
    flux, ivar, labels = mock_stars(rng)
    plain = train(flux, ivar, labels)
    theory = np.full((3, 5), 0.5)
    same(plain, train(flux, ivar, labels, prior=prior_of(theory, d_scale=0.0)))
    theory[:, 2] = np.nan
    model = train(flux, ivar, labels, prior=prior_of(theory))
    np.testing.assert_allclose(model.loss[2], plain.loss[2], rtol=1e-3)
    assert model.loss[1] > 2 * plain.loss[1]


def test_masked_pixels_are_inert_and_inputs_stay(rng):
    flux, ivar, labels = mock_stars(rng)
    ivar[rng.random(ivar.shape) < 0.1] = 0.0
    spoiled = np.where(ivar > 0, flux, rng.choice([np.nan, np.inf, -1e30, 7.0], flux.shape))
    holes = ivar.copy()
    holes[ivar == 0] = rng.choice([0.0, -1.0, np.nan], np.count_nonzero(ivar == 0))
    copies = spoiled.copy(), holes.copy(), labels.copy()
    same(train(flux, ivar, labels), train(spoiled, holes, labels))
    for array, copy in zip((spoiled, holes, labels), copies, strict=True):
        assert array.tobytes() == copy.tobytes()
    # nor do they count: leaving the stars out altogether gives the same network, up to the scaling of labels
    model = train(flux, ivar, labels)
    np.testing.assert_array_equal(model.n_used, (ivar > 0).sum(axis=0))


def test_threads_and_parts_change_nothing(rng):
    flux, ivar, labels = mock_stars(rng)
    flux, ivar = np.tile(flux, 3), np.tile(ivar, 3)
    wavelength = np.linspace(5000, 5100, 15)
    whole = train(flux, ivar, labels, wavelength=wavelength, block=4)
    same(whole, train(flux, ivar, labels, wavelength=wavelength, block=4, threads=2))
    parts = [
        train(flux[:, a:b], ivar[:, a:b], labels, wavelength=wavelength[a:b], block=4, first_pixel=a, seed=0)
        for a, b in ((0, 8), (8, 15))
    ]
    same(whole, join_networks(parts))
    assert not np.array_equal(whole.W, train(flux, ivar, labels, seed=1).W)
    with pytest.raises(ValueError, match=r"differ in ridge: 0\.01, 0\.5"):
        join_networks([parts[0], train(flux, ivar, labels, ridge=0.5)])


def test_pixels_with_few_stars_are_flagged_constants(rng):
    flux, ivar, labels = mock_stars(rng)
    ivar[5:, 1] = 0.0
    ivar[:, 2] = 0.0
    model = train(flux, ivar, labels)
    np.testing.assert_array_equal(model.status, [0, 1, 1, 0, 0])
    for field in fields(model):
        value = getattr(model, field.name)
        if isinstance(value, np.ndarray):
            assert np.isfinite(value).all(), field.name
    assert not model.W[1:3].any()
    np.testing.assert_allclose(model.b[1], np.average(flux[:5, 1], weights=ivar[:5, 1]))
    assert model.b[2] == 1.0
    assert np.isnan(predict_network(model, labels)[:, 1:3]).all()


def test_scatter_is_that_of_stars_left_out(rng):
    """A network that fits its training stars too well still reports the scatter of other stars."""
    flux, ivar, labels = mock_stars(rng, 300)
    extra = np.array([0.0, 0.002, 0.005, 0.01, 0.02])
    flux = flux + extra * rng.standard_normal(flux.shape)
    ivar = ivar * 4  # understated noise counts as scatter: 0.005 sqrt(3/4) more in quadrature
    model = train(flux, ivar, labels, ridge=1e-2, hidden=60)
    fresh, fresh_ivar, fresh_labels = mock_stars(rng, 2000)
    fresh = fresh + extra * rng.standard_normal(fresh.shape)
    held_out = fit_scatter((fresh - predict_network(model, fresh_labels)).T, 4 * fresh_ivar.T)
    np.testing.assert_allclose(model.scatter, held_out, rtol=0.25)
    training = fit_scatter((flux - predict_network(model, labels)).T, ivar.T)
    assert (training < 0.9 * model.scatter).all()


def test_fit_scatter_recovers_a_known_scatter(rng):
    sigma = 0.01 * np.exp(0.5 * rng.standard_normal((4, 20000)))
    true = np.array([0.0, 0.003, 0.01, 0.1])
    residual = np.hypot(sigma, true[:, None]) * rng.standard_normal(sigma.shape)
    ivar = sigma**-2
    ivar[:, :100], residual[:, :100] = 0.0, np.nan
    found = fit_scatter(residual, ivar)
    np.testing.assert_allclose(found[1:], true[1:], rtol=0.05)
    assert found[0] < 0.001
    assert fit_scatter(0.1 * sigma, sigma**-2).max() == 0.0
    # equal noise has an analytic answer
    flat = np.full((1, 500), 1e4)
    r = 0.03 * rng.standard_normal((1, 500))
    np.testing.assert_allclose(fit_scatter(r, flat), np.sqrt(np.mean(r**2) - 1e-4), rtol=1e-6)


def test_model_file_round_trip(rng, tmp_path):
    flux, ivar, labels = mock_stars(rng)
    model = train(flux, ivar, labels)
    save_model(tmp_path / "model.h5", model, {"seed": 0})
    same(model, load_model(tmp_path / "model.h5"))


def test_bad_labels_are_named(rng):
    flux, ivar, labels = mock_stars(rng)
    labels[3, 1] = np.nan
    with pytest.raises(ValueError, match="training label logg is not finite for 1 of 150 stars"):
        train(flux, ivar, labels)
    labels[:, 1] = 2.5
    with pytest.raises(ValueError, match=r"training label logg is 2\.5 for every star"):
        train(flux, ivar, labels)
    with pytest.raises(ValueError, match="at least 8 training stars, found 5"):
        train(flux[:5], ivar[:5], labels[:5])
    with pytest.raises(ValueError, match="found shapes"):
        train(flux, ivar[:, :2], labels)


def test_labels_and_prior_must_fit_the_spectra(rng):
    flux, ivar, labels = mock_stars(rng)
    with pytest.raises(ValueError, match=r"found \(150, 3\)"):
        train(flux, ivar, labels, names=("teff",))
    with pytest.raises(ValueError, match=r"must be \(1, 3, 5\) for these spectra, found \(1, 3, 4\)"):
        train(flux, ivar, labels, prior=prior_of(np.zeros((3, 4))))
