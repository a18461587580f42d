"""The loss of Eq. 2 of Ting et al. (2017) for some pixels at once.

Everything is in units of each pixel's own spread of flux.  The loss is a sum of squares, |rho|^2 plus the
penalty sum(pen q^2), or is touched from above by one where it has absolute values.
"""

from typing import NamedTuple

import numpy as np

from labeltransfer.models.network.jacobian import Jacobian
from labeltransfer.models.network.layout import Points, State, differences, split

# (Scaled) weights |q| under the L1 penalty are rounded to sqrt(q^2 + this^2) - this.
WEIGHT_ROUND = 1e-4


class Problem(NamedTuple):
    """What all pixels share."""

    points: Points
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
        points, n = problem.points, problem.points.n_star
        inner, w, b = split(q, points.n_label)
        # the sigmoid as a tanh, which numpy vectorizes and which cannot overflow
        s = np.matmul(points.half, inner)
        np.tanh(s, out=s)
        s += 1.0
        s *= 0.5
        f = differences(np.matmul(s, w[:, :, None])[:, :, 0] + b[:, None], n)
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
        return Jacobian.of(self.problem.points, state, uniform=self.problem.l1 == 0)

    def metric(self, jacobian, damping):
        """Metric of a step (C, n_parameter), and the step (of the same shape) that the penalty alone would make.

        The bias b has no penalty: damping is all that holds it.  Infinity holds a parameter.
        """
        state = jacobian.state
        metric = damping[:, None] + state.pen
        if self.problem.l1 == 0:
            metric[:, -1] = metric[:, 0]  # all the same: the products are cheap then
            return metric, -state.pen * state.q / metric
        dead = self.dead(jacobian)
        shrink = np.where(dead, -state.q, -state.pen * state.q / metric)
        metric[dead] = np.inf
        return metric, shrink

    def dead(self, jacobian):
        """(C, n_parameter) bool: those that an L1 penalty holds at zero, where they are and the pull is small."""
        pull = np.abs(jacobian.transposed_times(2.0 * jacobian.state.rho))
        dead = (np.abs(jacobian.state.q) < WEIGHT_ROUND) & (pull < 0.5 * self.problem.l1)
        dead[:, -1] = False
        return dead
