"""How much wider lines are than others, against Gaussian lines of known widths."""

import numpy as np
import pytest

from labeltransfer.spectra.relative_width import measure_excess

PIXEL = np.arange(600.0)
EDGES = np.array([0, 200, 400, 600])
CENTRES = np.random.default_rng(2).uniform(0, 600, 60)


def lines(variance):
    """Lines of unit area; the variance is a number or of each pixel [pixel^2]."""
    variance = np.broadcast_to(variance, PIXEL.shape)[:, None]
    depth = 0.5 * np.exp(-0.5 * (PIXEL[:, None] - CENTRES) ** 2 / variance) / np.sqrt(2 * np.pi * variance)
    return 1 - depth.sum(axis=1)


def excess(flux, other, ivar=None, other_ivar=None):
    flux, other = np.atleast_2d(flux), np.atleast_2d(other)
    ivar = np.ones_like(flux) if ivar is None else ivar
    return measure_excess(flux, ivar, other, np.ones_like(other) if other_ivar is None else other_ivar, EDGES)


@pytest.mark.parametrize("more", [-0.6, 0.0, 0.13, 0.5, 1.2, 2.9])
def test_the_added_variance_is_found(more):
    np.testing.assert_allclose(excess(lines(1.8 + more), lines(1.8))[0], more, atol=0.03)


def test_windows_have_widths_of_their_own():
    more = np.array([0.2, 0.6, 1.0])
    found = excess(lines(1.8 + np.repeat(more, 200)), lines(1.8))
    np.testing.assert_allclose(found[0], more, atol=0.03)


def test_noise_moves_it_little(rng):
    flux = lines(2.3) + 0.01 * rng.standard_normal((80, 600))
    found = excess(flux, np.broadcast_to(lines(1.8), flux.shape))
    error = found.std(axis=0) / np.sqrt(80)
    assert (np.abs(found.mean(axis=0) - 0.5) < 4 * error + 0.03).all()
    assert (error < 0.02).all()


def test_bad_pixels_do_not_count():
    flux, other = np.array([lines(2.3)] * 2), np.array([lines(1.8)] * 2)
    ivar, other_ivar = np.ones((2, 600)), np.ones((2, 600))
    ivar[:, 50:60], other_ivar[:, 450:470] = 0, 0
    flux[1, 50:60], other[1, 450:470] = 1e5, np.nan
    found = excess(flux, other, ivar, other_ivar)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(found[0], 0.5, atol=0.03)


def test_what_cannot_be_measured_is_not_a_number():
    ivar = np.ones((1, 600))
    ivar[:, :200] = 0
    assert np.isnan(excess(lines(2.3), lines(1.8), ivar)[0]).tolist() == [True, False, False]
    assert np.isnan(excess(lines(9.0), lines(1.8))).all()
    assert np.isnan(excess(lines(1.0), lines(2.5))).all()
    assert excess(np.ones((0, 600)), np.ones((0, 600))).shape == (0, 3)
