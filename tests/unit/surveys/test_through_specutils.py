"""Spectra through specutils: files written here in formats that it opens, against what was written."""

import re
import subprocess
import sys

import numpy as np
import pytest
from astropy import units as u
from astropy.constants import c, h
from astropy.io import fits
from astropy.nddata import InverseVariance, StdDevUncertainty, UnknownUncertainty, VarianceUncertainty
from astropy.table import Table

from labeltransfer.files.errors import ArchiveError
from labeltransfer.sources.local import scan_spectra
from labeltransfer.spectra.defaults import default_settings
from labeltransfer.spectra.prepare import NO_FRAME, NO_MEDIUM, on_grid, prepare
from labeltransfer.surveys import through_specutils
from labeltransfer.surveys.registry import get_survey
from labeltransfer.surveys.through_specutils import from_specutils, read_with_specutils

FLUX_UNIT = u.Unit("1e-17 erg / (Angstrom cm2 s)")
GRID = {"lower": 5000.0, "upper": 5600.0}


@pytest.fixture(scope="module")
def specutils():
    return pytest.importorskip("specutils")


@pytest.fixture
def star(rng):
    """Wavelength, flux and its standard deviation."""
    wavelength = np.linspace(4900.0, 5700.0, 1200)
    return wavelength, rng.uniform(0.8, 1.2, len(wavelength)), rng.uniform(0.01, 0.03, len(wavelength))


def table_of(star, axis=None, **meta):
    wavelength, flux, error = star
    columns = {"axis": wavelength * u.AA if axis is None else axis, "flux": flux * FLUX_UNIT}
    return Table(columns | {"uncertainty": error * FLUX_UNIT}, meta=meta)


def ecsv(path, star, axis=None, **meta):
    table_of(star, axis, **meta).write(path, format="ascii.ecsv")
    return path


def tabular(path, star, **cards):
    primary = fits.PrimaryHDU()
    primary.header.update(cards)
    fits.HDUList([primary, fits.BinTableHDU(table_of(star))]).writeto(path)
    return path


def sdss(path, star, **cards):
    """A file with what specutils looks for in spectra of SDSS-III and IV, and with cards of theirs."""
    wavelength, flux, error = star
    primary = fits.PrimaryHDU()
    primary.header.update({"TELESCOP": "SDSS 2.5-M", "VERS2D": "v5_13_2", "FIBERID": 7, "VACUUM": True})
    primary.header.update({"RA": 150.0, "DEC": 2.0, "PLUG_RA": 150.9, "PLUG_DEC": 2.8} | cards)
    bad = (np.arange(len(flux)) % 50 == 0) * 2**20
    columns = {"flux": flux, "loglam": np.log10(wavelength), "ivar": error**-2.0}
    table = Table({name: np.array(column, dtype="f8") for name, column in columns.items()})
    table["and_mask"] = bad.astype("i4")
    fits.HDUList([primary, fits.BinTableHDU(table, name="COADD")]).writeto(path)
    return path, bad


def desi(path, star, n_target=3):
    """Two arms of a file of DESI: each is a list of spectra of several targets."""
    wavelength, flux, error = star
    units = [fits.PrimaryHDU(header=fits.Header({"INFIL000": "x"}))]
    units += [fits.BinTableHDU(Table({"x": [1]}), name=name) for name in ("FIBERMAP", "SCORES")]
    for band, half in (("B", slice(0, 600)), ("R", slice(600, 1200))):
        scaled = np.arange(1, n_target + 1)[:, None] * flux[half]
        parts = {"WAVELENGTH": (wavelength[half], "Angstrom"), "FLUX": (scaled, FLUX_UNIT.to_string())}
        parts["IVAR"] = np.broadcast_to(error[half] ** -2.0, scaled.shape), (FLUX_UNIT**-2).to_string()
        parts["MASK"] = np.zeros(scaled.shape, dtype="i4"), ""
        for name, (array, unit) in parts.items():
            units.append(fits.ImageHDU(np.array(array), name=f"{band}_{name}"))
            units[-1].header["BUNIT"] = unit
    fits.HDUList(units).writeto(path)
    return path


def mwm_star(path, star):
    """A file with what specutils looks for in mwmStar of SDSS-V: four tables of one row, two of them without rows."""
    wavelength, flux, error = star
    row = {"wavelength": wavelength, "flux": flux, "ivar": error**-2.0, "pixel_flags": np.zeros(1200, "i4")}
    about = {"snr": 50.0, "telescope": "apo25m", "sdss_id": 7, "min_mjd": 59000, "max_mjd": 59001}
    units = [fits.PrimaryHDU(header=fits.Header({"V_ASTRA": "0.6.0", "SDSS_ID": 7}))]
    for n_row, name in ((1, "BOSS/APO"), (0, "BOSS/LCO"), (1, "APOGEE/APO"), (0, "APOGEE/LCO")):
        table = Table({key: [value] for key, value in (row | about).items()})
        units.append(fits.BinTableHDU(table[:n_row], name=name))
        units[-1].add_checksum()
    fits.HDUList(units).writeto(path)
    return path


def reason_of(call, *arguments, **options):
    with pytest.raises(ArchiveError) as caught:
        call(*arguments, **options)
    assert "expected" in str(caught.value)
    return caught.value.reason


def test_the_registry_knows_it_without_loading_specutils():
    code = "import sys\nfrom labeltransfer.surveys.registry import get_survey\n"
    code += "print(get_survey('specutils').name, 'specutils' in sys.modules)"
    library = through_specutils.__file__.rpartition("/labeltransfer/")[0]
    code = f"import sys\nsys.path.insert(0, {library!r})\n{code}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["specutils", "False"]


def test_without_specutils_the_error_says_how_to_get_it(monkeypatch, tmp_path, star):
    monkeypatch.setitem(sys.modules, "specutils", None)
    with pytest.raises(ImportError, match=r"pip install survey-label-transfer\[specutils\]"):
        read_with_specutils(ecsv(tmp_path / "star.ecsv", star))


def test_a_table_is_read_as_it_was_written(specutils, tmp_path, star):
    wavelength, flux, error = star
    for path in (
        ecsv(tmp_path / "star.ecsv", star),
        tabular(tmp_path / "star.fits", star),
        tabular(tmp_path / "star.fits.gz", star),
    ):
        found = read_with_specutils(path, medium="air", frame="rest")
        np.testing.assert_allclose(found.wavelength, wavelength, rtol=1e-14)
        np.testing.assert_allclose(found.flux, flux, rtol=1e-14)
        np.testing.assert_allclose(found.ivar, error**-2.0, rtol=1e-12)
        assert not found.andmask.any()
        assert (found.medium, found.frame, found.spectrum_id) == (
            "air",
            "rest",
            path.name.removesuffix(".gz"),
        )
        assert np.isnan([found.redshift, found.redshift_err, found.ra]).all()
        assert all(array.dtype.isnative and array.flags.writeable for array in found[:5])


def test_columns_without_units_are_named_by_the_caller(specutils, tmp_path, star):
    path = tmp_path / "star.txt"
    np.savetxt(path, np.column_stack(star), header="wave flux err", comments="")
    mapping = {"wave": ("spectral_axis", "AA"), "flux": ("flux", ""), "err": ("uncertainty", "")}
    found = read_with_specutils(path, format="ASCII", medium="vacuum", column_mapping=mapping)
    np.testing.assert_array_equal(found.flux, np.loadtxt(path, skiprows=1)[:, 1])
    np.testing.assert_allclose(found.ivar, star[2] ** -2.0, rtol=1e-12)
    assert reason_of(read_with_specutils, path) == through_specutils.CANNOT_READ


@pytest.mark.parametrize("unit", ["nm", "um", "GHz", "eV", "1 / cm"])
def test_any_axis_becomes_increasing_wavelengths(specutils, tmp_path, star, unit):
    wavelength, flux, error = star
    metre = wavelength * 1e-10
    axis = {
        "nm": wavelength / 10,
        "um": wavelength / 1e4,
        "GHz": c.value / metre / 1e9,
        "eV": h.value * c.value / metre / 1.602176634e-19,
        "1 / cm": 0.01 / metre,
    }[unit]
    found = read_with_specutils(ecsv(tmp_path / "star.ecsv", star, axis * u.Unit(unit)))
    np.testing.assert_allclose(found.wavelength, wavelength, rtol=1e-13)
    np.testing.assert_array_equal(found.flux, flux)
    np.testing.assert_allclose(found.ivar, error**-2.0, rtol=1e-12)
    turned = read_with_specutils(
        ecsv(tmp_path / "turned.ecsv", [part[::-1] for part in star], axis[::-1] * u.Unit(unit))
    )
    np.testing.assert_array_equal(turned.flux, flux)
    np.testing.assert_array_equal(turned.ivar, found.ivar)


@pytest.mark.parametrize(
    ("kind", "power"), [(StdDevUncertainty, 1), (VarianceUncertainty, 2), (InverseVariance, -2)]
)
@pytest.mark.parametrize("factor", [1, 1000])
def test_errors_of_any_kind_and_unit_become_inverse_variances(specutils, star, kind, power, factor):
    wavelength, flux, error = star
    unit = u.Jy / factor
    given = error**power
    given[5], given[6], given[7] = 0, np.nan, -1
    uncertainty = kind(given * factor**power, unit=unit**power)
    one = specutils.Spectrum(flux=flux * u.Jy, spectral_axis=wavelength * u.AA, uncertainty=uncertainty)
    found = from_specutils(one)
    expected = error**-2.0
    expected[5:8] = 0
    np.testing.assert_allclose(found.ivar, expected, rtol=1e-12)


def test_errors_of_no_known_kind_are_none(specutils, star):
    wavelength, flux, error = star
    for uncertainty in (None, UnknownUncertainty(error)):
        one = specutils.Spectrum(flux=flux * u.Jy, spectral_axis=wavelength * u.AA, uncertainty=uncertainty)
        assert from_specutils(one).ivar is None


def test_masked_pixels_and_those_without_a_number_are_flagged(specutils, star):
    wavelength, flux, error = star
    flux[3] = np.nan
    mask = np.arange(len(flux)) == 10
    one = specutils.Spectrum(
        flux=flux * u.Jy, spectral_axis=wavelength * u.AA, uncertainty=StdDevUncertainty(error), mask=mask
    )
    found = from_specutils(one)
    for flags in (found.andmask, found.ormask):
        np.testing.assert_array_equal(np.flatnonzero(flags), [3, 10])
    assert (found.flux[3], found.ivar[3]) == (0, 0)
    assert found.ivar[10] > 0


@pytest.mark.parametrize(
    ("cards", "medium"),
    [
        ({}, ""),
        ({"CTYPE1": "WAVE"}, ""),
        ({"CTYPE1": "AWAV-LOG"}, "air"),
        ({"VACUUM": True}, "vacuum"),
        ({"VACUUM": 1}, "vacuum"),
        ({"VACUUM": False}, "air"),
        ({"VACUUM": "good"}, ""),
        ({"AIRORVAC": "vac"}, "vacuum"),
        ({"AIRORVAC": "air"}, "air"),
        ({"MEDIUM": "Vacuum"}, "vacuum"),
        ({"MEDIUM": "vacuum", "CTYPE1": "AWAV"}, ""),
    ],
)
def test_the_medium_is_what_the_file_or_the_caller_says(specutils, tmp_path, star, cards, medium):
    for path in (tabular(tmp_path / "star.fits", star, **cards), ecsv(tmp_path / "s.ecsv", star, **cards)):
        found = read_with_specutils(path, frame="rest")
        assert found.medium == medium
        assert read_with_specutils(path, medium="air").medium == "air"
        if not medium:
            with pytest.raises(ArchiveError) as caught:
                on_grid(found, default_settings(GRID))
            assert caught.value.reason == NO_MEDIUM


def test_an_image_with_linear_wavelengths_is_in_an_unknown_medium(specutils, tmp_path):
    # As the files of MILES, which are in air and do not say so.
    hdu = fits.PrimaryHDU(np.linspace(0.5, 1.5, 4300))
    hdu.header.update({"CRPIX1": 1, "CRVAL1": 3540.5, "CDELT1": 0.9})
    hdu.writeto(tmp_path / "star.fits")
    found = read_with_specutils(tmp_path / "star.fits")
    np.testing.assert_allclose(found.wavelength, 3540.5 + 0.9 * np.arange(4300), rtol=1e-13)
    assert (found.medium, found.frame, found.ivar) == ("", "", None)


def test_redshift_and_frame_are_what_is_said(specutils, tmp_path, star):
    silent = ecsv(tmp_path / "silent.ecsv", star)
    headed = ecsv(tmp_path / "headed.ecsv", star, redshift=0.002)
    said = ecsv(tmp_path / "said.ecsv", star, redshift=0.002, frame="rest", ra=10.5, dec=-3.25)
    found = read_with_specutils(silent)
    assert np.isnan(found.redshift)
    assert found.frame == ""
    with pytest.raises(ArchiveError) as caught:
        on_grid(found._replace(medium="vacuum"), default_settings(GRID))
    assert caught.value.reason == NO_FRAME
    found = read_with_specutils(silent, redshift=0.001)
    assert (found.redshift, found.frame) == (0.001, "observed")
    # A template at rest may have the redshift of its star in the header.
    found = read_with_specutils(headed)
    assert (found.redshift, found.frame) == (0.002, "")
    found = read_with_specutils(said)
    assert (found.redshift, found.frame, found.ra, found.dec) == (0.002, "rest", 10.5, -3.25)
    assert read_with_specutils(said, frame="observed", redshift=0.0).redshift == 0

    wavelength, flux, _ = star
    one = specutils.Spectrum(flux=flux * u.Jy, spectral_axis=wavelength * u.AA, redshift=-0.0004)
    found = from_specutils(one)
    assert found.redshift == pytest.approx(-0.0004, rel=1e-11)
    assert found.frame == "observed"
    one.shift_spectrum_to(redshift=0 * u.one)
    assert from_specutils(one).frame == ""


def test_sdss_spectra_say_their_medium_and_mask(specutils, tmp_path, star):
    path, bad = sdss(tmp_path / "spec-4055-55359-0596.fits", star)
    found = read_with_specutils(path, redshift=0.0)
    np.testing.assert_allclose(found.wavelength, star[0], rtol=1e-13)
    np.testing.assert_array_equal(found.flux, star[1])
    np.testing.assert_array_equal(found.ivar, star[2] ** -2.0)
    np.testing.assert_array_equal(found.andmask != 0, bad != 0)
    # RA and DEC of such a header are those of the plate.
    assert (found.medium, found.ra, found.dec) == ("vacuum", 150.9, 2.8)
    assert (on_grid(found, default_settings(GRID))[1] > 0).mean() > 0.8


def test_of_mwm_star_the_options_of_the_reader_choose_the_table(specutils, tmp_path, star):
    path = mwm_star(tmp_path / "mwmStar-0.6.0-7.fits", star)
    found = read_with_specutils(path, medium="vacuum", frame="rest", hdu=1)
    np.testing.assert_array_equal(found.wavelength, star[0])
    np.testing.assert_array_equal(found.flux, star[1])
    np.testing.assert_array_equal(found.ivar, star[2] ** -2.0)
    assert reason_of(read_with_specutils, path, hdu=2) == through_specutils.CANNOT_READ


def test_of_several_spectra_the_caller_chooses(specutils, tmp_path, star):
    path = desi(tmp_path / "coadd.fits", star)
    with pytest.raises(ArchiveError, match=r"2 spectra in a list.*Say `which`") as caught:
        read_with_specutils(path)
    assert caught.value.reason == through_specutils.SEVERAL
    for which in (0, (0, 3), (2, 0), (0, 0, 0), (0, -1)):
        assert reason_of(read_with_specutils, path, which=which) == through_specutils.SEVERAL
    for band, half in enumerate((slice(0, 600), slice(600, 1200))):
        found = read_with_specutils(path, which=(band, 2))
        np.testing.assert_array_equal(found.wavelength, star[0][half])
        np.testing.assert_array_equal(found.flux, 3 * star[1][half])
        np.testing.assert_allclose(found.ivar, star[2][half] ** -2.0, rtol=1e-12)


def test_rows_along_either_axis(specutils, star):
    wavelength, flux, error = star
    for axis in (0, 1):
        both = np.stack([flux, 2 * flux], axis=1 - axis)
        errors = StdDevUncertainty(np.stack([error, 3 * error], axis=1 - axis))
        one = specutils.Spectrum(
            flux=both * u.Jy, spectral_axis=wavelength * u.AA, uncertainty=errors, spectral_axis_index=axis
        )
        found = from_specutils(one, which=1)
        np.testing.assert_array_equal(found.flux, 2 * flux)
        np.testing.assert_allclose(found.ivar, (3 * error) ** -2.0, rtol=1e-12)
        assert reason_of(from_specutils, one) == through_specutils.SEVERAL
    single = specutils.Spectrum(flux=flux[None] * u.Jy, spectral_axis=wavelength * u.AA)
    np.testing.assert_array_equal(from_specutils(single).flux, flux)


def test_what_is_no_spectrum_has_a_reason(specutils, tmp_path, star):
    assert reason_of(read_with_specutils, tmp_path / "nothing.fits") == "no such file"
    assert reason_of(read_with_specutils, tmp_path) == "not a regular file"
    for name, text in (("a.fits", "<html>"), ("b.ecsv", "%"), ("c.dat", "1 2 3\n")):
        (tmp_path / name).write_text(text)
        assert reason_of(read_with_specutils, tmp_path / name) == through_specutils.CANNOT_READ
    path = ecsv(tmp_path / "star.ecsv", star)
    assert reason_of(read_with_specutils, path, format="no such format") == through_specutils.CANNOT_READ

    wavelength, flux, _ = star
    pixels = specutils.Spectrum(flux=flux * u.Jy, spectral_axis=np.arange(len(flux)) * u.pix)
    assert reason_of(from_specutils, pixels) == "no wavelength solution"
    twice = np.where(np.arange(len(flux)) == 4, wavelength[3], wavelength)
    repeated = specutils.Spectrum(flux=flux * u.Jy, spectral_axis=twice * u.AA)
    assert reason_of(from_specutils, repeated) == "wavelength not increasing"
    empty = specutils.Spectrum(flux=np.full(9, np.nan) * u.Jy, spectral_axis=wavelength[:9] * u.AA)
    assert reason_of(from_specutils, empty) == "all pixels bad"
    for nothing in (specutils.SpectrumList([]), empty[:0]):
        assert reason_of(from_specutils, nothing) == "no spectrum"
    useless = StdDevUncertainty(np.zeros(len(flux)))
    blind = specutils.Spectrum(flux=flux * u.Jy, spectral_axis=wavelength * u.AA, uncertainty=useless)
    assert reason_of(from_specutils, blind) == "all pixels bad"


def test_a_folder_by_name(specutils, tmp_path, star):
    about = {"VACUUM": True, "FRAME": "rest", "RA": 10.0, "DEC": 20.0}
    tabular(tmp_path / "a.fits", star, **about)
    tabular(tmp_path / "b.fits.gz", star, **about | {"RA": 11.0})
    tabular(tmp_path / "c.fits", star)
    (tmp_path / "d.fits").write_text("nothing")
    spectra, rejected = scan_spectra(tmp_path, survey="specutils")
    assert list(spectra["spectrum_id"]) == ["a.fits", "b.fits", "c.fits"]
    np.testing.assert_array_equal(spectra["ra"], [10, 11, np.nan])
    assert list(zip(rejected["id"], rejected["reason"], strict=True)) == [
        ("d.fits", through_specutils.CANNOT_READ)
    ]
    paths = [tmp_path / name for name in ("a.fits", "b.fits.gz", "c.fits", "d.fits")]
    ((flux, ivar, stars, lost),) = prepare(list("abcd"), paths, default_settings(GRID), survey="specutils")
    assert list(stars["id"]) == ["a", "b"]
    assert lost == [("c", NO_MEDIUM), ("d", through_specutils.CANNOT_READ)]
    assert (ivar > 0).mean() > 0.8
    np.testing.assert_array_equal(flux[0], flux[1])


def test_a_survey_says_what_its_files_do_not(specutils, tmp_path, star):
    path = tabular(tmp_path / "c.fits", star)
    mine = through_specutils.survey("mine", medium="air", frame="rest")
    found = mine.read_spectrum(path)
    assert (mine.name, found.medium, found.frame) == ("mine", "air", "rest")
    assert get_survey("specutils").read_spectrum(path).medium == ""
    assert mine.address_values("c.fits", 7) is None
    with pytest.raises(ArchiveError, match="no catalogue"):
        mine.iterate_catalog(path)


def test_the_pin_is_one_that_the_extra_allows(root):
    import tomllib

    from packaging.requirements import Requirement

    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (asked,) = map(Requirement, extras["specutils"])
    pin = re.search(r"^specutils==(\S+)", (root / "requirements-test.txt").read_text(), re.M)[1]
    assert asked.name == "specutils"
    assert pin in asked.specifier
