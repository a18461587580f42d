"""Coordinate descent against the optimality conditions, scipy's optimum and plain least squares."""

import numpy as np
import pytest
from scipy.optimize import minimize

from labeltransfer.models.cannon import predict, train
from labeltransfer.models.lasso import train_lasso
from labeltransfer.models.network import fit_scatter
from labeltransfer.models.vectorize import polynomial, vectorize

NAMES = ("teff", "logg", "fe_h")


def mock_stars(rng, n_star=200, n_pix=6, noise=0.01):
    """Labels that are correlated, and pixels of which each needs few of the ten coefficients."""
    labels = rng.standard_normal((n_star, 3)) @ np.array([[300, 0.4, 0], [0, 0.4, -0.1], [0, 0, 0.2]])
    labels += [4800.0, 2.5, -0.2]
    x = (labels - labels.mean(axis=0)) / labels.std(axis=0)
    theta = np.zeros((n_pix, 10))
    theta[:, 0] = 0.9
    for p in range(n_pix):
        theta[p, rng.integers(1, 10, 2)] = rng.choice([-0.05, 0.05], 2)
    clean = vectorize(x, polynomial(3)) @ theta.T
    sigma = noise * np.exp(0.3 * rng.standard_normal(clean.shape))
    ivar = np.where(rng.random(clean.shape) < 0.05, 0.0, sigma**-2)
    return clean + sigma * rng.standard_normal(clean.shape), ivar, labels, theta


def design_of(labels):
    return vectorize((labels - labels.mean(axis=0)) / labels.std(axis=0), polynomial(3))


def plain_loss(theta, design, flux, ivar, strength):
    n = np.count_nonzero(ivar)
    return (ivar * (flux - design @ theta) ** 2).sum() / n + strength * np.abs(theta[1:]).sum()


def test_optimality_conditions_hold_with_exact_zeros(rng):
    flux, ivar, labels, _ = mock_stars(rng)
    design = design_of(labels)
    n = (ivar > 0).sum(axis=0)
    for strength, model in zip(
        (0.1, 1.0, 10.0),
        train_lasso(flux, ivar, labels, label_names=NAMES, strengths=(0.1, 1, 10)),
        strict=True,
    ):
        assert (model.status == 0).all()
        slope = 2 * ((ivar * (design @ model.theta.T - flux)).T @ design) / n[:, None]
        size = np.sqrt((ivar * flux**2).sum(axis=0) / n)[:, None]
        zero = model.theta == 0
        zero[:, 0] = False
        np.testing.assert_allclose(slope[:, :1], 0.0, atol=1e-3 * size.max())
        active = ~zero
        active[:, 0] = False
        assert (np.abs(slope[zero]) <= strength * (1 + 1e-6)).all()
        np.testing.assert_allclose(slope[active], -strength * np.sign(model.theta[active]), atol=1e-3)
    assert zero.any()


def test_loss_is_that_of_scipy(rng):
    flux, ivar, labels, _ = mock_stars(rng)
    design = design_of(labels)
    (model,) = train_lasso(flux, ivar, labels, label_names=NAMES, strengths=[3.0])
    for p in range(3):
        arguments = (design, flux[:, p], ivar[:, p], 3.0)

        # |theta| as the sum of two parts that are not negative
        def split(parts, arguments=arguments):
            theta = np.concatenate([parts[:1], parts[1:10] - parts[10:]])
            loss = plain_loss(theta, *arguments[:3], 0.0)
            return loss + arguments[3] * parts[1:].sum()

        bounds = [(None, None)] + [(0, None)] * 18
        answer = minimize(
            split, np.full(19, 0.01), bounds=bounds, method="L-BFGS-B", options={"maxiter": 2000}
        )
        ours = plain_loss(model.theta[p], *arguments)
        assert ours < answer.fun * (1 + 1e-6)
        assert ours > answer.fun * (1 - 1e-2)


def test_zero_strength_is_least_squares(rng):
    flux, ivar, labels, _ = mock_stars(rng)
    (model,) = train_lasso(flux, ivar, labels, label_names=NAMES, strengths=[0.0])
    design = design_of(labels)
    for p in range(6):
        root = np.sqrt(ivar[:, p])
        expected = np.linalg.lstsq(root[:, None] * design, root * flux[:, p], rcond=None)[0]
        np.testing.assert_allclose(model.theta[p], expected, atol=1e-6)
    # at equal noise without further scatter, the Cannon does the same
    flat = np.full(flux.shape, 1e4)
    (model,) = train_lasso(flux, flat, labels, label_names=NAMES, strengths=[0.0])
    np.testing.assert_allclose(model.theta, train(flux, flat, labels, label_names=NAMES).theta, atol=1e-6)


def test_the_needed_coefficients_are_found(rng):
    flux, ivar, labels, theta = mock_stars(rng, n_star=500, noise=0.005)
    weak, strong = train_lasso(flux, ivar, labels, label_names=NAMES, strengths=(1e-3, 30.0))
    false = (theta == 0) & (np.arange(10) > 0)
    assert np.mean(weak.theta[false] == 0) < np.mean(strong.theta[false] == 0)
    assert np.mean(strong.theta[false] == 0) > 0.5
    assert (strong.theta[(theta != 0) & ~false] != 0).all()
    huge = train_lasso(flux, ivar, labels, label_names=NAMES, strengths=[1e9])[0]
    assert not huge.theta[:, 1:].any()
    np.testing.assert_allclose(huge.theta[:, 0], np.average(flux, axis=0, weights=ivar), rtol=1e-9)


def test_scatter_and_chi2_belong_to_the_residuals(rng):
    flux, ivar, labels, _ = mock_stars(rng, n_star=1000)
    flux = flux + 0.02 * rng.standard_normal(flux.shape)
    (model,) = train_lasso(flux, ivar, labels, label_names=NAMES, strengths=[0.1])
    np.testing.assert_allclose(model.scatter, 0.02, rtol=0.1)
    residual = (flux - predict(model, labels)).T
    np.testing.assert_allclose(model.scatter, fit_scatter(residual, ivar.T))
    good = ivar.T > 0
    variance = 1 / np.where(good, ivar.T, 1) + model.scatter[:, None] ** 2
    np.testing.assert_allclose(model.chi2, np.where(good, residual**2 / variance, 0).sum(axis=1))


def test_order_of_strengths_threads_and_masks_change_nothing(rng):
    flux, ivar, labels, _ = mock_stars(rng)
    flux, ivar = np.tile(flux, 2), np.tile(ivar, 2)
    ivar[:, 3] = 0.0
    options = {"label_names": NAMES, "block": 4}
    spoiled = np.where(ivar > 0, flux, np.nan)
    copies = spoiled.copy(), ivar.copy()
    up = train_lasso(spoiled, ivar, labels, strengths=(0.1, 10.0), threads=2, **options)
    down = train_lasso(flux, ivar, labels, strengths=(10.0, 0.1), **options)
    for a, b in zip(up, down[::-1], strict=True):
        assert a.theta.tobytes() == b.theta.tobytes()
        assert a.scatter.tobytes() == b.scatter.tobytes()
    assert spoiled.tobytes() == copies[0].tobytes()
    assert ivar.tobytes() == copies[1].tobytes()
    assert up[0].status[3] == 1
    assert np.isnan(predict(up[0], labels)[:, 3]).all()
    assert np.isfinite(up[0].theta).all()


def test_fewer_stars_than_coefficients(rng):
    """What the penalty is for: nine stars, ten coefficients, and a solution all the same."""
    flux, ivar, labels, _ = mock_stars(rng, n_star=9)
    ivar = np.full(ivar.shape, 1e4)
    (model,) = train_lasso(flux, ivar, labels, label_names=NAMES, strengths=[0.5])
    assert (model.status == 0).all()
    design = design_of(labels)
    slope = 2e4 / 9 * (design @ model.theta.T - flux).T @ design
    zero = model.theta == 0
    assert (np.abs(slope[:, 1:]) <= 0.5 * (1 + 1e-4)).all()
    np.testing.assert_allclose(
        slope[~zero], -0.5 * np.sign((model.theta * (np.arange(10) > 0))[~zero]), atol=1e-4
    )


def test_bad_strengths_are_named(rng):
    flux, ivar, labels, _ = mock_stars(rng)
    with pytest.raises(ValueError, match="strengths must be"):
        train_lasso(flux, ivar, labels, label_names=NAMES, strengths=[-1.0])
