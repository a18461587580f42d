"""Velocities by cross-correlation, against shifts that are known and against a fit by scipy."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from labeltransfer.spectra.grid import common_grid
from labeltransfer.spectra.velocity import (
    SPEED_OF_LIGHT,
    cross_correlation,
    measure_velocities,
    shifted,
    velocity_curves,
    window_edges,
)
from tests.unit.validation.two_libraries import SHARP, flux_of, spectrum

GRID = common_grid(4500.0, 5500.0)
STAR = (5200.0, 3.0, -0.2)
TEMPLATE = flux_of(STAR, GRID, SHARP)


def observed(velocities):
    return np.array([flux_of(STAR, GRID, SHARP, one) for one in velocities])


def test_known_shifts_are_found_to_a_part_of_a_km_s():
    velocities = np.array([-431.7, -60.0, -17.3, -0.4, 0.0, 5.0, 34.5, 51.7, 250.0])
    flux = observed(velocities)
    found = measure_velocities(flux, np.ones_like(flux), TEMPLATE, GRID)
    np.testing.assert_allclose(found.velocity, velocities, atol=0.1)
    assert (found.correlation > 0.999).all()


def test_a_wider_template_moves_nothing():
    flux = observed([23.4])
    found = measure_velocities(flux, np.ones_like(flux), flux_of(STAR, GRID, 4.0), GRID)
    assert found.velocity[0] == pytest.approx(23.4, abs=0.5)


def test_it_is_what_a_fit_of_the_moved_spectrum_gives(rng):
    """Scale, offset and velocity by least squares, with a template whose lines are computed where they are."""
    velocities = np.array([-80.3, 12.2, 47.0])
    flux = observed(velocities) + 0.02 * rng.standard_normal((3, len(GRID)))
    ivar = rng.uniform(0.5, 2.0, flux.shape) * (rng.uniform(size=flux.shape) > 0.1)
    ivar[:, :15], ivar[:, -15:] = 0, 0
    found = measure_velocities(flux, ivar, TEMPLATE, GRID)
    for star, weight, velocity, error in zip(flux, ivar, found.velocity, found.error, strict=True):

        def chi2(speed, star=star, weight=weight):
            model, root = flux_of(STAR, GRID, SHARP, speed), np.sqrt(weight)
            design = np.column_stack([model * root, root])
            return np.linalg.lstsq(design, star * root, rcond=None)[1][0]

        fitted = minimize_scalar(chi2, bounds=(velocity - 60, velocity + 60), method="bounded")
        assert velocity == pytest.approx(fitted.x, abs=0.2 * error)


def test_errors_are_the_scatter_of_many_draws(rng):
    flux = observed([21.0]) + 0.05 * rng.standard_normal((600, len(GRID)))
    found = measure_velocities(flux, np.ones_like(flux), TEMPLATE, GRID, reach=100.0)
    # The scatter of 600 draws is known to 3 per cent.
    assert found.velocity.std() / np.median(found.error) == pytest.approx(1, abs=0.1)
    assert found.velocity.mean() == pytest.approx(21.0, abs=4 * found.error[0] / np.sqrt(600))


def test_bad_pixels_and_those_without_a_template_do_not_count(rng):
    flux = observed([-33.0, -33.0])
    ivar, template = np.ones_like(flux), np.array([TEMPLATE, TEMPLATE])
    ivar[:, 100:160] = 0
    template[:, 300:340] = np.nan
    flux[1, 100:160] = 1e6 * rng.standard_normal(60)
    found = measure_velocities(flux, ivar, template, GRID)
    assert found.velocity[0] == found.velocity[1] == pytest.approx(-33.0, abs=0.1)
    count = cross_correlation(flux, ivar, template, 0)[2]
    assert count[0, 0] == len(GRID) - 100


def test_without_a_peak_there_is_no_velocity():
    flux = np.concatenate([observed([300.0]), 2 - observed([0.0]), np.ones((2, len(GRID)))])
    ivar = np.ones_like(flux)
    ivar[3] = 0
    found = measure_velocities(flux, ivar, TEMPLATE, GRID, reach=100.0)
    assert not np.isfinite(found.velocity[[0, 2, 3]]).any()
    assert not np.isfinite(found.error[[0, 2, 3]]).any()
    # A spectrum of emission lines agrees with nothing but by chance.
    assert not found.correlation[1] > 0.5
    few = slice(0, 12)
    assert np.isnan(measure_velocities(flux[:, few], ivar[:, few], TEMPLATE[few], GRID[few]).velocity).all()
    assert len(measure_velocities(flux[:0], ivar[:0], TEMPLATE, GRID).velocity) == 0


def test_wavelengths_must_go_in_even_steps():
    with pytest.raises(ValueError, match="even steps"):
        measure_velocities(np.ones((1, 90)), np.ones((1, 90)), np.ones(90), np.linspace(4000, 4100, 90))


def test_windows_have_velocities_of_their_own_which_are_taken_out():
    edges = window_edges(len(GRID), 150)
    assert (edges[0], edges[-1]) == (0, len(GRID))
    centre = np.array([GRID[a:b].mean() for a, b in pairwise(edges)])
    curve = np.linspace(-40.0, 30.0, len(centre))
    flux = flux_of(STAR, GRID, SHARP, np.interp(GRID, centre, curve))[None]
    found = velocity_curves(flux, np.ones_like(flux), TEMPLATE, GRID, edges)
    # Half of a window's velocities are above that at its centre, with other lines than the lower ones.
    np.testing.assert_allclose(found.velocity[0], curve, atol=3.0)

    def velocity(wavelength):
        return np.interp(wavelength, centre, curve)

    wavelength = np.arange(4400.0, 5700.0, 0.5)
    given = spectrum("star", STAR, SHARP, velocity(wavelength), wavelength)
    curve_with_gaps = np.where(np.arange(len(curve)) == 2, np.nan, curve)
    put_right = shifted(given, curve_with_gaps, centre)
    inside = slice(int(edges[3]), int(edges[-2]))

    def wrong(one):
        return np.abs(np.interp(GRID, one.wavelength, one.flux) - TEMPLATE)[inside].max()

    assert wrong(put_right) < 0.01
    assert wrong(given) > 5 * wrong(put_right)


def test_one_velocity_is_taken_out_exactly():
    given = spectrum("star", STAR, SHARP)
    moved = given._replace(wavelength=given.wavelength * (1 + 50.0 / SPEED_OF_LIGHT))
    np.testing.assert_allclose(shifted(moved, 50.0).wavelength, given.wavelength, rtol=1e-14)
    assert shifted(moved, np.nan) is moved
