"""The reader of model spectra: the shipped file, and every way in which a user's file can be wrong."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from labeltransfer.files.errors import ArchiveError
from labeltransfer.synthesis.model_spectra import (
    STEPPED_LABELS,
    off_centre_steps,
    read_model_spectra,
    reference_points,
    step_pair,
)

STEPS = {"Teff": 200.0, "logg": 0.5, "vmic": 0.5}


@pytest.fixture(scope="module")
def shipped():
    from tests.conftest import ROOT

    return read_model_spectra(ROOT / "resources" / "ab_initio" / "spectra_r1800.fits")


def _file(path, change=lambda spectra, wave, header: None, wave_unit="Angstrom"):
    """A tiny valid file of one reference point, changed before it is written."""
    wavelength = np.linspace(3900.0, 9010.0, 40)
    rows = [("sun", 5777.0, 4.4, 0.0, 1.0, "reference", 0.0, 0.0)]
    for k, label in enumerate(STEPPED_LABELS):
        size = STEPS.get(label, 0.2)
        rows += [("sun", 5777.0, 4.4, 0.0, 1.0, label, s * size, s * 0.01 * (k + 1)) for s in (1, -1)]
    names = ("reference", "teff", "logg", "m_h", "vmic", "stepped_label", "step", "shift")
    spectra = Table(rows=rows, names=names)
    spectra["flux"] = 0.5 + 0.1 * spectra["shift"][:, None] * np.cos(wavelength)
    spectra["continuum"] = np.ones((len(rows), len(wavelength)))
    spectra.remove_column("shift")
    spectra["teff"].unit, spectra["vmic"].unit = "K", "km/s"
    wave = Table({"wavelength": wavelength})
    wave["wavelength"].unit = wave_unit
    header = fits.Header({"RESOL": 1800, "WAVEMED": "vacuum"})
    spectra = change(spectra, wave, header) or spectra
    hdus = [fits.PrimaryHDU(header=header), fits.table_to_hdu(spectra), fits.table_to_hdu(wave)]
    hdus[1].name, hdus[2].name = "SPECTRA", "WAVELENGTH"
    fits.HDUList(hdus).writeto(path)
    return path


def test_shipped_file_has_the_paper_s_reference_point(shipped):
    names = reference_points(shipped)
    at = {name: shipped.reference == name for name in names}
    first = [(shipped.teff[at[n]][0], shipped.logg[at[n]][0], shipped.m_h[at[n]][0]) for n in names]
    assert (4800.0, 2.5, 0.0) in first
    assert shipped.flux.shape == shipped.continuum.shape == (len(names) * 43, len(shipped.wavelength))
    assert shipped.resolution == 1800
    assert {"CODE", "ATMOS", "LINES"} <= set(shipped.provenance)


def test_shipped_wavelengths_are_vacuum(shipped):
    # Mg b at 5168.8, 5174.1, 5185.0 in vacuum; in air they would lie 1.4 A lower.
    ratio = (shipped.flux / shipped.continuum)[step_pair(shipped, "g4800", "Teff")[0]]
    near = np.abs(shipped.wavelength - 5185.0) < 4
    assert shipped.wavelength[near][ratio[near].argmin()] == pytest.approx(5185.0, abs=0.8)


def test_solar_reference_points_enclose_their_steps(shipped):
    solar = {name for name in reference_points(shipped) if shipped.m_h[shipped.reference == name][0] == 0}
    assert "g4800" in solar
    assert not [pair for pair in off_centre_steps(shipped) if pair[0] in solar]


def test_step_pair_signs(shipped):
    centre, plus, minus = step_pair(shipped, "g4800", "Mg_H")
    assert shipped.step[[centre, plus, minus]].tolist() == [0.0, 0.2, -0.2]
    line = np.abs(shipped.wavelength - 5185.0).argmin()
    assert shipped.flux[plus, line] < shipped.flux[centre, line] < shipped.flux[minus, line]


def test_tiny_file_is_accepted(tmp_path):
    models = read_model_spectra(_file(tmp_path / "ok.fits"))
    assert reference_points(models) == ["sun"]
    assert off_centre_steps(models) == []
    assert models.wavelength.shape == (40,)


def test_off_centre_steps_are_found(tmp_path):
    def shift(spectra, wave, header):
        spectra["flux"][spectra["stepped_label"] == "Ca_H"] += 0.1

    models = read_model_spectra(_file(tmp_path / "off.fits", shift))
    assert off_centre_steps(models) == [("sun", "Ca_H")]


def _change(**kwargs):
    def change(spectra, wave, header):
        for name, unit in kwargs.get("units", {}).items():
            spectra[name].unit = unit
        header.update(kwargs.get("header", {}))
        if "drop" in kwargs:
            spectra.remove_column(kwargs["drop"])
        if "range" in kwargs:
            wave["wavelength"][:] = np.linspace(*kwargs["range"], len(wave))
        if "bad_flux" in kwargs:
            spectra["flux"][3, 3] = kwargs["bad_flux"]
        if "teff" in kwargs:
            spectra["teff"][:] = kwargs["teff"]
        if "without" in kwargs:
            return spectra[spectra["stepped_label"] != kwargs["without"]]
        if kwargs.get("one_sided"):
            return spectra[~((spectra["stepped_label"] == "Mg_H") & (spectra["step"] < 0))]
        return None

    return change


@pytest.mark.parametrize(
    ("change", "reason", "named"),
    [
        ({"header": {"WAVEMED": "air"}}, "not vacuum", "WAVEMED"),
        ({"units": {"teff": "Ry"}}, "wrong unit", "teff"),
        ({"units": {"vmic": "m/s"}}, "wrong unit", "vmic"),
        ({"teff": 5.777}, "wrong unit", "5.777"),
        ({"drop": "flux"}, "missing columns", "flux"),
        ({"drop": "step"}, "missing columns", "step"),
        ({"range": (4000.0, 9010.0)}, "range too short", "4000.0"),
        ({"range": (3900.0, 8000.0)}, "range too short", "8000.0"),
        ({"range": (9010.0, 3900.0)}, "bad wavelengths", "increas"),
        ({"without": "Mg_H"}, "missing labels", "Mg_H"),
        ({"one_sided": True}, "missing labels", "Mg_H"),
        ({"without": "reference"}, "missing reference row", "sun"),
        ({"bad_flux": np.nan}, "bad flux", "flux"),
        ({"bad_flux": -1.0}, "bad flux", "flux"),
    ],
)
def test_errors_name_what_is_wrong(tmp_path, change, reason, named):
    path = _file(tmp_path / "bad.fits", _change(**change))
    with pytest.raises(ArchiveError) as error:
        read_model_spectra(path)
    assert error.value.reason == reason
    assert named in str(error.value)
    assert "bad.fits" in str(error.value)


def test_wavelengths_in_nanometres_are_refused(tmp_path):
    with pytest.raises(ArchiveError, match="nm") as error:
        read_model_spectra(_file(tmp_path / "nm.fits", wave_unit="nm"))
    assert error.value.reason == "wrong unit"


def test_fewer_labels_may_be_asked_for(tmp_path):
    path = _file(tmp_path / "few.fits", _change(without="Mg_H"))
    models = read_model_spectra(path, labels=("Teff", "Fe_H"))
    assert step_pair(models, "sun", "Mg_H") is None


def test_not_fits_and_missing_table(tmp_path):
    (tmp_path / "text.fits").write_text("not a table")
    with pytest.raises(ArchiveError, match=r"text\.fits"):
        read_model_spectra(tmp_path / "text.fits")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(ArchiveError) as error:
        read_model_spectra(tmp_path / "empty.fits")
    assert error.value.reason == "missing table"
