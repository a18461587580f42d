"""Stars of the mock universe: where they are, what they are made of, and how much dust is in front of them.

The relations are rounded from the literature on the Milky Way as APOGEE sees it (Hayden et al. 2015 for
[alpha/M] against R and z, Bovy et al. 2014 for the red clump, Martig et al. 2016 for [C/N] and mass,
Holtzman et al. 2018 for microturbulence); they are meant to give the mock the correlations that a model can
be fooled by, not to fit anything.
"""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from labeltransfer.synthesis.model_spectra import ELEMENTS

#: The star of Figure 2 of Ho et al. (2017) is the first star of the mock, at its own position [deg].
FIGURE_2_STAR = "2M07101078+2931576"
_FIGURE_2_POSITION = (107.544938, 29.532681)
_FIGURE_2_LABELS = {"teff": 4750.0, "logg": 2.6, "m_h": -0.1, "alpha_m": 0.05}

#: Alpha elements and how much of [alpha/M] each carries; the mean of the weights is one.
ALPHA_WEIGHTS = {"O": 1.2, "Mg": 1.2, "Si": 1.0, "S": 0.9, "Ca": 0.7, "Ti": 1.0}

KINDS = ("reference", "survey", "apogee_only")
APOGEE_RADIUS, LAMOST_RADIUS = 1.5, 2.5
_SUN_RADIUS, _SUN_HEIGHT = 8.2, 0.02
_MAX_AK = 0.4


def draw_stars(
    n_reference,
    n_survey,
    n_apogee_only,
    seed,
    dwarf_fraction=0.25,
    intrinsic_scatter=0.025,
    stars_per_field=35,
):
    """Draw stars seen by both surveys, by LAMOST alone and by APOGEE alone.

    Parameters
    ----------
    n_reference, n_survey, n_apogee_only : int
        Stars in both surveys (the first is the star of Figure 2), with LAMOST spectra only, with APOGEE only.
        Each kind has its own random numbers: the size of one changes nothing in the others.
    seed : int
        The same seed gives the same stars.
    dwarf_fraction : float
        Fraction of subgiants and dwarfs among the survey stars; among the others it is a few per cent.
    intrinsic_scatter : float
        Scatter of each [X/M] about its trend [dex].
    stars_per_field : int
        Sets the number of fields on the sky.

    Returns
    -------
    Table
        kind, star_id, apogee_id, population (thin, thick, halo), evolution (rgb, clump, subgiant, dwarf),
        the labels of nature, alpha_m, [X/H] as ``c_h``..., mass [Msun], ra, dec, glon, glat [deg],
        distance, radius, height [kpc], a_k [mag], rv, cloud_rv [km/s], field (index over all kinds).
    """
    tables, first_field = [], 0
    for number, (kind, n_star) in enumerate(zip(KINDS, (n_reference, n_survey, n_apogee_only), strict=True)):
        rng = np.random.default_rng([seed, number])
        cool_dwarfs = dwarf_fraction if kind == "survey" else 0.05
        columns = _positions(kind, n_star, rng, cool_dwarfs, stars_per_field)
        columns.update(_chemistry(columns, rng, intrinsic_scatter))
        if kind == "reference" and n_star:
            _put_figure_2_star(columns)
        columns["field"] += first_field
        first_field = columns["field"].max(initial=first_field - 1) + 1
        _galactic_to_equatorial(columns, kind)
        tables.append(columns)
    table = Table({name: np.concatenate([t[name] for t in tables]) for name in tables[0]})
    table["star_id"] = np.arange(len(table))
    table["apogee_id"] = apogee_id(table["ra"], table["dec"])
    table["teff"].unit = "K"
    for name in ("ra", "dec", "glon", "glat"):
        table[name].unit = "deg"
    for name in ("distance", "radius", "height"):
        table[name].unit = "kpc"
    for name in ("vmic", "rv", "cloud_rv"):
        table[name].unit = "km/s"
    table["a_k"].unit = "mag"
    return table


def apogee_id(ra, dec):
    """2MASS-style names, 2MHHMMSSss+DDMMSSs, truncated and not rounded, of positions [deg]."""
    # Half a unit of the last digit of an integer grid guards against a digit lost to rounding of the input.
    seconds = np.floor(np.asarray(ra, dtype=float) / 15.0 * 360000.0 + 1e-6).astype(np.int64) % 8640000
    arcsec = np.floor(np.abs(np.asarray(dec, dtype=float)) * 36000.0 + 1e-6).astype(np.int64)
    names = []
    for s, a, sign in zip(seconds.tolist(), arcsec.tolist(), (np.asarray(dec) < 0).tolist(), strict=True):
        hours = f"{s // 360000:02d}{s // 6000 % 60:02d}{s % 6000:04d}"
        names.append(f"2M{hours}{'-' if sign else '+'}{a // 36000:02d}{a // 600 % 60:02d}{a % 600:03d}")
    return np.array(names, dtype="U18")


def _positions(kind, n_star, rng, dwarf_fraction, stars_per_field):
    """Fields on the sky, stars in them, evolutionary state, distance, population, dust and velocity."""
    n_field = max(4, -(-n_star // stars_per_field))
    centre_l, centre_b = _fields(kind, n_field, rng)
    field = rng.integers(0, n_field, n_star)
    radius = LAMOST_RADIUS if kind == "survey" else APOGEE_RADIUS
    offset, angle = radius * np.sqrt(rng.random(n_star)), 2 * np.pi * rng.random(n_star)
    glat = np.clip(centre_b[field] + offset * np.sin(angle), -89.9, 89.9)
    glon = (centre_l[field] + offset * np.cos(angle) / np.cos(np.radians(glat))) % 360.0

    draw = rng.random(n_star)
    evolution = np.where(draw < 0.7, "rgb", "clump")
    faint = rng.random(n_star) < dwarf_fraction
    evolution = np.where(faint, np.where(rng.random(n_star) < 0.25, "subgiant", "dwarf"), evolution)
    # Dwarfs are seen nearby; among giants the distance has nothing to do with the star, nor has the dust
    # then.
    span = np.where(faint, np.log10(10.0), np.log10(16.0))
    distance = np.where(faint, 0.1, 0.5) * 10.0 ** (span * rng.random(n_star))
    lon, lat = np.radians(glon), np.radians(glat)
    plane = distance * np.cos(lat)
    galactic_radius = np.sqrt(_SUN_RADIUS**2 + plane**2 - 2 * _SUN_RADIUS * plane * np.cos(lon))
    height = distance * np.sin(lat) + _SUN_HEIGHT

    # Local densities of exponential disks and an oblate power-law halo.
    thin = np.exp(-(galactic_radius - _SUN_RADIUS) / 2.6 - np.abs(height) / 0.3)
    thick = 0.12 * np.exp(-(galactic_radius - _SUN_RADIUS) / 2.0 - np.abs(height) / 0.9)
    halo = 0.002 * ((galactic_radius**2 + (height / 0.6) ** 2) / _SUN_RADIUS**2) ** -1.5
    draw = rng.random(n_star) * (thin + thick + halo)
    population = np.where(draw < thin, "thin", np.where(draw < thin + thick, "thick", "halo"))

    # Dust in a layer of 100 pc, patchy from field to field and from star to star.
    sine = np.maximum(np.abs(np.sin(lat)), 1e-3)
    column = 0.09 * (0.1 / sine) * -np.expm1(-distance * sine / 0.1)
    patch = rng.normal(0.0, 0.35, n_field)[field] + rng.normal(0.0, 0.25, n_star)
    a_k = _MAX_AK * np.tanh(column * np.exp(patch) / _MAX_AK)

    # Flat rotation at 220 km/s seen from the Sun; the thick disk lags, the halo does not rotate.
    def rotation(speed, where):
        return (speed * _SUN_RADIUS / where - 220.0) * np.sin(lon) * np.cos(lat)

    speed = np.select([population == "thin", population == "thick"], [215.0, 170.0], 0.0)
    spread = np.select([population == "thin", population == "thick"], [32.0, 55.0], 130.0)
    rv = rotation(speed, galactic_radius) + spread * rng.standard_normal(n_star)
    halfway = np.sqrt(_SUN_RADIUS**2 + (plane / 2) ** 2 - _SUN_RADIUS * plane * np.cos(lon))
    cloud = rotation(220.0, halfway) + 8.0 * rng.standard_normal(n_star)
    return {
        "kind": np.full(n_star, kind, dtype="U11"),
        "field": field,
        "population": population.astype("U5"),
        "evolution": evolution.astype("U8"),
        "glon": glon,
        "glat": glat,
        "distance": distance,
        "radius": galactic_radius,
        "height": height,
        "a_k": a_k,
        "rv": np.clip(rv, -450, 450),
        "cloud_rv": np.clip(cloud, -150, 150),
    }


def _fields(kind, n_field, rng):
    """Galactic coordinates [deg] of field centres inside the footprint of the survey, (n_field,) each."""
    low, high = (-25.0, 65.0) if kind == "apogee_only" else (-8.0, 60.0)
    lon, lat = np.empty(0), np.empty(0)
    while len(lon) < n_field:
        n = 8 * n_field + 64
        sphere = np.degrees(np.arcsin(rng.uniform(np.sin(np.radians(25.0)), 1.0, n))) * rng.choice([-1, 1], n)
        plane = rng.normal(0.0, 6.0, n)
        which = rng.random(n)
        if kind == "reference":
            # Disk fields that both surveys see, the Kepler field's latitude, and high latitudes.
            b = np.where(which < 0.62, plane, np.where(which < 0.75, rng.normal(14.0, 4.0, n), sphere))
            ell = np.where(np.abs(b) < 24, rng.uniform(40.0, 230.0, n), rng.uniform(0.0, 360.0, n))
        elif kind == "survey":
            # Mostly the anticentre and the high latitudes.
            b = np.where(which < 0.55, rng.uniform(-30.0, 30.0, n), np.where(which < 0.9, sphere, plane))
            ell = np.where(which < 0.55, rng.uniform(150.0, 210.0, n), rng.uniform(0.0, 360.0, n))
            ell = np.where(which >= 0.9, rng.uniform(60.0, 150.0, n), ell)
        else:
            b = np.where(which < 0.8, plane, sphere)
            ell = np.where(which < 0.8, rng.uniform(-15.0, 240.0, n), rng.uniform(0.0, 360.0, n))
        dec = SkyCoord(l=ell * u.deg, b=b * u.deg, frame="galactic").icrs.dec.deg
        good = (dec > low) & (dec < high)
        lon, lat = np.append(lon, ell[good] % 360.0), np.append(lat, b[good])
    return lon[:n_field], lat[:n_field]


def _chemistry(stars, rng, intrinsic_scatter):
    """Labels of nature for stars with a place, a population and an evolutionary state."""
    n_star = len(stars["kind"])
    population, evolution = stars["population"], stars["evolution"]
    thin, thick = population == "thin", population == "thick"
    radius, height = stars["radius"], np.abs(stars["height"])
    normal = rng.standard_normal

    m_h = np.select(
        [thin, thick],
        [
            np.clip(-0.02 - 0.055 * (radius - _SUN_RADIUS) - 0.1 * height + 0.18 * normal(n_star), -0.8, 0.4),
            np.clip(-0.42 + 0.24 * normal(n_star), -1.1, 0.2),
        ],
        np.clip(-1.35 + 0.35 * normal(n_star), -2.2, -0.6),
    )
    alpha_m = np.select(
        [thin, thick],
        [
            np.clip(0.03 - 0.10 * np.minimum(m_h, 0.1) + 0.022 * normal(n_star), -0.06, 0.16),
            np.clip(0.215 - 0.16 * (m_h + 0.42) + 0.025 * normal(n_star), 0.05, 0.33),
        ],
        np.clip(0.24 + 0.05 * normal(n_star), 0.05, 0.36),
    )
    mass = np.where(thin, 0.95 + rng.gamma(1.6, 0.25, n_star), 0.85 + rng.gamma(2.0, 0.06, n_star))
    mass = np.minimum(mass, 2.6)

    teff, logg = _kiel(evolution, m_h, mass, rng)
    # APOGEE DR13's relation; the floor keeps dwarfs inside the range in which it makes sense.
    vmic = 10.0 ** (0.226 - 0.0228 * logg + 0.0297 * logg**2 - 0.0113 * logg**3)
    vmic = np.clip(vmic + 0.2 + 0.06 * normal(n_star), 0.8, 2.6)

    labels = {"teff": teff, "logg": logg, "vmic": vmic, "m_h": m_h}
    deltas = _abundances(m_h, alpha_m, mass, logg, intrinsic_scatter, rng)
    labels.update({f"{element.lower()}_m": deltas[element] for element in ELEMENTS})
    labels["alpha_m"] = np.mean([deltas[element] for element in ALPHA_WEIGHTS], axis=0)
    labels.update({f"{element.lower()}_h": m_h + deltas[element] for element in ELEMENTS})
    labels["mass"] = mass
    return labels


def _kiel(evolution, m_h, mass, rng):
    """Teff [K] and log g of giant branch, clump, subgiants and dwarfs."""
    n_star = len(m_h)
    # Luminosity function of the giant branch: dN / dlogg ~ exp(0.75 logg) between 0.4 and 3.6.
    low, high = np.exp(0.75 * 0.4), np.exp(0.75 * 3.6)
    rgb_logg = np.log(low + rng.random(n_star) * (high - low)) / 0.75
    x = rgb_logg - 2.5
    rgb_teff = 4650 + 375 * x - 45 * x**2 - 330 * m_h - 40 * m_h**2 + 110 * (mass - 1.1)
    rgb_teff += 35 * rng.standard_normal(n_star)
    clump_logg = 2.45 + 0.08 * (mass - 1.1) + 0.06 * rng.standard_normal(n_star)
    clump_teff = 4810 - 260 * m_h + 60 * (mass - 1.1) + 40 * rng.standard_normal(n_star)
    sub_logg = rng.uniform(3.55, 4.0, n_star)
    sub_teff = 5150 + 1100 * (sub_logg - 3.6) - 200 * m_h + 200 * rng.standard_normal(n_star)
    dwarf_teff = rng.uniform(4500.0, 6800.0, n_star)
    dwarf_logg = 4.62 - 2.0e-4 * (dwarf_teff - 4500) - np.abs(0.08 * rng.standard_normal(n_star))
    states = [evolution == "rgb", evolution == "clump", evolution == "subgiant"]
    teff = np.select(states, [rgb_teff, clump_teff, sub_teff], dwarf_teff)
    logg = np.select(states, [rgb_logg, clump_logg, sub_logg], np.clip(dwarf_logg, 4.0, 4.7))
    return np.clip(teff, 3620.0, 6800.0), logg


def _abundances(m_h, alpha_m, mass, logg, scatter, rng):
    """[X/M] of each element [dex]."""
    n_star = len(m_h)
    trend = {element: weight * alpha_m for element, weight in ALPHA_WEIGHTS.items()}
    # The first dredge-up brings CN-cycled matter up, more of it in heavier stars; more again above the bump.
    evolved = 1.0 / (1.0 + np.exp((logg - 3.4) / 0.1))
    above_bump = 1.0 / (1.0 + np.exp((logg - 2.2) / 0.15))
    mixing = evolved * (0.06 + 0.13 * (mass - 0.9)) + above_bump * 0.05 * np.clip(-m_h, 0.0, 1.0)
    trend |= {
        "C": 0.35 * alpha_m - mixing,
        "N": 0.02 + 0.10 * m_h.clip(-0.5) + 2.2 * mixing,
        "Na": 0.03 + 0.18 * m_h.clip(-0.6) ** 2 + 0.25 * alpha_m + 0.08 * evolved * (mass - 1.0),
        "Al": 0.02 + 0.75 * alpha_m + 0.05 * m_h.clip(-0.8),
        "K": 0.55 * alpha_m - 0.02,
        "V": 0.35 * alpha_m + 0.08 * m_h.clip(-0.8),
        "Cr": 0.01 - 0.02 * m_h.clip(-0.8),
        "Mn": 0.22 * m_h.clip(-0.8) - 0.30 * alpha_m,
        "Fe": -0.02 * alpha_m,
        "Co": 0.30 * alpha_m + 0.14 * m_h.clip(-0.8),
        "Ni": 0.02 + 0.08 * alpha_m + 0.05 * m_h.clip(-0.8),
    }
    spread = {"Na": 1.5, "V": 1.4, "Co": 1.2, "N": 1.4, "C": 1.2, "Fe": 0.2}
    deltas = {}
    for element in ELEMENTS:
        noise = scatter * spread.get(element, 1.0) * rng.standard_normal(n_star)
        deltas[element] = np.clip(trend[element] + noise, -0.7, 0.7)
    return deltas


def _put_figure_2_star(stars):
    """Make the first star a clump star at the place of the star of Figure 2, in a field of its own."""
    place = SkyCoord(*_FIGURE_2_POSITION, unit="deg").galactic
    stars["field"][0] = stars["field"].max() + 1
    stars["glon"][0], stars["glat"][0] = place.l.deg, place.b.deg
    stars["population"][0], stars["evolution"][0] = "thin", "clump"
    stars["a_k"][0] = min(stars["a_k"][0], 0.1)
    shift = _FIGURE_2_LABELS["alpha_m"] - stars["alpha_m"][0]
    for element, weight in ALPHA_WEIGHTS.items():
        stars[f"{element.lower()}_m"][0] += weight * shift
    for name, value in _FIGURE_2_LABELS.items():
        stars[name][0] = value
    for element in ELEMENTS:
        stars[f"{element.lower()}_h"][0] = stars["m_h"][0] + stars[f"{element.lower()}_m"][0]


def _galactic_to_equatorial(stars, kind):
    sky = SkyCoord(l=stars["glon"] * u.deg, b=stars["glat"] * u.deg, frame="galactic").icrs
    stars["ra"], stars["dec"] = sky.ra.deg.copy(), sky.dec.deg.copy()
    if kind == "reference" and len(stars["ra"]):
        # Written once more, so that the name made of it cannot lose a digit on the way there and back.
        stars["ra"][0], stars["dec"][0] = _FIGURE_2_POSITION
