"""How networks are trained: the prior from theory, the penalty, and what the optimiser is given."""

from dataclasses import dataclass, replace

import numpy as np

#: Forms of the prior: the difference of the gradients relative to theory or absolute, squared or not.
FORMS = ("rel_l2", "rel_l1", "l2", "l1")


@dataclass(frozen=True)
class GradientPrior:
    """That the gradients of networks should resemble those of theory (Ting et al. 2017, Eq. 2).

    Attributes
    ----------
    gradient : (R, k, p) array
        Change of the normalised flux per step, from theory, at R reference points: half of flux(+step) -
        flux(-step); NaN where unknown.
    steps : (k,) array
        Physical units, for example 200 K, 0.5, 0.2 ...
    points : (R, k) array
        Labels of the reference points.
    d_scale : float
        Strength of the prior; 0 for a purely data-driven network.  Several reference points are averaged.
    form : {'rel_l2', 'rel_l1', 'l2', 'l1'}
        Difference of gradients relative to max(|theory|, floor), or in units of the normalised flux;
        squared, or its absolute value (rounded within 0.01 of a relative unit, or within ``floor``).
    floor : float
        Normalised flux per step.

    Raises
    ------
    ValueError
        For arrays whose shapes do not agree or that are not finite where they must be, an unknown form, or a
        strength or floor out of range.
    """

    gradient: np.ndarray
    steps: np.ndarray
    points: np.ndarray
    d_scale: float = 10.0
    form: str = "rel_l2"
    floor: float = 1e-4

    def __post_init__(self):
        gradient, steps, points = (
            np.asarray(a, dtype=float) for a in (self.gradient, self.steps, self.points)
        )
        if gradient.ndim != 3 or points.shape != gradient.shape[:2] or steps.shape != gradient.shape[1:2]:
            raise ValueError(
                f"a prior needs gradient (n_reference, n_label, n_pix), steps (n_label,) and points "
                f"(n_reference, n_label); found {gradient.shape}, {steps.shape} and {points.shape}"
            )
        if not (np.isfinite(points).all() and np.isfinite(steps).all() and (steps != 0).all()):
            raise ValueError("reference points and steps must be finite, and no step zero")
        if self.form not in FORMS:
            raise ValueError(f"form must be one of {', '.join(FORMS)}, not {self.form!r}")
        if not (self.d_scale >= 0 and self.floor > 0):
            raise ValueError(
                f"d_scale must not be negative and floor be positive; found {self.d_scale} and {self.floor}"
            )
        for name, value in (("gradient", gradient), ("steps", steps), ("points", points)):
            object.__setattr__(self, name, value)

    @property
    def relative(self):
        """Whether differences are relative to theory."""
        return self.form.startswith("rel")

    @property
    def absolute(self):
        """Whether it is their absolute values that count, not their squares."""
        return self.form.endswith("l1")

    def at(self, pixels):
        """The prior of some pixels: anything that indexes an array."""
        return replace(self, gradient=self.gradient[:, :, pixels])


@dataclass(frozen=True)
class NetworkOptions:
    """Size of the networks, their penalty, and how far they are trained.

    Attributes
    ----------
    hidden : int
        Nodes of the hidden layer.
    ridge : float
        Penalty: ridge times the sum of the squares of W, c and w, with w in units of the weighted standard
        deviation of the pixel's flux.  Choose it by cross-validation (`choose_ridge`).
    l1 : float
        If > 0 the penalty is instead l1 times the sum of their absolute values, rounded within 1e-4; the
        networks start from those with the ridge.
    n_iterations : int
        Levenberg-Marquardt steps at most, and three times as many after them under the L1 penalty.
    seed : int
        Of the random starts; each pixel has its own, whatever the block.
    first_pixel : int
        Index of the first pixel where these are a part of a spectrum, for the seeds; see `join_networks`.
    block : int
        Pixels per unit of work.

    Raises
    ------
    ValueError
        If the ridge is not positive or l1 is negative.
    """

    hidden: int = 100
    ridge: float = 1e-2
    l1: float = 0.0
    n_iterations: int = 15
    seed: int = 0
    first_pixel: int = 0
    block: int = 16

    def __post_init__(self):
        if not (self.ridge > 0 and self.l1 >= 0):
            raise ValueError(f"ridge must be positive and l1 not negative; found {self.ridge} and {self.l1}")
