"""Spectra and labels of MILES and STELIB, as their files are."""

import numpy as np
import pytest
from astropy.io import fits

from labeltransfer.files.errors import ArchiveError
from labeltransfer.spectra.defaults import default_settings
from labeltransfer.spectra.medium import to_vacuum
from labeltransfer.spectra.prepare import NO_ERRORS, on_grid
from labeltransfer.surveys.libraries import (
    henry_draper,
    read_miles,
    read_miles_labels,
    read_miles_names,
    read_stelib,
    read_stelib_labels,
    same_stars,
)


def library_file(path, flux=None, **cards):
    """An image of one row with linear wavelengths."""
    hdu = fits.PrimaryHDU(np.linspace(0.5, 1.5, 4300) if flux is None else flux)
    hdu.header.update({"CRPIX1": 1, "CRVAL1": 3540.5, "CDELT1": 0.9} | cards)
    hdu.writeto(path, overwrite=True)
    return path


def test_miles_is_in_air_at_rest_and_without_errors(tmp_path):
    path = library_file(tmp_path / "MILES_res2.50_star_m0123V.fits", FWHM=2.5)
    spectrum = read_miles(path)
    assert (spectrum.spectrum_id, spectrum.medium, spectrum.frame, spectrum.ivar) == (
        "0123",
        "air",
        "rest",
        None,
    )
    np.testing.assert_allclose(spectrum.wavelength, 3540.5 + 0.9 * np.arange(4300))
    assert spectrum.resolution == pytest.approx(2200)
    assert not spectrum.andmask.any()


def test_pixels_without_flux_are_bad(tmp_path):
    flux = np.ones(4300, dtype=np.float32)
    flux[:10], flux[20] = 0.0, np.nan
    spectrum = read_miles(library_file(tmp_path / "m0001V.fits", flux))
    np.testing.assert_array_equal(np.flatnonzero(spectrum.andmask), [*range(10), 20])
    assert np.isfinite(spectrum.flux).all()


def test_stelib_has_its_labels_in_the_header(tmp_path):
    cards = {"OBJECT": "HD 005820 ", "CD1_1": 0.99995, "CDELT1": 5.0, "TEFF": 3900.0, "FE_H": "-       "}
    path = library_file(tmp_path / "STELIB_v3.2_HD005820.fits", **cards, CRPIX1=3.0)
    spectrum = read_stelib(path)
    assert (spectrum.spectrum_id, spectrum.medium, spectrum.frame) == ("HD005820", "air", "rest")
    assert spectrum.wavelength[2] == pytest.approx(3540.5)
    assert np.diff(spectrum.wavelength) == pytest.approx(0.99995)
    teff, fe_h = read_stelib_labels(path)
    assert teff == 3900
    assert np.isnan(fe_h)


def test_without_errors_a_spectrum_needs_an_assumption(tmp_path):
    spectrum = read_miles(library_file(tmp_path / "m0001V.fits"))
    grid = {"lower": 4000.0, "upper": 6000.0}
    with pytest.raises(ArchiveError, match=r"no errors, and no preparation\.missing_errors") as caught:
        on_grid(spectrum, default_settings(grid))
    assert caught.value.reason == NO_ERRORS
    settings = default_settings(grid, {"missing_errors": 80.0})
    flux, ivar = on_grid(spectrum, settings)
    assert (ivar > 0).all()
    np.testing.assert_allclose(
        flux, np.interp(settings.grid, to_vacuum(spectrum.wavelength), spectrum.flux), atol=1e-6
    )


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({"flux": np.ones((5, 10))}, "unknown layout"),
        ({"flux": np.ones(10, dtype=np.int32)}, "unknown layout"),
        ({"CDELT1": 0.0}, "no wavelength solution"),
        ({"CRVAL1": 20000.0}, "wavelength out of range"),
        ({"flux": np.zeros(100)}, "all pixels bad"),
    ],
)
def test_what_is_no_such_spectrum_has_a_reason(tmp_path, about, reason):
    path = library_file(tmp_path / "m0001V.fits", **about)
    with pytest.raises(ArchiveError) as caught:
        read_miles(path)
    assert caught.value.reason == reason


def test_a_name_without_a_star_is_refused(tmp_path):
    with pytest.raises(ArchiveError, match="no identifier"):
        read_miles(library_file(tmp_path / "star.fits"))
    with pytest.raises(ArchiveError, match="OBJECT in the header"):
        read_stelib(library_file(tmp_path / "star.fits"))


def test_labels_of_miles_are_numbers_or_unknown(tmp_path):
    path = tmp_path / "MILES_params.db"
    rows = [
        "#MILES  Teff  log g   [Fe/H]",
        "#s????",
        "  0272  6024   4.50    -1.44",
        "  0001  99999  99.99   0.10",
    ]
    path.write_text(
        "\n".join([*rows, "", "  022.  7950   3.95     0.35", "  0003  hot  4.0  0.0", "  0004  5000  4.0"])
    )
    table, rejected = read_miles_labels(path)
    assert list(table["id"]) == ["0272", "0001"]
    np.testing.assert_array_equal(table["teff"], [6024, np.nan])
    np.testing.assert_array_equal(table["logg"], [4.5, np.nan])
    np.testing.assert_array_equal(table["fe_h"], [-1.44, 0.10])
    lost = dict(zip(rejected["id"].tolist(), rejected["reason"].tolist(), strict=True))
    assert lost == {"line 6": "no identifier", "line 7": "not numbers", "line 8": "not numbers"}
    for text in ("# nothing\n", "0272 6024 4.5\n", "a b c d\n"):
        path.write_text(text)
        with pytest.raises(ArchiveError) as caught:
            read_miles_labels(path)
        assert caught.value.reason == "unknown layout"


def test_names_of_miles_may_have_blanks_and_digits(tmp_path):
    path = tmp_path / "paramsMILES_v9.1.txt"
    lines = [
        "Name                  MILES   CaT   SpT            Teff",
        "                      s????   ",
        " - - - - - - - - - - - - -",
        "BD-010306              0081         G1V             5650",
        "HD062301               0274         F8V             5880",
        "NGC 7789 329(491) Cl   0972                         4000",
        "M71 1-107         Cl   0947   123                   4000",
    ]
    path.write_text("\n".join(lines))
    assert read_miles_names(path) == {
        "0081": "BD-010306",
        "0274": "HD062301",
        "0972": "NGC 7789 329(491)",
        "0947": "M71 1-107",
    }
    path.write_text("another table\n")
    with pytest.raises(ArchiveError) as caught:
        read_miles_names(path)
    assert caught.value.reason == "unknown layout"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("HD000004", "4"),
        ("STELIB_v3.2_HD102224", "102224"),
        ("HD 48682 A", "48682"),
        ("STELIB_v3.2_HD048682B", "48682B"),
        ("STELIB_v3.2_HD053929lp.fits", "53929"),
        ("BD+002058A", None),
        ("STELIB_v3.2_Feige110", None),
        ("HR4468", None),
    ],
)
def test_stars_of_two_libraries_are_known_by_their_numbers(name, number):
    assert henry_draper(name) == number


def test_a_star_is_paired_once_and_not_with_its_companion():
    names = ["HD048682B", "HD048682A", "LTT4364", "HD048682lp", "HD000004"]
    assert same_stars(names, ["G171-010", "HD4", "HD048682", "HD000004"]).tolist() == [-1, 2, -1, -1, 1]
    assert same_stars(["LTT4364"], ["G171-010"]).tolist() == [-1]
