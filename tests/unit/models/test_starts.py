"""Starting points: the authors' seven, and those for any labels."""

import numpy as np
import pytest

from labeltransfer.models.starts import read_starts, spread_starts
from tests.unit.models.cannon.stars import NAMES, PIVOT, SCALE


def test_starting_points_of_the_authors(root, rng):
    labels = PIVOT + SCALE * rng.standard_normal((50, 5))
    starts = read_starts(root / "resources" / "starting_points.csv", NAMES, labels)
    assert starts.shape == (7, 5)
    np.testing.assert_array_equal(starts[0, :4], [5153, 3.72, 0.32, 0.02])
    np.testing.assert_array_equal(starts[6, :4], [4500, 1.45, -1.54, 0.24])
    np.testing.assert_array_equal(starts[:, 4], np.median(labels[:, 4]))


def test_starting_points_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "starts.csv"
    for text in ("", "teff,logg\n", "mass,age\n1,2\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"starts.csv: expected rows with columns among teff, logg"):
            read_starts(path, ("teff", "logg"), np.ones((3, 2)))
    for text in ("teff,logg\n4000,cool\n", "teff,logg\n4000\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"starts.csv: column logg must hold numbers"):
            read_starts(path, ("teff", "logg"), np.ones((3, 2)))


def test_spread_starts_are_typical_stars_far_apart(rng):
    labels = PIVOT + SCALE * rng.standard_normal((500, 5))
    starts = spread_starts(labels)
    x = (starts - labels.mean(axis=0)) / labels.std(axis=0)
    assert starts.shape == (7, 5)
    assert (np.abs(x) < 2).all()
    assert np.linalg.norm(x[0]) < 1.5
    separation = np.linalg.norm(x[:, None] - x, axis=2)[np.triu_indices(7, 1)]
    assert separation.min() > 2
    assert all((labels == start).all(axis=1).any() for start in starts)
    assert len(spread_starts(labels[:3])) == 3
