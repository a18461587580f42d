"""Selection: who is in the reference set, who is labelled, and what the ledger says of all others."""

import numpy as np
from astropy.table import Table, vstack

from labeltransfer.catalogs.match import crossmatch
from labeltransfer.catalogs.selection import (
    choose_survey_stars,
    left_out_blocks,
    reference_columns,
    reference_reasons,
    survey_distances,
    survey_set_blocks,
)
from labeltransfer.files.tables import write_table

DISTANCE = {"scale": {"teff": 100.0}, "neighbours": 2, "form": "root", "cut": 2.5, "sample": 2}


def test_reference_stars_pass_cuts_or_have_a_reason(sky):
    survey, reference = sky
    matches, stars, _ = crossmatch(survey, reference, 3.0, 3.0)
    observed, pairs = survey[matches["survey_row"]], reference[matches["reference_row"]]
    star = stars["star"][matches["survey_row"]]
    cuts = [{"reason": "label missing", "columns": ["teff"], "finite": True}]
    reasons = reference_reasons(pairs, star, cuts)
    assert reasons.tolist() == ["", "label missing"]
    chosen = reference_columns(observed, pairs, star, ["teff"], {"teff": "teff"})
    assert chosen["reference_id"].tolist() == ["A", "B"]
    # The reference survey's label, and the pipeline's own beside it.
    assert chosen["teff"][0] == 4480.0
    assert chosen["teff_err"].tolist() == [20.0, 30.0]
    assert chosen["teff_pipeline"].tolist() == [4510.0, 4600.0]
    assert chosen["star"].tolist() == stars["star"][[1, 2]].tolist()


def test_held_out_stars_are_kept_from_training_by_star():
    n = 200
    star = np.repeat(np.arange(n // 2), 2)
    pairs = Table({"teff": np.where(np.arange(n) < 4, np.nan, 4500.0)})
    reason = "the label is missing in the catalogue of the reference survey, so there is nothing to learn"
    cuts = [{"reason": reason, "column": "teff", "finite": True}]
    reasons = reference_reasons(pairs, star, cuts, 0.25, 1)
    # A long reason is not cut short where stars are held out.
    assert reasons[:4].tolist() == [reason] * 4
    held_out = reasons == "held out from training as a test"
    assert held_out.sum() == 2 * round(0.25 * 98)
    assert (reasons[4:] == "").sum() + held_out.sum() == n - 4
    # Both spectra of a star, or none.
    np.testing.assert_array_equal(held_out[::2], held_out[1::2])
    assert reference_reasons(pairs, star, cuts, 0.25, 1).tolist() == reasons.tolist()
    assert reference_reasons(pairs, star, cuts, 0.25, 2).tolist() != reasons.tolist()
    # Of few stars, a fraction may be none of them, or all: then none is held out.
    for fraction in (0.0, 0.004, 0.999):
        assert (reference_reasons(pairs, star, cuts, fraction, 1)[4:] == "").all()


def test_survey_stars_are_near_the_reference_set_or_of_the_sample(sky, tmp_path):
    path = tmp_path / "survey.fits"
    write_table(sky[0], path)
    star = np.array([0, 0, 1, 2, 3])
    rows = Table({"best": [False, True, True, True, True], "star": star})
    distances = np.array([0.1, 0.2, 0.5, 2.5, np.nan])

    def survey_stars(distances, settings):
        choice = choose_survey_stars(rows, np.array([1]), distances, settings, 1)
        return (
            vstack(list(survey_set_blocks(path, choice, star, distances, 2))),
            vstack(list(left_out_blocks(path, choice, 2))),
        )

    chosen, rejected = survey_stars(distances, DISTANCE | {"sample": 0})
    assert chosen["spectrum_id"].tolist() == ["b"]
    assert chosen["star"].tolist() == [1]
    assert chosen["distance"].tolist() == [0.5]
    assert set(rejected["stage"]) == {"selection"}
    assert dict(zip(rejected["id"].tolist(), rejected["reason"].tolist(), strict=True)) == {
        "a1": "repeat of a star with a better spectrum",
        "c": "label distance above the cut",  # at the cut is out
        "d": "no pipeline labels to measure the label distance with",
    }
    # The sample is of any distance, and stays in the ledger as what the rule made of it.
    everyone, still_rejected = survey_stars(distances, DISTANCE | {"sample": 9})
    assert everyone["spectrum_id"].tolist() == ["b", "c", "d"]
    assert everyone["sample_only"].tolist() == [False, True, True]
    assert still_rejected["id"].tolist() == rejected["id"].tolist()
    # Without Eq. 7 every star is labelled.
    every, _ = survey_stars(np.full(5, np.nan), None)
    assert every["spectrum_id"].tolist() == ["b", "c", "d"]
    assert not every["sample"].any()


def test_label_distances_are_to_the_nearest_reference_stars(sky):
    reference_set = Table({"teff": [4400.0, 4500.0, 9000.0]})
    distances = survey_distances(sky[0], reference_set, {"teff": "teff"}, DISTANCE)
    # Means of the two nearest, in units of 100 K: 4500 K is 1 and 0 away; a star without a label is nowhere.
    np.testing.assert_allclose(distances, [0.5, 0.6, 1.5, 2.5, np.nan])
