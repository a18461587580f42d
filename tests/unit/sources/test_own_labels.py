"""Tables of labels of one's own, joined to spectra."""

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.files.errors import ArchiveError
from labeltransfer.sources.local import scan_spectra
from labeltransfer.sources.own_labels import ELSEWHERE, OF_TWO_STARS, OUTDONE, LabelTables, join_labels
from tests.unit.sources.own_folder import put_labels

COLUMNS = {"teff": "Teff", "fe_h": "feh"}


def test_labels_by_obsid(folder, tmp_path):
    labels = put_labels(
        tmp_path / "labels.csv",
        "obsid,Teff,Teff_err,feh,snr\n101006.0,5000,0,0.1,70\n101005,4800,50,-9999,80\n"
        "101005,4900,60,0,90\n7,6000,10,0,20\n,6000,10,0,20\n",
    )
    errors = {"teff": "Teff_err", "not asked for": "nothing"}
    survey, _ = scan_spectra(folder)
    reference, rejected = join_labels(survey, LabelTables(labels, COLUMNS | {"snr": "snr"}, errors))
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
    assert [(row["id"], row["catalog"], row["reason"]) for row in rejected] == [
        ("101005", "reference", "duplicate label row"),
        ("7", "reference", "no spectrum for these labels"),
        ("", "reference", "no identifier"),
    ]


def test_labels_by_spectrum_id(folder, tmp_path):
    labels = put_labels(
        tmp_path / "labels.csv",
        "file,Teff,feh\nx/y/spec-55859-F5902_sp01-007.fits.gz,1,2\nspec-55859-F5902_sp01-006.fits,3,4\n",
    )
    how = LabelTables(labels, COLUMNS, id_column="file", match="spectrum_id")
    reference, rejected = join_labels(scan_spectra(folder)[0], how)
    assert list(reference["reference_id"]) == [f"spec-55859-F5902_sp01-00{n}.fits" for n in (7, 6)]
    assert list(reference["teff"]) == [1, 3]
    assert "no spectrum for these labels" not in rejected["reason"]


def test_labels_by_position(folder, tmp_path):
    labels = put_labels(
        tmp_path / "labels.csv", "Teff,feh,RA,de\n1,0,10,20\n2,0,50,20.01\n3,0,59.9999,-30\n4,0,,\n"
    )
    columns = COLUMNS | {"ra": "RA", "dec": "de"}
    survey, _ = scan_spectra(folder)
    reference, rejected = join_labels(survey, LabelTables(labels, columns, match="position"))
    assert list(reference["reference_id"]) == ["row 0", "row 2"]
    # Of two spectra of the first star the nearer one.
    assert list(reference["id"]) == [
        "dr9/spec-55859-F5902_sp01-005.fits.gz",
        "old/spec-55859-F5902_sp01-007.FITS",
    ]
    np.testing.assert_array_equal(reference["ra"], [10, 59.9999])
    np.testing.assert_array_equal(reference["teff"], [1, 3])
    assert dict(zip(rejected["id"], rejected["reason"], strict=True)) == {
        "row 1": "no spectrum for these labels",
        "row 3": "no position",
    }
    # 0.0001 deg in right ascension at -30 deg are 0.31 arcsec, at +20 deg 0.34.
    nearer, _ = join_labels(survey, LabelTables(labels, columns, match="position", radius=0.32))
    assert len(nearer) == 2
    nearest, _ = join_labels(survey, LabelTables(labels, columns, match="position", radius=0.30))
    assert list(nearest["reference_id"]) == ["row 0"]
    assert len(survey) == 5
    # Two labels for one spectrum.
    both = put_labels(tmp_path / "both.csv", "Teff,feh,RA,de\n1,0,60.0001,-30\n2,0,60.00005,-30\n")
    reference, rejected = join_labels(survey, LabelTables(both, columns, match="position"))
    assert list(reference["teff"]) == [2]
    assert list(rejected["reason"]) == [OUTDONE]


def test_wrong_configuration_is_explained(folder, tmp_path):
    survey, _ = scan_spectra(folder)
    labels = put_labels(tmp_path / "labels.csv")
    with pytest.raises(ValueError, match="expected one of obsid"):
        join_labels(survey, LabelTables(labels, COLUMNS, match="name"))
    with pytest.raises(ValueError, match="ra and dec"):
        join_labels(survey, LabelTables(labels, COLUMNS, match="position"))
    with pytest.raises(ArchiveError, match=r"missing column.*'uid'"):
        join_labels(survey, LabelTables(labels, COLUMNS, id_column="uid"))
    with pytest.raises(ArchiveError, match="no labels matched"):
        join_labels(survey, LabelTables(labels, COLUMNS, id_column="Teff"))
    words = put_labels(tmp_path / "words.csv", "obsid,Teff,feh\n101005,hot,0\n")
    with pytest.raises(ArchiveError, match="'hot'"):
        join_labels(survey, LabelTables(words, COLUMNS))


@pytest.fixture
def stars():
    """A plate of stars, as a scan lists them."""
    n = 40
    table = Table(
        {"obsid": 587_302_001 + np.arange(n), "ra": 10 + 0.02 * np.arange(n), "dec": np.full(n, 20.0)}
    )
    table["id"] = table["path"] = [f"p/{row:04d}.fits" for row in range(n)]
    table["spectrum_id"] = [f"{row:04d}.fits" for row in range(n)]
    table["snrg"] = np.full(n, 50.0)
    return table


def table_of(stars, path, **columns):
    """Labels of stars as a table of FITS."""
    table = Table({"obsid": stars["obsid"], "Teff": 5000.0 + np.arange(len(stars))})
    table["feh"] = np.linspace(-1, 0.3, len(stars))
    for name, values in columns.items():
        table[name] = values
    table.write(path, overwrite=True)
    return path


def test_identifiers_that_floats_cannot_hold_are_refused(stars, tmp_path):
    for kind, held in (("f4", False), ("f8", True), ("i8", True)):
        path = table_of(stars, tmp_path / "t.fits", obsid=stars["obsid"].astype(kind))
        if held:
            reference, _ = join_labels(stars, LabelTables(path, COLUMNS))
            assert reference["teff"].tolist() == (5000.0 + np.arange(40)).tolist()
        else:
            with pytest.raises(
                ArchiveError, match=r"identifiers lost digits.*32-bit floats.*64-bit whole"
            ) as caught:
                join_labels(stars, LabelTables(path, COLUMNS))
            assert caught.value.reason == "identifiers lost digits"
    text = put_labels(tmp_path / "t.csv", "obsid,Teff,feh\n5.87302E+08,5000,0\n")
    with pytest.raises(ArchiveError, match=r"lost digits.*an exponent such as 5\.87302E\+08"):
        join_labels(stars, LabelTables(text, COLUMNS))
    exact = put_labels(tmp_path / "t.csv", "obsid,Teff,feh\n587302001.0,5000,0\n,5001,0\n587302003,5002,0\n")
    reference, rejected = join_labels(stars, LabelTables(exact, COLUMNS))
    assert reference["reference_id"].tolist() == ["587302001", "587302003"]
    assert rejected["reason"].tolist() == ["no identifier"]


def test_names_that_lost_zeros_are_refused(stars, tmp_path):
    text = put_labels(tmp_path / "t.csv", "file,Teff,feh\n12,5000,0\n13,5100,0\n")
    with pytest.raises(ArchiveError, match=r"lost leading zeros.*12 where a spectrum is 0012, and 1 more"):
        join_labels(stars, LabelTables(text, COLUMNS, id_column="file", match="spectrum_id"))
    whole = put_labels(tmp_path / "t.csv", "file,Teff,feh\n0012,5000,0\n0013.fits.gz,5100,0\n")
    reference, _ = join_labels(stars, LabelTables(whole, COLUMNS, id_column="file", match="spectrum_id"))
    assert reference["path"].tolist() == ["p/0012.fits", "p/0013.fits"]


def test_one_identifier_of_two_stars_is_nobodys(stars, tmp_path):
    path = table_of(stars, tmp_path / "t.fits")
    stars["obsid"][7] = stars["obsid"][6]
    reference, rejected = join_labels(stars, LabelTables(path, COLUMNS))
    assert len(reference) == 38
    assert rejected["reason"].tolist() == [OF_TWO_STARS, "no spectrum for these labels"]
    # Two files of one star are copies.
    stars["ra"][7] = stars["ra"][6] + 1 / 3600
    reference, rejected = join_labels(stars, LabelTables(path, COLUMNS))
    assert len(reference) == 39
    assert rejected["reason"].tolist() == ["no spectrum for these labels"]


def test_positions_are_compared_where_identifiers_join(stars, tmp_path):
    columns = COLUMNS | {"ra": "ra", "dec": "dec"}
    ra = stars["ra"].data.copy()
    ra[[3, 4]] += 5.0
    path = table_of(stars, tmp_path / "t.fits", ra=ra, dec=stars["dec"].data)
    with pytest.warns(UserWarning, match=r"2 of 40 labels .* by 4\.7 deg in the median and up to 4\.7 deg"):
        reference, rejected = join_labels(stars, LabelTables(path, columns))
    assert len(reference) == 38
    assert rejected["reason"].tolist() == [ELSEWHERE] * 2
    hours = table_of(stars, tmp_path / "h.fits", ra=stars["ra"].data / 15, dec=stars["dec"].data)
    with pytest.raises(ArchiveError, match=r"positions disagree.*40 of 40 .*degrees"):
        join_labels(stars, LabelTables(hours, columns))
    table = Table.read(hours)
    table["ra"].unit = "hourangle"
    table.write(tmp_path / "u.ecsv")
    reference, rejected = join_labels(stars, LabelTables(tmp_path / "u.ecsv", columns))
    np.testing.assert_allclose(reference["ra"], stars["ra"])
    assert len(rejected) == 0


def test_flags_stay_whole_and_labels_are_numbers(stars, tmp_path):
    flags = np.where(np.arange(40) == 3, 1 << 62, 0)
    path = table_of(
        stars, tmp_path / "t.fits", FLAG=flags, Teff=np.arange(40) + 5000, note=np.full(40, "good")
    )
    columns = COLUMNS | {"aspcapflag": "FLAG", "comment": "note"}
    reference, _ = join_labels(stars, LabelTables(path, columns, labels=("teff", "fe_h")))
    assert reference["aspcapflag"].dtype == np.int64
    assert reference["aspcapflag"].tolist() == flags.tolist()
    assert reference["teff"].dtype == float
    assert set(reference["comment"]) == {"good"}
    # What nobody mapped is not there: no zeros that pass every cut.
    assert not {"starflag", "extratarg"} & set(reference.colnames)


def test_sentinels_are_missing_and_others_are_named(stars, tmp_path):
    teff = 5000.0 + np.arange(40)
    teff[:4] = [-9999, 999999, -999, 99.99]
    path = table_of(stars, tmp_path / "t.fits", Teff=teff)
    reference, _ = join_labels(stars, LabelTables(path, COLUMNS))
    assert np.isnan(reference["teff"][:4]).all()
    teff[:4] = 88888.0
    path = table_of(stars, tmp_path / "t.fits", Teff=teff)
    with pytest.raises(ArchiveError, match=r"'Teff', found 88888 in 4 rows.*archives\.missing"):
        join_labels(stars, LabelTables(path, COLUMNS))
    reference, _ = join_labels(stars, LabelTables(path, COLUMNS, sentinels=(88888.0,)))
    assert np.isnan(reference["teff"][:4]).all()
