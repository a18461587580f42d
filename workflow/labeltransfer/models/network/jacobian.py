"""Derivatives of the residuals of networks by their weights: products with them, and systems of their products.

Row n of J, for a star, is weight_n [x_n (x) u_n, s_n, 1] with s_n the hidden nodes and u_n = w s_n (1 - s_n)
their slopes.  For a gradient it is half the difference of those at both ends, x+ (x) u+ - x- (x) u-, which is
the middle of x times the half difference of u, plus the half difference of x times the middle of u: the two
terms stand in two rows of `Jacobian.u` and of `Points.rows`.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import blas, lapack

from labeltransfer.models.network.layout import Points, State, split
from labeltransfer.models.network.solve import cholesky, conjugate_gradients, rough_factor, rough_rows

# Some stars stand for all where there are this many times as many.
_STARS_PER_PIVOT = 3


class Jacobian(NamedTuple):
    """J of C pixels at a state of their networks, which is never formed."""

    points: Points
    state: State
    u: np.ndarray  # (C, M, H) slopes by the arguments of the nodes, rows as `Points.rows`
    s: np.ndarray  # (C, D, H) half the change of the nodes from minus to plus
    uniform: bool  # whether all weights have the same metric

    @classmethod
    def of(cls, points, state, uniform=True):
        """At a state."""
        n, d = points.n_star, points.n_difference
        u = state.s * state.s
        np.subtract(state.s, u, out=u)
        u *= split(state.q, points.n_label)[1][:, None, :]
        plus, minus = u[:, n : n + d], u[:, n + d :]
        u[:, n : n + d], u[:, n + d :] = 0.5 * (plus - minus), 0.5 * (plus + minus)
        s = 0.5 * (state.s[:, n : n + d] - state.s[:, n + d :])
        return cls(points, state, u, s, uniform)

    def pixel(self, i):
        """J of one pixel."""
        one = slice(i, i + 1)
        return self._replace(state=State(*(value[one] for value in self.state)), u=self.u[one], s=self.s[one])

    def times(self, step):
        """J step: (C, n + D)."""
        n, d = self.points.n_star, self.points.n_difference
        inner, w, b = split(step, self.points.n_label)
        f = np.einsum("cmk,mk->cm", np.matmul(self.u, inner.transpose(0, 2, 1)), self.points.rows)
        out = f[:, : n + d]
        out[:, n:] += f[:, n + d :]
        out[:, :n] += np.matmul(self.state.s[:, :n], w[:, :, None])[:, :, 0] + b[:, None]
        out[:, n:] += np.matmul(self.s, w[:, :, None])[:, :, 0]
        return self.state.weight * out

    def transposed_times(self, a):
        """J^T a: (C, n_parameter)."""
        n = self.points.n_star
        a = self.state.weight * a
        rows = np.concatenate([a, a[:, n:]], axis=1)[:, :, None] * self.points.rows
        inner = np.matmul(rows.transpose(0, 2, 1), self.u)
        outer = np.matmul(a[:, None, :n], self.state.s[:, :n]) + np.matmul(a[:, None, n:], self.s)
        return np.concatenate(
            [inner.reshape(len(a), -1), outer[:, 0], a[:, :n].sum(axis=1, keepdims=True)], axis=1
        )

    def solve(self, metric, right):
        """Solutions z of (1 + J metric^-1 J^T) z = right, zero where the matrix is not positive definite."""
        return np.array([self._solve_one(i, metric[i], right[i]) for i in range(len(right))])

    def _solve_one(self, i, metric, right):
        if self.uniform:
            one, scale = self.pixel(i), 1.0 / metric[0]

            def times(z):
                return z + scale * one.times(one.transposed_times(z[None]))[0]

            rough = self._rough(i, metric)
            found = rough and conjugate_gradients(times, rough, right)
            if found is not None:
                return found
        factor = cholesky(self.gram(i, metric))
        return np.zeros_like(right) if factor is None else lapack.dpotrs(factor, right, lower=1)[0]

    def _rough(self, i, metric):
        """Approximate solutions for pixel i.

        Gradients relative to theory weigh so much that float32 needs the whole matrix.
        """
        few = self.points.n_difference or self.points.n_star < _STARS_PER_PIVOT * len(self.points.pivots)
        rough = None if few else rough_rows(self._pivot_rows(i, metric), self.points.pivots)
        return rough or rough_factor(self.gram(i, metric, np.float32))

    def _pivot_rows(self, i, metric):
        """Rows of `gram` of the stars that stand for all, without gradients, (p, n) float32."""
        pivots = self.points.pivots
        weight = (self.state.weight[i] / np.sqrt(metric[0])).astype(np.float32)[:, None]
        u, s = self.u[i].astype(np.float32), self.state.s[i].astype(np.float32)
        u *= weight
        s *= weight
        rows = u[pivots] @ u.T
        rows *= self.points.rough[pivots]
        rows += s[pivots] @ s.T
        rows += weight[pivots] * weight[:, 0]
        return rows

    def gram(self, i, metric, dtype=np.float64):
        """J metric^-1 J^T of pixel i, (n + D, n + D) in Fortran order, of which the lower triangle counts.

        Where all parameters have the same metric it takes two products of (points x nodes) matrices: the
        derivatives by W and c are products of a function of the node and of a label.
        """
        syrk = blas.dsyrk if dtype is np.float64 else blas.ssyrk
        if not self.uniform:
            return syrk(1.0, self._rows(i, metric).T.astype(dtype), trans=1, lower=1)
        n, d = self.points.n_star, self.points.n_difference
        m = n + d
        weight = self.state.weight[i] / np.sqrt(metric[0])
        u = np.empty(self.u[i].shape, dtype)
        np.multiply(self.u[i], np.concatenate([weight, weight[n:]])[:, None], out=u, casting="same_kind")
        s = np.zeros((m, u.shape[1] + 1), dtype)
        np.multiply(self.state.s[i, :n], weight[:n, None], out=s[:n, :-1], casting="same_kind")
        np.multiply(self.s[i], weight[n:, None], out=s[n:, :-1], casting="same_kind")
        s[:n, -1] = weight[:n]
        products = self.points.products if dtype is np.float64 else self.points.rough
        matrix = syrk(1.0, u[:m].T, trans=1, lower=1)
        with np.errstate(over="ignore"):  # what overflows has no factor, and is done in double precision
            matrix.T[...] *= products[:m, :m]
        if d:
            cross = u[m:] @ u.T
            cross *= products[m:]
            matrix[n:, :n] += cross[:, :n]
            matrix[n:, n:] += cross[:, n:m] + cross[:, n:m].T + cross[:, m:]
        return syrk(1.0, s.T, beta=1.0, c=matrix, trans=1, lower=1, overwrite_c=1)

    def _rows(self, i, metric):
        """J metric^-1/2 of pixel i without the parameters whose metric is infinite."""
        n, d = self.points.n_star, self.points.n_difference
        hidden = self.u.shape[2]
        alive = np.flatnonzero(np.isfinite(metric[:-1]))
        inner = alive[alive < (self.points.n_label + 1) * hidden]
        outer = alive[len(inner) :] - (self.points.n_label + 1) * hidden
        rows = np.empty((n + d, len(alive) + 1))
        both = self.points.rows[:, inner // hidden] * self.u[i][:, inner % hidden]
        rows[:, : len(inner)] = both[: n + d]
        rows[n:, : len(inner)] += both[n + d :]
        rows[:n, len(inner) : -1] = self.state.s[i, :n, outer].T
        rows[n:, len(inner) : -1] = self.s[i][:, outer]
        rows[:n, -1], rows[n:, -1] = 1.0, 0.0
        rows *= self.state.weight[i][:, None]
        rows /= np.sqrt(metric[np.append(alive, len(metric) - 1)])
        return rows
