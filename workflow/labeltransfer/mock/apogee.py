"""APOGEE's half of the mock archive: labels with their errors and flags, allStar and aspcapStar files."""

from typing import NamedTuple

import numpy as np
from astropy.io import fits
from astropy.table import Table

from labeltransfer.mock.cards import MISSING, hdus_bytes
from labeltransfer.mock.hband import CDELT1, CRVAL1, hband_flux


class Format(NamedTuple):
    """What differs between the releases of APOGEE that the mock imitates.

    `reduction` and `version` are those of the pipelines, as file names have them; `vector` tells whether abundances
    stand in one vector column X_H, or each in a column of its own.
    """

    reduction: str
    version: str
    vector: bool

    @property
    def allstar(self):
        """Name of the allStar file."""
        return f"allStar-{self.version}.fits"


#: DR12 goes with LAMOST DR2, DR13 with LAMOST DR3.
FORMATS = {"dr2": Format("r5", "v603", vector=False), "dr3": Format("r6", "l30e.2", vector=True)}
#: Order of the vector column ELEM of DR12, in which these are [X/M] and the others [X/H].
ELEM = ("Al", "Ca", "C", "Fe", "K", "Mg", "Mn", "Na", "Ni", "N", "O", "Si", "S", "Ti", "V")
_RELATIVE_TO_M = ("C", "N", "O", "Mg", "Si", "S", "Ca", "Ti")
#: Order of the vector column X_H of DR13 and later; lines of neutral and ionised atoms apart for two.
X_H = (
    "C",
    "CI",
    "N",
    "O",
    "Na",
    "Mg",
    "Al",
    "Si",
    "P",
    "S",
    "K",
    "Ca",
    "Ti",
    "TiII",
    "V",
    "Cr",
    "Mn",
    "Fe",
    "Co",
)
X_H += ("Ni", "Cu", "Ge", "Ce", "Rb", "Y", "Nd")

_BAD_FLAGS = (1 << 23, 1 << 19, 1 << 20, 1 << 3, 1 << 4)  # STAR_BAD, M_H and ALPHA_M BAD and WARN
_HARMLESS_FLAGS = (1 << 9, 1 << 11)  # COLORTE_WARN, SN_WARN
_PERSISTENCE = 1 << 9
_DUPLICATE = 1 << 4

# Typical standard deviations: K and dex.
_ERRORS = {"teff": 50.0, "logg": 0.08, "m_h": 0.035, "alpha_m": 0.03}
_ERRORS |= {"c_h": 0.03, "n_h": 0.04, "o_h": 0.03, "na_h": 0.06, "mg_h": 0.025, "al_h": 0.04, "si_h": 0.025}
_ERRORS |= {"s_h": 0.05, "k_h": 0.04, "ca_h": 0.025, "ti_h": 0.05, "v_h": 0.06, "cr_h": 0.05, "mn_h": 0.035}
_ERRORS |= {"fe_h": 0.035, "co_h": 0.06, "ni_h": 0.03}
_AK_ERROR = 0.01


def draw_apogee(config, seed, stars):
    """Draw the labels that APOGEE measures: truth and noise with exactly the quoted errors, except where
    flagged.

    Returns
    -------
    Table
        One row per allStar row of any release, the stars' own rows first: star, SNR, labels and
        ``<label>_err``, flags, location_id, field, duplicate, label_defect ('', flagged, missing, outlier)
        and ``in_<release>``.
    """
    rng = np.random.default_rng([seed, 19])
    seen = np.flatnonzero(stars["kind"] != "survey")
    # The star of Figure 2, number 0, is an ordinary good star.
    common = rng.random(len(seen))
    second = np.flatnonzero((rng.random(len(seen)) < config["duplicate_fraction"]) & (seen > 0))
    index = np.concatenate([np.arange(len(seen)), second])
    star, n = stars[seen[index]], len(index)
    table = Table({"star": seen[index]})
    table["APOGEE_ID"] = star["apogee_id"]
    table["duplicate"] = np.arange(n) >= len(seen)
    snr = np.clip(150.0 * np.exp(0.5 * rng.standard_normal(n)), 40.0, 1500.0)
    table["SNR"] = np.where(table["duplicate"], 0.6 * snr, snr)

    growth = np.clip((120.0 / table["SNR"]) ** 0.4, 0.8, 1.6)
    for label, typical in (_ERRORS | config["label_errors"]).items():
        error = typical * growth * np.exp(0.15 * rng.standard_normal(n))
        table[label] = np.asarray(star[label] + error * rng.standard_normal(n), dtype=float)
        table[f"{label}_err"] = np.asarray(error, dtype=float)
    table["ak_wise"] = np.asarray(star["a_k"] + _AK_ERROR * rng.standard_normal(n), dtype=float)
    table["ak_targ"] = np.asarray(star["a_k"] + 1.5 * _AK_ERROR * rng.standard_normal(n), dtype=float)

    defect, draw = np.full(n, "", dtype="U8"), common[index]
    limits = np.cumsum([config[f"{name}_fraction"] for name in ("flagged", "missing_labels", "outlier")])
    for name, low, high in zip(("flagged", "missing", "outlier"), [0.0, *limits[:-1]], limits, strict=True):
        defect[(draw >= low) & (draw < high)] = name
    # ASPCAP's calibrated labels are for giants.
    defect[star["logg"] > 4.0] = "missing"
    defect[seen[index] == 0] = ""
    table["label_defect"] = defect
    wrong = np.isin(defect, ("flagged", "outlier"))
    for label, size in {"teff": 350.0, "logg": 0.6, "m_h": 0.45, "alpha_m": 0.15}.items():
        table[label] += np.where(
            wrong, size * np.sign(rng.standard_normal(n)) * rng.uniform(0.7, 1.3, n), 0.0
        )
    flags = np.where(rng.random(n) < 0.05, rng.choice(_HARMLESS_FLAGS, n), 0)
    table["aspcapflag"] = np.where(defect == "flagged", rng.choice(_BAD_FLAGS, n), flags).astype(np.int32)
    table["starflag"] = np.where(rng.random(n) < 0.05, _PERSISTENCE, 0).astype(np.int32)

    field = np.asarray(star["field"])
    table["location_id"] = (4102 + field + 10000 * table["duplicate"]).astype(np.int16)
    lon, lat = np.asarray(star["glon"]), np.asarray(star["glat"])
    table["field"] = [f"{round(a) % 360:03d}{round(b):+03d}" for a, b in zip(lon, lat, strict=True)]
    number = np.asarray(star["star_id"])
    for release, size in config["releases"].items():
        table[f"in_{release}"] = (star["kind"] == "apogee_only") | (number < size["n_reference"])
    return table


def allstar_table(rows, stars, release):
    """The columns of allStar that studies use, under the names of the release.

    Parameters
    ----------
    rows : Table
        Rows of `draw_apogee` in the release.
    stars : Table
        True labels and places.
    release : str
        dr2 for DR12 (v603), dr3 for DR13 (l30e.2).

    Returns
    -------
    Table
        In the order of LOCATION_ID and APOGEE_ID; missing labels are -9999.
    """
    rows = rows[np.lexsort((rows["APOGEE_ID"], rows["location_id"]))]
    star, n = stars[rows["star"]], len(rows)
    form = FORMATS[release]
    # Magnitudes follow S/N; nothing in the study uses them.
    h_mag = 12.5 - 2.0 * np.log10(np.asarray(rows["SNR"]) / 100.0)
    out = Table()
    places = list(zip(rows["location_id"].tolist(), rows["APOGEE_ID"].tolist(), strict=True))
    out["ASPCAP_ID"] = [f"apogee.apo25m.s.{form.version}.{location}.{name}" for location, name in places]
    out["FILE"] = [f"apStar-{form.reduction}-{name}.fits" for _, name in places]
    out["APOGEE_ID"] = rows["APOGEE_ID"]
    out["TELESCOPE"] = np.full(n, "apo25m")
    out["LOCATION_ID"] = rows["location_id"]
    out["FIELD"] = rows["field"]
    for band, colour, extinction in (("J", 0.7, 2.5), ("H", 0.0, 1.55), ("K", -0.13, 1.0)):
        out[band] = (h_mag + colour + extinction * star["a_k"]).astype(np.float32)
        out[f"{band}_ERR"] = np.full(n, 0.025, dtype=np.float32)
    for name in ("ra", "dec", "glon", "glat"):
        out[name.upper()] = np.asarray(star[name])
        out[name.upper()].unit = "deg"
    out["SNR"] = rows["SNR"].astype(np.float32)
    out["STARFLAG"] = rows["starflag"]
    out["VHELIO_AVG"] = star["rv"].astype(np.float32)
    out["EXTRATARG"] = np.where(rows["duplicate"], _DUPLICATE, 0).astype(np.int16)

    missing = np.asarray(rows["label_defect"] == "missing")
    raw = [rows["teff"], rows["logg"], np.log10(star["vmic"]), rows["m_h"]]
    raw += [rows["c_h"] - rows["m_h"], rows["n_h"] - rows["m_h"], rows["alpha_m"]]
    out["FPARAM"] = np.column_stack([np.asarray(column) for column in raw]).astype(np.float32)
    out["PARAM"] = np.where(missing[:, None], MISSING, out["FPARAM"]).astype(np.float32)
    relative = np.array([element in _RELATIVE_TO_M for element in ELEM])
    measured = np.column_stack([np.asarray(rows[f"{element.lower()}_h"]) for element in ELEM])
    felem = measured - np.where(relative, np.asarray(rows["m_h"])[:, None], 0.0)
    out["ELEM"] = np.where(missing[:, None], MISSING, felem).astype(np.float32)
    names = {"TEFF": "teff", "LOGG": "logg", "PARAM_M_H": "m_h", "PARAM_ALPHA_M": "alpha_m"}
    for name, label in names.items():
        out[name] = np.where(missing, MISSING, rows[label]).astype(np.float32)
        out[f"{name}_ERR"] = np.where(missing, -1.0, rows[f"{label}_err"]).astype(np.float32)
    out["TEFF"].unit = out["TEFF_ERR"].unit = "K"
    out["ASPCAPFLAG"] = rows["aspcapflag"]
    for suffix in ("", "_ERR"):
        if not form.vector:
            for element in ELEM:
                values = rows[f"{element.lower()}_h{suffix.lower()}"]
                out[f"{element.upper()}_H{suffix}"] = np.where(missing, MISSING, values).astype(np.float32)
        else:
            values = np.full((n, len(X_H)), MISSING)
            for i, element in enumerate(X_H):
                if f"{element.lower()}_h" in rows.colnames:
                    values[~missing, i] = rows[f"{element.lower()}_h{suffix.lower()}"][~missing]
            out[f"X_H{suffix}"] = values.astype(np.float32)
    # A few stars lack the photometry of either kind.
    lost = np.asarray(rows["star"]) % 211 == 210
    out["AK_TARG"] = np.where(lost, -9999.99, rows["ak_targ"]).astype(np.float32)
    out["AK_WISE"] = np.where(lost, MISSING, rows["ak_wise"]).astype(np.float32)
    return out


def aspcapstar_path(row, release):
    """Path of a star's aspcapStar file below the folder of the ASPCAP results."""
    form = FORMATS[release]
    return f"{row['location_id']}/aspcapStar-{form.reduction}-{form.version}-{row['APOGEE_ID']}.fits"


def aspcapstar_bytes(row, star, seed):
    """An aspcapStar file: normalised flux, error and model, each in an extension.

    Parameters
    ----------
    row : Row
        Of `draw_apogee`.
    star : Row
        Of the stars, with the true labels.
    seed : int
        Of the universe.
    """
    model = hband_flux(star)
    rng = np.random.default_rng([seed, 73, int(row["star"])])
    error = np.where(model > 0, 1.0 / float(row["SNR"]), 1e10)
    flux = np.where(model > 0, model + error * rng.standard_normal(len(model)), 0.0)
    primary = fits.PrimaryHDU()
    primary.header["ORIGIN"] = ("MOCK", "not an observation")
    primary.header["OBJ"] = (row["APOGEE_ID"], "star of the mock universe")
    for text in (
        "MOCK: not an APOGEE observation.",
        "Schematic: a short list of well-known H-band lines of rough strength,",
        "scaled with the labels of the mock star. Look at it, do not measure it.",
    ):
        primary.header["COMMENT"] = text
    hdus = [primary]
    for data, content in zip((flux, error, model), ("normalised flux", "error", "model"), strict=True):
        hdu = fits.ImageHDU(data.astype(">f4"))
        hdu.header.update(
            {"CRVAL1": CRVAL1, "CDELT1": CDELT1, "CRPIX1": 1, "CTYPE1": "LOG-LINEAR", "DC-FLAG": 1}
        )
        hdu.header.update({"ORIGIN": "MOCK", "CONTENT": content})
        hdus.append(hdu)
    return hdus_bytes(hdus)
