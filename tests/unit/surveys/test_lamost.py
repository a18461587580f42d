"""The LAMOST readers against files written here with astropy, whole and broken."""

import gzip
import os
import pickle
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labeltransfer.files.errors import ArchiveError
from labeltransfer.surveys.lamost import read_catalog, read_spectrum

NAME = "spec-55859-F5902_sp01-034.fits"
ROWS = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK")
N_PIX = 300
LAYOUTS = ("L0", "L1", "L2", "L3")


def truth(n_pix=N_PIX):
    """Flux, ivar, wavelength, andmask, ormask that float32 holds exactly, but for the wavelengths."""
    pixel = np.arange(n_pix)
    wavelength = 10 ** (3.5682 + 1e-4 * pixel)
    return [pixel * 0.5 - 3, 1.0 + pixel % 7, wavelength, (pixel % 11 == 0) * 4, (pixel % 5 == 0) * 12]


def spectrum_hdus(layout, rows=None, **cards):
    """The units of a file in one of the layouts; `cards` replace header cards, None removes them."""
    rows = truth() if rows is None else rows
    header = fits.Header()
    header["FILENAME"] = NAME
    header["LMJD"], header["PLANID"], header["SPID"], header["FIBERID"] = 55859, "F5902", 1, "34"
    header["RA"], header["DEC"], header["DESIG"] = 332.5, -2.25, "LAMOST J221000.00-021500.0"
    header["COEFF0"], header["COEFF1"] = 3.5682, 1e-4
    header["Z"], header["Z_ERR"] = -0.00025, 0.00003
    header["SN_G" if layout in ("L0", "L1") else "SNRG"] = 41.5
    if layout in ("L2", "L3"):
        header["OBSID"], header["DATA_V"] = 101034, "LAMOST DR99"
    if layout == "L0":
        # A smooth curve below the continuum, as in the first release: no wavelengths.
        rows = [rows[0], rows[1], 500 + 30 * np.sin(np.arange(len(rows[0])) / 50), *rows[3:]]
        header["EXTEN0"] = "Flux Inverse Subcontinuum Andmask Ormask"
    elif layout != "L3":
        header["EXTEN0"] = "Flux, Inverse, Wavelength, Andmask, Ormask"
    for key, value in cards.items():
        header.remove(key, ignore_missing=True)
        if value is not None:
            header[key] = value
    if layout != "L3":
        return [fits.PrimaryHDU(np.array(rows, dtype="f8" if layout == "L1" else "f4"), header)]
    form = f"{len(rows[0])}E"
    columns = [fits.Column(name, form, array=[row]) for name, row in zip(ROWS, rows, strict=True)]
    columns.append(fits.Column("NORMALIZATION", form, array=[rows[0]]))
    return [fits.PrimaryHDU(None, header), fits.BinTableHDU.from_columns(columns, name="COADD")]


def content(layout, rows=None, **cards):
    """The bytes of `spectrum_hdus`."""
    path = os.path.join(content.folder, f"{len(os.listdir(content.folder))}.fits")
    fits.HDUList(spectrum_hdus(layout, rows, **cards)).writeto(path)
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture(autouse=True)
def _scratch(tmp_path_factory):
    content.folder = tmp_path_factory.mktemp("content")


@pytest.fixture
def put(tmp_path):
    """Write bytes under a name and return the path."""

    def write(data, name=NAME):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


def reason_of(path):
    with pytest.raises(ArchiveError) as caught:
        read_spectrum(path)
    assert str(path) in str(caught.value)
    assert "expected" in str(caught.value)
    assert "found" in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("zipped", [False, True])
def test_every_layout_gives_the_same_spectrum(put, layout, zipped):
    data = content(layout)
    found = read_spectrum(put(gzip.compress(data) if zipped else data))
    flux, ivar, wavelength, andmask, ormask = truth()
    assert found.layout == layout
    np.testing.assert_array_equal(found.flux, flux)
    np.testing.assert_array_equal(found.ivar, ivar)
    np.testing.assert_array_equal(found.andmask, andmask)
    np.testing.assert_array_equal(found.ormask, ormask)
    # Float32 keeps 3e-8 of a wavelength: 9 m/s.
    np.testing.assert_allclose(found.wavelength, wavelength, rtol=0 if layout in ("L0", "L1") else 6e-8)
    assert found.wavelength.dtype == np.float64
    assert (found.redshift, found.redshift_err, found.snrg) == (-0.00025, 0.00003, 41.5)
    assert (found.ra, found.dec, found.designation) == (332.5, -2.25, "J221000.00-021500.0")
    assert (found.lmjd, found.planid, found.spid, found.fiberid) == (55859, "F5902", 1, 34)
    assert found.obsid == (101034 if layout in ("L2", "L3") else -1)
    assert found.spectrum_id == NAME
    for array in found[:5]:
        assert array.flags.writeable
        assert array.dtype.isnative


def test_layout_is_told_from_the_content_not_from_the_release(put):
    for layout in LAYOUTS:
        assert read_spectrum(put(content(layout, DATA_V="LAMOST DR1"))).layout == layout
    assert read_spectrum(put(content("L0", EXTEN0=None))).layout == "L0"
    assert read_spectrum(put(content("L2", EXTEN0=None))).layout == "L2"


def test_the_file_name_does_not_tell_what_is_gzip(put):
    data = content("L2")
    for name in (NAME, "spec-55859-F5902_sp01-034.fits.fits", "anything"):
        assert read_spectrum(put(gzip.compress(data), name)).spectrum_id == NAME
    assert read_spectrum(put(data, NAME + ".gz")).spectrum_id == NAME


def test_extra_extensions_before_and_after_do_no_harm(put, tmp_path):
    primary, coadd = spectrum_hdus("L3")
    other = fits.BinTableHDU(Table({"x": np.arange(5), "name": ["a"] * 5}), name="OTHER")
    fits.HDUList([primary, other, coadd, other.copy()]).writeto(tmp_path / "x.fits")
    found = read_spectrum(tmp_path / "x.fits")
    assert found.layout == "L3"
    np.testing.assert_array_equal(found.flux, truth()[0])
    # Blocks of zeros after the last unit are found in files that went through tapes and some servers.
    with open(tmp_path / "x.fits", "ab") as file:
        file.write(bytes(2880))
    np.testing.assert_array_equal(read_spectrum(tmp_path / "x.fits").flux, truth()[0])


def test_scaled_and_unsigned_columns_are_read_as_astropy_reads_them(tmp_path):
    flux, ivar, wavelength, andmask, ormask = truth()
    columns = [
        fits.Column("FLUX", f"{N_PIX}I", array=[np.arange(N_PIX)]),
        fits.Column("IVAR", f"{N_PIX}D", array=[ivar]),
        fits.Column("WAVELENGTH", f"{N_PIX}D", array=[wavelength]),
        fits.Column("ANDMASK", f"{N_PIX}J", bzero=2**31, array=[andmask.astype("u4") + 2**31]),
        fits.Column("ORMASK", f"{N_PIX}J", array=[ormask]),
    ]
    path = tmp_path / NAME
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="COADD")]).writeto(path)
    fits.setval(path, "TSCAL1", value=0.5, ext=1)
    fits.setval(path, "TZERO1", value=-3.0, ext=1)
    found = read_spectrum(path)
    with fits.open(path) as units:
        np.testing.assert_array_equal(found.flux, units[1].data["FLUX"][0])
        np.testing.assert_array_equal(found.andmask, units[1].data["ANDMASK"][0])
    np.testing.assert_array_equal(found.flux, flux)
    np.testing.assert_array_equal(found.andmask, andmask.astype("u4") + 2**31)


@pytest.mark.parametrize(
    ("filename", "name", "expected"),
    [
        ("spec-55939-GAC_061N46_V3_sp07-078.fits", "3703110.fits", ("GAC_061N46_V3", 55939, 7, 78)),
        ("x", "spec-56199-EG000313N173308V_1_sp01-229.fits.gz", ("EG000313N173308V_1", 56199, 1, 229)),
        ("x", "spec-56199-M31-011N40_B2_sp01-229.fits.fits", ("M31-011N40_B2", 56199, 1, 229)),
        ("x", "mine.fits", ("F5902", 55859, 1, 34)),
    ],
)
def test_identity_comes_from_the_published_name_and_else_from_the_header(put, filename, name, expected):
    found = read_spectrum(put(content("L2", FILENAME=filename), name))
    planid, lmjd, spid, fiberid = expected
    assert (found.planid, found.lmjd, found.spid, found.fiberid) == expected
    assert found.spectrum_id == f"spec-{lmjd}-{planid}_sp{spid:02d}-{fiberid:03d}.fits"


def test_a_hostile_name_in_the_header_is_not_taken_over(put):
    evil = "spec-55859-../../F5902_sp01-034.fits"
    assert (
        read_spectrum(put(content("L2", FILENAME=evil, PLANID="../F"), "own.fits.gz")).spectrum_id
        == "own.fits"
    )


@pytest.mark.parametrize("value", [-9999, -9999.0, "unknown", None, -1.0, True + 1e400])
def test_unknown_redshift_is_nan(put, value):
    if value is not None and value == np.inf:
        data = content("L2", Z=1.5).replace(
            b"Z       =                  1.5", b"Z       =                1E400"
        )
        assert b"1E400" in data
    else:
        data = content("L2", Z=value)
    assert np.isnan(read_spectrum(put(data)).redshift)


@pytest.mark.parametrize("value", [-28762, None, "", 2**70])
def test_bad_obsid_is_minus_one(put, value):
    assert read_spectrum(put(content("L2", OBSID=value))).obsid == -1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_unusable_pixels_get_no_weight_and_finite_flux(put, layout):
    rows = truth()
    rows[0][3], rows[0][4], rows[0][5] = np.nan, np.inf, -np.inf
    rows[1][10], rows[1][11], rows[1][12], rows[1][13] = np.nan, np.inf, -1, 0
    rows[3] = rows[3].astype(float)
    rows[3][20], rows[3][21] = np.nan, -1
    found = read_spectrum(put(content(layout, rows)))
    bad = np.isin(np.arange(N_PIX), [3, 4, 5, 10, 11, 12, 13])
    np.testing.assert_array_equal(found.ivar == 0, bad)
    np.testing.assert_array_equal(found.flux[3:6], 0)
    np.testing.assert_array_equal(found.flux[~bad], truth()[0][~bad])
    assert found.flux[0] < 0
    assert np.all(np.isfinite(found.flux))
    assert np.all(np.isfinite(found.ivar))
    assert np.all(found.andmask[20:22] > 0)


# What is broken and what the reader says about it.


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"obsid ra dec\n1 2 3\n", "not FITS"),
        (b"\n <!DOCTYPE html><html><body>Service Unavailable</body></html>", "HTML page instead of a file"),
        (b"<HTML>please log in</HTML>", "HTML page instead of a file"),
        (bytes(10000), "not FITS"),
        (b"SIMP", "truncated FITS"),
        (gzip.compress(b"", mtime=0), "empty file"),
        (gzip.compress(b"<html>busy</html>", mtime=0), "HTML page instead of a file"),
        (gzip.compress(b"x" * 500, mtime=0)[:-9], "truncated gzip"),
        (b"\x1f\x8b", "truncated gzip"),
        (b"\x1f\x8b" + b"garbage" * 100, "damaged gzip"),
        (gzip.compress(b"x" * 500, mtime=0)[:-8] + bytes(8), "damaged gzip"),
    ],
)
def test_what_is_not_fits(put, data, reason):
    assert reason_of(put(data)) == reason


def test_what_is_not_a_file(tmp_path):
    assert reason_of(tmp_path / "nothing") == "no such file"
    assert reason_of(tmp_path) == "not a regular file"
    os.mkfifo(tmp_path / "pipe")
    assert reason_of(tmp_path / "pipe") == "not a regular file"
    assert reason_of("/dev/zero") == "not a regular file"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_truncation_at_any_block_is_found(put, layout):
    data = content(layout)
    whole = len(data)
    payload = N_PIX * {"L0": 20, "L1": 40, "L2": 20, "L3": 24}[layout]
    end = whole - (-payload % 2880)
    cuts = sorted({*range(9, end, 1440), end - 1, end - payload, end - payload + 1})
    reasons = {reason_of(put(data[:cut])) for cut in cuts}
    # Cut after its primary header, a file of layout L3 is a valid FITS file without data.
    assert reasons <= {"truncated FITS", "unknown layout"}
    assert "truncated FITS" in reasons
    # Missing padding alone loses nothing.
    np.testing.assert_array_equal(read_spectrum(put(data[:end])).flux, truth()[0])


def test_truncated_gzip_of_a_real_layout(put):
    data = gzip.compress(content("L3"))
    for cut in (2, 20, len(data) // 2, len(data) - 1):
        assert reason_of(put(data[:cut])) == "truncated gzip"


def test_gzip_bomb_is_stopped_early(put):
    # 1 GiB of zeros in 1 MB.
    packer, block = zlib.compressobj(9, wbits=31), bytes(2**20)
    bomb = b"".join(packer.compress(block) for _ in range(1024)) + packer.flush()
    path = put(bomb)
    tracemalloc.start()
    started = time.perf_counter()
    assert reason_of(path) == "file too large"
    assert time.perf_counter() - started < 10
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 * 2**20


@pytest.mark.parametrize("layout", ["L2", "L3"])
@pytest.mark.parametrize("n_huge", [10**9, 10**12, 2**62, 10**25])
def test_absurd_sizes_are_refused_without_allocating(put, layout, n_huge):
    data = content(layout)
    start = data.index(b"XTENSION") if layout == "L3" else 0
    where = data.index(b"NAXIS1  =", start)
    card = f"NAXIS1  = {n_huge:>20}".ljust(80).encode()
    path = put(data[:where] + card + data[where + 80 :])
    tracemalloc.start()
    reason = reason_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reason in ("absurd size in header", "damaged FITS header")
    assert peak < 5 * 2**20


def test_header_without_end_is_not_searched_for_ever(put):
    card = "COMMENT nothing but comments".ljust(80).encode()
    header = content("L2")[:80]
    assert reason_of(put(header + 1000 * card)) == "truncated FITS"
    assert reason_of(put(header + 200_000 * card)) == "damaged FITS header"


def test_wavelengths_that_cannot_be(put):
    rows = truth()
    rows[2][100] = rows[2][99]
    assert reason_of(put(content("L1", rows))) == "wavelength not increasing"
    rows[2][100] = np.nan
    for layout in ("L1", "L2", "L3"):
        assert reason_of(put(content(layout, rows))) == "wavelength not increasing"
    rows = truth()
    rows[2] /= 10  # nanometres
    assert reason_of(put(content("L2", rows))) == "wavelength out of range"
    # The sub-continuum of the first release, announced as wavelength: fails loudly.
    assert reason_of(put(content("L0", EXTEN0="Flux Inverse Wavelength Andmask Ormask"))).startswith(
        "wavelength"
    )


def test_layout_0_needs_its_coefficients(put):
    assert reason_of(put(content("L0", COEFF1=None))) == "no wavelength solution"
    assert reason_of(put(content("L0", COEFF0=300.0))).startswith("wavelength")
    # ... and no other layout does.
    assert read_spectrum(put(content("L2", COEFF0=None, COEFF1=None))).layout == "L2"


def test_no_good_pixel(put):
    for value in (0, -1, np.nan):
        rows = truth()
        rows[1] = np.full(N_PIX, value)
        assert reason_of(put(content("L3", rows))) == "all pixels bad"


def test_other_fits_files_are_not_spectra(tmp_path):
    def written(*units):
        fits.HDUList(list(units)).writeto(tmp_path / "other.fits", overwrite=True)
        return tmp_path / "other.fits"

    assert reason_of(written(fits.PrimaryHDU())) == "unknown layout"
    assert reason_of(written(fits.PrimaryHDU(np.zeros((5, 20), "i2")))) == "unknown layout"
    assert reason_of(written(fits.PrimaryHDU(np.zeros((4, 20))))) == "unknown layout"
    assert reason_of(written(fits.PrimaryHDU(np.zeros(20)))) == "unknown layout"
    table = fits.BinTableHDU(Table({"teff": [1.0], "flux": [2.0]}))
    assert reason_of(written(fits.PrimaryHDU(), table)) == "unknown layout"
    # Medium resolution: one row per pixel under the same extension name.
    pixels = fits.BinTableHDU(Table({name: np.ones(50) for name in ROWS}), name="COADD")
    assert reason_of(written(fits.PrimaryHDU(), pixels)) == "unknown layout"
    uneven = [fits.Column(name, f"{10 + (name == 'IVAR')}E", array=[np.ones(10)]) for name in ROWS]
    assert reason_of(written(fits.PrimaryHDU(), fits.BinTableHDU.from_columns(uneven))) == "unknown layout"


def test_junk_bytes_in_a_header_do_not_hide_the_spectrum(put):
    data = content("L2").replace(b"LAMOST J221000.00", b"LAMOST J\xff\xe4\x00000.00")
    found = read_spectrum(put(data))
    np.testing.assert_array_equal(found.flux, truth()[0])


def test_the_error_survives_pickling(tmp_path):
    with pytest.raises(ArchiveError) as caught:
        read_spectrum(tmp_path / "nothing")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.reason) == (str(caught.value), "no such file")
    assert isinstance(again, ValueError)


HIT = st.tuples(
    st.floats(0, 1),
    # Headers are where damage does harm: most hits go there.
    st.sampled_from(["header", "header", "anywhere"]),
    st.one_of(st.integers(0, 255), st.sampled_from(list(b"0123456789 '=-EDT"))),
)


@given(
    layout=st.sampled_from(LAYOUTS),
    hits=st.lists(HIT, min_size=1, max_size=12),
    kind=st.sampled_from(["plain", "cut", "gzip", "damaged gzip"]),
    place=st.floats(0, 1),
    flip=st.integers(1, 255),
)
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_random_damage_raises_nothing_but_archive_errors(
    tmp_path, whole_files, layout, hits, kind, place, flip
):
    damaged = bytearray(whole_files[layout])
    for fraction, where, value in hits:
        within = len(damaged) - (N_PIX * 20 if where == "header" else 1)
        damaged[int(fraction * within)] = value
    if kind == "cut":
        damaged = damaged[: int(place * len(damaged))]
    elif kind != "plain":
        damaged = bytearray(gzip.compress(bytes(damaged), 1))
    if kind == "damaged gzip":
        damaged[int(place * (len(damaged) - 1))] ^= flip
    path = tmp_path / "damaged.fits"
    path.write_bytes(damaged)
    try:
        found = read_spectrum(path)
    except ArchiveError as error:
        reason = error.reason
    else:
        reason = "none"
        assert np.all(np.diff(found.wavelength) > 0)
        assert np.all(np.isfinite(found.flux))
        assert np.all(np.isfinite(found.ivar) & (found.ivar >= 0))
        assert len({array.shape for array in found[:5]}) == 1
    assert reason


@pytest.fixture
def whole_files():
    return {layout: content(layout) for layout in LAYOUTS}


# Catalogues.

CATALOG = {
    "obsid": [101034, 101035, 101036],
    "lmjd": [55859, 55859, 55860],
    "mjd": [55858, 55858, 55859],
    "planid": ["F5902", "GAC_061N46_V3", "20111024"],
    "spid": [1, 12, 3],
    "fiberid": [34, 5, 250],
    "ra": [332.5, 64.0, 0.0],
    "dec": [-2.25, 45.0, 90.0],
    "snrg": [41.5, -9999.0, 20.0],
    "teff": [4800.5, 5100.0, -9999.0],
    "teff_err": [50.0, -9999.0, -1.0],
    "logg": [2.5, 4.5, -9999.0],
    "feh": [-0.5, -9999.0, 0.25],
    "rv": [-20.0, 3.0, 1.0],
    "subclass": ["K1", "G|2", "F5"],
}
IDS = [
    "spec-55859-F5902_sp01-034.fits",
    "spec-55859-GAC_061N46_V3_sp12-005.fits",
    "spec-55860-20111024_sp03-250.fits",
]


def as_text(columns, mark):
    rows = [mark.join(columns)]
    rows += [
        mark.join(str(value).replace("|", "/") for value in row)
        for row in zip(*columns.values(), strict=True)
    ]
    return "\n".join(rows).encode() + b"\n"


@pytest.fixture(params=["fits", "fits.gz", "|", ",", "| gzip", "upper"])
def catalog_file(request, put, tmp_path):
    """The same catalogue in every form in which LAMOST publishes it."""
    columns = dict(CATALOG)
    if request.param == "upper":
        columns = {name.upper(): values for name, values in columns.items()}
    if request.param.startswith("fits"):
        Table(columns).write(tmp_path / "catalog.fits")
        data = (tmp_path / "catalog.fits").read_bytes()
        return put(gzip.compress(data) if "gz" in request.param else data, "stellar")
    data = as_text(columns, "," if request.param == "," else "|")
    return put(gzip.compress(data) if "gzip" in request.param else data, "stellar.csv")


def test_catalog_in_every_form(catalog_file):
    survey, rejected = read_catalog(catalog_file)
    assert len(rejected) == 0
    assert list(survey["spectrum_id"]) == IDS
    assert list(survey["path"]) == [
        f"{plan}/{name}.gz" for plan, name in zip(CATALOG["planid"], IDS, strict=True)
    ]
    np.testing.assert_array_equal(survey["obsid"], CATALOG["obsid"])
    np.testing.assert_array_equal(survey["ra"], CATALOG["ra"])
    np.testing.assert_array_equal(survey["snrg"], [41.5, np.nan, 20])
    np.testing.assert_array_equal(survey["teff"], [4800.5, 5100, np.nan])
    np.testing.assert_array_equal(survey["teff_err"], [50, np.nan, np.nan])
    np.testing.assert_array_equal(survey["feh"], [-0.5, np.nan, 0.25])
    np.testing.assert_array_equal(survey["logg_err"], [np.nan] * 3)
    assert survey["teff"].unit == "K"
    assert survey["spectrum_id"].dtype.kind == "U"
    assert survey["obsid"].dtype == np.int64


def test_catalog_survives_a_round_trip_through_fits(put, tmp_path):
    survey, _ = read_catalog(put(as_text(CATALOG, "|"), "c.csv"))
    survey.write(tmp_path / "survey.fits")
    again = Table.read(tmp_path / "survey.fits")
    assert list(again["spectrum_id"].astype(str)) == IDS


def test_path_pattern(put):
    path = put(as_text(CATALOG, "|"), "c.csv")
    survey, _ = read_catalog(path, path_pattern="{obsid}/{lmjd}/sp{spid:02d}-{fiberid:03d}")
    assert list(survey["path"]) == ["101034/55859/sp01-034", "101035/55859/sp12-005", "101036/55860/sp03-250"]
    with pytest.raises(ValueError, match="may use"):
        read_catalog(path, path_pattern="{night}/{spectrum_id}")


def test_every_row_of_a_catalog_is_kept_or_rejected_with_its_reason(put):
    columns = {
        name: list(CATALOG[name]) for name in ("obsid", "lmjd", "planid", "spid", "fiberid", "ra", "dec")
    }

    def add(obsid, lmjd=55859, planid="F5902", spid=2, fiberid=1, ra=10.0, dec=20.0):
        for name, value in zip(columns, (obsid, lmjd, planid, spid, fiberid, ra, dec), strict=True):
            columns[name].append(value)

    add(1, planid="../../etc")
    add(2, planid="a/b")
    add(3, planid="a\\b")
    add(4, planid="")
    add(5, spid="")
    add(-28762, fiberid="x")
    add(7, spid=1, fiberid=34)  # as the first row
    add(8, fiberid=8, ra=-9999.0)
    add(9, fiberid=9, dec=91.0)
    add(10, lmjd=-9999)
    add(11, planid=".hidden")
    add(12, fiberid=12)
    survey, rejected = read_catalog(put(as_text(columns, "|"), "c.csv"))
    assert list(survey["obsid"]) == [101034, 101035, 101036, 12]
    assert dict(zip(rejected["id"], rejected["reason"], strict=True)) == {
        "spec-55859-../../etc_sp02-001.fits": "unsafe file name",
        "spec-55859-a/b_sp02-001.fits": "unsafe file name",
        "spec-55859-a\\b_sp02-001.fits": "unsafe file name",
        "4": "no identifier",
        "5": "no identifier",
        "row 8": "no identifier",
        IDS[0]: "duplicate spectrum id",
        "spec-55859-F5902_sp02-008.fits": "no position",
        "spec-55859-F5902_sp02-009.fits": "no position",
        "10": "no identifier",
        "spec-55859-.hidden_sp02-001.fits": "unsafe file name",
    }
    assert set(rejected["catalog"]) == {"survey"}
    assert rejected.colnames == ["id", "catalog", "stage", "reason"]


def catalog_error(path):
    with pytest.raises(ArchiveError) as caught:
        read_catalog(path)
    assert str(path) in str(caught.value)
    return caught.value


def test_a_plan_may_look_like_a_number(put):
    columns = {name: CATALOG[name][:2] for name in ("lmjd", "spid", "fiberid", "ra", "dec")}
    survey, _ = read_catalog(put(as_text(columns | {"planid": ["0123", "1E5"]}, "|"), "c.csv"))
    assert list(survey["spectrum_id"]) == ["spec-55859-0123_sp01-034.fits", "spec-55859-1E5_sp12-005.fits"]
    np.testing.assert_array_equal(survey["obsid"], -1)


def test_lmjd_is_never_guessed_from_mjd(put):
    columns = {name: values for name, values in CATALOG.items() if name != "lmjd"}
    error = catalog_error(put(as_text(columns, "|"), "c.csv"))
    assert error.reason == "missing column"
    assert "lmjd" in str(error)
    assert "planid" in str(error)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (as_text({name: [] for name in CATALOG}, "|"), "no rows"),
        (b"<html>busy</html>", "HTML page instead of a file"),
        (b"\x89PNG\r\n\x00\x00\x00", "not a table"),
        (b"just a sentence\n", "missing column"),
        (as_text(CATALOG, "|") + b"1|2|3" + b"|x" * 20 + b"\n", "ragged table"),
        (as_text(CATALOG, "|").replace(b"obsid|", b"", 1), "ragged table"),
    ],
)
def test_catalogs_that_cannot_be_used(put, data, reason):
    assert catalog_error(put(data, "catalog")).reason == reason


def test_empty_and_truncated_fits_catalogs(put, tmp_path):
    Table({name: np.array(values)[:0] for name, values in CATALOG.items()}).write(tmp_path / "c.fits")
    assert catalog_error(tmp_path / "c.fits").reason == "no rows"
    Table({name: values * 500 for name, values in CATALOG.items()}).write(tmp_path / "long.fits")
    data = (tmp_path / "long.fits").read_bytes()
    assert catalog_error(put(data[:20000], "cut.fits")).reason == "truncated FITS"
    fits.PrimaryHDU().writeto(tmp_path / "bare.fits")
    assert catalog_error(tmp_path / "bare.fits").reason == "no table"


def test_a_quote_sign_does_not_swallow_rows(put):
    columns = CATALOG | {"subclass": ['3"', "K", '5"']}
    survey, rejected = read_catalog(put(as_text(columns, "|"), "c.csv"))
    assert len(survey) == 3
    assert len(rejected) == 0


def test_a_row_without_a_position_stops_no_catalogue_wherever_it_stands(tmp_path, monkeypatch):
    monkeypatch.setattr("labeltransfer.files.textfile.BLOCK", 10)
    names = "obsid,lmjd,planid,spid,fiberid,ra,dec,teff"
    rows = [f"{row},55859,P1,1,{row},{10 + 0.1 * row},1.0,5000" for row in range(22)]
    # The last block is two rows long, and both are bad.
    rows[20] = "20,55859,P1,1,20,unknown,1.0,5000"
    rows[21] = "21,55859,P1,1,21,25:00:00,1.0,5000"
    path = tmp_path / "catalog.csv"
    path.write_text("\n".join([names, *rows]) + "\n")
    survey, rejected = read_catalog(path)
    assert len(survey) == 20
    assert list(rejected["reason"]) == ["no position"] * 2
