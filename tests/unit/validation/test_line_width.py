"""Labels before and after wavelengths and line widths are matched, on stars of which all is known."""

import numpy as np
import pandas as pd
import pytest

from labeltransfer.spectra.defaults import default_settings
from labeltransfer.validation.line_width import (
    ROUNDS,
    STEPS,
    Matched,
    Reference,
    centres,
    common_excess,
    comparison_table,
    labels_by_step,
    match,
    model_templates,
    on_the_grid,
    star_templates,
    widened,
    windows_table,
)
from tests.unit.validation.two_libraries import FWHM, LABELS, SHARP, spectrum, stars

N_SAME = 12
WIDE = 3.4  # Angstrom
WAVELENGTH = np.arange(4400.0, 5700.0, 0.9)
NOISE = 0.003


@pytest.fixture(scope="module")
def settings():
    return default_settings({"lower": 4500.0, "upper": 5500.0}, {"missing_errors": 100.0})


@pytest.fixture(scope="module")
def sample(settings):
    """Reference stars, spectra of some others by both spectrographs, and velocities of the second one."""
    rng = np.random.default_rng(11)
    labels, of_same = stars(120, rng), stars(N_SAME, rng)
    spectra = [spectrum(str(row), one, SHARP, rng=rng, noise=NOISE) for row, one in enumerate(labels)]
    same = [spectrum(str(row), one, SHARP, rng=rng, noise=NOISE) for row, one in enumerate(of_same)]
    own = rng.normal(0, 25, N_SAME)
    # The blue half of the other spectrograph is off by other velocities than the red half.
    curve = np.interp(WAVELENGTH, [4850, 4950], [-20.0, 20.0])
    survey = [
        spectrum(str(row), one, WIDE, velocity + curve, WAVELENGTH, NOISE, rng)
        for row, (one, velocity) in enumerate(zip(of_same, own, strict=True))
    ]
    reference = Reference(on_the_grid(spectra, settings), labels, LABELS)
    return reference, on_the_grid(same, settings), survey, of_same, own


@pytest.mark.parametrize("against", ["model", "same star"])
def test_both_steps_together_take_the_bias_away(sample, settings, against):
    reference, same, survey, labels, own = sample
    templates = model_templates(reference, settings) if against == "model" else star_templates(same, settings)
    matched = match(survey, templates, settings, rounds=ROUNDS if against == "model" else 2)
    windows = windows_table(matched, settings, against, SHARP)
    np.testing.assert_allclose(windows["fwhm"], WIDE, rtol=0.05)
    ends = windows["velocity"].iloc[[0, -1]] - np.median(own)
    np.testing.assert_allclose(ends, [-20.0, 20.0], atol=6.0)

    table = comparison_table(labels_by_step(matched, reference, same, settings), labels, LABELS, against)
    assert list(dict.fromkeys(table["step"])) == list(STEPS)
    metals = table[(table["label"] == "fe_h") & (table["against"] == "catalogue")].set_index("step")
    assert (metals["n"] == N_SAME).all()
    first, last = metals.loc["as it is"], metals.loc["wavelengths and width"]
    assert abs(last["bias"]) < 4 * last["bias_err"] + 0.005
    assert abs(first["bias"]) > 5 * abs(last["bias"])
    for name in ("wavelengths", "width"):
        assert abs(last["bias"]) < abs(metals.loc[name, "bias"])


def test_lines_that_are_narrower_than_the_reference_are_widened(settings):
    labels = stars(8, np.random.default_rng(1))
    wide, sharp = ([spectrum("", one, width) for one in labels] for width in (WIDE, SHARP))
    matched = match(sharp, star_templates(on_the_grid(wide, settings), settings), settings, rounds=1)
    excess = common_excess(matched.excess, matched.edges, settings.grid)
    at = centres(settings.grid, matched.edges)
    pixel = np.interp(at, settings.grid, np.gradient(settings.grid))
    wanted = (SHARP**2 - WIDE**2) / FWHM**2 / pixel**2
    np.testing.assert_allclose(np.interp(at, settings.grid, excess), wanted, atol=0.05)
    raw = on_the_grid(sharp, settings)
    as_wide = widened(raw, -excess).flux
    inside = (slice(None), slice(5, -5))
    before, after = (
        np.abs(one - on_the_grid(wide, settings).flux)[inside].max() for one in (raw.flux, as_wide)
    )
    assert after < 0.1 * before
    assert widened(raw, excess) is raw


def test_numbers_of_the_table():
    rng = np.random.default_rng(3)
    there, catalogue = np.zeros((400, 1)), np.full((400, 1), 1.0)
    here = 0.2 + 0.1 * rng.standard_normal((400, 1))
    here[0] = np.nan
    table = comparison_table({"step": (here, there)}, catalogue, ["fe_h"], "model")
    assert table["against"].tolist() == ["spectrum", "catalogue"]
    np.testing.assert_array_equal(table["n"], 399)
    good = here[1:, 0]
    np.testing.assert_allclose(table["bias"], [np.median(good), np.median(good) - 1])
    np.testing.assert_allclose(table["scatter"], 0.1, atol=0.015)
    # Of a Gaussian: the standard errors of median and MAD, each known to 10 per cent or so from bootstrap samples.
    np.testing.assert_allclose(table["bias_err"], 1.2533 * 0.1 / np.sqrt(399), rtol=0.3)
    np.testing.assert_allclose(table["scatter_err"], 1.1664 * 0.1 / np.sqrt(399), rtol=0.3)
    again = comparison_table({"step": (here, there)}, catalogue, ["fe_h"], "model")
    pd.testing.assert_frame_equal(table, again)


def test_a_table_of_no_stars_has_no_numbers():
    table = comparison_table({"step": (np.full((3, 1), np.nan),) * 2}, np.zeros((3, 1)), ["fe_h"], "model")
    assert (table["n"] == 0).all()
    assert table[["bias", "bias_err", "scatter", "scatter_err"]].isna().all(axis=None)


def test_windows_without_a_width_take_that_of_others(settings):
    edges = np.array([0, 300, 600, len(settings.grid)])
    excess = np.array([[np.nan, 0.4, 0.8], [np.nan, 0.6, 0.8]])
    found = common_excess(excess, edges, settings.grid)
    assert found[0] == found[200] == pytest.approx(0.5)
    assert found[-1] == pytest.approx(0.8)
    assert not common_excess(np.full((2, 3), np.nan), edges, settings.grid).any()
    given = [spectrum("", (5000, 3, 0), SHARP)] * 2
    matched = Matched({"given": given, "one": given, "windows": given}, excess, edges)
    table = windows_table(matched, settings, "model", SHARP)
    assert table["n"].tolist() == [0, 2, 2]
    assert (table["velocity"] == 0).all()
    assert np.isnan(table["fwhm"][0])
    pixel = np.interp(table["wavelength"][2], settings.grid, np.gradient(settings.grid))
    assert table["fwhm"][2] == pytest.approx(np.sqrt(SHARP**2 + FWHM**2 * 0.8 * pixel**2))
    assert table["resolution"][2] == pytest.approx(table["wavelength"][2] / table["fwhm"][2])
