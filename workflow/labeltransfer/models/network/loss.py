"""The loss of Eq. 2 of Ting et al. (2017) for some pixels at once, its slopes, and systems of their products.

Everything is in units of each pixel's own spread of flux.  The loss is a sum of squares, |rho|^2 plus the
penalty sum(pen q^2), or is touched from above by one where it has absolute values.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from labeltransfer.models.network.model import sigmoid

# (Scaled) weights |q| under the L1 penalty are rounded to sqrt(q^2 + this^2) - this.
WEIGHT_ROUND = 1e-4


class Problem(NamedTuple):
    """What all pixels share: M points (stars, then reference points plus and minus steps), D differences."""

    x: np.ndarray  # (M, k) scaled labels
    products: np.ndarray  # (M, M) 1 + x x^T
    n_star: int
    n_difference: int
    hidden: int
    strength: float  # D_scale / (number of gradients), zero without a prior
    absolute: bool  # rho(x) = |x| rather than x^2
    ridge: float
    l1: float


class Pixels(NamedTuple):
    """Data of C pixels, in units of each pixel's own range of flux."""

    y: np.ndarray  # (C, n) flux
    root: np.ndarray  # (C, n) sqrt(ivar / N)
    theory: np.ndarray  # (C, D) gradients
    per: np.ndarray  # (C, D) one over the unit of the gradients' difference
    round: np.ndarray  # (C, 1) where |x| is rounded

    def pick(self, rows):
        """Some of the pixels."""
        return Pixels(*(value[rows] for value in self))


class State(NamedTuple):
    """The networks of C pixels and everything that follows from them."""

    q: np.ndarray  # (C, n_parameter)
    s: np.ndarray  # (C, M, H) hidden nodes
    rho: np.ndarray  # (C, n + D) weighted residuals whose squares (touch) the loss
    weight: np.ndarray  # (C, n + D) their weights
    pen: np.ndarray  # (C, n_parameter)
    loss: np.ndarray  # (C,)


def split(q, k, hidden):
    """Views of the weights in a vector per pixel: W (C, k, H), c, w (C, H), b (C,)."""
    a = k * hidden
    return (
        q[:, :a].reshape(len(q), k, hidden),
        q[:, a : a + hidden],
        q[:, a + hidden : a + 2 * hidden],
        q[:, -1],
    )


def differences(f, n_star, n_difference):
    """(C, M) values at the points to (C, n + D): the stars, and half the change from minus to plus."""
    plus = f[:, n_star : n_star + n_difference]
    minus = f[:, n_star + n_difference :]
    return np.concatenate([f[:, :n_star], 0.5 * (plus - minus)], axis=1)


def differences_transposed(a, n_star):
    """The transpose of `differences`."""
    half = 0.5 * a[:, n_star:]
    return np.concatenate([a[:, :n_star], half, -half], axis=1)


def _touched(u, problem, pixels):
    """The prior's rho and the weight of u^2 in the quadratic that touches it from above."""
    if not problem.absolute:
        return u * u, np.ones_like(u)
    root = np.sqrt(u * u + pixels.round**2)
    return root - pixels.round, 0.5 / root


def _penalty(q, problem):
    """Penalty of each pixel and the weight of each squared parameter in the quadratic that touches it."""
    if problem.l1 > 0:
        root = np.sqrt(q[:, :-1] ** 2 + WEIGHT_ROUND**2)
        weight = 0.5 * problem.l1 / root
        cost = problem.l1 * (root - WEIGHT_ROUND).sum(axis=1)
    else:
        weight = np.full((len(q), q.shape[1] - 1), problem.ridge)
        cost = problem.ridge * (q[:, :-1] ** 2).sum(axis=1)
    return cost, np.concatenate([weight, np.zeros((len(q), 1))], axis=1)


class Loss(NamedTuple):
    """The loss of some pixels as `minimise` takes it."""

    problem: Problem
    pixels: Pixels

    def pick(self, rows):
        """That of some of the pixels."""
        return self._replace(pixels=self.pixels.pick(rows))

    def evaluate(self, q):
        """`State` of the networks q."""
        problem, pixels = self
        n, d = problem.n_star, problem.n_difference
        W, c, w, b = split(q, problem.x.shape[1], problem.hidden)
        s = np.matmul(problem.x, W)
        s += c[:, None, :]
        sigmoid(s)
        f = differences(np.matmul(s, w[:, :, None])[:, :, 0] + b[:, None], n, d)
        u = (f[:, n:] - pixels.theory) * pixels.per
        rho, touching = _touched(u, problem, pixels)
        residual = pixels.root * (f[:, :n] - pixels.y)
        cost, pen = _penalty(q, problem)
        loss = (residual**2).sum(axis=1) + problem.strength * rho.sum(axis=1) + cost
        root = np.sqrt(problem.strength * touching)
        weight = np.concatenate([pixels.root, root * pixels.per], axis=1)
        return State(q, s, np.concatenate([residual, root * u], axis=1), weight, pen, loss)

    def linearise(self, state):
        """`Jacobian` of rho at a state."""
        slope = state.s * state.s
        np.subtract(state.s, slope, out=slope)
        slope *= split(state.q, self.problem.x.shape[1], self.problem.hidden)[2][:, None, :]
        return Jacobian(self.problem, state, slope)


class Jacobian(NamedTuple):
    """J, the derivatives of rho by the parameters, as products that never form it."""

    problem: Problem
    state: State
    slope: np.ndarray  # (C, M, H) derivatives of the flux by the argument of each hidden node, w g'

    def times(self, step):
        """J step: (C, n + D)."""
        problem, state = self.problem, self.state
        W, c, w, b = split(step, problem.x.shape[1], problem.hidden)
        z = np.matmul(problem.x, W)
        z += c[:, None, :]
        z *= self.slope
        f = z.sum(axis=2) + np.matmul(state.s, w[:, :, None])[:, :, 0] + b[:, None]
        return state.weight * differences(f, problem.n_star, problem.n_difference)

    def transposed_times(self, a):
        """J^T a: (C, n_parameter)."""
        problem, state = self.problem, self.state
        a = differences_transposed(state.weight * a, problem.n_star)
        z = self.slope * a[:, :, None]
        return np.concatenate(
            [
                np.matmul(problem.x.T, z).reshape(len(a), -1),
                z.sum(axis=1),
                np.matmul(a[:, None, :], state.s)[:, 0],
                a.sum(axis=1, keepdims=True),
            ],
            axis=1,
        )

    def dead(self):
        """(C, n_parameter) bool: those that an L1 penalty holds at zero, where they are and the pull is small."""
        pull = np.abs(self.transposed_times(2.0 * self.state.rho))
        dead = (np.abs(self.state.q) < WEIGHT_ROUND) & (pull < 0.5 * self.problem.l1)
        dead[:, -1] = False
        return dead

    def metric(self, damping):
        """Metric of a step (C, n_parameter), and the step (of the same shape) that the penalty alone would make.

        The bias b has no penalty: damping is all that holds it.  Infinity holds a parameter.
        """
        state = self.state
        metric = damping[:, None] + state.pen
        if self.problem.l1 == 0:
            metric[:, -1] = metric[:, 0]  # all the same: the products are cheap then
            return metric, -state.pen * state.q / metric
        dead = self.dead()
        shrink = np.where(dead, -state.q, -state.pen * state.q / metric)
        metric[dead] = np.inf
        return metric, shrink

    def solve(self, metric, right):
        """Solutions z of (1 + J metric^-1 J^T) z = right, zero where the matrix is not positive definite."""
        found = np.zeros_like(right)
        for i in range(len(right)):
            factor = self.factor(i, metric[i])
            if factor is not None:
                found[i] = lapack.dpotrs(factor, right[i], lower=1)[0]
        return found

    def factor(self, i, metric):
        """Cholesky factor of 1 + J metric^-1 J^T of pixel i, upper triangle in C order, or None."""
        matrix = self.gram(i, metric)
        matrix.flat[:: len(matrix) + 1] += 1.0
        # the transpose is the same matrix in Fortran order, so that LAPACK can work in place
        factor, info = lapack.dpotrf(matrix.T, lower=1, overwrite_a=1, clean=0)
        return factor if info == 0 else None

    def gram(self, i, metric):
        """J metric^-1 J^T of pixel i, (n + D, n + D).

        Where all parameters have the same metric it takes two products of (points x nodes) matrices: the
        derivatives by W and c are products of a function of the node and of a label.
        """
        problem = self.problem
        s, slope, weight = self.state.s[i], self.slope[i], self.state.weight[i]
        n, d = problem.n_star, problem.n_difference
        if problem.l1 == 0:
            full = slope @ slope.T
            full *= problem.products
            full += s @ s.T
            full += 1.0
            rows = full[:n], 0.5 * (full[n : n + d] - full[n + d :])
            rows = np.concatenate(rows)
            out = np.concatenate([rows[:, :n], 0.5 * (rows[:, n : n + d] - rows[:, n + d :])], axis=1)
            out *= weight[:, None]
            out *= weight / metric[0]
            return out
        k, hidden = problem.x.shape[1], problem.hidden
        alive = np.flatnonzero(np.isfinite(metric[:-1]))
        inner, outer = alive[alive < (k + 1) * hidden], alive[alive >= (k + 1) * hidden]
        of_label = np.concatenate([problem.x, np.ones((len(s), 1))], axis=1)
        jacobian = np.concatenate(
            [
                of_label[:, inner // hidden] * slope[:, inner % hidden],
                s[:, outer - (k + 1) * hidden],
                np.ones((len(s), 1)),
            ],
            axis=1,
        )
        rows = np.concatenate([jacobian[:n], 0.5 * (jacobian[n : n + d] - jacobian[n + d :])])
        rows *= weight[:, None]
        rows /= np.sqrt(metric[np.append(alive, len(metric) - 1)])
        return rows @ rows.T
