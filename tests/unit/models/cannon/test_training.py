"""Training against independent maximisers of Eq. 5, known scatter, and spoiled inputs."""

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from labeltransfer.models.cannon import STATUS, error_share, linear_coefficients, predict, train
from labeltransfer.models.cannon.weighting import cleaned
from labeltransfer.models.data import clean_pixels
from labeltransfer.models.polynomial import polynomial, vectorize

NAMES = ("teff", "logg", "fe_h")


def mock_survey(rng, n_star=400, n_pix=40, names=NAMES, order=2, noise=0.02, scatter=0.006):
    """Flux, ivar, labels, true scatter: a random polynomial model with heteroscedastic noise, 5 % masked."""
    k = len(names)
    x = rng.standard_normal((n_star, k)) @ (np.eye(k) + 0.3 * rng.standard_normal((k, k)))
    labels = np.linspace(4500, 0.1, k) + np.linspace(300, 0.1, k) * x
    terms = polynomial(k, order)
    theta = (
        0.02
        * rng.standard_normal((n_pix, len(terms.parent)))
        * 0.4 ** np.maximum(terms.exponents.sum(axis=1) - 1, 0)
    )
    theta[:, 0] = 1.0
    s = scatter * rng.uniform(0.7, 1.3, n_pix)
    sigma = noise * np.exp(
        0.4 * rng.standard_normal((n_star, 1)) + 0.1 * rng.standard_normal((n_star, n_pix))
    )
    flux = vectorize(x, terms) @ theta.T + np.hypot(s, sigma) * rng.standard_normal((n_star, n_pix))
    ivar = np.where(rng.random((n_star, n_pix)) < 0.05, 0.0, sigma**-2)
    return flux, ivar, labels, s


def minus_two_log_likelihood(flux, ivar, design, theta, scatter):
    """Eq. 5 for each pixel, written plainly: only stars with ivar > 0 count."""
    total = np.empty(flux.shape[1])
    for p in range(flux.shape[1]):
        good = ivar[:, p] > 0
        variance = 1 / ivar[good, p] + scatter[p] ** 2
        residual = flux[good, p] - design[good] @ theta[p]
        total[p] = np.sum(residual**2 / variance + np.log(variance))
    return total


def design_of(model, labels):
    return vectorize(model.to_scaled(labels), model.terms)


def fit_at(flux, ivar, design, scatter):
    """Weighted least squares by numpy for every pixel at one scatter."""
    theta = np.empty((flux.shape[1], design.shape[1]))
    for p in range(flux.shape[1]):
        root = np.where(ivar[:, p] > 0, np.sqrt(ivar[:, p] / (1 + ivar[:, p] * scatter[p] ** 2)), 0.0)
        theta[p] = np.linalg.lstsq(root[:, None] * design, root * flux[:, p], rcond=None)[0]
    return theta


def test_theta_and_scatter_are_the_optimum_that_scipy_finds(rng):
    flux, ivar, labels, _ = mock_survey(rng, n_pix=6, noise=0.008)
    model = train(flux, ivar, labels, label_names=NAMES)
    assert (model.scatter > 1e-3).all()
    design = design_of(model, labels)
    for p in range(6):
        good = ivar[:, p] > 0

        def cost(parameters, p=p, good=good):
            theta, log_s = parameters[:-1], parameters[-1]
            variance = 1 / ivar[good, p] + np.exp(2 * log_s)
            residual = flux[good, p] - design[good] @ theta
            value = np.sum(residual**2 / variance + np.log(variance))
            by_theta = -2 * design[good].T @ (residual / variance)
            by_log_s = 2 * np.exp(2 * log_s) * np.sum(1 / variance - residual**2 / variance**2)
            return value, np.append(by_theta, by_log_s)

        start = np.append(np.linalg.lstsq(design[good], flux[good, p], rcond=None)[0], np.log(0.01))
        answer = minimize(cost, start, jac=True, method="BFGS", options={"gtol": 1e-5})
        assert model.scatter[p] == pytest.approx(np.exp(answer.x[-1]), rel=1e-5)
        np.testing.assert_allclose(model.theta[p], answer.x[:-1], atol=1e-7)
        assert np.abs(cost(np.append(model.theta[p], np.log(model.scatter[p])))[1]).max() < 1e-2


@pytest.mark.parametrize("case", ["plain", "outliers", "two noise levels", "noise dominates", "few stars"])
def test_no_other_scatter_is_more_likely(rng, case):
    few = case == "few stars"
    flux, ivar, labels, _ = mock_survey(rng, n_star=30 if few else 300, n_pix=60)
    if case == "outliers":
        flux[::37] += 0.5 * rng.standard_normal(flux[::37].shape)
    elif case == "two noise levels":
        ivar[::4] *= 1e4
    elif case == "noise dominates":
        ivar *= 0.3
    model = train(flux, ivar, labels, label_names=NAMES)
    assert set(np.unique(model.status)) == {0}
    design = design_of(model, labels)
    ours = minus_two_log_likelihood(flux, ivar, design, model.theta, model.scatter)
    # the authors' 19 points, and many more
    for s in np.append(0.0, np.exp(np.arange(np.log(1e-4), 0, 0.1))):
        scatter = np.full(60, s)
        theirs = minus_two_log_likelihood(flux, ivar, design, fit_at(flux, ivar, design, scatter), scatter)
        assert (ours <= theirs + 1e-6).all()


def test_the_exact_scatter_beats_the_grid(rng):
    flux, ivar, labels, _ = mock_survey(rng, n_pix=60)
    exact = train(flux, ivar, labels, label_names=NAMES)
    grid = train(flux, ivar, labels, label_names=NAMES, scatter="grid")
    design = design_of(exact, labels)
    gain = minus_two_log_likelihood(flux, ivar, design, grid.theta, grid.scatter) - minus_two_log_likelihood(
        flux, ivar, design, exact.theta, exact.scatter
    )
    assert gain.min() > -1e-9
    assert np.median(gain) > 1e-3


def test_known_scatter_is_recovered(rng):
    n_star, n_pix = 3000, 80
    flux, ivar, labels, s = mock_survey(rng, n_star=n_star, n_pix=n_pix)
    model = train(flux, ivar, labels, label_names=NAMES)
    # maximum likelihood loses one degree of freedom per coefficient: the expected s^2 is lower by
    # sum over w * leverage / sum over w^2, here made with the true weights
    good = ivar > 0
    weight = np.where(good, ivar / (1 + ivar * s**2), 0)
    design = design_of(model, labels)
    loss = np.empty(n_pix)
    for p in range(n_pix):
        normal = np.linalg.inv(design.T @ (weight[:, p, None] * design))
        leverage = weight[:, p] * np.einsum("nt,tu,nu->n", design, normal, design)
        loss[p] = np.sum(weight[:, p] * leverage) / np.sum(weight[:, p] ** 2)
    error = np.sqrt(2 / np.sum(weight**2, axis=0))
    z = (model.scatter**2 - (s**2 - loss)) / error
    assert abs(z.mean()) < 3 / np.sqrt(n_pix)
    assert 0.8 < z.std() < 1.2
    assert np.median(model.scatter / s) == pytest.approx(1, abs=0.04)


def test_scatter_alone_is_the_rms_of_the_residuals(rng):
    flux, ivar, labels, _ = mock_survey(rng, n_pix=5)
    ivar = np.where(ivar > 0, 1e14, 0)
    model = train(flux, ivar, labels, label_names=NAMES)
    design = design_of(model, labels)
    for p in range(5):
        good = ivar[:, p] > 0
        theta = np.linalg.lstsq(design[good], flux[good, p], rcond=None)[0]
        rms = np.sqrt(np.mean((flux[good, p] - design[good] @ theta) ** 2))
        assert model.scatter[p] == pytest.approx(rms, rel=1e-6)
        np.testing.assert_allclose(model.theta[p], theta, atol=1e-9)
        assert model.chi2[p] == pytest.approx(good.sum(), rel=1e-6)


def test_overestimated_noise_gives_zero_scatter(rng):
    flux, ivar, labels, _ = mock_survey(rng)
    ivar *= 0.2
    model = train(flux, ivar, labels, label_names=NAMES)
    assert (model.scatter == 0).all()
    assert (model.status == STATUS.index("trained")).all()
    expected = fit_at(flux, ivar, design_of(model, labels), np.zeros(flux.shape[1]))
    np.testing.assert_allclose(model.theta, expected, atol=1e-10)
    assert (model.chi2 < 0.5 * model.n_used).all()


def test_chi2_counts_and_frame(rng):
    flux, ivar, labels, _ = mock_survey(rng)
    wavelength = 3905 * 10 ** (1e-4 * np.arange(flux.shape[1]))
    model = train(flux, ivar, labels, label_names=list(NAMES)).on(wavelength)
    assert model.label_names == NAMES
    np.testing.assert_array_equal(model.wavelength, wavelength)
    np.testing.assert_allclose(model.pivot, labels.mean(axis=0))
    np.testing.assert_array_equal(model.n_used, (ivar > 0).sum(axis=0))
    weight = ivar / (1 + ivar * model.scatter**2)
    np.testing.assert_allclose(
        model.chi2, np.sum(weight * (flux - predict(model, labels)) ** 2, axis=0), rtol=1e-9
    )
    assert model.theta.dtype == np.float64


@pytest.mark.parametrize("rubbish", [np.nan, 1e30, -np.inf, 0.0])
def test_masked_pixels_are_inert(rng, rubbish):
    flux, ivar, labels, _ = mock_survey(rng)
    masked = ivar == 0
    assert masked.sum() > 100
    reference = train(flux, ivar, labels, label_names=NAMES)
    spoiled = np.where(masked, rubbish, flux)
    model = train(spoiled, ivar, labels, label_names=NAMES)
    for name in ("theta", "scatter", "chi2", "n_used"):
        assert getattr(model, name).tobytes() == getattr(reference, name).tobytes()
    # neither negative nor infinite nor missing inverse variances count, nor good ones of missing fluxes
    other = train(
        flux, np.where(masked, rng.choice([-1, np.nan, np.inf], ivar.shape), ivar), labels, label_names=NAMES
    )
    assert other.theta.tobytes() == reference.theta.tobytes()
    missing = train(np.where(masked, np.nan, flux), np.where(masked, 100.0, ivar), labels, label_names=NAMES)
    assert missing.theta.tobytes() == reference.theta.tobytes()


def test_pixels_that_cannot_be_trained_are_marked(rng):
    flux, ivar, labels, _ = mock_survey(rng)
    reference = train(flux, ivar, labels, label_names=NAMES)
    ivar[:, 3] = 0
    ivar[15:, 7] = 0  # 15 stars for 10 coefficients
    labels = labels.copy()
    labels[:200, 1] = labels[0, 1]  # at pixel 9 only stars of one log g are left
    ivar[200:, 9] = 0
    model = train(flux, ivar, labels, label_names=NAMES)
    names = np.array(STATUS)[model.status]
    assert set(names[[3, 7]]) == {"too few stars"}
    assert names[9] == "degenerate labels"
    assert (np.delete(names, [3, 7, 9]) == "trained").all()
    assert np.isfinite(model.theta).all()
    assert np.isfinite(model.scatter).all()
    assert (model.theta[[3, 7, 9]] == 0).all()
    np.testing.assert_array_equal(np.flatnonzero(~model.usable), [3, 7, 9])
    assert np.isnan(predict(model, labels[:2])[:, [3, 7, 9]]).all()
    assert reference.usable.all()


def test_inputs_stay_as_they_were(rng):
    flux, ivar, labels, _ = mock_survey(rng)
    before = [a.copy() for a in (flux, ivar, labels)]
    for array in (flux, ivar, labels):
        array.flags.writeable = False
    train(flux, ivar, labels, label_names=NAMES)
    for array, copy in zip((flux, ivar, labels), before, strict=True):
        assert array.tobytes() == copy.tobytes()


def test_single_precision_and_fits_byte_order_change_nothing_that_matters(rng):
    flux, ivar, labels, _ = mock_survey(rng)
    flux, ivar = flux.astype(np.float32), ivar.astype(np.float32)
    wide = train(flux.astype(float), ivar.astype(float), labels, label_names=NAMES)
    for dtype in (np.float32, ">f4", ">f8"):
        model = train(flux.astype(dtype), ivar.astype(dtype), labels, label_names=NAMES)
        assert model.theta.tobytes() == wide.theta.tobytes()


def test_threads_and_blocks(rng, monkeypatch):
    flux, ivar, labels, _ = mock_survey(rng)
    monkeypatch.setattr("labeltransfer.models.cannon.training.PIXEL_BLOCK", 7)
    one = train(flux, ivar, labels, label_names=NAMES, threads=1)
    two = train(flux, ivar, labels, label_names=NAMES, threads=2)
    for name in ("theta", "scatter", "chi2", "n_used", "status"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    monkeypatch.undo()
    other = train(flux, ivar, labels, label_names=NAMES)
    np.testing.assert_allclose(other.theta, one.theta, atol=1e-9)


@pytest.mark.parametrize("order", [1, 3])
def test_other_orders(rng, order):
    flux, ivar, labels, s = mock_survey(rng, n_star=600, order=order, noise=0.005)
    model = train(flux, ivar, labels, label_names=NAMES, order=order)
    assert model.theta.shape == (40, {1: 4, 3: 20}[order])
    expected = fit_at(flux, ivar, design_of(model, labels), model.scatter)
    np.testing.assert_allclose(model.theta, expected, atol=1e-8)
    assert np.median(model.scatter / s) == pytest.approx(1, abs=0.1)


def test_sixteen_labels(rng):
    names = tuple(f"label_{k}" for k in range(16))
    flux, ivar, labels, _ = mock_survey(rng, n_star=500, n_pix=8, names=names)
    model = train(flux, ivar, labels, label_names=names)
    assert model.theta.shape == (8, 153)
    assert (model.status == 0).all()
    expected = fit_at(flux, ivar, design_of(model, labels), model.scatter)
    np.testing.assert_allclose(model.theta, expected, atol=1e-7)


def test_gradients_and_linear_coefficients(rng):
    flux, ivar, labels, _ = mock_survey(rng)
    model = train(flux, ivar, labels, label_names=NAMES, order=2)
    steps = np.array([200.0, 0.5, 0.2])
    rows = model.gradients(model.pivot, steps, central=False)
    linear = linear_coefficients(model, {"fe_h": 0.05, "teff": 91.5})
    assert list(linear) == ["fe_h", "teff"]
    for k, name in ((0, "teff"), (2, "fe_h")):
        square = model.theta[:, 1 + 3 + {0: 0, 2: 5}[k]] * (steps[k] / model.scale[k]) ** 2
        expected = model.theta[:, 1 + k] * steps[k] / model.scale[k] + square
        np.testing.assert_allclose(rows[k], expected, atol=1e-13)
        per = {"teff": 91.5, "fe_h": 0.05}[name]
        np.testing.assert_allclose(linear[name], model.theta[:, 1 + k] * per / model.scale[k], atol=1e-15)
    with pytest.raises(ValueError, match="no label mg_h; it has teff, logg, fe_h"):
        linear_coefficients(model, {"mg_h": 0.1})


def test_bad_input_is_refused_with_the_cure(rng):
    flux, ivar, labels, _ = mock_survey(rng)
    with pytest.raises(ValueError, match=r"flux and ivar must both be \(n_star, n_pix\)"):
        train(flux, ivar[:, 1:], labels, label_names=NAMES)
    with pytest.raises(ValueError, match="labels must be"):
        train(flux, ivar, labels[:, :2], label_names=NAMES)
    spoiled = labels.copy()
    spoiled[4, 1] = np.nan
    with pytest.raises(ValueError, match="logg is not finite for 1 of 400 stars"):
        train(flux, ivar, spoiled, label_names=NAMES)
    spoiled[:, 1] = 2.5
    with pytest.raises(ValueError, match=r"logg is 2.5 for every star"):
        train(flux, ivar, spoiled, label_names=NAMES)
    with pytest.raises(ValueError, match="needs at least 20 training stars, found 19"):
        train(flux[:19], ivar[:19], labels[:19], label_names=NAMES)
    with pytest.raises(ValueError, match="scatter must be one of exact, reml, grid"):
        train(flux, ivar, labels, label_names=NAMES, scatter="median")


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_the_compiled_cleaning_is_that_of_numpy(rng, kind):
    flux, ivar = rng.standard_normal((2, 30, 20)).astype(kind)
    flux[3, 4], flux[5, 6], ivar[7, 8], ivar[9, 10] = np.nan, np.inf, np.nan, np.inf
    expected = clean_pixels(flux, ivar, slice(2, 15))
    for found, wanted in zip(cleaned(flux, ivar, slice(2, 15)), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == wanted.dtype


def test_reml_is_the_maximum_of_the_restricted_likelihood(rng):
    # S/N that goes with a label, so that stars of high leverage are also those of high weight.
    flux, ivar, labels, _ = mock_survey(rng, n_star=120, n_pix=12)
    tilt = np.exp(0.8 * (labels[:, :1] - labels[:, 0].mean()) / labels[:, 0].std())
    flux += (1 / np.sqrt(tilt) - 1) * 0.02 * rng.standard_normal(flux.shape)
    ivar *= tilt
    model = train(flux, ivar, labels, label_names=NAMES, scatter="reml")
    design = design_of(model, labels)

    def cost(s2, p):
        weight = ivar[:, p] / (1 + ivar[:, p] * s2)
        normal = design.T @ (weight[:, None] * design)
        theta = np.linalg.solve(normal, design.T @ (weight * flux[:, p]))
        used = weight > 0
        chi2 = np.sum(weight * (flux[:, p] - design @ theta) ** 2)
        return chi2 - np.log(weight[used]).sum() + np.linalg.slogdet(normal)[1]

    for p in range(12):
        typical = 1 / ivar[ivar[:, p] > 0, p].mean()
        best = minimize_scalar(
            cost, args=(p,), bounds=(0, 0.05**2), method="bounded", options={"xatol": 1e-12}
        )
        assert model.scatter[p] ** 2 == pytest.approx(best.x, abs=2e-3 * (typical + best.x))


@pytest.mark.parametrize(("n_star", "order"), [(200, 2), (120, 3)])
def test_reml_is_not_low_where_coefficients_are_many(rng, n_star, order):
    flux, ivar, labels, s = mock_survey(rng, n_star=n_star, n_pix=150, order=order, noise=0.002)
    found = {
        name: train(flux, ivar, labels, label_names=NAMES, order=order, scatter=name).scatter
        for name in ("exact", "reml")
    }
    n_term = len(polynomial(3, order).parent)
    error = 3 / np.sqrt(2 * (n_star - n_term) * 150)
    assert np.mean((found["reml"] / s) ** 2) == pytest.approx(1, abs=2 * error)
    assert np.mean((found["exact"] / s) ** 2) < 1 - 0.7 * n_term / n_star


def test_reml_is_exact_likelihood_for_many_stars(rng):
    flux, ivar, labels, _ = mock_survey(rng, n_star=3000, n_pix=20, noise=0.006)
    exact, reml = (train(flux, ivar, labels, label_names=NAMES, scatter=name) for name in ("exact", "reml"))
    assert (reml.scatter > exact.scatter).all()
    np.testing.assert_allclose(reml.scatter, exact.scatter, rtol=0.01)
    np.testing.assert_allclose(reml.theta, exact.theta, atol=1e-5)


def test_linear_model_of_labels_with_errors_is_fullers(rng):
    flux, ivar, labels, _ = mock_survey(rng, n_star=800, n_pix=8, order=1)
    error = np.array([0.3, 0.0, 0.2]) * labels.std(axis=0)
    errors = error * rng.uniform(0.5, 1.2, labels.shape)
    noisy = labels + errors * rng.standard_normal(labels.shape)
    model = train(flux, ivar, noisy, label_names=NAMES, order=1, label_errors=errors)
    design = design_of(model, noisy)
    variance = np.zeros((800, 4, 4))
    for j in range(3):
        variance[:, j + 1, j + 1] = (errors[:, j] / model.scale[j]) ** 2
    assert error_share(noisy, errors, 1) == 1
    for p in range(8):
        # The weights hold what label errors add to the scatter; the coefficients hardly depend on them.
        residual = flux[:, p] - design @ model.theta[p]
        extra = np.mean(residual[ivar[:, p] > 0] ** 2 - 1 / ivar[ivar[:, p] > 0, p])
        weight = ivar[:, p] / (1 + ivar[:, p] * extra)
        normal = np.einsum("n,nt,nu->tu", weight, design, design) - np.einsum("n,ntu->tu", weight, variance)
        fuller = np.linalg.solve(normal, design.T @ (weight * flux[:, p]))
        np.testing.assert_allclose(model.theta[p], fuller, atol=3e-4)


def test_errors_of_labels_neither_flatten_the_model_nor_add_to_its_scatter(rng):
    n_star, n_pix = 6000, 60
    flux, ivar, labels, s = mock_survey(rng, n_star=n_star, n_pix=n_pix, noise=0.005, scatter=0.01)
    errors = np.broadcast_to(np.array([0.2, 0.25, 0.15]) * labels.std(axis=0), labels.shape)
    noisy = labels + errors * rng.standard_normal(labels.shape)
    truth = train(flux, ivar, labels, label_names=NAMES)
    plain = train(flux, ivar, noisy, label_names=NAMES, scatter="reml")
    model = train(flux, ivar, noisy, label_names=NAMES, scatter="reml", label_errors=errors)
    probes = labels[:500]

    def slope(found):
        expected = predict(truth, probes) - predict(truth, probes).mean(axis=0)
        return np.sum(predict(found, probes) * expected) / np.sum(expected**2)

    assert slope(plain) < 0.97
    assert slope(model) == pytest.approx(1, abs=0.01)
    assert np.median(plain.scatter / s) > 1.2
    assert np.median(model.scatter / s) == pytest.approx(1, abs=0.05)
    assert (model.status == STATUS.index("trained")).all()


def test_errors_of_labels_that_are_none_change_nothing(rng):
    flux, ivar, labels, _ = mock_survey(rng)
    none = train(flux, ivar, labels, label_names=NAMES)
    for errors in (np.zeros(labels.shape), np.full(labels.shape, np.nan)):
        model = train(flux, ivar, labels, label_names=NAMES, label_errors=errors)
        assert model.theta.tobytes() == none.theta.tobytes()
        assert model.scatter.tobytes() == none.scatter.tobytes()


def test_errors_as_large_as_the_spread_are_corrected_for_in_part(rng):
    flux, ivar, labels, _ = mock_survey(rng, n_pix=8)
    small, large = (np.broadcast_to(part * labels.std(axis=0), labels.shape) for part in (0.05, 0.8))
    assert error_share(labels, small) == 1
    share = error_share(labels, large)
    assert 0 < share < 0.6
    assert error_share(labels, 1.1 * large) == pytest.approx(share / 1.21, abs=2e-3)
    # One star of which nothing is known does not end the correction for all others.
    one = small.copy()
    one[7] = 1e6
    assert error_share(labels, one) > 0.9
    model = train(flux, ivar, labels, label_names=NAMES, label_errors=large)
    assert model.usable.all()
    assert error_share(np.repeat(labels[:, :1], 2, axis=1), np.ones((400, 2))) == 0


def test_a_pixel_of_few_stars_is_trained_whatever_the_errors_of_their_labels(rng):
    flux, ivar, labels, _ = mock_survey(rng, n_star=300, n_pix=30)
    errors = np.broadcast_to(0.35 * labels.std(axis=0), labels.shape)
    ivar[:, :20] = np.where(np.arange(300)[:, None] < 30, ivar[:, :20], 0)
    model = train(flux, ivar, labels, label_names=NAMES, label_errors=errors)
    plain = train(flux, ivar, labels, label_names=NAMES)
    assert model.usable.all()
    as_they_are = (model.theta == plain.theta).all(axis=1)
    assert as_they_are[:20].any()
    assert not as_they_are[20:].any()


def test_errors_of_labels_that_cannot_be_are_refused(rng):
    flux, ivar, labels, _ = mock_survey(rng)
    with pytest.raises(ValueError, match=r"label_errors must be \(400, 3\) numbers"):
        train(flux, ivar, labels, label_names=NAMES, label_errors=np.ones(3))
    with pytest.raises(ValueError, match=r"not negative: found .* from -1 to"):
        train(flux, ivar, labels, label_names=NAMES, label_errors=np.full(labels.shape, -1.0))
    with pytest.raises(ValueError, match="'grid' knows no errors"):
        train(flux, ivar, labels, label_names=NAMES, label_errors=np.ones(labels.shape), scatter="grid")
