"""The twelve figures of Ho et al. 2017: tables and arrays in, one matplotlib Figure out.

Every function takes `archive_kind` ("mock", "public" or "local"); figures of the mock archive say so. Frames
are those of the paper where most stars fall into them, else they follow the stars, so that the same functions
draw other samples. Stars are counted in cells, so a figure has as many artists for 20 stars as for
444,228. Label names are those of our tables: `teff` [K], `logg`, `fe_h`, `alpha_m` [dex], `a_k` [mag].
"""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from scipy.ndimage import gaussian_filter

from labeltransfer.figures.panels import (
    WHITE_BOX,
    cells_per_side,
    choose_half_range,
    choose_kiel_ranges,
    choose_range,
    contour_levels,
    count_cells,
    float_column,
    log_norm,
    print_statistics,
    random_rows,
    same_length,
    say_no_stars,
    set_kiel_axes,
    show_colored_stars,
    show_density,
    show_survey,
    spread_positions,
)
from labeltransfer.figures.sky import sky_map
from labeltransfer.figures.style import (
    CANNON,
    COLUMN_WIDTH,
    DENSITY,
    DIB,
    FEATURE,
    MINUS,
    NUISANCE_DENSITY,
    PAGE_WIDTH,
    PIPELINE,
    PSEUDO_CONTINUUM,
    axis_title,
    label_style,
    mark_archive,
    new_figure,
    robust_range,
    use_style,
)
from labeltransfer.validation.statistics import scatter_against_snr

LABELS = ("teff", "logg", "fe_h", "alpha_m", "a_k")
PIPELINE_LABELS = ("teff", "logg", "fe_h")

#: Frames of the published figures: range of each label, and half range of its residuals.
LABEL_RANGES = {
    "teff": (4000.0, 5300.0),
    "logg": (1.1, 3.8),
    "fe_h": (-2.0, 0.5),
    "alpha_m": (-0.08, 0.4),
    "a_k": (-0.1, 0.5),
}
RESIDUAL_RANGES = {"teff": 300.0, "logg": 0.7, "fe_h": 0.5, "alpha_m": 0.2, "a_k": 0.2}
GIANT_KIEL_RANGES = {"teff": (3600.0, 6000.0), "logg": (0.0, 4.5)}
SURVEY_KIEL_RANGES = {"teff": (3500.0, 7500.0), "logg": (0.0, 5.2)}

#: Rows of figures 1 and 6: name, lower and upper limit of the LAMOST S/N.
SNR_ROWS = (("S/N > 100", 100.0, np.inf), ("50 < S/N < 100", 50.0, 100.0), ("S/N < 50", -np.inf, 50.0))

SNR_LEGEND = ("The Cannon", "LAMOST pipeline", r"$\propto 1/{\rm SNR}$", "bootstrap of models")

FEATURE_NAMES = {
    "H alpha": r"H$\alpha$",
    "H beta": r"H$\beta$",
    "H gamma": r"H$\gamma$",
    "H delta": r"H$\delta$",
}


def _residual_grid(comparison, method, title, figure_name, archive_kind, labels, reference, limits, bins):
    """Residuals against APOGEE labels: a column per label, a row per range of S/N."""
    snr = float_column(comparison, "snr", figure_name, "comparison")
    bins = bins or cells_per_side(snr.size / len(SNR_ROWS), 45)
    figure = new_figure(PAGE_WIDTH, 0.98 * PAGE_WIDTH)
    panels = figure.subplots(len(SNR_ROWS), len(labels), sharex="col", sharey="col", squeeze=False)
    figure.get_layout_engine().set(hspace=0.0, h_pad=0.01)
    limits = limits or {}
    for column, label in zip(panels.T, labels, strict=True):
        apogee = float_column(comparison, f"{label}_apogee", figure_name, "comparison")
        residual = float_column(comparison, f"{label}_{method}", figure_name, "comparison") - apogee
        x_range, half = limits.get(label) or (
            choose_range(apogee, LABEL_RANGES.get(label, robust_range(apogee))),
            choose_half_range(residual, RESIDUAL_RANGES.get(label, 0.0)),
        )
        y_range = (-half, half)
        rows = [(snr > low) & (snr <= high) & np.isfinite(apogee + residual) for _, low, high in SNR_ROWS]
        counts = [count_cells(apogee[row], residual[row], x_range, y_range, bins) for row in rows]
        norm = log_norm(*counts)
        for axes, (name, _, _), row, count in zip(column, SNR_ROWS, rows, counts, strict=True):
            show_density(axes, count, x_range, y_range, DENSITY, norm)
            axes.axhline(0.0, color="black", linewidth=0.8, zorder=3)
            axes.text(
                0.04, 0.955, name, transform=axes.transAxes, va="top", fontsize=8, zorder=4, bbox=WHITE_BOX
            )
            outside = np.count_nonzero(row) - int(count.sum())
            print_statistics(axes, residual[row], label_style(label).unit, outside)
        symbol, unit = label_style(label)
        column[0].set_title(f"{title} {MINUS} {reference}: $\\Delta${symbol} ({unit})")
        column[-1].set_xlabel(axis_title(label, after=f"from {reference}"))
        column[0].locator_params(axis="both", nbins=5)
    mark_archive(figure, archive_kind)
    return figure


@use_style()
def figure_01(
    comparison, archive_kind, *, labels=PIPELINE_LABELS, reference="APOGEE", limits=None, bins=None
):
    """Figure 1: labels of the LAMOST pipeline minus those of APOGEE, for the reference stars.

    Parameters
    ----------
    comparison : astropy.table.Table
        One row per reference star: `snr` (median of flux / error over the pixels) and, for each label,
        `<label>_apogee` and `<label>_lamost`.
    archive_kind : {'mock', 'public', 'local'}
    labels : sequence of str
        Columns of the figure.
    reference : str
        What the reference labels are called on the axes.
    limits : dict, optional
        For a label, `((low, high), half)`: its range and the half range of its residuals.
    bins : int, optional
        Cells along each side of a panel; default 45, fewer for small samples.

    Returns
    -------
    matplotlib.figure.Figure
        Rows are LAMOST S/N above 100, 50 to 100 and below 50. The printed scatter (standard deviation) and
        bias (mean) are those of all stars of a panel, also of those outside its frame.

    Raises
    ------
    ValueError
        If the table lacks a column, or for an unknown archive kind.
    """
    return _residual_grid(
        comparison, "lamost", "LAMOST", "figure 1", archive_kind, labels, reference, limits, bins
    )


@use_style()
def figure_02(
    apogee_wavelength,
    apogee_flux,
    wavelength,
    flux,
    pseudo_continuum,
    grid_wavelength,
    normalised_flux,
    archive_kind,
    *,
    star="",
    labels=None,
):
    """Figure 2: one reference star as APOGEE and LAMOST saw it, and as The Cannon sees it.

    Parameters
    ----------
    apogee_wavelength, apogee_flux : (n_apogee,) array or None
        The normalised APOGEE spectrum, vacuum wavelength [Angstrom]; zero flux is a gap between detectors.
        None, or arrays without a pixel, leave the panel empty.
    wavelength, flux, pseudo_continuum : (n_raw,) array
        The LAMOST spectrum as published, vacuum wavelength [Angstrom], and its smoothed version (Eq. 1); NaN
        where there is none.
    grid_wavelength, normalised_flux : (n_pix,) array
        The spectrum divided by its pseudo-continuum, on the common grid [Angstrom].
    archive_kind : {'mock', 'public', 'local'}
    star : str
        Name of the star, printed in the first panel.
    labels : dict, optional
        APOGEE labels of the star by name, printed in the first panel.

    Raises
    ------
    ValueError
        If arrays of one spectrum differ in shape, or for an unknown archive kind.
    """
    if apogee_wavelength is None or apogee_flux is None:
        apogee_wavelength, apogee_flux = [], []
    apogee_wavelength, apogee_flux = same_length(
        "figure 2", apogee_wavelength=apogee_wavelength, apogee_flux=apogee_flux
    )
    wavelength, flux, pseudo_continuum = same_length(
        "figure 2", wavelength=wavelength, flux=flux, pseudo_continuum=pseudo_continuum
    )
    grid_wavelength, normalised_flux = same_length(
        "figure 2", grid_wavelength=grid_wavelength, normalised_flux=normalised_flux
    )
    apogee_flux = np.where(apogee_flux == 0, np.nan, apogee_flux)

    figure = new_figure(PAGE_WIDTH, 5.6)
    top, middle, bottom = figure.subplots(3, 1)
    title = ", ".join(
        [star] * bool(star)
        + [
            f"{label_style(name).symbol} = {_label_value(name, value)}"
            for name, value in (labels or {}).items()
            if np.isfinite(value)
        ]
    )
    top.set_title(title or "reference star")
    for axes, x, y, line in (
        (top, apogee_wavelength, apogee_flux, {"color": "black", "label": "APOGEE, normalised"}),
        (middle, wavelength, flux, {"color": "black", "label": "LAMOST"}),
        (bottom, grid_wavelength, normalised_flux, {"color": "black", "label": "LAMOST, normalised"}),
    ):
        if np.isfinite(y).any():
            axes.plot(x, y, linewidth=0.5, **line)
            axes.set(xlim=(x.min(), x.max()), ylim=robust_range(y, (0.1, 99.9), pad=0.12))
        else:
            say_no_stars(axes, "no spectrum")
    if np.isfinite(pseudo_continuum).any():
        middle.plot(
            wavelength, pseudo_continuum, color=PSEUDO_CONTINUUM, linewidth=1.4, label="smoothed, Gaussian"
        )
    if np.isfinite(normalised_flux).any():
        bottom.axhline(1.0, color=PSEUDO_CONTINUUM, linewidth=0.8, zorder=1)
    # One wavelength axis for the two LAMOST panels: a line is found below itself, but for its redshift.
    covered = [x for x in (wavelength, grid_wavelength) if x.size]
    if covered:
        for axes in (middle, bottom):
            axes.set_xlim(min(x.min() for x in covered), max(x.max() for x in covered))
    top.set_ylabel("APOGEE flux,\nnormalised")
    middle.set_ylabel("LAMOST flux,\nrelative")
    middle.legend(loc="lower center", ncols=2)
    bottom.set_ylabel("LAMOST flux,\nnormalised")
    bottom.set_xlabel(r"wavelength in vacuum ($\rm\AA$)")
    mark_archive(figure, archive_kind)
    return figure


def _label_value(label, value):
    unit = label_style(label).unit
    text = f"{value:.0f} K" if unit == "K" else f"{value:.2f}"
    return text.replace("-", MINUS)


@use_style()
def figure_03(survey, comparison, archive_kind, *, reference="APOGEE", limits=None, fe_h_range=(-1.2, 0.4)):
    """Figure 3: the reference stars over the whole survey, with LAMOST and with APOGEE labels.

    Parameters
    ----------
    survey : astropy.table.Table
        `teff` [K] and `logg` of the survey's pipeline for every spectrum; drawn in black.
    comparison : astropy.table.Table
        Reference stars with `teff`, `logg` and `fe_h`, each as `_lamost` and `_apogee`.
    archive_kind : {'mock', 'public', 'local'}
    reference : str
        What the reference labels are called in the title.
    limits : dict, optional
        Ranges of `teff` and `logg` in place of those found.
    fe_h_range : tuple of float
        Ends of the colour scale [dex].
    """
    teff = float_column(survey, "teff", "figure 3", "survey")
    logg = float_column(survey, "logg", "figure 3", "survey")
    ranges = choose_kiel_ranges(teff, logg, SURVEY_KIEL_RANGES, limits)
    norm = Normalize(*fe_h_range)
    figure = new_figure(PAGE_WIDTH, 3.5)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, method, title in zip(panels, ("lamost", "apogee"), ("LAMOST", reference), strict=True):
        show_survey(axes, teff, logg, ranges)
        stars = show_colored_stars(
            axes,
            *(
                float_column(comparison, f"{label}_{method}", "figure 3", "comparison")
                for label in PIPELINE_LABELS
            ),
            norm,
        )
        axes.set_title(f"reference stars with {title} labels")
    panels[0].set_ylabel(axis_title("logg"))
    figure.colorbar(stars, ax=list(panels), label=axis_title("fe_h"), extend="both", pad=0.02)
    mark_archive(figure, archive_kind)
    return figure


@use_style()
def figure_04(wavelength, coefficients, scatter, features, dibs, archive_kind, *, labels=LABELS, steps=None):
    """Figure 4: linear coefficients and scatter of the model against wavelength.

    Parameters
    ----------
    wavelength : (n_pix,) array
        Vacuum wavelength [Angstrom].
    coefficients : (n_label, n_pix) array
        Linear coefficients, already multiplied by a step of each label (in the paper 91.5 K, 0.11, 0.05 and
        0.05 dex, 1 mag): the change of the normalised flux for that step.
    scatter : (n_pix,) array
        Intrinsic scatter of the model, in units of the normalised flux.
    features : astropy.table.Table
        Named stellar features: `feature`, `wavelength` [Angstrom, vacuum]; rows with one name share it.
    dibs : astropy.table.Table
        Diffuse interstellar bands: `name`, `wavelength` [Angstrom, vacuum].
    archive_kind : {'mock', 'public', 'local'}
    labels : sequence of str
        Names of the labels, in the order of the coefficients.
    steps : sequence of float, optional
        The steps, printed in the panels.

    Raises
    ------
    ValueError
        If shapes disagree, a table lacks a column, or for an unknown archive kind.
    """
    wavelength, scatter = same_length("figure 4", wavelength=wavelength, scatter=scatter)
    coefficients = np.asarray(coefficients, dtype=float)
    if coefficients.shape != (len(labels), wavelength.size):
        raise ValueError(
            f"figure 4 needs one row of {wavelength.size} coefficients for each of {', '.join(labels)}: "
            f"expected shape {(len(labels), wavelength.size)}, found {coefficients.shape}"
        )
    if steps is not None and len(steps) != len(labels):
        raise ValueError(f"figure 4 needs one step for each of {', '.join(labels)}, found {len(steps)}")
    feature_wavelength = float_column(features, "wavelength", "figure 4", "features")
    dib_wavelength = float_column(dibs, "wavelength", "figure 4", "DIB")
    for table, name, table_name in ((features, "feature", "features"), (dibs, "name", "DIB")):
        if name not in table.colnames:
            raise ValueError(f"figure 4 needs column '{name}' of the {table_name} table")

    figure = new_figure(PAGE_WIDTH, 1.25 * (len(labels) + 1) + 1.0)
    panels = figure.subplots(len(labels) + 1, 1, sharex=True)
    figure.get_layout_engine().set(hspace=0.0, h_pad=0.0)
    x_range = (float(wavelength.min()), float(wavelength.max())) if wavelength.size else (3905.0, 9000.0)
    in_range = (feature_wavelength > x_range[0]) & (feature_wavelength < x_range[1])
    feature_names = np.array([str(name) for name in features["feature"]])[in_range]
    feature_wavelength = feature_wavelength[in_range]
    dib_in_range = (dib_wavelength > x_range[0]) & (dib_wavelength < x_range[1])
    dib_names = np.array([str(name) for name in dibs["name"]])[dib_in_range]
    dib_wavelength = dib_wavelength[dib_in_range]
    # The bands belong to the extinction; without that label they are marked in the scatter alone.
    with_dibs = {len(labels)} | {i for i, label in enumerate(labels) if label == "a_k"}

    for i, axes in enumerate(panels):
        values = coefficients[i] if i < len(labels) else scatter
        for line in feature_wavelength if i < len(labels) else ():
            axes.axvline(line, color=FEATURE, linewidth=0.5, zorder=1)
        for line in dib_wavelength if i in with_dibs else ():
            axes.axvline(line, color=DIB, linewidth=1.0, zorder=1)
        if np.isfinite(values).any():
            axes.plot(wavelength, values, color="black", linewidth=0.5, drawstyle="steps-mid", zorder=2)
            low, high = robust_range(values, (0.02, 99.98), pad=0.12)
            axes.set_ylim(0.0 if i == len(labels) else low, high)
        else:
            say_no_stars(axes, "no model")
        if i < len(labels):
            symbol, unit = label_style(labels[i])
            step = f"\n$\\times$ {steps[i]:g} {unit}" if steps is not None else ""
            axes.set_ylabel(rf"$\partial f/\partial\,${symbol}{step}")
            axes.axhline(0.0, color="0.7", linewidth=0.4, zorder=0)
        else:
            axes.set_ylabel(r"scatter $s_\lambda$")
        axes.yaxis.get_major_locator().set_params(nbins=4, prune="both")
    panels[0].set_xlim(x_range)
    panels[-1].set_xlabel(r"wavelength in vacuum ($\rm\AA$)")
    figure.align_ylabels(panels)
    groups = list(dict.fromkeys(feature_names))
    if groups:
        _names_above(
            panels[0],
            [FEATURE_NAMES.get(name, name) for name in groups],
            [feature_wavelength[feature_names == name].mean() for name in groups],
            "0.25",
        )
    for name, line, place in zip(
        dib_names, dib_wavelength, spread_positions(dib_wavelength, 0.02 * np.ptp(x_range)), strict=True
    ):
        # Read beside the band: on its right, except for the first of a close pair.
        left = place < line
        panels[-1].text(
            line + (-1 if left else 1) * 0.003 * np.ptp(x_range),
            0.95,
            name,
            transform=panels[-1].get_xaxis_transform(),
            ha="right" if left else "left",
            va="top",
            rotation=90,
            fontsize=7.5,
            color="#9a6a00",
        )
    mark_archive(figure, archive_kind)
    return figure


def _names_above(axes, names, wavelengths, color):
    """Names over a panel, upright, moved apart where lines crowd and joined to their lines."""
    low, high = axes.get_xlim()
    places = spread_positions(wavelengths, 0.0165 * (high - low))
    for name, wavelength, place in zip(names, wavelengths, places, strict=True):
        axes.annotate(
            name,
            xy=(wavelength, 1.0),
            xytext=(place, 1.12),
            xycoords=axes.get_xaxis_transform(),
            textcoords=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            rotation=90,
            fontsize=7.5,
            color=color,
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 0},
            annotation_clip=False,
        )


@use_style()
def figure_05(
    comparison, archive_kind, *, labels=LABELS, reference="APOGEE", snr_cut=50.0, limits=None, bins=None
):
    """Figure 5: labels of The Cannon against those of APOGEE for the reference stars.

    Parameters
    ----------
    comparison : astropy.table.Table
        One row per reference star: `snr` and, for each label, `<label>_apogee` and `<label>_cannon`.
    archive_kind : {'mock', 'public', 'local'}
    labels : sequence of str
        Panels in this order; `a_k`, a nuisance label, is drawn in purple.
    reference : str
        What the reference labels are called on the axes.
    snr_cut : float
        Scatter and bias are those of the stars above this S/N; all stars are drawn.
    limits : dict, optional
        Range of a label in place of the one found.
    bins : int, optional
        Cells along each side of a panel; fewer for small samples by default.

    Raises
    ------
    ValueError
        If the table lacks a column, or for an unknown archive kind.
    """
    snr = float_column(comparison, "snr", "figure 5", "comparison")
    bins = bins or cells_per_side(snr.size, 60)
    n_column = 3 if len(labels) > 2 else len(labels)
    n_row = -(-len(labels) // n_column)
    figure = new_figure(PAGE_WIDTH, 0.3 + 2.3 * n_row)
    panels = figure.subplots(n_row, n_column, squeeze=False).ravel()
    drawn = []
    for label in labels:
        apogee = float_column(comparison, f"{label}_apogee", "figure 5", "comparison")
        cannon = float_column(comparison, f"{label}_cannon", "figure 5", "comparison")
        ends = (limits or {}).get(label) or choose_range(
            np.concatenate([apogee, cannon]), LABEL_RANGES.get(label, robust_range(apogee))
        )
        drawn.append((label, apogee, cannon, ends, count_cells(apogee, cannon, ends, ends, bins)))
    norm = log_norm(*(counts for *_, counts in drawn))
    for axes, (label, apogee, cannon, ends, counts) in zip(panels, drawn, strict=False):
        show_density(axes, counts, ends, ends, NUISANCE_DENSITY if label == "a_k" else DENSITY, norm)
        axes.plot(ends, ends, color=CANNON, linewidth=0.8, zorder=3)
        bright = (snr > snr_cut) & np.isfinite(apogee) & np.isfinite(cannon)
        outside = np.count_nonzero(bright) - int(
            count_cells(apogee[bright], cannon[bright], ends, ends, 1).sum()
        )
        print_statistics(
            axes, (cannon - apogee)[bright], label_style(label).unit, outside, place=(0.04, 0.96)
        )
        axes.set(xlabel=axis_title(label, before=reference), ylabel=axis_title(label, before="Cannon"))
        axes.set_box_aspect(1)
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_major_locator().set_params(nbins=5)
    for axes in panels[len(drawn) :]:
        axes.set_axis_off()
    spare = panels[len(drawn)] if len(drawn) < panels.size else None
    if spare is not None:
        spare.text(
            0.5,
            0.72,
            f"scatter and bias:\nS/N > {snr_cut:g}",
            ha="center",
            va="center",
            transform=spare.transAxes,
        )
        for place, cmap in ((0.42, DENSITY), *(((0.2, NUISANCE_DENSITY),) if "a_k" in labels else ())):
            bar = figure.colorbar(
                ScalarMappable(norm, cmap),
                cax=spare.inset_axes((0.08, place, 0.84, 0.07)),
                orientation="horizontal",
            )
            bar.ax.tick_params(labelbottom=place == 0.2 or "a_k" not in labels)
        bar.set_label("stars per cell")
    mark_archive(figure, archive_kind)
    return figure


@use_style()
def figure_06(
    comparison, archive_kind, *, labels=PIPELINE_LABELS, reference="APOGEE", limits=None, bins=None
):
    """Figure 6: labels of The Cannon minus those of APOGEE, for the reference stars.

    Takes `<label>_cannon` where `figure_01` takes `<label>_lamost`; everything else is the same, the
    paper's frames included, so that the two figures compare at sight.
    """
    return _residual_grid(
        comparison, "cannon", "Cannon", "figure 6", archive_kind, labels, reference, limits, bins
    )


@use_style()
def figure_07(
    comparison,
    archive_kind,
    *,
    labels=LABELS[:4],
    pipeline_labels=PIPELINE_LABELS,
    snr_column="snr_g",
    snr_factor=3.0,
    centres=None,
    seed=0,
):
    """Figure 7: scatter against S/N, of The Cannon and of the LAMOST pipeline.

    Parameters
    ----------
    comparison : astropy.table.Table
        One row per reference star: the S/N and, for each label, `<label>_apogee`, `<label>_cannon` and, where
        the pipeline measures it, `<label>_lamost`. `<label>_bootstrap`, the scatter of a star's labels over
        models of bootstrap samples of the reference set, is drawn where present.
    archive_kind : {'mock', 'public', 'local'}
    labels, pipeline_labels : sequence of str
        Panels, and which of them the pipeline has measured.
    snr_column : str
        Column of the S/N.
    snr_factor : float
        The S/N is multiplied by this. The paper's 3 undoes the overestimated errors of LAMOST DR2.
    centres : sequence of float, optional
        Centres of the bins of S/N after that factor, 20 wide. Default: 10, 30 ... 110 as in the paper, and on
        to the 98th percentile of the stars where that is higher (at most to 290).
    seed : int
        Seed of the bootstrap errors of the points.

    Raises
    ------
    ValueError
        If the table lacks a column, or for an unknown archive kind.

    Notes
    -----
    The curve proportional to 1/SNR passes through the Cannon's point of lowest S/N.
    """
    snr = snr_factor * float_column(comparison, snr_column, "figure 7", "comparison")
    if centres is None:
        high = np.percentile(snr[np.isfinite(snr)], 98) if np.isfinite(snr).any() else 0.0
        centres = np.arange(10.0, 20.0 * np.ceil(np.clip(high, 120.0, 300.0) / 20.0), 20.0)
    centres = np.asarray(centres, dtype=float)
    n_column = min(2, len(labels))
    n_row = -(-len(labels) // n_column)
    figure = new_figure(0.75 * PAGE_WIDTH, 0.5 + 2.0 * n_row)
    panels = figure.subplots(n_row, n_column, sharex=True, squeeze=False)
    x_high = centres[-1] + 10.0
    handles = {}
    for axes, label in zip(panels.ravel(), labels, strict=False):
        apogee = float_column(comparison, f"{label}_apogee", "figure 7", "comparison")
        highest = 0.0
        methods = [("cannon", CANNON, "o"), ("lamost", PIPELINE, "s")]
        for method, color, marker in methods[: 1 + (label in pipeline_labels)]:
            difference = float_column(comparison, f"{label}_{method}", "figure 7", "comparison") - apogee
            curve = scatter_against_snr(difference, snr, centres, half_width=10.0, seed=seed)
            filled = np.flatnonzero(np.isfinite(curve.scatter))
            if filled.size == 0:
                continue
            highest = max(highest, np.nanmax(curve.scatter + curve.error))
            points = axes.errorbar(
                curve.snr,
                curve.scatter,
                curve.error,
                color=color,
                marker=marker,
                linestyle="none",
                capsize=1.5,
                elinewidth=0.8,
                zorder=3,
            )
            handles.setdefault(SNR_LEGEND[method == "lamost"], points)
            if method == "cannon":
                first = filled[0]
                x = np.linspace(centres[first], x_high, 100)
                (line,) = axes.plot(
                    x, curve.scatter[first] * centres[first] / x, color="0.35", linestyle="--", zorder=1
                )
                handles.setdefault(SNR_LEGEND[2], line)
        if highest > 0.0 and f"{label}_bootstrap" in comparison.colnames:
            spread = float_column(comparison, f"{label}_bootstrap", "figure 7", "comparison")
            median = _median_in_bins(snr, spread, centres)
            (line,) = axes.plot(centres, median, color=CANNON, linestyle=":", marker=".", markersize=3)
            handles.setdefault(SNR_LEGEND[3], line)
        if highest == 0.0:
            say_no_stars(axes, "too few stars")
        symbol, unit = label_style(label)
        axes.set(
            ylabel=rf"$\sigma$({symbol}) ({unit})", xlim=(0.0, x_high), ylim=(0.0, 1.12 * highest or 1.0)
        )
    for axes in panels.ravel()[len(labels) :]:
        axes.set_axis_off()
    factor = "" if snr_factor == 1 else rf"${snr_factor:g}\,\times\,$"
    snr_title = r"SNR$_g$" if snr_column == "snr_g" else "S/N"
    for axes in panels[-1]:
        axes.set_xlabel(f"{factor}{snr_title}")
    if handles:
        order = [name for name in SNR_LEGEND if name in handles]
        panels[0, 0].legend([handles[name] for name in order], order, loc="upper right")
    mark_archive(figure, archive_kind)
    return figure


def _median_in_bins(x, values, centres, half_width=10.0, min_count=10):
    """Median of the values in bins of x; NaN where there are few."""
    inside = [(np.abs(x - centre) < half_width) & np.isfinite(values) for centre in centres]
    return [np.median(values[row]) if np.count_nonzero(row) >= min_count else np.nan for row in inside]


@use_style()
def figure_08(comparison, archive_kind, *, reference="APOGEE", limits=None, bins=None):
    """Figure 8: Kiel diagrams of the reference stars with LAMOST, Cannon and APOGEE labels.

    Parameters
    ----------
    comparison : astropy.table.Table
        Reference stars with `teff` [K] and `logg`, each as `_lamost`, `_cannon` and `_apogee`.
    archive_kind : {'mock', 'public', 'local'}
    reference : str
        What the reference labels are called in the title.
    limits : dict, optional
        Ranges of `teff` and `logg` in place of those found.
    bins : int, optional
        Cells along each side of a panel; fewer for small samples by default.
    """
    methods = {"lamost": "LAMOST pipeline", "cannon": "The Cannon, from LAMOST", "apogee": reference}
    labels = {
        method: [
            float_column(comparison, f"{label}_{method}", "figure 8", "comparison")
            for label in ("teff", "logg")
        ]
        for method in methods
    }
    ranges = choose_kiel_ranges(*labels["apogee"], GIANT_KIEL_RANGES, limits)
    bins = bins or cells_per_side(len(comparison), 90)
    counts = {
        method: count_cells(*labels[method], ranges["teff"], ranges["logg"], bins) for method in methods
    }
    norm = log_norm(*counts.values())
    figure = new_figure(PAGE_WIDTH, 2.9)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    for axes, (method, title) in zip(panels, methods.items(), strict=True):
        image = show_density(axes, counts[method], ranges["teff"], ranges["logg"], "inferno", norm)
        set_kiel_axes(axes, ranges)
        axes.set_title(title)
        axes.locator_params(axis="x", nbins=5)
    panels[0].set_ylabel(axis_title("logg"))
    figure.colorbar(image, ax=list(panels), label="stars per cell", pad=0.02)
    mark_archive(figure, archive_kind)
    return figure


@use_style()
def figure_09(
    distance_to_reference, distance_to_pipeline, archive_kind, *, cut=2.5, n_star=3000, seed=0, limits=None
):
    """Figure 9: distance of the Cannon from the LAMOST labels, against distance from the reference set.

    Parameters
    ----------
    distance_to_reference : (n_star,) array
        Label distance of a survey star from the reference set (Eq. 7, mean over the ten nearest).
    distance_to_pipeline : (n_star,) array
        Label distance from its Cannon labels to its LAMOST labels.
    archive_kind : {'mock', 'public', 'local'}
    cut : float
        Stars nearer than this to the reference set are labelled.
    n_star : int
        Draw a random sample of this many stars, as the paper does.
    seed : int
        Seed of that sample.
    limits : tuple, optional
        Upper ends of the two axes, in place of the 99th percentiles.

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
    if x.size == 0:
        say_no_stars(axes)
    else:
        near = np.count_nonzero(x < cut)
        histogram.text(
            0.97,
            0.92,
            f"{near:,} of {x.size:,} stars below {cut:g}",
            transform=histogram.transAxes,
            ha="right",
            va="top",
            fontsize=8,
        )
        if not inside.all():
            axes.text(
                0.97,
                0.97,
                f"{np.count_nonzero(~inside):,} stars outside",
                transform=axes.transAxes,
                ha="right",
                va="top",
                fontsize=8,
                bbox=WHITE_BOX,
            )
    mark_archive(figure, archive_kind)
    return figure


@use_style()
def figure_10(survey, distance, archive_kind, *, cut=2.5, n_star=14_000, seed=0, limits=None):
    """Figure 10: label distance from the reference set over the Kiel diagram of the survey.

    Parameters
    ----------
    survey : astropy.table.Table
        `teff` [K] and `logg` of the survey's pipeline for every spectrum; drawn in black.
    distance : (n_survey,) array
        Label distance of each row from the reference set; NaN where there is none.
    archive_kind : {'mock', 'public', 'local'}
    cut : float
        Stars nearer than this are labelled; marked on the colour scale, which ends at twice the cut.
    n_star : int
        Colour a random sample of this many stars, as the paper does.
    seed : int
        Seed of that sample.
    limits : dict, optional
        Ranges of `teff` and `logg` in place of those found.

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


@use_style()
def figure_11(
    fe_h, alpha_m, archive_kind, *, limits=((-2.2, 0.7), (-0.2, 0.5)), n_sigma=(0.5, 1.0, 1.5, 2.0)
):
    """Figure 11: the ([Fe/H], [alpha/M]) plane of the catalogue.

    Parameters
    ----------
    fe_h, alpha_m : (n_star,) array
        Cannon labels [dex].
    archive_kind : {'mock', 'public', 'local'}
    limits : tuple
        Ranges of the two labels.
    n_sigma : sequence of float
        Contours enclose 1 - exp(-n^2 / 2) of the stars in the frame.

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
        count_cells(fe_h, alpha_m, x_range, y_range, 80), 1.0 if n_star > 20_000 else 2.0
    )

    figure = new_figure(COLUMN_WIDTH + 0.9, 3.3)
    axes = figure.subplots()
    image = show_density(axes, fine, x_range, y_range, DENSITY, log_norm(fine))
    if (levels := contour_levels(coarse, n_sigma)).size:
        centers = [low + (high - low) * (np.arange(80) + 0.5) / 80 for low, high in limits]
        axes.contour(*centers, coarse, levels=levels, colors=CANNON, linewidths=0.9, zorder=3)
        outside = n_star - int(fine.sum())
        axes.text(
            0.97,
            0.96,
            f"{n_star:,} stars" + (f", {outside:,} outside" if outside else ""),
            transform=axes.transAxes,
            ha="right",
            va="top",
            fontsize=8,
        )
    axes.set(xlabel=axis_title("fe_h"), ylabel=axis_title("alpha_m"))
    figure.colorbar(image, ax=axes, label="stars per cell", pad=0.02)
    mark_archive(figure, archive_kind)
    return figure


@use_style()
def figure_12(
    apogee, catalog, archive_kind, *, cell_size=None, alpha_range=(-0.07, 0.3), center_longitude=150.0
):
    """Figure 12: [alpha/M] over the Galactic sky, of APOGEE alone and together with the new catalogue.

    Parameters
    ----------
    apogee, catalog : astropy.table.Table
        `ra`, `dec` [deg, ICRS] and `alpha_m` [dex]: all stars of APOGEE, and those labelled here.
    archive_kind : {'mock', 'public', 'local'}
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
    ra, dec, alpha_m = (
        float_column(table, name, "figure 12", table_name) for name in ("ra", "dec", "alpha_m")
    )
    good = np.isfinite(ra) & np.isfinite(dec) & np.isfinite(alpha_m)
    if not good.any():
        return np.empty(0), np.empty(0), np.empty(0)
    galactic = SkyCoord(ra[good] * u.deg, dec[good] * u.deg).galactic
    return galactic.l.deg, galactic.b.deg, alpha_m[good]
