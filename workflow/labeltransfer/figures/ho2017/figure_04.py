"""Figure 4: linear coefficients and scatter of the model against wavelength."""

from typing import NamedTuple

import numpy as np
from astropy.table import Table

from labeltransfer.figures.ho2017.common import LABELS
from labeltransfer.figures.inputs import float_column, same_length, text_column
from labeltransfer.figures.panels import say_no_stars, spread_positions
from labeltransfer.figures.style import (
    DIB,
    FEATURE,
    PAGE_WIDTH,
    WAVELENGTH_TITLE,
    label_style,
    mark_archive,
    new_figure,
    robust_range,
    use_style,
)
from labeltransfer.models.cannon import linear_coefficients
from labeltransfer.models.files import load_model

#: Typical errors of the labels (Holtzman et al. 2015), and 1 mag of A_K: they scale the coefficients.
LABEL_STEPS = {"teff": 91.5, "logg": 0.11, "fe_h": 0.05, "alpha_m": 0.05, "a_k": 1.0}

_STEPS_BY_UNIT = {"K": 91.5, "dex": 0.05}  # of labels that the paper does not have

PAPER_RANGE = (3905.0, 9000.0)  # [Angstrom]

FEATURE_NAMES = {
    "H alpha": r"H$\alpha$",
    "H beta": r"H$\beta$",
    "H gamma": r"H$\gamma$",
    "H delta": r"H$\delta$",
}
FEATURE_NAME_COLOR = "0.25"
DIB_NAME_COLOR = "#9a6a00"


class _Lines(NamedTuple):
    """Lines in the range of the figure: `names` and `wavelength` [Angstrom], of the same length."""

    names: np.ndarray
    wavelength: np.ndarray


@use_style()
def draw(wavelength, coefficients, scatter, features, dibs, archive_kind, *, labels=LABELS, steps=None):
    """Draw figure 4.

    Parameters
    ----------
    wavelength : (n_pix,) array
        Vacuum wavelength [Angstrom].
    coefficients : (n_label, n_pix) array
        Linear coefficients, already multiplied by a step of each label (in the paper 91.5 K, 0.11, 0.05 and
        0.05 dex, 1 mag): the change of the normalised flux for that step.
    scatter : (n_pix,) array
        Intrinsic scatter of the model, in units of the normalised flux.
    features : astropy.table.Table
        Named stellar features: `feature`, `wavelength` [Angstrom, vacuum]; rows with one name share it.
    dibs : astropy.table.Table
        Diffuse interstellar bands: `name`, `wavelength` [Angstrom, vacuum].
    archive_kind : {'mock', 'public', 'local', 'registry'}
    labels : sequence of str
        Names of the labels, in the order of the coefficients.
    steps : sequence of float, optional
        The steps, printed in the panels.

    Returns
    -------
    matplotlib.figure.Figure
        A panel per label, and the scatter below them.

    Raises
    ------
    ValueError
        If shapes disagree, a table lacks a column, or for an unknown archive kind.
    """
    wavelength, scatter = same_length("figure 4", wavelength=wavelength, scatter=scatter)
    coefficients = np.asarray(coefficients, dtype=float)
    _check(wavelength, coefficients, labels, steps)
    x_range = (float(wavelength.min()), float(wavelength.max())) if wavelength.size else PAPER_RANGE
    features = _lines_in(features, "feature", "features", x_range)
    dibs = _lines_in(dibs, "name", "DIB", x_range)

    figure = new_figure(PAGE_WIDTH, 1.25 * (len(labels) + 1) + 1.0)
    panels = figure.subplots(len(labels) + 1, 1, sharex=True)
    figure.get_layout_engine().set(hspace=0.0, h_pad=0.0)
    for i, (axes, label) in enumerate(zip(panels, labels, strict=False)):
        _mark_lines(axes, features.wavelength, FEATURE, 0.5)
        # The bands belong to the extinction; without that label they are marked in the scatter alone.
        _mark_lines(axes, dibs.wavelength if label == "a_k" else (), DIB, 1.0)
        _show_pixels(axes, wavelength, coefficients[i])
        symbol, unit = label_style(label)
        step = f"\n$\\times$ {steps[i]:g} {unit}" if steps is not None else ""
        axes.set_ylabel(rf"$\partial f/\partial\,${symbol}{step}")
        axes.axhline(0.0, color="0.7", linewidth=0.4, zorder=0)
    last = panels[-1]
    _mark_lines(last, dibs.wavelength, DIB, 1.0)
    _show_pixels(last, wavelength, scatter, lowest=0.0)
    last.set_ylabel(r"scatter $s_\lambda$")
    last.set_xlabel(WAVELENGTH_TITLE)
    for axes in panels:
        axes.yaxis.get_major_locator().set_params(nbins=4, prune="both")
    panels[0].set_xlim(x_range)
    figure.align_ylabels(panels)
    _name_features(panels[0], features)
    _name_bands(last, dibs)
    mark_archive(figure, archive_kind)
    return figure


def _check(wavelength, coefficients, labels, steps):
    if coefficients.shape != (len(labels), wavelength.size):
        raise ValueError(
            f"figure 4 needs one row of {wavelength.size} coefficients for each of {', '.join(labels)}: "
            f"expected shape {(len(labels), wavelength.size)}, found {coefficients.shape}"
        )
    if steps is not None and len(steps) != len(labels):
        raise ValueError(f"figure 4 needs one step for each of {', '.join(labels)}, found {len(steps)}")


def _lines_in(table, name_column, table_name, x_range):
    """Lines of a table that lie within the range."""
    wavelength = float_column(table, "wavelength", "figure 4", table_name)
    names = text_column(table, name_column, "figure 4", table_name)
    inside = (wavelength > x_range[0]) & (wavelength < x_range[1])
    return _Lines(names[inside], wavelength[inside])


def _mark_lines(axes, wavelengths, color, linewidth):
    for wavelength in wavelengths:
        axes.axvline(wavelength, color=color, linewidth=linewidth, zorder=1)


def _show_pixels(axes, wavelength, values, lowest=None):
    """One value per pixel, in a frame that holds nearly all of them; `lowest` sets its lower end."""
    if not np.isfinite(values).any():
        say_no_stars(axes, "no model")
        return
    axes.plot(wavelength, values, color="black", linewidth=0.5, drawstyle="steps-mid", zorder=2)
    low, high = robust_range(values, (0.02, 99.98), pad=0.12)
    axes.set_ylim(low if lowest is None else lowest, high)


def _name_features(axes, features):
    """Names of features over a panel, upright, moved apart where lines crowd and joined to their lines."""
    names = list(dict.fromkeys(features.names))
    wavelengths = [features.wavelength[features.names == name].mean() for name in names]
    low, high = axes.get_xlim()
    places = spread_positions(wavelengths, 0.0165 * (high - low))
    line = {"arrowstyle": "-", "color": FEATURE_NAME_COLOR, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 0}
    for name, wavelength, place in zip(names, wavelengths, places, strict=True):
        axes.annotate(
            FEATURE_NAMES.get(name, name),
            xy=(wavelength, 1.0),
            xytext=(place, 1.12),
            xycoords=axes.get_xaxis_transform(),
            textcoords=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            rotation=90,
            fontsize=7.5,
            color=FEATURE_NAME_COLOR,
            arrowprops=line,
            annotation_clip=False,
        )


def _name_bands(axes, dibs):
    """Names of diffuse bands inside a panel, beside them: on the right, but for the first of a close pair."""
    low, high = axes.get_xlim()
    width = high - low
    places = spread_positions(dibs.wavelength, 0.02 * width)
    for name, wavelength, place in zip(*dibs, places, strict=True):
        left = place < wavelength
        axes.text(
            wavelength + (-1 if left else 1) * 0.003 * width,
            0.95,
            name,
            transform=axes.get_xaxis_transform(),
            ha="right" if left else "left",
            va="top",
            rotation=90,
            fontsize=7.5,
            color=DIB_NAME_COLOR,
        )


def from_files(files, settings):
    """Draw figure 4 of a run from its `model` and the tables of `features` and `dibs`."""
    model = load_model(files["model"])
    names = model.label_names
    units = {name: about["unit"] for name, about in settings["study"]["labels"].items()}
    steps = {name: LABEL_STEPS.get(name, _STEPS_BY_UNIT.get(units.get(name), 1.0)) for name in names}
    coefficients = linear_coefficients(model, steps)
    return draw(
        model.wavelength,
        np.array([coefficients[name] for name in names]),
        model.scatter,
        Table.read(files["features"], format="ascii.csv"),
        Table.read(files["dibs"], format="ascii.csv"),
        settings["source"],
        labels=names,
        steps=[steps[name] for name in names],
    )
