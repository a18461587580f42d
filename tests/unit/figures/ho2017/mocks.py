"""Mock tables whose statistics are known, the figures that they give, and what stands in these."""

import importlib
import re

import numpy as np
import pytest
from astropy.table import Table
from matplotlib.text import Text

from labeltransfer.figures.ho2017 import (
    figure_02,
    figure_03,
    figure_04,
    figure_09,
    figure_10,
    figure_11,
    figure_12,
)
from labeltransfer.figures.ho2017.figure_02 import StarSpectra


def module_of(number):
    """The module of a figure."""
    return importlib.import_module(f"labeltransfer.figures.ho2017.figure_{number:02d}")


def mock_giants(n_star, rng):
    """Labels of mock giants: a thin and a thick disk on the giant branch, with a red clump."""
    thick = rng.random(n_star) < 0.3
    fe_h = np.where(thick, rng.normal(-0.5, 0.3, n_star), rng.normal(-0.1, 0.2, n_star))
    alpha_m = np.where(thick, 0.22 - 0.05 * fe_h, 0.05 - 0.1 * fe_h) + rng.normal(0.0, 0.025, n_star)
    clump = rng.random(n_star) < 0.35
    logg = np.where(clump, rng.normal(2.45, 0.07, n_star), 3.7 - 2.7 * rng.beta(1.2, 1.8, n_star))
    teff = 3790.0 + 385.0 * logg - 260.0 * fe_h + rng.normal(0.0, 35.0, n_star)
    teff = np.where(clump, 4780.0 - 200.0 * fe_h + rng.normal(0.0, 50.0, n_star), teff)
    a_k = rng.exponential(0.08, n_star)
    return {"teff": teff, "logg": logg, "fe_h": fe_h, "alpha_m": alpha_m, "a_k": a_k}


def mock_comparison(n_star, seed=1):
    """A mock table of reference stars, the Cannon precise and the pipeline less so and biased."""
    rng = np.random.default_rng(seed)
    table = Table({f"{label}_apogee": values for label, values in mock_giants(n_star, rng).items()})
    table["snr"] = np.exp(rng.normal(np.log(70.0), 0.7, n_star))
    table["snr_g"] = 0.25 * table["snr"]
    worse = np.sqrt(1.0 + (60.0 / table["snr"]) ** 2)
    for label, cannon, pipeline, bias, bootstrap in (
        ("teff", 60.0, 85.0, -20.0, 4.4),
        ("logg", 0.13, 0.26, 0.18, 0.012),
        ("fe_h", 0.06, 0.08, -0.09, 0.006),
        ("alpha_m", 0.037, None, None, 0.0042),
        ("a_k", 0.05, None, None, 0.01),
    ):
        apogee = table[f"{label}_apogee"]
        table[f"{label}_cannon"] = apogee + cannon * worse * rng.normal(size=n_star)
        table[f"{label}_bootstrap"] = bootstrap * worse
        if pipeline is not None:
            table[f"{label}_lamost"] = apogee + bias + pipeline * worse**1.3 * rng.normal(size=n_star)
    return table


def mock_survey(n_star, seed=2):
    """A mock survey catalogue: dwarfs and giants with pipeline labels and positions."""
    rng = np.random.default_rng(seed)
    giant = rng.random(n_star) < 0.25
    labels = mock_giants(n_star, rng)
    teff = np.where(giant, labels["teff"], rng.normal(5700.0, 550.0, n_star).clip(3900.0, 8000.0))
    logg = np.where(giant, labels["logg"], 4.65 - 0.4 * ((teff - 4000.0) / 2500.0).clip(0, 1) ** 2)
    logg = logg + rng.normal(0.0, 0.1, n_star)
    ra = rng.uniform(0.0, 360.0, n_star)
    dec = np.degrees(np.arcsin(rng.uniform(-0.17, 0.98, n_star)))
    return Table(
        {
            "teff": teff,
            "logg": logg,
            "fe_h": labels["fe_h"],
            "alpha_m": labels["alpha_m"],
            "ra": ra,
            "dec": dec,
        }
    )


def mock_distance(survey, seed=3):
    """Mock label distances: small on the giant branch, large on the main sequence."""
    rng = np.random.default_rng(seed)
    main_sequence = np.maximum(survey["logg"] - 3.6, 0.0) / 0.2
    hot = np.maximum(survey["teff"] - 5300.0, 0.0) / 300.0
    return np.hypot(main_sequence, hot) + rng.gamma(3.0, 0.25, len(survey))


def mock_spectra():
    """Spectra of figure 2: a mock star with a gap in its APOGEE spectrum."""
    apogee_wavelength = 10 ** (4.179 + 6e-5 * np.arange(857))
    apogee_flux = 1.0 - 0.2 * np.cos(apogee_wavelength / 7.0) ** 8
    apogee_flux[300:320] = 0.0
    wavelength = 10 ** (3.5682 + 1e-3 * np.arange(390))
    continuum = 1000.0 * np.exp(-(((wavelength - 6500.0) / 2500.0) ** 2))
    flux = continuum * (1.0 - 0.1 * np.sin(wavelength / 20.0))
    inside = (wavelength > 3905) & (wavelength < 9000)
    normalised = (flux / continuum)[inside]
    return StarSpectra(
        apogee_wavelength, apogee_flux, wavelength, flux, continuum, wavelength[inside], normalised
    )


def mock_model(n_pixel=500):
    """Wavelengths, scaled coefficients and scatter of a mock model."""
    rng = np.random.default_rng(4)
    wavelength = np.linspace(3905.0, 8999.0, n_pixel)
    return wavelength, rng.normal(0.0, 0.01, (5, n_pixel)), np.abs(rng.normal(0.01, 0.003, n_pixel))


def draw(number, archive_kind, lines, n_star=300, n_survey=800):
    """Any of the twelve figures from mock tables of these sizes."""
    if number in (1, 5, 6, 7, 8):
        return module_of(number).draw(mock_comparison(n_star), archive_kind)
    if number == 2:
        return figure_02.draw(mock_spectra(), archive_kind, star="mock star", labels={"teff": 4750.0})
    if number == 4:
        return figure_04.draw(*mock_model(), *lines, archive_kind)
    survey = mock_survey(n_survey)
    if number == 3:
        return figure_03.draw(survey, mock_comparison(n_star), archive_kind)
    if number == 9:
        distance = mock_distance(survey)
        return figure_09.draw(distance, 1.3 * distance, archive_kind)
    if number == 10:
        return figure_10.draw(survey, mock_distance(survey), archive_kind)
    if number == 11:
        return figure_11.draw(survey["fe_h"], survey["alpha_m"], archive_kind)
    return figure_12.draw(mock_survey(n_star, seed=5), survey, archive_kind)


def words(figure):
    """Everything that is written in a figure."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def statistics_of(axes):
    """Scatter, bias and number of stars as printed in a panel."""
    (text,) = [text.get_text() for text in axes.texts if text.get_gid() == "statistics"]
    text = text.replace("\N{MINUS SIGN}", "-").replace(",", "")
    patterns = (r"scatter (-?[\d.]+)", r"bias (-?[\d.]+)", r"(\d+) stars")
    return tuple(float(re.search(pattern, text).group(1)) for pattern in patterns)


def to_three_digits(value):
    return pytest.approx(value, rel=6e-3, abs=6e-6)


def statistics_expected(difference):
    """What a panel must print of these differences."""
    difference = np.asarray(difference)[np.isfinite(difference)]
    return to_three_digits(difference.std()), to_three_digits(difference.mean()), difference.size
