"""The table of reference stars of Ness et al. 2015, with its rows of the Pleiades one column off."""

import numpy as np
import pytest

from labeltransfer.files.errors import ArchiveError
from labeltransfer.surveys.ness2015 import CLUSTERS, PLEIADES, read_ness_labels
from labeltransfer.surveys.sky import separations

NAMES = (
    "ID,Rvel,Teff,Teff_{corr},logg,logg_{corr},[M/H],[M/H]_{corr},[C/M],[N/M],[a/M],S/N,"
    "Jmag,Hmag,Kmag,e_Teff_corr,e_[MH]+corr"
)
GIANT = "-118.06,5067.8,4995.2,2.56,2.08,-1.94,-2.20,0.58,0.90,0.04,163.1,12.826,12.267,12.247,171.3,0.134"
# An error of zero stands between [M/H] and [C/M], so that the last number has no place.
DWARF = "4.06,4927.0,5458.0,4.43,4.59,-0.11,0.03,0.0,-0.21,0.02,-0.07,288.6,10.74,9.66,9.1,0.0"


@pytest.fixture
def table(tmp_path):
    """Write rows as the package has them and return the path."""

    def write(*rows, names=NAMES):
        path = tmp_path / "reference_labels.csv"
        path.write_text("\n".join([names, *rows]) + "\n")
        return path

    return write


def row(star, values=GIANT):
    return f"aspcapStar-v304-{star}.fits,{values}"


def test_labels_raw_and_corrected_with_errors(table):
    stars, rejected = read_ness_labels(table(row("2M17162228+4258036")))
    assert len(rejected) == 0
    found = stars[0]
    assert (found["reference_id"], found["cluster"]) == ("2M17162228+4258036", "M92")
    assert found["file"] == "aspcapStar-v304-2M17162228+4258036.fits"
    assert not found["dwarf"]
    assert [found[name] for name in ("teff_raw", "teff", "logg_raw", "logg", "m_h_raw", "m_h")] == [
        5067.8, 4995.2, 2.56, 2.08, -1.94, -2.20,
    ]  # fmt: skip
    assert [found[name] for name in ("c_m", "n_m", "alpha_m", "snr")] == [0.58, 0.90, 0.04, 163.1]
    assert (found["teff_err"], found["m_h_err"], found["rv"]) == (171.3, 0.134, -118.06)
    assert (stars["teff"].unit, stars["logg"].unit, stars["ra"].unit) == ("K", "dex", "deg")
    # 17h 16m 22.28s, +42d 58' 03.6"
    assert found["ra"] == pytest.approx(259.092833, abs=1e-6)
    assert found["dec"] == pytest.approx(42.967667, abs=1e-6)


def test_rows_of_the_pleiades_are_one_column_off(table):
    stars, _ = read_ness_labels(table(row("2M03434796+2503115", DWARF), row("2M17162228+4258036")))
    dwarf, giant = stars
    assert (dwarf["cluster"], dwarf["dwarf"], giant["dwarf"]) == (PLEIADES, True, False)
    assert [dwarf[name] for name in ("teff", "logg", "m_h")] == [5458.0, 4.59, 0.03]
    assert [dwarf[name] for name in ("c_m", "n_m", "alpha_m", "snr")] == [-0.21, 0.02, -0.07, 288.6]
    assert np.isnan([dwarf["teff_err"], dwarf["m_h_err"]]).all()
    assert giant["c_m"] == 0.58


def test_stars_belong_to_the_cluster_that_they_are_in(table):
    # South of the equator, near 0 h and near the pole; and a star far from all of them.
    names = ["2M21332216-0047566", "2M23571400+5640585", "2M00463920+8523336", "2M16323217-1303071"]
    stars, _ = read_ness_labels(table(*map(row, names), row("2M12000000-4500000")))
    assert list(stars["cluster"]) == ["M2", "NGC 7789", "NGC 188", "M107", ""]
    # No star is within reach of two.
    ra, dec = np.transpose(list(CLUSTERS.values()))
    for one in range(len(ra)):
        others = np.delete(np.arange(len(ra)), one)
        assert separations(ra[one], dec[one], ra[others], dec[others]).min() > 2 * 2.0 * 3600


def test_rows_that_are_no_stars_are_told(table):
    again = GIANT.replace("5067.8", "1.0")
    path = table(row("2M17162228+4258036"), row("2M17162228+4258036", again), row("sky"))
    stars, rejected = read_ness_labels(path)
    assert list(stars["teff_raw"]) == [5067.8]
    assert list(zip(rejected["id"], rejected["reason"], strict=True)) == [
        ("2M17162228+4258036", "duplicate"),
        ("row 2", "no identifier"),
    ]


def test_tables_that_cannot_be_used(table, tmp_path):
    with pytest.raises(ArchiveError, match="missing column"):
        read_ness_labels(table(row("2M17162228+4258036"), names=NAMES.replace("logg_{corr}", "g")))
    with pytest.raises(ArchiveError) as caught:
        read_ness_labels(table(row("a"), row("b")))
    assert caught.value.reason == "unknown layout"
    with pytest.raises(ArchiveError, match="no such file"):
        read_ness_labels(tmp_path / "nothing.csv")
