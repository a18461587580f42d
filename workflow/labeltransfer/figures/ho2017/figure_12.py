"""Figure 12: [alpha/M] over the Galactic sky, of APOGEE alone and together with the new catalogue."""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from labeltransfer.figures.inputs import float_column
from labeltransfer.figures.sky import sky_map
from labeltransfer.figures.style import PAGE_WIDTH, axis_title, mark_archive, new_figure, use_style
from labeltransfer.files.tables import read_table

COLUMNS = ["ra", "dec", "alpha_m"]


@use_style()
def draw(apogee, catalog, archive_kind, *, cell_size=None, alpha_range=(-0.07, 0.3), center_longitude=150.0):
    """Draw figure 12.

    Parameters
    ----------
    apogee, catalog : astropy.table.Table
        `ra`, `dec` [deg, ICRS] and `alpha_m` [dex]: all stars of APOGEE, and those labelled here.
    archive_kind : {'mock', 'public', 'local', 'registry'}
    cell_size : float, optional
        Size of the sky cells whose median is shown [deg]; default 1, or 2 below 50,000 stars.
    alpha_range : tuple of float
        Ends of the colour scale [dex].
    center_longitude : float
        Galactic longitude at the middle of the maps [deg].

    Returns
    -------
    matplotlib.figure.Figure
        Two Mollweide maps, one image each.

    Raises
    ------
    ValueError
        If a table lacks a column, or for an unknown archive kind.
    """
    alone = _galactic(apogee, "APOGEE")
    new = _galactic(catalog, "catalogue")
    together = tuple(np.concatenate(pair) for pair in zip(alone, new, strict=True))
    if cell_size is None:
        cell_size = 1.0 if together[0].size > 50_000 else 2.0
    norm = Normalize(*alpha_range)
    figure = new_figure(PAGE_WIDTH, 7.0)
    panels = figure.subplots(2, 1)
    for axes, stars, title in zip(
        panels, (alone, together), ("APOGEE", "APOGEE and The Cannon's labels from LAMOST"), strict=True
    ):
        sky_map(axes, *stars, center_longitude, cell_size, norm)
        axes.set_title(f"{title}: {stars[0].size:,} stars")
    figure.colorbar(
        ScalarMappable(norm, "magma"),
        ax=list(panels),
        label=f"median {axis_title('alpha_m')} in cells of {cell_size:g}°",
        orientation="horizontal",
        extend="both",
        shrink=0.6,
        aspect=40,
        pad=0.02,
    )
    mark_archive(figure, archive_kind)
    return figure


def _galactic(table, table_name):
    """Galactic longitude, latitude [deg] and [alpha/M] of the stars that have all three."""
    ra, dec, alpha_m = (float_column(table, name, "figure 12", table_name) for name in COLUMNS)
    good = np.isfinite(ra) & np.isfinite(dec) & np.isfinite(alpha_m)
    if not good.any():
        return np.empty(0), np.empty(0), np.empty(0)
    galactic = SkyCoord(ra[good] * u.deg, dec[good] * u.deg).galactic
    return galactic.l.deg, galactic.b.deg, alpha_m[good]


def from_files(files, settings):
    """Draw figure 12 of a run from the `reference` catalogue and its own `catalog`."""
    reference, catalog = (read_table(files[name], COLUMNS) for name in ("reference", "catalog"))
    return draw(reference, catalog, settings["source"])
