"""Figure 1: a LAMOST spectrum and what the model makes of the star's APOGEE labels."""

from typing import NamedTuple

import numpy as np

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.figures.inputs import same_length
from labeltransfer.figures.panels import format_number, label_words, print_in_corner, say_no_stars
from labeltransfer.figures.style import (
    CANNON,
    MINUS,
    PAGE_WIDTH,
    PIPELINE,
    WAVELENGTH_TITLE,
    mark_archive,
    new_figure,
    robust_range,
    use_style,
)
from labeltransfer.files.tables import read_table
from labeltransfer.models.files import load_model
from labeltransfer.models.network import predict_network
from labeltransfer.spectra.store import read_stores

TITLE_LABELS = ("teff", "logg", "fe_h", "mg_h")
TYPICAL_SNR = 100.0


class _Spectrum(NamedTuple):
    """Pixels of a spectrum, its standard error and the model of it; all arrays of one length."""

    wavelength: np.ndarray
    flux: np.ndarray
    error: np.ndarray
    model: np.ndarray

    @property
    def residual(self):
        return self.flux - self.model


@use_style()
def draw(wavelength, flux, error, model_flux, archive_kind, *, star="", zoom=(5000.0, 5350.0), labels=None):
    """Draw figure 1.

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
    archive_kind : {'mock', 'public', 'local', 'registry'}
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
    spectrum = _with_gaps(wavelength, flux, error, model_flux)
    low, high = (float(end) for end in zoom)
    if not low < high:
        raise ValueError(f"figure 1 needs a zoom (low, high) with low < high [Angstrom], found {zoom}")
    inside = (spectrum.wavelength >= low) & (spectrum.wavelength <= high)
    zoomed = _Spectrum(*(pixels[inside] for pixels in spectrum))

    figure = new_figure(PAGE_WIDTH, 5.4)
    whole, part, rest = figure.subplots(3, 1, height_ratios=(1.0, 1.1, 0.75))
    rest.sharex(part)
    _show_spectrum(whole, spectrum, 0.6)
    _show_spectrum(part, zoomed, 1.0)
    if np.isfinite(spectrum.flux).any():
        whole.set_xlim(spectrum.wavelength.min(), spectrum.wavelength.max())
        whole.axvspan(low, high, color="0.93", linewidth=0, zorder=0)
        whole.legend(loc="lower right", ncols=3)
    part.set_xlim(low, high)
    part.tick_params(labelbottom=False)
    _show_residuals(rest, zoomed)
    _print_chi2(rest, spectrum)
    whole.set_title(", ".join([star] * bool(star) + label_words(labels)))
    for axes in (whole, part):
        axes.set_ylabel("normalised flux")
    rest.set(ylabel=f"spectrum {MINUS} model", xlabel=WAVELENGTH_TITLE)
    figure.align_ylabels()
    mark_archive(figure, archive_kind)
    return figure


def _with_gaps(wavelength, flux, error, model_flux):
    """The spectrum with NaN where a pixel has no flux or no error."""
    wavelength, flux, error, model_flux = same_length(
        "figure 1", wavelength=wavelength, flux=flux, error=error, model_flux=model_flux
    )
    good = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    return _Spectrum(wavelength, np.where(good, flux, np.nan), np.where(good, error, np.nan), model_flux)


def _show_spectrum(axes, spectrum, linewidth):
    """A spectrum in a band of one standard error, and the model over it."""
    wavelength, flux, error, model = spectrum
    if not np.isfinite(flux).any():
        say_no_stars(axes, "no spectrum here")
        return
    axes.fill_between(
        wavelength, flux - error, flux + error, color="0.75", linewidth=0, label=r"its $1\sigma$ error"
    )
    axes.plot(wavelength, flux, color=PIPELINE, linewidth=linewidth, label="LAMOST spectrum")
    axes.plot(wavelength, model, color=CANNON, linewidth=linewidth, label="model, from the APOGEE labels")
    axes.set_ylim(robust_range(np.concatenate([flux, model]), (0.1, 99.9), pad=0.15))


def _show_residuals(axes, spectrum):
    """Spectrum minus model, in a band of one standard error."""
    axes.axhline(0.0, color=CANNON, linewidth=0.8)
    wavelength, error, residual = spectrum.wavelength, spectrum.error, spectrum.residual
    if np.isfinite(residual).any():
        axes.fill_between(wavelength, -error, error, color="0.75", linewidth=0, zorder=0)
        axes.plot(wavelength, residual, color=PIPELINE, linewidth=0.8)
        half = 1.7 * np.nanpercentile(np.concatenate([np.abs(residual), error]), 99.0)
        axes.set_ylim(-half, half)


def _print_chi2(axes, spectrum):
    """How well the errors tell the residuals."""
    pull = (spectrum.residual / spectrum.error)[np.isfinite(spectrum.residual)]
    if pull.size:
        print_in_corner(
            axes,
            rf"{100 * np.mean(np.abs(pull) < 1):.0f} % within $1\sigma$ (Gaussian: 68 %), "
            rf"$\chi^2$ per pixel {format_number(np.mean(pull**2))}; "
            f"{pull.size:,} pixels, whole spectrum",
            (0.01, 0.93),
            gid="statistics",
        )


def example_of(comparison, wanted):
    """Row of the star to show: the one wanted, or the test star with the S/N nearest to 100."""
    names = comparison["id"].tolist()
    if wanted in names:
        return names.index(wanted)
    test = np.asarray(comparison["test"])
    return int(np.argmin(np.where(test, np.abs(comparison["snr"] - TYPICAL_SNR), np.inf)))


def from_files(files, settings):
    """Draw figure 1 of a run: a star of its `comparison`, out of its `stores`, and its `model`."""
    comparison, model = read_table(files["comparison"]), load_model(files["model"])
    row = comparison[example_of(comparison, settings["study"]["example_star"])]
    spectra = read_stores(files["stores"])
    star = rows_of(spectra.stars["id"], [row["id"]])[0]
    ivar = np.asarray(spectra.ivar[star], dtype=float)
    good = ivar > 0
    labels = {name: float(row[f"{name}_apogee"]) for name in model.label_names}
    return draw(
        spectra.wavelength,
        np.where(good, spectra.flux[star], np.nan),
        np.where(good, 1 / np.sqrt(np.where(good, ivar, 1.0)), np.nan),
        predict_network(model, [list(labels.values())])[0],
        settings["source"],
        star=str(row["id"]),
        labels={name: labels[name] for name in TITLE_LABELS if name in labels},
    )
