"""The loss, its Jacobian and the dual step against finite differences and primal normal equations."""

import numpy as np
import pytest

from labeltransfer.models.network.jacobian import Jacobian
from labeltransfer.models.network.layout import Points
from labeltransfer.models.network.loss import Loss, Pixels, Problem
from labeltransfer.models.network.minimise import propose


def small_problem(rng, l1=0.0, absolute=False, n=9, d=2):
    """Two pixels of three labels, four nodes, nine stars, two gradients, and random networks."""
    k, hidden = 3, 4
    points = Points.of(*(rng.standard_normal((size, k)) for size in (n, d, d)))
    problem = Problem(points, 0.7, absolute, 0.0 if l1 else 0.05, l1)
    root = rng.uniform(0.5, 1.5, (2, n))
    root[:, 3] = 0.0
    pixels = Pixels(
        rng.standard_normal((2, n)),
        root,
        rng.standard_normal((2, d)),
        rng.uniform(0.5, 2, (2, d)),
        np.full((2, 1), 0.1),
    )
    return Loss(problem, pixels), rng.standard_normal((2, (k + 2) * hidden + 1))


def explicit(jacobian):
    """J of both pixels, (2, n + D, n_parameter)."""
    columns = [jacobian.times(np.tile(unit, (2, 1))) for unit in np.eye(jacobian.state.q.shape[1])]
    return np.stack(columns, axis=2)


def test_jacobian_is_that_of_finite_differences(rng):
    loss, q = small_problem(rng)
    state = loss.evaluate(q)
    jacobian = explicit(loss.linearise(state))
    step = 1e-5
    for j in range(q.shape[1]):
        change = np.zeros(q.shape[1])
        change[j] = step
        up, down = (loss.evaluate(q + sign * change) for sign in (1, -1))
        np.testing.assert_allclose(jacobian[:, :, j], (up.rho - down.rho) / (2 * step), atol=1e-8)
    a = rng.standard_normal(state.rho.shape)
    expected = np.einsum("crj,cr->cj", jacobian, a)
    np.testing.assert_allclose(loss.linearise(state).transposed_times(a), expected, atol=1e-12)


@pytest.mark.parametrize("l1", [0.0, 0.03])
@pytest.mark.parametrize("absolute", [False, True])
def test_slope_of_the_loss_is_that_of_finite_differences(rng, l1, absolute):
    loss, q = small_problem(rng, l1, absolute)
    state = loss.evaluate(q)
    gradient = 2 * (loss.linearise(state).transposed_times(state.rho) + state.pen * q)
    for j in range(q.shape[1]):
        change = np.zeros(q.shape[1])
        change[j] = 1e-6
        up, down = (loss.evaluate(q + sign * change).loss for sign in (1, -1))
        np.testing.assert_allclose(gradient[:, j], (up - down) / 2e-6, atol=1e-6)


@pytest.mark.parametrize(("l1", "absolute"), [(0.0, False), (0.0, True), (0.03, False)])
def test_dual_step_solves_the_primal_normal_equations(rng, l1, absolute):
    loss, q = small_problem(rng, l1, absolute)
    state = loss.evaluate(q)
    damping = np.array([0.01, 0.5])
    step, expected = propose(state, damping, loss)
    jacobian = explicit(loss.linearise(state))
    for i in range(2):
        metric = damping[i] + state.pen[i]
        metric[-1] = damping[i] if l1 else metric[0]
        right = jacobian[i].T @ state.rho[i] + state.pen[i] * q[i]
        primal = -np.linalg.solve(jacobian[i].T @ jacobian[i] + np.diag(metric), right)
        np.testing.assert_allclose(step[i], primal, rtol=1e-8, atol=1e-10)
        before = (state.rho[i] ** 2).sum() + (state.pen[i] * q[i] ** 2).sum()
        after = ((state.rho[i] + jacobian[i] @ primal) ** 2).sum() + (
            state.pen[i] * (q[i] + primal) ** 2
        ).sum()
        np.testing.assert_allclose(expected[i], before - after, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("l1", [0.0, 0.03])
def test_gram_is_that_of_the_rows(rng, l1, dtype):
    loss, q = small_problem(rng, l1)
    jacobian = loss.linearise(loss.evaluate(q))
    metric, _ = loss.metric(jacobian, np.array([0.01, 0.5]))
    for i, rows in enumerate(explicit(jacobian)):
        expected = (rows / metric[i]) @ rows.T
        found = np.tril(jacobian.gram(i, metric[i], dtype))
        tolerance = 1e-12 if dtype is np.float64 else 1e-5
        np.testing.assert_allclose(found, np.tril(expected), atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize(("n", "d"), [(9, 2), (9, 0), (400, 0), (400, 2)])
def test_systems_are_solved_whatever_stands_for_the_matrix(rng, n, d):
    """All of the matrix in float32, or with many stars and no gradients the rows of some."""
    loss, q = small_problem(rng, n=n, d=d)
    jacobian = loss.linearise(loss.evaluate(q))
    metric, _ = loss.metric(jacobian, np.array([1e-4, 0.5]))
    right = rng.standard_normal((2, n + d))
    found = jacobian.solve(metric, right)
    for i, rows in enumerate(explicit(jacobian)):
        matrix = np.eye(n + d) + (rows / metric[i]) @ rows.T
        np.testing.assert_allclose(matrix @ found[i], right[i], atol=1e-8 * np.abs(right).max())


def test_systems_are_solved_where_nothing_rough_will_do(rng, monkeypatch):
    loss, q = small_problem(rng)
    jacobian = loss.linearise(loss.evaluate(q))
    metric, _ = loss.metric(jacobian, np.array([0.01, 0.5]))
    right = rng.standard_normal((2, 11))
    expected = jacobian.solve(metric, right)
    monkeypatch.setattr(Jacobian, "_rough", lambda *_: None)
    np.testing.assert_allclose(jacobian.solve(metric, right), expected, rtol=1e-7)
