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
    reasons = reference_reasons(pairs, star, observed["snrg"], cuts)
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
    star, quality = np.arange(n), np.ones(n)
    pairs = Table({"teff": np.where(np.arange(n) < 4, np.nan, 4500.0)})
    reason = "the label is missing in the catalogue of the reference survey, so there is nothing to learn"
    cuts = [{"reason": reason, "column": "teff", "finite": True}]
    reasons = reference_reasons(pairs, star, quality, cuts, 0.25, 1)
    # A long reason is not cut short where stars are held out.
    assert reasons[:4].tolist() == [reason] * 4
    held_out = reasons == "held out from training as a test"
    assert held_out.sum() == 0.25 * (n - 4)
    assert (reasons[4:] == "").sum() + held_out.sum() == n - 4
    assert reference_reasons(pairs, star, quality, cuts, 0.25, 1).tolist() == reasons.tolist()
    assert reference_reasons(pairs, star, quality, cuts, 0.25, 2).tolist() != reasons.tolist()
    # Of few stars, a fraction may be none of them, or all: then none is held out.
    for fraction in (0.0, 0.002, 0.999):
        assert (reference_reasons(pairs, star, quality, cuts, fraction, 1)[4:] == "").all()


def test_of_the_labelled_spectra_of_a_star_the_best_that_passes_the_cuts_counts():
    star = np.array([7, 7, 7, 8, 8, 9])
    snr = [50.0, 90.0, 70.0, np.nan, 20.0, 30.0]
    pairs = Table({"teff": [4500.0, np.nan, 4700.0, 4800.0, 4900.0, 5000.0]})
    cuts = [{"reason": "label missing", "column": "teff", "finite": True}]
    other = "another spectrum of the star, with labels of its own, is better"
    reasons = reference_reasons(pairs, star, snr, cuts)
    assert reasons.tolist() == [other, "label missing", "", other, "", ""]
    # Held out are stars, by the spectrum that counts.
    held_out = reference_reasons(pairs, star, snr, cuts, 0.34, 1) == "held out from training as a test"
    assert held_out.sum() == 1
    assert held_out[[2, 4, 5]].sum() == 1


def test_a_star_is_in_the_catalogue_by_the_spectrum_that_its_labels_are_of(sky, tmp_path):
    path = tmp_path / "survey.fits"
    write_table(sky[0], path)
    star, nowhere = np.array([0, 0, 1, 2, 3]), np.full(5, np.nan)
    rows = Table({"best": [False, True, True, True, True], "star": star})

    def chosen(reference_rows, held_out_rows):
        choice = choose_survey_stars(rows, reference_rows, held_out_rows, nowhere)
        taken = vstack(list(survey_set_blocks(path, choice, star, nowhere, 2)))["spectrum_id"].tolist()
        left_out = vstack(list(left_out_blocks(path, choice, 2)))
        return taken, dict(zip(left_out["id"].tolist(), left_out["reason"].tolist(), strict=True))

    # The first spectrum of the first star is the worse one, and the labels are of it.
    none = np.zeros(0, dtype=int)
    assert chosen(none, none) == (
        ["a2", "b", "c", "d"],
        {"a1": "repeat of a star with a better spectrum"},
    )
    assert chosen(np.array([0]), none) == (
        ["b", "c", "d"],
        {"a2": "another spectrum of the star is in the reference set"},
    )
    assert chosen(np.array([2]), np.array([0])) == (
        ["a1", "c", "d"],
        {"a2": "another spectrum of the star has the labels that were held out"},
    )
    assert chosen(none, np.array([1])) == chosen(none, none)


def test_survey_stars_are_near_the_reference_set_or_of_the_sample(sky, tmp_path):
    path = tmp_path / "survey.fits"
    write_table(sky[0], path)
    star = np.array([0, 0, 1, 2, 3])
    rows = Table({"best": [False, True, True, True, True], "star": star})
    distances = np.array([0.1, 0.2, 0.5, 2.5, np.nan])

    def survey_stars(distances, settings):
        choice = choose_survey_stars(rows, np.array([1]), np.zeros(0, int), distances, settings, 1)
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
