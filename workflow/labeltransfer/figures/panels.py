"""Panels that several figures share: densities, Kiel diagrams, printed words and numbers, frames."""

import numpy as np
from matplotlib.colors import LogNorm

from labeltransfer.figures.style import (
    DENSITY,
    MINUS,
    ON_BLACK,
    axis_title,
    label_style,
    robust_range,
)
from labeltransfer.validation.statistics import bias_and_scatter

#: Behind words on a density.
WHITE_BOX = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}

#: A line of words alone, for `print_in_corner`.
ONE_LINE = {"fontsize": 8, "linespacing": None}


def contour_levels(density, n_sigma=(0.5, 1.0, 1.5, 2.0)):
    """Densities whose contours enclose 1 - exp(-n^2 / 2) of all stars: n sigma in two dimensions.

    Parameters
    ----------
    density : (n_x, n_y) array
        Stars per cell.
    n_sigma : sequence of float

    Returns
    -------
    levels : (n_level,) array
        Strictly increasing; levels that the density cannot tell apart are given once, empty without stars.
    """
    cells = np.sort(np.asarray(density, dtype=float).ravel())[::-1]
    total = cells.sum()
    if not total > 0:
        return np.array([])
    enclosed = np.cumsum(cells) / total
    fractions = -np.expm1(-0.5 * np.square(n_sigma))
    return np.unique(cells[np.minimum(np.searchsorted(enclosed, fractions), cells.size - 1)])


def choose_range(values, published, at_least=0.9):
    """The published range if it holds most values, else the range of the values."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    inside = (values >= published[0]) & (values <= published[1])
    return published if values.size == 0 or inside.mean() >= at_least else robust_range(values)


def choose_half_range(residuals, published, at_least=0.8):
    """The published half range if it holds most residuals, else that of 98 per cent of them."""
    residuals = np.abs(np.asarray(residuals, dtype=float))
    residuals = residuals[np.isfinite(residuals)]
    if residuals.size == 0 or np.mean(residuals <= published) >= at_least:
        return published
    return float(np.percentile(residuals, 98))


def say_no_stars(axes, message="no stars"):
    """Write into an empty panel why it is empty."""
    axes.text(0.5, 0.5, message, transform=axes.transAxes, ha="center", va="center", color="0.4")


def cells_per_side(n_star, at_most):
    """Cells along a side of a panel: large ones for few stars, which would not be seen in small ones."""
    return int(np.clip(2.0 * np.sqrt(n_star), 20, at_most))


def count_cells(x, y, x_range, y_range, bins):
    """Stars per cell, (bins_y, bins_x) as an image wants it."""
    good = np.isfinite(x) & np.isfinite(y)
    return np.histogram2d(x[good], y[good], bins=bins, range=(x_range, y_range))[0].T


def show_density(axes, counts, x_range, y_range, cmap, norm):
    """One image of the cells with stars; its size depends on the cells alone."""
    image = axes.imshow(
        np.ma.masked_equal(counts, 0), extent=(*x_range, *y_range), cmap=cmap, norm=norm, zorder=1.5
    )
    axes.set(xlim=x_range, ylim=y_range)
    if not counts.any():
        say_no_stars(axes)
    return image


def log_norm(*counts):
    """One logarithmic scale for several densities; it spans a decade even where no cell has two stars."""
    return LogNorm(1.0, max(10.0, *(float(count.max(initial=0.0)) for count in counts)))


def format_number(value, unit=""):
    """Three significant digits with a true minus sign; a dash where there is no value."""
    if not np.isfinite(value):
        return "\N{EN DASH}"
    decimals = 2 - int(np.floor(np.log10(abs(value)))) if value else 0
    return f"{value:.{np.clip(decimals, 0, 5)}f}".replace("-", MINUS) + (f" {unit}" if unit else "")


def print_statistics(axes, difference, unit, outside=0, place=(0.04, 0.04)):
    """Scatter, bias and number of stars in a corner of a panel."""
    n_star = np.count_nonzero(np.isfinite(difference))
    if n_star == 0:
        return
    bias, scatter = bias_and_scatter(difference)
    # One star has a bias and no scatter.
    scatter = scatter if n_star > 1 else np.nan
    print_in_corner(
        axes,
        f"scatter {format_number(scatter, unit)}\nbias {format_number(bias, unit)}\n"
        f"{count_of_stars(n_star, outside)}",
        place,
        linespacing=1.1,
        gid="statistics",
    )


def count_of_stars(n_star, outside=0):
    """How many stars there are, and how many of them outside the frame."""
    return f"{n_star:,} stars" + (f", {outside:,} outside" if outside else "")


def print_in_corner(axes, text, place=(0.03, 0.95), **options):
    """Words in the corner of a panel that is nearest to a place, on a light ground."""
    x, y = place
    style = {
        "ha": "left" if x < 0.5 else "right",
        "va": "bottom" if y < 0.5 else "top",
        "fontsize": 7.5,
        "linespacing": 1.15,
        "bbox": WHITE_BOX,
        "zorder": 5,
    }
    axes.text(x, y, text, transform=axes.transAxes, **{**style, **options})


def label_words(labels):
    """Labels of one star in words, "Teff = 4750 K", those that are known.

    Parameters
    ----------
    labels : dict of str to float, or None
    """
    words = []
    for name, value in (labels or {}).items():
        if np.isfinite(value):
            symbol, unit = label_style(name)
            text = f"{value:.0f} K" if unit == "K" else f"{value:.2f}"
            words.append(f"{symbol} = {text.replace('-', MINUS)}")
    return words


def set_kiel_axes(axes, ranges):
    """Axes of a Kiel diagram: hot stars left, giants at the top."""
    axes.set(xlim=ranges["teff"][::-1], ylim=ranges["logg"][::-1], xlabel=axis_title("teff"))


def choose_kiel_ranges(teff, logg, published, limits):
    """Ranges of Teff and logg: those asked for, else the published ones, else those of the stars."""
    good = np.isfinite(teff) & np.isfinite(logg)
    ranges = {
        "teff": choose_range(teff[good], published["teff"]),
        "logg": choose_range(logg[good], published["logg"]),
    }
    return {**ranges, **(limits or {})}


def show_survey(axes, teff, logg, ranges):
    """The whole survey as a black cloud: fine cells, darker where there are more stars."""
    bins = max(90, cells_per_side(4 * teff.size, 220))
    counts = count_cells(teff, logg, ranges["teff"], ranges["logg"], bins)
    axes.imshow(
        np.ma.masked_equal(counts, 0),
        extent=(*ranges["teff"], *ranges["logg"]),
        cmap=DENSITY,
        norm=log_norm(counts),
        zorder=1,
    )
    set_kiel_axes(axes, ranges)
    return counts


def random_rows(good, n_star, seed):
    """At most `n_star` of the good rows, drawn without replacement, in the table's order."""
    rows = np.flatnonzero(good)
    if rows.size <= n_star:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, n_star, replace=False))


def show_colored_stars(axes, teff, logg, values, norm):
    """Stars coloured by a value, as one rasterised collection."""
    good = np.isfinite(teff) & np.isfinite(logg) & np.isfinite(values)
    n_star = np.count_nonzero(good)
    if n_star == 0:
        say_no_stars(axes)
    # Smaller dots for larger samples, so that 20 stars are seen and 14,000 do not run together.
    size = float(np.clip(3000.0 / max(n_star, 1), 1.5, 12.0))
    return axes.scatter(
        teff[good],
        logg[good],
        c=values[good],
        s=size,
        norm=norm,
        cmap=ON_BLACK,
        linewidths=0,
        rasterized=True,
        zorder=2,
    )


def spread_positions(positions, gap):
    """Positions moved apart so that sorted neighbours keep a gap, each as near its own as its cluster allows.

    Parameters
    ----------
    positions : (n,) array_like
    gap : float

    Returns
    -------
    (n,) array
        In the order given.
    """
    positions = np.asarray(positions, dtype=float)
    order = np.argsort(positions, kind="stable")
    # Without the gaps the task is an isotonic regression: pool neighbours that would cross, at their mean.
    pools = []
    for rank, position in enumerate(positions[order]):
        pools.append([position - rank * gap, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            value, size = pools.pop()
            pools[-1] = [
                (pools[-1][0] * pools[-1][1] + value * size) / (pools[-1][1] + size),
                pools[-1][1] + size,
            ]
    spread = np.empty_like(positions)
    spread[order] = np.repeat([pool[0] for pool in pools], [pool[1] for pool in pools]) + gap * np.arange(
        positions.size
    )
    return spread
