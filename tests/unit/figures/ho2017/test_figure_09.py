"""Figure 9: label distances."""

import numpy as np

from labeltransfer.figures.ho2017 import figure_09
from tests.unit.figures.ho2017.mocks import words


def test_figure_09_draws_a_repeatable_sample_and_counts_stars_below_the_cut():
    rng = np.random.default_rng(8)
    x = np.concatenate([rng.uniform(0, 2.4, 600), rng.uniform(4, 8, 1400), [np.nan]])
    y = np.concatenate([rng.uniform(0, 10, 2000), [1.0]])
    assert "600 of 2,000 stars below 2.5" in words(figure_09.draw(x, y, "mock", n_star=5000))
    first, again, other = (
        np.asarray(figure_09.draw(x, y, "mock", n_star=500, seed=seed).axes[1].collections[0].get_offsets())
        for seed in (1, 1, 2)
    )
    assert 450 < len(first) <= 500
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
