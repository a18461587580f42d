"""Errors from what principal components leave of spectra, against noise that is known."""

from typing import NamedTuple

import numpy as np
import pytest

import labeltransfer
from labeltransfer.files.tables import write_table
from labeltransfer.spectra.normalise import normalise
from labeltransfer.spectra.prepare import gridded_from, prepared
from labeltransfer.spectra.residual_noise import (
    NoiseModel,
    model_table,
    noise_model,
    read_model,
    residual_ivar,
)
from labeltransfer.surveys.base import Spectrum

N_STAR, N_PIX, N_COMPONENT = 160, 1400, 4
# Standard deviation of the logarithm of a scale from n normal values times (2 n)^1/2: 1 if all count, and this if those
# within three of it do (1.077 and 1.083 in 20,000 draws of 665 and of 160).
CLIPPED = 1.08


class Made(NamedTuple):
    """Spectra of known noise: sigma = star x shape / sqrt(weight)."""

    flux: np.ndarray
    weight: np.ndarray
    sigma: np.ndarray


@pytest.fixture
def spectra(rng):
    """Make spectra of a few patterns, with noise of any size by star and by pixel, masks and outliers."""
    patterns = np.cumsum(rng.standard_normal((N_COMPONENT, N_PIX)), axis=1) / 300
    shape = np.exp(0.4 * np.sin(np.arange(N_PIX) / 90))

    def make(n, slope=0.0):
        star = 0.01 * np.exp(0.5 * rng.standard_normal(n))
        sigma = star[:, None] * shape * np.exp(slope * np.linspace(-1, 1, N_PIX))
        flux = 1 + rng.standard_normal((n, N_COMPONENT)) @ patterns
        flux += sigma * rng.standard_normal(flux.shape)
        weight = (rng.random(flux.shape) > 0.05).astype(float)
        flux[weight == 0] = 50.0
        flux[rng.random(flux.shape) < 0.003] += 0.5
        return Made(flux, weight, sigma)

    return make


def log_ratio(ivar, made):
    """ln of found over true noise, NaN in bad pixels."""
    good = ivar > 0
    np.testing.assert_array_equal(good, made.weight > 0)
    return np.log(np.where(good, 1 / np.sqrt(np.where(good, ivar, 1)), np.nan) / made.sigma)


@pytest.mark.parametrize("n_components", [N_COMPONENT, 4 * N_COMPONENT])
def test_noise_is_found_by_star_and_by_pixel(spectra, rng, n_components):
    made, others = spectra(N_STAR), spectra(60)
    model = noise_model(made.flux, made.weight, n_components, rng)
    # Of sigma, by the noise of the components, if nothing takes it off; and by the largest of four scales, which lies
    # 1.03 standard deviations above their mean if they have nothing in common.
    added = 0.5 * n_components / (0.75 * N_STAR)
    by_star = CLIPPED / np.sqrt(2 * 665)
    for one, largest in ((made, 0), (others, 1.03 * by_star)):
        ivar, factor = residual_ivar(one.flux, one.weight, model)
        ratio = log_ratio(ivar, one)
        assert factor.shape == (len(one.flux), 2)
        assert -added < np.nanmedian(ratio) < added + largest
        # A scatter of n numbers is itself uncertain by (2 n)^-1/2.
        # A star has two factors, of 665 good pixels each, and what components add to it differs by star.
        assert np.std(np.nanmedian(ratio, axis=1)) < np.hypot(by_star, added) * (
            1 + 4 / np.sqrt(2 * len(ratio))
        )
    by_pixel = np.nanmedian(log_ratio(residual_ivar(made.flux, made.weight, model)[0], made), axis=0)
    assert np.std(by_pixel) < np.hypot(CLIPPED / np.sqrt(2 * 0.95 * N_STAR), added) * (
        1 + 4 / np.sqrt(2 * N_PIX)
    )


def test_a_factor_follows_the_wavelength(spectra, rng):
    plain, steep = spectra(N_STAR), spectra(40, slope=0.5)
    model = noise_model(plain.flux, plain.weight, N_COMPONENT, rng)
    ivar, factor = residual_ivar(steep.flux, steep.weight, model)
    # The middles of the two halves of the grid are 1 of the 2 in which the noise grows by exp(2 x 0.5).
    error = CLIPPED * np.sqrt(2) / np.sqrt(2 * 665)
    assert np.median(np.log(factor[:, 1] / factor[:, 0])) == pytest.approx(0.5, abs=4 * error / np.sqrt(40))
    assert np.nanmax(np.abs(np.nanmedian(log_ratio(ivar, steep)[:, 300:1100], axis=1))) < 4 * error


def test_a_star_unlike_the_others_is_no_better_known_for_being_among_them(spectra, rng):
    made = spectra(N_STAR)
    lines = 0.1 * rng.standard_normal(N_PIX)  # nothing that other stars have
    made.flux[7] += np.where(made.weight[7] > 0, lines, 0.0)
    among = noise_model(made.flux, made.weight, 2 * N_COMPONENT, np.random.default_rng(1))
    rest = np.arange(N_STAR) != 7
    without = noise_model(made.flux[rest], made.weight[rest], 2 * N_COMPONENT, np.random.default_rng(1))
    size = np.sqrt(np.median(made.sigma[7]) ** 2 + 0.1**2)
    error = 4 * CLIPPED / np.sqrt(2 * 665)
    for model in (among, without):
        noise = residual_ivar(made.flux[7:8], made.weight[7:8], model)[1][0] * np.median(model.shape)
        # The shape of these residuals is not that of the noise: it is flat.
        flat = np.exp(np.mean(np.log(model.shape)))
        assert np.log(noise * flat / size) == pytest.approx(0, abs=error + np.std(np.log(model.shape)) ** 2)
    others = [residual_ivar(made.flux[rest], made.weight[rest], model)[1] for model in (among, without)]
    # To the others it is no more than the noise of other components.
    added = 0.5 * 2 * N_COMPONENT / (0.75 * N_STAR)
    assert np.abs(np.median(np.log(others[0] / others[1]))) < added
    assert np.abs(np.log(others[0] / others[1])).max() < error


def test_pixels_that_components_are_made_of_have_no_less_noise(spectra, rng):
    made = spectra(N_STAR)
    # Ten components of four pixels each, of which a fit takes a quarter of the noise: 13 % in sigma.
    lines = 100 + 120 * np.arange(10)[:, None] + np.arange(4)
    made.flux[:, lines] += 0.3 * rng.standard_normal((N_STAR, 10, 1)) * (made.weight[:, lines] > 0)
    model = noise_model(made.flux, made.weight, N_COMPONENT + 10, rng)
    ratio = np.nanmedian(log_ratio(residual_ivar(made.flux, made.weight, model)[0], made), axis=0)
    error = CLIPPED / np.sqrt(2 * 0.95 * N_STAR) / np.sqrt(lines.size)
    assert np.mean(ratio[lines]) - np.median(ratio) == pytest.approx(0, abs=4 * error)


def test_outliers_and_what_bad_pixels_hold_change_little_and_nothing(spectra, rng):
    made = spectra(N_STAR)
    model = noise_model(made.flux, made.weight, N_COMPONENT, np.random.default_rng(1))
    held = np.where(made.weight > 0, made.flux, np.nan)
    again = noise_model(held, made.weight, N_COMPONENT, np.random.default_rng(1))
    for one, other in zip(model, again, strict=True):
        np.testing.assert_array_equal(one, other)
    ivar, factor = residual_ivar(made.flux, made.weight, model)
    found = residual_ivar(held, made.weight, model)
    np.testing.assert_array_equal(found[0], ivar)
    held[3, rng.choice(N_PIX, 20)] = 1e3
    spoiled = residual_ivar(held[3:4], made.weight[3:4], model)[1]
    assert np.abs(np.log(spoiled / factor[3])).max() < 20 / 665


def test_stars_without_a_good_pixel_and_pixels_without_a_star_have_no_weight(spectra, rng):
    made = spectra(N_STAR)
    made.weight[:, 100:104] = 0
    made.weight[5] = 0
    made.weight[6, :690] = 0
    model = noise_model(made.flux, made.weight, N_COMPONENT, rng)
    assert all(np.isfinite(part).all() for part in model)
    made.weight[8, 102] = 1
    ivar, factor = residual_ivar(made.flux, made.weight, model)
    np.testing.assert_array_equal(ivar > 0, made.weight > 0)
    assert np.isnan(factor[5]).all()
    # Half a spectrum has the factor of its other half.
    assert np.log(factor[6, 0] / factor[6, 1]) == pytest.approx(0, abs=0.02)


def test_the_cannon_has_a_chi2_of_one_per_degree_of_freedom(rng):
    n, half = 400, 200
    labels = np.column_stack([rng.normal(5000, 300, n), rng.normal(-0.3, 0.4, n)])
    x = (labels - [5000, -0.3]) / [300, 0.4]
    terms = np.column_stack([np.ones(n), x, x**2, x[:, :1] * x[:, 1:]])
    coefficients = 0.02 * rng.standard_normal((6, N_PIX))
    coefficients[0] = 1
    sigma = 0.01 * np.exp(0.5 * rng.standard_normal((n, 1)) + 0.3 * np.sin(np.arange(N_PIX) / 90))
    flux = terms @ coefficients + sigma * rng.standard_normal((n, N_PIX))
    weight = (rng.random(flux.shape) > 0.02).astype(float)
    model = noise_model(flux[:half], weight[:half], 8, rng)
    ivar, _ = residual_ivar(flux, weight, model)
    trained = labeltransfer.train(
        flux[:half], ivar[:half], labels[:half], label_names=("teff", "fe_h"), order=2, scatter="reml"
    )
    found = trained.label(flux[half:], ivar[half:])
    # Coefficients from 200 stars have noise of their own, of up to 6/200 of the variance; components of 150 stars
    # are good for 8/150; beside that chi2 of all pixels together is 1 within (2 / n_pix)^1/2.
    limit = 6 / half + 8 / 150 + 4 * np.sqrt(2 / (half * N_PIX))
    assert np.median(found.reduced_chi2) == pytest.approx(1, abs=limit)
    z = (found.labels - labels[half:]) / np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
    assert np.std(z, axis=0) == pytest.approx([1, 1], abs=4 / np.sqrt(2 * half) + limit)
    assert np.median(trained.scatter) < 0.2 * np.median(sigma)


@pytest.mark.parametrize("variance", ["information", "propagate"])
def test_spectra_without_errors_are_prepared_as_if_they_had_them(rng, variance):
    wavelength = 10 ** np.arange(3.68, 3.76, 1e-4)
    sigma = 0.01 * np.exp(0.4 * rng.standard_normal((120, 1)))
    z = rng.uniform(-3e-4, 3e-4, 120)
    flux = 1 + 0.05 * rng.standard_normal((120, 1)) * np.sin(wavelength / (1 + z[:, None]) / 10)
    flux += sigma * rng.standard_normal(flux.shape)
    preparation = {"windows": [], "variance": variance, "missing_errors": "residuals"}
    settings = labeltransfer.default_settings({"lower": 4900.0, "upper": 5600.0}, preparation)
    bad = np.zeros(len(wavelength), dtype=np.uint32)

    def reader(i, ivar):
        return lambda: Spectrum(wavelength, flux[i], ivar, bad, bad, z[i], np.nan, str(i))

    names = [str(i) for i in range(120)]
    raw = gridded_from([reader(i, None) for i in range(120)], settings)
    with pytest.raises(ValueError, match=r"missing_errors: 'residuals' need a noise model"):
        prepared(names, raw, settings)
    flat, _, _ = normalise(raw.flux, raw.ivar, settings.kernel)
    model = noise_model(flat, raw.ivar, 3, rng)
    found = prepared(names, raw, settings._replace(missing_errors=model))
    given = [reader(i, np.full(len(wavelength), sigma[i, 0] ** -2)) for i in range(120)]
    expected = prepared(names, gridded_from(given, settings), settings)
    np.testing.assert_array_equal(found[0], expected[0])
    # By star: a scale from 577 pixels of which neighbours go together, so that half as many count. Components of 90
    # stars have noise of their own, and a pseudo-continuum that averages 40 pixels or more has taken some along.
    ratio = np.median(0.5 * np.log(found[1] / expected[1]), axis=1)
    each, added = CLIPPED / np.sqrt(577), 0.5 * 3 / 90
    assert abs(np.median(ratio)) < added + 0.5 / 40 + 4 * 1.25 * each / np.sqrt(120)
    assert np.std(ratio) < np.hypot(each, added) * (1 + 4 / np.sqrt(2 * 120))


def test_a_model_of_few_spectra_is_refused(spectra, rng):
    made = spectra(40)
    with pytest.raises(
        ValueError, match=r"16 components of 40 spectra without errors: 30 are in the smallest"
    ):
        noise_model(made.flux, made.weight, 16, rng)
    with pytest.raises(ValueError, match=r"of 0 spectra"):
        noise_model(made.flux[:0], made.weight[:0], 4, rng)


def test_a_model_comes_back_from_its_file_and_fits_its_grid_alone(tmp_path, rng):
    model = NoiseModel(rng.random((4, 30)), rng.random((4, 3, 30)), rng.random(30))
    wavelength = np.linspace(5000.0, 5030.0, 30)
    write_table(model_table(wavelength, model), tmp_path / "model.fits")
    for one, other in zip(read_model(tmp_path / "model.fits", wavelength), model, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match=r"model.fits: of another grid"):
        read_model(tmp_path / "model.fits", wavelength + 1)
