"""What becomes of stars that have labels, and of those whose spectra could not be read."""

import numpy as np
from astropy.table import Table

from labeltransfer.catalogs.fates import (
    Limits,
    bad_labels,
    keep_reference,
    keep_survey,
    no_fates,
    unread_rows,
)
from labeltransfer.catalogs.rows import indexed
from labeltransfer.catalogs.splits import clip_reason

LIMITS = Limits(10.0, 4.0)


def labels_of(*ids, reduced_chi2=1.0):
    n = len(ids)
    table = Table({"id": np.array(ids, dtype="S8"), "chi2": np.ones(n), "converged": np.ones(n, dtype=bool)})
    table["reduced_chi2"] = np.broadcast_to(reduced_chi2, n)
    return table


def stars_of(*ids, **columns):
    table = Table({"spectrum_id": np.array(ids, dtype="S8"), "obsid": np.arange(len(ids))})
    table["ra"] = table["dec"] = np.zeros(len(ids))
    for name, values in columns.items():
        table[name] = values
    return indexed(table, "spectrum_id")


def test_labels_that_failed_are_not_in_the_catalogue():
    labels = Table({"chi2": [1.0, 1.0, np.nan, 1.0], "reduced_chi2": [10.0, 10.1, np.nan, 1.0]})
    labels["converged"] = [True, True, True, False]
    reasons = bad_labels(labels, 10.0).tolist()
    assert reasons == ["", "reduced chi2 above 10", "labels did not converge", "labels did not converge"]


def fates_by_id(tables):
    """(id, catalogue) -> fate or reason of a list of tables."""
    return {
        (str(row["id"]), str(row["catalog"])): str(row[table.colnames[-1]])
        for table in tables
        for row in table
    }


def test_every_reference_star_and_its_spectrum_have_a_fate():
    stars = stars_of("a", "b", "c", "d", reference_id=np.array(list("ABCD"), dtype="S8"))
    clip = Table({"id": np.array(list("abcd"), dtype="S8"), "trained": [True, False, True, False]})
    clip["reason"] = ["", clip_reason(4.0), "", "kept for a test"]
    fates = no_fates()
    labels = labels_of("d", "c", "b", "a", reduced_chi2=[1.0, 99.0, 1.0, 1.0])
    kept = keep_reference(labels, stars, indexed(clip, "id"), LIMITS, fates)
    assert kept.labels["id"].tolist() == ["d", "b", "a"]
    assert kept.trained.tolist() == [False, False, True]
    assert kept.clipped.tolist() == [False, True, False]
    assert kept.in_reference.all()
    assert fates_by_id(fates.good) == {
        ("a", "survey"): "labelled and trained on",
        ("b", "survey"): "labelled",
        ("d", "survey"): "labelled",
        ("A", "reference"): "trained on",
        ("C", "reference"): "trained on",
    }
    assert fates_by_id(fates.rejected()) == {
        ("B", "reference"): clip_reason(4.0),
        ("D", "reference"): "kept for a test",
        ("c", "survey"): "reduced chi2 above 10",
    }
    # Where only the clip takes stars out there is no column of reasons.
    del clip["reason"]
    fates = no_fates()
    keep_reference(labels, stars, indexed(clip, "id"), LIMITS, fates)
    assert fates_by_id(fates.untrained)["D", "reference"] == clip_reason(4.0)


def test_stars_of_the_sample_alone_have_labels_and_no_fate_here():
    stars = stars_of(
        "a",
        "b",
        "c",
        distance=[1.0, 9.0, 2.0],
        sample=[True, True, False],
        sample_only=[False, True, False],
    )
    fates = no_fates()
    labels = labels_of("a", "b", "c", reduced_chi2=[1.0, 1.0, 99.0])
    kept, sample = keep_survey(labels, stars, LIMITS, fates)
    assert sample["id"].tolist() == ["a", "b"]
    assert sample["distance"].tolist() == [1.0, 9.0]
    assert kept.labels["id"].tolist() == ["a"]
    assert not (kept.trained.any())
    assert not (kept.in_reference.any())
    assert not (kept.clipped.any())
    assert fates_by_id(fates.good) == {("a", "survey"): "labelled"}
    assert fates_by_id(fates.rejected()) == {("c", "survey"): "reduced chi2 above 10"}


def test_a_spectrum_that_cannot_be_read_takes_its_reference_star_along():
    survey = stars_of("s", "far", sample_only=[False, True])
    reference = stars_of("r", "q", reference_id=np.array(["R", "Q"], dtype="S8"))
    unread = Table({"id": np.array(["s", "far", "r"], dtype="S8"), "catalog": np.full(3, b"survey")})
    unread["stage"], unread["reason"] = np.full(3, b"spectra"), np.array([b"cut", b"cut", b"not FITS"])
    spectra, stars = unread_rows(unread, survey, reference)
    assert spectra["id"].tolist() == ["s", "r"]
    assert fates_by_id([stars]) == {("R", "reference"): "not FITS"}
