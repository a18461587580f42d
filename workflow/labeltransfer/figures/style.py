"""One look for every figure: fonts, colours, label names, the mark of the mock archive, repeatable files."""

import contextlib
import json
from pathlib import Path
from typing import NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from labeltransfer.files.atomic import atomic_path

STYLE_SHEET = Path(__file__).with_name("labeltransfer.mplstyle")

COLUMN_WIDTH = 3.5  #: one column of a journal page [inch]
PAGE_WIDTH = 7.1  #: the full width of a journal page [inch]

# Hues of Okabe and Ito, which stay apart for every common kind of colour blindness.
CANNON = "#c8102e"
PIPELINE = "#0072b2"
DIB = "#e69f00"
PSEUDO_CONTINUUM = "#9b4fa5"
FEATURE = "0.65"
DENSITY = LinearSegmentedColormap.from_list("density", ["0.72", "0.0"])
NUISANCE_DENSITY = LinearSegmentedColormap.from_list("nuisance_density", ["#cdb3db", "#4a1f66"])
# From inside plasma: both ends stay apart from the black of a survey drawn below.
ON_BLACK = LinearSegmentedColormap.from_list(
    "on_black", ["#7a35ff", "#c23bd0", "#f0598b", "#ff944d", "#ffd23f", "#fff7a0"]
)

MINUS = "\N{MINUS SIGN}"
WAVELENGTH_TITLE = r"wavelength in vacuum ($\rm\AA$)"

ARCHIVE_KINDS = ("mock", "public", "local", "registry")


class LabelStyle(NamedTuple):
    """How a label is written on an axis."""

    symbol: str
    unit: str


LABEL_STYLES = {
    "teff": LabelStyle(r"$T_{\rm eff}$", "K"),
    "logg": LabelStyle(r"$\log g$", "dex"),
    "fe_h": LabelStyle("[Fe/H]", "dex"),
    "alpha_m": LabelStyle(r"[$\alpha$/M]", "dex"),
    "a_k": LabelStyle(r"$A_K$", "mag"),
}


def label_style(label):
    """The symbol and unit of a label; an abundance such as `mg_h` is written [Mg/H], in dex."""
    if label in LABEL_STYLES:
        return LABEL_STYLES[label]
    element, _, scale = label.partition("_")
    return LabelStyle(f"[{element.capitalize()}/{scale.upper()}]" if scale else label, "dex")


def short_symbol(label):
    """The symbol of a label without brackets, where there is little room: Mg for `mg_h`."""
    symbol = label_style(label).symbol
    return symbol[1:].partition("/")[0] if symbol.startswith("[") else symbol


def axis_title(label, before="", after=""):
    """An axis title such as "Cannon Teff (K)".

    Parameters
    ----------
    label : str
        Name of the label in our tables, e.g. `fe_h`.
    before, after : str
        Words around the symbol; the unit comes last.
    """
    symbol, unit = label_style(label)
    return " ".join(part for part in (before, symbol, after, f"({unit})") if part)


@contextlib.contextmanager
def use_style():
    """Draw with this project's style sheet and nothing else; also serves as a decorator.

    matplotlib's defaults are restored first, so a user's own `matplotlibrc` cannot change a figure.
    """
    with matplotlib.style.context([STYLE_SHEET], after_reset=True):
        yield


def new_figure(width, height):
    """An empty figure of this size [inch] on an Agg canvas, unknown to pyplot."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def mark_mock(figure):
    """Write the word "mock" into the upper left corner of a figure, on a strip of its own above the panels.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    """
    height = figure.get_size_inches()[1]
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0.0, 0.0, 1.0, 1.0 - 0.2 / height))
    figure.text(
        0.008,
        1.0 - 0.03 / height,
        "mock archive: simulated spectra, not observations",
        ha="left",
        va="top",
        fontsize=8,
        fontweight="bold",
        color=CANNON,
        gid="mock",
    )


def mark_archive(figure, archive_kind):
    """Mark a figure according to the archive its stars come from.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    archive_kind : {'mock', 'public', 'local', 'registry'}
        Only 'mock' leaves a mark.

    Raises
    ------
    ValueError
        For any other kind: a figure must never hide that its stars are simulated.
    """
    if archive_kind not in ARCHIVE_KINDS:
        raise ValueError(f"archive_kind must be one of {', '.join(ARCHIVE_KINDS)}, not {archive_kind!r}")
    if archive_kind == "mock":
        mark_mock(figure)


def save(figure, pdf_path, png_path, meta=None):
    """Write a figure as PDF and PNG; the same figure gives the same bytes.

    Neither file carries a date, and each appears under its name only once it is complete.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    pdf_path, png_path : str or path
    meta : mapping, optional
        Provenance: anything that JSON can hold. It stands in the text `Provenance` of the PNG, and among the
        keywords of the PDF.
    """
    made = json.dumps(meta, sort_keys=True) if meta else None
    for path, file_format, metadata in (
        (Path(pdf_path), "pdf", {"CreationDate": None} | ({"Keywords": made} if made else {})),
        (Path(png_path), "png", {"Software": None} | ({"Provenance": made} if made else {})),
    ):
        # Fonts of mathematics are looked up while drawing, so the style must hold here as well.
        with atomic_path(path) as temporary, use_style():
            figure.savefig(temporary, format=file_format, metadata=metadata)


def robust_range(values, percentiles=(0.5, 99.5), pad=0.08):
    """The range that holds most finite values, padded; (0, 1) when there are none.

    Parameters
    ----------
    values : array_like
    percentiles : tuple of float
        The two percentiles between which the values are held [per cent].
    pad : float
        Room added on both sides, as a fraction of the range.
    """
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, percentiles)
    room = pad * (high - low) if high > low else max(abs(low) * pad, pad)
    return float(low - room), float(high + room)
