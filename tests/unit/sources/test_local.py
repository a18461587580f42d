"""One's own folder of spectra, written here."""

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.files.errors import ArchiveError
from labeltransfer.sources.local import scan_spectra
from tests.unit.sources.own_folder import put_spectrum


def test_scan_lists_every_spectrum_or_says_why_not(folder):
    survey, rejected = scan_spectra(folder)
    assert list(survey["id"]) == [
        "dr5/spec-55859-F5902_sp01-005.fits",
        "dr5/spec-55859-F5902_sp01-006.fits",
        "dr9/spec-55859-F5902_sp01-005.fits.gz",
        "old/nowhere.fits",
        "old/spec-55859-F5902_sp01-007.FITS",
    ]
    assert list(survey["path"]) == list(survey["id"])
    names = [f"spec-55859-F5902_sp01-00{n}.fits" for n in (5, 6, 5, 7)]
    assert list(survey["spectrum_id"]) == [*names[:3], "nowhere.fits", names[3]]
    assert list(survey["obsid"]) == [101005, 101006, 101005, 5, -1]
    # Labels find a spectrum without a position by its name.
    np.testing.assert_array_equal(survey["ra"], [10.0001, 50, 10, np.nan, 60])
    np.testing.assert_array_equal(survey["snrg"], [50, 50, 50, 50, np.nan])
    np.testing.assert_array_equal(survey["redshift"], [0.0001, np.nan, 0.0001, 0.0001, 0.0001])
    assert set(survey["layout"]) == {"L2"}
    assert np.all(np.isnan(survey["teff"]))
    assert [tuple(row) for row in rejected] == [
        ("old/broken.fits", "survey", "catalogue", "not FITS"),
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
    assert len(Table.read(tmp_path / "survey.fits")) == 5


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
