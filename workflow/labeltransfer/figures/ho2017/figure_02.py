"""Figure 2: one reference star as the reference survey and the survey saw it, and as The Cannon sees it."""

from typing import NamedTuple

import numpy as np
from astropy.table import vstack

from labeltransfer.catalogs.rows import rows_of
from labeltransfer.figures.ho2017.common import survey_name
from labeltransfer.figures.inputs import same_length
from labeltransfer.figures.panels import label_words, say_no_stars
from labeltransfer.figures.style import (
    PAGE_WIDTH,
    PSEUDO_CONTINUUM,
    WAVELENGTH_TITLE,
    mark_archive,
    new_figure,
    robust_range,
    use_style,
)
from labeltransfer.files.places import located, prefix_of
from labeltransfer.files.tables import read_table
from labeltransfer.spectra.normalise import normalise
from labeltransfer.spectra.prepare import in_vacuum, on_grid, settings_from, to_rest
from labeltransfer.surveys.registry import get_survey


class StarSpectra(NamedTuple):
    """Spectra of one star; wavelengths in vacuum [Angstrom].

    Attributes
    ----------
    apogee_wavelength, apogee_flux : (n_apogee,) array or None
        The normalised APOGEE spectrum; zero flux is a gap between detectors. None, or arrays without a pixel,
        leave the panel empty.
    wavelength, flux, pseudo_continuum : (n_raw,) array
        The LAMOST spectrum as published, and its smoothed version (Eq. 1); NaN where there is none.
    grid_wavelength, normalised_flux : (n_pix,) array
        The spectrum divided by its pseudo-continuum, on the common grid.
    """

    apogee_wavelength: np.ndarray | None
    apogee_flux: np.ndarray | None
    wavelength: np.ndarray
    flux: np.ndarray
    pseudo_continuum: np.ndarray
    grid_wavelength: np.ndarray
    normalised_flux: np.ndarray


@use_style()
def draw(spectra, archive_kind, *, star="", labels=None, survey="LAMOST", alone=False):
    """Draw figure 2.

    Parameters
    ----------
    spectra : StarSpectra
    archive_kind : {'mock', 'public', 'local', 'registry'}
    star : str
        Name of the star, printed in the first panel.
    labels : dict, optional
        Reference labels of the star by name, printed in the first panel.
    survey : str
        What the survey is called.
    alone : bool
        Whether there is no reference survey's spectrum to look for, and no panel for it.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels: APOGEE; the survey with its pseudo-continuum; the one divided by the other.

    Raises
    ------
    ValueError
        If arrays of one spectrum differ in shape, or for an unknown archive kind.
    """
    spectra = _checked(spectra)
    figure = new_figure(PAGE_WIDTH, 3.8 if alone else 5.6)
    *top, middle, bottom = figure.subplots(2 if alone else 3, 1)
    title = ", ".join([star] * bool(star) + label_words(labels)) or "reference star"
    [*top, middle][0].set_title(title)
    for axes in top:
        _show_spectrum(axes, spectra.apogee_wavelength, spectra.apogee_flux, "APOGEE, normalised")
        axes.set_ylabel("APOGEE flux,\nnormalised")
    _show_spectrum(middle, spectra.wavelength, spectra.flux, survey)
    _show_spectrum(bottom, spectra.grid_wavelength, spectra.normalised_flux, f"{survey}, normalised")
    if np.isfinite(spectra.pseudo_continuum).any():
        middle.plot(
            spectra.wavelength,
            spectra.pseudo_continuum,
            color=PSEUDO_CONTINUUM,
            linewidth=1.4,
            label="smoothed, Gaussian",
        )
    if np.isfinite(spectra.normalised_flux).any():
        bottom.axhline(1.0, color=PSEUDO_CONTINUUM, linewidth=0.8, zorder=1)
    # One wavelength axis for the two panels of the survey: a line is found below itself, but for its redshift.
    covered = [x for x in (spectra.wavelength, spectra.grid_wavelength) if x.size]
    if covered:
        for axes in (middle, bottom):
            axes.set_xlim(min(x.min() for x in covered), max(x.max() for x in covered))
    middle.set_ylabel(f"{survey} flux,\nrelative")
    middle.legend(loc="lower center", ncols=2)
    bottom.set_ylabel(f"{survey} flux,\nnormalised")
    bottom.set_xlabel(WAVELENGTH_TITLE)
    mark_archive(figure, archive_kind)
    return figure


def _checked(spectra):
    """The spectra as arrays of floats, the gaps of APOGEE as NaN."""
    if spectra.apogee_wavelength is None or spectra.apogee_flux is None:
        spectra = spectra._replace(apogee_wavelength=[], apogee_flux=[])
    arrays = spectra._asdict()
    for names in (
        ("apogee_wavelength", "apogee_flux"),
        ("wavelength", "flux", "pseudo_continuum"),
        ("grid_wavelength", "normalised_flux"),
    ):
        checked = same_length("figure 2", **{name: arrays[name] for name in names})
        arrays |= zip(names, checked, strict=True)
    arrays["apogee_flux"] = np.where(arrays["apogee_flux"] == 0, np.nan, arrays["apogee_flux"])
    return StarSpectra(**arrays)


def _show_spectrum(axes, wavelength, flux, name):
    """A spectrum in a panel of its own."""
    if np.isfinite(flux).any():
        axes.plot(wavelength, flux, linewidth=0.5, color="black", label=name)
        axes.set(xlim=(wavelength.min(), wavelength.max()), ylim=robust_range(flux, (0.1, 99.9), pad=0.12))
    else:
        say_no_stars(axes, "no spectrum")


def from_files(files, settings):
    """Draw figure 2 of a run: the star of its `apogee` spectrum, out of `stars` and `fetched`, cut by `windows`."""
    apogee = read_table(files["apogee"])
    stars = read_table(files["stars"])
    example = apogee.meta["spectrum_id"]
    row = stars[rows_of(stars["spectrum_id"], [example])[0]]
    fetched = vstack([read_table(path) for path in files["fetched"]], metadata_conflicts="silent")
    path = fetched["path"][rows_of(fetched["spectrum_id"], [example])[0]]
    releases = settings["study"]["releases"]
    raw = get_survey(releases["survey"]).read_spectrum(located(path, prefix_of(files["stars"])))
    preparation = settings_from(
        settings["grid"], settings["preparation"], files["windows"], files.get("fibres"), files.get("noise")
    )
    flux, ivar = on_grid(raw, preparation)
    normalised, weight, continuum = normalise(flux[None], ivar[None], preparation.kernel)
    if preparation.kernel.fit == "published":
        continuum[:] = np.nan  # the survey has taken its own out
    # The pseudo-continuum is known in the rest frame of the star, the raw spectrum is shown as observed.
    raw = in_vacuum(raw)
    observed_grid = preparation.grid * (1 + to_rest(raw))
    spectra = StarSpectra(
        apogee_wavelength=np.asarray(apogee["wavelength"]),
        apogee_flux=np.asarray(apogee["flux"]),
        wavelength=raw.wavelength,
        flux=np.where(raw.andmask == 0 if raw.ivar is None else raw.ivar > 0, raw.flux, np.nan),
        pseudo_continuum=np.interp(raw.wavelength, observed_grid, continuum[0], left=np.nan, right=np.nan),
        grid_wavelength=preparation.grid,
        normalised_flux=np.where(weight[0] > 0, normalised[0], np.nan),
    )
    labels = {name: float(row[name]) for name in settings["study"]["labels"]}
    about = {"star": str(row["reference_id"]), "survey": survey_name(settings)}
    about["alone"] = settings["source"] in ("local", "registry")
    return draw(spectra, settings["source"], labels=labels, **about)
