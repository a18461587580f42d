"""Figure 5: labels of The Cannon against those of APOGEE for the reference stars."""

from typing import NamedTuple

import numpy as np
from matplotlib.cm import ScalarMappable

from labeltransfer.figures.ho2017.common import LABEL_RANGES, LABELS, reference_name, reference_set
from labeltransfer.figures.inputs import float_column
from labeltransfer.figures.panels import (
    cells_per_side,
    choose_range,
    count_cells,
    log_norm,
    print_statistics,
    show_density,
)
from labeltransfer.figures.style import (
    CANNON,
    DENSITY,
    NUISANCE_DENSITY,
    PAGE_WIDTH,
    axis_title,
    label_style,
    mark_archive,
    new_figure,
    robust_range,
    use_style,
)


class _Panel(NamedTuple):
    """What a panel shows: the label by two methods, the common range of its axes, and the counts in cells."""

    label: str
    apogee: np.ndarray
    cannon: np.ndarray
    ends: tuple
    counts: np.ndarray


@use_style()
def draw(
    comparison, archive_kind, *, labels=LABELS, reference="APOGEE", snr_cut=50.0, limits=None, bins=None
):
    """Draw figure 5.

    Parameters
    ----------
    comparison : astropy.table.Table
        One row per reference star: `snr` and, for each label, `<label>_apogee` and `<label>_cannon`.
    archive_kind : {'mock', 'public', 'local', 'registry'}
    labels : sequence of str
        Panels in this order; `a_k`, a nuisance label, is drawn in purple.
    reference : str
        What the reference labels are called on the axes.
    snr_cut : float
        Scatter and bias are those of the stars above this S/N; all stars are drawn.
    limits : dict, optional
        Range of a label in place of the one found.
    bins : int, optional
        Cells along each side of a panel; fewer for small samples by default.

    Returns
    -------
    matplotlib.figure.Figure
        A panel per label; a cell that is left over has the scales of the densities.

    Raises
    ------
    ValueError
        If the table lacks a column, or for an unknown archive kind.
    """
    snr = float_column(comparison, "snr", "figure 5", "comparison")
    bins = bins or cells_per_side(snr.size, 60)
    drawn = [_panel(comparison, label, (limits or {}).get(label), bins) for label in labels]
    norm = log_norm(*(panel.counts for panel in drawn))
    n_column = 3 if len(labels) > 2 else len(labels)
    n_row = -(-len(labels) // n_column)
    figure = new_figure(PAGE_WIDTH, 0.3 + 2.3 * n_row)
    panels = figure.subplots(n_row, n_column, squeeze=False).ravel()
    for axes, panel in zip(panels, drawn, strict=False):
        _show_panel(axes, panel, snr > snr_cut, norm)
        axes.set(
            xlabel=axis_title(panel.label, before=reference), ylabel=axis_title(panel.label, before="Cannon")
        )
    for axes in panels[len(drawn) :]:
        axes.set_axis_off()
    if len(drawn) < panels.size:
        _show_scales(figure, panels[len(drawn)], norm, "a_k" in labels, snr_cut)
    mark_archive(figure, archive_kind)
    return figure


def _panel(comparison, label, ends, bins):
    apogee, cannon = (
        float_column(comparison, f"{label}_{method}", "figure 5", "comparison")
        for method in ("apogee", "cannon")
    )
    ends = ends or choose_range(
        np.concatenate([apogee, cannon]), LABEL_RANGES.get(label, robust_range(apogee))
    )
    return _Panel(label, apogee, cannon, ends, count_cells(apogee, cannon, ends, ends, bins))


def _show_panel(axes, panel, bright, norm):
    """All stars as a density, scatter and bias of the bright ones."""
    label, apogee, cannon, ends, counts = panel
    show_density(axes, counts, ends, ends, NUISANCE_DENSITY if label == "a_k" else DENSITY, norm)
    axes.plot(ends, ends, color=CANNON, linewidth=0.8, zorder=3)
    bright = bright & np.isfinite(apogee) & np.isfinite(cannon)
    inside = count_cells(apogee[bright], cannon[bright], ends, ends, 1)
    outside = np.count_nonzero(bright) - int(inside.sum())
    print_statistics(axes, (cannon - apogee)[bright], label_style(label).unit, outside, place=(0.04, 0.96))
    axes.set_box_aspect(1)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(nbins=5)


def _show_scales(figure, spare, norm, with_nuisance, snr_cut):
    """Colour bars of the densities in the cell that is left over, and what the statistics are of."""
    spare.text(
        0.5,
        0.72,
        f"scatter and bias:\nS/N > {snr_cut:g}",
        ha="center",
        va="center",
        transform=spare.transAxes,
    )
    scales = {0.42: DENSITY} | ({0.2: NUISANCE_DENSITY} if with_nuisance else {})
    for height, cmap in scales.items():
        bar = figure.colorbar(
            ScalarMappable(norm, cmap),
            cax=spare.inset_axes((0.08, height, 0.84, 0.07)),
            orientation="horizontal",
        )
        bar.ax.tick_params(labelbottom=height == min(scales))
    bar.set_label("stars per cell")


def from_files(files, settings):
    """Draw figure 5 of a run from its `comparison`."""
    study = settings["study"]
    return draw(
        reference_set(files),
        settings["source"],
        reference=reference_name(settings),
        labels=list(study["labels"]),
        snr_cut=study["validation"]["min_snr"],
    )
