"""The Cramer-Rao bound: the best precision of labels that spectra of given noise allow (Ting et al. 2017)."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from labeltransfer.validation.calibration import reference_error
from labeltransfer.validation.statistics import bias_and_scatter

_WINDOW = 1.25  # stars of about an S/N: within this factor of it


def cramer_rao(gradients, steps, *, ivar=None, snr=None, scatter=None):
    """Smallest standard deviation of each label that an unbiased estimate can have, the others being free.

    Parameters
    ----------
    gradients : (k, p) array
        Change of the normalised flux per step; pixels that are not finite in every label are left out.
        Normalised gradients hold what the normalisation leaves of the information, and no more.
    steps : (k,) array
        The steps, physical units.
    ivar : (p,) array, optional
        Inverse variance of the normalised flux.
    snr : float or (p,) array, optional
        Signal-to-noise ratio per pixel; give this or ivar.
    scatter : (p,) array, optional
        Standard deviation beyond the noise, from a model.

    Returns
    -------
    (k,) array
        Physical units; infinite for a label that the spectrum does not constrain.

    Raises
    ------
    ValueError
        Unless exactly one of ivar and snr is given, or if the shapes do not agree.

    Notes
    -----
    Square root of the diagonal of the inverse Fisher matrix G W G^T, with G the slopes and W the weights
    1 / (1 / ivar + s^2).
    """
    gradients, steps = np.asarray(gradients, dtype=float), np.asarray(steps, dtype=float)
    if gradients.ndim != 2 or steps.shape != (len(gradients),):
        raise ValueError(
            f"gradients must be (n_label, n_pix) and steps (n_label,), "
            f"found {gradients.shape} and {steps.shape}"
        )
    if (ivar is None) == (snr is None):
        raise ValueError("give the noise either as ivar or as snr")
    ivar = np.square(np.asarray(snr, dtype=float)) if ivar is None else np.asarray(ivar, dtype=float)
    ivar = np.broadcast_to(ivar, gradients.shape[1:])
    known = np.isfinite(gradients).all(axis=0) & np.isfinite(ivar) & (ivar > 0)
    extra = np.zeros(gradients.shape[1]) if scatter is None else np.asarray(scatter, dtype=float)
    weight = ivar[known] / (1.0 + ivar[known] * extra[known] ** 2)
    rows = gradients[:, known] * np.sqrt(weight)
    length = np.sqrt((rows**2).sum(axis=1))
    bound = np.full(len(steps), np.inf)
    useful = np.flatnonzero(length > 0)
    # singular vectors of unit rows: directions that the spectrum does not constrain have no singular value
    unit = rows[useful] / length[useful, None]
    left, values, _ = np.linalg.svd(unit, full_matrices=False)
    if len(useful):
        free = values <= 1e-10 * values[0]
        left = left[:, : len(values)]
        variance = (left[:, ~free] ** 2 / values[~free] ** 2).sum(axis=1)
        lost = (left[:, free] ** 2).sum(axis=1) + np.maximum(0.0, 1.0 - (left**2).sum(axis=1)) > 1e-8
        bound[useful] = np.where(lost, np.inf, np.sqrt(variance) * np.abs(steps[useful]) / length[useful])
    return bound


class Measured(NamedTuple):
    """Scatter of a label of test stars of about an S/N; NaN where there are none.

    Attributes
    ----------
    n : int
        Stars.
    scatter : float
        As measured.
    own : float
        Without the errors of the reference labels.
    noise : float
        Noise over what the survey states, from the reduced chi2.
    """

    n: int
    scatter: float
    own: float
    noise: float


def measured_near(table, name, snr):
    """Scatter of the test stars whose S/N is within a factor of 1.25 of one.

    Parameters
    ----------
    table : Table
        From `labeltransfer.validation.comparisons.method_comparison`.
    name : str
        Label.
    snr : float

    Returns
    -------
    Measured
    """
    here = np.asarray(table["snr"])
    near = np.asarray(table["test"]) & np.asarray(table["converged_prior"])
    near &= (here > snr / _WINDOW) & (here < snr * _WINDOW)
    residual = np.asarray(table[f"{name}_prior"] - table[f"{name}_apogee"], dtype=float)[near]
    _, scatter = bias_and_scatter(residual, "clipped")
    if not near.any():
        return Measured(0, scatter, np.nan, np.nan)
    own = scatter**2 - np.mean(reference_error(table, f"{name}_apogee")[near] ** 2)
    noise = np.sqrt(np.median(table["reduced_chi2_prior"][near]))
    return Measured(near.sum(), scatter, np.sqrt(own) if own > 0 else np.nan, noise)


def bounds_table(gradients, comparison, steps, all_snr):
    """The bound of every label at several S/N, and how far above it the measured scatter is.

    Parameters
    ----------
    gradients : Table
        Of p pixels: `ivar` of the training spectra, whose dependence on wavelength the noise has; `theory` and
        `prior`, gradient spectra per step; `scatter_prior`.
    comparison : Table
        From `labeltransfer.validation.comparisons.method_comparison`.
    steps : mapping of str to float
        By label, in the order of the gradients.
    all_snr : sequence of float

    Returns
    -------
    DataFrame
        A row for each S/N and label.
    """
    ivar = np.asarray(gradients["ivar"], dtype=float)
    typical = np.median(np.sqrt(ivar[ivar > 0]))
    theory, prior = np.asarray(gradients["theory"]).T, np.asarray(gradients["prior"]).T
    size, scatter, rows = list(steps.values()), np.asarray(gradients["scatter_prior"]), []
    for snr in all_snr:
        noise = ivar * (snr / typical) ** 2
        of_theory = cramer_rao(theory, size, ivar=noise)
        of_model = cramer_rao(prior, size, ivar=noise)
        scattered = cramer_rao(prior, size, ivar=noise, scatter=scatter)
        for j, name in enumerate(steps):
            measured = measured_near(comparison, name, snr)
            rows.append(
                {
                    "label": name,
                    "snr": snr,
                    "bound_theory": of_theory[j],
                    "bound_model": of_model[j],
                    "bound_model_with_scatter": scattered[j],
                    "noise_over_stated": measured.noise,
                    "n": measured.n,
                    "measured": measured.scatter,
                    "measured_without_reference_errors": measured.own,
                    "measured_over_theory": measured.scatter / of_theory[j],
                    "measured_over_model": measured.scatter / of_model[j],
                    "own_over_theory_at_true_noise": measured.own / (of_theory[j] * measured.noise),
                }
            )
    return pd.DataFrame(rows)
