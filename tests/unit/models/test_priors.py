"""Gradient spectra of model spectra whose gradients are known, of the shipped file; the choice of Lambda."""

import numpy as np
import pytest

from labeltransfer.models.priors import (
    gradient_spectra,
    reference_labels,
    stepped_name,
)
from labeltransfer.spectra.grid import common_grid
from labeltransfer.spectra.normalise import banded_kernel, normalise
from labeltransfer.synthesis.model_spectra import ModelSpectra, read_model_spectra

LABELS = ("teff", "logg", "c_h", "n_h", "o_h", "mg_h", "al_h", "si_h", "ca_h", "ti_h", "v_h", "cr_h", "mn_h")
LABELS += ("fe_h", "co_h", "ni_h")
STEPS = np.array([200.0, 0.5] + [0.2] * 14)


def line(wavelength, centre, width=3.0):
    return np.exp(-0.5 * ((wavelength - centre) / width) ** 2)


def mock_spectra(step=0.2):
    """Two reference points; Teff changes the level of the flux and a line, Mg another line."""
    wavelength = 10 ** (3.70 + 1e-4 * np.arange(600))
    rows = []
    for name, teff, m_h in (("giant", 4800.0, 0.0), ("poor", 4700.0, -1.0)):
        for label, size in (("reference", 0.0), ("Teff", 100.0), ("Mg_H", step)):
            for sign in (1, -1) if size else (1,):
                flux = 2.0 + 1e-4 * (wavelength - 5200)
                depth = 0.3 * line(wavelength, 5180.0) + 0.2 * line(wavelength, 5400.0)
                if label == "Teff":
                    flux *= 1 + 0.1 * sign
                    depth -= 0.02 * sign * line(wavelength, 5400.0)
                if label == "Mg_H":
                    depth += 0.25 * sign * size * line(wavelength, 5180.0) * (1 if m_h == 0 else 0.5)
                rows.append((name, teff, 2.5, m_h, 1.7, label, sign * size, flux * (1 - depth)))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return ModelSpectra(wavelength, *columns, None, 1800.0, {})


def test_gradient_is_the_change_of_the_normalised_flux():
    models = mock_spectra()
    grid = models.wavelength[20:-20]
    kernel = banded_kernel(grid, 50.0)
    teff, mg = gradient_spectra(models, "giant", ("teff", "mg_h"), [200.0, 0.2], grid, kernel)
    inside = models.flux[:, 20:-20]
    normal = normalise(inside, np.ones_like(inside), kernel)[0]
    at = {
        (n, s): i
        for i, (n, s) in enumerate(zip(models.stepped_label, np.sign(models.step), strict=True))
        if i < 5
    }
    # interpolation hardly changes spectra on their own pixels; a step of 200 K is twice that of the file
    np.testing.assert_allclose(teff, normal[at["Teff", 1]] - normal[at["Teff", -1]], atol=1e-12)
    np.testing.assert_allclose(mg, 0.5 * (normal[at["Mg_H", 1]] - normal[at["Mg_H", -1]]), atol=1e-12)
    # the line deepens by 0.05, of which the normalisation takes back a little
    core = np.argmin(mg)
    assert abs(grid[core] - 5180) < 1
    assert -0.055 < mg[core] < -0.04
    # an overall change of the flux leaves no trace far from lines
    assert np.abs(teff[np.abs(grid - 5180) < 20]).max() < 1e-4
    half = gradient_spectra(models, "giant", ("mg_h",), [0.1], grid, kernel)
    np.testing.assert_allclose(half[0], 0.5 * mg)
    poor = gradient_spectra(models, "poor", ("mg_h",), [0.2], grid, kernel)
    np.testing.assert_allclose(poor[0][core] / mg[core], 0.5, atol=0.02)


def test_weights_of_the_normalisation_matter_and_scale_does_not():
    models = mock_spectra()
    grid = models.wavelength[20:-20]
    kernel = banded_kernel(grid, 50.0)
    plain = gradient_spectra(models, "giant", ("mg_h",), [0.2], grid, kernel)
    flat = gradient_spectra(models, "giant", ("mg_h",), [0.2], grid, kernel, ivar=np.full(len(grid), 7.0))
    np.testing.assert_allclose(flat, plain, atol=1e-12)
    weights = np.where(np.abs(grid - 5180) < 10, 0.01, 1.0)
    weighted = gradient_spectra(models, "giant", ("mg_h",), [0.2], grid, kernel, ivar=weights)
    assert weighted.min() < plain.min() - 1e-3


def test_names_and_reference_labels():
    names = ("teff", "logg", "mg_h", "c_h", "m_h", "vmic")
    found = [stepped_name(name) for name in names]
    assert found == ["Teff", "logg", "Mg_H", "C_H", "M_H", "vmic"]
    models = mock_spectra()
    np.testing.assert_array_equal(reference_labels(models, "poor", ("teff", "logg", "mg_h")), [4700, 2.5, -1])


def test_what_is_missing_is_named():
    models = mock_spectra()
    grid = models.wavelength[20:-20]
    kernel = banded_kernel(grid, 50.0)
    with pytest.raises(ValueError, match="giant has no positive and negative step of c_h; it has Teff, Mg_H"):
        gradient_spectra(models, "giant", ("teff", "c_h"), [200, 0.2], grid, kernel)
    with pytest.raises(
        ValueError, match="no reference point 'dwarf' among the model spectra; they have giant, poor"
    ):
        gradient_spectra(models, "dwarf", ("teff",), [200], grid, kernel)
    with pytest.raises(ValueError, match=r"reach from 5011.9 to 5753.* but the grid from 4900.0"):
        gradient_spectra(models, "giant", ("teff",), [200], np.linspace(4900, 5000, 10), kernel)


def test_shipped_spectra_show_the_known_features(root):
    """Strongest pixels at 4800 K, 2.5, solar, as any list of the lines of late-type giants has them."""
    models = read_model_spectra(root / "resources" / "ab_initio" / "spectra_r1800.fits")
    grid = common_grid()
    kernel = banded_kernel(grid)
    found = gradient_spectra(models, "g4800", LABELS, STEPS, grid, kernel)
    assert found.shape == (16, 3626)
    assert np.isfinite(found).all()
    gradient = dict(zip(LABELS, found, strict=True))

    def strongest(label, low=3900, high=9000):
        pixels = np.flatnonzero((grid > low) & (grid < high))
        pixel = pixels[np.argmax(np.abs(gradient[label][pixels]))]
        return grid[pixel], gradient[label][pixel]

    for label, wavelength, sign in (
        ("c_h", 5165, -1),  # the C2 Swan head
        ("n_h", 4216, -1),  # CN
        ("o_h", 5165, 1),  # more CO leaves less C2
        ("mg_h", 5180, -1),  # Mg I b
        ("al_h", 3962, -1),
    ):
        where, value = strongest(label)
        assert abs(where - wavelength) < 12, label
        assert np.sign(value) == sign, label
    for label, wavelength in (("ca_h", 4228), ("cr_h", 5207), ("mn_h", 4035)):
        near = np.abs(grid - wavelength) < 5
        assert gradient[label][near].min() < -0.015, label
    assert np.corrcoef(gradient["c_h"], gradient["o_h"])[0, 1] < -0.5
    # the elements together follow the metallicity
    metals = gradient_spectra(models, "g4800", ("m_h",), [0.2], grid, kernel)[0]
    assert np.corrcoef(metals, found[2:].sum(axis=0))[0, 1] > 0.9
