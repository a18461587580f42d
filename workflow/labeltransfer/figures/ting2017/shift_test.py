"""Measured or inferred: how much of a shift of one abundance each method finds."""

import numpy as np
from astropy.table import Table
from matplotlib.lines import Line2D

from labeltransfer.figures.inputs import float_column, text_column
from labeltransfer.figures.panels import format_number, say_no_stars
from labeltransfer.figures.style import MINUS, PAGE_WIDTH, mark_archive, new_figure, use_style
from labeltransfer.figures.ting2017.common import known_median, label_axis, method_styles

FIGURE_NAME = "the shift figure"
ARROW_UP, ARROW_DOWN = 6, 7  # markers of matplotlib, with their tips at the point


@use_style()
def draw(shifts, archive_kind, *, y_range=(-0.6, 1.6)):
    """Draw the shift figure.

    Parameters
    ----------
    shifts : astropy.table.Table
        One row per label, method and shift: `label` (whose abundance alone was shifted), `method`, `shift`
        [dex], `recovered_fraction` (change of the label over the shift: 1 if it is measured, 0 if it is
        inferred from other labels) and `error` (its standard error, NaN if unknown). Perhaps `pixels`: how many the
        method uses, which is told of those on a sample of them.
    archive_kind : {'mock', 'public', 'local', 'registry'}
    y_range : (float, float)
        Ends of the ordinate; points beyond it are drawn as arrows at its edge.

    Returns
    -------
    matplotlib.figure.Figure
        Methods side by side for every label; upward shifts full, downward shifts open. The median over labels
        and shifts of each method is printed.

    Raises
    ------
    ValueError
        If the table lacks a column, or for an unknown archive kind.
    """
    label, method = (text_column(shifts, name, FIGURE_NAME, "shifts") for name in ("label", "method"))
    shift, fraction, error = (
        float_column(shifts, name, FIGURE_NAME, "shifts") for name in ("shift", "recovered_fraction", "error")
    )
    error = np.where(np.isfinite(error), error, 0.0)
    pixels = np.zeros(len(shifts))
    if "pixels" in shifts.colnames:
        pixels = float_column(shifts, "pixels", FIGURE_NAME, "shifts")
    names, styles, all_shifts = list(dict.fromkeys(label)), method_styles(method), np.unique(shift)
    column = np.array([names.index(name) for name in label], dtype=float)

    figure = new_figure(PAGE_WIDTH, 3.3)
    axes = figure.subplots()
    label_axis(axes, names)
    axes.axhline(1.0, color="0.3", linewidth=0.8, zorder=1)
    axes.axhline(0.0, color="0.3", linewidth=0.8, linestyle="--", zorder=1)
    n_place = max(1, len(styles) * all_shifts.size)
    handles, words = [], []
    for i, (name, style) in enumerate(styles.items()):
        for j, value in enumerate(all_shifts):
            rows = np.flatnonzero((method == name) & (shift == value) & np.isfinite(fraction))
            place = (i * all_shifts.size + j + 0.5) / n_place - 0.5
            face = style.color if value > 0 else "white"
            options = {"color": style.color, "markerfacecolor": face, "gid": f"{name} {value:g}"}
            x = column[rows] + 0.8 * place
            _show_fractions(axes, x, fraction[rows], error[rows], y_range, style.marker, options)
        found = fraction[(method == name) & np.isfinite(fraction)]
        handles.append(Line2D([], [], linestyle="none", marker=style.marker, color=style.color))
        few = pixels[method == name].max(initial=0) < 0.5 * pixels.max(initial=0)
        some = f" ({pixels[method == name].max():.0f} pixels)" if few else ""
        words.append(f"{style.name}{some}: median {format_number(known_median(found))}")
    axes.set(ylim=y_range, ylabel="recovered fraction of the shift")
    if np.isfinite(fraction).any():
        axes.set_title(_title(all_shifts), fontsize=8.5)
        _show_legend(figure, handles, words)
        _name_lines(axes)
    else:
        say_no_stars(axes)
    mark_archive(figure, archive_kind)
    return figure


def _show_fractions(axes, x, y, error, y_range, marker, options):
    """Points of one method and shift; arrows at the edge for those beyond it."""
    low, high = y_range
    options = {"linestyle": "none", "zorder": 3, "markersize": 4, **options}
    shown = (y >= low) & (y <= high)
    axes.errorbar(x[shown], y[shown], error[shown], marker=marker, elinewidth=0.8, **options)
    for beyond, edge, arrow in ((y > high, high, ARROW_UP), (y < low, low, ARROW_DOWN)):
        if beyond.any():  # an unclipped line without points would move the layout
            axes.plot(x[beyond], np.full(beyond.sum(), edge), marker=arrow, clip_on=False, **options)


def _title(all_shifts):
    amounts = ", ".join(f"{value:+g}" for value in all_shifts).replace("-", MINUS)
    both = " (up full, down open)" if all_shifts[0] < 0 < all_shifts[-1] else ""
    return f"one abundance shifted by {amounts} dex{both}"


def _show_legend(figure, handles, words):
    figure.legend(
        handles,
        words,
        loc="outside lower center",
        ncols=max(1, min(4, len(words))),
        handletextpad=0.1,
        columnspacing=1.2,
    )


def _name_lines(axes):
    """What the two horizontal lines mean, beside the panel."""
    for height, word in ((1.0, "measured"), (0.0, "inferred")):
        axes.annotate(
            word,
            (1.0, height),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            rotation=90,
        )


def from_files(files, settings):
    """Draw the shift figure of a run from its `table`."""
    return draw(Table.read(files["table"], format="ascii.csv"), settings["source"])
