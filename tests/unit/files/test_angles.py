"""Positions in the units and forms that tables have them in."""

import numpy as np
import pytest
from astropy.coordinates import Angle

from labeltransfer.files.angles import degrees
from labeltransfer.files.errors import ArchiveError

TEXTS = ["12:34:56.7", "00:00:01", "23:59:59.99"]


def column(*texts):
    return np.array(texts, dtype=object)


@pytest.mark.parametrize("form", ["{}:{}:{}", "{} {} {}", "{}h{}m{}s", " {}h {}m {}s "])
def test_sexagesimal_right_ascensions_are_hours(form):
    texts = [form.format(*text.split(":")) for text in TEXTS]
    expected = Angle(TEXTS, unit="hourangle").deg
    np.testing.assert_allclose(degrees(column(*texts), "", "t", "ra", True), expected, rtol=1e-12)


def test_declinations_keep_their_sign():
    found = degrees(column("-00:30:00", "+45 13 45.5", "-89d59m60s", ""), '"d:m:s"', "t", "dec", False)
    np.testing.assert_allclose(found, [-0.5, 45 + 13 / 60 + 45.5 / 3600, -90, np.nan])
    # Sexagesimal right ascensions may be in degrees where the unit or the mark says so.
    np.testing.assert_allclose(degrees(column("180:30:00"), "deg", "t", "ra", True), [180.5])
    np.testing.assert_allclose(degrees(column("180d30m00s"), "", "t", "ra", True), [180.5])


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("", 1), ("deg", 1), ("h", 15), ("hourangle", 15), ("rad", 180 / np.pi), ("arcsec", 1 / 3600)],
)
def test_numbers_are_in_their_unit(unit, factor):
    np.testing.assert_allclose(
        degrees(np.array([0.5, np.nan]), unit, "t", "ra", True), [0.5 * factor, np.nan]
    )


def test_right_ascensions_go_round():
    found = degrees(np.array([-0.1, -180.0, 360.0, 359.0, 400.0, -9999.0, -999.0]), "deg", "t", "ra", True)
    np.testing.assert_allclose(found, [359.9, 180.0, 0.0, 359.0, 40.0, np.nan, -999.0])
    np.testing.assert_allclose(degrees(np.array([-0.1]), "deg", "t", "dec", False), [-0.1])


def test_what_is_no_position_is_refused_with_the_word_degrees():
    for values, unit, found in (
        (np.array([1.0]), "km", "the unit 'km'"),
        (column("somewhere", "elsewhere", "10.5"), "", "text such as 'somewhere'"),
        (column("25:00:00", "26:00:00"), "", "'25:00:00', which is more than 24 hours"),
    ):
        with pytest.raises(ArchiveError, match=f"expected degrees in column 'ra', found {found}"):
            degrees(values, unit, "t", "ra", True)


def test_one_bad_row_is_one_row_without_a_position():
    texts = ["10.5"] * 30 + ["unknown", ""]
    assert np.isnan(degrees(column(*texts), "", "t", "ra", True)).tolist() == [False] * 30 + [True] * 2
    texts = TEXTS * 10 + ["25:00:00", "?"]
    assert np.isnan(degrees(column(*texts), "", "t", "ra", True)).tolist() == [False] * 30 + [True] * 2
    # Of five rows, too; and a part of a table may be of nothing else.
    assert np.isnan(degrees(column("10.5", "11", "12", "13", "?"), "", "t", "ra", True)).tolist() == [
        False
    ] * 4 + [True]
    assert np.isnan(degrees(column("?", "25:00:00"), "", "t", "ra", True, whole=False)).all()


def test_degrees_and_sexagesimal_in_one_column():
    found = degrees(column("10.5", "00:42:00", "11"), "", "t", "ra", True)
    assert found.tolist() == [10.5, 10.5, 11.0]
