"""Figure 3: the reference stars over the whole survey, with LAMOST and with APOGEE labels."""

from matplotlib.colors import Normalize

from labeltransfer.figures.ho2017.common import (
    KIEL,
    PIPELINE_LABELS,
    SURVEY_KIEL_RANGES,
    reference_name,
    reference_set,
)
from labeltransfer.figures.inputs import float_column
from labeltransfer.figures.panels import choose_kiel_ranges, show_colored_stars, show_survey
from labeltransfer.figures.style import PAGE_WIDTH, axis_title, mark_archive, new_figure, use_style
from labeltransfer.files.tables import read_table


@use_style()
def draw(survey, comparison, archive_kind, *, reference="APOGEE", limits=None, fe_h_range=(-1.2, 0.4)):
    """Draw figure 3.

    Parameters
    ----------
    survey : astropy.table.Table
        `teff` [K] and `logg` of the survey's pipeline for every spectrum; drawn in black.
    comparison : astropy.table.Table
        Reference stars with `teff`, `logg` and `fe_h`, each as `_lamost` and `_apogee`.
    archive_kind : {'mock', 'public', 'local', 'registry'}
    reference : str
        What the reference labels are called in the title.
    limits : dict, optional
        Ranges of `teff` and `logg` in place of those found.
    fe_h_range : tuple of float
        Ends of the colour scale [dex].

    Returns
    -------
    matplotlib.figure.Figure
        Two Kiel diagrams, the reference stars coloured by [Fe/H].

    Raises
    ------
    ValueError
        If a table lacks a column, or for an unknown archive kind.
    """
    teff, logg = (float_column(survey, name, "figure 3", "survey") for name in KIEL)
    ranges = choose_kiel_ranges(teff, logg, SURVEY_KIEL_RANGES, limits)
    norm = Normalize(*fe_h_range)
    figure = new_figure(PAGE_WIDTH, 3.5)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, method, title in zip(panels, ("lamost", "apogee"), ("LAMOST", reference), strict=True):
        show_survey(axes, teff, logg, ranges)
        labels = (
            float_column(comparison, f"{label}_{method}", "figure 3", "comparison")
            for label in PIPELINE_LABELS
        )
        stars = show_colored_stars(axes, *labels, norm)
        axes.set_title(f"reference stars with {title} labels")
    panels[0].set_ylabel(axis_title("logg"))
    figure.colorbar(stars, ax=list(panels), label=axis_title("fe_h"), extend="both", pad=0.02)
    mark_archive(figure, archive_kind)
    return figure


def from_files(files, settings):
    """Draw figure 3 of a run from its `survey` and its `comparison`."""
    return draw(
        read_table(files["survey"], KIEL),
        reference_set(files),
        settings["source"],
        reference=reference_name(settings),
    )
