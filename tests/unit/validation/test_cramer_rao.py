"""The bound against the analytic case of one label, Monte Carlo, and degenerate labels."""

import numpy as np
import pytest

from labeltransfer.validation.cramer_rao import cramer_rao


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
