"""Figure 10: label distance from the reference set over the Kiel diagram of the survey."""

import numpy as np
from matplotlib.colors import Normalize

from labeltransfer.figures.ho2017.common import KIEL, SURVEY_KIEL_RANGES
from labeltransfer.figures.inputs import float_column, same_length
from labeltransfer.figures.panels import (
    choose_kiel_ranges,
    random_rows,
    show_colored_stars,
    show_survey,
)
from labeltransfer.figures.style import COLUMN_WIDTH, axis_title, mark_archive, new_figure, use_style
from labeltransfer.files.tables import read_table


@use_style()
def draw(survey, distance, archive_kind, *, cut=2.5, n_star=14_000, seed=0, limits=None):
    """Draw figure 10.

    Parameters
    ----------
    survey : astropy.table.Table
        `teff` [K] and `logg` of the survey's pipeline for every spectrum; drawn in black.
    distance : (n_survey,) array
        Label distance of each row from the reference set; NaN where there is none.
    archive_kind : {'mock', 'public', 'local', 'registry'}
    cut : float
        Stars nearer than this are labelled; marked on the colour scale, which ends at twice the cut.
    n_star : int
        Colour a random sample of this many stars, as the paper does.
    seed : int
        Seed of that sample.
    limits : dict, optional
        Ranges of `teff` and `logg` in place of those found.

    Returns
    -------
    matplotlib.figure.Figure
        One Kiel diagram with its colour scale.

    Raises
    ------
    ValueError
        If `distance` has not one value per row, a column is missing, or for an unknown archive kind.
    """
    teff, logg, distance = same_length(
        "figure 10",
        teff=float_column(survey, "teff", "figure 10", "survey"),
        logg=float_column(survey, "logg", "figure 10", "survey"),
        distance=distance,
    )
    ranges = choose_kiel_ranges(teff, logg, SURVEY_KIEL_RANGES, limits)
    figure = new_figure(COLUMN_WIDTH + 0.6, 3.5)
    axes = figure.subplots()
    show_survey(axes, teff, logg, ranges)
    rows = random_rows(np.isfinite(teff) & np.isfinite(logg) & np.isfinite(distance), n_star, seed)
    stars = show_colored_stars(axes, teff[rows], logg[rows], distance[rows], Normalize(0.0, 2.0 * cut))
    axes.set_ylabel(axis_title("logg"))
    bar = figure.colorbar(
        stars, ax=axes, label="label distance from the reference set", extend="max", pad=0.02
    )
    bar.ax.axhline(cut, color="black", linewidth=1.2)
    mark_archive(figure, archive_kind)
    return figure


def from_files(files, settings):
    """Draw figure 10 of a run from its `survey` and the `distance` of every row of it."""
    return draw(
        read_table(files["survey"], KIEL),
        np.asarray(read_table(files["distance"])["distance"]),
        settings["source"],
        cut=settings["study"]["distance"]["cut"],
        seed=settings["seed"],
    )
