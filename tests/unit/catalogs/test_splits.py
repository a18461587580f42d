"""Splits by star, reproducible."""

import numpy as np
import pytest

from labeltransfer.catalogs.splits import bootstrap_rows, group_folds, k_folds, train_test_split


def repeated_stars(rng, n_star=300, n=1000):
    return np.concatenate([np.arange(n_star), rng.integers(0, n_star, n - n_star)])


def test_no_star_is_on_both_sides(rng):
    star = repeated_stars(rng)
    train = train_test_split(star, 0.8, seed=1)
    assert not set(star[train]) & set(star[~train])
    assert len(set(star[train])) == 240


def test_folds_hold_each_star_out_once(rng):
    star = repeated_stars(rng, 302)
    fold = k_folds(star, 5, seed=1)
    assert all(len(set(fold[star == name])) == 1 for name in range(302))
    sizes = [len(set(star[fold == i])) for i in range(5)]
    assert sorted(sizes) == [60, 60, 60, 61, 61]


def test_splits_depend_on_the_seed_and_on_nothing_else(rng):
    star = repeated_stars(rng)
    order = rng.permutation(len(star))
    for split in (train_test_split, k_folds):
        first = split(star, seed=7)
        np.testing.assert_array_equal(first, split(star, seed=7))
        np.testing.assert_array_equal(first[order], split(star[order], seed=7))
        assert (first != split(star, seed=8)).any()


def test_stars_may_have_names():
    star = np.array(["2M01", "2M02", "2M01", "2M03"])
    fold = k_folds(star, 3, seed=0)
    assert fold[0] == fold[2]
    assert sorted(set(fold.tolist())) == [0, 1, 2]


CLUSTERS = np.repeat(["M13", "M5", "N188", "M2", "N4147", "M3"], [70, 100, 5, 18, 3, 72])


def test_each_group_is_held_out_whole_and_once(rng):
    order = rng.permutation(len(CLUSTERS))
    fold = group_folds(CLUSTERS[order])
    assert set(fold.tolist()) == set(range(6))
    assert all(
        set(CLUSTERS[order][fold == number]) == {name} for number, name in enumerate(sorted(set(CLUSTERS)))
    )
    np.testing.assert_array_equal(group_folds(CLUSTERS)[order], fold)


def test_small_groups_share_a_fold():
    fold = group_folds(CLUSTERS, fewest=10)
    assert [sorted(set(CLUSTERS[fold == i])) for i in range(5)] == [
        ["M13"],
        ["M2"],
        ["M3"],
        ["M5"],
        ["N188", "N4147"],
    ]
    assert fold.max() == 4
    # At the limit a group is not small.
    assert group_folds(CLUSTERS, fewest=5).max() == 5
    assert group_folds(CLUSTERS, fewest=6).max() == 4


def test_groups_are_spread_over_folds_of_like_size():
    fold = group_folds(CLUSTERS, k=3)
    assert all(len(set(fold[name == CLUSTERS])) == 1 for name in set(CLUSTERS))
    # 100, 72 and 70; then 18 goes to the 70, and 5 and 3 to the 72.
    assert sorted(np.bincount(fold).tolist()) == [80, 88, 100]


def test_bootstrap_draws_with_replacement():
    rows = bootstrap_rows(1000, 20, seed=3)
    assert rows.shape == (20, 1000)
    assert rows.min() >= 0
    assert rows.max() < 1000
    # Of n rows a sample holds 1 - 1/e on average; its standard deviation here is 0.01.
    drawn = [len(set(sample.tolist())) / 1000 for sample in rows]
    assert np.mean(drawn) == pytest.approx(1 - np.exp(-1), abs=0.01)
    assert len({tuple(sample.tolist()) for sample in rows}) == 20


def test_more_models_leave_the_first_as_they_are():
    np.testing.assert_array_equal(bootstrap_rows(50, 20, seed=3)[:5], bootstrap_rows(50, 5, seed=3))


@pytest.mark.parametrize(
    "call",
    [
        lambda: train_test_split([1, 1, 1], 0.8, seed=0),
        lambda: train_test_split([1, 2, 3], 1.0, seed=0),
        lambda: train_test_split([], 0.8, seed=0),
        lambda: k_folds([1, 1, 2], 3, seed=0),
        lambda: k_folds([1, 2, 3], 1, seed=0),
        lambda: k_folds(np.zeros((2, 2)), 2, seed=0),
        lambda: group_folds([1, 1, 1]),
        lambda: group_folds([1, 2, 3], k=4),
        lambda: group_folds([1, 2, 3], k=1),
        lambda: group_folds([1, 2, 3], k=0),
        lambda: group_folds([1, 2, 3], fewest=2),
        lambda: group_folds(np.zeros((2, 2))),
        lambda: bootstrap_rows(0, 2, seed=0),
        lambda: bootstrap_rows(3, 0, seed=0),
    ],
)
def test_impossible_splits_are_errors(call):
    with pytest.raises(ValueError, match=r"split empty|folds must|one-dimensional|bootstrap needs"):
        call()
