"""What the mock telescope does to a spectrum, against answers known beforehand."""

import numpy as np
import pytest

from labeltransfer.mock import observation
from labeltransfer.mock.nature import LABELS, make_nature
from labeltransfer.mock.observation import (
    INTERSTELLAR,
    MAX_PIXELS,
    SPEED_OF_LIGHT,
    Conditions,
    _resolve,
    _sigma,
    expected_snr,
    extinction,
    fibre_resolution,
    interstellar_depth,
    observe,
)
from labeltransfer.surveys.grids import lamost_grid
from labeltransfer.synthesis.model_spectra import read_model_spectra

SETTINGS = {
    "error_inflation": np.sqrt(3.0),
    "bad_pixel_fraction": (0.01, 0.05),
    "scattered_light": 0.01,
    "calibration_error": 0.05,
    "sky_exponent": 0.25,
    "resolution": (1800.0, 1800.0),
}
CLEAN = SETTINGS | {"bad_pixel_fraction": (0.0, 0.0), "scattered_light": 0.0, "calibration_error": 0.0}


@pytest.fixture(scope="module")
def nature():
    from tests.conftest import ROOT

    return make_nature(read_model_spectra(ROOT / "resources" / "ab_initio" / "spectra_r1800.fits"), 3)


def _labels(n):
    base = dict.fromkeys(LABELS, 0.0) | {"teff": 4800.0, "logg": 2.5, "vmic": 1.7}
    return {name: np.full(n, value) for name, value in base.items()}


def _conditions(n, snr=100.0, **changes):
    columns = {
        "uid": np.arange(n),
        "rv": 0.0,
        "a_k": 0.0,
        "cloud_rv": 0.0,
        "snr": snr,
        "n_pix": 3900,
        "fibre": 1,
    } | changes
    columns = {
        k: np.broadcast_to(np.asarray(v, int if k in ("uid", "n_pix", "fibre") else float), n)
        for k, v in columns.items()
    }
    return Conditions(**columns)


def test_grid_is_the_survey_s():
    wavelength = lamost_grid()
    assert len(wavelength) == MAX_PIXELS
    assert wavelength[0] == pytest.approx(3699.99, abs=0.01)
    np.testing.assert_allclose(np.diff(np.log10(wavelength)), 1e-4, rtol=1e-6)


def test_extinction_curve():
    # Cardelli et al. (1989), Table 3 for R_V = 3.1: B 1.337, V 1 (at 5500 A), I 0.479 at 9000 A.
    ratio = extinction(np.array([4400.0, 5494.5, 9000.0])) * 0.1135
    np.testing.assert_allclose(ratio, [1.337, 1.0, 0.479], atol=0.02)


def test_interstellar_equivalent_widths():
    wavelength = np.arange(4300.0, 8700.0, 0.05)
    depth = interstellar_depth(wavelength)
    for centre, _, width in INTERSTELLAR[2:8]:
        near = np.abs(wavelength - centre) < 7
        if centre in (5782.1, 6615.4):
            assert depth[near].sum() * 0.05 == pytest.approx(width * 2.842, rel=0.02)


def test_spline_shift_of_a_line():
    """The error that the module states, for a Gaussian line as wide as R = 1800 at every sub-pixel phase."""
    sigma = 1.0246
    pixel = np.arange(400.0)
    worst, rms = 0.0, 0.0
    for phase in np.linspace(0.0, 1.0, 11):
        line = np.exp(-0.5 * ((pixel - 200.0 - phase) / sigma) ** 2)[None]
        # Without redshift the shift is a whole number of pixels; a redshift adds the rest.
        redshift = 10 ** (0.37e-4) - 1
        seen = observation._shift(line, observation.LOG_START, np.array([redshift]))[0, :400]
        truth = np.exp(-0.5 * ((pixel - 0.37 - 200.0 - phase) / sigma) ** 2)
        inside = slice(190, 211)
        worst = max(worst, np.abs(seen - truth)[inside].max())
        rms = max(rms, np.sqrt(np.mean((seen - truth)[inside] ** 2)))
    assert 0.002 < worst < 0.017
    assert rms < 0.005


def test_lines_are_where_the_velocity_puts_them(nature):
    rv = np.array([-300.0, 0.0, 300.0])
    seen = observe(nature, _labels(3), _conditions(3, snr=5000.0, rv=rv), 1, CLEAN)
    for row, speed in enumerate(rv):
        centre = 8544.44 * (1 + speed / SPEED_OF_LIGHT)
        near = np.abs(seen.wavelength - centre) < 8
        lowest = seen.wavelength[near][seen.flux[row, near].argmin()]
        assert lowest == pytest.approx(centre, abs=2.0)
    np.testing.assert_allclose(seen.redshift, rv / SPEED_OF_LIGHT, atol=1e-4)


def test_signal_to_noise_and_overestimated_errors(nature):
    n = 60
    conditions = _conditions(n, snr=np.repeat([20.0, 60.0, 180.0], 20))
    seen = observe(nature, _labels(n), conditions, 4, SETTINGS)
    snr = np.array([np.median((f * np.sqrt(i))[i > 0]) for f, i in zip(seen.flux, seen.ivar, strict=True)])
    np.testing.assert_allclose(snr, conditions.snr, rtol=0.04)
    # chi2 against the expected spectrum is low by the square of the inflation, away from sky lines.
    exact = observe(nature, _labels(n), conditions._replace(snr=np.full(n, 1e6)), 4, SETTINGS)
    window = (seen.wavelength > 5000) & (seen.wavelength < 5500)
    pulls = []
    for row in range(n):
        good = window & (seen.ivar[row] > 0) & (exact.ivar[row] > 0)
        scale = np.median(seen.flux[row, good] / exact.flux[row, good])
        pulls.append((seen.flux[row, good] - scale * exact.flux[row, good]) * np.sqrt(seen.ivar[row, good]))
    assert np.concatenate(pulls).std() == pytest.approx(1 / np.sqrt(3), rel=0.04)


def test_expected_snr_is_that_of_the_spectra(nature):
    conditions = _conditions(20, snr=np.linspace(20, 250, 20), a_k=0.1)
    seen = observe(nature, _labels(20), conditions, 4, SETTINGS)
    expected = expected_snr(nature, _labels(20), conditions, 0.25)
    for band, (low, high) in {"g": (4000, 5450), "r": (5600, 6950)}.items():
        inside = (seen.wavelength >= low) & (seen.wavelength < high)
        measured = [
            np.median((f * np.sqrt(i))[inside & (i > 0)]) for f, i in zip(seen.flux, seen.ivar, strict=True)
        ]
        np.testing.assert_allclose(expected[band], measured, rtol=0.12)
    assert np.all(expected["u"] < expected["g"])


def test_bad_pixels_and_masks(nature):
    n = 40
    n_pix = np.resize(np.arange(3890, 3910), n)
    seen = observe(nature, _labels(n), _conditions(n, n_pix=n_pix), 6, SETTINGS)
    for row in range(n):
        inside = slice(None, n_pix[row])
        bad = seen.ivar[row, inside] == 0
        assert bad.sum() == seen.n_bad[row]
        assert 0.005 < bad.mean() < 0.055
        assert not seen.ivar[row, n_pix[row] :].any()
        assert np.isfinite(seen.flux[row, inside][~bad]).all()
        assert (seen.ormask[row, inside][bad] > 0).all()
    nan = np.isnan(np.concatenate([seen.flux[row, : n_pix[row]] for row in range(n)]))
    assert 0 < nan.mean() < 0.005
    sky = np.abs(seen.wavelength - 5578.9) < 2
    assert 0.2 < (seen.andmask[:, sky] > 0).any(axis=1).mean() < 0.9
    assert (seen.ormask > 0).mean() > 2 * (seen.andmask > 0).mean()


def test_dust_is_seen_at_the_velocity_of_the_cloud(nature):
    dusty = observe(
        nature, _labels(2), _conditions(2, snr=1e5, rv=[0.0, 200.0], a_k=0.3, cloud_rv=-60.0), 1, CLEAN
    )
    clear = observe(nature, _labels(2), _conditions(2, snr=1e5, rv=[0.0, 200.0], a_k=0.0), 1, CLEAN)
    for row in range(2):
        ratio = dusty.flux[row] / clear.flux[row]
        near = np.abs(dusty.wavelength - 6285.5 * (1 - 60 / SPEED_OF_LIGHT)) < 20
        local = ratio[near] / np.median(ratio[near])
        core = dusty.wavelength[near][local.argmin()]
        assert core == pytest.approx(6285.5 * (1 - 60 / SPEED_OF_LIGHT), abs=1.5)
        assert 0.03 < 1 - local.min() < 0.3
        # Reddening of the continuum: 0.3 mag in K is 2.6 mag in V.
        blue, red = np.abs(dusty.wavelength - 4500) < 30, np.abs(dusty.wavelength - 8400) < 30
        assert np.median(ratio[blue]) / np.median(ratio[red]) < 0.3


def test_a_spectrum_depends_on_seed_and_number_alone(nature):
    labels = _labels(150)
    conditions = _conditions(150, snr=50.0)
    whole = observe(nature, labels, conditions, 9, SETTINGS)
    rows = slice(70, 141)
    part = observe(
        nature,
        {k: v[rows] for k, v in labels.items()},
        Conditions(*(c[rows] for c in conditions)),
        9,
        SETTINGS,
    )
    for name in ("flux", "ivar", "andmask", "ormask", "redshift"):
        assert np.array_equal(getattr(part, name), getattr(whole, name)[rows], equal_nan=True)
    other = observe(nature, labels, conditions, 10, SETTINGS)
    assert not np.array_equal(other.flux, whole.flux, equal_nan=True)
    assert observe(nature, _labels(0), _conditions(0), 9, SETTINGS).flux.shape == (0, MAX_PIXELS)


def test_fibres_have_a_resolution_of_their_own_between_the_limits():
    wavelength = lamost_grid()
    seen = np.array([fibre_resolution(fibre, wavelength, 5, (1600, 2000)) for fibre in range(300)])
    assert seen.min() >= 1600
    assert seen.max() <= 2000
    assert seen.std(axis=0).min() > 60
    assert np.abs(seen[:, 0] - seen[:, -1]).max() > 200  # over the wavelengths of one fibre
    np.testing.assert_array_equal(seen[7], fibre_resolution(7, wavelength, 5, (1600, 2000)))
    assert not np.array_equal(seen[7], fibre_resolution(7, wavelength, 6, (1600, 2000)))


def test_a_line_has_the_width_of_its_fibre():
    wavelength, fibre = lamost_grid(), 3
    centre = wavelength[1800]
    light = 1 - 0.5 * np.exp(-4 * np.log(2) * ((wavelength - centre) / (centre / 1800)) ** 2)[None]
    same = light.copy()
    _resolve(same, wavelength, [fibre], 5, (1800.0, 1800.0))
    np.testing.assert_array_equal(same, light)
    for limits in ((1600.0, 1600.01), (1999.99, 2000.0)):
        seen = light.copy()
        _resolve(seen, wavelength, [fibre], 5, limits)
        expected = np.exp(-4 * np.log(2) * ((wavelength - centre) / (centre / limits[0])) ** 2)
        expected *= 0.5 * limits[0] / 1800  # of the same equivalent width
        assert np.abs(1 - seen[0] - expected).max() < 0.001
        assert np.abs(1 - light[0] - expected).max() > 0.04
        assert (1 - seen).sum() == pytest.approx((1 - light).sum(), rel=1e-6)


def test_sky_grows_under_faint_stars_as_it_is_told():
    sky, light = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 20.0]), np.ones((2, 6))
    for exponent in (0.25, 1.0):
        sigma = _sigma(light, np.array([10.0, 100.0]), sky, exponent)
        np.testing.assert_allclose(np.median(1 / sigma, axis=1), [10.0, 100.0])
        level = 0.15 * (50.0 / np.array([10.0, 100.0])) ** exponent
        np.testing.assert_allclose(sigma[:, -1] / sigma[:, 0], np.sqrt((1 + 20 * level) / (1 + level)))


def test_fibres_of_the_archive_differ_in_what_they_do_to_a_star(nature):
    hard = CLEAN | {"resolution": (1600.0, 2000.0)}
    seen = observe(nature, _labels(2), _conditions(2, snr=1e5, uid=[1, 1], fibre=[10, 11]), 1, hard)
    plain = observe(nature, _labels(2), _conditions(2, snr=1e5, uid=[1, 1], fibre=[10, 11]), 1, CLEAN)
    good = np.isfinite(seen.flux).all(axis=0)
    np.testing.assert_array_equal(plain.flux[0][good], plain.flux[1][good])
    assert 1e-3 < np.std(seen.flux[0][good] / seen.flux[1][good]) < 0.1
