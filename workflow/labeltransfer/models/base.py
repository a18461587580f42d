"""What models of every kind share: what they can be asked, the scale of their labels, and the labels they find."""

from collections.abc import Callable
from typing import ClassVar, NamedTuple, Protocol

import numpy as np

_N_STARTS = 7


class Form(NamedTuple):
    """What a model is a polynomial of, in place of a label: a monotonic function of it.

    Attributes
    ----------
    of, back, slope : callables
        The function, its inverse, and its derivative by the label.
    """

    of: Callable
    back: Callable
    slope: Callable


def _positive(x):
    return np.where(x > 0, x, np.nan)


#: Forms of labels by name. 5040 K / Teff is what the populations of atomic levels and hence line strengths go by.
FORMS = {
    "x": Form(lambda x: x, lambda y: y, np.ones_like),
    "5040/x": Form(
        lambda x: 5040.0 / _positive(x),
        lambda y: 5040.0 / _positive(y),
        lambda x: -5040.0 / _positive(x) ** 2,
    ),
    "log10(x)": Form(
        lambda x: np.log10(_positive(x)), lambda y: 10.0**y, lambda x: 1.0 / (_positive(x) * np.log(10.0))
    ),
}


class LabelScale(NamedTuple):
    """Centre and spread of the training labels: models are functions of ``x = (form(label) - pivot) / scale``.

    Attributes
    ----------
    pivot, scale : (k,) arrays
        Mean and standard deviation of the training labels, in their forms.
    forms : tuple of k str
        Of `FORMS`; empty for all labels as they are.
    """

    pivot: np.ndarray
    scale: np.ndarray
    forms: tuple = ()

    @classmethod
    def of(cls, labels, forms=()):
        """The scale of training labels (n, k) in given forms."""
        values = _by_form(forms, "of", labels)
        return cls(values.mean(axis=0), values.std(axis=0), tuple(forms))

    def to_scaled(self, labels):
        """Physical labels (..., k) as x; what has no form, such as the logarithm of a negative number, is NaN."""
        return (_by_form(self.forms, "of", np.asarray(labels, dtype=float)) - self.pivot) / self.scale

    def to_physical(self, x):
        """Labels of x (..., k) in physical units; NaN where a form that is positive would not be."""
        return _by_form(self.forms, "back", self.pivot + self.scale * x)

    def slope(self, labels):
        """Derivatives (..., k) of x by the physical labels (..., k)."""
        return _by_form(self.forms, "slope", np.asarray(labels, dtype=float)) / self.scale

    def covariance(self, normal, x):
        """Covariances (n, k, k) of physical labels from curvatures J^T W J by x, at x (n, k)."""
        step = 1 / self.slope(self.to_physical(x))
        return np.linalg.inv(normal) * step[:, :, None] * step[:, None, :]


def _by_form(forms, part, values):
    """Values (..., k) through the functions of their forms."""
    if not forms:
        return np.ones_like(values) if part == "slope" else values
    columns = [getattr(FORMS[name], part)(values[..., j]) for j, name in enumerate(forms)]
    return np.stack(columns, axis=-1)


def check_forms(forms, label_names, labels):
    """Forms (k,) of labels as a tuple, empty if all are as they are.

    Parameters
    ----------
    forms : mapping of str to str or None
        Of labels by name, those of `FORMS`; labels without one are as they are.
    label_names : sequence of k str
    labels : (n, k) array
        What they must exist for.

    Raises
    ------
    ValueError
        For forms or labels that are unknown, or labels that have none of this form.
    """
    for name, form in (forms or {}).items():
        if name not in label_names:
            raise ValueError(f"a form of {name!r}, which is no label of the model: {', '.join(label_names)}")
        if form not in FORMS:
            raise ValueError(f"form of {name} must be one of {', '.join(FORMS)}, not {form!r}")
        lowest = labels[:, list(label_names).index(name)].min()
        if form != "x" and not lowest > 0:
            raise ValueError(
                f"{form} of {name} needs labels above zero: found {lowest:g}; leave out the form, or cut the stars"
            )
    chosen = tuple((forms or {}).get(name, "x") for name in label_names)
    return chosen if set(chosen) != {"x"} else ()


class Labels(NamedTuple):
    """Labels of n stars, in physical units.

    Attributes
    ----------
    labels : (n, k) array
        NaN where the spectrum does not constrain them.
    covariance : (n, k, k) array
        Formal covariance: inverse of the curvature J^T W J, with weights 1 / (1 / ivar + s^2).
    chi2 : (n,) array
        Summed over the pixels in use, at these labels.
    n_pix : (n,) int array
        Pixels in use: ivar > 0 and a trained model.
    reduced_chi2 : (n,) array
        ``chi2 / (n_pix - k)``.
    converged : (n,) bool array
        The labels are at a minimum of chi2: the expected drop of chi2 in one more step is < 1e-4.
    start : (n,) int array
        The first starting point that led to this minimum, -1 where there is none.
    """

    labels: np.ndarray
    covariance: np.ndarray
    chi2: np.ndarray
    n_pix: np.ndarray
    reduced_chi2: np.ndarray
    converged: np.ndarray
    start: np.ndarray


class Minima(NamedTuple):
    """Where fits of n stars have ended, in scaled labels.

    Attributes
    ----------
    x : (n, k) array
    normal : (n, k, k) array
        Curvature J^T W J.
    chi2 : (n,) array
    converged : (n,) bool array
    start : (n,) int array
        As in `Labels`; where it is -1 the others mean nothing.
    """

    x: np.ndarray
    normal: np.ndarray
    chi2: np.ndarray
    converged: np.ndarray
    start: np.ndarray

    @classmethod
    def none(cls, n_star, n_label):
        """Stars that are not fitted (yet)."""
        return cls(
            np.full((n_star, n_label), np.nan),
            np.full((n_star, n_label, n_label), np.nan),
            np.full(n_star, np.nan),
            np.zeros(n_star, dtype=bool),
            np.full(n_star, -1),
        )


def labels_at(minima, n_pix, scale):
    """`Labels` of fits with ``n_pix`` (n,) pixels in use, for a `LabelScale`."""
    n_label = minima.x.shape[1]
    fitted = minima.start >= 0
    x, chi2 = np.where(fitted[:, None], minima.x, np.nan), np.where(fitted, minima.chi2, np.nan)
    covariance = np.full(minima.normal.shape, np.nan)
    covariance[fitted] = scale.covariance(minima.normal[fitted], x[fitted])
    freedom = n_pix - n_label
    reduced = np.where(freedom > 0, chi2 / np.maximum(freedom, 1), np.nan)
    labels = scale.to_physical(x)
    converged = minima.converged & np.isfinite(labels).all(axis=1)
    return Labels(labels, covariance, chi2, n_pix, reduced, converged, minima.start)


class SpectralModel(Protocol):
    """A trained model of the flux of p pixels as a function of k labels.

    Attributes
    ----------
    kind : str
        Of the model, as files name it.
    status_texts : tuple of str
        What the numbers in `status` mean.
    status : (p,) int array
        How the training of each pixel ended.
    label_names : tuple of k str
    pivot, scale, forms : (k,) arrays, and tuple of k str or of none
        See `LabelScale`.
    scatter : (p,) array
        Scatter s of the flux beyond its noise.
    wavelength : (p,) array or None
        Vacuum, Angstrom.
    usable : (p,) bool array
        Pixels that have a model; the others are never fitted.
    """

    kind: ClassVar[str]
    status_texts: ClassVar[tuple]

    label_names: tuple
    pivot: np.ndarray
    scale: np.ndarray
    scatter: np.ndarray
    status: np.ndarray
    wavelength: np.ndarray | None
    forms: ClassVar[tuple] = ()

    @property
    def usable(self):
        """(p,) bool: pixels that have a model; the others are never fitted."""

    def predict(self, labels):
        """Model spectra of given labels.

        Parameters
        ----------
        labels : (n, k) array
            Physical units.

        Returns
        -------
        (n, p) array
            Normalised flux; NaN at pixels without a model.
        """

    def label(self, flux, ivar, *, starts=None, threads=1):
        """Labels of stars from their spectra: the minimum of chi2 with weights 1 / (1 / ivar + s^2).

        Parameters
        ----------
        flux, ivar : (n, p) arrays
            Normalised flux and inverse variance on the model's pixels.  Pixels without ivar > 0 (or with a
            flux that is not finite) are ignored whatever they hold.
        starts : (m, k) array, optional
            Starting points in physical units; by default seven about the centre of the training labels.
        threads : int
            The result does not depend on it.

        Returns
        -------
        Labels

        Raises
        ------
        ValueError
            For shapes that do not agree, or starting points that are not finite.
        """

    @property
    def label_scale(self):
        """The `LabelScale` of the model."""
        return LabelScale(self.pivot, self.scale, self.forms)

    def to_scaled(self, labels):
        """Physical labels (..., k) to the model's own units."""
        return self.label_scale.to_scaled(labels)

    def gradients(self, point, steps, *, central=True):
        """Gradient spectra: how the flux changes when one label after the other is moved by its step.

        Parameters
        ----------
        point : (k,) array
            Labels of the reference point, physical units.
        steps : (k,) array
            Physical units, for example 200 K, 0.5, 0.2 ... (Ting et al. 2017, Fig. 3).
        central : bool
            Half the change from minus to plus the step, as theory's gradients are; else the change from the
            point to plus the step.

        Returns
        -------
        (k, p) array
            NaN at pixels without a model.
        """
        point, steps = np.asarray(point, dtype=float), np.diag(np.asarray(steps, dtype=float))
        if central:
            return 0.5 * (self.predict(point + steps) - self.predict(point - steps))
        return self.predict(point + steps) - self.predict(point[None, :])


def check_usable(model):
    """Raise ValueError, saying how the training ended, unless the model has a pixel that labels can be found with."""
    if not model.usable.any():
        number, count = np.unique(model.status, return_counts=True)
        ends = ", ".join(f"{n} {model.status_texts[i]}" for i, n in zip(number, count, strict=True))
        raise ValueError(
            f"none of the {len(model.status)} pixels of the model can be used: {ends}; look at the inverse variances "
            "and masks of the training spectra, and for labels that are functions of each other"
        )


def check_starts(starts, model):
    """Starting points (m, k) in the model's own units; ValueError if they are none, or not finite.

    Without any: the centre of the training labels, and points about it that are always the same.
    """
    n_label = len(model.label_names)
    if starts is None:
        about = np.random.default_rng(0).standard_normal((_N_STARTS - 1, n_label))
        return np.vstack([np.zeros(n_label), about])
    starts = np.atleast_2d(model.to_scaled(starts))
    if starts.shape[1:] != (n_label,) or not len(starts) or not np.isfinite(starts).all():
        raise ValueError(
            f"starts must be finite and (n_start, {n_label}), for {', '.join(model.label_names)}; "
            f"found {starts.shape}"
        )
    return starts
