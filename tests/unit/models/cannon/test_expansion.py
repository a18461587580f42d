"""Models of chosen terms and of functions of labels: what comes out are labels, against fits written out plainly."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from labeltransfer.models.cannon import error_share, label, linear_coefficients, predict, train
from labeltransfer.models.files import load_model, save_model
from labeltransfer.models.polynomial import Expansion, chosen_terms, polynomial, term_names

NAMES = ("teff", "logg")
TERMS = ("teff", "logg", "teff^3", "logg*teff")


def stars(rng, n_star=500, n_pix=60, noise=0.005):
    """Spectra whose lines go by 5040 / Teff and log g: flux, ivar, labels."""
    labels = np.column_stack([rng.uniform(4000, 6500, n_star), rng.uniform(1, 4.5, n_star)])
    theta, logg = 5040 / labels[:, 0] - 1.0, labels[:, 1] - 2.5
    strength = rng.normal(0, 0.2, n_pix), rng.normal(0, 0.03, n_pix), rng.normal(0, 0.1, n_pix)
    lines = theta[:, None] * strength[0] + logg[:, None] * strength[1] + (theta * logg)[:, None] * strength[2]
    flux = 1 - lines + noise * rng.standard_normal((n_star, n_pix))
    return flux, np.full(flux.shape, noise**-2), labels


def test_names_of_terms_are_those_of_the_polynomial():
    exponents = polynomial(2, 3).exponents
    names = term_names(exponents, NAMES)
    assert names[:4] == ["1", "teff", "logg", "teff^2"]
    np.testing.assert_array_equal(chosen_terms(names[1:], NAMES, 3), np.arange(len(names)))
    np.testing.assert_array_equal(chosen_terms(None, NAMES, 3), np.arange(len(names)))
    chosen = chosen_terms(TERMS, NAMES, 3)
    assert [names[t] for t in chosen] == ["1", "teff", "logg", "teff*logg", "teff^3"]


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (["teff", "logg", "mass"], "'mass' is no power of a label; labels are teff, logg"),
        (["teff", "logg^-1"], r"'logg\^-1' is no power"),
        (["teff", "logg", "teff^2*logg"], "is no term of order 2 or less"),
        (["teff*logg", "logg*teff"], "stands twice"),
        (["1", "teff"], "'1' is no power"),
        (["teff", "teff^2"], "no term holds logg"),
    ],
)
def test_terms_that_are_none_are_refused_by_name(terms, message):
    with pytest.raises(ValueError, match=message):
        chosen_terms(terms, NAMES, 2)


def test_chosen_terms_are_the_weighted_least_squares_of_these_alone(rng):
    flux, ivar, labels = stars(rng)
    model = train(flux, ivar, labels, label_names=NAMES, order=Expansion(3, TERMS), scatter="exact")
    x = model.to_scaled(labels)
    design = np.column_stack([np.ones(len(x)), x, x[:, 0] * x[:, 1], x[:, 0] ** 3])
    chosen = chosen_terms(TERMS, NAMES, 3)
    assert np.count_nonzero(model.theta.any(axis=0)) == len(chosen)
    for p in range(0, 60, 7):
        # All pixels have the same error: weights are the same whatever the scatter.
        expected = np.linalg.lstsq(design, flux[:, p], rcond=None)[0]
        np.testing.assert_allclose(model.theta[p, chosen], expected, atol=1e-6)
    np.testing.assert_allclose(predict(model, labels), design @ model.theta[:, chosen].T, atol=1e-12)


def test_a_function_of_a_label_makes_exact_what_is_one(rng):
    flux, ivar, labels = stars(rng, noise=1e-4)
    plain = train(flux, ivar, labels, label_names=NAMES)
    model = train(flux, ivar, labels, label_names=NAMES, order=Expansion(2, forms={"teff": "5040/x"}))
    assert model.forms == ("5040/x", "x")
    assert model.scatter.max() < 1e-4 < np.median(plain.scatter)
    found = label(flux[:50], ivar[:50], model, starts=labels.mean(axis=0))
    error = np.sqrt(np.einsum("nkk->nk", found.covariance))
    z = (found.labels - labels[:50]) / error
    assert found.converged.all()
    assert np.std(z, axis=0) == pytest.approx([1, 1], abs=0.25)


def test_labels_and_covariance_are_those_of_a_fit_in_physical_units(rng):
    flux, ivar, labels = stars(rng)
    order = Expansion(3, TERMS, {"teff": "5040/x", "logg": "log10(x)"})
    model = train(flux, ivar, labels, label_names=NAMES, order=order)
    found = label(flux[:10], ivar[:10], model, starts=labels.mean(axis=0))
    for n in range(10):
        root = 1 / np.sqrt(1 / ivar[n] + model.scatter**2)
        fit = least_squares(
            lambda y, n=n, root=root: root * (flux[n] - predict(model, y)[0]), labels[n], x_scale=[300.0, 1.0]
        )
        covariance = np.linalg.inv(fit.jac.T @ fit.jac)
        error = np.sqrt(np.diag(covariance))
        assert (np.abs(found.labels[n] - fit.x) < 1e-2 * error).all()
        np.testing.assert_allclose(found.covariance[n], covariance, rtol=0.03, atol=1e-3 * covariance.max())


def test_gradients_and_linear_coefficients_are_by_physical_labels(rng):
    flux, ivar, labels = stars(rng)
    model = train(flux, ivar, labels, label_names=NAMES, order=Expansion(2, forms={"teff": "5040/x"}))
    origin = model.label_scale.to_physical(np.zeros(2))
    step = np.array([1.0, 0.0])
    numerical = 0.5 * (predict(model, origin + step) - predict(model, origin - step))[0]
    np.testing.assert_allclose(
        linear_coefficients(model, {"teff": 1.0})["teff"], numerical, rtol=1e-4, atol=1e-9
    )


def test_errors_of_labels_are_those_of_their_functions(rng):
    flux, ivar, labels = stars(rng, n_star=4000, noise=0.002)
    error = np.broadcast_to([150.0, 0.3], labels.shape)
    noisy = labels + error * rng.standard_normal(labels.shape)
    forms = {"teff": "5040/x"}
    order = Expansion(2, forms=forms)
    truth = train(flux, ivar, labels, label_names=NAMES, order=order)
    plain = train(flux, ivar, noisy, label_names=NAMES, order=order)
    model = train(flux, ivar, noisy, label_names=NAMES, order=order, label_errors=error)
    chosen = chosen_terms(None, NAMES, 2)
    assert error_share(noisy, error, 2, chosen, model.forms) == 1
    expected = predict(truth, labels[:300]) - predict(truth, labels[:300]).mean(axis=0)
    slopes = [np.sum(predict(one, labels[:300]) * expected) / np.sum(expected**2) for one in (plain, model)]
    assert slopes[0] < 0.97
    assert slopes[1] == pytest.approx(1, abs=0.015)


def test_an_unphysical_answer_is_no_label(rng):
    flux, ivar, labels = stars(rng)
    model = train(flux, ivar, labels, label_names=NAMES, order=Expansion(1, forms={"teff": "5040/x"}))
    # A star whose lines are as strong as at a negative 5040 / Teff.
    slope = model.theta[:, 1]
    x = -2 * model.pivot[0] / model.scale[0]
    found = label((model.theta[:, 0] + x * slope)[None, :], ivar[:1], model, starts=labels.mean(axis=0))
    assert np.isnan(found.labels[0, 0])
    assert not found.converged[0]


@pytest.mark.parametrize(
    ("forms", "message"),
    [
        ({"mass": "x"}, "'mass', which is no label of the model: teff, logg"),
        ({"teff": "1/x"}, r"form of teff must be one of x, 5040/x, log10\(x\), not '1/x'"),
        ({"logg": "log10(x)"}, r"log10\(x\) of logg needs labels above zero: found -1"),
    ],
)
def test_functions_that_are_none_are_refused(rng, forms, message):
    flux, ivar, labels = stars(rng)
    labels[0, 1] = -1
    with pytest.raises(ValueError, match=message):
        train(flux, ivar, labels, label_names=NAMES, order=Expansion(2, forms=forms))


def test_a_model_of_functions_goes_through_its_file(rng, tmp_path):
    flux, ivar, labels = stars(rng)
    model = train(flux, ivar, labels, label_names=NAMES, order=Expansion(3, TERMS, {"teff": "5040/x"}))
    save_model(tmp_path / "model.h5", model)
    again = load_model(tmp_path / "model.h5")
    assert again.forms == model.forms
    assert predict(again, labels).tobytes() == predict(model, labels).tobytes()
