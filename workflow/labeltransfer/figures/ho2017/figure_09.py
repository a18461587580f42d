"""Figure 9: distance of the Cannon from the LAMOST labels, against distance from the reference set."""

import numpy as np

from labeltransfer.catalogs.distance import label_separation
from labeltransfer.catalogs.rows import rows_of
from labeltransfer.figures.inputs import same_length
from labeltransfer.figures.panels import ONE_LINE, print_in_corner, random_rows, say_no_stars
from labeltransfer.figures.style import (
    CANNON,
    COLUMN_WIDTH,
    mark_archive,
    new_figure,
    robust_range,
    use_style,
)
from labeltransfer.files.tables import read_table


@use_style()
def draw(
    distance_to_reference, distance_to_pipeline, archive_kind, *, cut=2.5, n_star=3000, seed=0, limits=None
):
    """Draw figure 9.

    Parameters
    ----------
    distance_to_reference : (n_star,) array
        Label distance of a survey star from the reference set (Eq. 7, mean over the ten nearest).
    distance_to_pipeline : (n_star,) array
        Label distance from its Cannon labels to its LAMOST labels.
    archive_kind : {'mock', 'public', 'local', 'registry'}
    cut : float
        Stars nearer than this to the reference set are labelled.
    n_star : int
        Draw a random sample of this many stars, as the paper does.
    seed : int
        Seed of that sample.
    limits : tuple, optional
        Upper ends of the two axes, in place of the 99th percentiles.

    Returns
    -------
    matplotlib.figure.Figure
        The stars as dots, below a histogram of their abscissa.

    Raises
    ------
    ValueError
        If the two arrays differ in shape, or for an unknown archive kind.
    """
    x, y = same_length(
        "figure 9", distance_to_reference=distance_to_reference, distance_to_pipeline=distance_to_pipeline
    )
    rows = random_rows(np.isfinite(x) & np.isfinite(y), n_star, seed)
    x, y = x[rows], y[rows]
    x_high, y_high = limits or (max(robust_range(v, (0, 99), pad=0.05)[1], 2.0 * cut) for v in (x, y))

    figure = new_figure(COLUMN_WIDTH, 3.9)
    histogram, axes = figure.subplots(2, 1, sharex=True, height_ratios=(1, 3))
    figure.get_layout_engine().set(hspace=0.0, h_pad=0.01)
    _show_cloud(axes, x, y, x_high, y_high)
    histogram.hist(x, bins=50, range=(0.0, x_high), histtype="stepfilled", color="0.6")
    for panel in (axes, histogram):
        panel.axvline(cut, color=CANNON, linestyle="--", linewidth=1.0)
    axes.set(
        xlim=(0.0, x_high),
        ylim=(0.0, y_high),
        xlabel="label distance from the reference set",
        ylabel="label distance, Cannon to LAMOST labels",
    )
    histogram.set_ylabel("stars")
    histogram.margins(y=0.35)
    histogram.yaxis.get_major_locator().set_params(integer=True, prune="lower", nbins=4)
    if x.size:
        words = f"{np.count_nonzero(x < cut):,} of {x.size:,} stars below {cut:g}"
        print_in_corner(histogram, words, (0.97, 0.92), bbox=None, **ONE_LINE)
    mark_archive(figure, archive_kind)
    return figure


def _show_cloud(axes, x, y, x_high, y_high):
    """A dot per star, and how many lie beyond the frame."""
    inside = (x <= x_high) & (y <= y_high)
    # Heavier dots for a small sample, for which the cloud would vanish.
    axes.scatter(
        x[inside],
        y[inside],
        s=np.clip(2000.0 / max(x.size, 1), 1.2, 10.0),
        color="black",
        alpha=0.6,
        linewidths=0,
        rasterized=True,
    )
    if x.size == 0:
        say_no_stars(axes)
    elif not inside.all():
        print_in_corner(axes, f"{np.count_nonzero(~inside):,} stars outside", (0.97, 0.97), **ONE_LINE)


def from_files(files, settings):
    """Draw figure 9 of a run from the labels of its `sample` here and in the `survey`."""
    sample = read_table(files["sample"])
    distance, pipeline = settings["study"]["distance"], settings["study"]["pipeline"]
    names = list(distance["scale"])
    ids = read_table(files["survey"], ["spectrum_id"], text=bytes)["spectrum_id"]
    columns = list(dict.fromkeys(pipeline[name] for name in names))
    survey = read_table(files["survey"], columns, rows_of(ids, sample["id"]))
    separation = label_separation(
        np.column_stack([sample[name] for name in names]),
        np.column_stack([np.asarray(survey[pipeline[name]], dtype=float) for name in names]),
        scale=[distance["scale"][name] for name in names],
        form=distance["form"],
    )
    return draw(
        np.asarray(sample["distance"]),
        separation,
        settings["source"],
        cut=distance["cut"],
        seed=settings["seed"],
    )
