"""What the prior costs and what it buys: scatter and gradient correlation against D_scale."""

import numpy as np
from astropy.table import Table
from matplotlib.ticker import FixedLocator, NullLocator

from labeltransfer.figures.inputs import float_column, text_column
from labeltransfer.figures.panels import format_number, print_in_corner, say_no_stars, spread_positions
from labeltransfer.figures.style import (
    CANNON,
    COLUMN_WIDTH,
    mark_archive,
    new_figure,
    robust_range,
    short_symbol,
    use_style,
)
from labeltransfer.figures.ting2017.common import grids_of

PUBLISHED_D_SCALE = 10.0
PUBLISHED_RATIO = 1.5  # by which the scatter of the paper grows there

FIGURE_NAME = "the D_scale figure"


@use_style()
def draw(scan, archive_kind, *, chosen=10.0):
    """Draw the D_scale figure.

    Parameters
    ----------
    scan : astropy.table.Table
        One row per D_scale and label: `d_scale`, `label`, `scatter_ratio` (cross-validated scatter over that
        for D_scale = 0) and `correlation` (of model and theory gradients). NaN where there is none.
    archive_kind : {'mock', 'public', 'local', 'registry'}
    chosen : float
        The D_scale of the final model; the medians at it are printed.

    Returns
    -------
    matplotlib.figure.Figure
        A thin line per label and a thick one for the median over the labels, in both panels; the paper's
        number in the upper one.

    Raises
    ------
    ValueError
        If the table lacks a column, a D_scale is negative or not finite, the scan has rows but not the chosen
        D_scale, a label occurs twice for one D_scale, or for an unknown archive kind.
    """
    names, places, grids = _grids_of_scan(scan, chosen)
    ratio, correlation = grids["scatter_ratio"], grids["correlation"]
    figure = new_figure(COLUMN_WIDTH, 5.2)
    upper, lower = figure.subplots(2, 1, sharex=True)
    figure.get_layout_engine().set(hspace=0.0, h_pad=0.02)
    at_chosen = np.searchsorted(places, chosen)
    if np.isfinite(ratio).any():
        median = _show_lines(upper, places, ratio)
        _frame_ratios(upper, ratio)
        _mark_chosen(upper, median[at_chosen], chosen, (0.03, 0.96))
    else:
        say_no_stars(upper, "no scan")
    if np.isfinite(correlation).any():
        median = _show_lines(lower, places, correlation)
        lower.set_ylim(robust_range(correlation, (0, 100), pad=0.1))
        lowest = _lowest(names, correlation[:, at_chosen])
        _mark_chosen(lower, median[at_chosen], chosen, (0.97, 0.04), lowest)
    else:
        say_no_stars(lower, "no scan")
    upper.set_ylabel(r"scatter / scatter for $D_{\rm scale}=0$")
    lower.set_ylabel("correlation with theory")
    _set_d_scale_axis(lower, places)
    # Correlations all end at 1: only the scatter tells the labels apart.
    ends = [_last_value(places, line) for line in ratio]
    _names_beside(upper, [short_symbol(name) for name in names], ends)
    lower.set_xlabel(r"strength of the prior, $D_{\rm scale}$")
    mark_archive(figure, archive_kind)
    return figure


def _grids_of_scan(scan, chosen):
    """Labels, values of D_scale, and both quantities as grids of them."""
    d_scale = float_column(scan, "d_scale", FIGURE_NAME, "scan")
    label = text_column(scan, "label", FIGURE_NAME, "scan")
    quantities = {
        name: float_column(scan, name, FIGURE_NAME, "scan") for name in ("scatter_ratio", "correlation")
    }
    if not (np.isfinite(d_scale) & (d_scale >= 0)).all():
        raise ValueError(f"{FIGURE_NAME} needs every d_scale finite and not negative")
    names, places, grids = grids_of(FIGURE_NAME, label, "D_scale", d_scale, quantities)
    if places.size and chosen not in places:
        raise ValueError(
            f"{FIGURE_NAME} needs the chosen D_scale {chosen:g} in the scan, which has: "
            f"{', '.join(f'{place:g}' for place in places)}"
        )
    return names, places, grids


def _show_lines(axes, places, grid):
    """A line per label and their median, which is returned."""
    for line in grid:
        axes.plot(places, line, color="0.6", linewidth=0.6, zorder=2)
    filled = np.isfinite(grid).any(axis=0)
    median = np.full(places.size, np.nan)
    median[filled] = np.nanmedian(grid[:, filled], axis=0)
    axes.plot(places, median, color=CANNON, linewidth=1.8, marker="o", label="median of the labels", zorder=4)
    return median


def _frame_ratios(axes, ratio):
    """Scale and legend of the upper panel, with the paper's number."""
    axes.axhline(1.0, color="0.4", linewidth=0.6, zorder=1)
    axes.set_yscale("log")
    ticks = [tick * 10.0**power for power in range(-2, 4) for tick in (1, 1.2, 1.5, 2, 3, 5, 7)]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.plot(
        PUBLISHED_D_SCALE,
        PUBLISHED_RATIO,
        marker="*",
        markersize=11,
        markerfacecolor="white",
        markeredgecolor="black",
        linestyle="none",
        label="Ting et al. 2017",
        zorder=3.5,
    )
    shown = np.append(ratio[np.isfinite(ratio)], PUBLISHED_RATIO)
    axes.set_ylim(0.93 * shown.min(), 1.35 * shown.max())
    axes.legend(loc="upper left", bbox_to_anchor=(0.0, 0.9))


def _mark_chosen(axes, median, chosen, place, more=""):
    """The D_scale of the final model, and the median there."""
    axes.axvline(chosen, color="black", linestyle=":", linewidth=0.8, zorder=1)
    words = rf"median {format_number(median)} at $D_{{\rm scale}}$ = {chosen:g}"
    print_in_corner(axes, words + more, place, gid="statistics")


def _lowest(names, values):
    """The label with the lowest value, in words."""
    if not np.isfinite(values).any():
        return ""
    lowest = int(np.nanargmin(values))
    return f"\nlowest: {short_symbol(names[lowest])}, {format_number(values[lowest])}"


def _set_d_scale_axis(axes, places):
    """A logarithmic axis with a place for zero."""
    positive = places[places > 0]
    if positive.size == 0:
        return
    first, last = positive[0], positive[-1]
    axes.set_xscale("symlog", linthresh=first, linscale=0.6)
    powers = 10.0 ** np.arange(np.ceil(np.log10(first) - 1e-9), np.floor(np.log10(last) + 1e-9) + 1)
    axes.set_xticks([0.0, *powers], [f"{tick:g}" for tick in (0.0, *powers)])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(-0.1 * first if places[0] == 0 else 0.8 * first, 1.2 * last)


def _last_value(x, y):
    """The y that is known at the largest x; NaN if none is."""
    known = np.isfinite(y)
    return y[known][np.argmax(x[known])] if known.any() else np.nan


def _names_beside(axes, names, values, gap=0.058):
    """Names to the right of a panel at the ends of their lines, moved apart and joined to them."""
    values = np.asarray(values, dtype=float)
    known = np.flatnonzero(np.isfinite(values))
    if known.size == 0:
        return
    # Heights as fractions of the panel: what the eye sees, whatever the scale.
    points = axes.transData.transform(np.column_stack([np.ones(known.size), values[known]]))
    heights = axes.transAxes.inverted().transform(points)[:, 1]
    places = spread_positions(heights, gap)
    rank = np.argsort(np.argsort(places, kind="stable"))
    places = np.clip(places - gap * rank, 0.0, max(0.0, 1.0 - gap * (known.size - 1))) + gap * rank
    line = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.4, "shrinkA": 1, "shrinkB": 0}
    line["relpos"] = (0.0, 0.5)  # from the left end of the name, so that no line crosses it
    for row, height, place in zip(known, heights, places, strict=True):
        axes.annotate(
            names[row],
            xy=(1.0, height),
            xytext=(1.09, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            ha="left",
            va="center",
            fontsize=7.5,
            color="0.2",
            arrowprops=line,
            annotation_clip=False,
        )


def from_files(files, settings):
    """Draw the D_scale figure of a run from its `table`."""
    scan = Table.read(files["table"], format="ascii.csv")
    return draw(scan, settings["source"], chosen=settings["study"]["network"]["prior"]["d_scale"])
