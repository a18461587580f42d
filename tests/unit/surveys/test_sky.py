"""Positions on the sky against astropy's."""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from labeltransfer.surveys.sky import on_sky, unit_vectors


def test_which_positions_exist():
    ra = np.array([0.0, 360.0, 12.0, -1.0, 361.0, 5.0, np.nan, -9999.0])
    dec = np.array([90.0, -90.0, 0.0, 0.0, 0.0, 90.1, 0.0, -9999.0])
    assert on_sky(ra, dec).tolist() == [True, True, True, False, False, False, False, False]


def test_unit_vectors_are_those_of_astropy(rng):
    ra, dec = rng.uniform(0, 360, 100), rng.uniform(-90, 90, 100)
    expected = SkyCoord(ra * u.deg, dec * u.deg).cartesian.xyz.value.T
    np.testing.assert_allclose(unit_vectors(ra, dec), expected, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(unit_vectors(ra[3], dec[3]), unit_vectors(ra, dec)[3])
