"""Labels of blocks of spectra as tables."""

import dataclasses

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.spectra.store import Spectra
from labeltransfer.validation.labelling import Labeller, label_block, no_spectra
from labeltransfer.validation.novelty import reference_labels

UNITS = {"teff": "K", "logg": "dex"}


@pytest.fixture
def block(cannon):
    """Spectra of the stars that the model was trained on."""
    _, flux, ivar, _ = cannon
    stars = Table({"id": [f"s{i}" for i in range(60)]})
    stars["snr"] = stars["snr_g"] = np.full(60, 100.0)
    stars["redshift"] = stars["phase"] = np.zeros(60)
    return Spectra(None, flux, ivar, stars)


def labeller_of(cannon, bootstrap=()):
    model, _, _, labels = cannon
    return Labeller(model, list(bootstrap), labels[:7], reference_labels(labels), UNITS)


def test_labels_have_errors_units_and_stars(cannon, block):
    found = label_block(block, labeller_of(cannon))
    np.testing.assert_allclose(found["teff"], cannon[3][:, 0], atol=120)
    np.testing.assert_allclose(found["teff_err"] ** 2, found["covariance"][:, 0, 0])
    assert found["converged"].all()
    assert found["id"].tolist() == block.stars["id"].tolist()
    assert "teff_bootstrap" not in found.colnames
    assert str(found["teff_err"].unit) == "K"
    assert (np.asarray(found["novelty"]) <= 1.5).all()


def test_bootstrap_errors_are_the_scatter_between_models(cannon, block):
    shifted = dataclasses.replace(cannon[0], pivot=cannon[0].pivot + np.array([10.0, 0.0]))
    found = label_block(block, labeller_of(cannon, [cannon[0], shifted]))
    np.testing.assert_allclose(found["teff_bootstrap"], 10 / np.sqrt(2), rtol=0.02)
    np.testing.assert_allclose(found["logg_bootstrap"], 0, atol=1e-4)


def test_models_by_which_a_star_did_not_converge_do_not_count_for_its_bootstrap_error(cannon, block):
    shifted = dataclasses.replace(cannon[0], pivot=cannon[0].pivot + np.array([10.0, 0.0]))
    ignorant = dataclasses.replace(cannon[0], theta=np.zeros_like(cannon[0].theta))
    assert not ignorant.label(block.flux, block.ivar, starts=cannon[3][:3]).converged.any()
    two = label_block(block, labeller_of(cannon, [cannon[0], shifted]))
    with_one_more = label_block(block, labeller_of(cannon, [cannon[0], ignorant, shifted]))
    np.testing.assert_array_equal(two["teff_bootstrap"], with_one_more["teff_bootstrap"])
    assert np.isnan(label_block(block, labeller_of(cannon, [cannon[0], ignorant]))["teff_bootstrap"]).all()


def test_no_spectra_have_a_table_of_the_same_columns(cannon, block):
    labeller = labeller_of(cannon)
    none = label_block(no_spectra(block.flux.shape[1]), labeller)
    assert len(none) == 0
    assert none.colnames == label_block(block, labeller).colnames
