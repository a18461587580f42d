"""The catalogue from blocks of labels."""

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.catalogs.fates import Limits, no_fates
from labeltransfer.catalogs.rows import index_ids, indexed
from labeltransfer.validation.assembly import Judgement, Stars, catalogue_blocks
from labeltransfer.validation.calibration import Calibration

CALIBRATION = Calibration(2.0, 4.0, 0.0, 1e6, 10.0, 100.0, 100, 1.0, True)


@pytest.fixture
def labels():
    """Labels of five stars, one of them at a low S/N and one far off."""
    n = 5
    table = Table({"id": np.array(list("abcde"), dtype="S1"), "teff": np.full(n, 4500.0)})
    table["teff_err"], table["teff_bootstrap"] = np.full(n, 3.0), np.full(n, 2.0)
    table["teff"].unit = "K"
    table["chi2"] = table["reduced_chi2"] = np.ones(n)
    table["converged"] = np.ones(n, dtype=bool)
    table["snr"], table["snr_g"] = [50.0, 9.0, 50.0, 50.0, 50.0], np.full(n, 40.0)
    table["novelty"] = [0.5, 0.5, 1.5, 0.5, np.nan]
    return table


@pytest.fixture
def stars(labels):
    """Where they are: d was clipped from the reference set, e was kept from training as a test."""
    known = Table({"spectrum_id": labels["id"], "obsid": np.arange(5)})
    known["ra"] = known["dec"] = np.zeros(5)
    known["distance"] = np.ones(5)
    known["sample"] = known["sample_only"] = np.zeros(5, dtype=bool)
    known["reference_id"] = known["spectrum_id"]
    clip = Table({"id": labels["id"], "trained": [True, True, True, False, True], "teff": np.arange(5.0)})
    survey = indexed(known, "spectrum_id")
    return Stars(survey, survey, indexed(clip, "id"), index_ids(labels["id"][4:]))


def built(reference, survey, stars, at_zero):
    judgement = Judgement({"teff": (1e3, 1e5)}, {"teff": CALIBRATION}, at_zero, Limits(10.0, 4.0))
    fates = no_fates()
    blocks = list(catalogue_blocks([reference], [survey], stars, judgement, fates, []))
    return blocks, fates


def test_flags_zero_points_and_errors_of_the_catalogue(labels, stars):
    (reference, survey), _ = built(labels[3:4], labels[[0, 1, 2, 4]], stars, True)
    assert reference["flags"].tolist() == [2]
    assert survey["flags"].tolist() == [0, 4, 1, 1 | 8]
    # offset + slope / snr is taken off; total^2 = (2 x 3)^2 + (4 x 2)^2.
    np.testing.assert_allclose(survey["teff"], 4490 - 100 / np.array([50, 9, 50, 50]), rtol=1e-6)
    np.testing.assert_allclose(survey["teff_total"], 10.0, rtol=1e-6)
    np.testing.assert_allclose(survey["teff_err"], 3.0)
    (_, raw), _ = built(labels[3:4], labels[:3], stars, False)
    np.testing.assert_allclose(raw["teff"], 4500.0)
    assert "zero point" in survey["teff"].description
    assert "zero point" not in raw["teff"].description


def test_labels_stay_as_they_were(labels, stars):
    before = labels.copy()
    built(labels[3:], labels[:3], stars, True)
    assert labels.colnames == before.colnames
    assert (labels["teff"] == before["teff"]).all()


def test_flags_of_networks_come_from_their_own_labels(labels, stars):
    labels["teff_correlation"] = [0.9, 0.4, 0.9, 0.9, 0.9]
    judgement = Judgement({"teff": (1e3, 1e5)}, {"teff": CALIBRATION}, True, Limits(10.0, 4.0), 0.5)
    (survey,) = catalogue_blocks([], [labels], stars, judgement, no_fates(), [])
    # All lie far above the training set's range, 0 to 4; their errors of 3 are above its spread.
    assert survey["teff_flag"].tolist() == [6, 7, 6, 6, 6]
