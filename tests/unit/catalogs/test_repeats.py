"""Stars that were observed more than once."""

import numpy as np

from labeltransfer.catalogs.repeats import fibres, independent_pairs, observations, repeated_rows


def test_all_rows_of_wanted_stars_with_several_are_taken():
    star = np.array([0, 1, 0, 2, 3, 3, 3, 4, 1])
    np.testing.assert_array_equal(repeated_rows(star, [0, 2, 3]), [0, 2, 4, 5, 6])
    np.testing.assert_array_equal(repeated_rows(star, []), [])
    np.testing.assert_array_equal(repeated_rows(star, [2, 4]), [])


def test_stars_are_drawn_whole_when_there_are_too_many(rng):
    star = rng.permutation(np.repeat(np.arange(300), 2))
    rows = repeated_rows(star, np.arange(300), most=101, seed=3)
    assert len(rows) == 100
    assert set(np.bincount(star[rows])) == {0, 2}
    np.testing.assert_array_equal(rows, repeated_rows(star, np.arange(300), most=101, seed=3))
    assert len(set(rows) & set(repeated_rows(star, np.arange(300), most=101, seed=4))) < 100


def test_pairs_are_of_one_star_the_better_first_and_no_row_stands_twice():
    star = np.array([7, 2, 7, 2, 7, 5, 7, 7])
    quality = np.array([10.0, 3.0, 40.0, 8.0, 30.0, 99.0, 20.0, np.nan])
    pairs = independent_pairs(star, quality)
    assert {tuple(pair) for pair in pairs.tolist()} == {(3, 1), (2, 4), (6, 0)}
    assert independent_pairs(star[:2], quality[:2]).shape == (0, 2)
    assert independent_pairs(star[:0], quality[:0]).shape == (0, 2)


def test_fibres_and_observations_are_read_from_names():
    names = [
        "dr5/spec-55977-GAC_080N37_V1_sp01-005.fits.gz",
        "spec-55977-GAC_080N37_V1_sp01-005.fits.gz",
        "star 7",
    ]
    assert fibres(names).tolist() == ["01-005", "01-005", ""]
    assert observations(names).tolist() == [names[1], names[1], "star 7"]
