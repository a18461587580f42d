"""The Cramer-Rao bound: the best precision of labels that spectra of given noise allow (Ting et al. 2017)."""

import numpy as np


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
