"""Measured or inferred: whether each label of each star is drawn from the features that theory says carry it."""

import numpy as np

#: A bit of `MEASURED_FLAGS`.
OUT_OF_RANGE = 2
#: Bits of the flag that every label has in the catalogue.
MEASURED_FLAGS = {
    1: "inferred: the model's gradient here does not follow theory's",
    OUT_OF_RANGE: "outside the range of the training labels",
    4: "formal error above the spread of the training labels: the spectrum says nothing",
}
_PIXELS = 32


def star_correlations(model, labels, ivar, theory, points):
    """Correlation of a network's gradients at the labels of each star with those of theory, label by label.

    Parameters
    ----------
    model : labeltransfer.models.network.NetworkModel
        With k labels and p pixels.
    labels : (n, k) array
        Of the stars, physical units.
    ivar : (n, p) array
        Of their spectra: pixels count by how well they are known, 1 / (1 / ivar + s^2).
    theory : (R, k, p) array
        Gradients at R reference points; a star is compared with the nearest. NaN where unknown.
    points : (R, k) array
        Labels of the reference points.

    Returns
    -------
    (n, k) array
        NaN where a gradient is constant or the star has no labels.
    """
    x = model.to_scaled(labels)
    nearest = np.argmin(((x[:, None, :] - model.to_scaled(points)) ** 2).sum(axis=2), axis=1)
    known = np.flatnonzero(model.usable & np.isfinite(theory).all(axis=(0, 1)))
    total = np.zeros((len(x), 1))
    g1, t1, gg, tt, gt = np.zeros((5, *x.shape))
    for first in range(0, len(known), _PIXELS):
        pixels = known[first : first + _PIXELS]
        weight = np.asarray(ivar[:, pixels], dtype=float)
        weight = weight / (1.0 + weight * model.scatter[pixels] ** 2)
        for number, pixel in enumerate(pixels):
            hidden = 0.5 + 0.5 * np.tanh(0.5 * (x @ model.W[pixel].T + model.c[pixel]))
            g = (hidden * (1.0 - hidden)) @ (model.w[pixel][:, None] * model.W[pixel])
            t, w = theory[nearest, :, pixel], weight[:, number, None]
            total += w
            for sums, value in ((g1, g), (t1, t), (gg, g * g), (tt, t * t), (gt, g * t)):
                sums += w * value
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = (gg - g1**2 / total) * (tt - t1**2 / total)
        return np.where(variance > 0, (gt - g1 * t1 / total) / np.sqrt(variance), np.nan)


def measured_flags(correlation, values, errors, training, threshold):
    """Bits of `MEASURED_FLAGS` for one label of every star.

    Parameters
    ----------
    correlation, values, errors : (n,) arrays
        From `star_correlations`; the label and its formal error.
    training : (m,) array
        The label in the training set.
    threshold : float
        Least correlation at which the label counts as measured.

    Returns
    -------
    (n,) int16 array
    """
    low, high = np.min(training), np.max(training)
    flags = np.where(np.asarray(correlation) >= threshold, 0, 1)
    flags |= np.where((np.asarray(values) >= low) & (np.asarray(values) <= high), 0, OUT_OF_RANGE)
    flags |= np.where(np.asarray(errors) <= np.std(training), 0, 4)
    return flags.astype(np.int16)


def with_measured_flags(labels, names, training, threshold):
    """Labels with a column `<label>_flag` of `MEASURED_FLAGS` for each label.

    Parameters
    ----------
    labels : Table
        With `<label>`, `<label>_err` and `<label>_correlation`; it stays as it is.
    names : sequence of str
        Labels.
    training : Table
        Labels of the stars that the model was trained on.
    threshold : float
        As for `measured_flags`.

    Returns
    -------
    Table
    """
    labels = labels.copy(copy_data=False)
    for name in names:
        values, errors, known = (
            np.asarray(column, dtype=float)
            for column in (labels[name], labels[f"{name}_err"], training[name])
        )
        labels[f"{name}_flag"] = measured_flags(
            labels[f"{name}_correlation"], values, errors, known, threshold
        )
        labels[f"{name}_flag"].description = "; ".join(
            f"{bit}: {text}" for bit, text in MEASURED_FLAGS.items()
        )
    return labels
