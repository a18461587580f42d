"""Too few reference stars are named before training, with the keys that cure it."""

import copy

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.catalogs import enough
from labeltransfer.catalogs.selection import HELD_OUT
from labeltransfer.catalogs.splits import UNUSED, k_folds, train_test_split
from labeltransfer.models.cannon import train
from labeltransfer.models.network import train_network
from labeltransfer.models.polynomial import polynomial
from labeltransfer.validation.calibration import fit_calibration

STUDY = {
    "labels": {"teff": {}, "logg": {}, "fe_h": {}},
    "hold_out": {"fraction": 0.1},
    "distance": None,
    "model": {"kind": "cannon", "order": 2, "clip": 4.0},
    "validation": {"folds": 10, "train_fraction": 0.8, "bootstrap": 20},
}
NETWORK = {
    **STUDY,
    "model": {"kind": "network", "order": 2, "clip": 4.0},
    "network": {"train_snr": 200.0, "test_snr": [30.0, 200.0], "ridge": {"folds": 3}, "scan": {"folds": 2}},
}


def changed(study, **changes):
    """The study with some of its keys changed, as in `validation__folds=3`."""
    study = copy.deepcopy(study)
    for key, value in changes.items():
        part, _, name = key.partition("__")
        if name:
            study[part][name] = value
        else:
            study[part] = value
    return study


def set_of(n, left_out=()):
    """A reference set of n stars, and the reasons of these and others."""
    rng = np.random.default_rng(1)
    chosen = Table({"star": np.arange(n), **{name: rng.normal(size=n) for name in STUDY["labels"]}})
    return chosen, np.array([""] * n + list(left_out), dtype="U64")


def refusal_of(n, study, left_out=(), more=0, seed=3):
    chosen, reasons = set_of(n, left_out)
    with pytest.raises(
        ValueError, match=f"^{n} reference stars of {len(reasons)} matched ones are too few: "
    ) as caught:
        enough.check_reference_set(chosen, reasons, len(reasons) + more, study, "studies.case", seed)
    return str(caught.value)


@pytest.mark.parametrize(("n_label", "order"), [(1, 1), (3, 1), (3, 2), (2, 3), (16, 2)])
def test_coefficients_are_those_of_the_model(n_label, order):
    assert enough.n_coefficients(n_label, order) == len(polynomial(n_label, order).parent)


def test_what_is_said_to_be_enough_is_enough_for_training(rng):
    labels = rng.normal(size=(20, 3))
    flux = 1 + 0.1 * rng.normal(size=(20, 5))
    ivar = np.full(flux.shape, 1e4)
    least = enough.polynomial_stars(3, 2)
    assert least == 20
    train(flux, ivar, labels, label_names=tuple("abc"), order=2)
    with pytest.raises(ValueError, match="at least 20 training stars, found 19"):
        train(flux[1:], ivar[1:], labels[1:], label_names=tuple("abc"), order=2)
    least = enough.network_stars(3)
    train_network(flux[:least], ivar[:least], labels[:least], tuple("abc"))
    with pytest.raises(ValueError, match=f"at least {least} training stars, found {least - 1}"):
        train_network(flux[: least - 1], ivar[: least - 1], labels[: least - 1], tuple("abc"))
    residual = rng.normal(size=enough.CALIBRATION_STARS)
    fit_calibration(residual, np.ones(len(residual)))
    with pytest.raises(ValueError, match=r"at least 30 stars .* found 29 of 29"):
        fit_calibration(residual[1:], np.ones(len(residual) - 1))


def test_enough_stars_pass():
    chosen, reasons = set_of(60, [HELD_OUT] * 6)
    enough.check_reference_set(chosen, reasons, 66, STUDY, "studies.case", 3)
    enough.check_trainable(60, {}, STUDY, "studies.case", 3)
    enough.check_network(60, 30, {}, NETWORK, "studies.case")


@pytest.mark.parametrize("n", [0, 1, 2, 19])
def test_fewer_stars_than_the_polynomial_needs(n):
    message = refusal_of(n, STUDY, [HELD_OUT])
    assert "a model of order 2 in 3 labels is trained on at least 20" in message
    assert "lower studies.case.model.order, or take labels from studies.case.labels" in message
    assert "errors are calibrated with at least 30" in message
    assert message.endswith(f"Left out: 1 {HELD_OUT} (studies.case.hold_out.fraction)")


def test_where_nothing_was_left_out_no_cut_is_blamed():
    message = refusal_of(10, changed(STUDY, hold_out__fraction=0.0))
    assert message.endswith("None was left out: give labels of more spectra")
    assert "cuts" not in message


def test_what_left_stars_out_is_named_with_its_key():
    message = refusal_of(10, STUDY, ["label missing"] * 3 + [HELD_OUT] * 2 + ["too hot"], more=7)
    assert message.endswith(
        f"Left out: 3 label missing (studies.case.cuts), 2 {HELD_OUT} (studies.case.hold_out.fraction), "
        "1 too hot (studies.case.cuts), 7 without a spectrum (studies.case.match_radius)"
    )


@pytest.mark.parametrize(
    ("n", "fraction", "cure"), [(30, 0.99, "0.0334 and 0.97"), (40, 0.01, "0.025 and 0.97")]
)
def test_a_hold_out_of_all_or_none(n, fraction, cure):
    message = refusal_of(n, changed(STUDY, hold_out__fraction=fraction))
    assert f"set studies.case.hold_out.fraction to 0, or between {cure}" in message


def test_more_folds_than_stars():
    message = refusal_of(40, changed(STUDY, validation__folds=41, hold_out__fraction=0.0))
    assert (
        "40 stars cannot be divided over 41 folds (lower studies.case.validation.folds to 40 at most)"
        in message
    )


@pytest.mark.parametrize(("n", "folds"), [(30, 2), (35, 2), (21, 3), (41, 2), (20, 5)])
def test_folds_that_leave_too_few(n, folds):
    message = "; ".join(enough.problems_of_cannon(n, changed(STUDY, validation__folds=folds), "s"))
    held_out = np.bincount(k_folds(np.arange(n), folds, 1))
    if n - held_out.max() >= 20:
        assert "folds" not in message
    elif n == 20:
        assert "one star more is needed" in message
    else:
        cure = int(message.partition("raise s.validation.folds to ")[2].partition(")")[0])
        # The cure is one, and the least.
        assert n - np.bincount(k_folds(np.arange(n), cure, 1)).max() >= 20
        assert n - np.bincount(k_folds(np.arange(n), cure - 1, 1)).max() < 20


@pytest.mark.parametrize("n", [21, 30, 33])
def test_a_single_split_that_leaves_too_few(n):
    study = changed(STUDY, validation__train_fraction=0.5, validation__folds=n)
    message = "; ".join(enough.problems_of_cannon(n, study, "s"))
    cure = float(message.partition("raise s.validation.train_fraction to ")[2].partition(")")[0])
    assert train_test_split(np.arange(n), cure, 1).sum() >= 20


def test_label_distances_need_their_neighbours():
    study = changed(STUDY, distance={"neighbours": 100}, hold_out__fraction=0.0)
    assert "label distances are to 100 of them (lower studies.case.distance.neighbours)" in refusal_of(
        50, study
    )


def test_bootstrap_samples_need_as_many_different_stars_as_coefficients():
    study = changed(STUDY, labels=dict.fromkeys("abcd"), validation__bootstrap=3000, validation__folds=31)
    study["validation"]["train_fraction"] = 0.97
    (message,) = enough.problems_of_cannon(31, study, "s", 1)
    assert message.startswith("a bootstrap sample has 1")
    assert "a model of order 2 15 coefficients (lower s.model.order" in message


def test_a_label_that_is_the_same_for_all():
    chosen, reasons = set_of(60)
    chosen["logg"] = 2.5
    with pytest.raises(
        ValueError, match=r"logg is 2.5 for every star.* \(take it from studies.case.labels\)"
    ):
        enough.check_reference_set(
            chosen, reasons, 60, changed(STUDY, hold_out__fraction=0.0), "studies.case"
        )


def test_stars_lost_between_selection_and_training():
    lost = {enough.UNREAD: 12, enough.CLIPPED: 3}
    with pytest.raises(ValueError, match=r"^25 reference stars to train on are too few: ") as caught:
        enough.check_trainable(25, lost, STUDY, "studies.case")
    assert str(caught.value).endswith(
        "Left out: 12 whose spectra cannot be used (for reasons in spectra/reference/*.rejected.fits), "
        "3 clipped (studies.case.model.clip)"
    )
    quadratic = {"labels": ["a", "b", "c"], "model": {"order": 2}}
    with pytest.raises(
        ValueError, match=r"s.validation.folds leaves 17 stars .* needs at least 20: raise it"
    ):
        enough.check_training_parts(
            {"validation.folds": [22, 17], "validation.train_fraction": [30]}, quadratic, "s"
        )
    enough.check_training_parts({"validation.folds": [22, 20]}, quadratic, "s")
    few = {**quadratic, "model": {"order": 2, "terms": ["a", "b", "c", "a^2"]}}
    enough.check_training_parts({"validation.folds": [10]}, few, "s")
    with pytest.raises(ValueError, match=r"needs at least 10: raise it"):
        enough.check_training_parts({"validation.folds": [9]}, few, "s")


@pytest.mark.parametrize(
    ("n_train", "n_test", "change", "expected"),
    [
        (
            7,
            40,
            {},
            "networks of 3 labels need at least 8 (lower s.network.train_snr, or take labels from s.labels)",
        ),
        (15, 40, {}, "compared with needs at least 20 (lower s.network.train_snr or s.model.order)"),
        (40, 0, {}, "0 stars have an S/N of 30 to 200 to test with"),
        (40, 29, {}, "at least 30 (widen s.network.test_snr, or raise s.network.train_snr)"),
        (
            22,
            40,
            {"ridge": {"folds": 25}},
            "22 stars cannot be divided over 25 folds (lower s.network.ridge.folds",
        ),
        (10, 40, {"scan": {"folds": 2}}, "(raise s.network.scan.folds to 5)"),
        (
            8,
            40,
            {"scan": {"folds": 2}},
            "without one of 2 folds 4 of 8 stars are left, and a model needs 8 (one star more is needed)",
        ),
    ],
)
def test_networks_with_too_few_stars_of_an_snr(n_train, n_test, change, expected):
    study = changed(NETWORK, network={**NETWORK["network"], **change})
    with pytest.raises(
        ValueError, match=f"^{n_train} reference stars to train on and {n_test} to test"
    ) as caught:
        enough.check_network(n_train, n_test, {UNUSED: 4}, study, "s")
    assert expected in str(caught.value)
    assert str(caught.value).endswith(f"Left out: 4 {UNUSED} (s.network.test_snr)")


def test_a_network_study_with_too_few_stars_of_any_snr():
    message = refusal_of(40, changed(NETWORK, hold_out__fraction=0.0))
    assert "are trained on at least 20, and 30 others test them (lower studies.case.model.order" in message
