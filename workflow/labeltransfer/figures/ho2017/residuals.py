"""The grid of figures 1 and 6: labels of one method minus the reference labels, by label and S/N."""

import numpy as np

from labeltransfer.figures.ho2017.common import LABEL_RANGES, PIPELINE_LABELS
from labeltransfer.figures.inputs import float_column
from labeltransfer.figures.panels import (
    ONE_LINE,
    cells_per_side,
    choose_half_range,
    choose_range,
    count_cells,
    log_norm,
    print_in_corner,
    print_statistics,
    show_density,
)
from labeltransfer.figures.style import (
    DENSITY,
    MINUS,
    PAGE_WIDTH,
    axis_title,
    label_style,
    mark_archive,
    new_figure,
    robust_range,
)

#: Half ranges of the residuals in the published figures.
RESIDUAL_RANGES = {"teff": 300.0, "logg": 0.7, "fe_h": 0.5, "alpha_m": 0.2, "a_k": 0.2}

#: Rows of the grid: name, lower and upper limit of the LAMOST S/N.
SNR_ROWS = (("S/N > 100", 100.0, np.inf), ("50 < S/N < 100", 50.0, 100.0), ("S/N < 50", -np.inf, 50.0))

#: Figure and title of each method.
METHODS = {"lamost": ("figure 1", "LAMOST"), "cannon": ("figure 6", "Cannon")}


def residual_grid(
    comparison, method, archive_kind, *, labels=PIPELINE_LABELS, reference="APOGEE", limits=None, bins=None
):
    """Residuals against the reference labels: a column per label, a row per range of S/N.

    Parameters
    ----------
    comparison : astropy.table.Table
        One row per reference star: `snr` (median of flux / error over the pixels) and, for each label,
        `<label>_apogee` and `<label>_<method>`.
    method : {'lamost', 'cannon'}
    archive_kind : {'mock', 'public', 'local', 'registry'}
    labels : sequence of str
        Columns of the figure.
    reference : str
        What the reference labels are called on the axes.
    limits : dict, optional
        For a label, `((low, high), half)`: its range and the half range of its residuals.
    bins : int, optional
        Cells along each side of a panel; default 45, fewer for small samples.

    Returns
    -------
    matplotlib.figure.Figure
        Rows are LAMOST S/N above 100, 50 to 100 and below 50. The printed scatter (standard deviation) and
        bias (mean) are those of all stars of a panel, also of those outside its frame.

    Raises
    ------
    ValueError
        If the table lacks a column, or for an unknown archive kind.
    """
    figure_name, title = METHODS[method]
    snr = float_column(comparison, "snr", figure_name, "comparison")
    bins = bins or cells_per_side(snr.size / len(SNR_ROWS), 45)
    figure = new_figure(PAGE_WIDTH, 0.98 * PAGE_WIDTH)
    panels = figure.subplots(len(SNR_ROWS), len(labels), sharex="col", sharey="col", squeeze=False)
    figure.get_layout_engine().set(hspace=0.0, h_pad=0.01)
    for column, label in zip(panels.T, labels, strict=True):
        apogee = float_column(comparison, f"{label}_apogee", figure_name, "comparison")
        residual = float_column(comparison, f"{label}_{method}", figure_name, "comparison") - apogee
        frame = (limits or {}).get(label) or _frame(label, apogee, residual)
        _show_column(column, snr, apogee, residual, label_style(label).unit, frame, bins)
        symbol, unit = label_style(label)
        column[0].set_title(f"{title} {MINUS} {reference}: $\\Delta${symbol} ({unit})")
        column[-1].set_xlabel(axis_title(label, after=f"from {reference}"))
        column[0].locator_params(axis="both", nbins=5)
    mark_archive(figure, archive_kind)
    return figure


def _frame(label, apogee, residual):
    """Range of a label and half range of its residuals."""
    return (
        choose_range(apogee, LABEL_RANGES.get(label, robust_range(apogee))),
        choose_half_range(residual, RESIDUAL_RANGES.get(label, 0.0)),
    )


def _show_column(column, snr, apogee, residual, unit, frame, bins):
    """The panels of one label, one density scale for all of them."""
    x_range, half = frame
    y_range = (-half, half)
    rows = [(snr > low) & (snr <= high) & np.isfinite(apogee + residual) for _, low, high in SNR_ROWS]
    counts = [count_cells(apogee[row], residual[row], x_range, y_range, bins) for row in rows]
    norm = log_norm(*counts)
    for axes, (name, _, _), row, count in zip(column, SNR_ROWS, rows, counts, strict=True):
        show_density(axes, count, x_range, y_range, DENSITY, norm)
        axes.axhline(0.0, color="black", linewidth=0.8, zorder=3)
        print_in_corner(axes, name, (0.04, 0.955), **ONE_LINE)
        outside = np.count_nonzero(row) - int(count.sum())
        print_statistics(axes, residual[row], unit, outside)
