"""The mock stars look like the Galaxy where it matters, and their dust does not know the star."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from labeltransfer.mock.population import FIGURE_2_STAR, apogee_id, draw_stars
from labeltransfer.synthesis.model_spectra import ELEMENTS


@pytest.fixture(scope="module")
def stars():
    return draw_stars(3000, 5000, 2000, 11)


def _giants(stars):
    return stars[stars["logg"] < 3.5]


def _correlation(a, b):
    return np.corrcoef(np.asarray(a), np.asarray(b))[0, 1]


def test_numbers_and_kinds(stars):
    kinds, counts = np.unique(stars["kind"], return_counts=True)
    assert dict(zip(kinds.tolist(), counts.tolist(), strict=True)) == {
        "reference": 3000,
        "survey": 5000,
        "apogee_only": 2000,
    }
    assert len(np.unique(stars["apogee_id"])) == len(stars)
    survey = stars[stars["kind"] == "survey"]
    assert np.isin(survey["evolution"], ("dwarf", "subgiant")).mean() == pytest.approx(0.25, abs=0.03)


def test_same_seed_same_stars_whatever_the_other_sizes(stars):
    again = draw_stars(3000, 40, 60, 11)
    for name in ("teff", "ra", "mg_h", "a_k"):
        assert np.array_equal(again[name][:3000], stars[name][:3000])
    other = draw_stars(30, 40, 60, 12)
    assert not np.array_equal(other["teff"][1:30], stars["teff"][1:30])


def test_figure_2_star(stars):
    first = stars[0]
    assert first["apogee_id"] == FIGURE_2_STAR
    place = SkyCoord("07h10m10.78s", "+29d31m57.6s")
    assert place.separation(SkyCoord(first["ra"], first["dec"], unit="deg")).arcsec < 0.2
    galactic = place.galactic
    assert first["glon"] == pytest.approx(galactic.l.deg, abs=1e-3)
    assert (first["teff"], first["logg"]) == (4750.0, 2.6)
    weights = [first[f"{name}_m"] for name in ("o", "mg", "si", "s", "ca", "ti")]
    assert np.mean(weights) == pytest.approx(first["alpha_m"])


def test_apogee_ids_truncate():
    names = apogee_id([107.54493, 359.99999, 0.0], [29.53268, -0.00028, -45.5])
    assert names.tolist() == ["2M07101078+2931576", "2M23595999-0000010", "2M00000000-4530000"]


def test_kiel_diagram(stars):
    giants = _giants(stars)
    branch = giants[giants["evolution"] == "rgb"]
    assert _correlation(branch["teff"], branch["logg"]) > 0.8
    # At the same log g, metal-poor giants are hotter.
    strip = branch[np.abs(branch["logg"] - 2.0) < 0.15]
    assert _correlation(strip["teff"], strip["m_h"]) < -0.7
    clump = giants[giants["evolution"] == "clump"]
    assert np.median(clump["logg"]) == pytest.approx(2.47, abs=0.05)
    near = np.abs(giants["logg"] - 2.47) < 0.1
    below = np.abs(giants["logg"] - 3.1) < 0.1
    assert near.sum() > 2 * below.sum()
    dwarfs = stars[stars["evolution"] == "dwarf"]
    assert np.all((dwarfs["logg"] >= 4.0) & (dwarfs["logg"] <= 4.7))
    assert np.all((dwarfs["teff"] >= 4500) & (dwarfs["teff"] <= 6800))


def test_alpha_is_bimodal(stars):
    middle = stars[(stars["m_h"] > -0.6) & (stars["m_h"] < -0.2)]
    counts, _ = np.histogram(middle["alpha_m"], [0.02, 0.06, 0.10, 0.13, 0.16, 0.20, 0.24])
    low, valley, high = counts[:2].max() / 0.04, counts[2] / 0.03, counts[4:].max() / 0.04
    assert valley < 0.6 * low
    assert valley < 0.6 * high
    # The two sequences meet at high metallicity.
    rich = stars[stars["m_h"] > 0.2]
    assert np.percentile(rich["alpha_m"], 95) < 0.15


def test_alpha_on_the_sky(stars):
    giants = _giants(stars)
    height = np.abs(giants["height"])
    assert np.median(giants["alpha_m"][height < 0.3]) < 0.07
    assert np.median(giants["alpha_m"][height > 1.5]) > 0.15
    outer = (giants["radius"] > 10) & (height > 0.5) & (height < 1.5)
    inner = (giants["radius"] < 7.5) & (height > 0.5) & (height < 1.5)
    assert outer.sum() > 100
    assert inner.sum() > 30
    assert (giants["alpha_m"][outer] > 0.13).mean() < (giants["alpha_m"][inner] > 0.13).mean()


def test_abundances_are_correlated_with_little_scatter(stars):
    giants = _giants(stars)
    for element in ELEMENTS:
        np.testing.assert_allclose(
            giants[f"{element.lower()}_h"], giants["m_h"] + giants[f"{element.lower()}_m"]
        )
        assert _correlation(giants[f"{element.lower()}_h"], giants["m_h"]) > 0.85
    assert _correlation(giants["mg_m"], giants["si_m"]) > 0.7
    assert np.std(giants["fe_h"] - giants["m_h"]) < 0.02
    # Mixing: the heavier star has less carbon and more nitrogen.
    thin = giants[(giants["population"] == "thin") & (giants["logg"] < 3.0)]
    assert _correlation(thin["c_m"] - thin["n_m"], thin["mass"]) < -0.7


def test_dust_grows_with_distance_and_does_not_know_the_star(stars):
    giants = _giants(stars)
    assert giants["a_k"].min() >= 0
    assert giants["a_k"].max() <= 0.4
    plane = giants[np.abs(giants["glat"]) < 5]
    near, far = plane["distance"] < 1.0, plane["distance"] > 4.0
    assert np.median(plane["a_k"][far]) > 2.5 * np.median(plane["a_k"][near])
    high = giants[np.abs(giants["glat"]) > 40]
    assert np.median(high["a_k"]) < 0.03
    for population in ("thin", "thick"):
        some = giants[giants["population"] == population]
        # Three sigma of the correlation of independent columns.
        limit = 3 / np.sqrt(len(some))
        for label in ("teff", "logg", "mass", "na_m", "c_m", "k_m"):
            assert abs(_correlation(some["a_k"], some[label])) < limit + 0.05, (population, label)


def test_footprints(stars):
    survey = stars[stars["kind"] == "survey"]
    assert survey["dec"].min() > -11
    assert survey["dec"].max() < 63
    anticentre = (np.abs(survey["glon"] - 180) < 35) & (np.abs(survey["glat"]) < 33)
    high = np.abs(survey["glat"]) > 22
    assert (anticentre | high).mean() > 0.8
    apogee = stars[stars["kind"] == "apogee_only"]
    assert (np.abs(apogee["glat"]) < 20).mean() > 0.6
    for number in np.unique(apogee["field"])[:20]:
        members = apogee[apogee["field"] == number]
        place = SkyCoord(members["glon"], members["glat"], unit="deg", frame="galactic")
        assert place[0].separation(place).deg.max() < 3.1


def test_empty_kinds_are_allowed():
    assert len(draw_stars(5, 0, 0, 1)) == 5
    assert len(draw_stars(0, 5, 0, 1)) == 5
