"""The bound against the analytic case of one label, Monte Carlo, and degenerate labels."""

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.validation.cramer_rao import bounds_table, cramer_rao, measured_near


def test_one_label_is_analytic():
    slope = np.array([[0.01, -0.03, 0.02, 0.0]])  # per step of 200 K
    found = cramer_rao(slope, [200.0], snr=30.0)
    np.testing.assert_allclose(found, 200.0 / (30.0 * np.sqrt(0.0001 + 0.0009 + 0.0004)))
    np.testing.assert_allclose(cramer_rao(slope, [200.0], ivar=np.full(4, 900.0)), found)
    np.testing.assert_allclose(cramer_rao(slope, [200.0], snr=60.0), found / 2)


def test_scatter_adds_to_the_noise_in_quadrature():
    slope = np.array([[0.01, -0.03, 0.02]])
    found = cramer_rao(slope, [0.2], snr=30.0, scatter=np.full(3, 0.04))
    np.testing.assert_allclose(found, cramer_rao(slope, [0.2], snr=1 / np.hypot(1 / 30, 0.04)))


def test_bound_is_reached_by_least_squares_on_a_linear_model(rng):
    """Monte Carlo: correlated gradients, uneven noise; the scatter of fitted labels is the bound."""
    n_pix, steps = 200, np.array([200.0, 0.5, 0.2])
    gradients = 0.02 * rng.standard_normal((3, n_pix))
    gradients[2] += 0.8 * gradients[1]
    sigma = 0.03 * np.exp(0.4 * rng.standard_normal(n_pix))
    design = (gradients / steps[:, None]).T / sigma[:, None]
    truth = np.array([50.0, 0.1, -0.1])
    flux = design @ truth + rng.standard_normal((4000, n_pix))
    fitted = np.linalg.lstsq(design, flux.T, rcond=None)[0].T
    bound = cramer_rao(gradients, steps, ivar=sigma**-2)
    np.testing.assert_allclose(fitted.std(axis=0), bound, rtol=0.05)
    np.testing.assert_allclose(bound, np.sqrt(np.diag(np.linalg.inv(design.T @ design))), rtol=1e-9)
    # knowing the other label would help: correlated labels cost precision
    assert cramer_rao(gradients[1:2], steps[1:2], ivar=sigma**-2) < bound[1]


def test_masked_and_unknown_pixels_say_nothing(rng):
    gradients = rng.standard_normal((2, 50))
    ivar = np.ones(50)
    ivar[:5] = 0.0
    holes = gradients.copy()
    holes[0, 5:8] = np.nan
    np.testing.assert_allclose(
        cramer_rao(holes, [1.0, 1.0], ivar=ivar), cramer_rao(gradients[:, 8:], [1.0, 1.0], ivar=ivar[8:])
    )


def test_labels_without_information_have_no_bound(rng):
    gradients = rng.standard_normal((4, 50))
    gradients[1] = 0.0
    found = cramer_rao(gradients, np.ones(4), snr=1.0)
    np.testing.assert_array_equal(np.isinf(found), [False, True, False, False])
    np.testing.assert_allclose(found[[0, 2, 3]], cramer_rao(gradients[[0, 2, 3]], np.ones(3), snr=1.0))
    gradients[3] = -2 * gradients[2]  # these two cannot be told apart, the first is not harmed
    found = cramer_rao(gradients, np.ones(4), snr=1.0)
    np.testing.assert_array_equal(np.isinf(found), [False, True, True, True])
    assert np.isinf(cramer_rao(rng.standard_normal((3, 2)), np.ones(3), snr=1.0)).all()
    assert np.isinf(cramer_rao(np.zeros((2, 9)), np.ones(2), snr=1.0)).all()


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="either as ivar or as snr"):
        cramer_rao(np.ones((1, 3)), [1.0])
    with pytest.raises(ValueError, match=r"found \(1, 3\) and \(2,\)"):
        cramer_rao(np.ones((1, 3)), [1.0, 1.0], snr=1.0)


@pytest.fixture
def compared(rng):
    """Test stars at S/N 50 and 200 whose labels scatter by 40 K in all, by 30 K in the reference labels."""
    n = 4000
    table = Table({"snr": np.where(np.arange(n) < n // 2, 50.0, 200.0), "test": np.arange(n) % 4 > 0})
    table["converged_prior"] = np.arange(n) % 8 > 1
    table["teff_apogee"], table["teff_apogee_err"] = np.full(n, 4500.0), np.full(n, 30.0)
    table["teff_prior"] = 4500.0 + 40.0 * rng.standard_normal(n)
    table["teff_prior"][~table["converged_prior"]] = np.nan
    table["reduced_chi2_prior"] = np.where(table["snr"] < 100, 4.0, 1.0)
    return table


def test_scatter_is_measured_of_test_stars_of_the_signal_to_noise(compared):
    found = measured_near(compared, "teff", 55.0)
    assert found.n == 1250
    assert found.scatter == pytest.approx(40.0, rel=0.08)
    assert found.own == pytest.approx(np.sqrt(40.0**2 - 30.0**2), rel=0.15)
    assert found.noise == pytest.approx(2.0)
    none = measured_near(compared, "teff", 10.0)
    assert none.n == 0
    assert np.isnan([none.scatter, none.own, none.noise]).all()


def test_bounds_stand_beside_what_is_measured(compared, rng):
    theory = 0.02 * rng.standard_normal((1, 100))
    gradients = Table({"ivar": np.full(100, 1e4), "theory": theory.T, "prior": 0.5 * theory.T})
    gradients["scatter_prior"] = np.full(100, 0.02)
    table = bounds_table(gradients, compared, {"teff": 200.0}, [50.0, 200.0])
    assert table["snr"].tolist() == [50.0, 200.0]
    np.testing.assert_allclose(
        table["bound_theory"], [cramer_rao(theory, [200.0], snr=s)[0] for s in (50, 200)]
    )
    np.testing.assert_allclose(table["bound_model"], 2 * table["bound_theory"])
    scattered = [2 * cramer_rao(theory, [200.0], snr=1 / np.hypot(1 / s, 0.02))[0] for s in (50, 200)]
    np.testing.assert_allclose(table["bound_model_with_scatter"], scattered)
    np.testing.assert_allclose(table["measured_over_theory"] * table["bound_theory"], table["measured"])
