"""Networks of some pixels: the same as among all, and nothing elsewhere."""

import numpy as np
import pytest

from labeltransfer.models.files import load_model, save_model
from labeltransfer.models.network import STATUS, NetworkOptions, even_pixels, sample_pixels, train_sample
from labeltransfer.validation.gradient_correlation import gradient_correlation
from tests.unit.models.network.stars import NAMES, POINT, STEPS, mock_stars, same, train


def sample(flux, ivar, labels, chosen, **options):
    options = NetworkOptions(**{"hidden": 10, "ridge": 1e-2} | options)
    return train_sample(flux, ivar, labels, NAMES, chosen, options=options)


def test_even_pixels_reach_both_ends():
    assert even_pixels(101, 5).tolist() == [0, 25, 50, 75, 100]
    assert even_pixels(3, 5).tolist() == [0, 1, 2]


def test_sample_is_even_pixels_and_a_window():
    wavelength = np.linspace(4000.0, 5000.0, 101)
    chosen = sample_pixels(wavelength, 11, (4200.0, 4250.0))
    expected = {*range(0, 101, 10), *range(20, 26)}
    assert set(np.flatnonzero(chosen).tolist()) == expected
    assert sample_pixels(wavelength, 500, (1.0, 2.0)).all()


@pytest.mark.parametrize("l1", [0.0, 0.01])
def test_chosen_pixels_have_the_networks_that_they_have_among_all(rng, tmp_path, l1):
    flux, ivar, labels = mock_stars(rng)
    chosen = np.array([True, False, True, True, False])
    whole, part = train(flux, ivar, labels, l1=l1), sample(flux, ivar, labels, chosen, l1=l1)
    assert [STATUS[i] for i in part.status[~chosen]] == ["not trained", "not trained"]
    np.testing.assert_array_equal(part.usable, chosen)
    for name in ("W", "c", "w", "b", "scatter", "loss", "chi2"):
        np.testing.assert_allclose(
            getattr(part, name)[chosen], getattr(whole, name)[chosen], rtol=1e-6, atol=1e-9, err_msg=name
        )
    np.testing.assert_array_equal(part.n_used, np.where(chosen, whole.n_used, 0))
    save_model(tmp_path / "part.h5", part, {})
    same(part, load_model(tmp_path / "part.h5"))
    same(whole, sample(flux, ivar, labels, np.ones(5, dtype=bool), l1=l1))


def test_pixels_without_a_network_count_nowhere(rng):
    flux, ivar, labels = mock_stars(rng, 300)
    chosen = np.array([True, True, False, True, True])
    model = sample(flux, ivar, labels, chosen)
    gradients = model.gradients(POINT, STEPS)
    np.testing.assert_array_equal(np.isfinite(gradients), np.tile(chosen, (3, 1)))
    theory = rng.standard_normal(gradients.shape)
    expected = gradient_correlation(gradients[:, chosen], theory[:, chosen])
    np.testing.assert_allclose(gradient_correlation(gradients, theory), expected)
    found = model.label(flux, ivar, starts=labels[:3])
    np.testing.assert_array_equal(found.n_pix, 4)
    spoiled = flux.copy()
    spoiled[:, 2] = 17.0
    np.testing.assert_array_equal(model.label(spoiled, ivar, starts=labels[:3]).labels, found.labels)


@pytest.mark.parametrize("chosen", [[1, 0, 1, 1, 0], [True, False]])
def test_a_choice_is_one_bool_per_pixel(rng, chosen):
    flux, ivar, labels = mock_stars(rng)
    with pytest.raises(ValueError, match="chosen must be one bool per pixel"):
        sample(flux, ivar, labels, chosen)
