"""What the line width and the wavelengths of another spectrograph do to labels: the same stars in two libraries.

A model of reference spectra labels spectra of another survey as they are, with their wavelengths put right, with
reference spectra brought to their line width, and with both. Both are measured on the spectra, without their labels.
"""

from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from labeltransfer.models import cannon
from labeltransfer.spectra.prepare import gridded_from, in_vacuum, prepared
from labeltransfer.spectra.relative_width import measure_excess
from labeltransfer.spectra.resolution import broaden
from labeltransfer.spectra.velocity import (
    SPEED_OF_LIGHT,
    measure_velocities,
    shifted,
    velocity_curves,
    window_edges,
)
from labeltransfer.validation.statistics import bias_and_scatter, robust_scatter

#: Step -> what it puts right: velocities, and whether the line width.
STEPS = {
    "as it is": ("given", False),
    "velocity": ("one", False),
    "wavelengths": ("windows", False),
    "width": ("given", True),
    "velocity and width": ("one", True),
    "wavelengths and width": ("windows", True),
}
ROUNDS = 5
# Pixels of a window: of velocities, as wavelengths may have steps; of widths, which change slowly.
_VELOCITY_WINDOW, _WIDTH_WINDOW = 150, 240
_LARGEST_ERROR = 15.0  # km/s: windows with larger ones do not count
_N_BOOTSTRAP = 500


class Reference(NamedTuple):
    """Spectra that a model is trained on.

    Attributes
    ----------
    raw : labeltransfer.spectra.prepare.Gridded
        Of n stars, none of which is compared.
    labels : (n, k) float64
    names : tuple of k str
    """

    raw: object
    labels: np.ndarray
    names: tuple


class Matched(NamedTuple):
    """How m spectra of another survey were brought to what the reference spectra are.

    Attributes
    ----------
    spectra : dict of str to list of surveys.base.Spectrum
        In vacuum: "given", and with "one" velocity or those of "windows" taken out.
    excess : (m, n_window) float64
        By how much lines are wider than those of the reference spectra [pixel^2].
    edges : (n_window + 1,) int array
        Of these windows.
    """

    spectra: dict
    excess: np.ndarray
    edges: np.ndarray


def trained(reference, settings, excess=None, threads=1):
    """The Cannon, of second order, of reference spectra, widened by variances (n_pix,) [pixel^2] where given."""
    raw = reference.raw if excess is None else widened(reference.raw, excess, settings.variance)
    flux, ivar, _ = normalised(raw, settings)
    model = cannon.train(flux, ivar, reference.labels[raw.kept], label_names=reference.names, threads=threads)
    return model.on(settings.grid)


def widened(raw, excess, variance="information"):
    """`Gridded` spectra with lines wider by variances (n_pix,) [pixel^2]; negative ones leave them as they are."""
    if not (excess > 0).any():
        return raw
    flux, ivar = np.empty_like(raw.flux), np.empty_like(raw.ivar)
    for row, one in enumerate(zip(raw.flux, raw.ivar, strict=True)):
        flux[row], ivar[row] = broaden(*one, np.maximum(excess, 0.0), variance)
    return raw._replace(flux=flux, ivar=ivar)


def normalised(raw, settings):
    """Normalised flux and ivar of all `Gridded` spectra, and their rows; those with too few pixels are masked."""
    names = [str(row) for row in range(len(raw.kept) + len(raw.reasons))]
    flux, ivar, stars, _ = prepared(names, raw, settings)
    rows = np.searchsorted(raw.kept, np.array(stars["id"], dtype=int))
    whole = np.ones((2, len(raw.kept), len(settings.grid)), dtype=np.float32)
    whole[1] = 0.0
    whole[0, rows], whole[1, rows] = flux, ivar
    return whole[0], whole[1], rows


def on_the_grid(spectra, settings):
    """`Gridded` of spectra in memory."""
    return gridded_from([partial(in_vacuum, one) for one in spectra], settings)


def model_templates(reference, settings, threads=1):
    """What any star is compared with: the model's spectrum of its labels, as sharp as the reference spectra.

    Returns
    -------
    callable
        Excess (n_pix,) -> what gives templates (m, n_pix) of flux and ivar (m, n_pix): labels come from a model of
        reference spectra that are widened by the excess, templates from one of these spectra as they are.
    """
    sharp = trained(reference, settings, threads=threads)

    def of_width(excess):
        model = trained(reference, settings, excess, threads)
        return lambda flux, ivar: sharp.predict(model.label(flux, ivar, threads=threads).labels)

    return of_width


def star_templates(raw, settings):
    """The same for stars with a reference spectrum of their own each: `Gridded` of the same stars, in their order."""
    flux, ivar, _ = normalised(raw, settings)
    own = np.where(ivar > 0, flux, np.nan)
    return lambda excess: lambda *_: own


def match(spectra, templates, settings, rounds=ROUNDS):
    """Measure wavelengths and line widths of spectra against templates, in rounds.

    Parameters
    ----------
    spectra : sequence of m surveys.base.Spectrum
        All of which can be brought to the grid.
    templates : callable
        From `model_templates` or `star_templates`.
    settings : labeltransfer.spectra.prepare.Settings
    rounds : int
        Labels of spectra whose lines are too wide are wrong, and so are templates of these labels.

    Returns
    -------
    Matched
        Each spectrum has its own velocities, and all have the median excess.
    """
    given = [in_vacuum(one) for one in spectra]
    edges = window_edges(len(settings.grid), _VELOCITY_WINDOW)
    wide_edges = window_edges(len(settings.grid), _WIDTH_WINDOW)
    centre, now, excess = centres(settings.grid, edges), given, np.zeros(len(settings.grid))
    for number in range(rounds):
        template_of = templates(excess)
        flux, ivar, _ = normalised(_wide_enough(now, excess, settings), settings)
        template = template_of(flux, ivar)
        if number == 0:
            whole = measure_velocities(flux, ivar, template, settings.grid).velocity
            now = [shifted(*pair) for pair in zip(now, whole, strict=True)]
            flux, ivar, _ = normalised(_wide_enough(now, excess, settings), settings)
        found = velocity_curves(flux, ivar, template, settings.grid, edges)
        curves = np.where(found.error <= _LARGEST_ERROR, found.velocity, np.nan)
        now = [shifted(*pair, centre) for pair in zip(now, curves, strict=True)]
        flux, ivar, _ = normalised(_wide_enough(now, excess, settings), settings)
        template = template_of(flux, ivar)
        flux, ivar, _ = normalised(on_the_grid(now, settings), settings)
        measured = measure_excess(flux, ivar, template, np.isfinite(template), wide_edges)
        excess = common_excess(measured, wide_edges, settings.grid)
    flux, ivar, _ = normalised(on_the_grid(given, settings), settings)
    whole = measure_velocities(flux, ivar, template, settings.grid).velocity
    single = [shifted(*pair) for pair in zip(given, whole, strict=True)]
    return Matched({"given": given, "one": single, "windows": now}, measured, wide_edges)


def _wide_enough(spectra, excess, settings):
    """`Gridded` spectra, widened where their lines are narrower than those of the reference."""
    return widened(on_the_grid(spectra, settings), -excess, settings.variance)


def centres(grid, edges):
    """Mean wavelengths of windows."""
    return np.array([grid[start:stop].mean() for start, stop in pairwise(edges)])


def common_excess(measured, edges, grid):
    """One excess (n_pix,) for all stars: medians of windows (n, n_window), interpolated; 0 where nothing is known."""
    known = np.isfinite(measured).any(axis=0)
    if not known.any():
        return np.zeros(len(grid))
    return np.interp(grid, centres(grid, edges)[known], np.nanmedian(measured[:, known], axis=0))


def labels_by_step(matched, reference, same_raw, settings, threads=1):
    """Label spectra, and the reference spectra of the same stars, by the models of all steps.

    Parameters
    ----------
    matched : Matched
        Of m spectra.
    reference : Reference
    same_raw : labeltransfer.spectra.prepare.Gridded
        Reference spectra of the m stars.
    settings : labeltransfer.spectra.prepare.Settings
    threads : int

    Returns
    -------
    dict of str to (here, there)
        Of `STEPS`: labels (m, k) from the spectra, and from the reference spectra.
    """
    measured = common_excess(matched.excess, matched.edges, settings.grid)
    found = {}
    for width in (False, True):
        excess = measured if width else np.zeros(len(settings.grid))
        model = trained(reference, settings, excess, threads)
        there = _labels(model, widened(same_raw, excess, settings.variance), settings, threads)
        for name, (frame, with_width) in STEPS.items():
            if with_width == width:
                raw = _wide_enough(matched.spectra[frame], excess, settings)
                found[name] = _labels(model, raw, settings, threads), there
    return {name: found[name] for name in STEPS}


def _labels(model, raw, settings, threads):
    flux, ivar, _ = normalised(raw, settings)
    found = model.label(flux, ivar, threads=threads)
    return np.where(found.converged[:, None], found.labels, np.nan)


def comparison_table(found, catalogue, names, templates, seed=0):
    """Table of the differences of labels, step by step.

    Parameters
    ----------
    found : dict of str to (here, there)
        From `labels_by_step`.
    catalogue : (m, k) float64
        Labels that the catalogue of the reference has of the stars.
    names : sequence of k str
    templates : str
        What wavelengths and widths were measured against.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        templates, step, label, against ("spectrum" for the labels from the reference spectrum of the same star, or
        "catalogue"), n, bias (median) and scatter (1.4826 MAD), with errors from bootstrap samples of the stars.
    """
    rows = []
    for step, (here, there) in found.items():
        for against, other in (("spectrum", there), ("catalogue", catalogue)):
            for label, difference in zip(names, (here - other).T, strict=True):
                difference = difference[np.isfinite(difference)]
                bias, scatter = bias_and_scatter(difference, "robust")
                errors = _bootstrap_errors(difference, seed)
                rows.append(
                    (templates, step, label, against, len(difference), bias, errors[0], scatter, errors[1])
                )
    columns = ["templates", "step", "label", "against", "n", "bias", "bias_err", "scatter", "scatter_err"]
    return pd.DataFrame(rows, columns=columns)


def _bootstrap_errors(difference, seed):
    if len(difference) < 2:
        return np.nan, np.nan
    rows = np.random.default_rng(seed).integers(0, len(difference), (_N_BOOTSTRAP, len(difference)))
    return np.std([bias_and_scatter(difference[row], "robust") for row in rows], axis=0)


def windows_table(matched, settings, templates, fwhm):
    """Table of wavelengths and widths that were measured, window by window.

    Parameters
    ----------
    matched : Matched
    settings : labeltransfer.spectra.prepare.Settings
    templates : str
        As for `comparison_table`.
    fwhm : float
        Of lines of the reference spectra [Angstrom].

    Returns
    -------
    DataFrame
        templates, wavelength [Angstrom], velocity and its spread over stars [km/s], excess and its error [pixel^2],
        n, fwhm [Angstrom] and resolution of the spectra.
    """
    grid, measured = settings.grid, matched.excess
    at = centres(grid, matched.edges)
    moved = [
        np.interp(at, new.wavelength, old.wavelength / new.wavelength - 1)
        for old, new in zip(matched.spectra["given"], matched.spectra["windows"], strict=True)
    ]
    moved = SPEED_OF_LIGHT * np.array(moved)
    n = np.isfinite(measured).sum(axis=0)
    middle, spread = (np.array([f(column) for column in measured.T]) for f in (_median, robust_scatter))
    pixel = np.interp(at, grid, np.gradient(grid))
    width = np.sqrt(np.maximum(fwhm**2 + 8 * np.log(2) * middle * pixel**2, 0.0))
    return pd.DataFrame(
        {
            "templates": templates,
            "wavelength": at,
            "velocity": np.median(moved, axis=0),
            "velocity_spread": [robust_scatter(column) for column in moved.T],
            "excess": middle,
            "excess_err": np.sqrt(np.pi / 2) * spread / np.sqrt(np.maximum(n, 1)),
            "n": n,
            "fwhm": width,
            "resolution": np.divide(at, width, out=np.full(len(at), np.nan), where=width > 0),
        }
    )


def _median(values):
    return bias_and_scatter(values, "robust")[0]
