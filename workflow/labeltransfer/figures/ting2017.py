"""The figures of Ting et al. 2017, and three of our own: arrays and tables in, one matplotlib Figure out.

Every function takes `archive_kind` ("mock", "public" or "local"); figures of the mock archive say so. Label
names are those of our tables: `teff` [K], `logg`, `c_h` ... `ni_h` [dex]. A gradient is the change of the
normalised flux for a step of one label. Methods of training are known by short names: `prior`, `no_prior`,
`l1`, `quadratic`; any other name is written as it is.
"""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from labeltransfer.figures.panels import (
    WHITE_BOX,
    cells_per_side,
    count_cells,
    float_column,
    format_number,
    log_norm,
    same_length,
    say_no_stars,
    show_density,
    spread_positions,
)
from labeltransfer.figures.style import (
    CANNON,
    COLUMN_WIDTH,
    DENSITY,
    DIB,
    MINUS,
    PAGE_WIDTH,
    PIPELINE,
    PSEUDO_CONTINUUM,
    label_style,
    mark_archive,
    new_figure,
    robust_range,
    short_symbol,
    use_style,
)
from labeltransfer.validation.statistics import bias_and_scatter

ELEMENTS = ("c", "n", "o", "mg", "al", "si", "ca", "ti", "v", "cr", "mn", "fe", "co", "ni")
LABELS = ("teff", "logg", *(f"{element}_h" for element in ELEMENTS))

#: How a method is called, and its colour and marker; others take what is left.
METHODS = {
    "no_prior": ("no prior", PIPELINE, "s"),
    "quadratic": ("quadratic, no prior", PSEUDO_CONTINUUM, "D"),
    "l1": (r"$L_1$", DIB, "^"),
    "prior": ("prior from theory", CANNON, "o"),
}
OTHER_METHODS = (("0.25", "v"), ("0.55", "X"), ("#009e73", "P"))

#: Numbers of the paper that are drawn beside ours.
PUBLISHED_D_SCALE = (10.0, 1.5)  # the D_scale it takes, and how much the scatter grows by it
PUBLISHED_BOUND = 0.05  # typical bound at S/N = 30 [dex]
PUBLISHED_RATIO = 2.0  # measured scatter over that bound

WAVELENGTH_TITLE = r"wavelength in vacuum ($\rm\AA$)"
# Light means few photons; ends before colours too pale for a thin marker.
SNR_COLORS = LinearSegmentedColormap.from_list("snr", ["#7fb8d8", "#0072b2", "#062a4d"])


def method_style(method, order=0):
    """Name, colour and marker of a method; `order` picks those of a method that we do not know."""
    return METHODS.get(method) or (str(method), *OTHER_METHODS[order % len(OTHER_METHODS)])


def _method_styles(methods):
    """Styles of these methods: the known ones in the order of METHODS, then the others in theirs."""
    methods = list(dict.fromkeys(methods))
    others = [method for method in methods if method not in METHODS]
    return {
        **{method: METHODS[method] for method in METHODS if method in methods},
        **{method: method_style(method, order) for order, method in enumerate(others)},
    }


def _text_column(table, name, figure_name, table_name):
    """A column of words."""
    if name not in table.colnames:
        raise ValueError(
            f"{figure_name} needs column '{name}' of the {table_name} table, "
            f"which has: {', '.join(table.colnames)}"
        )
    return np.array([str(value) for value in table[name]], dtype=object)


def _print_in_corner(axes, text, place=(0.03, 0.95), **options):
    """Words in a panel, on a light ground."""
    style = {"ha": "left", "va": "top" if place[1] > 0.5 else "bottom", "fontsize": 7.5, "linespacing": 1.15}
    axes.text(*place, text, transform=axes.transAxes, bbox=WHITE_BOX, zorder=5, **{**style, **options})


def _label_axis(axes, labels, symbols=None):
    """One place on the abscissa for each label, with its symbol."""
    axes.set_xticks(range(len(labels)), symbols or [short_symbol(label) for label in labels])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, max(len(labels), 1) - 0.4)
    for i in range(1, len(labels)):
        axes.axvline(i - 0.5, color="0.9", linewidth=0.5, zorder=0)


@use_style()
def figure_01(
    wavelength, flux, error, model_flux, archive_kind, *, star="", zoom=(5000.0, 5350.0), labels=None
):
    """Figure 1: a LAMOST spectrum and what the model makes of the star's APOGEE labels.

    Parameters
    ----------
    wavelength : (n_pix,) array
        Vacuum wavelength in the rest frame [Angstrom].
    flux : (n_pix,) array
        Normalised flux.
    error : (n_pix,) array
        Its standard error; pixels where it is not finite or not positive, or the flux is NaN, are gaps.
    model_flux : (n_pix,) array
        Prediction of the model for the star's APOGEE labels.
    archive_kind : {'mock', 'public', 'local'}
    star : str
        Name of the star, in the title.
    zoom : (float, float)
        Range of the middle and the lower panel [Angstrom].
    labels : dict, optional
        Labels of the star by name, printed in the title.

    Returns
    -------
    matplotlib.figure.Figure
        The whole spectrum, a part of it, and the residuals (spectrum minus model) of that part in a band of
        one standard error. The printed share of pixels within one error and the mean of (residual / error)^2
        are those of the whole spectrum.

    Raises
    ------
    ValueError
        If the arrays differ in shape, the zoom is no range, or for an unknown archive kind.
    """
    wavelength, flux, error, model_flux = same_length(
        "figure 1", wavelength=wavelength, flux=flux, error=error, model_flux=model_flux
    )
    low, high = (float(end) for end in zoom)
    if not low < high:
        raise ValueError(f"figure 1 needs a zoom (low, high) with low < high [Angstrom], found {zoom}")
    good = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    flux, error = np.where(good, flux, np.nan), np.where(good, error, np.nan)
    residual = flux - model_flux
    inside = (wavelength >= low) & (wavelength <= high)

    figure = new_figure(PAGE_WIDTH, 5.4)
    whole, part, rest = figure.subplots(3, 1, height_ratios=(1.0, 1.1, 0.75))
    rest.sharex(part)
    for axes, shown in ((whole, np.ones_like(inside)), (part, inside)):
        if not np.isfinite(flux[shown]).any():
            say_no_stars(axes, "no spectrum here")
            continue
        wide = 0.6 if axes is whole else 1.0
        axes.fill_between(
            wavelength[shown],
            (flux - error)[shown],
            (flux + error)[shown],
            color="0.75",
            linewidth=0,
            label=r"its $1\sigma$ error",
        )
        axes.plot(wavelength[shown], flux[shown], color=PIPELINE, linewidth=wide, label="LAMOST spectrum")
        axes.plot(
            wavelength[shown],
            model_flux[shown],
            color=CANNON,
            linewidth=wide,
            label="model, from the APOGEE labels",
        )
        both = np.concatenate([flux[shown], model_flux[shown]])
        axes.set_ylim(robust_range(both, (0.1, 99.9), pad=0.15))
    if np.isfinite(flux).any():
        whole.set_xlim(wavelength.min(), wavelength.max())
        whole.axvspan(low, high, color="0.93", linewidth=0, zorder=0)
        whole.legend(loc="lower right", ncols=3)
    part.set_xlim(low, high)
    part.tick_params(labelbottom=False)
    rest.axhline(0.0, color=CANNON, linewidth=0.8)
    if np.isfinite(residual[inside]).any():
        rest.fill_between(
            wavelength[inside], -error[inside], error[inside], color="0.75", linewidth=0, zorder=0
        )
        rest.plot(wavelength[inside], residual[inside], color=PIPELINE, linewidth=0.8)
        extent = np.concatenate([np.abs(residual[inside]), error[inside]])
        half = 1.7 * np.nanpercentile(extent, 99.0)
        rest.set_ylim(-half, half)
    pull = (residual / error)[np.isfinite(residual)]
    if pull.size:
        _print_in_corner(
            rest,
            rf"{100 * np.mean(np.abs(pull) < 1):.0f} % within $1\sigma$ (Gaussian: 68 %), "
            rf"$\chi^2$ per pixel {format_number(np.mean(pull**2))}; "
            f"{pull.size:,} pixels, whole spectrum",
            (0.01, 0.93),
            gid="statistics",
        )
    words = [
        f"{label_style(name).symbol} = " + (f"{value:.0f} K" if name == "teff" else f"{value:.2f}")
        for name, value in (labels or {}).items()
        if np.isfinite(value)
    ]
    whole.set_title(", ".join([star] * bool(star) + [word.replace("-", MINUS) for word in words]))
    for axes in (whole, part):
        axes.set_ylabel("normalised flux")
    rest.set(ylabel=f"spectrum {MINUS} model", xlabel=WAVELENGTH_TITLE)
    figure.align_ylabels()
    mark_archive(figure, archive_kind)
    return figure


@use_style()
def figure_02(
    comparison,
    archive_kind,
    *,
    labels=LABELS,
    reference="APOGEE",
    kind="std",
    limits=None,
    max_dots=1000,
):
    """Figure 2: labels from LAMOST spectra against those of APOGEE, for training and for test stars.

    Parameters
    ----------
    comparison : astropy.table.Table
        One row per star: `trained` (bool: the model saw it) and, for each label, `<label>_apogee` and
        `<label>_here`. The caller chooses the test stars (in the paper 30 < S/N < 200).
    archive_kind : {'mock', 'public', 'local'}
    labels : sequence of str
        Panels in this order, four in a row.
    reference : str
        What the reference labels are called on the axes.
    kind : {"std", "robust", "clipped"}
        The scatter that is printed; see `labeltransfer.validation.statistics.bias_and_scatter`.
    limits : dict, optional
        Range of a label in place of the one found.
    max_dots : int
        More test stars than this are shown as counts per cell.

    Returns
    -------
    matplotlib.figure.Figure
        Training stars red, test stars black; the printed scatter and bias (here minus reference) are those
        of the test stars, also of those outside the frame.

    Raises
    ------
    ValueError
        If the table lacks a column, `trained` is not true or false everywhere, or for an unknown archive
        kind.
    """
    trained = float_column(comparison, "trained", "figure 2", "comparison")
    if not np.isin(trained, (0.0, 1.0)).all():
        bad = np.count_nonzero(~np.isin(trained, (0.0, 1.0)))
        raise ValueError(
            f"figure 2 needs column 'trained' true or false in every row; {bad} rows are neither"
        )
    trained = trained == 1.0
    n_train, n_test = np.count_nonzero(trained), np.count_nonzero(~trained)
    dense = n_test > max_dots
    n_row = -(-len(labels) // 4)
    figure = new_figure(PAGE_WIDTH, 0.75 + 1.72 * n_row)
    panels = figure.subplots(n_row, min(4, len(labels)), squeeze=False).ravel()
    for axes, label in zip(panels, labels, strict=False):
        apogee = float_column(comparison, f"{label}_apogee", "figure 2", "comparison")
        here = float_column(comparison, f"{label}_here", "figure 2", "comparison")
        known = np.isfinite(apogee) & np.isfinite(here)
        pooled = np.concatenate([apogee[known], here[known]])
        ends = (limits or {}).get(label) or robust_range(pooled, (0.3, 99.7), pad=0.12)
        test = known & ~trained
        if dense:
            counts = count_cells(apogee[test], here[test], ends, ends, cells_per_side(n_test, 50))
            show_density(axes, counts, ends, ends, DENSITY, log_norm(counts))
        else:
            _dots(axes, apogee[test], here[test], "black", 2.0)
        _dots(axes, apogee[known & trained], here[known & trained], CANNON, 3.0)
        axes.plot(ends, ends, color="white", linewidth=1.6, zorder=3.5)
        axes.plot(ends, ends, color="0.45", linewidth=0.8, zorder=3.6)
        axes.set(xlim=ends, ylim=ends, box_aspect=1)
        axes.locator_params(nbins=4, min_n_ticks=3)
        symbol, unit = label_style(label)
        _print_in_corner(axes, f"{symbol} ({unit})", (0.05, 0.95), fontsize=9)
        difference = (here - apogee)[test]
        if not known.any():
            say_no_stars(axes)
        elif difference.size:
            bias, scatter = bias_and_scatter(difference, kind)
            outside = difference.size - int(count_cells(apogee[test], here[test], ends, ends, 1).sum())
            lines = [
                rf"$1\sigma$ = {format_number(scatter if difference.size > 1 else np.nan, unit)}",
                f"bias {format_number(bias)}",
            ]
            # Said only where it is news: the legend has the number of test stars.
            if difference.size != n_test:
                lines.append(f"{difference.size:,} stars")
            if outside:
                lines.append(f"{outside:,} outside")
            _print_in_corner(
                axes, "\n".join(lines), (0.96, 0.04), ha="right", multialignment="right", gid="statistics"
            )
    for axes in panels[len(labels) :]:
        axes.set_axis_off()
    figure.supxlabel(f"label from {reference}", fontsize=10)
    figure.supylabel("label from the LAMOST spectrum", fontsize=10)
    black = {"marker": "s" if dense else "o", "markersize": 4 if dense else 2.5, "color": "black"}
    handles = [
        Line2D([], [], linestyle="none", marker="o", markersize=2.5, color=CANNON),
        Line2D([], [], linestyle="none", **black),
    ]
    figure.legend(
        handles,
        [f"{n_train:,} training stars", f"{n_test:,} test stars" + (", counts per cell" if dense else "")],
        loc="outside upper right",
        ncols=2,
    )
    mark_archive(figure, archive_kind)
    return figure


def _dots(axes, x, y, color, size):
    """Stars as one rasterised collection, smaller dots for more of them."""
    axes.scatter(
        x,
        y,
        s=float(np.clip(size * 500.0 / max(x.size, 1), 0.4 * size, 3.0 * size)),
        color=color,
        linewidths=0,
        rasterized=True,
        zorder=3,
    )


@use_style()
def figure_03(
    wavelength,
    theory,
    gradients,
    correlations,
    label_names,
    archive_kind,
    *,
    label="mg_h",
    window=(5100.0, 5250.0),
    step="",
):
    """Figure 3: which features carry a label, in theory and in models trained in several ways.

    Parameters
    ----------
    wavelength : (n_pix,) array
        Vacuum wavelength [Angstrom].
    theory : (n_label, n_pix) array
        Ab initio gradients: the change of the normalised flux for a step of each label.
    gradients : dict of str to (n_label, n_pix) array
        Gradients of the model trained by each method, for the same steps at the same reference point; one
        row of panels per method, `no_prior`, `quadratic`, `l1` and `prior` in this order, then others.
    correlations : dict of str to (n_label,) array
        Correlation of model and theory gradients over all wavelengths, for the same methods; see
        `labeltransfer.validation.gradient_correlation.gradient_correlation`. NaN where there is none.
    label_names : sequence of n_label str
        Names of the labels, in the order of the gradients.
    archive_kind : {'mock', 'public', 'local'}
    label : str
        The label of the left panels.
    window : (float, float)
        Their range [Angstrom].
    step : str
        The step, for the axis: "0.2 dex".

    Returns
    -------
    matplotlib.figure.Figure
        Left: theory black, model red, one scale for all methods. Right: histograms of the correlations.

    Raises
    ------
    ValueError
        If shapes or methods do not agree, the label is not among the names, the window is no range, or for
        an unknown archive kind.
    """
    wavelength, theory = np.asarray(wavelength, dtype=float), np.asarray(theory, dtype=float)
    label_names = list(label_names)
    low, high = (float(end) for end in window)
    expected = (len(label_names), wavelength.size)
    if label not in label_names:
        raise ValueError(f"figure 3 needs label '{label}' among the labels: {', '.join(label_names)}")
    if not low < high:
        raise ValueError(f"figure 3 needs a window (low, high) with low < high [Angstrom], found {window}")
    if not gradients or set(gradients) != set(correlations):
        raise ValueError(
            "figure 3 needs gradients and correlations of the same methods, at least one: "
            f"found {', '.join(gradients) or 'none'} and {', '.join(correlations) or 'none'}"
        )
    for name, found in [("theory", theory), *gradients.items()]:
        if np.shape(found) != expected:
            raise ValueError(
                f"figure 3 needs gradients of shape {expected} (labels, pixels), "
                f"found {np.shape(found)} for {name}"
            )
    for name, found in correlations.items():
        if np.shape(found) != expected[:1]:
            raise ValueError(
                f"figure 3 needs {expected[0]} correlations, one per label, found shape {np.shape(found)} "
                f"for {name}"
            )
    row = label_names.index(label)
    inside = (wavelength >= low) & (wavelength <= high)
    styles = _method_styles(gradients)
    curves = {method: np.asarray(gradients[method], dtype=float)[row, inside] for method in styles}
    values = {method: np.asarray(correlations[method], dtype=float) for method in styles}
    known = np.concatenate([found[np.isfinite(found)] for found in values.values()])
    # Bins of a tenth that start at a round number below all values.
    lowest = min(-0.2, np.floor(10 * known.min()) / 10) if known.size else -0.2
    edges = np.linspace(lowest, 1.0, round(10 * (1.0 - lowest)) + 1)

    symbol = label_style(label).symbol
    figure = new_figure(PAGE_WIDTH, 0.75 + 1.45 * len(styles))
    panels = figure.subplots(len(styles), 2, sharex="col", sharey="col", squeeze=False, width_ratios=(1.7, 1))
    figure.get_layout_engine().set(hspace=0.0, h_pad=0.015)
    for (left, right), (method, (name, _, _)) in zip(panels, styles.items(), strict=True):
        left.axhline(0.0, color="0.8", linewidth=0.5, zorder=0)
        if np.isfinite(theory[row, inside]).any() or np.isfinite(curves[method]).any():
            left.plot(wavelength[inside], theory[row, inside], color="black", linewidth=1.2, label="theory")
            left.plot(wavelength[inside], curves[method], color=CANNON, linewidth=1.2, label="model")
        else:
            say_no_stars(left, "no gradient here")
        _print_in_corner(left, name, (0.02, 0.06), fontsize=9)
        _print_in_corner(
            left,
            f"r = {format_number(values[method][row])}\nover all wavelengths",
            (0.985, 0.06),
            ha="right",
            multialignment="right",
            gid="statistics",
        )
        finite = values[method][np.isfinite(values[method])]
        right.hist(finite, bins=edges, color=CANNON, alpha=0.35, histtype="stepfilled")
        right.hist(finite, bins=edges, color=CANNON, linewidth=1.0, histtype="step")
        if finite.size == 0:
            say_no_stars(right, "no correlation")
            continue
        median = np.median(finite)
        right.axvline(median, color="black", linestyle="--", linewidth=0.9)
        missing = len(label_names) - finite.size
        lines = [name, f"median {format_number(median)}", f"{finite.size} labels"]
        lines += [f"{missing} unknown"] if missing else []
        _print_in_corner(right, "\n".join(lines), (0.04, 0.94), gid="median")
    everything = np.concatenate([theory[row, inside], *curves.values()])
    everything = everything[np.isfinite(everything)]
    if everything.size:
        bottom, top = everything.min(), everything.max()
        span = (top - bottom) or 1.0
        # Room below for the words, above for the legend of the first panel.
        panels[0, 0].set_ylim(bottom - 0.42 * span, top + 0.2 * span)
        panels[0, 0].legend(loc="upper left", ncols=2)
    panels[0, 0].set_xlim(low, high)
    panels[0, 1].set_xlim(edges[0], edges[-1])
    panels[0, 1].set_ylim(0.0, 1.12 * max(1.0, panels[0, 1].get_ylim()[1]))
    panels[0, 1].yaxis.get_major_locator().set_params(integer=True)
    panels[-1, 0].set_xlabel(WAVELENGTH_TITLE)
    panels[-1, 1].set_xlabel("correlation of model and theory gradients")
    for left, right in panels:
        left.set_ylabel(r"$\Delta f$")
        right.set_ylabel("labels")
    panels[0, 0].set_title(f"change of the flux with {symbol}" + (f", for {step}" if step else ""))
    panels[0, 1].set_title("all labels, all wavelengths")
    mark_archive(figure, archive_kind)
    return figure


@use_style()
def figure_d_scale(scan, archive_kind, *, chosen=10.0):
    """What the prior costs and what it buys: scatter and gradient correlation against D_scale.

    Parameters
    ----------
    scan : astropy.table.Table
        One row per D_scale and label: `d_scale`, `label`, `scatter_ratio` (cross-validated scatter over that
        for D_scale = 0) and `correlation` (of model and theory gradients). NaN where there is none.
    archive_kind : {'mock', 'public', 'local'}
    chosen : float
        The D_scale of the final model; the medians at it are printed.

    Returns
    -------
    matplotlib.figure.Figure
        A thin line per label and a thick one for the median over the labels, in both panels; the paper's
        number in the upper one.

    Raises
    ------
    ValueError
        If the table lacks a column, a D_scale is negative or not finite, the scan has rows but not the chosen
        D_scale, a label occurs twice for one D_scale, or for an unknown archive kind.
    """
    d_scale = float_column(scan, "d_scale", "the D_scale figure", "scan")
    label = _text_column(scan, "label", "the D_scale figure", "scan")
    quantities = {
        name: float_column(scan, name, "the D_scale figure", "scan")
        for name in ("scatter_ratio", "correlation")
    }
    if not (np.isfinite(d_scale) & (d_scale >= 0)).all():
        raise ValueError("the D_scale figure needs every d_scale finite and not negative")
    places = np.unique(d_scale)
    if places.size and chosen not in places:
        raise ValueError(
            f"the D_scale figure needs the chosen D_scale {chosen:g} in the scan, which has: "
            f"{', '.join(f'{place:g}' for place in places)}"
        )
    names = list(dict.fromkeys(label))

    figure = new_figure(COLUMN_WIDTH, 5.2)
    panels = figure.subplots(2, 1, sharex=True)
    figure.get_layout_engine().set(hspace=0.0, h_pad=0.02)
    titles = (r"scatter / scatter for $D_{\rm scale}=0$", "correlation with theory")
    for axes, (quantity, values), title in zip(panels, quantities.items(), titles, strict=True):
        axes.set_ylabel(title)
        grid = np.full((len(names), places.size), np.nan)
        for i, name in enumerate(names):
            rows = np.flatnonzero(label == name)
            columns = np.searchsorted(places, d_scale[rows])
            if np.unique(columns).size < columns.size:
                raise ValueError(f"the D_scale figure needs one row per D_scale and label, {name} has more")
            grid[i, columns] = values[rows]
        if not np.isfinite(grid).any():
            say_no_stars(axes, "no scan")
            continue
        for line in grid:
            axes.plot(places, line, color="0.6", linewidth=0.6, zorder=2)
        filled = np.isfinite(grid).any(axis=0)
        median = np.full(places.size, np.nan)
        median[filled] = np.nanmedian(grid[:, filled], axis=0)
        axes.plot(
            places, median, color=CANNON, linewidth=1.8, marker="o", label="median of the labels", zorder=4
        )
        if quantity == "scatter_ratio":
            axes.axhline(1.0, color="0.4", linewidth=0.6, zorder=1)
            axes.set_yscale("log")
            ticks = [tick * 10.0**power for power in range(-2, 4) for tick in (1, 1.2, 1.5, 2, 3, 5, 7)]
            axes.yaxis.set_major_locator(FixedLocator(ticks))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter("{x:g}")
            axes.plot(
                *PUBLISHED_D_SCALE,
                marker="*",
                markersize=11,
                markerfacecolor="white",
                markeredgecolor="black",
                linestyle="none",
                label="Ting et al. 2017",
                zorder=3.5,
            )
            shown = np.append(grid[np.isfinite(grid)], PUBLISHED_D_SCALE[1])
            axes.set_ylim(0.93 * shown.min(), 1.35 * shown.max())
            axes.legend(loc="upper left", bbox_to_anchor=(0.0, 0.9))
        else:
            axes.set_ylim(robust_range(grid, (0, 100), pad=0.1))
        at_chosen = median[np.searchsorted(places, chosen)]
        words = rf"median {format_number(at_chosen)} at $D_{{\rm scale}}$ = {chosen:g}"
        here = grid[:, np.searchsorted(places, chosen)]
        if quantity == "correlation" and np.isfinite(here).any():
            lowest = int(np.nanargmin(here))
            words += f"\nlowest: {short_symbol(names[lowest])}, {format_number(here[lowest])}"
        axes.axvline(chosen, color="black", linestyle=":", linewidth=0.8, zorder=1)
        _print_in_corner(
            axes,
            words,
            (0.03, 0.96) if quantity == "scatter_ratio" else (0.97, 0.04),
            ha="left" if quantity == "scatter_ratio" else "right",
            gid="statistics",
        )
    _set_d_scale_axis(panels[-1], places)
    # Correlations all end at 1: only the scatter tells the labels apart.
    ratio = quantities["scatter_ratio"]
    ends = [_last_value(d_scale[label == name], ratio[label == name]) for name in names]
    _names_beside(panels[0], [short_symbol(name) for name in names], ends)
    panels[-1].set_xlabel(r"strength of the prior, $D_{\rm scale}$")
    mark_archive(figure, archive_kind)
    return figure


def _set_d_scale_axis(axes, places):
    """A logarithmic axis with a place for zero."""
    positive = places[places > 0]
    if positive.size == 0:
        return
    first, last = positive[0], positive[-1]
    axes.set_xscale("symlog", linthresh=first, linscale=0.6)
    powers = 10.0 ** np.arange(np.ceil(np.log10(first) - 1e-9), np.floor(np.log10(last) + 1e-9) + 1)
    axes.set_xticks([0.0, *powers], [f"{tick:g}" for tick in (0.0, *powers)])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(-0.1 * first if places[0] == 0 else 0.8 * first, 1.2 * last)


def _last_value(x, y):
    """The y that is known at the largest x; NaN if none is."""
    known = np.isfinite(y)
    return y[known][np.argmax(x[known])] if known.any() else np.nan


def _names_beside(axes, names, values, gap=0.058):
    """Names to the right of a panel at the ends of their lines, moved apart and joined to them."""
    values = np.asarray(values, dtype=float)
    known = np.flatnonzero(np.isfinite(values))
    if known.size == 0:
        return
    # Heights as fractions of the panel: what the eye sees, whatever the scale.
    points = axes.transData.transform(np.column_stack([np.ones(known.size), values[known]]))
    heights = axes.transAxes.inverted().transform(points)[:, 1]
    places = spread_positions(heights, gap)
    rank = np.argsort(np.argsort(places, kind="stable"))
    places = np.clip(places - gap * rank, 0.0, max(0.0, 1.0 - gap * (known.size - 1))) + gap * rank
    for row, height, place in zip(known, heights, places, strict=True):
        axes.annotate(
            names[row],
            xy=(1.0, height),
            xytext=(1.09, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            ha="left",
            va="center",
            fontsize=7.5,
            color="0.2",
            # from the left end of the name, so that no line crosses it
            arrowprops={
                "arrowstyle": "-",
                "color": "0.6",
                "linewidth": 0.4,
                "shrinkA": 1,
                "shrinkB": 0,
                "relpos": (0.0, 0.5),
            },
            annotation_clip=False,
        )


@use_style()
def figure_cramer_rao(bounds, archive_kind, *, snr=None):
    """How precise labels could be, and how precise they are.

    Parameters
    ----------
    bounds : astropy.table.Table
        One row per label and S/N: `label`, `snr` (per pixel), `bound_theory` and `bound_model` (Cramer-Rao
        bounds from ab initio gradients and from those of the model; infinite where the spectrum does not
        constrain the label) and `measured` (scatter against the reference labels of stars of about that
        S/N). Units of the labels: K for `teff`, dex. NaN where there is none.
    archive_kind : {'mock', 'public', 'local'}
    snr : float, optional
        S/N of the upper panel; by default that of the table nearest to the paper's 30.

    Returns
    -------
    matplotlib.figure.Figure
        Above, the three numbers of every label at one S/N, those of Teff in 1000 K so that one scale serves
        all; below, measured scatter over bound at every S/N, with the median over the labels.

    Raises
    ------
    ValueError
        If the table lacks a column, has not that S/N, a label occurs twice for one S/N, or for an unknown
        archive kind.
    """
    label = _text_column(bounds, "label", "the Cramer-Rao figure", "bounds")
    columns = {
        name: float_column(bounds, name, "the Cramer-Rao figure", "bounds")
        for name in ("snr", "bound_theory", "bound_model", "measured")
    }
    all_snr = np.unique(columns["snr"])
    if not np.isfinite(columns["snr"]).all():
        raise ValueError("the Cramer-Rao figure needs a finite snr in every row")
    if snr is None:
        snr = all_snr[np.argmin(np.abs(all_snr - 30.0))] if all_snr.size else 30.0
    elif snr not in all_snr:
        raise ValueError(
            f"the Cramer-Rao figure needs S/N {snr:g} in the table, which has: "
            f"{', '.join(f'{value:g}' for value in all_snr)}"
        )
    names = list(dict.fromkeys(label))
    shape = (all_snr.size, len(names))
    grids = {name: np.full(shape, np.nan) for name in ("bound_theory", "bound_model", "measured")}
    place = (
        np.searchsorted(all_snr, columns["snr"]),
        np.array([names.index(name) for name in label], dtype=int),
    )
    if np.unique(np.ravel_multi_index(place, shape) if label.size else []).size < label.size:
        raise ValueError("the Cramer-Rao figure needs one row per label and S/N, found some twice")
    for name, grid in grids.items():
        grid[place] = columns[name]

    figure = new_figure(PAGE_WIDTH, 5.2)
    upper, lower = figure.subplots(2, 1, sharex=True)
    figure.get_layout_engine().set(hspace=0.0, h_pad=0.02)
    x = np.arange(len(names))
    scale = np.array([1e-3 if name == "teff" else 1.0 for name in names])
    chosen = int(np.searchsorted(all_snr, snr))
    drawn = [
        ("bound_theory", "bound, gradients of theory", {"marker": "_", "color": "black", "markersize": 11}),
        (
            "bound_model",
            "bound, gradients of the model",
            {"marker": "_", "color": PIPELINE, "markersize": 11},
        ),
        ("measured", "measured scatter", {"marker": "o", "color": CANNON, "markersize": 5}),
    ]
    drawable = np.concatenate([(grid * scale)[chosen] for grid in grids.values()]) if names else np.array([])
    drawable = drawable[np.isfinite(drawable) & (drawable > 0)]
    for axes in (upper, lower):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        _label_axis(axes, names, [_with_unit(name) for name in names])
    if drawable.size:
        for name, title, options in drawn:
            y = grids[name][chosen] * scale
            upper.plot(
                x, np.where(np.isfinite(y), y, np.nan), linestyle="none", mew=2, label=title, **options
            )
            for i in np.flatnonzero(np.isposinf(y)):
                shift = -0.18 if name == "bound_theory" else 0.18
                upper.text(
                    i + shift,
                    0.86,
                    r"$\infty$",
                    transform=upper.get_xaxis_transform(),
                    ha="center",
                    color=options["color"],
                    fontsize=11,
                )
        upper.axhline(PUBLISHED_BOUND, color="0.5", linestyle=":", linewidth=0.9, zorder=1, label="0.05 dex")
        upper.set_ylim(0.6 * min(drawable.min(), PUBLISHED_BOUND), 4.0 * max(drawable.max(), PUBLISHED_BOUND))
        upper.legend(loc="upper left", ncols=4, columnspacing=1.2)
    else:
        say_no_stars(upper, "no bounds")
    upper.set_ylabel(f"standard deviation (dex), S/N = {snr:g}")

    ratios = {name: _ratio(grids["measured"], grids[name]) for name in ("bound_theory", "bound_model")}
    known = np.concatenate([ratio[np.isfinite(ratio) & (ratio > 0)] for ratio in ratios.values()])
    if known.size:
        _show_ratios(lower, x, all_snr, ratios)
        lower.axhline(1.0, color="0.4", linewidth=0.7, zorder=1)
        lower.axhline(PUBLISHED_RATIO, color="0.5", linestyle=":", linewidth=0.9, zorder=1)
        lower.set_ylim(0.7 * min(known.min(), 1.0), 1.3 * max(known.max(), PUBLISHED_RATIO))
        ticks = [tick * 10.0**power for power in range(-2, 5) for tick in (1, 2, 5)]
        lower.yaxis.set_major_locator(FixedLocator(ticks))
    else:
        say_no_stars(lower, "no ratios")
    lower.set_ylabel("measured / bound")
    mark_archive(figure, archive_kind)
    return figure


def _with_unit(label):
    """Symbol of a label below the axis; the scale of Teff is not that of the others."""
    return short_symbol(label) + ("\n(1000 K)" if label == "teff" else "")


def _ratio(measured, bound):
    """Measured over bound; NaN where the bound is infinite, zero or unknown."""
    good = np.isfinite(bound) & (bound > 0)
    return np.where(good, measured / np.where(good, bound, 1.0), np.nan)


def _show_ratios(axes, x, all_snr, ratios):
    """Measured over bound at every S/N: full against theory's bound, open against the model's."""
    handles, words = [], []
    for i, value in enumerate(all_snr):
        color = SNR_COLORS(i / max(all_snr.size - 1, 1))
        shift = 0.0 if all_snr.size == 1 else 0.5 * (i / (all_snr.size - 1) - 0.5)
        for name, ratio in ratios.items():
            face = color if name == "bound_theory" else "white"
            options = {"marker": "o", "linestyle": "none", "color": color, "markerfacecolor": face}
            (points,) = axes.plot(
                x + shift, ratio[i], markersize=4, zorder=3, gid=f"{name} {value:g}", **options
            )
            if name == "bound_theory":
                handles.append(points)
        medians = [_median(ratio[i]) for ratio in ratios.values()]
        words.append(f"S/N {value:g}: {format_number(medians[0])}, {format_number(medians[1])}")
    axes.legend(
        handles,
        words,
        title="medians over the labels: bound of theory (full), bound of the model (open)",
        title_fontsize=8,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=max(1, min(4, len(words))),
        handletextpad=0.2,
    )


def _median(values):
    values = np.asarray(values)[np.isfinite(values)]
    return np.median(values) if values.size else np.nan


@use_style()
def figure_shift_test(shifts, archive_kind, *, y_range=(-0.6, 1.6)):
    """Measured or inferred: how much of a shift of one abundance each method finds.

    Parameters
    ----------
    shifts : astropy.table.Table
        One row per label, method and shift: `label` (whose abundance alone was shifted), `method`, `shift`
        [dex], `recovered_fraction` (change of the label over the shift: 1 if it is measured, 0 if it is
        inferred from other labels) and `error` (its standard error, NaN if unknown).
    archive_kind : {'mock', 'public', 'local'}
    y_range : (float, float)
        Ends of the ordinate; points beyond it are drawn as arrows at its edge.

    Returns
    -------
    matplotlib.figure.Figure
        Methods side by side for every label; upward shifts full, downward shifts open. The median over labels
        and shifts of each method is printed.

    Raises
    ------
    ValueError
        If the table lacks a column, or for an unknown archive kind.
    """
    label = _text_column(shifts, "label", "the shift figure", "shifts")
    method = _text_column(shifts, "method", "the shift figure", "shifts")
    shift, fraction, error = (
        float_column(shifts, name, "the shift figure", "shifts")
        for name in ("shift", "recovered_fraction", "error")
    )
    names = list(dict.fromkeys(label))
    styles = _method_styles(method)
    all_shifts = np.unique(shift)
    low, high = y_range

    figure = new_figure(PAGE_WIDTH, 3.3)
    axes = figure.subplots()
    _label_axis(axes, names)
    axes.axhline(1.0, color="0.3", linewidth=0.8, zorder=1)
    axes.axhline(0.0, color="0.3", linewidth=0.8, linestyle="--", zorder=1)
    n_place = max(1, len(styles) * all_shifts.size)
    handles, words = [], []
    for i, (name, (title, color, marker)) in enumerate(styles.items()):
        for j, value in enumerate(all_shifts):
            rows = np.flatnonzero((method == name) & (shift == value) & np.isfinite(fraction))
            place = (i * all_shifts.size + j + 0.5) / n_place - 0.5
            x = np.array([names.index(label[row]) for row in rows], dtype=float) + 0.8 * place
            y = fraction[rows]
            shown = (y >= low) & (y <= high)
            options = {"color": color, "linestyle": "none", "zorder": 3, "markersize": 4}
            options["markerfacecolor"] = color if value > 0 else "white"
            axes.errorbar(
                x[shown],
                y[shown],
                np.where(np.isfinite(error[rows]), error[rows], 0.0)[shown],
                marker=marker,
                elinewidth=0.8,
                gid=f"{name} {value:g}",
                **options,
            )
            for beyond, edge, arrow in ((y > high, high, 6), (y < low, low, 7)):
                if beyond.any():  # an unclipped line without points would move the layout
                    axes.plot(x[beyond], np.full(beyond.sum(), edge), marker=arrow, clip_on=False, **options)
        found = fraction[(method == name) & np.isfinite(fraction)]
        handles.append(Line2D([], [], linestyle="none", marker=marker, color=color))
        words.append(f"{title}: median {format_number(_median(found))}")
    axes.set(ylim=y_range, ylabel="recovered fraction of the shift")
    if not np.isfinite(fraction).any():
        say_no_stars(axes)
    else:
        amounts = ", ".join(f"{value:+g}" for value in all_shifts).replace("-", MINUS)
        axes.set_title(
            f"one abundance shifted by {amounts} dex"
            + (" (up full, down open)" if all_shifts[0] < 0 < all_shifts[-1] else ""),
            fontsize=8.5,
        )
        figure.legend(
            handles,
            words,
            loc="outside lower center",
            ncols=max(1, min(4, len(words))),
            handletextpad=0.1,
            columnspacing=1.2,
        )
        for height, word in ((1.0, "measured"), (0.0, "inferred")):
            axes.annotate(
                word,
                (1.0, height),
                xycoords=("axes fraction", "data"),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                rotation=90,
            )
    mark_archive(figure, archive_kind)
    return figure
