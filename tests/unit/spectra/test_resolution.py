"""Spectra of several line widths brought to one."""

import numpy as np
import pytest

from labeltransfer.files.errors import ArchiveError
from labeltransfer.spectra.grid import common_grid
from labeltransfer.spectra.prepare import Settings, on_grid, smoothing_of
from labeltransfer.spectra.resolution import Resolution, broaden, excess_width, read_resolution
from labeltransfer.surveys.base import Spectrum
from labeltransfer.surveys.grids import lamost_grid

GRID = common_grid(3905.0, 9000.0)
FWHM = np.sqrt(8 * np.log(2))
WIDTH = 1 / (FWHM * np.log(10) * 1e-4)  # of R = 1, in pixels


def line(centre, resolution, wavelength=GRID):
    """A line of unit equivalent width in pixels."""
    sigma = WIDTH / resolution
    pixels = np.log10(wavelength / centre) / 1e-4
    return 1 - np.exp(-0.5 * (pixels / sigma) ** 2) / sigma / np.sqrt(2 * np.pi)


@pytest.mark.parametrize("resolution", [1600.0, 1700.0, 1800.0, 2000.0])
def test_lines_come_to_the_common_width(resolution):
    excess = np.full(len(GRID), WIDTH**2 * (1600.0**-2 - resolution**-2))
    ivar = np.ones(len(GRID))
    for place in (1000, 1000.3, 1000.5):
        centre = 10 ** (np.log10(GRID[0]) + 1e-4 * place)
        found = broaden(line(centre, resolution), ivar, excess)[0]
        wanted = line(centre, 1600.0)
        inside = slice(3, -3)
        assert np.abs(found - wanted)[inside].max() < 0.01 * (1 - wanted).max()
        assert (1 - found)[inside].sum() == pytest.approx((1 - wanted)[inside].sum(), abs=1e-6)
    if resolution == 2000:
        assert np.abs(line(centre, resolution) - wanted).max() > 0.15 * (1 - wanted).max()


@pytest.mark.parametrize("common", [400.0, 900.0, 1300.0])
def test_lines_may_become_much_wider(common):
    excess = np.full(len(GRID), WIDTH**2 * (common**-2 - 1800.0**-2))
    centre = 10 ** (np.log10(GRID[0]) + 1e-4 * 1000.4)
    found, wanted = broaden(line(centre, 1800.0), np.ones(len(GRID)), excess)[0], line(centre, common)
    inside = slice(200, -200)
    assert np.abs(found - wanted)[inside].max() < 0.01 * (1 - wanted).max()


@pytest.mark.parametrize("variance", ["information", "propagate", "paper"])
def test_noise_goes_through_the_same_taps(rng, variance):
    excess, ivar = np.full(400, 0.4), np.full(400, 25.0)
    flux, found = broaden(np.ones(400), ivar, excess, variance)
    inside = slice(3, -3)
    np.testing.assert_allclose(flux[inside], 1.0)
    np.testing.assert_array_equal(found[[0, -1]], 0)
    if variance != "propagate":
        np.testing.assert_allclose(found[inside], 25.0)
        return
    draws = np.array([broaden(rng.standard_normal(400) / 5, ivar, excess)[0] for _ in range(2000)])
    assert np.mean(draws.var(axis=0)[inside] * found[inside]) == pytest.approx(1, abs=0.01)


def test_a_bad_pixel_reaches_none(rng):
    flux, ivar = rng.uniform(1, 2, 100), np.ones(100)
    excess = np.full(100, 0.3)
    clean = broaden(flux, ivar, excess)
    ivar[50] = 0.0
    found = broaden(np.where(ivar > 0, flux, 0.0), ivar, excess)
    spoiled = (found[1] == 0) & (clean[1] > 0)
    assert set(np.flatnonzero(spoiled)) <= set(range(48, 53))
    assert spoiled[49:52].all()
    np.testing.assert_array_equal(found[0][~spoiled], clean[0][~spoiled])
    same = broaden(flux[:40], ivar[:40], np.zeros(40))
    np.testing.assert_array_equal(same, (flux[:40], ivar[:40]))


def spectrum(resolution=np.nan, spid=3, fiberid=17, seen=1800.0, redshift=1e-4):
    wavelength = lamost_grid()
    flux = 2 * line(6000.0 * (1 + redshift), seen, wavelength)
    zero = np.zeros(len(wavelength), dtype=int)
    about = {"spid": spid, "fiberid": fiberid, "resolution": resolution}
    return Spectrum(wavelength, flux, np.full(len(flux), 1e4), zero, zero, redshift, 1e-5, "s", **about)


def test_tables_name_fibres_and_all_others(tmp_path):
    path = tmp_path / "fibres.csv"
    path.write_text("fibre,wavelength,resolution\n03-017,9000,1700\n03-017,4000,2000\n*,5000,1900\n")
    table = read_resolution(1600, path)
    at = excess_width(table, spectrum(redshift=0.0), GRID)
    own = np.interp(GRID, [4000, 9000], [2000, 1700])
    np.testing.assert_allclose(at, WIDTH**2 * (1600.0**-2 - own**-2.0), rtol=1e-3)
    other = excess_width(table, spectrum(fiberid=18), GRID)
    np.testing.assert_allclose(other, WIDTH**2 * (1600.0**-2 - 1900.0**-2), rtol=1e-3)
    said = excess_width(table, spectrum(resolution=1650.0), GRID)
    np.testing.assert_allclose(said, WIDTH**2 * (1600.0**-2 - 1650.0**-2), rtol=1e-2)


def test_what_cannot_be_brought_to_the_common_width_has_a_reason():
    table = Resolution(1600.0, {"03-017": (np.array([5000.0]), np.array([1500.0]))})
    with pytest.raises(ArchiveError) as error:
        excess_width(table, spectrum(), GRID)
    assert error.value.reason == "resolution below the common one"
    with pytest.raises(ArchiveError) as error:
        excess_width(table, spectrum(fiberid=18), GRID)
    assert error.value.reason == "no resolution"
    assert "fibre 03-018" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fibre,R\n*,1800\n", "expected the columns fibre, wavelength, resolution"),
        ("fibre,wavelength,resolution\n*,5000,many\n", "line 2: wavelength and resolution must be numbers"),
        ("fibre,wavelength,resolution\n*,5000,1800\n*,6000,-1\n", r"line 3: .* must be positive"),
    ],
)
def test_a_wrong_table_is_named_with_its_line(tmp_path, text, message):
    path = tmp_path / "fibres.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_resolution(1600, path)


def test_two_fibres_see_a_star_alike():
    fibres = {
        name: (np.array([5000.0]), np.array([r])) for name, r in (("03-001", 1700.0), ("03-002", 1950.0))
    }
    plain = Settings(GRID, None, [], interpolation="equal")
    matched = plain._replace(resolution=Resolution(1600.0, fibres))
    seen = [spectrum(fiberid=1, seen=1700.0), spectrum(fiberid=2, seen=1950.0)]
    near = np.abs(GRID - 6000) < 20
    differ = [
        np.abs(np.subtract(*(on_grid(one, how)[0][near] for one in seen))).max() for how in (plain, matched)
    ]
    assert differ[0] > 0.05
    assert differ[1] < 0.005


def test_theory_is_widened_as_the_data():
    preparation = {"interpolation": "cubic", "resolution": {"common": 1600}}
    plain = smoothing_of(preparation | {"resolution": None}, 1800.0, GRID)
    found = smoothing_of(preparation, 1800.0, GRID) - plain
    assert found == pytest.approx(WIDTH**2 * (1600.0**-2 - 1800.0**-2), rel=1e-3)
