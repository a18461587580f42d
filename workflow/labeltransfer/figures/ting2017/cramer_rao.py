"""How precise labels could be, and how precise they are: Cramer-Rao bounds and measured scatter."""

import numpy as np
from astropy.table import Table
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FixedLocator

from labeltransfer.figures.inputs import float_column, text_column
from labeltransfer.figures.panels import format_number, say_no_stars
from labeltransfer.figures.style import (
    CANNON,
    PAGE_WIDTH,
    PIPELINE,
    mark_archive,
    new_figure,
    short_symbol,
    use_style,
)
from labeltransfer.figures.ting2017.common import grids_of, known_median, label_axis

#: Numbers of the paper that are drawn beside ours.
PUBLISHED_SNR = 30.0
PUBLISHED_BOUND = 0.05  # typical bound at that S/N [dex]
PUBLISHED_RATIO = 2.0  # measured scatter over that bound

TEFF_UNIT = 1000.0  # [K], so that one scale serves all labels

FIGURE_NAME = "the Cramer-Rao figure"
BOUNDS = ("bound_theory", "bound_model")

#: Upper panel: name in the legend, how it is drawn, and where its sign for infinity stands.
NUMBERS = {
    "bound_theory": (
        "bound, gradients of theory",
        {"marker": "_", "color": "black", "markersize": 11},
        -0.18,
    ),
    "bound_model": (
        "bound, gradients of the model",
        {"marker": "_", "color": PIPELINE, "markersize": 11},
        0.18,
    ),
    "measured": ("measured scatter", {"marker": "o", "color": CANNON, "markersize": 5}, 0.18),
}

# Light means few photons; ends before colours too pale for a thin marker.
SNR_COLORS = LinearSegmentedColormap.from_list("snr", ["#7fb8d8", "#0072b2", "#062a4d"])


@use_style()
def draw(bounds, archive_kind, *, snr=None):
    """Draw the Cramer-Rao figure.

    Parameters
    ----------
    bounds : astropy.table.Table
        One row per label and S/N: `label`, `snr` (per pixel), `bound_theory` and `bound_model` (Cramer-Rao
        bounds from ab initio gradients and from those of the model; infinite where the spectrum does not
        constrain the label) and `measured` (scatter against the reference labels of stars of about that
        S/N). Units of the labels: K for `teff`, dex. NaN where there is none.
    archive_kind : {'mock', 'public', 'local', 'registry'}
    snr : float, optional
        S/N of the upper panel; by default that of the table nearest to the paper's 30.

    Returns
    -------
    matplotlib.figure.Figure
        Above, the three numbers of every label at one S/N, those of Teff in 1000 K so that one scale serves
        all; below, measured scatter over bound at every S/N, with the median over the labels.

    Raises
    ------
    ValueError
        If the table lacks a column, has not that S/N, a label occurs twice for one S/N, or for an unknown
        archive kind.
    """
    label = text_column(bounds, "label", FIGURE_NAME, "bounds")
    columns = {name: float_column(bounds, name, FIGURE_NAME, "bounds") for name in ("snr", *NUMBERS)}
    if not np.isfinite(columns["snr"]).all():
        raise ValueError(f"{FIGURE_NAME} needs a finite snr in every row")
    names, all_snr, grids = grids_of(FIGURE_NAME, label, "S/N", columns.pop("snr"), columns)
    snr = _choose_snr(all_snr, snr)

    figure = new_figure(PAGE_WIDTH, 5.2)
    upper, lower = figure.subplots(2, 1, sharex=True)
    figure.get_layout_engine().set(hspace=0.0, h_pad=0.02)
    for axes in (upper, lower):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        label_axis(axes, names, [_with_unit(name) for name in names])
    scale = np.array([1.0 / TEFF_UNIT if name == "teff" else 1.0 for name in names])
    at_snr = all_snr == snr
    _show_numbers(upper, {name: grid[:, at_snr].ravel() * scale for name, grid in grids.items()})
    upper.set_ylabel(f"standard deviation (dex), S/N = {snr:g}")
    _show_ratios(lower, all_snr, {name: _ratio(grids["measured"], grids[name]) for name in BOUNDS})
    lower.set_ylabel("measured / bound")
    mark_archive(figure, archive_kind)
    return figure


def _choose_snr(all_snr, snr):
    """The S/N that was asked for, which must be there, or the one nearest to the paper's."""
    if snr is None:
        return all_snr[np.argmin(np.abs(all_snr - PUBLISHED_SNR))] if all_snr.size else PUBLISHED_SNR
    if snr not in all_snr:
        raise ValueError(
            f"{FIGURE_NAME} needs S/N {snr:g} in the table, which has: "
            f"{', '.join(f'{value:g}' for value in all_snr)}"
        )
    return snr


def _with_unit(label):
    """Symbol of a label below the axis; the scale of Teff is not that of the others."""
    return short_symbol(label) + (f"\n({TEFF_UNIT:.0f} K)" if label == "teff" else "")


def _show_numbers(axes, numbers):
    """Bounds and scatter of every label at one S/N; a bound that is infinite has its sign at the top."""
    drawable = np.concatenate([*numbers.values(), []])
    drawable = drawable[np.isfinite(drawable) & (drawable > 0)]
    if drawable.size == 0:
        say_no_stars(axes, "no bounds")
        return
    for name, (title, options, shift) in NUMBERS.items():
        y = numbers[name]
        shown = np.where(np.isfinite(y), y, np.nan)
        axes.plot(np.arange(y.size), shown, linestyle="none", mew=2, label=title, **options)
        for i in np.flatnonzero(np.isposinf(y)):
            axes.text(
                i + shift,
                0.86,
                r"$\infty$",
                transform=axes.get_xaxis_transform(),
                ha="center",
                color=options["color"],
                fontsize=11,
            )
    words = f"{PUBLISHED_BOUND:g} dex"
    axes.axhline(PUBLISHED_BOUND, color="0.5", linestyle=":", linewidth=0.9, zorder=1, label=words)
    axes.set_ylim(0.6 * min(drawable.min(), PUBLISHED_BOUND), 4.0 * max(drawable.max(), PUBLISHED_BOUND))
    axes.legend(loc="upper left", ncols=4, columnspacing=1.2)


def _ratio(measured, bound):
    """Measured over bound; NaN where the bound is infinite, zero or unknown."""
    good = np.isfinite(bound) & (bound > 0)
    return np.where(good, measured / np.where(good, bound, 1.0), np.nan)


def _show_ratios(axes, all_snr, ratios):
    """Measured over bound at every S/N: full against theory's bound, open against the model's."""
    known = np.concatenate([ratio[np.isfinite(ratio) & (ratio > 0)] for ratio in ratios.values()])
    if known.size == 0:
        say_no_stars(axes, "no ratios")
        return
    handles, words = [], []
    for i, value in enumerate(all_snr):
        color = SNR_COLORS(i / max(all_snr.size - 1, 1))
        shift = 0.0 if all_snr.size == 1 else 0.5 * (i / (all_snr.size - 1) - 0.5)
        for name, ratio in ratios.items():
            (points,) = axes.plot(
                np.arange(len(ratio)) + shift,
                ratio[:, i],
                marker="o",
                linestyle="none",
                color=color,
                markerfacecolor=color if name == "bound_theory" else "white",
                markersize=4,
                zorder=3,
                gid=f"{name} {value:g}",
            )
            if name == "bound_theory":
                handles.append(points)
        medians = [format_number(known_median(ratio[:, i])) for ratio in ratios.values()]
        words.append(f"S/N {value:g}: {', '.join(medians)}")
    axes.legend(
        handles,
        words,
        title="medians over the labels: bound of theory (full), bound of the model (open)",
        title_fontsize=8,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=max(1, min(4, len(words))),
        handletextpad=0.2,
    )
    axes.axhline(1.0, color="0.4", linewidth=0.7, zorder=1)
    axes.axhline(PUBLISHED_RATIO, color="0.5", linestyle=":", linewidth=0.9, zorder=1)
    axes.set_ylim(0.7 * min(known.min(), 1.0), 1.3 * max(known.max(), PUBLISHED_RATIO))
    ticks = [tick * 10.0**power for power in range(-2, 5) for tick in (1, 2, 5)]
    axes.yaxis.set_major_locator(FixedLocator(ticks))


def from_files(files, settings):
    """Draw the Cramer-Rao figure of a run from its `table`."""
    return draw(Table.read(files["table"], format="ascii.csv"), settings["source"])
