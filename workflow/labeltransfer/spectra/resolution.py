"""All spectra at one line width: what spectrographs and their fibres do differently is not to look like a label.

Ho et al. 2017, section 2.1: spectra "must share a common line-spread function".
"""

import csv
from typing import NamedTuple

import numpy as np

from labeltransfer.files.errors import ArchiveError

NO_RESOLUTION = "no resolution"
TOO_BLURRED = "resolution below the common one"
COLUMNS = ("fibre", "wavelength", "resolution")
EVERY = "*"  # stands for all fibres that a table does not name
_FWHM = np.sqrt(8 * np.log(2))
_SMALL = 1e-3  # a pixel that would count less does not, and may be bad
_MOST_AT_ONCE = 0.6  # pixel^2
_ROUNDING = 0.01  # pixel^2: lines this little too wide pass for the common width


class Resolution(NamedTuple):
    """To which line width spectra are brought, and which they have.

    Attributes
    ----------
    common : float
        R = wavelength / FWHM that all are brought to; none may have less.
    fibres : dict of str to (wavelength, resolution)
        Of each fibre, named as in the survey's files (spectrograph-fibre, "03-017"), or `EVERY`; (m,) float64 each.
    """

    common: float
    fibres: dict


def read_resolution(common, path):
    """Read a table of resolutions.

    Parameters
    ----------
    common : float
        R to bring all spectra to.
    path : str or Path
        CSV with the columns fibre, wavelength (observed, vacuum Angstrom) and resolution; several rows of a fibre are
        interpolated in wavelength.

    Returns
    -------
    Resolution

    Raises
    ------
    ValueError
        Naming the file and the line that is wrong.
    """
    rows = {}
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)}: found {reader.fieldnames}")
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            try:
                wavelength, resolution = float(row["wavelength"]), float(row["resolution"])
            except (TypeError, ValueError):
                raise ValueError(f"{where}: wavelength and resolution must be numbers: found {row}") from None
            if not (0 < wavelength < np.inf and 0 < resolution < np.inf):
                raise ValueError(f"{where}: wavelength and resolution must be positive: found {row}")
            rows.setdefault(row["fibre"], []).append((wavelength, resolution))
    return Resolution(
        float(common), {fibre: tuple(np.array(sorted(points)).T) for fibre, points in rows.items()}
    )


def excess_width(resolution, spectrum, grid):
    """By how much a spectrum's lines are narrower than the common width, in variance.

    Parameters
    ----------
    resolution : Resolution
    spectrum : surveys.base.Spectrum
        As it was read; what it says of its own resolution goes before the table.
    grid : (n_pix,) float64
        Rest wavelengths [Angstrom].

    Returns
    -------
    (n_pix,) float64
        [pixel of the grid ^2]

    Raises
    ------
    ArchiveError
        With the reason "no resolution", or "resolution below the common one".
    """
    own, name = spectrum.resolution, f"{spectrum.spid:02d}-{spectrum.fiberid:03d}"
    if not np.isfinite(own):
        table = resolution.fibres.get(name, resolution.fibres.get(EVERY))
        if table is None:
            raise ArchiveError(f"{spectrum.spectrum_id}: fibre {name} is in no table", NO_RESOLUTION)
        own = np.interp(grid * (1 + spectrum.redshift), *table)
    sigma = grid / np.gradient(grid) / _FWHM  # of R = 1, in pixels
    excess = sigma**2 * (resolution.common**-2.0 - np.asarray(own, dtype=float) ** -2.0)
    if (excess < -_ROUNDING).any():
        raise ArchiveError(
            f"{spectrum.spectrum_id}: R = {np.min(own):.0f}, below {resolution.common:g}", TOO_BLURRED
        )
    return np.maximum(excess, 0.0)


def broaden(flux, ivar, excess, variance="information"):
    """Widen the lines of a spectrum.

    Five taps whose transfer function is that of a Gaussian to fourth order in the frequency, as often as it takes for
    that to be close to it.

    Parameters
    ----------
    flux, ivar : (n_pix,) float64
        On the common grid; a pixel with ivar 0 is bad, and so is every one that would take any of its flux.
    excess : (n_pix,) float64
        Variance to add [pixel^2].
    variance : str
        Rule of `labeltransfer.spectra.frame.to_common_grid`.

    Returns
    -------
    flux, ivar : (n_pix,) float64
    """
    passes = max(1, int(np.ceil(np.max(excess) / _MOST_AT_ONCE)))
    for _ in range(passes):
        flux, ivar = _broaden_once(flux, ivar, excess / passes, variance)
    return flux, ivar


def _broaden_once(flux, ivar, excess, variance):
    fourth = excess**2 / 8 - excess / 24
    weights = {0: 1 - excess + 6 * fourth}
    weights |= dict.fromkeys((-1, 1), excess / 2 - 4 * fourth) | {2 * sign: fourth for sign in (-1, 1)}
    good = ivar > 0
    noise = np.divide(1.0, ivar, out=np.zeros_like(ivar), where=good) if variance != "paper" else ivar
    weights = {offset: np.where(np.abs(w) < _SMALL, 0.0, w) for offset, w in weights.items()}
    total = sum(weights.values())  # one, but for what is left out
    usable, pixel = good.copy(), np.arange(len(flux))
    out, spread, size = np.zeros((3, len(flux)))
    for offset, weight in weights.items():
        source, weight = np.clip(pixel + offset, 0, len(flux) - 1), weight / total
        usable &= (weight == 0) | (good[source] & (source == pixel + offset))
        counts = weight**2 if variance == "propagate" else np.abs(weight)
        out += weight * flux[source]
        spread += counts * noise[source]
        size += counts
    out = np.where(usable, out, 0.0)
    if variance != "propagate":
        spread /= size
    if variance == "paper":
        return out, np.where(usable, spread, 0.0)
    return out, np.divide(1.0, spread, out=np.zeros_like(spread), where=usable & (spread > 0))
