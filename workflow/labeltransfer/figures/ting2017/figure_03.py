"""Figure 3: which features carry a label, in theory and in models trained in several ways."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from labeltransfer.figures.panels import format_number, print_in_corner, say_no_stars
from labeltransfer.figures.style import (
    CANNON,
    PAGE_WIDTH,
    WAVELENGTH_TITLE,
    label_style,
    mark_archive,
    new_figure,
    use_style,
)
from labeltransfer.figures.ting2017.common import method_styles
from labeltransfer.files.tables import read_table


class Gradients(NamedTuple):
    """Gradient spectra of theory and of models, for the same steps at the same reference point.

    Attributes
    ----------
    wavelength : (n_pix,) array
        Vacuum wavelength [Angstrom].
    theory : (n_label, n_pix) array
        Ab initio: the change of the normalised flux for a step of each label.
    models : dict of str to (n_label, n_pix) array
        The same of the model trained by each method; NaN where a model has no pixel.
    correlations : dict of str to (n_label,) array
        Correlation of model and theory over all wavelengths that the model has, for the same methods; see
        `labeltransfer.validation.gradient_correlation.gradient_correlation`. NaN where there is none.
    label_names : sequence of n_label str
    """

    wavelength: np.ndarray
    theory: np.ndarray
    models: Mapping[str, np.ndarray]
    correlations: Mapping[str, np.ndarray]
    label_names: Sequence[str]


@use_style()
def draw(gradients, archive_kind, *, label="mg_h", window=(5100.0, 5250.0), step=""):
    """Draw figure 3.

    Parameters
    ----------
    gradients : Gradients
    archive_kind : {'mock', 'public', 'local', 'registry'}
    label : str
        The label of the left panels.
    window : (float, float)
        Their range [Angstrom].
    step : str
        The step, for the axis: "0.2 dex".

    Returns
    -------
    matplotlib.figure.Figure
        One row of panels per method, `no_prior`, `quadratic`, `l1` and `prior` in this order, then others.
        Left: theory black, model red, one scale for all methods; of a model of fewer pixels than another it
        says how many. Right: histograms of the correlations.

    Raises
    ------
    ValueError
        If shapes or methods do not agree, the label is not among the names, the window is no range, or for
        an unknown archive kind.
    """
    low, high = (float(end) for end in window)
    if not low < high:
        raise ValueError(f"figure 3 needs a window (low, high) with low < high [Angstrom], found {window}")
    gradients = _checked(gradients, label)
    row = gradients.label_names.index(label)
    inside = (gradients.wavelength >= low) & (gradients.wavelength <= high)
    wavelength, theory = gradients.wavelength[inside], gradients.theory[row, inside]
    styles = method_styles(gradients.models)
    curves = {method: gradients.models[method][row, inside] for method in styles}
    edges = _histogram_edges(gradients.correlations)
    n_compared = {method: _n_compared(gradients, method, row) for method in styles}
    most = max(n_compared.values())

    figure = new_figure(PAGE_WIDTH, 0.75 + 1.45 * len(styles))
    panels = figure.subplots(len(styles), 2, sharex="col", sharey="col", squeeze=False, width_ratios=(1.7, 1))
    figure.get_layout_engine().set(hspace=0.0, h_pad=0.015)
    for (left, right), (method, style) in zip(panels, styles.items(), strict=True):
        correlation = gradients.correlations[method]
        _show_gradient(left, wavelength, theory, curves[method])
        print_in_corner(left, style.name, (0.02, 0.06), fontsize=9)
        where = "all wavelengths" if n_compared[method] == most else f"{n_compared[method]} of {most} pixels"
        words = f"r = {format_number(correlation[row])}\nover {where}"
        print_in_corner(left, words, (0.985, 0.06), gid="statistics")
        _show_correlations(right, style.name, correlation, edges)
        left.set_ylabel(r"$\Delta f$")
        right.set_ylabel("labels")
    first, last = panels[0], panels[-1]
    _make_room(first[0], np.concatenate([theory, *curves.values()]))
    first[0].set_xlim(low, high)
    first[1].set_xlim(edges[0], edges[-1])
    first[1].set_ylim(0.0, 1.12 * max(1.0, first[1].get_ylim()[1]))
    first[1].yaxis.get_major_locator().set_params(integer=True)
    last[0].set_xlabel(WAVELENGTH_TITLE)
    last[1].set_xlabel("correlation of model and theory gradients")
    symbol = label_style(label).symbol
    first[0].set_title(f"change of the flux with {symbol}" + (f", for {step}" if step else ""))
    first[1].set_title("all labels" if min(n_compared.values()) < most else "all labels, all wavelengths")
    mark_archive(figure, archive_kind)
    return figure


def _checked(gradients, label):
    """The gradients as arrays of floats that belong together."""
    names, models, correlations = list(gradients.label_names), gradients.models, gradients.correlations
    if label not in names:
        raise ValueError(f"figure 3 needs label '{label}' among the labels: {', '.join(names)}")
    if not models or set(models) != set(correlations):
        raise ValueError(
            "figure 3 needs gradients and correlations of the same methods, at least one: "
            f"found {', '.join(models) or 'none'} and {', '.join(correlations) or 'none'}"
        )
    expected = (len(names), np.size(gradients.wavelength))
    for name, found in [("theory", gradients.theory), *models.items()]:
        if np.shape(found) != expected:
            raise ValueError(
                f"figure 3 needs gradients of shape {expected} (labels, pixels), "
                f"found {np.shape(found)} for {name}"
            )
    for name, found in correlations.items():
        if np.shape(found) != expected[:1]:
            raise ValueError(
                f"figure 3 needs {expected[0]} correlations, one per label, found shape {np.shape(found)} "
                f"for {name}"
            )
    return Gradients(
        np.asarray(gradients.wavelength, dtype=float),
        np.asarray(gradients.theory, dtype=float),
        {method: np.asarray(values, dtype=float) for method, values in models.items()},
        {method: np.asarray(values, dtype=float) for method, values in correlations.items()},
        names,
    )


def _n_compared(gradients, method, row):
    """Pixels over which the correlation of one label is taken."""
    known = np.isfinite(gradients.models[method][row]) & np.isfinite(gradients.theory[row])
    return np.count_nonzero(known)


def _histogram_edges(correlations):
    """Bins of a tenth that start at a round number below all values."""
    values = np.concatenate(list(correlations.values()))
    values = values[np.isfinite(values)]
    lowest = min(-0.2, np.floor(10 * values.min()) / 10) if values.size else -0.2
    return np.linspace(lowest, 1.0, round(10 * (1.0 - lowest)) + 1)


def _show_gradient(axes, wavelength, theory, model):
    axes.axhline(0.0, color="0.8", linewidth=0.5, zorder=0)
    if np.isfinite(theory).any() or np.isfinite(model).any():
        axes.plot(wavelength, theory, color="black", linewidth=1.2, label="theory")
        axes.plot(wavelength, model, color=CANNON, linewidth=1.2, label="model")
    else:
        say_no_stars(axes, "no gradient here")


def _show_correlations(axes, name, correlation, edges):
    """Histogram over the labels, with their median."""
    finite = correlation[np.isfinite(correlation)]
    axes.hist(finite, bins=edges, color=CANNON, alpha=0.35, histtype="stepfilled")
    axes.hist(finite, bins=edges, color=CANNON, linewidth=1.0, histtype="step")
    if finite.size == 0:
        say_no_stars(axes, "no correlation")
        return
    median = np.median(finite)
    axes.axvline(median, color="black", linestyle="--", linewidth=0.9)
    missing = correlation.size - finite.size
    lines = [name, f"median {format_number(median)}", f"{finite.size} labels"]
    lines += [f"{missing} unknown"] if missing else []
    print_in_corner(axes, "\n".join(lines), (0.04, 0.94), gid="median")


def _make_room(axes, values):
    """A frame for all curves with room below for the words, and above for the legend of the first panel."""
    values = values[np.isfinite(values)]
    if values.size:
        bottom, top = values.min(), values.max()
        span = (top - bottom) or 1.0
        axes.set_ylim(bottom - 0.42 * span, top + 0.2 * span)
        axes.legend(loc="upper left", ncols=2)


def from_files(files, settings):
    """Draw figure 3 of a run from its `gradients` and their `correlation` at the first reference point."""
    table = read_table(files["gradients"])
    correlation = Table.read(files["correlation"], format="ascii.csv")
    correlation = correlation[correlation["reference"] == correlation["reference"][0]]
    methods = list(dict.fromkeys(correlation["method"].tolist()))
    labels = settings["study"]["labels"]
    gradients = Gradients(
        wavelength=table["wavelength"],
        theory=np.asarray(table["theory"]).T,
        models={method: np.asarray(table[method]).T for method in methods},
        correlations={
            method: np.asarray(correlation["correlation"][correlation["method"] == method])
            for method in methods
        },
        label_names=list(labels),
    )
    step = labels["mg_h"]
    window = settings["study"]["network"]["l1"]["window"]
    return draw(gradients, settings["source"], window=window, step=f"{step['step']:g} {step['unit']}")
