"""Gradient spectra: how the normalised flux changes when one label is raised by its step (Ting et al. 2017).

From theory they are differences of ab initio spectra that were convolved to the survey's resolution, put on
its pixels and normalised exactly as the data; from a model they are differences of its predictions.
"""

import numpy as np
from astropy.table import Table

from labeltransfer.spectra.frame import smooth
from labeltransfer.spectra.normalise import normalise
from labeltransfer.synthesis.model_spectra import reference_points, step_pair


def stepped_name(label):
    """Name of one of our labels in a table of model spectra: teff -> Teff, mg_h -> Mg_H."""
    if label in ("logg", "vmic"):
        return label
    element, separator, rest = label.partition("_")
    return element.capitalize() + separator + rest.upper()


def reference_labels(models, reference, labels):
    """Labels of a reference point: its Teff and log g, and its [M/H] for every abundance.

    Parameters
    ----------
    models : labeltransfer.synthesis.model_spectra.ModelSpectra
        From `labeltransfer.synthesis.model_spectra.read_model_spectra`.
    reference : str
        Name of the reference point.
    labels : sequence of k str
        Our names.

    Returns
    -------
    (k,) array
        Physical units.

    Raises
    ------
    ValueError
        If there is no such reference point.
    """
    row = np.flatnonzero(models.reference == reference)
    if not len(row):
        raise ValueError(
            f"no reference point {reference!r} among the model spectra; "
            f"they have {', '.join(reference_points(models))}"
        )
    known = {"teff": models.teff, "logg": models.logg, "vmic": models.vmic}
    return np.array([known.get(name, models.m_h)[row[0]] for name in labels])


def gradient_spectra(models, reference, labels, steps, grid, kernel, ivar=None, smoothing=0.0):
    """Gradients of the normalised flux from model spectra, by central differences.

    Parameters
    ----------
    models : labeltransfer.synthesis.model_spectra.ModelSpectra
        At the survey's resolving power.
    reference : str
        Name of the reference point.
    labels : sequence of k str
        Our names: teff, logg, c_h ... .
    steps : (k,) array
        Change of each label that the gradient stands for, in its unit (200 K, 0.5, 0.2 ... in the paper).
        Where the file has another step, its gradient is scaled.
    grid : (p,) array
        Vacuum wavelengths of the data's pixels, Angstrom.
    kernel : object
        Normalisation kernel of the data (`labeltransfer.spectra.normalise.banded_kernel`).
    ivar : (p,) array, optional
        Weights in the normalisation, for example the median of the data's; equal by default.
    smoothing : float, optional
        What the interpolation of the data smooths by [pixel^2] (`labeltransfer.spectra.frame.mean_smoothing`).

    Returns
    -------
    (k, p) array
        Half of flux(+step) - flux(-step).

    Raises
    ------
    ValueError
        For an unknown reference point, labels without a step either way, or a grid beyond the spectra.
    """
    grid = np.asarray(grid, dtype=float)
    reference_labels(models, reference, ())
    low, high = models.wavelength[0], models.wavelength[-1]
    if grid[0] < low or grid[-1] > high:
        raise ValueError(
            f"model spectra reach from {low:.1f} to {high:.1f} Angstrom, but the grid from {grid[0]:.1f} "
            f"to {grid[-1]:.1f}; compute them over the whole grid"
        )
    rows = {name: step_pair(models, reference, stepped_name(name)) for name in labels}
    missing = [name for name, found in rows.items() if found is None]
    if missing:
        has = dict.fromkeys(models.stepped_label[models.reference == reference].tolist())
        raise ValueError(
            f"reference point {reference} has no positive and negative step of {', '.join(missing)}; "
            f"it has {', '.join(name for name in has if name != 'reference')}"
        )
    plus = np.array([rows[name][1] for name in labels])
    minus = np.array([rows[name][2] for name in labels])
    from scipy.interpolate import CubicSpline  # late: whoever reads a table of theory has no use for it

    flux = CubicSpline(models.wavelength, models.flux[np.concatenate([plus, minus])], axis=1)(grid)
    flux = smooth(flux, smoothing)
    weights = np.ones_like(flux) if ivar is None else np.broadcast_to(ivar, flux.shape).astype(float)
    normalised = normalise(flux, weights, kernel)[0]
    change = normalised[: len(plus)] - normalised[len(plus) :]
    width = models.step[plus] - models.step[minus]
    return change * (np.asarray(steps, dtype=float) / width)[:, None]


def prior_of(theory, names, d_scale=0.0, **form):
    """The prior that a table of theory makes for some labels, of no strength unless one is given.

    Parameters
    ----------
    theory : Table
        From `theory_table`.
    names : sequence of k str
        Labels of the networks.
    d_scale : float
        Strength.
    **form
        Further fields of `GradientPrior`: form and floor.

    Returns
    -------
    labeltransfer.models.network.GradientPrior
    """
    from labeltransfer.models.network import GradientPrior  # late: whoever only has theory does not train

    references = list(dict.fromkeys(theory["reference"].tolist()))
    rows = [
        [np.flatnonzero((theory["reference"] == point) & (theory["label"] == name))[0] for name in names]
        for point in references
    ]
    gradient = np.asarray(theory["gradient"], dtype=float)[rows]
    steps, points = np.asarray(theory["step"])[rows[0]], np.asarray(theory["value"])[rows]
    return GradientPrior(gradient, steps, points, d_scale, **form)


def theory_table(models, references, labels, wavelength, kernel, ivar, smoothing=0.0):
    """One row per reference point and label: the step, the label's value there, and the gradient spectrum."""
    names = list(labels)
    steps = np.array([labels[name]["step"] for name in names])
    table = Table()
    table["reference"] = np.repeat(references, len(names))
    table["label"] = np.tile(names, len(references))
    table["step"] = np.tile(steps, len(references))
    table["value"] = np.concatenate([reference_labels(models, point, names) for point in references])
    table["gradient"] = np.concatenate(
        [
            gradient_spectra(models, point, names, steps, wavelength, kernel, ivar, smoothing)
            for point in references
        ]
    )
    table["gradient"].description = "change of the normalised flux for one step, on the common grid"
    return table
