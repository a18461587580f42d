"""The mock archive: a small universe, written to disk as LAMOST and APOGEE publish theirs.

One universe has two releases: LAMOST DR2 with APOGEE DR12 and LAMOST DR3 with APOGEE DR13. A star keeps its
labels, and an observation its photons, from release to release; the file formats differ, and the later one
has more reference stars. Below one folder per release lie ``catalogs/``, ``spectra/PLANID/``,
``aspcap/LOCATION_ID/`` and ``truth_mock.fits``, which only validation may read. Every file says that it is
mock.
"""

import gzip
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from labeltransfer.mock.apogee import FORMATS as APOGEE_FORMATS
from labeltransfer.mock.apogee import allstar_table, aspcapstar_bytes, aspcapstar_path, draw_apogee
from labeltransfer.mock.cards import replace_file, table_bytes
from labeltransfer.mock.lamost import DEFECTS, spectrum_file, survey_catalogue
from labeltransfer.mock.lamost import FORMATS as LAMOST_FORMATS
from labeltransfer.mock.nature import LABELS, Nature, make_nature
from labeltransfer.mock.observation import MAX_PIXELS, Conditions, expected_snr, fibre_resolution, observe
from labeltransfer.mock.population import draw_stars
from labeltransfer.mock.visits import draw_visits
from labeltransfer.surveys.grids import lamost_grid
from labeltransfer.synthesis.model_spectra import ELEMENTS


class Universe(NamedTuple):
    """Everything that is decided before anything is written.

    Attributes
    ----------
    config : dict, complete
    seed : int
    nature : Nature
    stars : Table
        True labels and places, one row per star (`population.draw_stars`).
    visits : Table
        One row per LAMOST spectrum of any release: uid, star, names, S/N, survey labels, ``in_dr2``...,
        ``defect_dr2``...
    apogee : Table
        One row per allStar row of any release, with labels as APOGEE measures them.
    """

    config: dict
    seed: int
    nature: Nature
    stars: Table
    visits: Table
    apogee: Table


def default_mock_config():
    """Sizes and imperfections of the mock universe, a plain dict; see the comments."""
    return {
        # Stars of each release. The stars of the first release are also in the second.
        "releases": {
            "dr2": {"n_reference": 1200, "n_survey": 5000},
            "dr3": {"n_reference": 3600, "n_survey": 800},
        },
        "n_apogee_only": 1500,
        "dwarf_fraction": 0.25,
        "intrinsic_scatter": 0.025,
        "repeat_fraction": 0.12,
        # S/N per pixel, log-uniform; of the reference stars new in the second release this fraction is
        # above 200.
        "snr_range": [10.0, 300.0],
        "bright_fraction": 0.15,
        # Nature against theory.
        "strength_dex": [0.1, 0.2],
        "missing_line_fraction": 0.03,
        # Spectra. Reported over true standard deviation; lowest and highest bad-pixel fraction of a spectrum.
        "error_inflation": math.sqrt(3.0),
        "bad_pixel_fraction": [0.01, 0.05],
        "scattered_light": 0.01,
        "calibration_error": 0.05,
        # Growth of sky over star with 50 / snr; lowest and highest R of the fibres.
        "sky_exponent": 1.0,
        "resolution": [1600.0, 2000.0],
        # Spectra per release with each defect.
        "defects": {
            "no redshift": 16,
            "truncated": 3,
            "html": 2,
            "empty gzip": 2,
            "wrong layout": 2,
            "nan flux": 2,
            "zero ivar": 3,
            "missing file": 2,
            "not compressed": 2,
        },
        # Rows of each LAMOST catalogue.
        "duplicate_rows": 6,
        "missing_survey_labels": 40,
        "rows_without_position": 1,
        # APOGEE: fractions of its stars.
        "flagged_fraction": 0.04,
        "missing_labels_fraction": 0.01,
        "outlier_fraction": 0.005,
        "duplicate_fraction": 0.02,
        "n_aspcapstar": 5,
        # Typical errors of APOGEE's labels, where they are others than those of `labeltransfer.mock.apogee`.
        "label_errors": {},
    }


def draw_universe(config, seed, models):
    """Draw the stars, the observations and the labels of the mock universe.

    Parameters
    ----------
    config : dict
        Any of the keys of `default_mock_config`; the others keep their defaults.
    seed : int
        The same seed and config give the same universe and the same bytes.
    models : ModelSpectra
        What nature is made of.

    Returns
    -------
    Universe

    Raises
    ------
    ValueError
        For unknown settings, releases and defects, and for more defects than spectra.
    """
    config = _complete(config)
    nature = make_nature(models, seed + 1, tuple(config["strength_dex"]), config["missing_line_fraction"])
    sizes = config["releases"].values()
    stars = draw_stars(
        max(size["n_reference"] for size in sizes),
        max(size["n_survey"] for size in sizes),
        config["n_apogee_only"],
        seed,
        config["dwarf_fraction"],
        config["intrinsic_scatter"],
    )
    visits = draw_visits(config, seed, stars)
    return Universe(config, seed, nature, stars, visits, draw_apogee(config, seed, stars))


def release_visits(universe, release):
    """Rows of ``universe.visits`` in a release, in catalogue order; `write_spectra` counts in these rows."""
    visits = universe.visits[universe.visits[f"in_{release}"]]
    visits["defect"] = visits[f"defect_{release}"]
    visits.remove_columns([name for name in visits.colnames if name.startswith(("in_dr", "defect_dr"))])
    visits.sort("obsid")
    return visits


def mock_spectra_block(universe, release, rows=slice(None), labels=None):
    """Observed arrays of some spectra of a release, without files and without file defects.

    Parameters
    ----------
    universe : Universe
        From `draw_universe`.
    release : str
        dr2 or dr3.
    rows : slice or index array
        Rows of `release_visits`.
    labels : Table, optional
        Labels of nature to observe instead of the stars' own, under the same conditions (for shifted
        abundances).

    Returns
    -------
    observed : Observed
    visits : Table
        The rows that were observed.
    """
    visits = release_visits(universe, release)[rows]
    labels = _labels(universe, visits) if labels is None else labels
    return observe(
        universe.nature, labels, _conditions(universe, visits), universe.seed, universe.config
    ), visits


def write_spectra(universe, folder, release, rows=slice(None)):
    """Write spectra of a release as the survey publishes them, broken files among them.

    Parameters
    ----------
    universe : Universe
        From `draw_universe`.
    folder : path-like
        Root of the release's archive; files go to ``spectra/PLANID/spec-LMJD-PLANID_spNN-FFF.fits.gz``.
    release : str
        dr2 or dr3.
    rows : slice
        Rows of `release_visits`; any division into chunks gives the same bytes.

    Returns
    -------
    list of Path
        Paths written (not those of missing files).
    """
    root = Path(folder) / "spectra"
    visits = release_visits(universe, release)[rows]
    written = []
    # In blocks, so that memory does not grow with the chunk.
    for first in range(0, len(visits), 512):
        part = visits[first : first + 512]
        labels, conditions = _labels(universe, part), _conditions(universe, part)
        observed = observe(universe.nature, labels, conditions, universe.seed, universe.config)
        exponent = universe.config["sky_exponent"]
        for band, snr in expected_snr(universe.nature, labels, conditions, exponent).items():
            part[f"snr{band}"] = np.round(snr, 2)
        for planid in np.unique(part["planid"]):
            (root / planid).mkdir(parents=True, exist_ok=True)
        for i, visit in enumerate(_rows(part)):
            path = root / visit["path"]
            content = spectrum_file(visit, observed, i, release)
            if content is None:
                path.unlink(missing_ok=True)
            else:
                replace_file(path, content)
                written.append(path)
    return written


def write_catalogs(universe, folder, release):
    """Write LAMOST's catalogue of stellar parameters and APOGEE's allStar table of a release.

    Returns
    -------
    (Path, Path)
    """
    root = Path(folder) / "catalogs"
    root.mkdir(parents=True, exist_ok=True)
    visits = release_visits(universe, release)
    conditions = _labels(universe, visits), _conditions(universe, visits), universe.config["sky_exponent"]
    snr = expected_snr(universe.nature, *conditions)
    rng = np.random.default_rng([universe.seed, 17, list(LAMOST_FORMATS).index(release)])
    survey = survey_catalogue(visits, universe.stars, snr, universe.config, rng)
    allstar = allstar_table(universe.apogee[universe.apogee[f"in_{release}"]], universe.stars, release)
    paths = root / LAMOST_FORMATS[release].catalogue, root / APOGEE_FORMATS[release].allstar
    content = table_bytes(survey, "MOCK: imitates the LAMOST catalogue of stellar parameters")
    replace_file(paths[0], gzip.compress(content, compresslevel=6, mtime=0))
    replace_file(paths[1], table_bytes(allstar, "MOCK: imitates the APOGEE allStar table"))
    return paths


def write_aspcapstar(universe, folder, release):
    """Write aspcapStar files of the star of Figure 2 and of the next reference stars; returns their paths."""
    paths = []
    for row in universe.apogee[: universe.config["n_aspcapstar"]]:
        path = Path(folder) / "aspcap" / aspcapstar_path(row, release)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, aspcapstar_bytes(row, universe.stars[row["star"]], universe.seed))
        paths.append(path)
    return paths


def write_fibres(universe, folder, release):
    """Write ``fibres_mock.csv``, the resolution of each fibre, as an observatory measures it from its lamps.

    Returns
    -------
    Path
    """
    visits, path = release_visits(universe, release), Path(folder) / "fibres_mock.csv"
    ends, lines = lamost_grid(MAX_PIXELS)[[0, -1]], ["fibre,wavelength,resolution"]
    for fibre in np.unique(_fibre(visits)):
        seen = fibre_resolution(fibre, ends, universe.seed, universe.config["resolution"])
        name = f"{(fibre - 1) // 250 + 1:02d}-{(fibre - 1) % 250 + 1:03d}"
        lines += [f"{name},{wave:.4f},{value:.2f}" for wave, value in zip(ends, seen, strict=True)]
    replace_file(path, ("\n".join(lines) + "\n").encode())
    return path


def _fibre(visits):
    """Numbers of the fibres (n,), from 1."""
    return 250 * (np.asarray(visits["spid"]) - 1) + np.asarray(visits["fiberid"])


def write_truth(universe, folder, release):
    """Write ``truth_mock.fits``: the true labels behind every spectrum and what is wrong with its file.

    Returns
    -------
    Path
    """
    visits = release_visits(universe, release)
    stars = universe.stars[visits["star"]]
    truth = visits["spectrum_id", "star", "snr", "defect"]
    # Empty strings would come back from FITS as missing values.
    truth["defect"] = np.where(truth["defect"] == "", "none", truth["defect"])
    names = ("apogee_id", "kind", "population", "evolution", *LABELS, "alpha_m")
    names += (*(f"{element.lower()}_h" for element in ELEMENTS), "a_k", "rv", "cloud_rv", "mass", "distance")
    for name in (*names, "ra", "dec", "glon", "glat", "radius", "height"):
        truth[name] = stars[name]
    first = universe.apogee[~universe.apogee["duplicate"]]
    defect = np.full(len(universe.stars), "none", dtype=first["label_defect"].dtype)
    defect[first["star"]] = np.where(first["label_defect"] == "", "none", first["label_defect"])
    truth["apogee_defect"] = defect[visits["star"]]
    truth["snr"].description = "median flux times the square root of the reported ivar"
    truth["defect"].description = "what is wrong with the file"
    truth["apogee_defect"].description = "what is wrong with the APOGEE labels"
    path = Path(folder) / "truth_mock.fits"
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, table_bytes(truth, "MOCK truth: for validation only"))
    return path


def _complete(config):
    """Defaults under the config; unknown keys are refused."""
    complete = default_mock_config()
    unknown = sorted(set(config) - set(complete))
    unknown += sorted(set(config.get("defects", ())) - set(DEFECTS))
    unknown += sorted(set(config.get("releases", ())) - set(LAMOST_FORMATS))
    if unknown:
        known = sorted(complete)
        raise ValueError(
            f"unknown settings of the mock archive: {', '.join(unknown)}; known are {', '.join(known)}"
        )
    for key, value in config.items():
        if key == "defects":
            # Defects that are not named do not occur.
            complete[key] = dict.fromkeys(DEFECTS, 0) | dict(value)
        elif key == "releases":
            complete[key] = {name: dict(size) for name, size in value.items()}
        else:
            complete[key] = value
    return complete


def _labels(universe, visits):
    return universe.stars[visits["star"]][list(LABELS)]


def _conditions(universe, visits):
    stars = universe.stars[visits["star"]]
    columns = (visits["uid"], stars["rv"], stars["a_k"], stars["cloud_rv"], visits["snr"], visits["n_pix"])
    return Conditions(*(np.asarray(column) for column in columns), _fibre(visits))


def _rows(table):
    """Rows of a table as dicts of plain Python values; ten times faster than astropy's rows."""
    columns = [table[name].tolist() for name in table.colnames]
    return [dict(zip(table.colnames, values, strict=True)) for values in zip(*columns, strict=True)]


def mock_release(release):
    """The mock's name of a release: lamost-dr2 is dr2."""
    return release.removeprefix("lamost-")
