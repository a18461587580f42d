"""Symmetric systems (1 + K) z = b: conjugate gradients in float64 that a rough answer in float32 makes short.

The rough answer is that of a Cholesky factor of all of 1 + K, or of the part of K that some of its rows
explain (Nystrom's approximation).  The first needs few steps whatever K is; the second is made sooner, and
does where few directions matter, as the labels of stars that a smooth function of few labels ties together.
"""

import numpy as np
from scipy.linalg import blas, lapack

# Conjugate gradients end when the error is below this part of the answer, in the norm of the matrix,
TOLERANCE = 1e-10
# or after so many steps, which is failure: five are usual.
MOST_STEPS = 30
# Added to the (unit) diagonal of the rows that stand for K, so that their factor exists in float32.
_JITTER = 1e-5


def conjugate_gradients(times, precondition, right):
    """Solution of a positive definite system.

    Parameters
    ----------
    times : function
        Product of the matrix with a float64 vector.
    precondition : function
        An approximate solution for a right-hand side.
    right : (n,) array

    Returns
    -------
    (n,) array, or None if it was not found in `MOST_STEPS` steps
    """
    found, residual = np.zeros_like(right), right.copy()
    better = precondition(residual)
    direction, size = better.astype(float), residual @ better
    goal = TOLERANCE**2 * size
    for _ in range(MOST_STEPS):
        if not size > goal:
            return found if size == size else None
        turned = times(direction)
        length = size / (direction @ turned)
        found += length * direction
        residual -= length * turned
        better = precondition(residual)
        new = residual @ better
        direction, size = better + new / size * direction, new
    return found if size <= goal else None


def rough_factor(matrix):
    """Approximate solutions by the float32 Cholesky factor of 1 + K; None if there is none.

    Parameters
    ----------
    matrix : (n, n) float32 array in Fortran order
        K, of which the lower triangle counts; it is overwritten.

    Returns
    -------
    function of a right-hand side, or None
    """
    factor = cholesky(matrix)
    if factor is None:
        return None

    def precondition(right):
        # two of these take a fifth of the time of LAPACK's potrs
        return blas.strsv(factor, blas.strsv(factor, right, lower=1), lower=1, trans=1)

    return precondition


def cholesky(matrix):
    """Cholesky factor (lower triangle) of 1 + K, or None; ``matrix`` as in `rough_factor`, float32 or float64."""
    matrix.T.flat[:: len(matrix) + 1] += 1
    potrf = lapack.spotrf if matrix.dtype == np.float32 else lapack.dpotrf
    factor, info = potrf(matrix, lower=1, overwrite_a=1, clean=0)
    return factor if info == 0 else None


def rough_rows(rows, pivots):
    """Approximate solutions by some rows of K; None if these are not those of a positive matrix.

    Parameters
    ----------
    rows : (p, n) float32 array
        Rows of K.
    pivots : (p,) int array
        Which.

    Returns
    -------
    function of a right-hand side, or None
    """
    within = rows[:, pivots]
    length = np.sqrt(np.maximum(np.diagonal(within), np.finfo(np.float32).tiny))
    within = within / length[:, None] / length
    within.flat[:: len(within) + 1] += np.float32(_JITTER)
    factor, info = lapack.spotrf(within.T, lower=1, clean=0)
    if info:
        return None
    basis, _ = lapack.strtrs(factor, rows / length[:, None], lower=1)
    inner = cholesky(blas.ssyrk(1.0, basis, lower=1))
    if inner is None:
        return None

    def precondition(right):
        right = right.astype(np.float32)
        part = blas.strsv(inner, blas.strsv(inner, basis @ right, lower=1), lower=1, trans=1)
        return right - part @ basis

    return precondition
