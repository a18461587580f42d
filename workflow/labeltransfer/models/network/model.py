"""Networks of all pixels: what they are, what they predict, and how parts of a spectrum are joined."""

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from labeltransfer.models.base import SpectralModel
from labeltransfer.models.network.label import label_network

#: What the numbers in ``NetworkModel.status`` mean.
STATUS = ("trained", "too few stars", "not trained", "not finite")
TRAINED, TOO_FEW_STARS, NOT_TRAINED, NOT_FINITE = range(len(STATUS))


@dataclass(frozen=True)
class NetworkModel(SpectralModel):
    """Trained networks of p pixels, k labels and H hidden nodes.

    Attributes
    ----------
    label_names : tuple of k str
    pivot, scale : (k,) arrays
        Mean and standard deviation of the training labels; the networks see ``(label - pivot) / scale``.
    W : (p, H, k) array
    c, w : (p, H) arrays
    b : (p,) array
        Weights and biases of Eq. 1, w and b in units of the normalised flux.
    scatter : (p,) array
        Scatter beyond the noise of stars that the network has not seen, see `train_network`.
    chi2 : (p,) array
        Sum over the training stars of ``ivar residual^2``.
    loss : (p,) array
        What training minimised: loss and penalty, at these weights.
    n_used : (p,) int array
        Training stars with ivar > 0, or zero where nothing was trained by choice.
    status : (p,) int array
        Index into `STATUS`; a pixel with too few stars has a constant model and is never fitted, and so has one
        that is "not trained" by choice (`train_sample`).
    ridge, l1, d_scale, floor : float
    form : str
        How it was trained, see `NetworkOptions` and `GradientPrior`.
    wavelength : (p,) array or None
        Vacuum, Angstrom.
    noise : (p,) array or None
        Shape of the inverse variance by which Eq. 1 weighted all spectra alike (errors "typical"); None for others.
    """

    kind: ClassVar[str] = "network"
    status_texts: ClassVar[tuple] = STATUS

    label_names: tuple
    pivot: np.ndarray
    scale: np.ndarray
    W: np.ndarray
    c: np.ndarray
    w: np.ndarray
    b: np.ndarray
    scatter: np.ndarray
    chi2: np.ndarray
    loss: np.ndarray
    n_used: np.ndarray
    status: np.ndarray
    ridge: float
    l1: float
    d_scale: float
    floor: float
    form: str
    wavelength: np.ndarray | None = None
    noise: np.ndarray | None = None

    @property
    def usable(self):
        """(p,) bool: pixels that have a network, all of it finite; the others are never fitted."""
        weights = self.W, self.c, self.w
        finite = [np.isfinite(array).reshape(len(self.b), -1).all(axis=1) for array in weights]
        return (
            (self.status == TRAINED)
            & np.all(finite, axis=0)
            & np.isfinite(self.b)
            & np.isfinite(self.scatter)
        )

    def predict(self, labels):
        """Model spectra (n, p) of labels (n, k), NaN at pixels without a network; see `SpectralModel`."""
        return predict_network(self, labels)

    def label(self, flux, ivar, *, starts=None, threads=1):
        """`Labels` of stars from their spectra; see `SpectralModel`, and `label_network` with more options."""
        return label_network(flux, ivar, self, starts=starts, threads=threads)


def sigmoid(z):
    """1 / (1 + exp(-z)), in place; as a tanh, which numpy vectorizes and which cannot overflow."""
    z *= 0.5
    np.tanh(z, out=z)
    z += 1.0
    z *= 0.5
    return z


def predict_network(model, labels):
    """Model spectra of given labels.

    Parameters
    ----------
    model : NetworkModel
        A trained model.
    labels : (n, k) array
        Physical units.

    Returns
    -------
    (n, p) array
        Normalised flux; NaN at pixels without a trained network.
    """
    x = np.atleast_2d(model.to_scaled(labels))
    flux = np.full((len(x), len(model.b)), np.nan)
    for pixel in np.flatnonzero(model.usable):
        hidden = sigmoid(x @ model.W[pixel].T + model.c[pixel])
        flux[:, pixel] = hidden @ model.w[pixel] + model.b[pixel]
    return flux


def join_networks(models):
    """One model of networks that were trained on consecutive parts of the pixels.

    Parameters
    ----------
    models : sequence of NetworkModel
        From `train_network` with the same stars and options, in the order of the pixels.

    Returns
    -------
    NetworkModel

    Raises
    ------
    ValueError
        If they were not trained on the same labels with the same options.
    """
    first = models[0]
    same = ("label_names", "pivot", "scale", "ridge", "l1", "d_scale", "floor", "form")
    joined = {}
    for field in fields(first):
        values = [getattr(model, field.name) for model in models]
        if field.name in same:
            if not all(np.array_equal(value, values[0]) for value in values):
                raise ValueError(
                    f"parts of a model differ in {field.name}: {', '.join(str(value) for value in values)}"
                )
        elif any(value is None for value in values):
            joined[field.name] = None
        else:
            joined[field.name] = np.concatenate(values)
    return replace(first, **joined)
