"""All-sky maps: cells of equal area, their medians, and the Mollweide projection as one image."""

import numpy as np

from labeltransfer.figures.panels import WHITE_BOX, say_no_stars
from labeltransfer.figures.style import MINUS


def sky_cells(longitude, latitude, size):
    """Number of the sky cell of each position: rings of equal width, cut into cells of nearly equal area.

    Parameters
    ----------
    longitude, latitude : array_like
        Any shape [deg].
    size : float
        Width of a ring and, along the ring, of a cell [deg].

    Returns
    -------
    cell : int array
        Same shape, from 0 to the number of cells less one.
    n_cell : int
    """
    n_ring = int(np.ceil(180.0 / size))
    middle = -90.0 + (np.arange(n_ring) + 0.5) * 180.0 / n_ring
    n_in_ring = np.maximum(np.round(360.0 * np.cos(np.radians(middle)) / size), 3).astype(int)
    first = np.concatenate([[0], np.cumsum(n_in_ring)])
    ring = np.clip(((np.asarray(latitude) + 90.0) * n_ring / 180.0).astype(int), 0, n_ring - 1)
    along = ((np.asarray(longitude) % 360.0) / 360.0 * n_in_ring[ring]).astype(int)
    return first[ring] + np.minimum(along, n_in_ring[ring] - 1), int(first[-1])


def median_per_cell(cell, values, n_cell):
    """Median of the values in each cell, NaN in empty cells.

    Parameters
    ----------
    cell : (n_star,) int array
    values : (n_star,) array
        Finite.
    n_cell : int

    Returns
    -------
    (n_cell,) array
    """
    order = np.lexsort((values, cell))
    values = values[order]
    count = np.bincount(cell, minlength=n_cell)
    start = np.cumsum(count) - count
    median = np.full(n_cell, np.nan)
    filled = count > 0
    low = (start + (count - 1) // 2)[filled]
    high = (start + count // 2)[filled]
    median[filled] = 0.5 * (values[low] + values[high])
    return median


def mollweide(longitude, latitude, center):
    """Plane coordinates of the Mollweide projection: |x| < 2, |y| < 1, longitude growing to the left.

    Parameters
    ----------
    longitude, latitude : array_like
        Of any shape [deg].
    center : float
        Longitude in the middle of the map [deg].

    Returns
    -------
    x, y : float array
        Same shape.
    """
    latitude = np.radians(np.asarray(latitude, dtype=float))
    theta = latitude.copy()
    for _ in range(60):
        # Newton's steps stall at the poles, where the derivative vanishes; they are held short of it.
        slope = np.maximum(2.0 + 2.0 * np.cos(2.0 * theta), 1e-9)
        theta = np.clip(
            theta - (2.0 * theta + np.sin(2.0 * theta) - np.pi * np.sin(latitude)) / slope,
            -np.pi / 2,
            np.pi / 2,
        )
    offset = (np.asarray(longitude, dtype=float) - center + 180.0) % 360.0 - 180.0
    return -2.0 * offset / 180.0 * np.cos(theta), np.sin(theta)


def inverse_mollweide(x, y, center):
    """Longitude and latitude [deg] of plane coordinates, the inverse of `mollweide`; NaN outside the ellipse.

    Parameters
    ----------
    x, y : float array
        Plane coordinates.
    center : float
        Longitude in the middle of the map [deg].
    """
    inside = (x / 2.0) ** 2 + y**2 < 1.0
    theta = np.arcsin(np.clip(y, -1.0, 1.0))
    latitude = np.degrees(np.arcsin(np.clip((2.0 * theta + np.sin(2.0 * theta)) / np.pi, -1.0, 1.0)))
    longitude = center - 90.0 * x / np.maximum(np.cos(theta), 1e-12)
    return np.where(inside, longitude, np.nan), np.where(inside, latitude, np.nan)


def sky_map(axes, longitude, latitude, values, center, size, norm, n_pixel=1400):
    """Show the median of a value per sky cell as one image, with the outline and the grid of the projection.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    longitude, latitude : (n_star,) array
        Galactic coordinates [deg].
    values : (n_star,) array
        Finite.
    center : float
        Longitude in the middle of the map [deg].
    size : float
        Size of the cells [deg].
    norm : matplotlib.colors.Normalize
        Colour scale.
    n_pixel : int
        Width of the image.
    """
    if len(values):
        cell, n_cell = sky_cells(longitude, latitude, size)
        median = median_per_cell(cell, values, n_cell)
        x = (np.arange(n_pixel) + 0.5) / n_pixel * 4.0 - 2.0
        y = (np.arange(n_pixel // 2) + 0.5) / (n_pixel // 2) * 2.0 - 1.0
        sky_longitude, sky_latitude = inverse_mollweide(*np.meshgrid(x, y), center)
        inside = np.isfinite(sky_longitude)
        picture = np.full(inside.shape, np.nan)
        picture[inside] = median[sky_cells(sky_longitude[inside], sky_latitude[inside], size)[0]]
        axes.imshow(
            np.ma.masked_invalid(picture),
            extent=(-2, 2, -1, 1),
            cmap="magma",
            norm=norm,
            aspect="equal",
            zorder=1,
        )
    else:
        say_no_stars(axes)
    _show_sky_grid(axes, center)
    _name_meridians(axes, center)


def _show_sky_grid(axes, center):
    """Meridians, parallels with their latitudes, and the outline of the sky."""
    arc = np.linspace(-90.0, 90.0, 181)
    for meridian in np.arange(0.0, 360.0, 60.0):
        axes.plot(*mollweide(np.full(arc.size, meridian), arc, center), color="0.6", linewidth=0.35, zorder=2)
    for parallel in (-60.0, -30.0, 0.0, 30.0, 60.0):
        ends = np.array([center - 179.999, center + 179.999])
        axes.plot(*mollweide(ends, np.full(2, parallel), center), color="0.6", linewidth=0.35, zorder=2)
        edge_x, edge_y = mollweide(center + 179.999, parallel, center)
        axes.annotate(
            f"{parallel:+.0f}°".replace("-", MINUS) if parallel else "0°",
            (edge_x, edge_y),
            xytext=(-4, 0.06 * parallel),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=7,
        )
    turn = np.linspace(0.0, 2.0 * np.pi, 361)
    axes.plot(2.0 * np.cos(turn), np.sin(turn), color="black", linewidth=0.8, zorder=3)
    axes.set(xlim=(-2.3, 2.45), ylim=(-1.06, 1.06), aspect="equal")
    axes.set_axis_off()


def _name_meridians(axes, center):
    """Longitudes near the equator, and an arrow to the Galactic centre."""
    for meridian in np.arange(0.0, 360.0, 60.0):
        axes.text(
            *mollweide(meridian, -8.0, center),
            f"{meridian:.0f}°",
            ha="center",
            va="center",
            fontsize=6.5,
            color="0.2",
            bbox=WHITE_BOX,
            zorder=4,
        )
    axes.annotate(
        "Galactic\ncentre",
        xy=mollweide(0.0, 0.0, center),
        xytext=(2.27, 0.0),
        ha="center",
        va="center",
        fontsize=7.5,
        arrowprops={"arrowstyle": "-|>", "color": "black", "linewidth": 1.2, "shrinkB": 1},
        zorder=5,
    )
