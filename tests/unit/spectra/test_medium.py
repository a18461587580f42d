"""Air and vacuum against published pairs of wavelengths and each other's inverse."""

import numpy as np
import pytest

from labeltransfer.spectra.medium import to_air, to_vacuum

# NIST Atomic Spectra Database, observed or Ritz wavelengths in air and in vacuum [Angstrom].
LINES = {
    "Ca II K": (3933.663, 3934.777),
    "H beta": (4861.35, 4862.71),
    "Mg I b1": (5183.604, 5185.048),
    "Na I D2": (5889.951, 5891.583),
    "Ca II triplet": (8542.09, 8544.44),
}


@pytest.mark.parametrize("line", LINES)
def test_lines_have_their_published_wavelengths(line):
    air, vacuum = LINES[line]
    digit = 0.001 if line not in ("H beta", "Ca II triplet") else 0.01
    assert to_vacuum(air) == pytest.approx(vacuum, abs=digit)
    assert to_air(vacuum) == pytest.approx(air, abs=digit)


def test_one_is_the_inverse_of_the_other():
    vacuum = np.linspace(2005.0, 25000.0, 2000)
    np.testing.assert_allclose(to_vacuum(to_air(vacuum)), vacuum, rtol=1e-14)
    assert (np.diff(to_air(vacuum)) > 0).all()
    shift = 299792.458 * (1 - to_air(5000.0) / 5000.0)
    assert shift == pytest.approx(83.6, abs=0.2)  # km/s: no small matter


def test_short_wavelengths_are_in_vacuum_by_custom():
    np.testing.assert_array_equal(to_air([1200.0, 1999.0]), [1200.0, 1999.0])
    np.testing.assert_array_equal(to_vacuum([1200.0, 1999.0]), [1200.0, 1999.0])
