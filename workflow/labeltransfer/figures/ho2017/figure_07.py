"""Figure 7: scatter against S/N, of The Cannon and of the LAMOST pipeline."""

import numpy as np

from labeltransfer.figures.ho2017.common import LABELS, PIPELINE_LABELS, reference_set, usable_labels
from labeltransfer.figures.inputs import float_column
from labeltransfer.figures.panels import say_no_stars
from labeltransfer.figures.style import (
    CANNON,
    PAGE_WIDTH,
    PIPELINE,
    label_style,
    mark_archive,
    new_figure,
    use_style,
)
from labeltransfer.validation.statistics import scatter_against_snr

#: Name, colour and marker of each method.
METHODS = {"cannon": ("The Cannon", CANNON, "o"), "lamost": ("LAMOST pipeline", PIPELINE, "s")}
EXPECTED = r"$\propto 1/{\rm SNR}$"
BOOTSTRAP = "bootstrap of models"
LEGEND = ("The Cannon", "LAMOST pipeline", EXPECTED, BOOTSTRAP)

BIN_HALF_WIDTH = 10.0  # in S/N


@use_style()
def draw(
    comparison,
    archive_kind,
    *,
    labels=LABELS[:4],
    pipeline_labels=PIPELINE_LABELS,
    snr_column="snr_g",
    snr_factor=3.0,
    centres=None,
    seed=0,
):
    """Draw figure 7.

    Parameters
    ----------
    comparison : astropy.table.Table
        One row per reference star: the S/N and, for each label, `<label>_apogee`, `<label>_cannon` and, where
        the pipeline measures it, `<label>_lamost`. `<label>_bootstrap`, the scatter of a star's labels over
        models of bootstrap samples of the reference set, is drawn where present.
    archive_kind : {'mock', 'public', 'local', 'registry'}
    labels, pipeline_labels : sequence of str
        Panels, and which of them the pipeline has measured.
    snr_column : str
        Column of the S/N.
    snr_factor : float
        The S/N is multiplied by this. The paper's 3 undoes the overestimated errors of LAMOST DR2.
    centres : sequence of float, optional
        Centres of the bins of S/N after that factor, 20 wide. Default: 10, 30 ... 110 as in the paper, and on
        to the 98th percentile of the stars where that is higher (at most to 290).
    seed : int
        Seed of the bootstrap errors of the points.

    Returns
    -------
    matplotlib.figure.Figure
        The curve proportional to 1/SNR passes through the Cannon's point of lowest S/N.

    Raises
    ------
    ValueError
        If the table lacks a column, or for an unknown archive kind.
    """
    snr = snr_factor * float_column(comparison, snr_column, "figure 7", "comparison")
    centres = _choose_centres(snr) if centres is None else np.asarray(centres, dtype=float)
    n_column = min(2, len(labels))
    n_row = -(-len(labels) // n_column)
    figure = new_figure(0.75 * PAGE_WIDTH, 0.5 + 2.0 * n_row)
    panels = figure.subplots(n_row, n_column, sharex=True, squeeze=False)
    handles = {}
    for axes, label in zip(panels.ravel(), labels, strict=False):
        methods = [method for method in METHODS if method == "cannon" or label in pipeline_labels]
        curves = _scatter_curves(comparison, label, methods, snr, centres, seed)
        handles = _show_label(axes, comparison, label, curves, snr, centres) | handles
    for axes in panels.ravel()[len(labels) :]:
        axes.set_axis_off()
    factor = "" if snr_factor == 1 else rf"${snr_factor:g}\,\times\,$"
    snr_title = r"SNR$_g$" if snr_column == "snr_g" else "S/N"
    for axes in panels[-1]:
        axes.set_xlabel(f"{factor}{snr_title}")
    if handles:
        order = [name for name in LEGEND if name in handles]
        panels[0, 0].legend([handles[name] for name in order], order, loc="upper right")
    mark_archive(figure, archive_kind)
    return figure


def _choose_centres(snr):
    """Centres of the bins: those of the paper, and more where there are stars of higher S/N."""
    high = np.percentile(snr[np.isfinite(snr)], 98) if np.isfinite(snr).any() else 0.0
    return np.arange(10.0, 20.0 * np.ceil(np.clip(high, 120.0, 300.0) / 20.0), 20.0)


def _scatter_curves(comparison, label, methods, snr, centres, seed):
    """Scatter of a label against S/N by method; without methods that have too few stars in every bin."""
    apogee = float_column(comparison, f"{label}_apogee", "figure 7", "comparison")
    curves = {}
    for method in methods:
        difference = float_column(comparison, f"{label}_{method}", "figure 7", "comparison") - apogee
        curve = scatter_against_snr(difference, snr, centres, half_width=BIN_HALF_WIDTH, seed=seed)
        if np.isfinite(curve.scatter).any():
            curves[method] = curve
    return curves


def _show_label(axes, comparison, label, curves, snr, centres):
    """The panel of one label; its lines and points by their names in the legend."""
    x_high = centres[-1] + BIN_HALF_WIDTH
    handles = {METHODS[method][0]: _show_points(axes, curve, method) for method, curve in curves.items()}
    if "cannon" in curves:
        handles[EXPECTED] = _show_expected(axes, curves["cannon"], x_high)
    highest = max((np.nanmax(curve.scatter + curve.error) for curve in curves.values()), default=0.0)
    if highest > 0.0 and f"{label}_bootstrap" in comparison.colnames:
        spread = float_column(comparison, f"{label}_bootstrap", "figure 7", "comparison")
        median = _median_in_bins(snr, spread, centres)
        (handles[BOOTSTRAP],) = axes.plot(
            centres, median, color=CANNON, linestyle=":", marker=".", markersize=3
        )
    if highest == 0.0:
        say_no_stars(axes, "too few stars")
    symbol, unit = label_style(label)
    axes.set(ylabel=rf"$\sigma$({symbol}) ({unit})", xlim=(0.0, x_high), ylim=(0.0, 1.12 * highest or 1.0))
    return handles


def _show_points(axes, curve, method):
    _, color, marker = METHODS[method]
    return axes.errorbar(
        curve.snr,
        curve.scatter,
        curve.error,
        color=color,
        marker=marker,
        linestyle="none",
        capsize=1.5,
        elinewidth=0.8,
        zorder=3,
    )


def _show_expected(axes, curve, x_high):
    """What scatter proportional to 1/SNR would be, through the first point of a curve."""
    first = np.flatnonzero(np.isfinite(curve.scatter))[0]
    x = np.linspace(curve.snr[first], x_high, 100)
    (line,) = axes.plot(
        x, curve.scatter[first] * curve.snr[first] / x, color="0.35", linestyle="--", zorder=1
    )
    return line


def _median_in_bins(x, values, centres, min_count=10):
    """Median of the values in bins of x; NaN where there are few."""
    inside = [(np.abs(x - centre) < BIN_HALF_WIDTH) & np.isfinite(values) for centre in centres]
    return [np.median(values[row]) if np.count_nonzero(row) >= min_count else np.nan for row in inside]


def from_files(files, settings):
    """Draw figure 7 of a run from its `comparison`."""
    labels = usable_labels(settings)
    # Other surveys' errors are not those of LAMOST DR2.
    factor = 3.0 if settings["study"]["paper"] == "ho2017" else 1.0
    return draw(
        reference_set(files),
        settings["source"],
        snr_factor=factor,
        labels=labels,
        pipeline_labels=[name for name in labels if name in settings["study"]["pipeline"]],
        seed=settings["seed"],
    )
