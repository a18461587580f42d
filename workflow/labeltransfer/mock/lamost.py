"""LAMOST's half of the mock archive: who is observed, the catalogue, and the files of spectra."""

import gzip
from typing import NamedTuple

import numpy as np
from astropy.coordinates import Angle
from astropy.table import Table

from labeltransfer.mock.cards import MISSING, card, date, image_bytes
from labeltransfer.mock.observation import MAX_PIXELS, MIN_PIXELS, SNR_BANDS
from labeltransfer.surveys.grids import LOG_START, LOG_STEP
from labeltransfer.surveys.sky import unit_vectors

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


def draw_visits(config, seed, stars):
    """Draw who is observed when, and what LAMOST's pipeline says about it.

    Returns
    -------
    Table
        One row per spectrum of any release; ``in_<release>`` and ``defect_<release>`` tell the releases
        apart.
    """
    rng = np.random.default_rng([seed, 11])
    releases = list(config["releases"])
    seen = np.flatnonzero(stars["kind"] != "apogee_only")
    number = _number_in_kind(stars)[seen]
    kind = stars["kind"][seen]
    inside = {}
    for release, size in config["releases"].items():
        limit = np.where(kind == "reference", size["n_reference"], size["n_survey"])
        inside[release] = number < limit
    new = ~inside[releases[0]]
    again = rng.random(len(seen)) < config["repeat_fraction"]
    third = again & (rng.random(len(seen)) < 0.15)
    # The star of Figure 2 is seen once, well.
    figure_2 = (kind == "reference") & (number == 0)
    again &= ~figure_2
    third &= again
    index = np.concatenate([np.arange(len(seen)), np.flatnonzero(again), np.flatnonzero(third)])
    epoch = np.repeat([0, 1, 2], [len(seen), again.sum(), third.sum()]) + 3 * new[index]
    n = len(index)

    low, high = config["snr_range"]
    snr = low * (high / low) ** rng.random(n)
    bright = (rng.random(n) < config["bright_fraction"]) & (new & (kind == "reference"))[index]
    snr = np.where(bright, rng.uniform(min(200.0, high), high, n), snr)
    snr[figure_2[index]] = min(120.0, high)

    visits = Table({"uid": np.arange(n), "star": seen[index], "snr": snr})
    visits["n_pix"] = rng.integers(MIN_PIXELS, MAX_PIXELS + 1, n)
    _name_spectra(visits, epoch, stars, rng)
    for name, spread in (("ra", 1.0), ("dec", 1.0)):
        # Fibres are placed by input catalogues that agree with 2MASS to 0.1 arcsec, rarely worse.
        offset = rng.standard_normal(n) * np.where(rng.random(n) < 0.03, 0.45, 0.085) * spread / 3600.0
        cosine = np.cos(np.radians(stars["dec"][visits["star"]])) if name == "ra" else 1.0
        visits[name] = np.round(stars[name][visits["star"]] + offset / cosine, 6)
    visits["designation"] = _designation(visits["ra"], visits["dec"])
    _survey_labels(visits, stars, rng)
    for k, release in enumerate(releases):
        visits[f"in_{release}"] = inside[release][index]
        usable = np.flatnonzero(visits[f"in_{release}"] & ~figure_2[index])
        visits[f"defect_{release}"] = _defects(
            n, usable, config["defects"], np.random.default_rng([seed, 13, k])
        )
    return visits


def _number_in_kind(stars):
    number = np.empty(len(stars), dtype=int)
    for kind in np.unique(stars["kind"]):
        rows = np.flatnonzero(stars["kind"] == kind)
        number[rows] = np.arange(len(rows))
    return number


def _name_spectra(visits, epoch, stars, rng):
    """PLANID, LMJD, spectrograph, fibre, OBSID and file names; a field and an epoch make a plan."""
    field = np.asarray(stars["field"])[visits["star"]]
    plans, plan = np.unique(field * 6 + epoch, return_inverse=True)
    vector = np.zeros((len(plans), 3))
    np.add.at(vector, plan, unit_vectors(stars["ra"][visits["star"]], stars["dec"][visits["star"]]))
    ra = np.degrees(np.arctan2(vector[:, 1], vector[:, 0])) % 360.0
    dec = np.degrees(np.arctan2(vector[:, 2], np.hypot(vector[:, 0], vector[:, 1])))
    latitude = np.zeros(len(plans))
    latitude[plan] = np.asarray(stars["glat"])[visits["star"]]
    names, known = [], set()
    for centre, height, up, night in zip(ra, latitude, dec, (plans % 6) + 1, strict=True):
        sign = "N" if up >= 0 else "S"
        if abs(height) < 30:
            name = f"GAC{int(centre):03d}{sign}{int(abs(up)):02d}B{night}"
        else:
            time = int(centre * 240)
            name = f"HD{time // 3600:02d}{time // 60 % 60:02d}{time % 60:02d}"
            name += f"{sign}{int(abs(up) * 3600):06d}B{night:02d}"
        serial = 2
        while name in known:
            name = f"{name.split('_')[0]}_{serial}"
            serial += 1
        known.add(name)
        names.append(name)
    # Nights of the pilot survey to DR2 for the first epochs, of the year after for stars new in the later
    # release.
    late = plans % 6 >= 3
    lmjd = np.where(late, 56820 + rng.integers(0, 330, len(plans)), 55859 + rng.integers(0, 950, len(plans)))
    fibre = np.empty(len(visits), dtype=int)
    for p in range(len(plans)):
        rows = np.flatnonzero(plan == p)
        if len(rows) > 4000:
            raise ValueError(f"plan {names[p]} of the mock archive has {len(rows)} stars and 4000 fibres")
        fibre[rows] = np.sort(rng.permutation(4000)[: len(rows)])
    visits["planid"] = np.array(names)[plan]
    visits["lmjd"] = lmjd[plan]
    visits["spid"] = fibre // 250 + 1
    visits["fiberid"] = fibre % 250 + 1
    order = np.lexsort((fibre, plan, lmjd[plan]))
    visits["obsid"] = np.empty(len(visits), dtype=np.int64)
    visits["obsid"][order] = 101001 + 17 * np.arange(len(visits))
    visits["spectrum_id"] = [
        f"spec-{lmjd}-{planid}_sp{spid:02d}-{fiber:03d}.fits"
        for lmjd, planid, spid, fiber in zip(
            *(visits[name].tolist() for name in ("lmjd", "planid", "spid", "fiberid")), strict=True
        )
    ]
    visits["path"] = [
        f"{planid}/{name}.gz"
        for planid, name in zip(visits["planid"].tolist(), visits["spectrum_id"].tolist(), strict=True)
    ]


def _survey_labels(visits, stars, rng):
    """Labels of LAMOST's pipeline: biased in log g and [Fe/H] as in Figure 1 of Ho et al. (2017)."""
    star = stars[visits["star"]]
    n = len(visits)
    nodes = [10.0, 30.0, 50.0, 70.0, 90.0, 110.0]
    scatter = {
        "teff": np.interp(visits["snr"], nodes, [155, 117, 88, 76, 78, 76]),
        "logg": np.interp(visits["snr"], nodes, [0.39, 0.30, 0.26, 0.23, 0.22, 0.21]),
        "feh": np.interp(visits["snr"], nodes, [0.172, 0.113, 0.086, 0.075, 0.066, 0.066]),
    }
    # In both dwarfs are less affected; the biases of giants grow away from the clump.
    giant = np.clip((4.0 - star["logg"]) / 0.5, 0.0, 1.0)
    bias = {
        "teff": 0.0,
        "logg": giant * (0.08 - 0.14 * (star["logg"] - 2.4)),
        "feh": giant * (-0.05 - 0.07 * (star["m_h"] + 0.2)),
    }
    truth = {"teff": star["teff"], "logg": star["logg"], "feh": star["fe_h"]}
    for name in ("teff", "logg", "feh"):
        visits[name] = np.asarray(
            truth[name] + bias[name] + scatter[name] * rng.standard_normal(n), dtype=float
        )
        visits[f"{name}_err"] = scatter[name] * np.exp(0.2 * rng.standard_normal(n)) * 1.3
    error = 4.0 + 80.0 / visits["snr"]
    visits["rv_measured"] = star["rv"] + error * rng.standard_normal(n)
    visits["rv_err"] = error
    for name in ("teff", "teff_err", "rv_measured", "rv_err"):
        visits[name] = np.round(visits[name], 2)
    for name in ("logg", "feh", "logg_err", "feh_err"):
        visits[name] = np.round(visits[name], 3)


def _defects(n, usable, counts, rng):
    defect = np.full(n, "", dtype="U16")
    total = sum(counts.values())
    if total > len(usable):
        raise ValueError(f"the mock archive cannot have {total} defects in {len(usable)} spectra")
    chosen = rng.permutation(usable)[:total]
    defect[chosen] = np.repeat(list(counts), list(counts.values()))
    return defect


def _designation(ra, dec):
    right = Angle(ra, unit="deg").to_string(unit="hour", sep="", precision=2, pad=True)
    up = Angle(dec, unit="deg").to_string(unit="deg", sep="", precision=1, pad=True, alwayssign=True)
    return np.char.add(np.char.add("J", np.asarray(right, dtype=str)), np.asarray(up, dtype=str))


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
