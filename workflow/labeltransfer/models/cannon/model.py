"""Polynomials of all pixels: what they are and what they predict."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from labeltransfer.models.base import SpectralModel
from labeltransfer.models.cannon.labelling import label
from labeltransfer.models.polynomial import polynomial, vectorize, vectorize_slopes

#: What the numbers in ``CannonModel.status`` mean.
STATUS = ("trained", "too few stars", "degenerate labels", "scatter not converged", "not finite")
TRAINED, TOO_FEW_STARS, DEGENERATE, NOT_CONVERGED, NOT_FINITE = range(len(STATUS))


@dataclass(frozen=True)
class CannonModel(SpectralModel):
    """A trained model of p pixels and k labels; T is the number of terms of the polynomial.

    Attributes
    ----------
    label_names : tuple of k str
    order : int
        Order of the polynomial.
    pivot, scale : (k,) arrays
        Mean and standard deviation of the training labels; the model is a polynomial in
        ``x = (label - pivot) / scale``, or of a form of the label (`forms`).
    theta : (p, T) array
        Coefficients, terms in the order of `labeltransfer.models.polynomial.polynomial`; zero for terms that the
        model was trained without.
    scatter : (p,) array
        Intrinsic scatter s, in units of the normalised flux.
    chi2 : (p,) array
        Sum over the training stars of ``residual^2 / (1 / ivar + s^2)``.
    n_used : (p,) int array
        Training stars with ivar > 0.
    status : (p,) int array
        Index into `STATUS`.
    wavelength : (p,) array or None
        Vacuum, Angstrom.
    noise : (p,) array or None
        Shape of the inverse variance by which Eq. 1 weighted all spectra alike (errors "typical"); None for others.
    forms : tuple of k str
        Of `labeltransfer.models.base.FORMS`; empty for all labels as they are.
    """

    kind: ClassVar[str] = "cannon"
    status_texts: ClassVar[tuple] = STATUS

    label_names: tuple
    order: int
    pivot: np.ndarray
    scale: np.ndarray
    theta: np.ndarray
    scatter: np.ndarray
    chi2: np.ndarray
    n_used: np.ndarray
    status: np.ndarray
    wavelength: np.ndarray | None = None
    noise: np.ndarray | None = None
    forms: tuple = ()

    @property
    def terms(self):
        """The tables of the polynomial."""
        return polynomial(len(self.label_names), self.order)

    @property
    def usable(self):
        """(p,) bool: pixels that have a model, all of it finite; the others are never fitted."""
        trained = (self.status == TRAINED) | (self.status == NOT_CONVERGED)
        return trained & np.isfinite(self.theta).all(axis=1) & np.isfinite(self.scatter)

    def on(self, wavelength, noise=None):
        """The model with the wavelengths (p,) of its pixels, vacuum, Angstrom, and what `noise` is."""
        return replace(self, wavelength=np.asarray(wavelength, dtype=float), noise=noise)

    def predict(self, labels):
        """Model spectra (n, p) of labels (n, k), NaN at pixels without a model; see `SpectralModel`."""
        return predict(self, labels)

    def label(self, flux, ivar, *, starts=None, threads=1):
        """`Labels` of stars from their spectra; see `SpectralModel`, and `label`, which has more options."""
        return label(flux, ivar, self, starts=starts, threads=threads)


def predict(model, labels):
    """Model spectra of given labels.

    Parameters
    ----------
    model : CannonModel
        A trained model.
    labels : (n, k) array
        Physical units.

    Returns
    -------
    (n, p) array
        Normalised flux; NaN at pixels without a model.
    """
    terms, usable = vectorize(np.atleast_2d(model.to_scaled(labels)), model.terms), model.usable
    flux = np.full((len(terms), len(usable)), np.nan)
    flux[:, usable] = terms @ model.theta[usable].T
    return flux


def linear_coefficients(model, per):
    """Linear coefficients at the pivot for given changes of the labels (Ho et al. 2017, Fig. 4).

    Parameters
    ----------
    model : CannonModel
        A trained model.
    per : dict of str to float
        Change of each label to scale to, e.g. ``{'teff': 91.5, 'logg': 0.11}``, in the label's unit.

    Returns
    -------
    dict of str to (p,) array
        Slope of the normalised flux times that change; NaN at pixels without a model.

    Raises
    ------
    ValueError
        If the model lacks one of the labels.
    """
    unknown = [name for name in per if name not in model.label_names]
    if unknown:
        raise ValueError(
            f"the model has no label {', '.join(unknown)}; it has {', '.join(model.label_names)}"
        )
    origin = np.zeros((1, len(model.label_names)))
    slopes = vectorize_slopes(origin, model.terms) * model.label_scale.slope(
        model.label_scale.to_physical(origin)
    )
    coefficients = np.full((len(model.theta), len(model.label_names)), np.nan)
    coefficients[model.usable] = model.theta[model.usable] @ slopes[0]
    return {name: coefficients[:, model.label_names.index(name)] * amount for name, amount in per.items()}
