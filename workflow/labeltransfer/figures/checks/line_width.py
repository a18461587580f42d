"""What the line width and the wavelengths of another spectrograph do to labels."""

import numpy as np
from astropy.table import Table

from labeltransfer.figures.inputs import float_column, text_column
from labeltransfer.figures.panels import format_number, say_no_stars
from labeltransfer.figures.style import (
    CANNON,
    PAGE_WIDTH,
    PIPELINE,
    label_style,
    mark_archive,
    new_figure,
    use_style,
)

FIGURE_NAME = "the figure of the line width"
#: What wavelengths and widths were measured against -> colour, marker and place beside the others.
TEMPLATES = {"model": (CANNON, "o", -0.13), "same star": (PIPELINE, "s", 0.13)}


@use_style()
def draw(table, archive_kind):
    """Draw the figure of the line width.

    Parameters
    ----------
    table : astropy.table.Table
        From `labeltransfer.validation.line_width.comparison_table`.
    archive_kind : {'mock', 'public', 'local'}

    Returns
    -------
    matplotlib.figure.Figure
        A panel per label, a row in it per step, from top to bottom: the median difference of labels from two spectra
        of the same stars with its error, and its scatter as a pale line. Printed: scatter of the first and last step.

    Raises
    ------
    ValueError
        If the table lacks a column, or for an unknown archive kind.
    """
    words = {
        name: text_column(table, name, FIGURE_NAME, "line width")
        for name in ("templates", "step", "label", "against")
    }
    values = {
        name: float_column(table, name, FIGURE_NAME, "line width") for name in ("bias", "bias_err", "scatter")
    }
    spectra = words["against"] == "spectrum"
    steps, labels = (list(dict.fromkeys(words[name][spectra])) for name in ("step", "label"))
    figure = new_figure(PAGE_WIDTH, 0.9 + 0.28 * max(4, len(steps)))
    panels = figure.subplots(1, max(1, len(labels)), sharey=True, squeeze=False)[0]
    if not labels:
        say_no_stars(panels[0])
    for axes, label in zip(panels, labels, strict=False):
        here = spectra & (words["label"] == label)
        axes.axvline(0.0, color="0.6", linewidth=0.8, zorder=1)
        for name, style in TEMPLATES.items():
            rows = here & (words["templates"] == name)
            place = np.array([steps.index(one) for one in words["step"][rows]], dtype=float)
            _show_steps(axes, {key: column[rows] for key, column in values.items()}, place, name, style)
        symbol, unit = label_style(label)
        axes.set_xlabel(f"{symbol}, difference ({unit})")
        first = here & (words["templates"] == words["templates"][here][0])
        ends = [values["scatter"][first & (words["step"] == end)] for end in (steps[0], steps[-1])]
        printed = " \N{RIGHTWARDS ARROW} ".join(format_number(end[0]) for end in ends)
        axes.set_title(f"scatter {printed} {unit}", fontsize=7, loc="left", gid="statistics")
        axes.ticklabel_format(axis="x", style="plain", useOffset=False)
        axes.locator_params(axis="x", nbins=5)
        axes.tick_params(axis="y", which="minor", left=False, right=False)
    if labels:
        panels[0].set_yticks(range(len(steps)), steps)
        panels[0].set_ylim(len(steps) - 0.5, -0.5)
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, [f"measured against {name}" for name in names], loc="outside lower center", ncols=2
        )
    mark_archive(figure, archive_kind)
    return figure


def _show_steps(axes, values, place, name, style):
    """Points of one label and one kind of templates."""
    color, marker, beside = style
    known = np.isfinite(values["bias"])
    if not known.any():
        return
    bias, error, scatter = (np.nan_to_num(values[key][known]) for key in ("bias", "bias_err", "scatter"))
    place = place[known] + beside
    axes.hlines(place, bias - scatter, bias + scatter, color=color, alpha=0.3, linewidth=2.5, zorder=2)
    axes.errorbar(
        bias,
        place,
        xerr=error,
        linestyle="none",
        marker=marker,
        markersize=3.5,
        color=color,
        label=name,
        zorder=3,
    )


def from_files(files, settings):
    """Draw the figure of the line width of a run from its `table`."""
    return draw(Table.read(files["table"], format="ascii.csv"), settings["source"])
