"""What each choice of preparation and training does to labels."""

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

FIGURE_NAME = "the figure of the choices"
# Column of the table -> its title and where it would best be.
PANELS = {
    "scatter_ratio": ("scatter over that of\nthe papers' choices", None),
    "phase_slope": ("change over half a\npixel of velocity", 0.0),
    "snr_bias": ("S/N < 50\nminus S/N > 100", 0.0),
    "swap": ("swap of noise", 0.0),
}
_FEW_LABELS = 6  # with more of them rows are lower


@use_style()
def draw(table, archive_kind):
    """Draw the figure of the choices.

    Parameters
    ----------
    table : astropy.table.Table
        From `labeltransfer.validation.choices.choices_table`.
    archive_kind : {'mock', 'public', 'local', 'registry'}

    Returns
    -------
    matplotlib.figure.Figure
        A row of panels per label; in each of them a point with its error for every choice, from top to bottom. The
        scatter of the first and last choice is printed.

    Raises
    ------
    ValueError
        If the table lacks a column, or for an unknown archive kind.
    """
    choice, label = (text_column(table, name, FIGURE_NAME, "choices") for name in ("choice", "label"))
    scatter = float_column(table, "scatter", FIGURE_NAME, "choices")
    values = {
        name: tuple(float_column(table, column, FIGURE_NAME, "choices") for column in (name, f"{name}_err"))
        for name in PANELS
    }
    names, labels = list(dict.fromkeys(choice)), list(dict.fromkeys(label))
    height = 0.35 + (0.16 if len(labels) <= _FEW_LABELS else 0.11) * max(4, len(names))
    figure = new_figure(PAGE_WIDTH, 0.9 + max(1, len(labels)) * height)
    grid = figure.subplots(max(1, len(labels)), len(PANELS), sharey=True, squeeze=False)
    if not labels:
        for axes in grid.flat:
            say_no_stars(axes)
    for row, name in zip(grid, labels, strict=False):
        here = label == name
        place = np.array([names.index(one) for one in choice[here]], dtype=float)
        for axes, (key, (_, best)) in zip(row, PANELS.items(), strict=True):
            value, error = (column[here] for column in values[key])
            axes.axvline(1.0 if best is None else best, color="0.6", linewidth=0.8, zorder=1)
            _show_points(axes, value, error, place, len(names))
            axes.ticklabel_format(axis="x", style="plain", useOffset=False)
            axes.locator_params(axis="x", nbins=4)
            axes.tick_params(axis="x", labelsize=7)
            axes.tick_params(axis="y", which="minor", left=False, right=False)
            if best is not None:
                axes.set_title(label_style(name).unit, fontsize=7, loc="right")
        row[0].set_yticks(range(len(names)), names, fontsize=7)
        row[0].set_ylim(len(names) - 0.4, -0.6)
        row[0].set_ylabel(label_style(name).symbol)
        ends = (scatter[here & (choice == end)] for end in (names[0], names[-1]))
        unit = label_style(name).unit
        printed = " \N{RIGHTWARDS ARROW} ".join(format_number(end[0]) for end in ends)
        row[0].set_title(f"scatter {printed} {unit}", fontsize=7, loc="left", gid="statistics")
    for axes, (title, _) in zip(grid[-1], PANELS.values(), strict=True):
        axes.set_xlabel(title, fontsize=8)
    mark_archive(figure, archive_kind)
    return figure


def _show_points(axes, value, error, place, n_choice):
    """Points of one label; the first choice and the last in colours of their own."""
    known = np.isfinite(value)
    if not known.any():
        say_no_stars(axes)
        return
    error = np.where(np.isfinite(error), error, 0.0)
    for number in range(n_choice):
        rows = known & (place == number)
        color = PIPELINE if number == 0 else CANNON if number == n_choice - 1 else "0.2"
        axes.errorbar(
            value[rows],
            place[rows],
            xerr=error[rows],
            linestyle="none",
            marker="o",
            markersize=3.5,
            color=color,
        )


def from_files(files, settings):
    """Draw the figure of the choices of a run from its `table`."""
    return draw(Table.read(files["table"], format="ascii.csv"), settings["source"])
