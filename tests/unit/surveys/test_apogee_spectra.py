"""Combined spectra of APOGEE, as the files of DR10 and the data model of apStar are."""

import numpy as np
import pytest
from astropy.io import fits

from labeltransfer.files.errors import ArchiveError
from labeltransfer.surveys.apogee_spectra import (
    PIXMASK,
    read_apstar_spectrum,
    read_aspcap_spectrum,
    read_spectrum,
)

N_PIX = 60
STAR = "2M00283971+8530377"
WAVELENGTH = 10 ** (4.179 + 6e-6 * np.arange(N_PIX))


def write(path, images, primary, **cards):
    """Images with APOGEE's wavelengths, and a table behind them as aspcapStar and apStar have."""
    header = fits.Header({"CRVAL1": 4.179, "CDELT1": 6e-6, "CRPIX1": 1} | cards)
    table = fits.BinTableHDU.from_columns([fits.Column("PARAM", "7E", array=np.zeros((1, 7)))])
    hdus = [fits.ImageHDU(image, header) for image in images]
    fits.HDUList([fits.PrimaryHDU(header=fits.Header(primary)), *hdus, table]).writeto(path, overwrite=True)
    return path


def aspcap(path, flux=None, error=None, primary=None, **cards):
    flux = np.linspace(0.8, 1.05, N_PIX) if flux is None else flux
    error = np.full(N_PIX, 0.01) if error is None else error
    primary = {"OBJ": STAR, "RA": 7.16548, "DEC": 85.51049} if primary is None else primary
    images = [np.asarray(image, dtype="f4") for image in (flux, error, np.ones(N_PIX))]
    return write(path, images, primary, **cards)


def apstar(path, mask, flux=None, kind="i2", primary=None):
    """One row for a single visit, else two of the combined spectrum and one for each visit."""
    mask = np.asarray(mask, dtype=kind)
    flux = np.tile(np.linspace(80, 120, N_PIX), (len(mask), 1)) if flux is None else flux
    images = [flux.astype("f4"), np.full(flux.shape, 2.0, dtype="f4"), mask]
    primary = {"OBJID": STAR, "NVISITS": max(1, len(mask) - 2)} if primary is None else primary
    return write(path, images, primary)


def test_aspcapstar_is_at_rest_in_vacuum_with_the_errors_of_the_file(tmp_path):
    flux = np.linspace(0.8, 1.05, N_PIX)
    path = aspcap(tmp_path / f"aspcapStar-v304-{STAR}.fits", flux, np.linspace(0.005, 0.02, N_PIX))
    for read in (read_aspcap_spectrum, read_spectrum):
        spectrum = read(path)
        assert (spectrum.spectrum_id, spectrum.frame, spectrum.medium) == (STAR, "rest", "vacuum")
        assert (spectrum.layout, spectrum.ra, spectrum.dec) == ("aspcapStar", 7.16548, 85.51049)
        assert np.isnan(spectrum.redshift)
        np.testing.assert_allclose(spectrum.wavelength, WAVELENGTH, rtol=1e-14)
        np.testing.assert_array_equal(spectrum.flux, flux.astype("f4"))
        np.testing.assert_allclose(spectrum.ivar, np.linspace(0.005, 0.02, N_PIX) ** -2, rtol=1e-6)
        assert not spectrum.andmask.any()
        assert not spectrum.ormask.any()


def test_gaps_pixels_without_flux_and_distrusted_ones_are_bad(tmp_path):
    flux, error = np.full(N_PIX, 0.9), np.full(N_PIX, 0.01)
    flux[:5], error[:5] = 0.0, 0.0  # a gap between the detectors
    flux[10], error[10] = 0.0, 10.0  # flux that the pipeline took out
    error[20], error[21] = 0.5, 0.09  # an error that it raised, and one that is merely large
    flux[30], error[31] = np.nan, np.inf
    spectrum = read_aspcap_spectrum(aspcap(tmp_path / "aspcapStar.fits", flux, error))
    bad = [*range(5), 10, 20, 30, 31]
    np.testing.assert_array_equal(np.flatnonzero(spectrum.andmask), bad)
    np.testing.assert_array_equal(np.flatnonzero(spectrum.ivar == 0), bad)
    assert (spectrum.flux[bad] == 0).all()
    assert spectrum.ivar[21] == pytest.approx(0.09**-2)


def test_apstar_of_several_visits_keeps_what_they_share_apart_from_what_any_has(tmp_path):
    visits = np.zeros((3, N_PIX), dtype=int)
    visits[:, 7] = 1 << PIXMASK["BADPIX"]
    visits[1, 8] = 1 << PIXMASK["CRPIX"]
    visits[:, 9] = 1 << PIXMASK["PERSIST_HIGH"]
    visits[:, 11] = 1 << PIXMASK["NOT_ENOUGH_PSF"]
    combined = np.bitwise_or.reduce(visits, axis=0)
    flux = np.stack([np.full(N_PIX, level, dtype=float) for level in (100, 200, 1, 2, 3)])
    # In some releases the second row has what visits share, in others what any of them has.
    for second in (combined, np.bitwise_and.reduce(visits, axis=0)):
        path = apstar(tmp_path / "apStar.fits", np.vstack([combined, second, visits]), flux)
        spectrum = read_spectrum(path)
        assert spectrum.layout == "apStar"
        np.testing.assert_array_equal(spectrum.flux, 100.0)
        np.testing.assert_array_equal(spectrum.ivar, 0.25)
        np.testing.assert_array_equal(np.flatnonzero(spectrum.andmask), [7, 11])
        np.testing.assert_array_equal(np.flatnonzero(spectrum.ormask), [7, 8, 11])
    wide = read_apstar_spectrum(path, bad=("PERSIST_HIGH",))
    np.testing.assert_array_equal(np.flatnonzero(wide.andmask), [9])


@pytest.mark.parametrize("kind", ["i2", "i4", "i8", "u2"])
def test_apstar_of_one_visit_has_one_row(tmp_path, kind):
    mask = np.zeros((1, N_PIX), dtype=int)
    mask[0, 3], mask[0, 4] = 1 << PIXMASK["SIG_SKYLINE"], 1 << PIXMASK["SIG_TELLURIC"]
    spectrum = read_spectrum(apstar(tmp_path / "apStar.fits", mask, kind=kind))
    np.testing.assert_allclose(spectrum.flux, np.linspace(80, 120, N_PIX), rtol=1e-6)
    np.testing.assert_array_equal(np.flatnonzero(spectrum.andmask), [3])
    np.testing.assert_array_equal(spectrum.andmask, spectrum.ormask)
    flat = [np.ones(N_PIX, "f4"), np.ones(N_PIX, "f4"), mask[0].astype(kind)]
    found = read_spectrum(write(tmp_path / "flat.fits", flat, {"OBJID": STAR}))
    np.testing.assert_array_equal(np.flatnonzero(found.andmask), [3])


def test_the_name_of_a_star_may_be_that_of_the_file(tmp_path):
    path = aspcap(tmp_path / f"aspcapStar-v304-{STAR}.fits", primary={})
    assert read_spectrum(path).spectrum_id == STAR
    with pytest.raises(ArchiveError) as caught:
        read_spectrum(aspcap(tmp_path / "star.fits", primary={}))
    assert caught.value.reason == "no identifier"


def test_what_is_no_such_spectrum_has_a_reason(tmp_path):
    ones, mask = np.ones((1, N_PIX), "f4"), np.zeros((1, N_PIX), "i2")
    cases = [
        (aspcap(tmp_path / "1.fits", flux=np.zeros(N_PIX)), "all pixels bad"),
        (aspcap(tmp_path / "2.fits", error=np.zeros(N_PIX)), "all pixels bad"),
        (aspcap(tmp_path / "3.fits", CRVAL1=15100.0), "no wavelength solution"),
        (write(tmp_path / "4.fits", [ones, ones, mask[:, :-1]], {"OBJID": STAR}), "unknown layout"),
        (write(tmp_path / "5.fits", [mask, ones, mask], {"OBJID": STAR}), "unknown layout"),
        (write(tmp_path / "6.fits", [ones], {"OBJID": STAR}), "unknown layout"),
        (
            write(tmp_path / "7.fits", [ones, ones, mask], {"OBJID": STAR}, CDELT1=0.0),
            "no wavelength solution",
        ),
    ]
    for path, reason in cases:
        with pytest.raises(ArchiveError) as caught:
            read_spectrum(path)
        assert caught.value.reason == reason, path
    with pytest.raises(ArchiveError, match="unknown layout"):
        read_apstar_spectrum(aspcap(tmp_path / "8.fits"))
    data = apstar(tmp_path / "9.fits", mask).read_bytes()
    for cut in (1000, 4000, 7000, len(data) // 2):
        (tmp_path / "cut.fits").write_bytes(data[:cut])
        with pytest.raises(ArchiveError):
            read_spectrum(tmp_path / "cut.fits")
