"""Everything that is asked of PySME: consistent atmospheres, the lines that matter, and emergent spectra.

Wehrhahn, Piskunov & Ryabchikova (2023, A&A 671, A171); Piskunov & Valenti (2017, A&A 597, A16).
One-dimensional, plane-parallel, local thermodynamic equilibrium; abundances of Asplund et al. (2009).
"""

import logging
import warnings
from functools import lru_cache

import numpy as np
from astropy.table import Table, vstack

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PySME warns about its own optional parts on import
    import pandas as pd
    from pysme.abund import Abund
    from pysme.atmosphere.atmosphere import Atmosphere as SMEAtmosphere
    from pysme.linelist.linelist import LineList
    from pysme.sme import SME_Structure
    from pysme.sme_synth import SME_DLL
    from pysme.synthesize import Synthesizer

from labeltransfer.synthesis.atmospheres import interpolate_atmosphere
from labeltransfer.synthesis.degrade import air_to_vacuum

logging.getLogger("pysme").setLevel(logging.ERROR)

BOLTZMANN = 1.380649e-16  # erg / K
HYDROGEN_MASS = 1.6735575e-24  # g
SAMPLING = 200_000
LIMITS = (3690.0, 9105.0)
WINDOW = 100.0  # Angstrom: short enough for PySME to be fast, long against the reach of most lines
HYDROGEN_REACH = 120.0  # Angstrom
MOLECULES_OF_THE_GAS = ("CH 1", "CN 1", "C2 1", "MgH 1", "TiO 1", "OH 1", "NH 1", "SiH 1")
THINNED_MOLECULES = ("TiO 1", "SiH 1", "C2 1", "CN 1", "CH 1", "MgH 1")
# which sources of continuous opacity ATLAS uses
OPACITY_FLAGS = (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0)


@lru_cache(1)
def _library():
    return SME_DLL()


def _abundances(m_h, offsets):
    abundances = Abund(monh=m_h, pattern="asplund2009")
    for element, offset in offsets.items():
        # the view A holds [M/H] both when read and when written; plain indexing holds it only when read
        abundances.A[element] = abundances.A[element] + offset
    return abundances


def _line_list(lines):
    """PySME's line list of our table."""
    species = np.asarray(lines["species"]).astype(str)
    columns = {
        "species": species,
        "wlcent": lines["wavelength"],
        "excit": lines["excitation"],
        "gflog": lines["loggf"],
        "gamrad": lines["gamma_rad"],
        "gamqst": lines["gamma_stark"],
        "gamvw": lines["gamma_vdw"],
        "atom_number": 1.0,
        "ionization": [float(name.split()[1]) for name in species],
        "lande": 0.0,
        "depth": 0.9,  # any: PySME is not asked to select by it
        "reference": "",
    }
    frame = pd.DataFrame({k: np.asarray(v) if isinstance(v, np.ndarray) else v for k, v in columns.items()})
    return LineList(frame, lineformat="short", medium="air")


def _embedded(
    labels, abundances, column_mass, temperature, gas_pressure, electrons, nuclei=None, density=None
):
    """The atmosphere as PySME embeds it; without `nuclei` and `density` they are those of an ideal gas."""
    atmosphere = SMEAtmosphere()
    atmosphere.teff, atmosphere.logg, atmosphere.vturb = labels.teff, labels.logg, labels.vmic
    atmosphere.lonh, atmosphere.wlstd, atmosphere.opflag = 1.25, 5000.0, np.array(OPACITY_FLAGS)
    atmosphere.depth = atmosphere.interp = "RHOX"
    atmosphere.geom, atmosphere.method, atmosphere.source = "PP", "embedded", "ATLAS9"
    atmosphere.rhox, atmosphere.temp, atmosphere.xne = column_mass, temperature, electrons
    atmosphere.xna = gas_pressure / (BOLTZMANN * temperature) - electrons if nuclei is None else nuclei
    atmosphere.rho = 1.26 * HYDROGEN_MASS * atmosphere.xna if density is None else density
    atmosphere.abund = abundances
    return atmosphere


def _equation_of_state(labels, abundances, column_mass, temperature, gas_pressure, electrons):
    """Opacity at 5000 Angstrom [cm^2/g] and the densities of electrons, nuclei [1/cm^3] and mass [g/cm^3]."""
    # One line of each molecule tells SME which molecules to count.
    names = ("Fe 1", *MOLECULES_OF_THE_GAS)
    probe = Table({"species": names, "wavelength": 5000.0 + np.arange(len(names))})
    for name, value in (
        ("excitation", 1.0),
        ("loggf", -5.0),
        ("gamma_rad", 0),
        ("gamma_stark", 0),
        ("gamma_vdw", 0),
    ):
        probe[name] = float(value)
    library = _library()
    library.InputLineList(_line_list(probe))
    library.InputModel(
        labels.teff,
        labels.logg,
        labels.vmic,
        _embedded(labels, abundances, column_mass, temperature, gas_pressure, electrons),
    )
    library.InputAbund(abundances)
    library.Ionization(7)  # solve for electron, particle and mass density
    library.InputWaveRange(4990.0, 5010.0)
    library.Opacity()
    opacity = np.array(library.GetContinuumOpacityComponents(5000.0)[2])
    return opacity, np.array(library.GetNelec()), np.array(library.GetNatom()), np.array(library.GetDensity())


def _integrate(integrand, log_variable, first):
    """Cumulative trapezoid, starting at `first`."""
    layers = 0.5 * (integrand[1:] + integrand[:-1]) * np.diff(log_variable)
    return first + np.concatenate([[0.0], np.cumsum(layers)])


def model_atmosphere(labels, offsets):
    """Atmosphere whose densities belong to the composition.

    ATLAS9 is interpolated in its own grid. Where single elements are stepped, temperature as a function of
    the optical depth at 5000 Angstrom is kept, and column mass and pressure are solved again,
    hydrostatically, with the opacity of the new composition; only the ratio to the same integral for the
    old composition is used, so that errors of the quadrature cancel.

    Parameters
    ----------
    labels : Labels
        Those of the star.
    offsets : dict
        [X/M] [dex] by element.

    Returns
    -------
    atmosphere, abundances
        As PySME takes them.
    """
    column_mass, temperature, pressure, electrons = interpolate_atmosphere(
        labels.teff, labels.logg, labels.m_h
    )
    abundances = _abundances(labels.m_h, {})
    for _ in range(2):
        opacity, electrons, nuclei, density = _equation_of_state(
            labels, abundances, column_mass, temperature, pressure, electrons
        )
    if offsets:
        depth = _integrate(opacity * column_mass, np.log(column_mass), opacity[0] * column_mass[0])
        log_depth = np.log(depth)
        original_mass, original_pressure = column_mass, pressure
        original = _integrate(depth / opacity, log_depth, depth[0] / opacity[0])
        abundances = _abundances(labels.m_h, offsets)
        for _ in range(5):
            opacity, electrons, nuclei, density = _equation_of_state(
                labels, abundances, column_mass, temperature, pressure, electrons
            )
            ratio = _integrate(depth / opacity, log_depth, depth[0] / opacity[0]) / original
            column_mass, pressure = original_mass * ratio, original_pressure * ratio
        opacity, electrons, nuclei, density = _equation_of_state(
            labels, abundances, column_mass, temperature, pressure, electrons
        )
    atmosphere = _embedded(labels, abundances, column_mass, temperature, pressure, electrons, nuclei, density)
    return atmosphere, abundances


def windows(limits, width=WINDOW):
    """Consecutive (start, end) that tile the limits [Angstrom]."""
    starts = np.arange(limits[0], limits[1], width)
    return [(float(start), float(min(start + width, limits[1]))) for start in starts]


def _grid(start, end, sampling):
    """Points of the common logarithmic grid with start <= wavelength < end."""
    return np.exp(np.arange(np.ceil(np.log(start) * sampling), np.ceil(np.log(end) * sampling)) / sampling)


def _structure(labels, atmosphere, abundances, lines, window, sampling):
    structure = SME_Structure()
    structure.teff, structure.logg, structure.vmic = labels.teff, labels.logg, labels.vmic
    structure.vmac = structure.vsini = 0.0
    structure.abund, structure.atmo, structure.linelist = abundances, atmosphere, _line_list(lines)
    structure.wran = [[window[0] - 0.5, window[1] + 0.5]]
    structure.wint = [_grid(*window, sampling)]
    structure.normalize_by_continuum = False
    structure.specific_intensities_only = True
    structure.vrad_flag = structure.cscale_flag = "none"
    return structure


def select_lines(lines, labels, threshold=1e-4, molecule_threshold=5e-4):
    """Lines that matter at a reference point, and how far each reaches.

    Parameters
    ----------
    lines : Table
        From `line_list`.
    labels : Labels
        The reference point.
    threshold, molecule_threshold : float
        Smallest opacity in the line's centre, anywhere in the atmosphere, over that of the continuum.
        Hydrogen is always kept.

    Returns
    -------
    lines : Table
        With columns ``strength`` (that ratio) and ``reach`` [Angstrom]: a fifth of the distance at which the
        line drops to the threshold, that is to 25 thresholds in Lorentzian wings, between 2 and 250; 120 for
        hydrogen.
    """
    atmosphere, abundances = model_atmosphere(labels, {})
    synthesizer, kept = Synthesizer(), []
    wavelength = np.asarray(lines["wavelength"])
    for window in windows((wavelength[0], np.nextafter(wavelength[-1], np.inf))):
        part = lines[(wavelength >= window[0]) & (wavelength < window[1])]
        if not len(part):
            continue
        structure = _structure(labels, atmosphere, abundances, part, window, SAMPLING)
        synthesizer.update_almax(structure, threshold=threshold, show_progress_bars=False)
        found = structure.linelist._lines
        part["strength"] = found["almax_ratio"].to_numpy()
        blue, red = found["line_range_s"].to_numpy(), found["line_range_e"].to_numpy()
        half = np.nan_to_num(np.maximum(red - part["wavelength"], part["wavelength"] - blue), nan=1.0)
        hydrogen = part["species"] == "H 1"
        part["reach"] = np.where(hydrogen, HYDROGEN_REACH, np.clip(0.2 * half, 2.0, 250.0))
        limit = np.where(np.isin(part["species"], THINNED_MOLECULES), molecule_threshold, threshold)
        kept.append(part[hydrogen | (part["strength"] >= limit)])
    return vstack(kept)


def emergent_spectrum(lines, labels, offsets, limits=LIMITS, sampling=SAMPLING):
    """Emergent spectrum and continuum of one star.

    Parameters
    ----------
    lines : Table
        From `select_lines`.
    labels : Labels
        Those of the star.
    offsets : dict
        [X/M] [dex] by element.
    limits : (float, float)
        Air wavelengths [Angstrom].
    sampling : float
        Wavelength over step.

    Returns
    -------
    wavelength : (n,) array
        Vacuum [Angstrom].
    flux, continuum : (n,) array
        Intensities per unit wavelength averaged over PySME's angles, which stand for equal areas of the disc.
    """
    atmosphere, abundances = model_atmosphere(labels, offsets)
    synthesizer, pieces = Synthesizer(), []
    for start, end in windows(limits):
        near = (lines["wavelength"] - lines["reach"] < end) & (lines["wavelength"] + lines["reach"] > start)
        structure = _structure(labels, atmosphere, abundances, lines[near], (start, end), sampling)
        result = synthesizer.synthesize_spectrum(structure)
        pieces.append((structure.wint[0], result.sint[0].mean(axis=0), result.cint[0].mean(axis=0)))
    wavelength, flux, continuum = (np.concatenate(piece) for piece in zip(*pieces, strict=True))
    return air_to_vacuum(wavelength), flux, continuum
