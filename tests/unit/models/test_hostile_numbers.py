"""Numbers that are legal and hostile: whatever the spectra hold, results are finite or say why they are not."""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from labeltransfer.models import cannon
from labeltransfer.models.clip import train_with_clip
from labeltransfer.models.network import NetworkOptions, train_network
from labeltransfer.models.scatter import TRIALS, best_trial, newton_scatter

NAMES = ("teff", "fe_h")
N_STAR, N_PIX = 48, 6
TRAIN = {
    "linear": partial(cannon.train, label_names=NAMES, order=1),
    "quadratic": partial(cannon.train, label_names=NAMES, order=2),
    "authors' scatter": partial(cannon.train, label_names=NAMES, order=2, scatter="grid"),
    "network": partial(
        train_network, label_names=NAMES, options=NetworkOptions(hidden=3, n_iterations=4, ridge=1e-2)
    ),
}
CHANGES = {
    "none": lambda flux, ivar, rng: None,
    "identical stars": lambda flux, ivar, rng: flux.__setitem__(slice(None), flux[0]),
    "constant pixels": lambda flux, ivar, rng: flux.__setitem__((slice(None), slice(3)), 1.0),
    "no noise": lambda flux, ivar, rng: flux.__setitem__(slice(None), np.round(flux, 2)),
    "zeros": lambda flux, ivar, rng: flux.__setitem__(slice(None), 0.0),
    "one good star": lambda flux, ivar, rng: ivar.__setitem__((slice(1, None), 2), 0.0),
    "no good star": lambda flux, ivar, rng: ivar.__setitem__((slice(None), 2), 0.0),
    "a star of another size": lambda flux, ivar, rng: flux.__setitem__(5, 1e30),
    "a dark star": lambda flux, ivar, rng: flux.__setitem__(5, -1e30),
    "not numbers": lambda flux, ivar, rng: flux.__setitem__(rng.random(flux.shape) < 0.1, np.nan),
    "a certain star": lambda flux, ivar, rng: ivar.__setitem__(7, ivar[7] * 1e25),
    "a hopeless star": lambda flux, ivar, rng: ivar.__setitem__(7, ivar[7] * 1e-25),
    "widely different errors": lambda flux, ivar, rng: np.multiply(
        ivar, 10.0 ** rng.uniform(-12, 12, ivar.shape), out=ivar
    ),
}
LABELS = {
    "good": lambda labels: labels,
    "collinear": lambda labels: np.column_stack([labels[:, 0], 2.0 * labels[:, 0]]),
    "all but collinear": lambda labels: np.column_stack([labels[:, 0], labels[:, 0] + 1e-9 * labels[:, 1]]),
    "two values": lambda labels: np.sign(labels),
    "an outlier": lambda labels: np.where(np.arange(len(labels))[:, None] == 3, 1e12, labels),
    "tiny": lambda labels: 1e-30 * labels,
    "far from zero": lambda labels: 1e9 + labels,
}


def spectra(change, labels, size, noise, seed):
    """Spectra and labels of stars; all fluxes times 10^size, with errors to match."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((N_STAR, 2))
    sigma = 10.0**noise
    flux = (
        1
        + 0.05 * x @ rng.standard_normal((2, N_PIX))
        + min(sigma, 1.0) * rng.standard_normal((N_STAR, N_PIX))
    )
    ivar = np.full(flux.shape, sigma**-2)
    CHANGES[change](flux, ivar, rng)
    return flux * 10.0**size, ivar * 10.0 ** (-2 * size), LABELS[labels](x)


def check_model(model):
    arrays = ("theta",) if model.kind == "cannon" else ("W", "c", "w", "b", "loss")
    for name in (*arrays, "scatter", "chi2"):
        assert np.isfinite(getattr(model, name)).all(), name
    assert (model.scatter >= 0).all()


def check_labels(found):
    fitted = found.start >= 0
    for name in ("labels", "covariance", "chi2"):
        values = getattr(found, name).reshape(len(fitted), -1)
        assert np.isfinite(values[fitted]).all(), name
        assert np.isnan(values[~fitted]).all(), name
    assert not found.converged[~fitted].any()
    variances = np.diagonal(found.covariance, axis1=1, axis2=2)[fitted]
    assert (variances > 0).all()


@pytest.mark.parametrize("kind", TRAIN)
@given(
    change=st.sampled_from(list(CHANGES)),
    labels=st.sampled_from(list(LABELS)),
    size=st.sampled_from([0, -30, 30]),
    noise=st.sampled_from([-2, -10, -30, 0, 15]),
    seed=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_every_number_is_finite_or_says_why(kind, change, labels, size, noise, seed):
    flux, ivar, known = spectra(change, labels, size, noise, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = TRAIN[kind](flux, ivar, known)
        check_model(model)
        if model.usable.any():
            check_labels(model.label(flux, ivar, starts=known[:3]))
            if size == 0:
                with np.errstate(over="ignore"):
                    rounded = flux.astype("f4"), ivar.astype("f4")
                check_labels(model.label(*rounded, starts=known[:3]))
        else:
            with pytest.raises(ValueError, match=f"none of the {N_PIX} pixels of the model can be used: "):
                model.label(flux, ivar, starts=known[:3])


def likelihood_slope(s2, residual, ivar):
    """Derivative of minus twice the logarithm of the likelihood by s^2."""
    w = 1 / (1 / ivar + s2)
    return np.sum(w - (w * residual) ** 2)


@pytest.mark.parametrize("ivar", [1.0, 1e4, 1e-6, 1e12])
def test_scatter_of_stars_with_equal_errors_is_what_a_root_finder_finds(rng, ivar):
    residual = rng.standard_normal((1000, 40)) * rng.uniform(0.2, 3, 1000)[:, None] / np.sqrt(ivar)
    everywhere = np.full(residual.shape, ivar)
    start = best_trial(everywhere, residual, TRIALS)
    s2, chi2 = newton_scatter(everywhere, residual, np.zeros_like(residual), start, 1e-9, np.zeros(1000))
    # With equal errors the maximum is known: the mean square residual beyond the noise.
    expected = np.maximum((residual**2).mean(axis=1) - 1 / ivar, 0.0)
    np.testing.assert_allclose(s2, expected, rtol=1e-6, atol=1e-9 / ivar)
    np.testing.assert_allclose(chi2, (residual**2).sum(axis=1) / (1 / ivar + expected), rtol=1e-6)
    # And where they differ, a root finder knows it.
    uneven = everywhere * rng.uniform(0.1, 10, residual.shape)
    s2, _ = newton_scatter(
        uneven, residual, np.zeros_like(residual), best_trial(uneven, residual, TRIALS), 1e-9, np.zeros(1000)
    )
    for row in range(0, 1000, 100):
        slope = partial(likelihood_slope, residual=residual[row], ivar=uneven[row])
        if s2[row] == 0:
            assert slope(0.0) >= 0
        else:
            root = brentq(slope, s2[row] / 3, s2[row] * 3, xtol=1e-12 / ivar, rtol=1e-12)
            assert s2[row] == pytest.approx(root, rel=1e-5)


def test_equal_errors_of_many_pixels_leave_none_infinite(rng):
    x = rng.standard_normal((400, 2))
    flux = 1 + x @ (0.02 * rng.standard_normal((2, 4000))) + 0.01 * rng.standard_normal((400, 4000))
    model = TRAIN["linear"](flux, np.full(flux.shape, 1e4), x)
    assert np.isfinite(model.scatter).all()
    assert model.usable.all()
    assert np.median(model.scatter) < 0.005
    found = model.label(flux, np.full(flux.shape, 1e4), starts=x[:3])
    assert found.converged.all()
    assert np.abs(found.labels - x).std() < 0.05


@pytest.mark.parametrize("kind", ["quadratic", "network"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_not_finite_touches_no_star_whatever_its_status_says(kind, bad):
    flux, ivar, labels = spectra("none", "good", 0, -2, 1)
    model = TRAIN[kind](flux, ivar, labels)
    good = ivar.copy()
    good[:, 3] = 0.0
    expected = model.label(flux, good, starts=labels[:3])
    for name in ("theta", "scatter") if kind == "quadratic" else ("W", "c", "w", "b", "scatter"):
        spoiled = getattr(model, name).copy()
        spoiled[3] = bad
        one = replace(model, **{name: spoiled})
        assert model.status_texts[one.status[3]] == "trained"
        assert np.flatnonzero(~one.usable).tolist() == [3]
        found = one.label(flux, ivar, starts=labels[:3])
        np.testing.assert_allclose(found.labels, expected.labels, rtol=1e-6, atol=1e-9, err_msg=name)
        np.testing.assert_array_equal(found.n_pix, N_PIX - 1)
        assert np.isnan(one.predict(labels)[:, 3]).all()
        assert np.isfinite(np.delete(one.predict(labels), 3, axis=1)).all()


@pytest.mark.parametrize("kind", ["linear", "network"])
def test_training_that_leaves_nothing_says_so(kind):
    flux, ivar, labels = spectra("none", "good", 0, -2, 1)
    model = TRAIN[kind](flux, np.zeros_like(ivar), labels)
    assert not model.usable.any()
    with pytest.raises(
        ValueError, match="none of the 6 pixels of the model can be used: 6 too few stars; look at"
    ):
        model.label(flux, ivar, starts=labels[:3])
    if kind == "linear":
        with pytest.raises(ValueError, match="6 too few stars"):
            train_with_clip(lambda keep: model, flux, np.zeros_like(ivar), labels)


def test_stars_that_all_lose_their_labels_are_no_matter_of_cuts():
    flux, ivar, labels = spectra("none", "good", 0, -2, 1)

    def blind(keep):
        """A model so bad that no pixel tells anything."""
        return replace(TRAIN["linear"](flux[keep], ivar[keep], labels[keep]), theta=np.zeros((N_PIX, 3)))

    with pytest.raises(ValueError, match=r"none of 48 reference stars gets labels.*uses 6 of 6 pixels"):
        train_with_clip(blind, flux, ivar, labels)
