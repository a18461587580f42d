"""The APOGEE readers against small tables and spectra written here."""

import numpy as np
import pytest
from astropy.io import fits

from labeltransfer.files.errors import ArchiveError
from labeltransfer.surveys.apogee import ASPCAPFLAG, read_allstar, read_aspcapstar

LABELS = {"teff": "TEFF", "fe_h": "PARAM_M_H", "a_k": "AK_WISE", "vmic": ("PARAM", 2)}
ERRORS = {"teff": "TEFF_ERR", "fe_h": "PARAM_M_H_ERR"}


def star(name, **values):
    row = {
        "APOGEE_ID": name,
        "LOCATION_ID": 4287,
        "FIELD": "M13",
        "RA": 10.0,
        "DEC": 20.0,
        "SNR": 100.0,
        "TEFF": 4800.0,
        "TEFF_ERR": 91.5,
        "PARAM_M_H": -0.25,
        "PARAM_M_H_ERR": 0.05,
        "AK_WISE": 0.1,
        "PARAM": np.arange(7.0),
        "ASPCAPFLAG": 0,
        "STARFLAG": 0,
        "EXTRATARG": 0,
        "NOTES": "not read",
    }
    assert set(values) <= set(row)
    return row | values


KINDS = {
    "APOGEE_ID": "18A",
    "FIELD": "16A",
    "NOTES": "20A",
    "LOCATION_ID": "I",
    "EXTRATARG": "I",
    "PARAM": "7E",
}
KINDS |= {"ASPCAPFLAG": "J", "STARFLAG": "J", "RA": "D", "DEC": "D"}


@pytest.fixture
def allstar(tmp_path):
    """Write stars as allStar does and return the path."""

    def write(*stars, without=()):
        columns = [
            fits.Column(name, KINDS.get(name, "E"), array=np.array([row[name] for row in stars]))
            for name in star("x")
            if name not in without
        ]
        fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "allStar-v603.fits", overwrite=True)
        return tmp_path / "allStar-v603.fits"

    return write


def test_labels_errors_and_flags(allstar):
    path = allstar(
        star("2M00000001+0000001", ASPCAPFLAG=2**23 + 2**3, STARFLAG=-(2**31) + 4, EXTRATARG=4),
        star("AP00000002+0000002", TEFF=-9999, TEFF_ERR=-1, AK_WISE=-0.02, SNR=-9999, PARAM_M_H_ERR=0),
        star("2M00000003-0000003", AK_WISE=-9999.99, PARAM=np.full(7, -9999.0), PARAM_M_H=np.nan),
    )
    reference, rejected = read_allstar(path, LABELS, ERRORS)
    assert len(rejected) == 0
    assert list(reference["reference_id"]) == [
        "2M00000001+0000001",
        "AP00000002+0000002",
        "2M00000003-0000003",
    ]
    np.testing.assert_array_equal(reference["teff"], [4800, np.nan, 4800])
    np.testing.assert_array_equal(reference["teff_err"], [91.5, np.nan, 91.5])
    np.testing.assert_array_equal(reference["fe_h"], [-0.25, -0.25, np.nan])
    np.testing.assert_allclose(reference["fe_h_err"], [0.05, np.nan, 0.05], rtol=1e-7)
    # Slightly negative extinction is a measurement; -9999.99 is not.
    np.testing.assert_allclose(reference["a_k"], [0.1, -0.02, np.nan], rtol=1e-6)
    np.testing.assert_array_equal(reference["a_k_err"], [np.nan] * 3)
    np.testing.assert_array_equal(reference["vmic"], [2, 2, np.nan])
    np.testing.assert_array_equal(reference["snr"], [100, np.nan, 100])
    for name in ("aspcapflag", "starflag", "extratarg"):
        assert reference[name].dtype == np.int64
    assert reference["aspcapflag"][0] == (1 << ASPCAPFLAG["STAR_BAD"]) + (1 << ASPCAPFLAG["M_H_WARN"])
    # The sign bit of a 32-bit flag is bit 31.
    assert reference["starflag"][0] == 2**31 + 4
    assert reference["aspcap_path"][0] == "4287/aspcapStar-r5-v603-2M00000001+0000001.fits"


def test_one_row_per_star(allstar):
    path = allstar(
        star("2M1", SNR=50, TEFF=1),
        star("2M1", SNR=80, TEFF=2),
        star("2M1", SNR=300, TEFF=3, EXTRATARG=16 + 4),
        star("2M1", SNR=-9999, TEFF=4),
        star("2M2", SNR=10, TEFF=5),
        star("2M2", SNR=10, TEFF=6),
        star("2M3", SNR=10, TEFF=7, EXTRATARG=15),
        star("", TEFF=8),
        star("2M4", RA=-9999, TEFF=9),
    )
    reference, rejected = read_allstar(path, {"teff": "TEFF"})
    assert list(reference["teff"]) == [2, 5, 7]
    assert [(row["id"], row["reason"]) for row in rejected] == [
        ("2M1", "duplicate of a row with higher S/N"),
        ("2M1", "marked duplicate"),
        ("2M1", "duplicate of a row with higher S/N"),
        ("2M2", "duplicate of a row with higher S/N"),
        ("row 7", "no identifier"),
        ("2M4", "no position"),
    ]
    assert set(rejected["catalog"]) == {"reference"}


def test_where_the_spectra_lie(allstar):
    stars = star("2M1"), star("2M2", LOCATION_ID=1, FIELD="hip"), star("../2M3")
    path = allstar(*stars)
    reference, _ = read_allstar(path, {})
    assert list(reference["aspcap_path"]) == [
        "4287/aspcapStar-r5-v603-2M1.fits",
        "hip/aspcapStar-r5-v603-2M2.fits",
        "",
    ]
    reference, _ = read_allstar(path, {}, aspcap_pattern="apo/{FIELD}/aspcapStar-dr17-{APOGEE_ID}.fits")
    assert reference["aspcap_path"][0] == "apo/M13/aspcapStar-dr17-2M1.fits"
    # Other pipelines' tables without these columns are of use all the same.
    reference, _ = read_allstar(
        allstar(*stars, without=("LOCATION_ID", "SNR", "EXTRATARG")), {"teff": "TEFF"}
    )
    assert list(reference["aspcap_path"]) == [""] * 3
    # A flag that nobody gave is none that is clear.
    assert "extratarg" not in reference.colnames
    assert np.all(np.isnan(reference["snr"]))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"teff": "TEF"}, ["'TEF'", "did you mean TEFF", "PARAM_M_H"]),
        ({"teff": ("PARAM", 7)}, ["PARAM", "a vector of 7"]),
        ({"teff": "PARAM"}, ["PARAM", "a vector of 7"]),
        ({"teff": ("TEFF", 0)}, ["TEFF", "single numbers"]),
    ],
)
def test_a_wrong_column_mapping_names_the_column(allstar, labels, words):
    path = allstar(star("2M1"))
    with pytest.raises(ArchiveError) as caught:
        read_allstar(path, labels)
    assert caught.value.reason == "missing column"
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_tables_that_cannot_be_used(allstar, tmp_path):
    with pytest.raises(ArchiveError, match="no such file"):
        read_allstar(tmp_path / "nothing", {})
    path = allstar(star("2M1"))
    (tmp_path / "cut.fits").write_bytes(path.read_bytes()[:6000])
    with pytest.raises(ArchiveError, match="truncated FITS"):
        read_allstar(tmp_path / "cut.fits", {})


def aspcap_file(path, n_pix=50, **cards):
    header = fits.Header({"CRVAL1": 4.179, "CDELT1": 6e-6} | cards)
    data = [1 - 0.1 * np.cos(np.arange(n_pix)), np.full(n_pix, 0.01), np.linspace(0.9, 1, n_pix)]
    images = [fits.ImageHDU(row.astype("f4"), header) for row in data]
    table = fits.BinTableHDU.from_columns([fits.Column("PARAM", "7E", array=np.zeros((1, 7)))])
    fits.HDUList([fits.PrimaryHDU(), *images, table]).writeto(path)
    return path, data


def test_aspcapstar(tmp_path):
    path, (flux, error, model) = aspcap_file(tmp_path / "aspcapStar.fits")
    found = read_aspcapstar(path)
    np.testing.assert_allclose(found.wavelength, 10 ** (4.179 + 6e-6 * np.arange(50)), rtol=1e-14)
    np.testing.assert_array_equal(found.flux, flux.astype("f4"))
    np.testing.assert_array_equal(found.error, error.astype("f4"))
    np.testing.assert_array_equal(found.model, model.astype("f4"))


def test_aspcapstar_that_cannot_be_used(tmp_path):
    path, _ = aspcap_file(tmp_path / "linear.fits", CRVAL1=15100.8)
    with pytest.raises(ArchiveError, match="no wavelength solution"):
        read_aspcapstar(path)
    path, _ = aspcap_file(tmp_path / "good.fits")
    data = path.read_bytes()
    for cut in (1000, 4000, 7000):
        (tmp_path / "cut.fits").write_bytes(data[:cut])
        with pytest.raises(ArchiveError):
            read_aspcapstar(tmp_path / "cut.fits")
    fits.PrimaryHDU(np.zeros((5, 20))).writeto(tmp_path / "lamost.fits")
    with pytest.raises(ArchiveError, match="unknown layout"):
        read_aspcapstar(tmp_path / "lamost.fits")


def test_a_sentinel_that_nobody_named_is_named(allstar):
    stars = [star(f"2M{row}", TEFF=5000.0 + row) for row in range(20)]
    stars += [star(f"2M{row}", TEFF=88888.0) for row in range(20, 25)]
    with pytest.raises(ArchiveError, match=r"'TEFF', found 88888 in 5 rows.*archives\.missing"):
        read_allstar(allstar(*stars), {"teff": "TEFF"})
    reference, _ = read_allstar(allstar(*stars), {"teff": "TEFF"}, sentinels=[88888.0])
    assert np.isnan(reference["teff"]).sum() == 5
