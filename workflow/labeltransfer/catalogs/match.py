"""Cross-match of two catalogues on the sky, and rows grouped into stars.

Ho et al. 2017 joined LAMOST DR2 with APOGEE DR12 by position. The separations of true pairs have a median
of 0.1 arcsec and 99 % lie below 0.9 arcsec, so 3 arcsec loses none and the nearest counterpart wins.
"""

from typing import NamedTuple

import numpy as np
from astropy.table import Table
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from labeltransfer.files.rejected import rejected_rows
from labeltransfer.surveys.sky import separations, unit_vectors

NO_POSITION = "no position"
NO_COUNTERPART = "no counterpart within the radius"
CLAIMED_BY_NEARER = "its counterpart has a nearer match"


class Matches(NamedTuple):
    """Pairs of rows of two catalogues, at most one pair for each row.

    Attributes
    ----------
    index1, index2 : (n_match,) int64
        Rows of catalogue 1 (ascending) and of catalogue 2.
    separation : (n_match,) float64
        Angle between the two [arcsec].
    reason1 : (n1,) str
        For each row of catalogue 1, why it has no counterpart; empty where it has one.
    """

    index1: np.ndarray
    index2: np.ndarray
    separation: np.ndarray
    reason1: np.ndarray


def match(ra1, dec1, ra2, dec2, radius_arcsec=3.0, workers=1):
    """Match each row of catalogue 1 with the nearest row of catalogue 2 within a radius, one to one.

    Where several rows of catalogue 1 have the same nearest row of catalogue 2, the closest of them keeps it
    (the first, if equally close) and the others stay without: they are different objects on the sky, and
    their second nearest neighbour would be a wrong one. Repeats of a star should be resolved before, with
    `group_stars` and `one_star_once`.

    Parameters
    ----------
    ra1, dec1 : (n1,) array_like
        Positions in catalogue 1 [deg].
    ra2, dec2 : (n2,) array_like
        Positions in catalogue 2 [deg]. Of rows at exactly the same place the first is used.
    radius_arcsec : float, optional
        Largest separation of a pair [arcsec].
    workers : int, optional
        Threads of the search; the answer does not depend on them.

    Returns
    -------
    Matches

    Raises
    ------
    ValueError
        If positions disagree in shape or the radius is not positive.
    """
    ra1, dec1 = _positions(ra1, dec1)
    ra2, dec2 = _positions(ra2, dec2)
    chord = _chord(radius_arcsec)
    rows1 = np.flatnonzero(_on_the_sky(ra1, dec1))
    places2, _, rows2 = _places(ra2, dec2)

    reason = np.full(len(ra1), NO_POSITION, dtype=f"U{max(map(len, _REASONS))}")
    reason[rows1] = NO_COUNTERPART
    if len(rows1) == 0 or len(rows2) == 0:
        none = np.zeros(0, dtype=np.int64)
        return Matches(none, none.copy(), np.zeros(0), reason)

    distance, nearest = cKDTree(places2).query(
        unit_vectors(ra1[rows1], dec1[rows1]), distance_upper_bound=chord, workers=workers
    )
    found = np.isfinite(distance)
    index1, index2, distance = rows1[found], rows2[nearest[found]], distance[found]

    order = np.lexsort((index1, distance, index2))
    first = np.ones(len(order), dtype=bool)
    first[1:] = index2[order][1:] != index2[order][:-1]
    reason[index1] = CLAIMED_BY_NEARER
    kept = np.sort(order[first])
    reason[index1[kept]] = ""
    separation = np.degrees(2 * np.arcsin(distance[kept] / 2)) * 3600
    return Matches(index1[kept], index2[kept], separation, reason)


def group_stars(ra, dec, radius_arcsec=3.0):
    """Number the stars behind the rows of a catalogue: rows within the radius of each other are one star.

    Rows are joined through common neighbours (friends of friends), so the answer does not depend on their
    order. A row without a position is a star of its own.

    Parameters
    ----------
    ra, dec : (n,) array_like
        Positions [deg].
    radius_arcsec : float, optional
        Linking length [arcsec].

    Returns
    -------
    star : (n,) int64
        Number of the star, 0, 1, ... in order of first appearance.

    Raises
    ------
    ValueError
        If positions disagree in shape or the radius is not positive.
    """
    ra, dec = _positions(ra, dec)
    chord = _chord(radius_arcsec)
    placed = _on_the_sky(ra, dec)
    places, place_of_row, _ = _places(ra, dec)
    star = np.empty(len(ra), dtype=np.int64)
    n_star = 0
    if len(places):
        pairs = cKDTree(places).query_pairs(chord, output_type="ndarray")
        links = coo_array((np.ones(len(pairs), dtype=bool), pairs.T), shape=(len(places), len(places)))
        n_star, component = connected_components(links, directed=False)
        star[placed] = component[place_of_row]
    star[~placed] = n_star + np.arange(np.count_nonzero(~placed))

    _, first_row, number = np.unique(star, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first_row))[number]


def one_star_once(star, quality):
    """Mark the best row of each star: the highest quality wins, and the first of equals.

    Parameters
    ----------
    star : (n,) array_like
        Which star a row belongs to.
    quality : (n,) array_like
        What decides, for example S/N; a missing value (NaN) loses against any number.

    Returns
    -------
    keep : (n,) bool
        True once for each star.

    Raises
    ------
    ValueError
        If the two are not of the same length.
    """
    star = np.asarray(star)
    quality = np.asarray(quality, dtype=float)
    if star.shape != quality.shape or star.ndim != 1:
        raise ValueError(f"star and quality must be of one length: found {star.shape} and {quality.shape}")
    _, number = np.unique(star, return_inverse=True)
    order = np.lexsort((np.arange(len(number)), -np.where(np.isnan(quality), -np.inf, quality), number))
    keep = np.zeros(len(number), dtype=bool)
    keep[order[np.diff(number[order], prepend=-1) > 0]] = True
    return keep


def crossmatch(survey, reference, match_radius, same_star_radius):
    """Group repeated spectra into stars, and match stars with the reference survey.

    By position, the best spectrum of a star is matched with the nearest reference star. Where labels name their
    spectra they stay with them, however many of a star's spectra have labels: the selection, which knows what labels
    are good for, takes one of them.

    Parameters
    ----------
    survey : Table
        `spectrum_id`, `ra`, `dec` [deg] and `snrg`, which decides what the best spectrum of a star is.
    reference : Table
        `reference_id`, `ra`, `dec` [deg]; and `survey_row`, where each row of labels belongs to one spectrum.
    match_radius, same_star_radius : float
        Arcsec, as for `match` and `group_stars`.

    Returns
    -------
    matches : Table
        `reference_id`, `spectrum_id`, `separation` [arcsec], `reference_row`, `survey_row` of each pair.
    stars : Table
        Per survey row: `star`, and whether it is the `best` spectrum of that star.
    rejected : Table
        Reference rows without a counterpart.
    """
    star = group_stars(survey["ra"], survey["dec"], same_star_radius)
    best = one_star_once(star, survey["snrg"])
    if "survey_row" in reference.colnames:
        found = _own_spectra(survey, reference)
    else:
        rows = np.flatnonzero(best)
        found = match(
            reference["ra"], reference["dec"], survey["ra"][rows], survey["dec"][rows], match_radius
        )
        found = found._replace(index2=rows[found.index2])
    matches = Table(
        {
            "reference_id": reference["reference_id"][found.index1],
            "spectrum_id": survey["spectrum_id"][found.index2],
            "separation": found.separation,
            "reference_row": found.index1,
            "survey_row": found.index2,
        }
    )
    matches["separation"].unit = "arcsec"
    lost = np.flatnonzero(found.reason1 != "")
    rejected = rejected_rows(reference["reference_id"][lost], "reference", "cross-match", found.reason1[lost])
    return matches, Table({"star": star, "best": best}), rejected


def _own_spectra(survey, reference):
    """Pairs of labels and the spectra that they name."""
    rows = np.asarray(reference["survey_row"])
    apart = separations(reference["ra"], reference["dec"], survey["ra"][rows], survey["dec"][rows])
    return Matches(np.arange(len(rows)), rows, apart, np.full(len(rows), ""))


_REASONS = (NO_POSITION, NO_COUNTERPART, CLAIMED_BY_NEARER)


def _positions(ra, dec):
    ra, dec = np.asarray(ra, dtype=float), np.asarray(dec, dtype=float)
    if ra.ndim != 1 or ra.shape != dec.shape:
        raise ValueError(f"ra and dec must be one-dimensional and of one length: {ra.shape} and {dec.shape}")
    return ra, dec


def _chord(radius_arcsec):
    if not 0 < radius_arcsec < 3600 * 90:
        raise ValueError(f"the radius must lie between 0 and 90 degrees, in arcsec: found {radius_arcsec!r}")
    return 2 * np.sin(np.radians(radius_arcsec / 3600) / 2)


def _on_the_sky(ra, dec):
    """Which positions are real: surveys write NaN or -9999 for an unknown one."""
    with np.errstate(invalid="ignore"):
        return (np.abs(ra) <= 360) & (np.abs(dec) <= 90)


def _places(ra, dec):
    """Distinct positions as unit vectors, the place of each row that has one, the first row of each place.

    Repeats of a star often share one catalogue position exactly: a tree of distinct places keeps their
    number of pairs from growing as its square, and makes "the first row" the answer among equals.
    """
    rows = np.flatnonzero(_on_the_sky(ra, dec))
    _, first, place = np.unique(ra[rows] + 1j * dec[rows], return_index=True, return_inverse=True)
    first = rows[first]
    return unit_vectors(ra[first], dec[first]), place, first
