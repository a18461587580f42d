"""A session with arrays of one's own, by the names of the front page alone."""

import re
import subprocess
import sys

import numpy as np
import pytest

import labeltransfer
from labeltransfer.spectra.medium import to_air
from labeltransfer.spectra.prepare import NO_ERRORS, NO_FRAME, NO_MEDIUM, NO_REDSHIFT, NOT_INCREASING

GRID = {"lower": 4900.0, "upper": 5700.0}
NAMES = ("teff", "fe_h")


def observed(rng, n_star=120, snr=80.0):
    """Wavelengths at rest, spectra of stars with lines that follow two labels, their labels."""
    wavelength = 10 ** np.arange(3.66, 3.76, 1e-4)
    labels = np.column_stack([rng.uniform(4200, 5400, n_star), rng.uniform(-1.0, 0.4, n_star)])
    x = (labels - [4800.0, -0.3]) / [350.0, 0.4]
    centres, strength = rng.uniform(4850, 5750, 60), rng.uniform(0.02, 0.25, 60)
    profiles = np.exp(-0.5 * ((wavelength - centres[:, None]) / 1.3) ** 2)
    depth = strength * (1 + x @ (0.2 * rng.standard_normal((2, 60))))
    flux = 3000 * (1 - 0.2 * (wavelength - 5200) / 300) * (1 - depth @ profiles)
    ivar = np.broadcast_to((snr / 3000) ** 2, flux.shape).copy()
    flux += 3000 / snr * rng.standard_normal(flux.shape)
    ivar[rng.random(flux.shape) < 0.01] = 0
    return wavelength, flux, ivar, labels


def test_from_arrays_to_labels(rng):
    wavelength, flux, ivar, labels = observed(rng)
    redshift = rng.normal(0, 2e-4, len(flux))
    settings = labeltransfer.default_settings(grid=GRID, preparation={"windows": []})
    shifted = wavelength * (1 + redshift[:, None])
    redshift[3] = np.nan
    ready, weight, stars, rejected = labeltransfer.prepare_arrays(shifted, flux, ivar, redshift, settings)
    assert rejected == [("3", NO_REDSHIFT)]
    assert list(stars["id"]) == [str(i) for i in range(120) if i != 3]
    assert ready.shape == weight.shape == (119, len(settings.grid))
    assert np.median(stars["snr"]) == pytest.approx(80, rel=0.15)
    labels = np.delete(labels, 3, axis=0)

    found = labeltransfer.cross_validate(
        ready, weight, labels, label_names=NAMES, star=np.arange(119) // 2, folds=5, order=1, scatter="reml"
    )
    assert found.converged.all()
    assert (np.std(found.labels - labels, axis=0) < [40, 0.06]).all()
    assert len(found.models) == 5

    model = labeltransfer.train(ready[20:], weight[20:], labels[20:], label_names=NAMES, order=1)
    one = model.label(ready[:20], weight[:20])
    other = model.label(ready[:20], weight[:20], starts=labels[20:25])
    np.testing.assert_allclose(one.labels, other.labels, rtol=1e-6, atol=1e-6)
    assert (np.abs(one.labels - labels[:20]) < [120, 0.2]).all()


def test_the_session_in_the_documents_runs(rng, root, tmp_path, monkeypatch):
    text = (root / "docs" / "importing.md").read_text()
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "prepare_arrays" in block
    )
    wavelength, flux, ivar, labels = observed(rng)
    given = {"wavelength": wavelength, "flux": flux, "ivar": ivar, "redshift": 0.0, "labels": labels}
    monkeypatch.chdir(tmp_path)
    # These spectra are of a part of the grid.
    exec(code.replace('{"upper": 7000.0}', str(GRID)), given)
    assert given["rejected"] == []
    assert (np.abs(given["held_out"].labels - labels).mean(axis=0) < [60, 0.1]).all()
    np.testing.assert_array_equal(given["again"].theta, given["model"].theta)
    np.testing.assert_array_equal(given["again"].wavelength, given["settings"].grid)
    assert given["found"].converged.all()


def test_air_and_rest_are_said_and_then_make_no_difference(rng):
    wavelength, flux, ivar, _ = observed(rng, n_star=3)
    settings = labeltransfer.default_settings(grid=GRID)
    rest = labeltransfer.prepare_arrays(wavelength, flux, ivar, np.nan, settings, frame="rest")
    plain = labeltransfer.prepare_arrays(wavelength, flux, ivar, 0.0, settings)
    air = labeltransfer.prepare_arrays(to_air(wavelength), flux, ivar, 0.0, settings, medium="air")
    np.testing.assert_array_equal(air[1] > 0, plain[1] > 0)
    good = plain[1] > 0
    np.testing.assert_allclose(air[0], plain[0], atol=1e-6)
    # Nobody knows where the sky's lines are in a spectrum at rest: they mask nothing there.
    far = good & (settings.grid < 5350)  # of which no average reaches such a line
    np.testing.assert_array_equal(rest[0][far], plain[0][far])
    assert (rest[1] > 0).sum() > good.sum()
    nobody = labeltransfer.prepare_arrays(
        wavelength, flux, ivar, 0.0, settings, ids=["a", "b", "c"], medium=""
    )
    assert nobody[3] == [(name, NO_MEDIUM) for name in "abc"]
    assert len(nobody[0]) == len(nobody[2]) == 0


def test_a_spectrum_at_rest_with_a_velocity_is_masked_where_the_air_was(rng):
    wavelength, flux, ivar, _ = observed(rng, n_star=1)
    settings = labeltransfer.default_settings(grid=GRID)
    z = 1e-3
    moved = labeltransfer.prepare_arrays(wavelength * (1 + z), flux, ivar, z, settings)
    rest = labeltransfer.prepare_arrays(wavelength, flux, ivar, z, settings, frame="rest")
    np.testing.assert_array_equal(rest[1] > 0, moved[1] > 0)
    np.testing.assert_allclose(rest[0], moved[0], atol=1e-6)


def test_pixels_that_are_no_numbers_are_bad_and_arrays_stay_as_they_are(rng):
    wavelength, flux, ivar, _ = observed(rng, n_star=2)
    settings = labeltransfer.default_settings(grid=GRID)
    expected = ivar.copy()
    expected[0, 300:310], expected[1, 500] = 0, 0
    flux[0, 300:305], ivar[0, 305:310], ivar[1, 500] = np.nan, np.inf, -1.0
    before = flux.copy(), ivar.copy()
    found = labeltransfer.prepare_arrays(wavelength, flux, ivar, 0.0, settings)
    clean = labeltransfer.prepare_arrays(wavelength, np.nan_to_num(flux), expected, 0.0, settings)
    for one, other in zip(found[:2], clean[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(flux, before[0])
    np.testing.assert_array_equal(ivar, before[1])


def test_spectra_without_errors_get_those_of_an_assumed_snr(rng):
    wavelength, flux, ivar, _ = observed(rng, n_star=2)
    flux[0, 400] = np.nan
    refused = labeltransfer.prepare_arrays(
        wavelength, flux, None, 0.0, labeltransfer.default_settings(grid=GRID)
    )
    assert refused[3] == [("0", NO_ERRORS), ("1", NO_ERRORS)]
    settings = labeltransfer.default_settings(grid=GRID, preparation={"missing_errors": 50.0})
    found = labeltransfer.prepare_arrays(wavelength, flux, None, 0.0, settings)
    assert set(np.unique(found[1])) == {0.0, 2500.0}
    assert list(found[2]["snr"]) == pytest.approx([50, 50], rel=0.03)
    # The flux is that of any errors, where all good pixels count alike.
    ivar[0, 400] = 0
    given = labeltransfer.prepare_arrays(
        wavelength, flux, np.where(np.isfinite(flux), 1.0, 0.0), 0.0, settings
    )
    np.testing.assert_array_equal(found[0], given[0])


def test_one_bad_star_has_a_reason_and_stops_no_other(rng):
    wavelength, flux, ivar, _ = observed(rng, n_star=5)
    settings = labeltransfer.default_settings(grid=GRID)
    each = np.tile(wavelength, (5, 1))
    each[1, 400:402] = each[1, 401:399:-1]
    each[2, 7] = np.nan
    found = labeltransfer.prepare_arrays(each, flux, ivar, [0, 0, 0, -9999.0, -1.0], settings)
    assert found[3] == [("1", NOT_INCREASING), ("2", NOT_INCREASING), ("3", NO_REDSHIFT), ("4", NO_REDSHIFT)]
    assert list(found[2]["id"]) == ["0"]
    turned = labeltransfer.prepare_arrays(wavelength[::-1], flux[:1, ::-1], ivar[:1, ::-1], 0.0, settings)
    assert turned[3] == [("0", NOT_INCREASING)]
    lost = labeltransfer.prepare_arrays(wavelength, flux[:1], ivar[:1], 0.0, settings, frame="restframe")
    assert lost[3] == [("0", NO_FRAME)]


def test_what_does_not_fit_says_so(rng):
    wavelength, flux, ivar, _ = observed(rng, n_star=2)
    settings = labeltransfer.default_settings(grid=GRID)
    with pytest.raises(ValueError, match=r"disagree: \(999,\), \(2, 1000\) and \(2, 1000\)"):
        labeltransfer.prepare_arrays(wavelength[1:], flux, ivar, 0.0, settings)
    with pytest.raises(ValueError, match="3 ids for 2 spectra"):
        labeltransfer.prepare_arrays(wavelength, flux, ivar, 0.0, settings, ids="abc")
    with pytest.raises(KeyError, match="grid has no key start; it has lower, upper"):
        labeltransfer.default_settings(grid={"start": 1})
    changed = labeltransfer.default_settings(
        GRID, {"normalisation": {"errors": "star"}, "interpolation": "linear"}
    )
    assert (changed.kernel.shape, changed.interpolation) == (None, "linear")
    assert settings.kernel.shape is not None
    with pytest.raises(AttributeError, match="no attribute 'labels'"):
        _ = labeltransfer.labels


def test_the_front_page_names_what_there_is_and_loads_nothing_before():
    assert set(labeltransfer.__all__) <= set(dir(labeltransfer))
    for name in labeltransfer.__all__:
        assert getattr(labeltransfer, name) is not None
    code = "import sys, labeltransfer; print([m for m in ('numpy', 'numba', 'astropy') if m in sys.modules])"
    place = labeltransfer.__file__.removesuffix("/labeltransfer/__init__.py")
    run = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": place}, capture_output=True, text=True
    )
    assert run.stdout.strip() == "[]", run.stderr
