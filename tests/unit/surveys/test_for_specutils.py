"""LAMOST's files and our spectra in specutils, and the way back."""

import gzip
import io
import os
import subprocess
import sys

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import InverseVariance

from labeltransfer.files.errors import ArchiveError
from labeltransfer.surveys import for_specutils
from labeltransfer.surveys.base import Spectrum
from labeltransfer.surveys.for_specutils import LABEL, is_lamost, register, to_specutils
from labeltransfer.surveys.lamost import read_spectrum
from labeltransfer.surveys.through_specutils import from_specutils, read_with_specutils
from tests.unit.surveys.test_lamost import LAYOUTS, NAME, spectrum_hdus, truth
from tests.unit.surveys.test_through_specutils import desi, mwm_star, sdss, tabular

SPEED_OF_LIGHT = 299792.458  # km/s


@pytest.fixture(scope="module")
def specutils():
    module = pytest.importorskip("specutils")
    register()
    return module


@pytest.fixture
def lamost_file(tmp_path):
    """Write a LAMOST file; `lamost_file(layout, zipped)`."""

    def write(layout, zipped=False, rows=None, name=NAME, **cards):
        path = tmp_path / (f"{name}.gz" if zipped else name)
        whole = io.BytesIO()
        fits.HDUList(spectrum_hdus(layout, rows, **cards)).writeto(whole)
        path.write_bytes(gzip.compress(whole.getvalue()) if zipped else whole.getvalue())
        return path

    return write


@pytest.fixture
def star(rng):
    wavelength = np.linspace(4900.0, 5700.0, 1200)
    return wavelength, rng.uniform(0.8, 1.2, len(wavelength)), rng.uniform(0.01, 0.03, len(wavelength))


def assert_same(one, other):
    """Two spectra agree in everything, but for the rounding of a redshift that was a velocity."""
    for name in one._fields:
        expected, found = getattr(one, name), getattr(other, name)
        if name == "redshift":
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
        else:
            np.testing.assert_array_equal(found, expected, err_msg=name)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("zipped", [False, True])
def test_specutils_reads_every_layout(specutils, lamost_file, layout, zipped):
    path = lamost_file(layout, zipped)
    flux, ivar, wavelength, andmask, ormask = truth()
    (listed,) = specutils.SpectrumList.read(str(path))
    for found in (specutils.Spectrum.read(str(path)), specutils.Spectrum.read(path), listed):
        np.testing.assert_array_equal(found.flux, flux * u.one)
        assert isinstance(found.uncertainty, InverseVariance)
        np.testing.assert_array_equal(found.uncertainty.array, ivar)
        np.testing.assert_array_equal(found.mask, andmask != 0)
        np.testing.assert_array_equal(found.meta["ormask"], ormask)
        assert found.spectral_axis.unit == u.AA
        np.testing.assert_allclose(found.spectral_axis.value, wavelength, rtol=6e-8)
        assert found.redshift.value == pytest.approx(-0.00025, abs=1e-15)
        # Of motion along the line of sight: 1 + z = sqrt((1 + v/c) / (1 - v/c)).
        square = (1 - 0.00025) ** 2
        expected = SPEED_OF_LIGHT * (square - 1) / (square + 1)
        assert found.radial_velocity.to_value("km/s") == pytest.approx(expected, rel=1e-11)
        about = {
            key: found.meta[key] for key in ("spectrum_id", "layout", "medium", "frame", "ra", "dec", "lmjd")
        }
        assert about == {
            "spectrum_id": NAME, "layout": layout, "medium": "vacuum", "frame": "observed", "ra": 332.5, "dec": -2.25,
            "lmjd": 55859,
        }  # fmt: skip
        assert found.meta.get("obsid") == (101034 if layout in ("L2", "L3") else None)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_way_through_specutils_changes_nothing(specutils, lamost_file, layout):
    path = lamost_file(layout)
    direct = read_spectrum(path)
    assert_same(direct, read_with_specutils(path))
    assert_same(direct, from_specutils(to_specutils(direct)))
    without = direct._replace(
        ivar=None, andmask=direct.andmask * 0, medium="air", redshift=np.nan, frame="rest"
    )
    assert_same(without, from_specutils(to_specutils(without), frame="rest"))


def test_flags_are_ours_only_while_the_mask_is(specutils, lamost_file):
    one = specutils.Spectrum.read(lamost_file("L2"))
    mask = one.mask.copy()
    mask[1] = True
    one.mask = mask
    found = from_specutils(one)
    np.testing.assert_array_equal(found.andmask, mask)
    np.testing.assert_array_equal(found.ormask, mask)
    assert len(from_specutils(one[10:50]).andmask) == 40
    lost = np.ones(len(mask))
    lost[2] = np.nan
    kept = specutils.Spectrum.read(lamost_file("L2"))
    kept = specutils.Spectrum(
        flux=lost * u.one, spectral_axis=kept.spectral_axis, mask=kept.mask, meta=kept.meta
    )
    _, _, _, andmask, ormask = truth()
    found = from_specutils(kept)
    np.testing.assert_array_equal(found.andmask, np.where(np.arange(len(mask)) == 2, 1, andmask))
    np.testing.assert_array_equal(found.ormask, np.where(np.arange(len(mask)) == 2, 1, ormask))


def test_a_spectrum_moved_to_rest_is_not_moved_again(specutils, lamost_file):
    one = specutils.Spectrum.read(lamost_file("L2"))
    one.shift_spectrum_to(redshift=0 * u.one)
    found = from_specutils(one)
    assert found.frame == ""
    assert np.isnan(found.redshift)
    np.testing.assert_allclose(found.wavelength, truth()[2] / (1 - 0.00025), rtol=6e-8)


def test_an_unknown_redshift_stays_unknown(specutils, lamost_file):
    path = lamost_file("L2", Z=-9999.0)
    one = specutils.Spectrum.read(path)
    assert "redshift" not in one.meta
    assert np.isnan(read_with_specutils(path).redshift)


def test_a_spectrum_at_rest_does_not_move(specutils):
    flags = np.zeros(5, dtype=np.uint32)
    spectrum = Spectrum(
        np.arange(5.0) + 5000, np.ones(5), None, flags, flags, 0.001, np.nan, "a", frame="rest"
    )
    one = to_specutils(spectrum, "erg / (s cm2 AA)")
    assert one.redshift == 0
    assert one.meta["redshift"] == 0.001
    assert one.uncertainty is None
    assert one.flux.unit == u.Unit("erg / (s cm2 AA)")
    again = from_specutils(to_specutils(spectrum._replace(ivar=np.full(5, 4.0)), u.mJy))
    np.testing.assert_array_equal(again.ivar, 4)


def test_files_are_known_by_their_content(specutils, lamost_file, tmp_path, star):
    for layout in LAYOUTS:
        for path in (
            lamost_file(layout),
            lamost_file(layout, zipped=True),
            lamost_file(layout, name="101034.dat"),
        ):
            assert is_lamost("read", path, None)
            assert specutils.io.registers.identify_spectrum_format(str(path)).count(LABEL) == 1
        assert not is_lamost("write", path, None)
    others = [sdss(tmp_path / "spec-4055-55359-0596.fits", star)[0], desi(tmp_path / "coadd.fits", star)]
    others += [
        mwm_star(tmp_path / "mwmStar.fits", star),
        tabular(tmp_path / "table.fits", star, ORIGIN="LAMOST"),
    ]
    fits.PrimaryHDU(np.ones(4300)).writeto(tmp_path / "miles.fits")
    # SDSS-I had five rows too.
    header = fits.Header({"TELESCOP": "SDSS 2.5-M", "FIBERID": 3, "COEFF0": 3.58, "COEFF1": 1e-4})
    fits.PrimaryHDU(np.ones((5, 3800), dtype="f4"), header).writeto(tmp_path / "spSpec-51602-0266-003.fits")
    for path in (*others, tmp_path / "miles.fits", tmp_path / "spSpec-51602-0266-003.fits"):
        with open(path, "rb") as file:
            assert not is_lamost("read", str(path), file, file)
            assert file.tell() == 0
        assert not is_lamost("read", path, None)
        assert LABEL not in specutils.io.registers.identify_spectrum_format(str(path))


def test_a_stream_and_opened_units_are_read_too(specutils, lamost_file):
    for layout in LAYOUTS:
        path = lamost_file(layout)
        direct = read_spectrum(path)
        for each in (path, lamost_file(layout, zipped=True)):
            with open(each, "rb") as file:
                assert_same(direct, from_specutils(specutils.Spectrum.read(file)))
        with fits.open(path) as units:
            assert_same(direct, from_specutils(specutils.Spectrum.read(units)))
    with pytest.raises(ArchiveError, match="unknown layout"):
        for_specutils.load(fits.HDUList([fits.PrimaryHDU()]))


def test_a_damaged_file_says_what_is_wrong_with_it(specutils, lamost_file):
    path = lamost_file("L2")
    path.write_bytes(path.read_bytes()[:7000])
    with pytest.raises(ArchiveError) as caught:
        specutils.Spectrum.read(path)
    assert caught.value.reason == "truncated FITS"


def test_a_line_in_the_folder_of_specutils_registers_it_for_good(specutils, lamost_file, tmp_path, root):
    folder = tmp_path / "home" / ".specutils"
    folder.mkdir(parents=True)
    text = (root / "docs" / "importing.md").read_text()
    (line,) = (part.partition("```")[0] for part in text.split("```python\n") if "\nregister()\n```" in part)
    (folder / "lamost.py").write_text(line)
    code = f"import specutils\nprint(specutils.Spectrum.read({str(lamost_file('L3', zipped=True))!r}).meta['obsid'])"
    environment = os.environ | {"HOME": str(folder.parent)}
    environment["PYTHONPATH"] = os.pathsep.join([str(root / "workflow"), *filter(None, sys.path)])
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[-1] == "101034"


def test_the_session_in_the_documents_runs(specutils, lamost_file, tmp_path, root, star, monkeypatch):
    text = (root / "docs" / "importing.md").read_text()
    (code,) = (
        part.partition("```")[0] for part in text.split("```python\n") if "read_with_specutils(" in part
    )
    tabular(tmp_path / "star.fits", star)
    lamost_file("L3", zipped=True)
    monkeypatch.chdir(tmp_path)
    given = {}
    exec(code, given)
    assert (given["star"].medium, given["star"].frame) == ("air", "rest")
    np.testing.assert_array_equal(given["again"].flux.value, given["star"].flux)
    assert given["seen"].meta["spectrum_id"] == given["ours"].spectrum_id == NAME
