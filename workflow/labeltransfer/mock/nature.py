"""The nature that the mock archive observes: spectra for any labels, made from ab initio model spectra.

The optical depth of a model spectrum is tau = -ln(flux / continuum). About each reference point r,

    ln tau_r(l) = ln tau_r + sum_k [ g_rk x_k + h_rk q_k(x_k) / 2 ],   x = l - l_r,

with slope g and curvature h of every label from its positive and negative step, and q(x) = x^2 up to a
bound beyond which it goes on along the tangent. The reference points are blended in ln tau with the weights
w_r ~ d_r^-4, d_r the distance from the reference point in (Teff, log g, [M/H]) in units of a scale, so that
a reference point is met exactly; flux = continuum exp(-tau). Lines saturate and molecules couple elements,
and no part of it has the form of a model that is fitted to the mock.

Spoiling. At this resolution tau answers to the opacity kappa of the lines as tau ~ kappa^gamma, gamma < 1
where they saturate. The positive slopes tell the share of element X, q_X = g_X / sum g, and gamma = sum g /
ln 10. Nature multiplies each element's opacity by k_X(wavelength) = 10^s_X, where s_X is a random function
with the width of a line and an rms of 0.1 to 0.2 dex, and k_X = 0 for the few per cent of lines that nature
lacks. With S = sum q_X k_X and the new share p_X = q_X k_X / S,

    ln tau' = ln tau + gamma ln S,    g'_X = gamma ln 10 p_X,
    h'_X = h_X + gamma ln^2 10 [(p_X - p_X^2) - (q_X - q_X^2)].

To first order that is a line list whose gf values are off by s_X dex line by line. A stronger line takes a
larger share of a blend and theory does not know; the slopes still add up to the one of [M/H]. Where more of
an element means less absorption (oxygen on C2), the line is another element's and the slope stays.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from threadpoolctl import threadpool_limits

from labeltransfer.files.errors import ArchiveError
from labeltransfer.synthesis.model_spectra import (
    ELEMENTS,
    STEPPED_LABELS,
    off_centre_steps,
    reference_points,
    step_pair,
)

LABELS = ("teff", "logg", "vmic", "m_h", *(f"{element.lower()}_m" for element in ELEMENTS))
"""Labels of nature: K, dex, km/s, dex, and the abundances [X/M] of 17 elements."""

_STEPPED = dict(zip(LABELS, STEPPED_LABELS, strict=True))
_POINT_LABELS = LABELS[:4]  # those of a reference point
_FIRST_ELEMENT = len(_POINT_LABELS)
_BLEND_LABELS = ("teff", "logg", "m_h")
# Blending scale of Teff [K], log g, [M/H]: about the distance over which the second-order expansion holds.
_BLEND_SCALE = np.array([400.0, 1.0, 0.7])
# Largest displacement for which the curvature counts in full [K, dex, km/s, dex, dex of each element].
_QUADRATIC_REACH = np.array([600.0, 1.5, 1.0, 1.0] + [0.4] * len(ELEMENTS))
# ln tau changes freely up to the first number and never by more than the sum of both.
_FREE_CHANGE, _EXTRA_CHANGE = 2.0, 1.0
_TAU_FLOOR = 1e-5
# Pixels that hold a line at R = 1800, and the optical depth up to which it may be missing.
_LINE_PIXELS, _WEAK = 5, 0.1
_BLOCK = 64


@dataclass(frozen=True)
class Nature:
    """What spectra are in the mock universe.

    Attributes
    ----------
    wavelength : (n_pix,) Angstrom, vacuum
    points : (n_ref, 4), Teff [K], log g, vmic [km/s], [M/H] of the reference points
    names : names of the reference points
    ln_tau, slope, curvature : (n_ref, n_pix), (n_ref, n_label, n_pix), (n_ref, n_label, n_pix)
        Expansion of ln tau in the units of the labels, spoiled.
    ln_continuum, continuum_slope, continuum_curvature
        The same of ln continuum, not spoiled.
    strength : (n_element, n_pix)
        log10 of the factor on each element's contribution, -inf where the line is missing.
    borrowed : (reference, label) pairs whose gradient comes from another reference point
    seed : int, or None for unspoiled theory
    """

    wavelength: np.ndarray
    points: np.ndarray
    names: tuple
    ln_tau: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray
    ln_continuum: np.ndarray
    continuum_slope: np.ndarray
    continuum_curvature: np.ndarray
    strength: np.ndarray
    borrowed: tuple
    seed: int | None


def make_nature(models, seed, strength_dex=(0.1, 0.2), missing_fraction=0.03, correlation=1.5):
    """Expand model spectra about their reference points and spoil the line strengths.

    Parameters
    ----------
    models : ModelSpectra
        With continuum and with steps of all labels of nature.
    seed : int or None
        Seed of the spoiling; None leaves theory as it is.
    strength_dex : (float, float)
        Each element's rms strength error is drawn between these [dex].
    missing_fraction : float
        Fraction of each element's spectrum in which nature lacks the weak lines that theory has.
    correlation : float
        Standard deviation of the smoothing of the strength errors [pixels]; a line has about 1.

    Returns
    -------
    Nature

    Raises
    ------
    ArchiveError
        If the models have no continuum, or nowhere usable steps of a label.
    """
    if models.continuum is None:
        raise ArchiveError(
            "the mock archive needs model spectra with a continuum column", reason="no continuum"
        )
    names = tuple(reference_points(models))
    ln_tau = np.log(np.clip(-np.log(models.flux / models.continuum), _TAU_FLOOR, None))
    ln_continuum = np.log(models.continuum)
    centre = [step_pair(models, name, "Teff")[0] for name in names]
    points = np.column_stack([getattr(models, name)[centre] for name in _POINT_LABELS])
    shape = (len(names), len(LABELS), len(models.wavelength))
    slope, curvature, c_slope, c_curvature = (np.zeros(shape) for _ in range(4))
    off_centre = set(off_centre_steps(models))
    borrowed = []
    for k, label in enumerate(LABELS):
        usable = [(name, _STEPPED[label]) not in off_centre for name in names]
        if not any(usable):
            raise ArchiveError(
                f"no reference point has usable steps of {_STEPPED[label]}", reason="missing labels"
            )
        for r, name in enumerate(names):
            source = name
            if not usable[r]:
                source = names[_nearest(points, r, usable)]
                borrowed.append((name, label))
            rows = step_pair(models, source, _STEPPED[label])
            slope[r, k], curvature[r, k] = _derivatives(ln_tau, models.step, rows)
            c_slope[r, k], c_curvature[r, k] = _derivatives(ln_continuum, models.step, rows)
    strength = np.zeros((len(ELEMENTS), shape[2]))
    ln_tau = ln_tau[centre]
    if seed is not None:
        strength = _line_strengths(
            _line_depths(ln_tau, slope), seed, strength_dex, missing_fraction, correlation
        )
        ln_tau, slope, curvature = _spoil(ln_tau, slope, curvature, 10.0**strength)
    return Nature(
        wavelength=models.wavelength,
        points=points,
        names=names,
        ln_tau=ln_tau,
        slope=slope,
        curvature=curvature,
        ln_continuum=ln_continuum[centre],
        continuum_slope=c_slope,
        continuum_curvature=c_curvature,
        strength=strength,
        borrowed=tuple(borrowed),
        seed=seed,
    )


def normalised_flux(nature, labels, pixels=slice(None)):
    """Flux over continuum for a table of labels.

    Parameters
    ----------
    nature : Nature
        From `make_nature`.
    labels : Table or mapping of arrays
        The columns `LABELS`, one row per star.
    pixels : slice
        Part of the pixels that is wanted.

    Returns
    -------
    (n, n_pix) array between 0 and 1. A star's spectrum does not depend on the other rows.
    """
    change = _evaluate(nature, labels, nature.slope, nature.curvature, nature.ln_tau, pixels, bounded=True)
    return np.exp(-np.exp(change, out=change), out=change)


def continuum(nature, labels, pixels=slice(None)):
    """Continuum for a table of labels, as `normalised_flux`, in the relative units of the model spectra."""
    slope, curvature = nature.continuum_slope, nature.continuum_curvature
    value = _evaluate(nature, labels, slope, curvature, nature.ln_continuum, pixels, bounded=False)
    return np.exp(value, out=value)


def blend_weights(nature, labels):
    """Weights of the reference points, (n, n_ref), summing to one."""
    where = np.column_stack([np.asarray(labels[name], dtype=float) for name in _BLEND_LABELS])
    distance2 = _distance2(where[:, None, :], _blended(nature.points))
    # The floor only keeps the division finite on a reference point itself.
    weight = 1.0 / np.maximum(distance2, 1e-8) ** 2
    return weight / weight.sum(axis=1, keepdims=True)


def _nearest(points, r, usable):
    where = _blended(points)
    return int(np.where(usable, _distance2(where, where[r]), np.inf).argmin())


def _blended(points):
    """The labels of reference points that their distances are taken in."""
    return points[:, [_POINT_LABELS.index(name) for name in _BLEND_LABELS]]


def _distance2(where, other):
    """Squared distance in Teff, log g and [M/H], in units of the blending scale."""
    return (((where - other) / _BLEND_SCALE) ** 2).sum(axis=-1)


def _derivatives(values, steps, rows):
    """First and second derivative from three unequally spaced points."""
    centre, plus, minus = rows
    a, b = steps[plus], -steps[minus]
    up, down = (values[plus] - values[centre]) / a, (values[centre] - values[minus]) / b
    return (b * up + a * down) / (a + b), 2.0 * (up - down) / (a + b)


def _line_depths(ln_tau, slope):
    """Largest optical depth of each element near each pixel at any reference point, (n_element, n_pix)."""
    g = np.maximum(slope[:, _FIRST_ELEMENT:], 0.0)
    depth = np.exp(ln_tau)[:, None] * g / np.maximum(g.sum(axis=1, keepdims=True), 1e-12)
    return maximum_filter1d(depth.max(axis=0), 2 * _LINE_PIXELS + 1, axis=1)


def _line_strengths(depth, seed, strength_dex, missing_fraction, correlation):
    """log10 of the factor on each element's lines, (n_element, n_pix)."""
    rng = np.random.default_rng(seed)
    shape = depth.shape
    dex = gaussian_filter1d(rng.standard_normal(shape), correlation, axis=1, mode="wrap")
    dex *= rng.uniform(*strength_dex, size=(len(ELEMENTS), 1)) / dex.std(axis=1, keepdims=True)
    # A missing line takes the pixels of its profile with it.
    start = rng.random(shape) < missing_fraction / _LINE_PIXELS
    missing = np.zeros(shape, dtype=bool)
    for shift in range(_LINE_PIXELS):
        missing |= np.roll(start, shift, axis=1)
    # Nobody overlooks the calcium triplet: only lines that are weak everywhere are missing.
    return np.where(missing & (depth < _WEAK), -np.inf, dex)


def _spoil(ln_tau, slope, curvature, factor):
    """Multiply each element's opacity by a factor; see the module's docstring."""
    slope, curvature = slope.copy(), curvature.copy()
    g = np.maximum(slope[:, _FIRST_ELEMENT:], 0.0)
    total = g.sum(axis=1, keepdims=True)
    share = g / np.maximum(total, 1e-12)
    # The floor leaves a trace of a line that nature lacks, so that ln tau stays finite.
    strength = np.maximum((share * factor).sum(axis=1, keepdims=True), 1e-3)
    new_share = share * factor / strength
    lines = g > 0
    change = np.log(10.0) * total * ((new_share - new_share**2) - (share - share**2))
    slope[:, _FIRST_ELEMENT:][lines] = (total * new_share)[lines]
    curvature[:, _FIRST_ELEMENT:][lines] += change[lines]
    # Without any line of any element there is nothing to change.
    growth = np.where(total > 0, total / np.log(10.0) * np.log(strength), 0.0)[:, 0]
    return ln_tau + growth, slope, curvature


def _evaluate(nature, labels, slope, curvature, centre, pixels, bounded):
    """Blend of the expansions, in blocks of a fixed size so that a row never depends on its neighbours."""
    values = np.column_stack([np.asarray(labels[name], dtype=float) for name in LABELS])
    weights = blend_weights(nature, labels)
    n_star, n_ref, n_label = len(values), len(nature.names), len(LABELS)
    origin = np.zeros((n_ref, n_label))
    origin[:, :_FIRST_ELEMENT] = nature.points
    coefficients = np.concatenate([slope[..., pixels], 0.5 * curvature[..., pixels]], axis=1)
    coefficients = coefficients.reshape(2 * n_ref * n_label, -1)
    centre = np.ascontiguousarray(centre[:, pixels])
    out = np.empty((n_star, coefficients.shape[1]))
    for first in range(0, n_star, _BLOCK):
        rows = slice(first, min(first + _BLOCK, n_star))
        n_row = rows.stop - rows.start
        x = np.zeros((_BLOCK, n_ref, n_label))
        x[:n_row] = values[rows, None] - origin
        w = np.zeros((_BLOCK, n_ref))
        w[:n_row] = weights[rows]
        size = np.abs(x)
        quadratic = np.where(size < _QUADRATIC_REACH, x**2, _QUADRATIC_REACH * (2 * size - _QUADRATIC_REACH))
        design = np.concatenate([x, quadratic], axis=2) * w[:, :, None]
        with threadpool_limits(1):
            change = design.reshape(_BLOCK, -1) @ coefficients
            base = w @ centre
        if bounded:
            excess = np.abs(change) - _FREE_CHANGE
            if (excess > 0).any():
                limited = np.copysign(_FREE_CHANGE + _EXTRA_CHANGE * np.tanh(excess / _EXTRA_CHANGE), change)
                change = np.where(excess > 0, limited, change)
        out[rows] = (base + change)[:n_row]
    return out
