"""The common grid in the rest frame: shifts, bad pixels, and what interpolation does to noise."""

import numpy as np
import pytest

from labeltransfer.spectra.frame import (
    INTERPOLATIONS,
    VARIANCES,
    mean_smoothing,
    pixel_phase,
    smooth,
    taps,
    to_common_grid,
)
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


PHASES = np.linspace(0, 1, 101)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_taps_keep_a_constant_and_a_slope(interpolation):
    found = taps(PHASES, interpolation)
    np.testing.assert_allclose(sum(found.values()), 1.0, rtol=1e-14)
    place = sum(k * w for k, w in found.items())
    # Lanczos' window does not keep a slope, the others do but for what is too small to count.
    np.testing.assert_allclose(place, PHASES, atol=0.021 if interpolation == "lanczos3" else 2.6e-3)
    mirrored = taps(1 - PHASES, interpolation)
    for k, w in found.items():
        np.testing.assert_allclose(w, mirrored[1 - k], atol=1e-14)
    assert all(np.all((w == 0) | (np.abs(w) > 0.99e-3)) for w in found.values())


def test_how_much_each_interpolation_smooths():
    def variance(t, interpolation):
        return sum(w * (k - t) ** 2 for k, w in taps(t, interpolation).items())

    np.testing.assert_allclose(variance(PHASES, "linear"), PHASES * (1 - PHASES), atol=2e-3)
    np.testing.assert_allclose(variance(PHASES, "equal"), 0.25, atol=5e-3)
    skew = sum(w * (k - PHASES) ** 3 for k, w in taps(PHASES, "equal").items())
    np.testing.assert_allclose(skew, 0.0, atol=1e-2)
    np.testing.assert_allclose(variance(PHASES, "cubic"), 0.0, atol=5e-3)
    expected = {"linear": 1 / 6, "equal": 1 / 4, "cubic": 0.0}
    assert {name: mean_smoothing(name) for name in expected} == pytest.approx(expected, abs=1e-3)
    assert abs(mean_smoothing("lanczos3")) < 0.02


def test_cubic_is_exact_for_parabolas():
    flux = 3 + 0.2 * np.arange(10.0) - 0.05 * np.arange(10.0) ** 2
    for t in (0.2, 0.5, 0.9):
        place = sum(w * flux[4 + k] for k, w in taps(np.array(t), "cubic").items())
        assert place == pytest.approx(3 + 0.2 * (4 + t) - 0.05 * (4 + t) ** 2, rel=1e-12)


def test_how_a_line_changes_with_the_phase():
    # A line of LAMOST's resolution in a star without noise, at ten velocities within a pixel: its change, as part of
    # its depth.
    wavelength, _, ivar, grid = flat()
    place, sigma = 200.3, 1.02
    moved = {}
    for interpolation in INTERPOLATIONS:
        found = []
        for shift in np.arange(10) / 10:
            flux = 1 - 0.3 * np.exp(-0.5 * ((np.arange(400) - place - shift) / sigma) ** 2)
            found.append(
                to_common_grid(wavelength, flux, ivar, redshift(shift), grid, interpolation=interpolation)[0]
            )
        moved[interpolation] = np.ptp(found, axis=0).max() / 0.3
    expected = {"linear": 0.101, "equal": 0.0153, "cubic": 0.045, "lanczos3": 0.0136}
    assert moved == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("interpolation", "spoils"), [("linear", 2), ("equal", 4), ("cubic", 4), ("lanczos3", 6)]
)
@pytest.mark.parametrize("variance", VARIANCES)
def test_what_a_bad_pixel_spoils_follows_from_the_taps(interpolation, spoils, variance, rng):
    wavelength, _, ivar, grid = flat()
    flux = rng.normal(1, 0.1, 400)
    ivar[100] = 0.0
    expected = None
    for value in (np.nan, 1e30, 0.0):
        flux[100] = value
        found = to_common_grid(wavelength, flux, ivar, redshift(0.3), grid, variance, interpolation)
        assert np.count_nonzero(found[1] == 0) == spoils
        if expected is not None:
            np.testing.assert_array_equal(found, expected)
        expected = found


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_the_variance_follows_from_the_taps(interpolation, rng):
    # 4,000 draws of noise that is not the same in all pixels, against what "propagate" says of each.
    wavelength, _, _, grid = flat(120)
    sigma = np.linspace(0.5, 2.0, 120)
    found = np.array(
        [
            to_common_grid(
                wavelength, rng.normal(0, sigma), sigma**-2, redshift(0.3), grid, "propagate", interpolation
            )
            for _ in range(4000)
        ]
    )
    np.testing.assert_allclose(found[:, 0].std(axis=0) * np.sqrt(found[0, 1]), 1.0, atol=0.055)
    # Of equal errors "information" and "paper" leave each what it was.
    for variance in ("information", "paper"):
        even = to_common_grid(
            wavelength, np.ones(120), np.full(120, 4.0), redshift(0.3), grid, variance, interpolation
        )
        np.testing.assert_allclose(even[1], 4.0, rtol=1e-12)


def test_theory_is_smoothed_as_the_data_are_on_average():
    line = np.exp(-0.5 * ((np.arange(61) - 30) / 3.0) ** 2)[None]
    smoothed = smooth(line, 0.25)
    place = np.arange(61) - 30
    assert np.sum(smoothed * place**2) / np.sum(smoothed) == pytest.approx(9.0 + 0.25, rel=1e-6)
    assert np.sum(smoothed) == pytest.approx(np.sum(line), rel=1e-12)
    np.testing.assert_array_equal(smooth(line, 0.0), line)


def test_the_phase_of_a_velocity():
    wavelength, _, _, grid = flat()
    for pixels in (0.0, 0.25, 0.5, -0.1, 3.7):
        assert pixel_phase(wavelength, redshift(pixels), grid) == pytest.approx(pixels % 1, abs=2e-3)
    assert np.isnan(pixel_phase(wavelength, 0.5, grid))


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
    with pytest.raises(ValueError, match="one of linear, equal, cubic, lanczos3: found 'nearest'"):
        to_common_grid(wavelength, flux, ivar, 0.0, grid, interpolation="nearest")
    with pytest.raises(ValueError, match="shapes disagree"):
        to_common_grid(wavelength, flux[:-1], ivar, 0.0, grid)


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_pixels_in_step_are_interpolated_as_any_others(interpolation, variance, rng):
    # The short way, and with one more pixel that the spectrum does not reach the long one.
    wavelength = 10 ** (3.55 + 1e-4 * np.arange(800))
    grid = wavelength[100:600]
    longer = np.append(grid, 1.01 * wavelength[-1])
    flux, ivar = rng.normal(1, 0.1, 800), rng.uniform(50, 150, 800)
    flux[300], ivar[[200, 201, 450]] = np.nan, 0.0
    for z in (0.0, 3.3e-5, 1.15e-4, -2e-4):
        one = to_common_grid(wavelength, flux, ivar, z, grid, variance, interpolation)
        two = np.array(to_common_grid(wavelength, flux, ivar, z, longer, variance, interpolation))
        assert two[1, -1] == 0
        np.testing.assert_array_equal(one[1] > 0, two[1, :-1] > 0)
        np.testing.assert_allclose(one, two[:, :-1], rtol=1e-9, atol=1e-12)
    # Where the spectrum ends within the grid.
    short = slice(105, 590)
    ends = to_common_grid(wavelength[short], flux[short], ivar[short], 3.3e-5, grid, variance, interpolation)
    whole = to_common_grid(wavelength, flux, ivar, 3.3e-5, grid, variance, interpolation)
    inside = ends[1] > 0
    assert 450 < inside.sum() < 490
    np.testing.assert_allclose(ends[0][inside], whole[0][inside], rtol=1e-9)


@pytest.mark.parametrize("finer", [0.5, 0.8, 1.0])
def test_a_finer_grid_knows_no_more_than_was_observed(finer):
    wavelength = np.arange(4000.0, 4500.0, 1.0)
    grid = np.arange(4010.0, 4490.0, finer)
    flux, ivar = np.ones(len(wavelength)), np.full(len(wavelength), 25.0)
    _, found = to_common_grid(wavelength, flux, ivar, 0.0, grid)
    inside = (wavelength >= grid[0] - finer / 2) & (wavelength < grid[-1] + finer / 2)
    assert found.sum() == pytest.approx(ivar[inside].sum(), rel=0.005)
    # The paper's rule averages the inverse variance whatever the widths are.
    _, found = to_common_grid(wavelength, flux, ivar, 0.0, grid, "paper")
    np.testing.assert_allclose(found, 25.0)


def test_a_coarser_grid_keeps_the_errors_of_pixels():
    wavelength, grid = np.arange(4000.0, 4500.0, 1.0), np.arange(4010.0, 4490.0, 2.0)
    _, found = to_common_grid(wavelength, np.ones(500), np.full(500, 25.0), 0.0, grid)
    np.testing.assert_allclose(found, 25.0)
