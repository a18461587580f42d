"""How points in label space, weights of networks and their values are laid out in arrays.

The M points are n stars, and for D gradients the reference points plus each step, then minus each step.
The weights q of a network are W (k, H), c (H), w (H) and b in a row.
"""

from typing import NamedTuple

import numpy as np

# Stars that stand for all: found by trial, for speed only.
_PIVOTS = 96


class Points(NamedTuple):
    """Points at which networks are evaluated, as scaled labels with a one after them."""

    half: np.ndarray  # (M, k + 1) half of the points: the argument of a tanh
    rows: np.ndarray  # (M, k + 1) stars; the middles and the half differences of plus and minus
    products: np.ndarray  # (M, M) rows rows^T
    rough: np.ndarray  # the same in float32
    n_star: int
    pivots: np.ndarray  # stars far from each other, that stand for all

    @classmethod
    def of(cls, stars, plus, minus):
        """From scaled labels (n, k) of stars and (D, k) of both ends of the gradients."""
        points = np.vstack([stars, plus, minus])
        points = np.column_stack([points, np.ones(len(points))])
        n, d = len(stars), len(plus)
        upper, lower = points[n : n + d], points[n + d :]
        rows = np.vstack([points[:n], 0.5 * (upper + lower), 0.5 * (upper - lower)])
        products = rows @ rows.T
        return cls(0.5 * points, rows, products, products.astype(np.float32), n, far_apart(stars, _PIVOTS))

    @property
    def n_label(self):
        """Labels of a point."""
        return self.rows.shape[1] - 1

    @property
    def n_difference(self):
        """Gradients."""
        return (len(self.rows) - self.n_star) // 2


class State(NamedTuple):
    """The networks of C pixels and everything that follows from them."""

    q: np.ndarray  # (C, n_parameter)
    s: np.ndarray  # (C, M, H) hidden nodes
    rho: np.ndarray  # (C, n + D) weighted residuals whose squares (touch) the loss
    weight: np.ndarray  # (C, n + D) their weights
    pen: np.ndarray  # (C, n_parameter)
    loss: np.ndarray  # (C,)


def far_apart(x, m):
    """Indices of m of the points x (n, k), or of all, each the farthest from those before it."""
    chosen, nearest = [int(np.argmin((x**2).sum(axis=1)))], np.full(len(x), np.inf)
    while len(chosen) < min(m, len(x)):
        nearest = np.minimum(nearest, ((x - x[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(np.argmax(nearest)))
    return np.array(chosen)


def split(q, k):
    """Views of the weights: W and below it c (C, k + 1, H), w (C, H), b (C,)."""
    hidden = (q.shape[1] - 1) // (k + 2)
    a = (k + 1) * hidden
    return q[:, :a].reshape(len(q), k + 1, hidden), q[:, a : a + hidden], q[:, -1]


def differences(f, n_star):
    """(C, M, ...) values at the points to (C, n + D, ...): the stars, and half the change from minus to plus."""
    d = (f.shape[1] - n_star) // 2
    return np.concatenate([f[:, :n_star], 0.5 * (f[:, n_star : n_star + d] - f[:, n_star + d :])], axis=1)
