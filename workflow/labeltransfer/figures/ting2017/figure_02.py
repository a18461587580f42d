"""Figure 2: labels from LAMOST spectra against those of APOGEE, for training and for test stars."""

from typing import NamedTuple

import numpy as np
from matplotlib.lines import Line2D

from labeltransfer.figures.inputs import float_column
from labeltransfer.figures.panels import (
    cells_per_side,
    count_cells,
    format_number,
    log_norm,
    print_in_corner,
    say_no_stars,
    show_density,
)
from labeltransfer.figures.style import (
    CANNON,
    DENSITY,
    PAGE_WIDTH,
    label_style,
    mark_archive,
    new_figure,
    robust_range,
    use_style,
)
from labeltransfer.figures.ting2017.common import LABELS
from labeltransfer.files.tables import read_table
from labeltransfer.validation.statistics import bias_and_scatter


class _Stars(NamedTuple):
    """Which stars the model has seen, and whether the others are too many for a dot each."""

    trained: np.ndarray
    dense: bool

    @property
    def n_test(self):
        return np.count_nonzero(~self.trained)


@use_style()
def draw(
    comparison, archive_kind, *, labels=LABELS, reference="APOGEE", kind="std", limits=None, max_dots=1000
):
    """Draw figure 2.

    Parameters
    ----------
    comparison : astropy.table.Table
        One row per star: `trained` (bool: the model saw it) and, for each label, `<label>_apogee` and
        `<label>_here`. The caller chooses the test stars (in the paper 30 < S/N < 200).
    archive_kind : {'mock', 'public', 'local', 'registry'}
    labels : sequence of str
        Panels in this order, four in a row.
    reference : str
        What the reference labels are called on the axes.
    kind : {"std", "robust", "clipped"}
        The scatter that is printed; see `labeltransfer.validation.statistics.bias_and_scatter`.
    limits : dict, optional
        Range of a label in place of the one found.
    max_dots : int
        More test stars than this are shown as counts per cell.

    Returns
    -------
    matplotlib.figure.Figure
        Training stars red, test stars black; the printed scatter and bias (here minus reference) are those
        of the test stars, also of those outside the frame.

    Raises
    ------
    ValueError
        If the table lacks a column, `trained` is not true or false everywhere, or for an unknown archive
        kind.
    """
    stars = _stars_of(comparison, max_dots)
    n_row = -(-len(labels) // 4)
    figure = new_figure(PAGE_WIDTH, 0.75 + 1.72 * n_row)
    panels = figure.subplots(n_row, min(4, len(labels)), squeeze=False).ravel()
    for axes, label in zip(panels, labels, strict=False):
        apogee, here = (
            float_column(comparison, f"{label}_{method}", "figure 2", "comparison")
            for method in ("apogee", "here")
        )
        known = np.isfinite(apogee) & np.isfinite(here)
        pooled = np.concatenate([apogee[known], here[known]])
        ends = (limits or {}).get(label) or robust_range(pooled, (0.3, 99.7), pad=0.12)
        symbol, unit = label_style(label)
        _show_stars(axes, apogee, here, known, stars, ends)
        print_in_corner(axes, f"{symbol} ({unit})", (0.05, 0.95), fontsize=9)
        test = known & ~stars.trained
        if not known.any():
            say_no_stars(axes)
        elif test.any():
            _print_statistics(axes, apogee[test], here[test], ends, unit, kind, stars.n_test)
    for axes in panels[len(labels) :]:
        axes.set_axis_off()
    figure.supxlabel(f"label from {reference}", fontsize=10)
    figure.supylabel("label from the LAMOST spectrum", fontsize=10)
    _show_legend(figure, stars)
    mark_archive(figure, archive_kind)
    return figure


def _stars_of(comparison, max_dots):
    trained = float_column(comparison, "trained", "figure 2", "comparison")
    if not np.isin(trained, (0.0, 1.0)).all():
        bad = np.count_nonzero(~np.isin(trained, (0.0, 1.0)))
        raise ValueError(
            f"figure 2 needs column 'trained' true or false in every row; {bad} rows are neither"
        )
    trained = trained == 1.0
    return _Stars(trained, np.count_nonzero(~trained) > max_dots)


def _show_stars(axes, apogee, here, known, stars, ends):
    """Test stars, training stars over them, and the line of equality."""
    test, trained = known & ~stars.trained, known & stars.trained
    if stars.dense:
        counts = count_cells(apogee[test], here[test], ends, ends, cells_per_side(stars.n_test, 50))
        show_density(axes, counts, ends, ends, DENSITY, log_norm(counts))
    else:
        _show_dots(axes, apogee[test], here[test], "black", 2.0)
    _show_dots(axes, apogee[trained], here[trained], CANNON, 3.0)
    axes.plot(ends, ends, color="white", linewidth=1.6, zorder=3.5)
    axes.plot(ends, ends, color="0.45", linewidth=0.8, zorder=3.6)
    axes.set(xlim=ends, ylim=ends, box_aspect=1)
    axes.locator_params(nbins=4, min_n_ticks=3)


def _show_dots(axes, x, y, color, size):
    """Stars as one rasterised collection, smaller dots for more of them."""
    axes.scatter(
        x,
        y,
        s=float(np.clip(size * 500.0 / max(x.size, 1), 0.4 * size, 3.0 * size)),
        color=color,
        linewidths=0,
        rasterized=True,
        zorder=3,
    )


def _print_statistics(axes, apogee, here, ends, unit, kind, n_test):
    """Scatter and bias of the test stars that have the label, also of those outside the frame."""
    n_star = apogee.size
    bias, scatter = bias_and_scatter(here - apogee, kind)
    outside = n_star - int(count_cells(apogee, here, ends, ends, 1).sum())
    lines = [
        rf"$1\sigma$ = {format_number(scatter if n_star > 1 else np.nan, unit)}",
        f"bias {format_number(bias)}",
    ]
    # Said only where it is news: the legend has the number of test stars.
    if n_star != n_test:
        lines.append(f"{n_star:,} stars")
    if outside:
        lines.append(f"{outside:,} outside")
    print_in_corner(axes, "\n".join(lines), (0.96, 0.04), gid="statistics")


def _show_legend(figure, stars):
    black = {"marker": "s" if stars.dense else "o", "markersize": 4 if stars.dense else 2.5, "color": "black"}
    handles = [
        Line2D([], [], linestyle="none", marker="o", markersize=2.5, color=CANNON),
        Line2D([], [], linestyle="none", **black),
    ]
    words = [
        f"{np.count_nonzero(stars.trained):,} training stars",
        f"{stars.n_test:,} test stars" + (", counts per cell" if stars.dense else ""),
    ]
    figure.legend(handles, words, loc="outside upper right", ncols=2)


def from_files(files, settings):
    """Draw figure 2 of a run from its `comparison`, stars where the network converged."""
    comparison = read_table(files["comparison"])
    shown = comparison[
        (comparison["trained"] | comparison["test"]) & np.asarray(comparison["converged_prior"])
    ]
    labels = list(settings["study"]["labels"])
    for name in labels:
        shown[f"{name}_here"] = shown[f"{name}_prior"]
    return draw(shown, settings["source"], labels=labels)
