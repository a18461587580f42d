"""Systems of the kind that training solves, against numpy."""

import numpy as np
import pytest

from labeltransfer.models.network.layout import far_apart
from labeltransfer.models.network.solve import (
    cholesky,
    conjugate_gradients,
    rough_factor,
    rough_rows,
)


def smooth_matrix(rng, n=300, largest=1e4):
    """Products of a smooth function of two labels at n points: few directions matter."""
    x = rng.standard_normal((n, 2))
    distance = ((x[:, None] - x) ** 2).sum(axis=2)
    return x, largest / n * np.exp(-distance / 8)


def solve(matrix, rough, right):
    return conjugate_gradients(lambda z: z + matrix @ z, rough, right)


@pytest.mark.parametrize("largest", [1.0, 1e4, 1e6])
def test_both_rough_answers_lead_to_the_exact_one(rng, largest):
    x, matrix = smooth_matrix(rng, largest=largest)
    right = rng.standard_normal(300)
    expected = np.linalg.solve(np.eye(300) + matrix, right)
    pivots = far_apart(x, 60)
    for rough in (
        rough_factor(np.asfortranarray(matrix, dtype=np.float32)),
        rough_rows(matrix[pivots].astype(np.float32), pivots),
    ):
        np.testing.assert_allclose(solve(matrix, rough, right), expected, atol=1e-9)


def test_few_steps_are_needed(rng):
    x, matrix = smooth_matrix(rng)
    right, pivots, steps = rng.standard_normal(300), far_apart(x, 60), []
    factor = rough_factor(np.asfortranarray(matrix, dtype=np.float32))
    for rough in (factor, rough_rows(matrix[pivots].astype(np.float32), pivots), lambda r: r):
        count = [0]

        def times(z, count=count):
            count[0] += 1
            return z + matrix @ z

        conjugate_gradients(times, rough, right)
        steps.append(count[0])
    assert max(steps[:2]) <= 6
    assert steps[2] > 2 * max(steps[:2])


def test_what_has_no_answer_has_none(rng):
    assert cholesky(np.asfortranarray(-2 * np.eye(3))) is None
    assert rough_factor(np.asfortranarray(-2 * np.eye(3, dtype=np.float32))) is None
    assert rough_rows(-np.eye(2, 3, dtype=np.float32), np.arange(2)) is None
    right = rng.standard_normal(200)
    spread = np.logspace(0, 12, 200)
    assert conjugate_gradients(lambda z: spread * z, lambda r: r, right) is None
    assert conjugate_gradients(lambda z: z, lambda r: r * np.nan, right) is None
    np.testing.assert_array_equal(conjugate_gradients(lambda z: z, lambda r: r, np.zeros(3)), np.zeros(3))


def test_points_far_apart(rng):
    x = np.vstack([np.zeros(2), 0.01 * rng.standard_normal((20, 2)), [[5.0, 0.0], [0.0, 3.0]]])
    assert far_apart(x, 3).tolist() == [0, 21, 22]
    assert sorted(far_apart(x, 99)) == list(range(23))
