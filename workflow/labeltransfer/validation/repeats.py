"""Labels of one star from two spectra: errors against the scatter between visits, and what labels depend on."""

from itertools import pairwise

import numpy as np
import pandas as pd
from astropy.table import vstack

from labeltransfer.catalogs.enough import CALIBRATION_STARS
from labeltransfer.catalogs.repeats import fibres, independent_pairs, observations
from labeltransfer.catalogs.rows import rows_of
from labeltransfer.files.tables import read_table
from labeltransfer.validation.calibration import fit_calibration
from labeltransfer.validation.statistics import clip, robust_scatter, slope

SNR_EDGES = (0.0, 20.0, 50.0, 100.0, np.inf)  # of the worse spectrum of a pair
_LEAST_PAIRS = 5
VISITS, ONE_FIBRE, TWO_FIBRES = "visits", "visits by one fibre", "visits by two fibres"
RELEASES = "one observation in two releases"


def read_repeats(labels, stars):
    """Labels of stars that were observed more than once, and the star (n,) of each, from their files."""
    labels = vstack([read_table(path) for path in labels], metadata_conflicts="silent")
    stars = read_table(stars)
    return labels, stars["star"][rows_of(stars["spectrum_id"], labels["id"])]


def repeat_calibrations(labels, star, names, calibrations):
    """Errors of single visits: what formal errors must be for visits of one star to differ by them.

    No reference label enters, and nothing that is wrong alike at all visits of a star.

    Parameters
    ----------
    labels, star, names
        As for `repeats_table`; no `<label>_total` is needed.
    calibrations : mapping of str to Calibration
        By label, fitted to reference labels: their zero points stay.

    Returns
    -------
    dict of str to labeltransfer.validation.calibration.Calibration
        By label.

    Raises
    ------
    ValueError
        For fewer than 30 pairs of visits.
    """
    good = np.flatnonzero(np.asarray(labels["converged"], dtype=bool))
    pairs = good[independent_pairs(np.asarray(star)[good], np.asarray(labels["snr"])[good])]
    observation = observations(labels["id"])
    pairs = pairs[observation[pairs[:, 0]] != observation[pairs[:, 1]]]
    if len(pairs) < CALIBRATION_STARS:
        raise ValueError(
            f"errors from repeats need at least {CALIBRATION_STARS} pairs of visits: found {len(pairs)}. "
            "Say validation.errors_from: reference"
        )
    found = {}
    for name in names:
        value, formal = (np.asarray(labels[name + suffix], dtype=float)[pairs] for suffix in ("", "_err"))
        # Over the square root of 2 a difference is as wide as the error of one.
        fit = fit_calibration((value[:, 0] - value[:, 1]) / np.sqrt(2), np.hypot(*formal.T) / np.sqrt(2))
        errors = {key: getattr(fit, key) for key in ("factor", "floor", "wings", "n", "width")}
        found[name] = calibrations[name]._replace(model_factor=0.0, reference_removed=True, **errors)
    return found


def repeats_table(labels, names, star):
    """How much labels differ between spectra of one star.

    Parameters
    ----------
    labels : Table
        Of each spectrum `id`, `snr`, `phase`, `converged` and, for each label, its value, `<label>_err` and
        `<label>_total`.
    names : sequence of str
    star : (n,) int array
        Star of each spectrum.

    Returns
    -------
    DataFrame
        A row for each kind of pair, S/N and label. `scatter` is the robust width of differences over sqrt(2), that of
        one spectrum, `scatter_all` their standard deviation. `z_formal` and `z_total` are the robust widths of
        differences over their errors: 1 if the errors are those of single visits; `_total` holds besides what is
        wrong alike at all visits of a star, which makes less of it. `beyond_3` is the share of pairs more than 3 formal
        errors times `z_formal` apart, 0.0027 for Gaussians. `phase_slope` is the change of a label from velocities on
        a pixel to those half way between two. NaN for fewer than five pairs.
    """
    good = np.flatnonzero(np.asarray(labels["converged"], dtype=bool))
    pairs = good[independent_pairs(np.asarray(star)[good], np.asarray(labels["snr"])[good])]
    snr, phase = np.asarray(labels["snr"], dtype=float), np.asarray(labels["phase"], dtype=float)
    worse, u = snr[pairs].min(axis=1), 4 * phase * (1 - phase)
    fibre, observation = fibres(labels["id"]), observations(labels["id"])
    released = observation[pairs[:, 0]] == observation[pairs[:, 1]]
    known = ~released & (fibre[pairs] != "").all(axis=1)
    same = fibre[pairs[:, 0]] == fibre[pairs[:, 1]]
    groups = [(VISITS, 0.0, np.inf, ~released)]
    groups += [
        (VISITS, low, high, ~released & (worse >= low) & (worse < high)) for low, high in pairwise(SNR_EDGES)
    ]
    groups += [(ONE_FIBRE, 0.0, np.inf, known & same), (TWO_FIBRES, 0.0, np.inf, known & ~same)]
    groups.append((RELEASES, 0.0, np.inf, released))
    rows = []
    for kind, low, high, chosen in groups:
        for name in names if chosen.any() else ():
            rows.append({"pairs": kind, "snr_from": low, "snr_to": high, "label": name})
            rows[-1] |= _compared(labels, name, pairs[chosen], u)
    return pd.DataFrame(rows)


def _compared(labels, name, pairs, u):
    """Numbers of one label and one kind of pairs."""
    value, formal, total = (
        np.asarray(labels[name + suffix], dtype=float)[pairs] for suffix in ("", "_err", "_total")
    )
    difference = value[:, 0] - value[:, 1]
    z_formal, z_total = (difference / np.hypot(*error.T) for error in (formal, total))
    few = len(pairs) < _LEAST_PAIRS
    width = np.nan if few else robust_scatter(z_formal)
    kept = clip(difference)
    drift, drift_error = slope((u[pairs[:, 0]] - u[pairs[:, 1]])[kept], difference[kept])
    return {
        "n": len(pairs),
        "scatter": np.nan if few else robust_scatter(difference) / np.sqrt(2),
        "scatter_all": np.nan if few else np.std(difference) / np.sqrt(2),
        "median_formal_error": np.median(formal),
        "z_formal": width,
        "z_total": np.nan if few else robust_scatter(z_total),
        "beyond_3": np.nan if few else np.mean(np.abs(z_formal) > 3 * width),
        "better_minus_worse": np.median(difference),
        "phase_slope": drift,
        "phase_slope_err": drift_error,
    }
