"""Bias and scatter of known distributions."""

import numpy as np
import pytest
from scipy import stats

from labeltransfer.validation.statistics import (
    bias_and_scatter,
    clip,
    comparison,
    robust_scatter,
    scatter_against_snr,
    z_width,
)


def test_robust_scatter_is_sigma_of_a_gaussian(rng):
    values = rng.normal(3, 2.5, 100_000)
    assert robust_scatter(values) == pytest.approx(2.5, rel=0.015)
    assert robust_scatter(values) == pytest.approx(
        stats.median_abs_deviation(values, scale="normal"), rel=1e-6
    )
    assert robust_scatter([1, 2, 3, 4, np.nan, np.inf]) == pytest.approx(1.4826, rel=1e-4)
    assert np.isnan(robust_scatter([np.nan]))


def test_kinds_differ_as_they_should_under_outliers(rng):
    residual = rng.normal(1, 10, 20_000)
    residual[:200] = 1e4
    plain, robust, clipped = (bias_and_scatter(residual, kind) for kind in ("std", "robust", "clipped"))
    assert plain == pytest.approx((residual.mean(), residual.std()))
    assert plain[1] > 900
    assert robust == pytest.approx((1, 10), abs=0.4)
    assert clipped == pytest.approx((1, 10), abs=0.3)
    with pytest.raises(ValueError, match="kind must be one of std, robust, clipped"):
        bias_and_scatter(residual, "mad")
    assert all(np.isnan(bias_and_scatter([np.nan], "clipped")))


def test_clipping_of_a_gaussian_removes_few(rng):
    values = rng.normal(0, 1, 100_000)
    assert np.count_nonzero(~clip(values)) < 20
    values[5] = np.nan
    values[6] = 1e30
    assert not clip(values)[[5, 6]].any()
    assert clip(np.zeros(5)).all()
    assert clip([0.0] * 60 + [1.0, -1.0]).sum() == 60
    assert not clip([np.nan]).any()


def test_comparison_by_hand():
    here, reference = np.array([1.0, 3.0, 5.0, 100.0, np.nan]), np.array([0.0, 0.0, 0.0, 0.0, 0.0])
    found = comparison(here, reference, here < 50)
    assert found.n == 3
    assert (found.bias, found.scatter) == pytest.approx((3, np.sqrt(8 / 3)))
    assert (found.median, found.robust_scatter) == pytest.approx((3, 2 * 1.4826), rel=1e-4)
    assert found.n_clipped == 0
    assert comparison(here, reference).n == 4
    none = comparison(here, reference, np.zeros(5, dtype=bool))
    assert none.n == 0
    assert np.isnan(none.scatter)
    with pytest.raises(ValueError, match="one length"):
        comparison(here, reference[:2])


def test_comparison_counts_what_it_clips(rng):
    here = rng.normal(0, 1, 1000)
    here[:7] = 50
    found = comparison(here, np.zeros(1000))
    assert found.n_clipped == 7
    assert found.clipped_scatter == pytest.approx(1, abs=0.1)


def test_scatter_falls_with_snr_as_put_in(rng):
    snr = rng.uniform(1, 119, 60_000)
    residual = rng.normal(0, 1000 / snr.clip(5))
    curve = scatter_against_snr(residual, snr, centres=(30, 50, 110), half_width=2, seed=1)
    np.testing.assert_allclose(curve.scatter, [1000 / 30, 20, 1000 / 110], rtol=0.06)
    # The standard error of a standard deviation is s / sqrt(2 n).
    np.testing.assert_allclose(curve.error, curve.scatter / np.sqrt(2 * curve.n), rtol=0.35)
    again = scatter_against_snr(residual, snr, centres=(30, 50, 110), half_width=2, seed=1)
    for one, two in zip(curve, again, strict=True):
        np.testing.assert_array_equal(one, two)


def test_thin_bins_say_nothing(rng):
    curve = scatter_against_snr(rng.normal(size=12), np.r_[np.full(9, 10.0), np.full(3, np.nan)], seed=0)
    assert curve.n.tolist() == [9, 0, 0, 0, 0, 0]
    assert np.isnan(curve.scatter).all()
    residual = np.r_[rng.normal(size=20), np.nan]
    assert scatter_against_snr(residual, np.full(21, 10.0), seed=0).n[0] == 20
    with pytest.raises(ValueError, match="one length"):
        scatter_against_snr([1, 2], [1], seed=0)
    with pytest.raises(ValueError, match="kind must be"):
        scatter_against_snr([1, 2], [1, 2], kind="x", seed=0)


def test_z_width_is_one_for_right_errors(rng):
    error = rng.uniform(0.5, 5, 50_000)
    residual = rng.normal(0, error)
    residual[::100] *= 50
    assert z_width(residual, error) == pytest.approx(1, abs=0.03)
    assert z_width(residual, 2 * error) == pytest.approx(0.5, abs=0.02)
    error[:1000] = [np.nan, 0] * 500
    assert z_width(residual, error) == pytest.approx(1, abs=0.03)
