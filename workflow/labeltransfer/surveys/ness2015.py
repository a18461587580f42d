"""The reference stars of Ness et al. 2015, ApJ 808, 16: members of 19 clusters with corrected labels of APOGEE DR10.

Their table is part of the Python package TheCannon 0.3.0, whose spectra `apogee_spectra.read_spectrum` reads. The
labels are those of ASPCAP, raw and corrected by Meszaros et al. 2013, AJ 146, 133; of the dwarfs in the Pleiades, to
which that correction does not reach, the authors give labels of their own, with one [M/H] for all.
"""

import os
import re

import numpy as np
from astropy.table import Table

from labeltransfer.files.columns import SENTINELS, numbers, pick, strings
from labeltransfer.files.errors import refusal
from labeltransfer.files.readers import read_columns
from labeltransfer.files.rejected import rejected_rows
from labeltransfer.surveys.base import ReferenceSurvey
from labeltransfer.surveys.label_tables import named_labels
from labeltransfer.surveys.sky import unit_vectors

PLEIADES = "Pleiades"
#: Cluster -> right ascension and declination of its middle [deg]: Harris 1996, AJ 112, 1487, for the globular ones.
CLUSTERS = {
    "M2": (323.36, -0.82),
    "M3": (205.55, 28.38),
    "M5": (229.64, 2.08),
    "M13": (250.42, 36.46),
    "M15": (322.49, 12.17),
    "M53": (198.23, 18.17),
    "M67": (132.85, 11.81),
    "M71": (298.44, 18.78),
    "M92": (259.28, 43.14),
    "M107": (248.13, -13.05),
    "NGC 188": (11.80, 85.24),
    "NGC 2158": (91.86, 24.10),
    "NGC 2420": (114.60, 21.57),
    "NGC 4147": (182.53, 18.54),
    "NGC 5466": (211.36, 28.53),
    "NGC 6791": (290.22, 37.77),
    "NGC 6819": (295.33, 40.19),
    "NGC 7789": (359.33, 56.71),
    PLEIADES: (56.75, 24.12),
}
_REACH = (
    2.0  # degrees from a cluster's middle: stars of the Pleiades are 1.5 away, and no two circles overlap
)

# Ours -> the table's: what comes before the labels, and what follows [M/H].
_LABELS = {
    "teff_raw": "Teff",
    "teff": "Teff_{corr}",
    "logg_raw": "logg",
    "logg": "logg_{corr}",
    "m_h_raw": "[M/H]",
    "m_h": "[M/H]_{corr}",
}
_ABUNDANCES = {"c_m": "[C/M]", "n_m": "[N/M]", "alpha_m": "[a/M]", "snr": "S/N"}
_ERRORS = {"teff_err": "e_Teff_corr", "m_h_err": "e_[MH]+corr"}
_AFTER = ("[N/M]", "[a/M]", "S/N", "Jmag")
_LEAST_SNR = 1.0
_UNITS = {"teff": "K", "teff_raw": "K", "teff_err": "K", "rv": "km/s", "snr": ""}
_STAR = re.compile(r"2M(\d{2})(\d{2})(\d{2})(\d{2})([+-])(\d{2})(\d{2})(\d{2})(\d)")


def read_ness_labels(path):
    """Read the table of labels of the reference stars.

    Rows of the Pleiades have a value more than the others after [M/H], and lack the last one: they are told by an S/N
    below one, and read one column further on.

    Parameters
    ----------
    path : path
        `reference_labels.csv` of the package.

    Returns
    -------
    stars : Table
        reference_id, file, cluster ('' for a star near none), dwarf (in the Pleiades), ra, dec [deg], rv [km/s];
        teff, logg, m_h as the paper used them and as ASPCAP left them (``_raw``), c_m, n_m, alpha_m, snr, teff_err and
        m_h_err, which the dwarfs lack.
    rejected : Table
        id, catalog, stage, reason of rows without the name of a star ('no identifier'), and of those that follow a
        row of the same star ('duplicate').

    Raises
    ------
    ArchiveError
        As for any table; 'missing column'; 'unknown layout' where no row is a star's.
    """
    wanted = ["ID", "Rvel", *_LABELS.values(), *_ABUNDANCES.values(), *_ERRORS.values(), *_AFTER]
    columns = read_columns(path, lambda names: list(pick(path, names, wanted).values()))
    columns = {name.lower(): column for name, column in columns.items()}
    files = strings(columns["id"])
    stars = [_STAR.search(file) for file in files]
    ids = np.array(["" if star is None else star[0] for star in stars], dtype=str)
    _, first = np.unique(ids, return_index=True)
    reason = np.full(len(ids), "duplicate", dtype=object)
    reason[first] = ""
    reason[ids == ""] = "no identifier"
    if not (reason == "").any():
        cure = "Check that this is the table of labels of Ness et al. 2015."
        raise refusal(path, "unknown layout", "files of spectra, by name of star", f"{files[:1]}", cure)
    values = {name: numbers(columns[name.lower()]) for name in wanted[1:]}
    shifted = values["S/N"] < _LEAST_SNR
    table = Table({"reference_id": ids, "file": files.astype(str)})
    ra, dec = np.transpose([(np.nan, np.nan) if star is None else _position(star) for star in stars])
    table["cluster"] = _nearest_cluster(ra, dec)
    table["dwarf"] = table["cluster"] == PLEIADES
    table["ra"], table["dec"], table["rv"] = ra, dec, values["Rvel"]
    for name, column in _LABELS.items():
        table[name] = values[column]
    for (name, column), after in zip(_ABUNDANCES.items(), _AFTER, strict=True):
        table[name] = np.where(shifted, values[after], values[column])
    for name, column in _ERRORS.items():
        table[name] = np.where(shifted, np.nan, values[column])
    for name in table.colnames[4:]:
        table[name].unit = {"ra": "deg", "dec": "deg", **_UNITS}.get(name, "dex")
    kept = reason == ""
    lost = np.flatnonzero(~kept)
    names = [ids[row] or f"row {row}" for row in lost]
    return table[kept], rejected_rows(names, "reference", "catalogue", list(reason[lost]))


def read_ness_catalog(path, labels, errors=None, sentinels=SENTINELS):
    """The labels as a reference catalogue; see `labeltransfer.surveys.base.ReferenceSurvey`.

    Columns are those of `read_ness_labels`; cluster is carried along.
    """
    table, rejected = read_ness_labels(path)
    wanted = [*labels.values(), *(errors or {}).values()]
    chosen = pick(path, table.colnames[4:], wanted)
    values = {name: table[chosen[theirs]].data for name, theirs in labels.items()}
    spread = {name: table[chosen[theirs]].data for name, theirs in (errors or {}).items()}
    source = os.path.basename(os.fspath(path))
    reference, _ = named_labels(table["reference_id"], values, spread, table["snr"].data, source)
    for name in ("ra", "dec", "cluster"):
        reference[name] = table[name]
    return reference, rejected


def _position(star):
    """Right ascension and declination [deg] that the 2MASS name of a star has."""
    hours, minutes, seconds, hundredths, sign, degrees, arcminutes, arcseconds, tenths = star.groups()
    ra = 15 * (int(hours) + int(minutes) / 60 + (int(seconds) + int(hundredths) / 100) / 3600)
    dec = int(degrees) + int(arcminutes) / 60 + (int(arcseconds) + int(tenths) / 10) / 3600
    return ra, -dec if sign == "-" else dec


def _nearest_cluster(ra, dec):
    """Name of the cluster (n,) in whose reach a position [deg] is; '' for none."""
    middles = unit_vectors(*np.transpose(list(CLUSTERS.values())))
    cosine = unit_vectors(ra, dec) @ middles.T
    nearest = np.argmax(np.nan_to_num(cosine, nan=-1.0), axis=1)
    near = cosine[np.arange(len(ra)), nearest] > np.cos(np.radians(_REACH))
    return np.where(near, np.array(list(CLUSTERS))[nearest], "")


SURVEY = ReferenceSurvey("ness2015", read_ness_catalog)
