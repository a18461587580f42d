"""Cross-match and grouping, against astropy's own search and hand-made cases."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from labeltransfer.catalogs.match import (
    CLAIMED_BY_NEARER,
    NO_COUNTERPART,
    NO_POSITION,
    crossmatch,
    group_stars,
    match,
    one_star_once,
)

ARCSEC = 1 / 3600


def random_sky(rng, n):
    return rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))


def test_pairs_and_separations_agree_with_astropy(rng):
    ra2, dec2 = random_sky(rng, 3000)
    chosen = rng.permutation(3000)[:800]
    angle, offset = rng.uniform(0, 360, 800) * u.deg, rng.rayleigh(1.2, 800) * u.arcsec
    moved = SkyCoord(ra2[chosen] * u.deg, dec2[chosen] * u.deg).directional_offset_by(angle, offset)
    found = match(moved.ra.deg, moved.dec.deg, ra2, dec2, 3.0)

    nearest, separation, _ = moved.match_to_catalog_sky(SkyCoord(ra2 * u.deg, dec2 * u.deg))
    within = separation.arcsec < 3
    assert 600 < within.sum() < 800
    np.testing.assert_array_equal(found.index1, np.flatnonzero(within))
    np.testing.assert_array_equal(found.index2, nearest[within])
    np.testing.assert_allclose(found.separation, separation.arcsec[within], atol=1e-7)
    assert set(found.reason1[~within]) == {NO_COUNTERPART}
    assert set(found.reason1[within]) == {""}


@pytest.mark.parametrize(
    ("one", "two", "arcsec"),
    [
        ((359.9999, 0.0), (0.0001, 0.0), 0.72),
        ((10.0, 89.9999), (190.0, 89.9999), 0.72),
        ((-0.0001, 0.0), (359.9999, 0.0), 0.0),
        ((100.0, 60.0), (100.0 + 2 * ARCSEC / np.cos(np.radians(60)), 60.0), 2.0),
    ],
)
def test_the_sky_is_a_sphere(one, two, arcsec):
    found = match(one[:1], one[1:], two[:1], two[1:])
    assert found.separation == pytest.approx([arcsec], abs=1e-6)


def test_the_nearest_of_two_claims_keeps_the_star():
    found = match([10 + 2 * ARCSEC, 10 + 1 * ARCSEC, 50, np.nan], [0, 0, 0, 0], [10, 10 + 9 * ARCSEC], [0, 0])
    assert found.index1.tolist() == [1]
    assert found.index2.tolist() == [0]
    assert found.reason1.tolist() == [CLAIMED_BY_NEARER, "", NO_COUNTERPART, NO_POSITION]


def test_equal_claims_and_equal_places_go_to_the_first():
    found = match([10, 10], [0, 0], [10, 10, 10], [0, 0, 0])
    assert (found.index1.tolist(), found.index2.tolist()) == ([0], [0])
    assert found.reason1.tolist() == ["", CLAIMED_BY_NEARER]


@pytest.mark.parametrize("bad", [(np.nan, 0), (0, np.inf), (-9999, -9999), (10, 91)])
def test_a_row_without_position_is_never_matched(bad):
    found = match([bad[0], 10], [bad[1], 5], [10, bad[0]], [5, bad[1]])
    assert found.index1.tolist() == [1]
    assert found.index2.tolist() == [0]
    assert found.reason1.tolist() == [NO_POSITION, ""]


def test_empty_catalogues_give_reasons():
    assert match([], [], [1], [2]).reason1.shape == (0,)
    found = match([1, np.nan], [2, 2], [], [])
    assert found.index1.size == found.index2.size == found.separation.size == 0
    assert found.reason1.tolist() == [NO_COUNTERPART, NO_POSITION]


def test_threads_do_not_change_the_answer(rng):
    ra, dec = random_sky(rng, 500)
    for one, two in zip(
        match(ra, dec, ra[::-1] + 1e-4, dec[::-1]),
        match(ra, dec, ra[::-1] + 1e-4, dec[::-1], workers=2),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


def test_rows_of_a_star_share_its_number(rng):
    ra, dec = random_sky(rng, 200)
    order = rng.permutation(600)
    rows = np.tile(np.arange(200), 3)[order]
    star = group_stars(ra[rows] + rng.uniform(-0.5, 0.5, 600) * ARCSEC, dec[rows], 3.0)
    assert star.max() == 199
    same_star = star[:, None] == star
    np.testing.assert_array_equal(same_star, rows[:, None] == rows)


def test_friends_of_friends_and_first_appearance():
    ra = np.array([80, 10, 10 + 4 * ARCSEC, 10 + 2 * ARCSEC, np.nan, 80, np.nan])
    assert group_stars(ra, np.zeros(7), 3.0).tolist() == [0, 1, 1, 1, 2, 0, 3]
    assert group_stars([], []).shape == (0,)
    assert group_stars([np.nan], [1.0]).tolist() == [0]


def test_many_rows_at_one_place_stay_cheap():
    star = group_stars(np.full(20_000, 123.4), np.full(20_000, -5.6))
    assert (star == 0).all()


def test_the_best_row_of_a_star_is_kept_once():
    star = np.array([3, 1, 3, 1, 1, 7, 8, 8])
    quality = np.array([10, 50, 30, 50, 20, np.nan, np.nan, 1])
    assert np.flatnonzero(one_star_once(star, quality)).tolist() == [1, 2, 5, 7]
    assert one_star_once([], []).shape == (0,)
    assert one_star_once(["b", "a", "b"], [1, 1, 1]).tolist() == [True, True, False]


@pytest.mark.parametrize("radius", [0, -1, np.nan, np.inf])
def test_a_radius_must_be_an_angle(radius):
    with pytest.raises(ValueError, match="radius"):
        match([1], [1], [1], [1], radius)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="one length"):
        match([1, 2], [1], [1], [1])
    with pytest.raises(ValueError, match="one length"):
        one_star_once([1, 2], [1])


def test_the_best_spectrum_of_a_star_meets_the_reference_survey(sky):
    matches, stars, rejected = crossmatch(*sky, 3.0, 3.0)
    assert matches["reference_id"].tolist() == ["A", "B"]
    assert matches["spectrum_id"].tolist() == ["a2", "b"]
    assert matches["survey_row"].tolist() == [1, 2]
    assert stars["best"].tolist() == [False, True, True, True, True]
    assert stars["star"][0] == stars["star"][1]
    assert rejected["id"].tolist() == ["Z"]
    assert rejected["reason"].tolist() == ["no counterpart within the radius"]


def test_labels_that_name_their_spectra_stay_with_them(sky):
    survey, reference = sky
    # The worse spectrum of the first star has labels, too; the second star's are nearer to the third.
    reference["survey_row"] = [1, 0, 3]
    matches, stars, rejected = crossmatch(survey, reference, 3.0, 3.0)
    assert matches["reference_id"].tolist() == ["A", "B", "Z"]
    assert matches["survey_row"].tolist() == [1, 0, 3]
    assert matches["spectrum_id"].tolist() == ["a2", "a1", "c"]
    np.testing.assert_allclose(matches["separation"][:2], [np.hypot(0.5, 0.1), 10 * 3600], rtol=1e-6)
    assert stars["best"].tolist() == [False, True, True, True, True]
    assert len(rejected) == 0
