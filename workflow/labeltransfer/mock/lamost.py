"""LAMOST's half of the mock archive, in its formats: the catalogue and the files of spectra."""

import gzip
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from labeltransfer.mock.cards import MISSING, card, date, image_bytes
from labeltransfer.mock.observation import SNR_BANDS
from labeltransfer.surveys.grids import LOG_START, LOG_STEP

DEFECTS = (
    "no redshift",
    "truncated",
    "html",
    "empty gzip",
    "wrong layout",
    "nan flux",
    "zero ivar",
    "missing file",
    "not compressed",
)
"""What can be wrong with a spectrum's file; all but the last make it unusable."""

_LABELS = (
    "logg",
    "logg_err",
    "teff",
    "teff_err",
    "feh",
    "feh_err",
)  # of LAMOST's pipeline, as its catalogue has them


class Format(NamedTuple):
    """What differs between the releases of LAMOST that the mock imitates.

    `dtype` is that of a spectrum: layout L1 has 64-bit, L2 32-bit floats. `mjd_offset` is MJD - LMJD. `old` headers
    lack OBSID and spell some cards in another way.
    """

    catalogue: str
    dtype: str
    mjd_offset: int
    old: bool


FORMATS = {
    "dr2": Format("dr2_stellar.fits.gz", ">f8", 1, old=True),
    "dr3": Format("dr3_stellar.fits.gz", ">f4", -1, old=False),
}


def survey_catalogue(visits, stars, band_snr, config, rng):
    """The AFGK catalogue of a release, with its warts.

    Parameters
    ----------
    visits : Table
        Spectra of the release.
    stars : Table
        True labels and places.
    band_snr : dict of (n,) arrays
        S/N of every spectrum in u, g, r, i, z.
    config : dict
        Complete settings of the mock.
    rng : Generator
        For the warts.

    Returns
    -------
    Table
        Published names; duplicate rows, labels of -9999 and rows without position where the config asks for
        them.
    """
    star = stars[visits["star"]]
    n = len(visits)
    class_edges = np.array([3900.0, 4600.0, 5000.0, 5400.0, 6000.0, 6500.0])
    subclass = np.array(["K7", "K5", "K3", "G8", "G2", "F5", "F0"])[
        np.searchsorted(class_edges, star["teff"])
    ]
    table = Table(
        {
            "obsid": visits["obsid"],
            "designation": visits["designation"],
            "obsdate": date(visits["lmjd"]),
            "lmjd": visits["lmjd"].astype(np.int32),
            "planid": visits["planid"],
            "spid": visits["spid"].astype(np.int16),
            "fiberid": visits["fiberid"].astype(np.int16),
            "ra": visits["ra"],
            "dec": visits["dec"],
        }
    )
    for band in SNR_BANDS:
        table[f"snr{band}"] = np.round(band_snr[band], 2)
    constants = {"objtype": "Star", "class": "STAR", "subclass": subclass, "magtype": "ugrizjh"}
    for name, value in constants.items():
        table[name] = value
    bright = 18.5 - 2.5 * np.log10(np.asarray(visits["snr"]))
    for k, colour in enumerate((2.4, 0.6, 0.0, -0.3, -0.5, -1.7, -2.3), start=1):
        table[f"mag{k}"] = np.round(bright + colour + 0.05 * rng.standard_normal(n), 2)
    for name, value in {"tsource": "MOCK", "fibertype": "Obj", "tfrom": "MOCK", "t_info": "MOCK"}.items():
        table[name] = value
    table["rv"] = np.where(visits["defect"] == "no redshift", MISSING, visits["rv_measured"])
    table["rv_err"] = np.where(visits["defect"] == "no redshift", MISSING, visits["rv_err"])
    for name in _LABELS:
        table[name] = np.asarray(visits[name])
    for name, unit in {
        "ra": "deg",
        "dec": "deg",
        "teff": "K",
        "teff_err": "K",
        "rv": "km/s",
        "rv_err": "km/s",
    }.items():
        table[name].unit = unit

    # The warts spare the star of Figure 2.
    order = rng.permutation(np.flatnonzero(visits["star"] != 0))
    n_missing, n_lost, n_again = (
        min(config[key], len(order) // 4)
        for key in ("missing_survey_labels", "rows_without_position", "duplicate_rows")
    )
    missing, lost, again = np.split(order[: n_missing + n_lost + n_again], [n_missing, n_missing + n_lost])
    for name in _LABELS:
        table[name][missing] = MISSING
    table["ra"][lost] = table["dec"][lost] = MISSING
    keep = np.sort(np.concatenate([np.arange(n), again]))
    return table[keep]


def spectrum_file(visit, observed, i, release):
    """Bytes of one published spectrum, or None where the file is missing.

    Parameters
    ----------
    visit : dict
        Row of the release's visits, with ``snru`` to ``snrz``.
    observed : Observed
        Spectra of several rows.
    i : int
        Which of them is this one.
    release : str
        Chooses the layout: L1 for dr2, L2 for dr3.
    """
    defect = visit["defect"]
    if defect == "missing file":
        return None
    if defect == "empty gzip":
        return gzip.compress(b"", mtime=0)
    if defect == "html":
        return b"<!DOCTYPE html>\n<html><head><title>MOCK 404</title></head><body>Not found</body></html>\n"
    if defect == "wrong layout":
        cards = [card("ORIGIN", "MOCK", "not an observation")]
        return gzip.compress(image_bytes(cards, np.zeros((2, 100), dtype=">f4")), compresslevel=1, mtime=0)
    n_pix = visit["n_pix"]
    data = np.empty((5, n_pix), dtype=FORMATS[release].dtype)
    data[0] = observed.flux[i, :n_pix]
    data[1] = observed.ivar[i, :n_pix]
    data[2] = observed.wavelength[:n_pix]
    data[3] = observed.andmask[i, :n_pix]
    data[4] = observed.ormask[i, :n_pix]
    if defect == "nan flux":
        data[0] = np.nan
    if defect == "zero ivar":
        data[1] = 0.0
    redshift, error = observed.redshift[i], observed.redshift_err[i]
    if defect == "no redshift":
        redshift = error = MISSING
    content = image_bytes(_spectrum_cards(visit, redshift, error, release), data)
    if defect == "not compressed":
        return content
    content = gzip.compress(content, compresslevel=1, mtime=0)
    return content[: len(content) // 3] if defect == "truncated" else content


def _spectrum_cards(visit, redshift, redshift_err, release):
    """Header of one spectrum: the cards that a reader of the release relies on, in its spelling."""
    form = FORMATS[release]
    old = form.old
    cards = [
        card("COMMENT", None, "--------FILE INFORMATION"),
        card("FILENAME", visit["spectrum_id"], ""),
    ]
    if not old:
        cards += [card("OBSID", visit["obsid"], "Unique number ID of this spectrum")]
        cards += [card("DATA_V", f"LAMOST {release.upper()}", "Data release that the mock imitates")]
    rows = "Flux Inverse Wavelength Andmask Ormask" if old else "Flux, Inverse, Wavelength, Andmask, Ormask"
    fiber = str(visit["fiberid"]) if old else visit["fiberid"]
    cards += [
        card("AUTHOR", "MOCK archive", "not the LAMOST pipeline"),
        card("EXTEN0", rows, ""),
        card("N_EXTEN", 1, "The extension number"),
        card("EXTNAME", "Flux", "The extension name"),
        card("ORIGIN", "MOCK", "not an observation"),
        card("COMMENT", None, "MOCK: this file imitates the format of LAMOST, its content is made up"),
        card("TELESCOP", "LAMOST", "imitated"),
        card("DATE-OBS", f"{date(visit['lmjd'])}T14:00:00.0", "The observation median UTC"),
        card("LMJD", visit["lmjd"], "Local Modified Julian Day"),
        card("MJD", visit["lmjd"] + form.mjd_offset, "Modified Julian Day"),
        card("PLANID", visit["planid"], "Plan ID in use"),
        card("RA", visit["ra"], "[deg] Right ascension of object"),
        card("DEC", visit["dec"], "[deg] Declination of object"),
        card("DESIG", f"LAMOST {visit['designation']}", "Designation of LAMOST target"),
        card("FIBERID", fiber, "Fiber ID of Object"),
        card("OBJTYPE", "Star", "Object type from input catalog"),
        card("RADECSYS", "FK5", "Equatorial coordinate system"),
        card("EQUINOX", 2000.0, "Equinox in years"),
        card("SPID", visit["spid"], "Spectrograph ID"),
        card("HELIO", True, "Heliocentric correction"),
        card("HELIO_RV", 0.0, "[km/s] Heliocentric correction"),
        card("VACUUM", True, "Wavelengths are in vacuum"),
        card("NWORDER", 2, "Number of linear-log10 coefficients"),
        card("WFITTYPE", "LOG-LINEAR", "Linear-log10 dispersion"),
        card("COEFF0", LOG_START, "Central wavelength (log10) of first pixel"),
        card("COEFF1", LOG_STEP, "Log10 dispersion per pixel"),
        card("CRVAL1", LOG_START, "Central wavelength (log10) of first pixel"),
        card("CD1_1", LOG_STEP, "Log10 dispersion per pixel"),
        card("CRPIX1", 1, "Starting pixel (1-indexed)"),
        card("DC-FLAG", 1, "Log-linear flag"),
        card("CLASS", "STAR", "Class of object"),
        card("Z", round(float(redshift), 8), "Redshift of object"),
        card("Z_ERR", round(float(redshift_err), 8), "Redshift error of object"),
        card("Z_FROM" if old else "ZFLAG", "MOCK", "Which method computes the redshift"),
    ]
    for band in SNR_BANDS:
        key = f"SN_{band.upper()}" if old else f"SNR{band.upper()}"
        cards.append(card(key, visit[f"snr{band}"], f"SNR of {band} filter"))
    return cards
