"""Figure 11: the ([Fe/H], [alpha/M]) plane of the catalogue."""

import numpy as np
from scipy.ndimage import gaussian_filter

from labeltransfer.figures.inputs import same_length
from labeltransfer.figures.panels import (
    ONE_LINE,
    cells_per_side,
    contour_levels,
    count_cells,
    count_of_stars,
    log_norm,
    print_in_corner,
    show_density,
)
from labeltransfer.figures.style import (
    CANNON,
    COLUMN_WIDTH,
    DENSITY,
    axis_title,
    mark_archive,
    new_figure,
    use_style,
)
from labeltransfer.files.tables import read_table

CONTOUR_CELLS = 80  # along each side


@use_style()
def draw(fe_h, alpha_m, archive_kind, *, limits=((-2.2, 0.7), (-0.2, 0.5)), n_sigma=(0.5, 1.0, 1.5, 2.0)):
    """Draw figure 11.

    Parameters
    ----------
    fe_h, alpha_m : (n_star,) array
        Cannon labels [dex].
    archive_kind : {'mock', 'public', 'local', 'registry'}
    limits : tuple
        Ranges of the two labels.
    n_sigma : sequence of float
        Contours enclose 1 - exp(-n^2 / 2) of the stars in the frame.

    Returns
    -------
    matplotlib.figure.Figure
        Stars per cell, and contours of the smoothed density.

    Raises
    ------
    ValueError
        If the two arrays differ in shape, or for an unknown archive kind.
    """
    fe_h, alpha_m = same_length("figure 11", fe_h=fe_h, alpha_m=alpha_m)
    x_range, y_range = limits
    n_star = np.count_nonzero(np.isfinite(fe_h) & np.isfinite(alpha_m))
    # Small cells look like points where stars are rare; contours need larger ones, smoothed.
    fine = count_cells(fe_h, alpha_m, x_range, y_range, cells_per_side(2 * n_star, 250))
    coarse = gaussian_filter(
        count_cells(fe_h, alpha_m, x_range, y_range, CONTOUR_CELLS), 1.0 if n_star > 20_000 else 2.0
    )

    figure = new_figure(COLUMN_WIDTH + 0.9, 3.3)
    axes = figure.subplots()
    image = show_density(axes, fine, x_range, y_range, DENSITY, log_norm(fine))
    if (levels := contour_levels(coarse, n_sigma)).size:
        middle = (np.arange(CONTOUR_CELLS) + 0.5) / CONTOUR_CELLS
        centers = [low + (high - low) * middle for low, high in limits]
        axes.contour(*centers, coarse, levels=levels, colors=CANNON, linewidths=0.9, zorder=3)
        words = count_of_stars(n_star, n_star - int(fine.sum()))
        print_in_corner(axes, words, (0.97, 0.96), bbox=None, **ONE_LINE)
    axes.set(xlabel=axis_title("fe_h"), ylabel=axis_title("alpha_m"))
    figure.colorbar(image, ax=axes, label="stars per cell", pad=0.02)
    mark_archive(figure, archive_kind)
    return figure


def from_files(files, settings):
    """Draw figure 11 of a run from its `catalog`."""
    catalog = read_table(files["catalog"], ["fe_h", "alpha_m"])
    return draw(np.asarray(catalog["fe_h"]), np.asarray(catalog["alpha_m"]), settings["source"])
