"""Measured or inferred: what becomes of a star whose one abundance differs from what its others suggest.

Abundances are correlated in the Galaxy, so a model can recover [Ni/H] from iron lines and pass every
cross-validation (Ting et al. 2017, section 1). Two answers are worked out here: what a model makes of stars
that are observed again with one abundance shifted, which only a mock can do, and what it would make of
theory's spectra of them, to first order, which needs gradients alone.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from labeltransfer.catalogs.rows import label_columns, rows_of


class Recovery(NamedTuple):
    """How much of a shift was found.

    Attributes
    ----------
    n : int
        Stars.
    fraction : float
        Mean change of the label over the shift: 1 if it is measured, 0 if it is inferred from others.
    error : float
        Standard error of the fraction.
    leak : (k,) array
        Mean change of every label over the shift.
    """

    n: int
    fraction: float
    error: float
    leak: np.ndarray


def shift_abundance(labels, label, size):
    """Labels of nature with one abundance shifted and all others, [M/H] among them, as they were.

    Parameters
    ----------
    labels : astropy.table.Table
        With columns of abundances relative to [M/H], such as mg_m.
    label : str
        Our name of the abundance, such as mg_h.
    size : float
        Shift [dex].

    Returns
    -------
    astropy.table.Table
        A copy.

    Raises
    ------
    ValueError
        If nature has no such abundance.
    """
    column = label.removesuffix("_h") + "_m"
    if not label.endswith("_h") or column not in labels.colnames:
        known = [name.removesuffix("_m") + "_h" for name in labels.colnames if name.endswith("_m")]
        raise ValueError(f"only abundances can be shifted: found {label!r}, known are {', '.join(known)}")
    shifted = labels.copy()
    shifted[column] = shifted[column] + size
    return shifted


def recovery(shifted, base, size, label):
    """How labels answer to a shift of one of them, in the same stars under the same conditions.

    Parameters
    ----------
    shifted, base : (n, k) arrays
        Labels found with and without the shift; stars with a value that is not finite are left out.
    size : float
        The shift of label number `label`, in its unit.
    label : int
        Which.

    Returns
    -------
    Recovery

    Raises
    ------
    ValueError
        If shapes disagree or the shift is zero.
    """
    shifted, base = np.asarray(shifted, dtype=float), np.asarray(base, dtype=float)
    if shifted.shape != base.shape or shifted.ndim != 2:
        raise ValueError(
            f"shifted and base must both be (n_star, n_label): found {shifted.shape} and {base.shape}"
        )
    if size == 0:
        raise ValueError("a shift must not be zero")
    change = (shifted - base) / size
    change = change[np.isfinite(change).all(axis=1)]
    n = len(change)
    if n < 2:
        return Recovery(n, np.nan, np.nan, np.full(base.shape[1], np.nan))
    error = change[:, label].std(ddof=1) / np.sqrt(n)
    return Recovery(n, float(change[:, label].mean()), float(error), change.mean(axis=0))


def linear_response(gradients, truth, ivar=None, scatter=None):
    """What labels a model would find, to first order, for spectra that change as `truth` says.

    Parameters
    ----------
    gradients : (k, p) array
        Of the model; pixels that are not finite in every label, here or in truth, are left out.
    truth : (k, p) array
        Change of the flux per step of each label, from theory for instance.
    ivar : (p,) array, optional
        Inverse variance of the flux; equal weights by default.
    scatter : (p,) array, optional
        Standard deviation beyond the noise, from the model.

    Returns
    -------
    (k, k) array
        Row j: the change of every label found, in steps, for one step of label j. The identity for a model
        whose gradients are the truth; the diagonal is the recovered fraction of a shift.

    Raises
    ------
    ValueError
        If shapes disagree.

    Notes
    -----
    A least-squares fit with gradients G and weights W answers to a change t of the spectrum by
    (G W G^T)^-1 G W t.
    """
    gradients, truth = np.asarray(gradients, dtype=float), np.asarray(truth, dtype=float)
    if gradients.shape != truth.shape or gradients.ndim != 2:
        raise ValueError(
            f"gradients and truth must both be (n_label, n_pix): found {gradients.shape} and {truth.shape}"
        )
    weight = np.ones(gradients.shape[1]) if ivar is None else np.asarray(ivar, dtype=float)
    if scatter is not None:
        weight = weight / (1.0 + weight * np.asarray(scatter, dtype=float) ** 2)
    known = np.isfinite(gradients).all(axis=0) & np.isfinite(truth).all(axis=0) & (weight > 0)
    root = np.sqrt(weight[known])
    # In units of each row's own length: labels have gradients of very different size.
    length = np.sqrt(((gradients[:, known] * root) ** 2).sum(axis=1))
    unit = gradients[:, known] * root / np.where(length > 0, length, 1.0)[:, None]
    found = np.linalg.lstsq(unit.T, (truth[:, known] * root).T, rcond=1e-10)[0]
    return (found / np.where(length > 0, length, np.inf)[:, None]).T


def shift_table(stars, found, names):
    """How much of each shift the labels show, and which other abundance moved most.

    Parameters
    ----------
    stars : Table
        Spectra: `id`, `star`, and the `label` that was shifted and by how much (`shift`; 0 for none).
    found : Table
        Their labels, by `id`, and whether they `converged`.
    names : sequence of str
        Labels.

    Returns
    -------
    DataFrame
        A row for each label and shift.
    """
    values = label_columns(found, names)
    values[~np.asarray(found["converged"])] = np.nan
    values = values[rows_of(found["id"], stars["id"])]
    label, shift = np.asarray(stars["label"]), np.asarray(stars["shift"])
    base = {star: values[row] for row, star in enumerate(stars["star"].tolist()) if shift[row] == 0}
    abundances = [name.endswith("_h") for name in names]
    rows = []
    for name, size in sorted(set(zip(label.tolist(), shift.tolist(), strict=True)) - {("", 0.0)}):
        here = np.flatnonzero((label == name) & (shift == size) & np.isin(stars["star"], list(base)))
        number = names.index(name)
        before = np.array([base[star] for star in stars["star"][here].tolist()]).reshape(-1, len(names))
        result = recovery(values[here], before, size, number)
        others = np.where(abundances, np.abs(result.leak), 0.0)
        others[number] = 0.0
        most = int(np.argmax(np.nan_to_num(others)))
        rows.append(
            {
                "label": name,
                "shift": size,
                "recovered_fraction": result.fraction,
                "error": result.error,
                "n": result.n,
                "largest_leak": result.leak[most],
                "leaks_to": names[most],
            }
        )
    return pd.DataFrame(rows)
