"""Label distance against a brute-force answer."""

import numpy as np
import pytest

from labeltransfer.catalogs.distance import SCALE, label_distance, label_separation


def giants(rng, n):
    return np.column_stack([rng.normal(4800, 300, n), rng.normal(2.5, 0.6, n), rng.normal(-0.2, 0.3, n)])


@pytest.mark.parametrize(("form", "power"), [("root", 1), ("sum", 2)])
@pytest.mark.parametrize("k", [1, 10])
def test_both_readings_of_eq_7_against_all_pairs(rng, form, power, k):
    labels, reference = giants(rng, 50), giants(rng, 400)
    pairs = np.sqrt((((labels[:, None] - reference) / SCALE) ** 2).sum(axis=2))
    expected = (np.sort(pairs, axis=1)[:, :k] ** power).mean(axis=1)
    np.testing.assert_allclose(
        label_distance(labels, reference, n_neighbours=k, form=form), expected, rtol=1e-10
    )


def test_hand_made_distance():
    reference = np.tile([4800.0, 2.5, 0.0], (10, 1))
    # 3 K-units in Teff and 4 in log g: a root of 5 and a sum of 25.
    star = [[5100.0, 3.3, 0.0]]
    assert label_distance(star, reference) == pytest.approx(5)
    assert label_distance(star, reference, form="sum") == pytest.approx(25)
    assert label_separation(star, [[4800.0, 2.5, 0.0]]) == pytest.approx(5)
    assert label_separation(star, [[4800.0, 2.5, 0.0]], form="sum") == pytest.approx(25)


def test_dwarfs_are_far_and_giants_near(rng):
    reference = giants(rng, 1000)
    assert np.median(label_distance(giants(rng, 200), reference)) < 2.5
    dwarfs = np.column_stack([rng.normal(5800, 200, 50), rng.normal(4.4, 0.1, 50), rng.normal(0, 0.2, 50)])
    assert label_distance(dwarfs, reference).min() > 2.5


def test_missing_labels_and_blocks(rng, monkeypatch):
    labels, reference = giants(rng, 100), giants(rng, 30)
    labels[3, 1] = np.nan
    labels[50, 0] = np.inf
    whole = label_distance(labels, reference)
    assert np.flatnonzero(np.isnan(whole)).tolist() == [3, 50]
    monkeypatch.setattr("labeltransfer.catalogs.distance._BLOCK", 7)
    np.testing.assert_array_equal(label_distance(labels, reference, workers=2), whole)
    assert np.isnan(label_separation(labels, labels)[3])
    assert label_distance(np.zeros((0, 3)), reference).shape == (0,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"form": "squares"}, "form must be 'root' or 'sum'"),
        ({"scale": (100, 0.2)}, "scale"),
        ({"scale": (100, 0.2, 0)}, "positive"),
        ({"n_neighbours": 31}, "between 1 and 30"),
        ({"reference": np.full((30, 3), np.nan)}, "30 of 30 reference stars lack a label"),
        ({"labels": np.zeros(3)}, "must be"),
    ],
)
def test_wrong_input_is_named(rng, change, message):
    with pytest.raises(ValueError, match=message):
        label_distance(**{"labels": giants(rng, 5), "reference": giants(rng, 30), **change})


def test_separation_needs_equal_shapes():
    with pytest.raises(ValueError, match="one shape"):
        label_separation(np.zeros((2, 3)), np.zeros((3, 3)))
