"""One's own folder of spectra and tables of labels, written here."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from labeltransfer.files.errors import ArchiveError
from labeltransfer.sources.local import LabelTables, local_catalogs, scan_spectra

COLUMNS = {"teff": "Teff", "fe_h": "feh"}


def put_spectrum(folder, where, obsid=-1, ra=10.0, dec=20.0, redshift=0.0001, snrg=50.0, zipped=False):
    """Write a small spectrum in layout L2; `where` is its path in the folder."""
    pixel = np.arange(40)
    rows = [pixel + 1.0, np.ones(40), 10 ** (3.6 + 1e-4 * pixel), np.zeros(40), np.zeros(40)]
    header = fits.Header({"OBSID": obsid, "RA": ra, "DEC": dec, "Z": redshift, "SNRG": snrg, "LMJD": 55859})
    header["EXTEN0"] = "Flux, Inverse, Wavelength, Andmask, Ormask"
    path = folder / where
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = folder.parent / "plain.fits"
    fits.PrimaryHDU(np.array(rows, "f4"), header).writeto(plain, overwrite=True)
    path.write_bytes(gzip.compress(plain.read_bytes()) if zipped else plain.read_bytes())


@pytest.fixture
def folder(tmp_path):
    """Six files: four good ones, of which two are one observation, one without redshift; two bad ones."""
    folder = tmp_path / "spectra"
    put_spectrum(folder, "dr9/spec-55859-F5902_sp01-005.fits.gz", 101005, zipped=True)
    put_spectrum(folder, "dr5/spec-55859-F5902_sp01-005.fits", 101005, ra=10.0001)
    put_spectrum(folder, "dr5/spec-55859-F5902_sp01-006.fits", 101006, ra=50.0, redshift=-9999)
    put_spectrum(folder, "old/spec-55859-F5902_sp01-007.FITS", ra=60.0, dec=-30.0, snrg=-9999.0)
    (folder / "old" / "broken.fits").write_text("sorry")
    put_spectrum(folder, "old/nowhere.fits", 5, ra=-9999)
    (folder / "README.txt").write_text("not a spectrum")
    (folder / "old" / "loop").symlink_to(folder)
    return folder


def put_labels(
    path, text="obsid,Teff,feh,ra,dec\n101005,4800,-0.5,10.00005,20\n101006,5000,-9999,50,20.0001\n"
):
    path.write_text(text)
    return path


def test_scan_lists_every_spectrum_or_says_why_not(folder):
    survey, rejected = scan_spectra(folder)
    assert list(survey["id"]) == [
        "dr5/spec-55859-F5902_sp01-005.fits",
        "dr5/spec-55859-F5902_sp01-006.fits",
        "dr9/spec-55859-F5902_sp01-005.fits.gz",
        "old/spec-55859-F5902_sp01-007.FITS",
    ]
    assert list(survey["path"]) == list(survey["id"])
    assert list(survey["spectrum_id"]) == [f"spec-55859-F5902_sp01-00{n}.fits" for n in (5, 6, 5, 7)]
    assert list(survey["obsid"]) == [101005, 101006, 101005, -1]
    np.testing.assert_array_equal(survey["ra"], [10.0001, 50, 10, 60])
    np.testing.assert_array_equal(survey["snrg"], [50, 50, 50, np.nan])
    np.testing.assert_array_equal(survey["redshift"], [0.0001, np.nan, 0.0001, 0.0001])
    assert set(survey["layout"]) == {"L2"}
    assert np.all(np.isnan(survey["teff"]))
    assert [tuple(row) for row in rejected] == [
        ("old/broken.fits", "survey", "catalogue", "not FITS"),
        ("old/nowhere.fits", "survey", "catalogue", "no position"),
    ]


def test_scan_is_deterministic_and_its_tables_can_be_written(folder, tmp_path, monkeypatch):
    first = scan_spectra(folder)
    monkeypatch.setattr("labeltransfer.sources.local._BLOCK", 2)
    second = scan_spectra(str(folder), workers=3)
    for one, other in zip(first, second, strict=True):
        assert one.colnames == other.colnames
        for name in one.colnames:
            np.testing.assert_array_equal(one[name], other[name])
    first[0].write(tmp_path / "survey.fits")
    assert len(Table.read(tmp_path / "survey.fits")) == 4


def test_scan_without_spectra(tmp_path):
    with pytest.raises(ArchiveError, match="no such folder"):
        scan_spectra(tmp_path / "nothing")
    with pytest.raises(ArchiveError, match="no spectra"):
        scan_spectra(tmp_path)
    (tmp_path / "a.fits").write_bytes(b"")
    put_spectrum(tmp_path, "\u4f60.fits")
    survey, rejected = scan_spectra(tmp_path)
    assert len(survey) == 0
    assert survey["ra"].dtype == float
    assert list(rejected["reason"]) == ["empty file", "unsafe file name"]


def test_labels_by_obsid(folder, tmp_path):
    labels = put_labels(
        tmp_path / "labels.csv",
        "obsid,Teff,Teff_err,feh,snr\n101006.0,5000,0,0.1,70\n101005,4800,50,-9999,80\n"
        "101005,4900,60,0,90\n7,6000,10,0,20\n,6000,10,0,20\n",
    )
    errors = {"teff": "Teff_err", "not asked for": "nothing"}
    survey, reference, rejected = local_catalogs(
        folder, LabelTables(labels, COLUMNS | {"snr": "snr"}, errors, survey_columns={"teff": "Teff"})
    )
    assert list(reference["reference_id"]) == ["101006", "101005"]
    assert list(reference["path"]) == [
        "dr5/spec-55859-F5902_sp01-006.fits",
        "dr5/spec-55859-F5902_sp01-005.fits",
    ]
    assert list(survey["id"][reference["survey_row"]]) == list(reference["id"])
    np.testing.assert_array_equal(reference["teff"], [5000, 4800])
    np.testing.assert_array_equal(reference["teff_err"], [np.nan, 50])
    np.testing.assert_array_equal(reference["fe_h"], [0.1, np.nan])
    np.testing.assert_array_equal(reference["fe_h_err"], [np.nan, np.nan])
    np.testing.assert_array_equal(reference["snr"], [70, 80])
    np.testing.assert_array_equal(reference["ra"], [50, 10.0001])
    assert "snr_err" not in reference.colnames
    # The second copy of the observation is the survey's; it has the pipeline labels as well.
    np.testing.assert_array_equal(survey["teff"], [4800, 5000, 4800, np.nan])
    assert [(row["id"], row["catalog"], row["reason"]) for row in rejected] == [
        ("old/broken.fits", "survey", "not FITS"),
        ("old/nowhere.fits", "survey", "no position"),
        ("101005", "reference", "duplicate label row"),
        ("7", "reference", "no spectrum for these labels"),
        ("", "reference", "no identifier"),
    ]


def test_labels_by_spectrum_id(folder, tmp_path):
    labels = put_labels(
        tmp_path / "labels.csv",
        "file,Teff,feh\nx/y/spec-55859-F5902_sp01-007.fits.gz,1,2\nspec-55859-F5902_sp01-006.fits,3,4\n",
    )
    _, reference, rejected = local_catalogs(
        folder, LabelTables(labels, COLUMNS, id_column="file", match="spectrum_id")
    )
    assert list(reference["reference_id"]) == [f"spec-55859-F5902_sp01-00{n}.fits" for n in (7, 6)]
    assert list(reference["teff"]) == [1, 3]
    assert "no spectrum for these labels" not in rejected["reason"]


def test_labels_by_position(folder, tmp_path):
    labels = put_labels(
        tmp_path / "labels.csv", "Teff,feh,RA,de\n1,0,10,20\n2,0,50,20.01\n3,0,59.9999,-30\n4,0,,\n"
    )
    columns = COLUMNS | {"ra": "RA", "dec": "de"}
    survey, reference, rejected = local_catalogs(folder, LabelTables(labels, columns, match="position"))
    assert list(reference["reference_id"]) == ["row 0", "row 2"]
    # Of two spectra of the first star the nearer one.
    assert list(reference["id"]) == [
        "dr9/spec-55859-F5902_sp01-005.fits.gz",
        "old/spec-55859-F5902_sp01-007.FITS",
    ]
    np.testing.assert_array_equal(reference["ra"], [10, 59.9999])
    np.testing.assert_array_equal(reference["teff"], [1, 3])
    assert dict(zip(rejected["id"], rejected["reason"], strict=True)) == {
        "old/broken.fits": "not FITS",
        "old/nowhere.fits": "no position",
        "row 1": "no spectrum for these labels",
        "row 3": "no position",
    }
    # 0.0001 deg in right ascension at -30 deg are 0.31 arcsec, at +20 deg 0.34.
    _, nearer, _ = local_catalogs(folder, LabelTables(labels, columns, match="position", radius=0.32))
    assert len(nearer) == 2
    _, nearest, _ = local_catalogs(folder, LabelTables(labels, columns, match="position", radius=0.30))
    assert list(nearest["reference_id"]) == ["row 0"]
    assert len(survey) == 4


def test_wrong_configuration_is_explained(folder, tmp_path):
    labels = put_labels(tmp_path / "labels.csv")
    with pytest.raises(ValueError, match="expected one of obsid"):
        local_catalogs(folder, LabelTables(labels, COLUMNS, match="name"))
    with pytest.raises(ValueError, match="ra and dec"):
        local_catalogs(folder, LabelTables(labels, COLUMNS, match="position"))
    with pytest.raises(ArchiveError, match=r"missing column.*'uid'"):
        local_catalogs(folder, LabelTables(labels, COLUMNS, id_column="uid"))
    with pytest.raises(ArchiveError, match="no labels matched"):
        local_catalogs(folder, LabelTables(labels, COLUMNS, id_column="Teff"))
    words = put_labels(tmp_path / "words.csv", "obsid,Teff,feh\n101005,hot,0\n")
    with pytest.raises(ArchiveError, match="'hot'"):
        local_catalogs(folder, LabelTables(words, COLUMNS))
