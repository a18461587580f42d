"""The common grid in the rest frame: shifts, bad pixels, and what interpolation does to noise."""

import numpy as np
import pytest

from labeltransfer.spectra.frame import VARIANCES, to_common_grid
from labeltransfer.spectra.grid import common_grid
from labeltransfer.surveys.grids import lamost_grid

PIXEL = 10**1e-4  # ratio of neighbouring wavelengths


def flat(n=400):
    """Pixels of LAMOST near 5012 A, and a grid well inside."""
    wavelength = 10 ** (3.7 + 1e-4 * np.arange(n))
    return wavelength, np.ones(n), np.full(n, 4.0), wavelength[50 : n - 50]


def redshift(pixels):
    """The redshift that moves a spectrum by so many pixels to the red."""
    return PIXEL**pixels - 1


@pytest.mark.parametrize("z", [-1e-3, -2e-4, 0.0, 3.3e-4, 1e-3])
def test_a_line_comes_back_to_its_rest_wavelength(z):
    wavelength, rest = lamost_grid(), 5270.0
    sigma = 2.0
    flux = 1 - 0.5 * np.exp(-0.5 * ((wavelength - rest * (1 + z)) / (sigma * (1 + z))) ** 2)
    grid = common_grid()
    out, ivar = to_common_grid(wavelength, flux, np.ones_like(flux), z, grid)
    near = np.abs(grid - rest) < 10
    centre = np.sum(grid[near] * (1 - out[near])) / np.sum(1 - out[near])
    assert centre == pytest.approx(rest, abs=0.02)  # 1 km/s
    assert np.all(ivar > 0)


def test_nothing_is_extrapolated():
    wavelength, flux, ivar, _ = flat()
    grid = 10 ** (3.7 + 1e-4 * np.arange(-20, 420))
    for z in (0.0, redshift(0.5)):
        out, weight = to_common_grid(wavelength, flux, ivar, z, grid)
        inside = (grid * (1 + z) >= wavelength[0] * (1 - 1e-12)) & (
            grid * (1 + z) <= wavelength[-1] * (1 + 1e-12)
        )
        np.testing.assert_array_equal(weight > 0, inside)
        assert np.all(out[~inside] == 0)


@pytest.mark.parametrize("variance", VARIANCES)
def test_no_shift_changes_nothing(variance, rng):
    wavelength, _, _, grid = flat()
    flux, ivar = rng.normal(1, 0.1, 400), rng.uniform(1, 2, 400)
    out, weight = to_common_grid(wavelength, flux, ivar, 0.0, grid, variance)
    np.testing.assert_allclose(out, flux[50:350], rtol=1e-12)
    np.testing.assert_allclose(weight, ivar[50:350], rtol=1e-12)


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -5.0])
def test_a_bad_pixel_reaches_nobody(variance, value, rng):
    wavelength, _, ivar, grid = flat()
    flux = rng.normal(1, 0.1, 400)
    ivar[100] = 0.0
    reference = to_common_grid(wavelength, flux, ivar, redshift(0.3), grid, variance)
    flux[100] = value
    out, weight = to_common_grid(wavelength, flux, ivar, redshift(0.3), grid, variance)
    np.testing.assert_array_equal(out, reference[0])
    np.testing.assert_array_equal(weight, reference[1])
    # Rest pixel i takes from observed pixels i and i + 1.
    np.testing.assert_array_equal(np.flatnonzero(weight == 0) + 50, [99, 100])


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_what_makes_a_pixel_bad(bad):
    wavelength, flux, ivar, grid = flat()
    ivar[100] = bad
    out, weight = to_common_grid(wavelength, flux, ivar, redshift(0.5), grid)
    np.testing.assert_array_equal(np.flatnonzero(weight == 0) + 50, [99, 100])
    np.testing.assert_allclose(out[weight > 0], 1.0, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rounded_wavelengths_do_not_double_a_bad_pixel(dtype):
    wavelength, flux, ivar, grid = flat()
    ivar[100] = 0.0
    weight = to_common_grid(wavelength.astype(dtype).astype(float), flux, ivar, 0.0, grid)[1]
    np.testing.assert_array_equal(np.flatnonzero(weight == 0) + 50, [100])


def test_inputs_stay_as_they_are(rng):
    wavelength, flux, ivar, grid = flat()
    flux[[10, 60]], ivar[[20, 60]] = np.nan, 0.0
    copies = [a.copy() for a in (wavelength, flux, ivar, grid)]
    to_common_grid(wavelength, flux, ivar, 1e-4, grid)
    for now, before in zip((wavelength, flux, ivar, grid), copies, strict=True):
        np.testing.assert_array_equal(now, before)


def test_variances_of_a_pixel_between_two():
    wavelength, flux, ivar, grid = flat()
    ivar[100], ivar[101] = 1.0, 1 / 9.0
    shift, i = redshift(0.25), 50
    t = (grid[i] * (1 + shift) - wavelength[100]) / (wavelength[101] - wavelength[100])
    expected = {
        "information": 1 / ((1 - t) * 1 + t * 9),
        "propagate": 1 / ((1 - t) ** 2 * 1 + t**2 * 9),
        "paper": (1 - t) * 1 + t / 9,
    }
    for variance, value in expected.items():
        assert to_common_grid(wavelength, flux, ivar, shift, grid, variance)[1][i] == pytest.approx(value)


# A line as narrow as LAMOST's resolution (R = 1800: 2.4 pixels FWHM) and a broad one. `formal` is the formal
# error of the depth over its true scatter, `chi2` is per pixel.
@pytest.mark.parametrize(
    ("variance", "sigma", "shift", "formal", "chi2"),
    [
        ("information", 1.02, 0.25, 1.025, 0.625),
        ("information", 1.02, 0.5, 1.04, 0.5),
        ("information", 4.0, 0.5, 1.0, 0.5),
        ("propagate", 1.02, 0.5, 0.735, 1.0),
        ("propagate", 4.0, 0.25, 0.79, 1.0),
        ("propagate", 4.0, 0.5, 0.707, 1.0),
        ("paper", 4.0, 0.5, 1.0, 0.5),
    ],
)
def test_errors_of_a_line_depth_after_interpolation(variance, sigma, shift, formal, chi2, rng):
    wavelength = 10 ** (3.7 + 1e-4 * np.arange(140))
    grid, noise, z = wavelength[20:120], 0.01, redshift(shift)
    ivar = np.full(140, noise**-2)
    line = np.exp(-0.5 * ((np.arange(140) - 70.3) / sigma) ** 2)
    template = to_common_grid(wavelength, line, ivar, z, grid, variance)[0]
    depth, per_pixel = [], []
    for _ in range(4000):
        flux, weight = to_common_grid(wavelength, rng.normal(0, noise, 140), ivar, z, grid, variance)
        information = np.sum(weight * template**2)
        depth.append(np.sum(weight * template * flux) / information)
        per_pixel.append(np.mean(weight * flux**2))
    assert information**-0.5 / np.std(depth) == pytest.approx(formal, rel=0.045)  # 4 sigma of 4,000 draws
    assert np.mean(per_pixel) == pytest.approx(chi2, rel=0.015)


def test_mean_factors_over_all_shifts():
    t = np.linspace(0, 1, 100001)
    c = (1 - t) ** 2 + t**2
    assert np.mean(c) == pytest.approx(2 / 3, abs=1e-4)
    assert np.mean(np.sqrt(c)) == pytest.approx(0.81, abs=0.005)


@pytest.mark.parametrize("z", [np.nan, np.inf, -1.0, -9999.0])
def test_no_rest_frame_without_a_redshift(z):
    wavelength, flux, ivar, grid = flat()
    with pytest.raises(ValueError, match="redshift"):
        to_common_grid(wavelength, flux, ivar, z, grid)


def test_other_errors():
    wavelength, flux, ivar, grid = flat()
    with pytest.raises(ValueError, match="one of information, propagate, paper: found 'best'"):
        to_common_grid(wavelength, flux, ivar, 0.0, grid, "best")
    with pytest.raises(ValueError, match="shapes disagree"):
        to_common_grid(wavelength, flux[:-1], ivar, 0.0, grid)
