"""Surveys by name, and another one that goes all the way with a module of its own and a line in the registry."""

import numpy as np
import pytest

from labeltransfer.files.errors import refusal
from labeltransfer.sources.local import scan_spectra
from labeltransfer.sources.own_labels import LabelTables, join_labels
from labeltransfer.spectra.prepare import prepare, settings_from
from labeltransfer.surveys import apogee, lamost, registry
from labeltransfer.surveys.base import Spectrum, Survey

GRID = {"lower": 5000.0, "upper": 5600.0}
PREPARATION = {
    "interpolation": "equal",
    "resolution": None,
    "variance": "information",
    "andmask": True,
    "ormask": False,
    "min_good_fraction": 0.5,
    "normalisation": {"width": 50.0, "weight": "fwhm", "errors": "none", "fit": "average"},
}


def test_surveys_are_found_by_their_names_and_by_those_of_their_releases():
    assert registry.get_survey("lamost") is registry.get_survey("lamost-dr2") is lamost.SURVEY
    assert registry.get_reference("apogee-dr17") is apogee.SURVEY
    with pytest.raises(KeyError, match="no survey 'weave-dr1'; there are lamost"):
        registry.get_survey("weave-dr1")
    with pytest.raises(KeyError, match="there are apogee"):
        registry.get_reference("lamost")


def test_a_module_of_ones_own_is_found_by_its_name(tmp_path, monkeypatch):
    module = tmp_path / "labeltransfer_dwarfs.py"
    module.write_text(
        "from labeltransfer.surveys.base import Survey\nSURVEY = Survey('dwarfs', {}, lambda path: None)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.get_survey("dwarfs-dr1").name == "dwarfs"
    with pytest.raises(KeyError, match=r"labeltransfer_dwarfs.py has no REFERENCE_SURVEY"):
        registry.get_reference("dwarfs")
    # What is made with it is made again when it changes.
    mark = registry.mark_of("dwarfs-dr1")
    module.write_text(module.read_text() + "# another\n")
    assert registry.mark_of("dwarfs-dr1") not in (mark, "")
    assert registry.mark_of("lamost-dr2") == registry.mark_of("weave") == ""


def read_toy(path):
    """Spectra of a survey that publishes text: wavelength, flux and error, in a file with an ending of FITS."""
    try:
        wavelength, flux, error = np.loadtxt(path, unpack=True)
    except ValueError as error:
        raise refusal(path, "not numbers", "three columns", error, "Leave it out.") from None
    good = np.zeros(len(flux), dtype=np.uint8)
    return Spectrum(wavelength, flux, error**-2.0, good, good, 0.0, 1e-5, path.name, ra=10.0, dec=20.0)


@pytest.fixture
def toy(monkeypatch):
    survey = Survey("toy", {"age": ("Gyr", "age, from the rotation")}, read_toy)
    monkeypatch.setitem(registry.SURVEYS, "toy", survey)


def test_another_survey_needs_nothing_else(toy, tmp_path, rng):
    folder = tmp_path / "spectra"
    folder.mkdir()
    wavelength = np.arange(4900.0, 5700.0, 0.5)
    for name in "ab":
        flux = 1 + 0.01 * rng.standard_normal(len(wavelength))
        np.savetxt(folder / f"{name}.fits", np.column_stack([wavelength, flux, np.full(len(flux), 0.01)]))
    (folder / "c.fits").write_text("no numbers")
    (tmp_path / "labels.csv").write_text("spectrum_id,Teff\nb.fits,5000\n")
    labels = LabelTables(tmp_path / "labels.csv", {"teff": "Teff"}, match="spectrum_id")
    spectra, rejected = scan_spectra(folder, survey="toy")
    reference, _ = join_labels(spectra, labels)
    assert list(spectra["id"]) == ["a.fits", "b.fits"]
    np.testing.assert_array_equal(spectra["age"], [np.nan, np.nan])
    assert spectra["age"].unit == "Gyr"
    assert "snrg" in spectra.colnames
    assert "logg" not in spectra.colnames
    assert list(reference["teff"]) == [5000]
    assert list(rejected["reason"]) == ["not numbers"]

    settings = settings_from(GRID, PREPARATION, [])
    paths = [folder / f"{name}.fits" for name in "abc"]
    ((flux, ivar, stars, lost),) = prepare(list("abc"), paths, settings, survey="toy")
    assert ivar.shape == flux.shape == (2, len(settings.grid))
    assert list(stars["id"]) == ["a", "b"]
    assert lost == [("c", "not numbers")]
    np.testing.assert_allclose(flux, 1, atol=0.06)
    np.testing.assert_allclose(stars["snr"], 100, rtol=0.2)
