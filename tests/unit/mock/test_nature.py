"""The mock's nature: exact where it must be, physical everywhere, and spoiled by the stated amount."""

import numpy as np
import pytest

from labeltransfer.files.errors import ArchiveError
from labeltransfer.mock import nature as module
from labeltransfer.mock.nature import LABELS, blend_weights, continuum, make_nature, normalised_flux
from labeltransfer.synthesis.model_spectra import (
    ELEMENTS,
    STEPPED_LABELS,
    ModelSpectra,
    read_model_spectra,
    step_pair,
)


@pytest.fixture(scope="module")
def models():
    from tests.conftest import ROOT

    return read_model_spectra(ROOT / "resources" / "ab_initio" / "spectra_r1800.fits")


@pytest.fixture(scope="module")
def theory(models):
    return make_nature(models, None)


@pytest.fixture(scope="module")
def nature(models):
    return make_nature(models, 5)


def _labels(**values):
    size = max(np.size(value) for value in values.values())
    base = dict.fromkeys(LABELS, 0.0) | {"teff": 4800.0, "logg": 2.5, "vmic": 1.7} | values
    return {name: np.broadcast_to(np.asarray(value, float), size).copy() for name, value in base.items()}


def _only(models, names):
    """Models of some reference points."""
    keep = np.isin(models.reference, names)
    rows = {name: getattr(models, name)[keep] for name in models._fields[1:10]}
    return models._replace(**rows)


def test_reference_spectra_are_met_exactly(models, theory):
    for name, (teff, logg, vmic, m_h) in zip(theory.names, theory.points, strict=True):
        row = step_pair(models, name, "Teff")[0]
        labels = _labels(teff=teff, logg=logg, vmic=vmic, m_h=m_h)
        np.testing.assert_allclose(
            normalised_flux(theory, labels)[0], (models.flux / models.continuum)[row], rtol=0, atol=1e-12
        )
        np.testing.assert_allclose(continuum(theory, labels)[0], models.continuum[row], rtol=1e-10)


@pytest.mark.parametrize(
    ("label", "step", "column"),
    [("teff", 200.0, "Teff"), ("logg", -0.5, "logg"), ("m_h", 0.2, "M_H"), ("c_m", 0.2, "C_H")],
)
def test_steps_are_met(models, theory, label, step, column):
    ratio = models.flux / models.continuum
    centre, plus, minus = step_pair(models, "g4800", column)
    base = {"teff": 4800.0, "logg": 2.5}
    labels = _labels(**base | {label: base.get(label, 0.0) + step})
    miss = normalised_flux(theory, labels)[0] - ratio[plus if step > 0 else minus]
    change = ratio[plus if step > 0 else minus] - ratio[centre]
    # The blend with distant reference points is all that is left.
    assert miss.std() < 0.05 * change.std()


def test_held_out_metal_poor_giant(models):
    """Five steps from the solar giant: the expansion saturates and beats a straight line in flux."""
    alone = make_nature(_only(models, ["g4800"]), None)
    ratio = models.flux / models.continuum
    truth = ratio[step_pair(models, "g4800m1", "M_H")[0]]
    centre, plus, minus = step_pair(models, "g4800", "M_H")
    inside = (models.wavelength > 3905) & (models.wavelength < 9000)
    miss = (normalised_flux(alone, _labels(m_h=-1.0))[0] - truth)[inside].std()
    line = (ratio[centre] - 5 * 0.5 * (ratio[plus] - ratio[minus]) - truth)[inside].std()
    change = (ratio[centre] - truth)[inside].std()
    assert change > 0.05
    assert miss < 0.01
    assert miss < 0.5 * line


def test_dwarfs_and_extremes_stay_physical(theory, nature):
    rng = np.random.default_rng(1)
    n = 200
    labels = _labels(
        teff=rng.uniform(4500, 6800, n),
        logg=rng.uniform(4.0, 4.7, n),
        m_h=rng.uniform(-1.0, 0.4, n),
        vmic=1.0,
    )
    for universe in (theory, nature):
        flux = normalised_flux(universe, labels)
        assert np.all((flux > 0) & (flux <= 1))
        red = (universe.wavelength > 6000) & (universe.wavelength < 6800)
        assert np.all(np.median(flux[:, red], axis=1) > 0.85)
        level = continuum(universe, labels)
        assert np.all(np.isfinite(level) & (level > 0))
    # The hottest have the bluest continuum and the weakest metal lines.
    hot, cool = labels["teff"] > 6500, labels["teff"] < 4800
    colour = level[:, 800] / level[:, 3000]
    assert colour[hot].min() > colour[cool].max()
    blend = np.abs(theory.wavelength - 5270) < 20
    depth = 1 - normalised_flux(theory, labels)[:, blend].mean(axis=1)
    assert depth[hot].mean() < 0.7 * depth[cool].mean()
    extreme = _labels(teff=[3600.0, 5500.0], logg=[0.3, 1.0], m_h=[0.4, -2.3], c_m=[0.7, 0.7])
    assert np.all(np.isfinite(normalised_flux(nature, extreme)))


def test_elements_act_on_their_own_lines(theory):
    def at(wave):
        return np.abs(theory.wavelength - wave).argmin()

    base = normalised_flux(theory, _labels(m_h=0.0))[0]
    for name, wave in (("mg_m", 5185.0), ("na_m", 5891.6), ("ca_m", 8544.4), ("c_m", 4313.0)):
        change = normalised_flux(theory, _labels(**{name: 0.3}))[0] - base
        assert change[at(wave)] < -0.005
    # More oxygen ties up carbon in CO and weakens C2.
    assert (normalised_flux(theory, _labels(o_m=0.3))[0] - base)[at(5165.5)] > 0.02


def test_weights_sum_to_one_and_single_out_the_reference_point(theory):
    weights = blend_weights(theory, _labels(teff=[4800.0, 4500.0], logg=[2.5, 2.0]))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert weights[0, theory.names.index("g4800")] > 0.999999
    assert weights[1].max() < 0.95


def test_spectrum_does_not_depend_on_the_other_rows(nature):
    rng = np.random.default_rng(2)
    labels = _labels(teff=rng.uniform(4200, 5200, 150), logg=rng.uniform(1, 3.5, 150))
    whole = normalised_flux(nature, labels)
    part = normalised_flux(nature, {name: column[90:131] for name, column in labels.items()})
    assert np.array_equal(part, whole[90:131])


def test_strength_errors_have_the_stated_size(models, nature):
    strength = np.where(np.isfinite(nature.strength), nature.strength, np.nan)
    rms = np.nanstd(strength, axis=1)
    assert np.all((rms > 0.09) & (rms < 0.21))
    missing = np.isinf(nature.strength).mean(axis=1)
    assert np.all((missing > 0.008) & (missing < 0.05))
    # A line has one strength error, another one four pixels on has its own.
    for row in strength:
        good = np.isfinite(row[:-8]) & np.isfinite(row[1:-7]) & np.isfinite(row[8:])
        near = np.corrcoef(row[:-8][good], row[1:-7][good])[0, 1]
        far = np.corrcoef(row[:-8][good], row[8:][good])[0, 1]
        assert near > 0.7
        assert abs(far) < 0.2


def test_nature_differs_from_theory_where_an_element_dominates(theory, nature):
    """Where iron makes the line, its opacity is off by iron's strength error."""
    point = theory.names.index("g4800")
    iron = LABELS.index("fe_m")
    slopes = np.maximum(theory.slope[point, 4:], 0.0)
    gamma = slopes.sum(axis=0) / np.log(10)
    share = theory.slope[point, iron] / slopes.sum(axis=0)
    strength = nature.strength[iron - 4]
    alone = (share > 0.85) & np.isfinite(strength) & (gamma > 0.2)
    assert alone.sum() > 40
    off = (nature.ln_tau - theory.ln_tau)[point, alone] / np.log(10) / gamma[alone]
    assert np.corrcoef(off, strength[alone])[0, 1] > 0.98
    assert np.polyfit(strength[alone], off, 1)[0] == pytest.approx(1.0, abs=0.15)
    assert 0.08 < off.std() < 0.22
    # Weak lines that nature lacks are all but gone, strong ones are never among them.
    shares = slopes / np.maximum(slopes.sum(axis=0), 1e-12)
    lacking = ((shares > 0.6) & np.isinf(nature.strength)).any(axis=0) & (gamma > 0.2)
    assert lacking.any()
    assert np.median((nature.ln_tau - theory.ln_tau)[point, lacking]) < -0.2
    for wave, element in ((8544.4, "Ca"), (5185.0, "Mg"), (5891.6, "Na")):
        row = nature.strength[ELEMENTS.index(element), np.abs(nature.wavelength - wave) < 5]
        assert np.isfinite(row).all()
    flux = [normalised_flux(one, _labels(m_h=0.0))[0] for one in (theory, nature)]
    assert 0.005 < (flux[1] - flux[0]).std() < 0.05


def test_spoiling_keeps_the_slope_of_metallicity(theory, nature):
    element = slice(4, None)
    before, after = (one.slope[:, element].sum(axis=1) for one in (theory, nature))
    np.testing.assert_array_equal(nature.slope[:, :4], theory.slope[:, :4])
    seen = (nature.slope[:, element] > 0).any(axis=1)
    np.testing.assert_allclose(after[seen], before[seen], rtol=1e-9, atol=1e-12)


def test_gradients_resemble_theory_without_being_it(theory, nature):
    inside = (theory.wavelength > 3905) & (theory.wavelength < 9000)
    for label, step in (("fe_m", 0.2), ("mg_m", 0.2), ("ca_m", 0.2), ("ti_m", 0.2), ("ni_m", 0.2)):
        change = [
            (normalised_flux(one, _labels(**{label: step})) - normalised_flux(one, _labels(m_h=0.0)))[
                0, inside
            ]
            for one in (theory, nature)
        ]
        assert 0.8 < np.corrcoef(*change)[0, 1] < 0.998


def test_seeds(models, nature):
    again, other = make_nature(models, 5), make_nature(models, 6)
    assert np.array_equal(again.slope, nature.slope)
    assert not np.array_equal(other.slope, nature.slope)


def _toy(step, factor_a=1.0, factor_b=1.0):
    """Models of one saturated blend of Fe and Mg, for which spoiling has an exact answer."""
    wavelength = np.linspace(3900.0, 9010.0, 30)

    def tau(fe, mg):
        return np.full(30, (0.3 * factor_a * 10**fe + 0.5 * factor_b * 10**mg) ** 0.4)

    rows, flux = [("reference", 0.0)], [tau(0, 0)]
    for label in STEPPED_LABELS:
        for sign in (1, -1):
            moved = {"Fe_H": (sign * step, 0), "Mg_H": (0, sign * step), "M_H": (sign * step, sign * step)}
            rows.append((label, sign * step))
            flux.append(tau(*moved.get(label, (0, 0))))
    n = len(rows)
    ones = np.ones(n)
    models = ModelSpectra(
        wavelength,
        np.array(["toy"] * n),
        4800 * ones,
        2.5 * ones,
        0 * ones,
        1.7 * ones,
        np.array([row[0] for row in rows]),
        np.array([row[1] for row in rows]),
        np.exp(-np.array(flux)),
        np.ones((n, 30)),
        1800.0,
        {},
    )
    return models, tau


def test_spoiling_is_what_stronger_lines_do(monkeypatch):
    """Spoiled nature equals the expansion of a universe whose iron and magnesium lines are stronger."""
    strength = np.zeros((17, 30))
    iron, magnesium = LABELS.index("fe_m") - 4, LABELS.index("mg_m") - 4
    strength[iron], strength[magnesium] = np.log10(1.5), np.log10(0.7)
    monkeypatch.setattr(module, "_line_strengths", lambda *args: strength)
    models, _ = _toy(0.01)
    spoiled = make_nature(models, 1)
    _, tau = _toy(0.01, 1.5, 0.7)
    for fe, mg in ((0.0, 0.0), (0.1, 0.0), (0.0, -0.1)):
        expected = np.exp(-tau(fe, mg))
        found = normalised_flux(spoiled, _labels(fe_m=fe, mg_m=mg))[0]
        np.testing.assert_allclose(found, expected, rtol=2e-3)
    np.testing.assert_allclose(
        normalised_flux(spoiled, _labels(m_h=0.05))[0], np.exp(-tau(0.05, 0.05)), rtol=2e-3
    )


def test_off_centre_steps_are_borrowed_from_the_nearest_point(models):
    """Steps of a reference point about another composition are not used."""
    broken = models._replace(flux=models.flux.copy())
    rows = (broken.reference == "g4300") & (broken.stepped_label == "Ti_H")
    broken.flux[rows] *= 0.8
    nature = make_nature(broken, None)
    assert ("g4300", "ti_m") in nature.borrowed
    k = LABELS.index("ti_m")
    assert np.array_equal(
        nature.slope[nature.names.index("g4300"), k], nature.slope[nature.names.index("g4800"), k]
    )


def test_needs_a_continuum(models):
    with pytest.raises(ArchiveError, match="continuum"):
        make_nature(models._replace(continuum=None), 1)
