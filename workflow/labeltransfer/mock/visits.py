"""Who is observed by the mock's LAMOST, when, under which names, and what its pipeline says about it."""

import numpy as np
from astropy.coordinates import Angle
from astropy.table import Table

from labeltransfer.mock.observation import MAX_PIXELS, MIN_PIXELS
from labeltransfer.surveys.sky import unit_vectors


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
