"""What several figures of the abundance study share: labels, methods, places on an axis, grids of a long table."""

from typing import NamedTuple

import numpy as np
from matplotlib.ticker import NullLocator

from labeltransfer.figures.style import CANNON, DIB, PIPELINE, PSEUDO_CONTINUUM, short_symbol

ELEMENTS = ("c", "n", "o", "mg", "al", "si", "ca", "ti", "v", "cr", "mn", "fe", "co", "ni")
LABELS = ("teff", "logg", *(f"{element}_h" for element in ELEMENTS))


class MethodStyle(NamedTuple):
    """How a method of training is called, and its colour and marker."""

    name: str
    color: str
    marker: str


#: In the order of the paper's rows; others take what is left.
METHODS = {
    "no_prior": MethodStyle("no prior", PIPELINE, "s"),
    "quadratic": MethodStyle("quadratic, no prior", PSEUDO_CONTINUUM, "D"),
    "l1": MethodStyle(r"$L_1$", DIB, "^"),
    "prior": MethodStyle("prior from theory", CANNON, "o"),
}
OTHER_METHODS = (("0.25", "v"), ("0.55", "X"), ("#009e73", "P"))


def method_styles(methods):
    """Styles of these methods by name: the known ones in the order of METHODS, then the others in theirs."""
    methods = list(dict.fromkeys(methods))
    others = [method for method in methods if method not in METHODS]
    return {
        **{method: style for method, style in METHODS.items() if method in methods},
        **{
            method: MethodStyle(str(method), *OTHER_METHODS[order % len(OTHER_METHODS)])
            for order, method in enumerate(others)
        },
    }


def label_axis(axes, labels, symbols=None):
    """One place on the abscissa for each label, with its symbol."""
    axes.set_xticks(range(len(labels)), symbols or [short_symbol(label) for label in labels])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, max(len(labels), 1) - 0.4)
    for i in range(1, len(labels)):
        axes.axvline(i - 0.5, color="0.9", linewidth=0.5, zorder=0)


def grids_of(figure_name, label, x_name, x, columns):
    """Columns of a table with one row per label and x, as grids.

    Parameters
    ----------
    figure_name, x_name : str
        For the error.
    label : (n_row,) array of str
    x : (n_row,) array
        Finite.
    columns : dict of str to (n_row,) array

    Returns
    -------
    names : list of n_label str
        Labels in the order of the table.
    places : (n_x,) array
        Values of x, ascending.
    grids : dict of str to (n_label, n_x) array
        NaN where the table has no row.

    Raises
    ------
    ValueError
        If a label occurs twice for one x.
    """
    names, places = list(dict.fromkeys(label)), np.unique(x)
    rows = np.array([names.index(name) for name in label], dtype=int)
    cells = (rows, np.searchsorted(places, x))
    count = np.zeros((len(names), places.size), dtype=int)
    np.add.at(count, cells, 1)
    if (twice := np.argwhere(count > 1)).size:
        row, column = twice[0]
        raise ValueError(
            f"{figure_name} needs one row per label and {x_name}, "
            f"{names[row]} has {count[row, column]} for {places[column]:g}"
        )
    grids = {}
    for name, values in columns.items():
        grids[name] = np.full(count.shape, np.nan)
        grids[name][cells] = values
    return names, places, grids


def known_median(values):
    """Median of the finite values; NaN without any."""
    values = np.asarray(values)[np.isfinite(values)]
    return np.median(values) if values.size else np.nan
