"""The Cannon here and in TheCannon 0.7.3 (A. Ho, the authors' package), on the same mock spectra.

TheCannon is called where its work is done, `_train_model` and `_infer_labels`; all that it wants of a dataset
is a handful of attributes.  It spoils its inputs, so it gets copies.
"""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from labeltransfer.models.cannon import label, train
from labeltransfer.models.polynomial import polynomial, vectorize

NAMES = ("teff", "logg", "fe_h")
N_TRAIN = 400


@pytest.fixture(scope="module")
def peer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it was written for much older numpy and matplotlib
        from TheCannon import infer_labels, train_model
    return SimpleNamespace(train=train_model._train_model, infer=infer_labels._infer_labels)


@pytest.fixture(scope="module")
def survey():
    """400 reference and 60 survey stars of a quadratic nature, 120 pixels, no masked ones."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((N_TRAIN + 60, 3))
    theta = 0.02 * rng.standard_normal((120, 10)) * np.where(np.arange(10) > 3, 0.3, 1)
    theta[:, 0] = 1.0
    s = rng.uniform(0.004, 0.012, 120)
    sigma = 0.012 * np.exp(0.3 * rng.standard_normal((len(x), 1))) * np.ones(120)
    flux = vectorize(x, polynomial(3, 2)) @ theta.T + np.hypot(s, sigma) * rng.standard_normal(sigma.shape)
    return flux, sigma**-2, np.array([4800, 2.5, -0.2]) + np.array([300, 0.7, 0.3]) * x


@pytest.fixture(scope="module")
def theirs(peer, survey):
    """TheCannon's answer: model, labels and errors of the survey stars."""
    flux, ivar, labels = survey
    found = {}
    dataset = SimpleNamespace(
        get_plotting_labels=lambda: list(NAMES),
        tr_label=labels[:N_TRAIN].copy(),
        tr_flux=flux[:N_TRAIN].copy(),
        tr_ivar=ivar[:N_TRAIN].copy(),
        wl=np.arange(120.0),
        test_flux=flux[N_TRAIN:].copy(),
        test_ivar=ivar[N_TRAIN:].copy(),
        set_test_label_vals=lambda values: found.update(labels=values),
    )
    coeffs, scatters, chisqs, pivots, scales = peer.train(dataset)
    model = SimpleNamespace(coeffs=coeffs, scatters=scatters, pivots=pivots, scales=scales)
    errors, chi2 = peer.infer(model, dataset, starting_guess=np.zeros(3))
    return SimpleNamespace(model=model, chisqs=chisqs, labels=found["labels"], errors=errors, chi2=chi2)


@pytest.fixture(scope="module")
def ours(survey):
    flux, ivar, labels = survey
    return {
        scatter: train(flux[:N_TRAIN], ivar[:N_TRAIN], labels[:N_TRAIN], label_names=NAMES, scatter=scatter)
        for scatter in ("exact", "grid")
    }


def test_the_authors_grid_gives_the_authors_scatter(theirs, ours):
    np.testing.assert_allclose(ours["grid"].scatter, theirs.model.scatters, rtol=1e-6)


def test_model_spectra_agree(survey, theirs, ours):
    """The two centre and scale labels differently, which a full quadratic does not feel."""
    labels = survey[2][N_TRAIN:]
    x = (labels - theirs.model.pivots) / theirs.model.scales
    their_spectra = vectorize(x, polynomial(3, 2)) @ theirs.model.coeffs.T
    spectra = {
        scatter: vectorize(model.to_scaled(labels), model.terms) @ model.theta.T
        for scatter, model in ours.items()
    }
    np.testing.assert_allclose(spectra["grid"], their_spectra, atol=1e-10)
    # a better scatter changes the weights of the stars a little: far less than the error of the coefficients
    difference = np.abs(spectra["exact"] - their_spectra)
    assert 1e-9 < difference.max() < 5e-4
    np.testing.assert_allclose(ours["grid"].chi2, theirs.chisqs.sum(axis=1), rtol=1e-8)


def test_our_likelihood_is_never_below(survey, theirs, ours):
    flux, ivar, labels = (a[:N_TRAIN] for a in survey)

    def minus_two_log_likelihood(x, theta, s):
        variance = 1 / ivar + s**2
        return np.sum(
            (flux - vectorize(x, polynomial(3, 2)) @ theta.T) ** 2 / variance + np.log(variance), axis=0
        )

    model = ours["exact"]
    here = minus_two_log_likelihood(model.to_scaled(labels), model.theta, model.scatter)
    x = (labels - theirs.model.pivots) / theirs.model.scales
    there = minus_two_log_likelihood(x, theirs.model.coeffs, theirs.model.scatters)
    assert (here <= there + 1e-8).all()
    assert np.median(there - here) > 1e-3  # their grid is coarse


def test_labels_agree_and_errors_in_physical_units(survey, theirs, ours):
    flux, ivar, _ = (a[N_TRAIN:] for a in survey)
    found = label(flux, ivar, ours["grid"], starts=[ours["grid"].pivot])
    assert found.converged.all()
    error = np.sqrt(np.einsum("nkk->nk", found.covariance))
    assert (np.abs(found.labels - theirs.labels) < 1e-2 * error).all()
    np.testing.assert_allclose(found.chi2, theirs.chi2, rtol=1e-6)
    # their errors are in units of their scales
    np.testing.assert_allclose(error, theirs.errors * theirs.model.scales, rtol=1e-2)


def test_labels_of_the_exact_model_agree_within_a_fraction_of_the_error(survey, theirs, ours):
    flux, ivar, truth = (a[N_TRAIN:] for a in survey)
    found = label(flux, ivar, ours["exact"], starts=[ours["exact"].pivot])
    error = np.sqrt(np.einsum("nkk->nk", found.covariance))
    assert np.abs((found.labels - theirs.labels) / error).max() < 0.3
    z = (found.labels - truth) / error
    assert 0.85 < z.std() < 1.25
