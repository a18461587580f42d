"""Training against primal normal equations, finite differences and scipy's optimum; priors, scatter."""

from dataclasses import fields

import numpy as np
import pytest
from scipy.optimize import minimize

from labeltransfer.models import network
from labeltransfer.models.files import load_model, save_model
from labeltransfer.models.network import (
    FORMS,
    choose_ridge,
    fit_scatter,
    join_networks,
    network_gradients,
    predict_network,
    train_network,
)

NAMES = ("teff", "logg", "mg_h")
CENTRE = np.array([4800.0, 2.5, -0.2])
SPREAD = np.array([300.0, 0.6, 0.25])
STEPS = np.array([200.0, 0.5, 0.2])
POINT = np.array([4800.0, 2.5, 0.0])
STRENGTH = np.array(
    [[0.10, 0.0, 0.05], [0.0, 0.06, 0.10], [0.05, -0.05, 0.0], [0.0, 0.0, 0.15], [0.08, 0.03, -0.06]]
)


def mock_flux(labels):
    """Five pixels of saturating lines: no sum of sigmoids, no polynomial."""
    depth = np.exp(((labels - CENTRE) / SPREAD) @ STRENGTH.T * 4) * 0.15
    return 1.0 - depth / (1.0 + 2.0 * depth)


def mock_gradients(points=POINT):
    """Half the change of the flux from minus to plus each step, (k, p) or (R, k, p)."""
    points = np.atleast_2d(points)
    found = [0.5 * (mock_flux(x + np.diag(STEPS)) - mock_flux(x - np.diag(STEPS))) for x in points]
    return found[0] if len(found) == 1 else np.array(found)


def mock_stars(rng, n_star=150, noise=0.005):
    mix = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [-0.3, 0.2, 0.9]])
    labels = CENTRE + SPREAD * (rng.standard_normal((n_star, 3)) @ mix.T)
    clean = mock_flux(labels)
    sigma = noise * np.exp(0.2 * rng.standard_normal(clean.shape))
    return clean + sigma * rng.standard_normal(clean.shape), sigma**-2, labels


def train(flux, ivar, labels, **options):
    return train_network(
        flux, ivar, labels, **{"label_names": NAMES, "hidden": 10, "d_scale": 0.0, "ridge": 1e-2} | options
    )


def plain_flux(q, x, hidden):
    """Eq. 1 of one pixel, written plainly; q is W (H, k), c, w and b."""
    k = x.shape[1]
    W, c = q[: hidden * k].reshape(hidden, k), q[hidden * k : hidden * (k + 1)]
    return 1 / (1 + np.exp(-(x @ W.T + c))) @ q[hidden * (k + 1) : -1] + q[-1]


def plain_loss(q, pixel, model, flux, ivar, labels, prior=None):
    """Eq. 2 and the ridge, written plainly."""
    hidden = len(model.c[0])
    good = ivar[:, pixel] > 0
    f, iv = flux[good, pixel], ivar[good, pixel]
    mean = (iv @ f) / iv.sum()
    unit = np.sqrt(iv @ (f - mean) ** 2 / iv.sum())
    residual = f - plain_flux(q, model.to_scaled(labels[good]), hidden)
    weights = q[:-1].copy()
    weights[-hidden:] /= unit
    loss = np.mean(iv * residual**2)
    if model.l1:
        loss += model.l1 * (np.hypot(weights, 1e-4) - 1e-4).sum()
    else:
        loss += model.ridge * (weights**2).sum()
    if prior is not None:
        theory, points = prior
        terms = []
        for point, t in zip(np.atleast_2d(points), theory.reshape(-1, 3, theory.shape[-1]), strict=True):
            ends = [plain_flux(q, model.to_scaled(point + sign * np.diag(STEPS)), hidden) for sign in (1, -1)]
            off = 0.5 * (ends[0] - ends[1]) - t[:, pixel]
            if model.form.startswith("rel"):
                off = off / np.maximum(np.abs(t[:, pixel]), model.floor)
            soft = 0.01 if model.form.startswith("rel") else model.floor
            terms.append(off**2 if model.form.endswith("l2") else np.hypot(off, soft) - soft)
        loss += model.d_scale * np.mean(terms)
    return loss


def weights_of(model, pixel):
    return np.concatenate(
        [model.W[pixel].ravel(), model.c[pixel], model.w[pixel], model.b[pixel : pixel + 1]]
    )


def small_problem(rng, l1=0.0, absolute=False):
    """Two pixels of three labels, four nodes, nine stars, two gradients, and random networks."""
    n, d, k, hidden = 9, 2, 3, 4
    x = rng.standard_normal((n + 2 * d, k))
    problem = network._Problem(x, 1 + x @ x.T, n, d, hidden, 0.7, absolute, 0.0 if l1 else 0.05, l1)
    root = rng.uniform(0.5, 1.5, (2, n))
    root[:, 3] = 0.0
    pixels = network._Pixels(
        rng.standard_normal((2, n)),
        root,
        rng.standard_normal((2, d)),
        rng.uniform(0.5, 2, (2, d)),
        np.full((2, 1), 0.1),
    )
    return problem, pixels, rng.standard_normal((2, (k + 2) * hidden + 1))


def explicit_jacobian(state, problem):
    slope = network._slope_factor(state, problem)
    columns = [
        network._times_jacobian(state, slope, problem, np.tile(unit, (2, 1)))
        for unit in np.eye(state.q.shape[1])
    ]
    return np.stack(columns, axis=2)


def test_jacobian_is_that_of_finite_differences(rng):
    problem, pixels, q = small_problem(rng)
    state = network._evaluate(q, problem, pixels)
    jacobian = explicit_jacobian(state, problem)
    step = 1e-5
    for j in range(q.shape[1]):
        change = np.zeros(q.shape[1])
        change[j] = step
        up, down = (network._evaluate(q + sign * change, problem, pixels) for sign in (1, -1))
        np.testing.assert_allclose(jacobian[:, :, j], (up.rho - down.rho) / (2 * step), atol=1e-8)
    a = rng.standard_normal(state.rho.shape)
    expected = np.einsum("crj,cr->cj", jacobian, a)
    slope = network._slope_factor(state, problem)
    np.testing.assert_allclose(network._times_transpose(state, slope, problem, a), expected, atol=1e-12)


@pytest.mark.parametrize("l1", [0.0, 0.03])
@pytest.mark.parametrize("absolute", [False, True])
def test_slope_of_the_loss_is_that_of_finite_differences(rng, l1, absolute):
    problem, pixels, q = small_problem(rng, l1, absolute)
    state = network._evaluate(q, problem, pixels)
    slope = network._slope_factor(state, problem)
    gradient = 2 * (network._times_transpose(state, slope, problem, state.rho) + state.pen * q)
    for j in range(q.shape[1]):
        change = np.zeros(q.shape[1])
        change[j] = 1e-6
        up, down = (network._evaluate(q + sign * change, problem, pixels).loss for sign in (1, -1))
        np.testing.assert_allclose(gradient[:, j], (up - down) / 2e-6, atol=1e-6)


@pytest.mark.parametrize(("l1", "absolute"), [(0.0, False), (0.0, True), (0.03, False)])
def test_dual_step_solves_the_primal_normal_equations(rng, l1, absolute):
    problem, pixels, q = small_problem(rng, l1, absolute)
    state = network._evaluate(q, problem, pixels)
    damping = np.array([0.01, 0.5])
    step, expected = network._propose(state, damping, problem)
    jacobian = explicit_jacobian(state, problem)
    for i in range(2):
        metric = damping[i] + state.pen[i]
        metric[-1] = damping[i] if l1 else metric[0]
        right = jacobian[i].T @ state.rho[i] + state.pen[i] * q[i]
        primal = -np.linalg.solve(jacobian[i].T @ jacobian[i] + np.diag(metric), right)
        np.testing.assert_allclose(step[i], primal, rtol=1e-8, atol=1e-10)
        before = (state.rho[i] ** 2).sum() + (state.pen[i] * q[i] ** 2).sum()
        after = ((state.rho[i] + jacobian[i] @ primal) ** 2).sum() + (
            state.pen[i] * (q[i] + primal) ** 2
        ).sum()
        np.testing.assert_allclose(expected[i], before - after, rtol=1e-6)


@pytest.mark.parametrize("form", [None, *FORMS])
def test_loss_is_as_low_as_that_of_lbfgs(rng, form):
    flux, ivar, labels = mock_stars(rng)
    options = {"hidden": 6, "n_iterations": 60}
    prior = None
    if form:
        theory = 1.2 * mock_gradients() + 0.001
        prior = (theory, POINT)
        strength = 10.0 if form.startswith("rel") else 1e4 if form == "l2" else 1e2
        options |= {
            "gradient": theory,
            "steps": STEPS,
            "reference_point": POINT,
            "form": form,
            "d_scale": strength,
        }
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
    np.testing.assert_allclose(network_gradients(model, POINT, STEPS), mock_gradients(), atol=2e-3)


@pytest.mark.parametrize("form", FORMS)
def test_strong_prior_gives_the_gradients_of_theory(rng, form):
    flux, ivar, labels = mock_stars(rng)
    theory = 1.3 * mock_gradients()
    theory[2, 0] = 0.004
    prior = {"gradient": theory, "steps": STEPS, "reference_point": POINT, "form": form, "n_iterations": 40}
    off = []
    for d_scale in (0.0, 1e2, 1e6):
        model = train(flux, ivar, labels, d_scale=d_scale, ridge=1e-3, **prior)
        off.append(np.sqrt(np.mean((network_gradients(model, POINT, STEPS) - theory) ** 2)))
    assert off[0] > 0.003
    assert off[2] < 0.02 * off[0]
    assert off[2] <= off[1] <= off[0]


def test_zero_theory_means_no_gradient(rng):
    """What the relative form is for: where theory says nothing, the label must not act."""
    flux, ivar, labels = mock_stars(rng)
    theory = mock_gradients()
    theory[1] = 0.0
    model = train(flux, ivar, labels, gradient=theory, steps=STEPS, reference_point=POINT, d_scale=10.0)
    assert np.abs(network_gradients(model, POINT, STEPS)[1]).max() < 2e-4


def test_several_reference_points(rng):
    flux, ivar, labels = mock_stars(rng)
    points = np.array([POINT, POINT - [0.0, 0.3, 0.4]])
    theory = 1.2 * mock_gradients(points)
    model = train(
        flux,
        ivar,
        labels,
        gradient=theory,
        steps=STEPS,
        reference_point=points,
        d_scale=1e5,
        ridge=1e-3,
        n_iterations=40,
    )
    for point, expected in zip(points, theory, strict=True):
        np.testing.assert_allclose(network_gradients(model, point, STEPS), expected, atol=1e-3)
    arguments = (model, flux, ivar, labels, (theory, points))
    np.testing.assert_allclose(plain_loss(weights_of(model, 2), 2, *arguments), model.loss[2], rtol=1e-6)


def same(one, two):
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(two, field.name)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes(), field.name


def test_no_prior_is_no_prior_and_unknown_gradients_have_none(rng):
    flux, ivar, labels = mock_stars(rng)
    plain = train(flux, ivar, labels)
    theory = np.full((3, 5), 0.5)
    prior = {"gradient": theory, "steps": STEPS, "reference_point": POINT}
    same(plain, train(flux, ivar, labels, d_scale=0.0, **prior))
    theory[:, 2] = np.nan
    model = train(flux, ivar, labels, d_scale=10.0, **prior)
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


def test_choose_ridge_prefers_what_predicts_other_stars(rng):
    flux, ivar, labels = mock_stars(rng, 80, noise=0.02)
    choice = choose_ridge(
        flux, ivar, labels, ridges=(1e-5, 3e-2, 10.0), folds=4, label_names=NAMES, hidden=30, d_scale=0.0
    )
    assert choice.best == 3e-2
    assert choice.held_out[1] < 0.98 * min(choice.held_out[0], choice.held_out[2])
    assert 0.8 < choice.held_out[1] < 1.4


def test_model_file_round_trip(rng, tmp_path):
    flux, ivar, labels = mock_stars(rng)
    model = train(flux, ivar, labels)
    save_model(tmp_path / "model.h5", model, {"seed": 0})
    same(model, load_model(tmp_path / "model.h5"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"form": "cubic"}, "form must be one of rel_l2, rel_l1, l2, l1, not 'cubic'"),
        ({"d_scale": 10.0}, "needs gradient, steps and reference_point"),
        (
            {"d_scale": 1.0, "gradient": np.zeros((2, 5)), "steps": STEPS, "reference_point": POINT},
            "found \\(1, 2, 5\\)",
        ),
        ({"ridge": 0.0}, "ridge be positive"),
        ({"label_names": ("teff",)}, "found \\(150, 3\\)"),
    ],
)
def test_bad_arguments_are_named(rng, change, message):
    flux, ivar, labels = mock_stars(rng)
    with pytest.raises(ValueError, match=message):
        train(flux, ivar, labels, **change)


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
