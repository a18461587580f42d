"""Figure 8: Kiel diagrams of the reference stars with labels of the survey, The Cannon and the reference survey."""

from labeltransfer.figures.ho2017.common import KIEL, reference_name, reference_set, survey_name
from labeltransfer.figures.inputs import float_column
from labeltransfer.figures.panels import (
    cells_per_side,
    choose_kiel_ranges,
    count_cells,
    log_norm,
    set_kiel_axes,
    show_density,
)
from labeltransfer.figures.style import PAGE_WIDTH, axis_title, mark_archive, new_figure, use_style

#: Frame of the published figure.
GIANT_KIEL_RANGES = {"teff": (3600.0, 6000.0), "logg": (0.0, 4.5)}


@use_style()
def draw(comparison, archive_kind, *, reference="APOGEE", survey="LAMOST", limits=None, bins=None):
    """Draw figure 8.

    Parameters
    ----------
    comparison : astropy.table.Table
        Reference stars with `teff` [K] and `logg`, each as `_cannon`, `_apogee` and, of a survey with labels of its
        own, `_lamost`.
    archive_kind : {'mock', 'public', 'local', 'registry'}
    reference, survey : str
        What they are called in the titles.
    limits : dict, optional
        Ranges of `teff` and `logg` in place of those found.
    bins : int, optional
        Cells along each side of a panel; fewer for small samples by default.

    Returns
    -------
    matplotlib.figure.Figure
        A Kiel diagram for each on one scale of density.

    Raises
    ------
    ValueError
        If the table lacks a column, or for an unknown archive kind.
    """
    methods = {"lamost": f"{survey} pipeline", "cannon": f"The Cannon, from {survey}", "apogee": reference}
    if not set(comparison.colnames) & {f"{label}_lamost" for label in KIEL}:
        del methods["lamost"]
    labels = {
        method: [float_column(comparison, f"{label}_{method}", "figure 8", "comparison") for label in KIEL]
        for method in methods
    }
    ranges = choose_kiel_ranges(*labels["apogee"], GIANT_KIEL_RANGES, limits)
    bins = bins or cells_per_side(len(comparison), 90)
    counts = {
        method: count_cells(*labels[method], ranges["teff"], ranges["logg"], bins) for method in methods
    }
    norm = log_norm(*counts.values())
    figure = new_figure(PAGE_WIDTH, 2.9)
    panels = figure.subplots(1, len(methods), sharex=True, sharey=True)
    for axes, (method, title) in zip(panels, methods.items(), strict=True):
        image = show_density(axes, counts[method], ranges["teff"], ranges["logg"], "inferno", norm)
        set_kiel_axes(axes, ranges)
        axes.set_title(title)
        axes.locator_params(axis="x", nbins=5)
    panels[0].set_ylabel(axis_title("logg"))
    figure.colorbar(image, ax=list(panels), label="stars per cell", pad=0.02)
    mark_archive(figure, archive_kind)
    return figure


def from_files(files, settings):
    """Draw figure 8 of a run from its `comparison`."""
    names = {"reference": reference_name(settings), "survey": survey_name(settings)}
    return draw(reference_set(files), settings["source"], **names)
