"""Eq. 1 against a dense direct implementation, TheCannon, and its own invariants."""

import warnings

import numpy as np
import pytest

from labeltransfer.spectra.frame import to_common_grid
from labeltransfer.spectra.grid import common_grid
from labeltransfer.spectra.normalise import FORMS, banded_kernel, kernel_fwhm, normalise, typical_noise
from labeltransfer.surveys.grids import lamost_grid

GRID = common_grid()
# The pseudo-continuum is interpolated between every fourth pixel; nothing else stands between it and the sums.
NODES = 5e-6


@pytest.fixture(scope="module")
def kernel():
    return banded_kernel(GRID)


@pytest.fixture
def spectra(rng):
    """Three spectra with lines, slopes of a factor 5, noise, and bad pixels, gaps of 200 A among them."""
    slope = np.exp(np.array([[0.0], [1.6], [-1.6]]) * (GRID - 3905) / 5095)
    flux = (
        1000 * slope * (1 - 0.4 * (rng.random((3, len(GRID))) < 0.05)) * rng.normal(1, 0.02, (3, len(GRID)))
    )
    ivar = rng.uniform(0.5, 2, flux.shape) / (0.02 * flux) ** 2
    ivar[rng.random(flux.shape) < 0.03] = 0.0
    ivar[1, (GRID > 6800) & (GRID < 7000)] = 0.0
    return flux, ivar


def weight(distance, form, width):
    """The three weights as they are printed."""
    return {
        "exp(-d2/L2)": np.exp(-(distance**2) / width**2),
        "exp(-d2/2L2)": np.exp(-(distance**2) / (2 * width**2)),
        "fwhm": 2.0 ** (-((2 * distance / width) ** 2)),
    }[form]


@pytest.mark.parametrize(("form", "width"), [("exp(-d2/L2)", 50.0), ("exp(-d2/2L2)", 50.0), ("fwhm", 50.0)])
def test_equation_1_against_a_dense_sum(spectra, form, width):
    flux, ivar = spectra
    w = weight(GRID - GRID[:, None], form, width)
    expected = (ivar * flux) @ w / (ivar @ w)
    out, weights, continuum = normalise(flux, ivar, banded_kernel(GRID, width, form))
    good = ivar > 0
    np.testing.assert_allclose(continuum[good], expected[good], rtol=NODES)
    np.testing.assert_allclose(out[good], (flux / expected)[good], rtol=NODES)
    np.testing.assert_allclose(weights, ivar * np.where(good, expected, 0.0) ** 2, rtol=2 * NODES)
    assert np.all(out[~good] == 1)


def test_the_authors_kernel_agrees_with_thecannon(spectra):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it was written for much older numpy and matplotlib
        from TheCannon import normalization as peer
    flux, ivar = spectra
    continuum = peer._find_cont_gaussian_smooth(GRID, flux, ivar, peer.gaussian_weight_matrix(GRID, 50.0))
    ours = normalise(flux, ivar, banded_kernel(GRID, 50.0, "exp(-d2/2L2)"))[2]
    np.testing.assert_allclose(ours[ivar > 0], continuum[ivar > 0], rtol=NODES)


def test_all_good_pixels_alike(spectra):
    flux, ivar = spectra
    w = (ivar > 0) @ weight(GRID - GRID[:, None], "exp(-d2/L2)", 50.0)
    expected = np.where(ivar > 0, flux, 0.0) @ weight(GRID - GRID[:, None], "exp(-d2/L2)", 50.0) / w
    out, weights, continuum = normalise(flux, ivar, banded_kernel(GRID, errors="none"))
    good = ivar > 0
    np.testing.assert_allclose(continuum[good], expected[good], rtol=NODES)
    np.testing.assert_allclose(out[good], (flux / expected)[good], rtol=NODES)
    np.testing.assert_allclose(weights, ivar * np.where(good, expected, 0.0) ** 2, rtol=2 * NODES)


def test_a_typical_shape_is_that_of_every_star(spectra):
    flux, ivar = spectra
    shape = 1 + (GRID - 3905) / 2000
    expected = normalise(flux, np.where(ivar > 0, shape, 0.0), banded_kernel(GRID))
    out, weights, continuum = normalise(flux, ivar, banded_kernel(GRID, errors="typical", typical=shape))
    np.testing.assert_array_equal(continuum, expected[2])
    np.testing.assert_array_equal(out, expected[0])
    np.testing.assert_allclose(weights, ivar * np.nan_to_num(continuum) ** 2, rtol=1e-14)


def test_the_typical_noise_is_the_median_shape_of_the_stars(rng):
    shape = np.linspace(1.0, 3.0, 200)
    level = np.exp(rng.normal(0, 2, 31))
    ivar = level[:, None] * shape * np.exp(0.1 * rng.standard_normal((31, 200)))
    ivar[rng.random(ivar.shape) < 0.1] = 0
    ivar[:, 50:60] = 0  # nobody sees these
    ivar[4] = 0  # nor this star
    ivar[5, 7] = np.nan
    found = typical_noise(ivar)
    ratio = found / (shape / np.median(shape))
    assert np.delete(ratio, np.s_[48:62]) == pytest.approx(1, abs=0.12)
    np.testing.assert_allclose(found[50:60], np.interp(np.arange(50, 60), [49, 60], found[[49, 60]]))
    np.testing.assert_allclose(typical_noise(7 * ivar), found)
    np.testing.assert_array_equal(typical_noise(np.zeros((3, 5))), np.ones(5))
    np.testing.assert_array_equal(typical_noise(np.zeros((0, 5))), np.ones(5))


def test_swapped_noise_moves_the_flux_of_the_paper_alone(spectra):
    # The shape of a faint star's ivar on a bright star: its flux is untouched.
    flux, ivar = spectra
    faint = ivar * (1 + 4 * (GRID > 6000))
    for errors, moved in (("star", True), ("none", False)):
        kernel = banded_kernel(GRID, errors=errors)
        assert np.any(normalise(flux, ivar, kernel)[0] != normalise(flux, faint, kernel)[0]) == moved


@pytest.mark.parametrize("gap", [(0, 0), (7580, 7720)])
def test_a_line_is_right_where_all_pixels_are_on_one_side(gap):
    # On a slope the average at the ends of the grid, and of what is left of it beside a band, is that of farther in.
    flux, ivar = 1 + (GRID[None] - 3905) / 3000, np.ones((1, len(GRID)))
    ivar[:, (gap[0] < GRID) & (gap[1] > GRID)] = 0
    good = ivar[0] > 0
    error = {
        fit: np.abs(normalise(flux, ivar, banded_kernel(GRID, fit=fit))[0] - 1)[0, good].max()
        for fit in ("average", "line")
    }
    assert error["line"] < 1e-5
    assert error["average"] > 2e-3


def test_a_line_against_least_squares(spectra):
    flux, ivar = spectra
    continuum = normalise(flux, ivar, banded_kernel(GRID, fit="line"))[2]
    for row, pixel in ((0, 0), (1, 2000), (2, 3500), (0, len(GRID) - 1)):
        if ivar[row, pixel] > 0:
            w = ivar[row] * weight(GRID - GRID[pixel], "exp(-d2/L2)", 50.0)
            terms = np.stack([np.ones_like(GRID), GRID - GRID[pixel]], axis=1) * np.sqrt(w)[:, None]
            expected = np.linalg.lstsq(terms, flux[row] * np.sqrt(w), rcond=None)[0][0]
            assert continuum[row, pixel] == pytest.approx(expected, rel=2 * NODES)


@pytest.mark.parametrize(
    ("form", "expected"), [("exp(-d2/L2)", 83.26), ("exp(-d2/2L2)", 117.74), ("fwhm", 50.0)]
)
def test_full_width_at_half_maximum_of_the_response_to_a_spike(form, expected):
    # On an even grid the pseudo-continuum of one spike on nothing is the weight itself.
    grid = np.arange(5000.0, 6000.0, 0.5)
    flux = np.zeros((1, len(grid)))
    flux[0, 1000] = 1.0
    continuum = normalise(flux, np.ones_like(flux), banded_kernel(grid, 50.0, form))[2][0]
    above = grid[continuum >= continuum[1000] / 2]
    assert above[-1] - above[0] == pytest.approx(expected, abs=1.0)
    assert kernel_fwhm(50.0, form) == pytest.approx(expected, abs=0.01)


def test_the_pseudo_continuum_is_linear_in_the_flux(spectra, kernel, rng):
    flux, ivar = spectra
    other = rng.uniform(500, 2000, flux.shape)
    mixed = normalise(2 * flux + 3 * other, ivar, kernel)[2]
    np.testing.assert_allclose(
        mixed, 2 * normalise(flux, ivar, kernel)[2] + 3 * normalise(other, ivar, kernel)[2], rtol=1e-12
    )


def test_units_of_the_flux_do_not_matter(spectra, kernel):
    flux, ivar = spectra
    out, weights, _ = normalise(flux, ivar, kernel)
    scaled, scaled_weights, _ = normalise(1e-17 * flux, 1e34 * ivar, kernel)
    np.testing.assert_allclose(scaled, out, rtol=1e-12)
    np.testing.assert_allclose(scaled_weights, weights, rtol=1e-12)


def test_a_smooth_shape_goes_away_and_lines_stay(kernel):
    line = 1 - 0.5 * np.exp(-0.5 * ((GRID - 6564.6) / 3) ** 2)
    shape = 1 + 0.3 * np.sin(GRID / 2000)
    flux = np.array([line, line * shape])
    out = normalise(flux, np.ones_like(flux), kernel)[0]
    inner = (GRID > 4000) & (GRID < 8900)
    np.testing.assert_allclose(out[1, inner], out[0, inner], atol=2e-3)
    assert out[0, np.argmin(out[0])] == pytest.approx(0.5, abs=0.05)


def test_constant_flux_becomes_one(kernel):
    out, weights, continuum = normalise(np.full((2, len(GRID)), 7.0), np.full((2, len(GRID)), 3.0), kernel)
    np.testing.assert_allclose(out, 1.0, rtol=1e-12)
    np.testing.assert_allclose(continuum, 7.0, rtol=1e-12)
    np.testing.assert_allclose(weights, 147.0, rtol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0])
def test_a_masked_pixel_is_inert_whatever_its_flux(spectra, kernel, value):
    flux, ivar = spectra
    reference = normalise(flux, ivar, kernel)
    flux = np.where(ivar > 0, flux, value)
    for now, before in zip(normalise(flux, ivar, kernel), reference, strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_masked_pixels_are_inert_from_the_observed_frame_on(kernel, value, rng):
    wavelength = lamost_grid()
    flux, ivar = rng.normal(100, 2, 3909), np.full(3909, 0.25)
    bad = rng.random(3909) < 0.05
    ivar[bad] = 0.0

    def both(flux):
        out, weight = to_common_grid(wavelength, flux, ivar, 3.3e-4, GRID)
        return normalise(out[None], weight[None], kernel)

    for now, before in zip(both(np.where(bad, value, flux)), both(flux), strict=True):
        np.testing.assert_array_equal(now, before)
    assert np.sum(both(flux)[1] == 0) > bad.sum()  # each spoils two pixels of the grid


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_an_ivar_that_is_no_weight_masks_the_pixel(spectra, kernel, bad):
    flux, ivar = spectra
    reference = normalise(flux, ivar, kernel)
    for now, before in zip(normalise(flux, np.where(ivar > 0, ivar, bad), kernel), reference, strict=True):
        np.testing.assert_array_equal(now, before)


def test_a_bad_flux_masks_the_pixel(spectra, kernel):
    flux, ivar = spectra
    flux[0, 1000] = np.nan
    out, weights, _ = normalise(flux, ivar, kernel)
    assert (out[0, 1000], weights[0, 1000]) == (1, 0)
    assert np.all(np.isfinite(out))
    assert np.all(np.isfinite(weights))


def test_no_continuum_where_nothing_is_good_or_flux_is_negative(kernel):
    flux, ivar = np.ones((3, len(GRID))), np.ones((3, len(GRID)))
    ivar[0] = 0
    flux[1] = -1
    ivar[2, GRID > 6000] = 0
    out, weights, continuum = normalise(flux, ivar, kernel)
    assert np.all(np.isnan(continuum[:2]))
    assert np.all(out == 1)
    assert np.all(weights[:2] == 0)
    assert np.isnan(continuum[2, -1])
    np.testing.assert_array_equal(weights[2] > 0, GRID <= 6000)


def test_numbers_that_overflow_are_masked(kernel):
    flux, ivar = np.ones((1, len(GRID))), np.ones((1, len(GRID)))
    flux[0, 2000] = 1e308
    ivar[0, 2000] = 1e10
    out, weights, _ = normalise(flux, ivar, kernel)
    assert np.all(np.isfinite(out))
    assert weights[0, 2000] == 0


def test_a_star_depends_on_no_other_to_the_last_bit(kernel, rng):
    flux, ivar = rng.uniform(0.5, 1.5, (2, 150, len(GRID)))
    reference = normalise(flux, ivar, kernel)[0]
    for size in (1, 2, 63, 64, 100):
        parts = [normalise(flux[i : i + size], ivar[i : i + size], kernel)[0] for i in range(0, 150, size)]
        np.testing.assert_array_equal(np.vstack(parts), reference)
    order = rng.permutation(150)
    np.testing.assert_array_equal(normalise(flux[order], ivar[order], kernel)[0], reference[order])


def test_float32_is_taken_and_inputs_stay_as_they_are(spectra, kernel):
    flux, ivar = (a.astype(np.float32) for a in spectra)
    flux[0, 5] = np.nan
    copies = flux.copy(), ivar.copy()
    out, weights, continuum = normalise(flux, ivar, kernel)
    assert out.dtype == weights.dtype == continuum.dtype == np.float64
    np.testing.assert_array_equal(flux, copies[0])
    np.testing.assert_array_equal(ivar, copies[1])
    for now, exact in zip(
        (out, weights), normalise(flux.astype(float), ivar.astype(float), kernel), strict=False
    ):
        np.testing.assert_allclose(now, exact, rtol=1e-13)


def test_no_stars(kernel):
    assert [a.shape for a in normalise(*np.empty((2, 0, len(GRID))), kernel)] == [(0, len(GRID))] * 3


def test_noise_does_not_bias_it(kernel, rng):
    # S/N 3 per pixel with errors that do not depend on the flux: the mean of many stays at the truth.
    flux = 1 + rng.normal(0, 1 / 3, (200, len(GRID)))
    out = normalise(flux, np.full_like(flux, 9.0), kernel)[0]
    assert np.mean(out) == pytest.approx(1, abs=5 * (1 / 3) / np.sqrt(out.size) + 2e-3)


def test_errors(kernel):
    with pytest.raises(ValueError, match=r"exp\(-d2/L2\), exp\(-d2/2L2\), fwhm: found 'box'"):
        banded_kernel(GRID, 50.0, "box")
    assert len(FORMS) == 3
    for shape in ((3, 10), (len(GRID),)):
        with pytest.raises(ValueError, match=r"must be \(n_star, 3626\): found"):
            normalise(np.ones(shape), np.ones(shape), kernel)
    with pytest.raises(ValueError, match="found"):
        normalise(np.ones((2, len(GRID))), np.ones((1, len(GRID))), kernel)
