"""Whether there are reference stars enough for all that is done with them, said before anything is trained.

Problems are sentences that name the keys of the configuration that cure them.
"""

import math
from collections import Counter

import numpy as np

from labeltransfer.catalogs.splits import UNUSED, bootstrap_rows

STARS_PER_TERM = 2  # a polynomial is trained on at least this many stars per coefficient
STARS_PER_WEIGHT = 2  # a network, per label and one more
CALIBRATION_STARS = 30  # that errors are calibrated with, at least
HELD_OUT = "held out from training as a test"
BETTER_SPECTRUM = "another spectrum of the star, with labels of its own, is better"
CLIPPED = "clipped"
UNMATCHED = "without a spectrum"
UNREAD = "whose spectra cannot be used"
UNREAD_WHERE = "for reasons in spectra/reference/*.rejected.fits"


def n_coefficients(n_label, order, terms=None):
    """Terms of a polynomial in the labels, all up to an order or those named, the constant included."""
    return math.comb(n_label + order, order) if terms is None else len(terms) + 1


def polynomial_stars(n_label, order, terms=None):
    """Fewest stars that a polynomial model is trained on."""
    return STARS_PER_TERM * n_coefficients(n_label, order, terms)


def _size(study):
    """Labels, order and named terms of the polynomial model of a study."""
    return len(study["labels"]), study["model"]["order"], study["model"].get("terms")


def network_stars(n_label):
    """Fewest stars that networks are trained on."""
    return STARS_PER_WEIGHT * (n_label + 1)


def why_fewer(counts, key):
    """Where reference stars went, with the keys that may bring them back.

    Parameters
    ----------
    counts : mapping of str to int
        Reason -> stars left out for it.
    key : callable
        Reason -> the key of the configuration that leaves them out.

    Returns
    -------
    str
    """
    if not sum(counts.values()):
        return "None was left out: give labels of more spectra"
    # Most of a survey of the whole sky has no spectrum in another: that is said last.
    order = sorted(Counter(counts).most_common(), key=lambda item: item[0] == UNMATCHED)
    lost = [f"{n} {reason} ({key(reason)})" for reason, n in order if n]
    return f"Left out: {', '.join(lost)}"


def problems_of_cannon(n, study, where, seed=0):
    """What of a study with a polynomial model cannot be done with so few reference stars.

    Parameters
    ----------
    n : int
        Reference stars.
    study : mapping
        Its part of the configuration.
    where : str
        The key of that part.
    seed : int, optional
        Of the random draws.

    Returns
    -------
    list of str
    """
    n_label, order, terms = _size(study)
    needed = polynomial_stars(n_label, order, terms)
    problems = []
    if n < needed:
        problems.append(
            f"a model of order {order} in {n_label} labels is trained on at least {needed} "
            f"(lower {where}.model.order, or take labels from {where}.labels)"
        )
    else:
        problems += _problems_of_splits(n, needed, study["validation"], f"{where}.validation")
        if not problems:
            problems += _problems_of_bootstrap(n, n_coefficients(n_label, order, terms), study, where, seed)
    if n < CALIBRATION_STARS:
        problems.append(f"errors are calibrated with at least {CALIBRATION_STARS}")
    return problems


def _problems_of_splits(n, needed, validation, where):
    fraction = validation["train_fraction"]
    yield from _problems_of_folds(n, validation["folds"], needed, f"{where}.folds")
    n_train = round(fraction * n)
    if n_train < needed:
        cure = (
            f"raise {where}.train_fraction to {_rounded_up(needed / n)}"
            if n > needed
            else "one star more is needed"
        )
        yield f"{fraction:g} of them are {n_train}, and a model needs {needed} ({cure})"
    elif n_train == n:
        yield f"{fraction:g} of them leave none as a test (lower {where}.train_fraction)"


def _problems_of_folds(n, folds, needed, key):
    """Of at least as many stars as a model needs."""
    if folds > n:
        yield f"{n} stars cannot be divided over {folds} folds (lower {key} to {n} at most)"
    elif n - math.ceil(n / folds) < needed:
        enough = next((k for k in range(folds, n + 1) if n - math.ceil(n / k) >= needed), None)
        cure = f"raise {key} to {enough}" if enough else "one star more is needed"
        yield (
            f"without one of {folds} folds {n - math.ceil(n / folds)} of {n} stars are left, "
            f"and a model needs {needed} ({cure})"
        )


def _rounded_up(fraction):
    return f"{math.ceil(1e4 * fraction) / 1e4:g}"


def _problems_of_bootstrap(n, n_term, study, where, seed):
    # What is drawn twice counts once for the coefficients.
    samples = bootstrap_rows(n, study["validation"]["bootstrap"], seed)
    least = min(len(np.unique(sample)) for sample in samples)
    if least < n_term:
        yield (
            f"a bootstrap sample has {least} different ones, and a model of order {study['model']['order']} "
            f"{n_term} coefficients (lower {where}.model.order, or take labels from {where}.labels)"
        )


def problems_of_network(n_train, n_test, study, where):
    """What of a study with networks cannot be done with so few stars to train on, and to test with.

    Parameters
    ----------
    n_train, n_test : int
    study, where
        As for `problems_of_cannon`.

    Returns
    -------
    list of str
    """
    (n_label, order, terms), network = _size(study), study["network"]
    needed, polynomial = network_stars(n_label), polynomial_stars(n_label, order, terms)
    key = f"{where}.network.train_snr"
    problems = []
    if n_train < needed:
        problems.append(
            f"{n_train} stars have an S/N to train on, and networks of {n_label} labels need at least {needed} "
            f"(lower {key}, or take labels from {where}.labels)"
        )
    if n_train < polynomial:
        problems.append(
            f"{n_train} stars have an S/N to train on, and the model of order {order} that networks are compared "
            f"with needs at least {polynomial} (lower {key} or {where}.model.order)"
        )
    for part in ("ridge", "scan") if n_train >= needed else ():
        problems += _problems_of_folds(
            n_train, network[part]["folds"], needed, f"{where}.network.{part}.folds"
        )
    if n_test < CALIBRATION_STARS:
        low, high = network["test_snr"]
        problems.append(
            f"{n_test} stars have an S/N of {low:g} to {high:g} to test with, and errors are calibrated with at least "
            f"{CALIBRATION_STARS} (widen {where}.network.test_snr, or raise {key})"
        )
    return problems


def constant_labels(stars, names, where):
    """Problems of labels that are the same for every star: nothing can be learned of them.

    Parameters
    ----------
    stars : Table
    names : sequence of str
    where : str
        The key of the study.

    Returns
    -------
    list of str
    """
    return [
        f"{name} is {stars[name][0]:g} for every star, and nothing can be learned of it (take it from {where}.labels)"
        for name in names
        if np.ptp(np.asarray(stars[name], dtype=float)) == 0
    ]


def check_reference_set(chosen, reasons, n_row, study, where, seed=0):
    """Raise ValueError, with the keys that cure it, unless a study can do all it does with its reference set.

    Parameters
    ----------
    chosen : Table
        The reference set: `star`, and the labels.
    reasons : (n,) str array
        Why matched stars are not in it, from `labeltransfer.catalogs.selection.reference_reasons`.
    n_row : int
        Rows of the reference catalogue, whether they are matched or not.
    study : mapping
        Its part of the configuration.
    where : str
        The key of that part.
    seed : int, optional
        Of the random draws.
    """
    n = len(np.unique(chosen["star"]))
    problems = []
    fraction = study["hold_out"]["fraction"]
    if n > 1 and fraction > 0 and HELD_OUT not in reasons:
        problems.append(
            f"{fraction:g} of them to be held out are none or all (set {where}.hold_out.fraction to 0, or between "
            f"{_rounded_up(1 / n)} and {1 - 1 / n:.2g})"
        )
    if study["distance"] is not None and study["distance"]["neighbours"] > n:
        problems.append(
            f"label distances are to {study['distance']['neighbours']} of them (lower {where}.distance.neighbours)"
        )
    if study["model"]["kind"] == "cannon":
        problems += problems_of_cannon(n, study, where, seed)
    else:
        n_label, order, terms = _size(study)
        needed = max(network_stars(n_label), polynomial_stars(n_label, order, terms))
        if n < needed + CALIBRATION_STARS:
            problems.append(
                f"networks of {n_label} labels and the model of order {order} beside them are trained on at least "
                f"{needed}, and {CALIBRATION_STARS} others test them "
                f"(lower {where}.model.order, or take labels from {where}.labels)"
            )
    problems += constant_labels(chosen, study["labels"], where) if n > 1 else []
    counts = Counter(reasons[reasons != ""].tolist()) + Counter({UNMATCHED: n_row - len(reasons)})
    keys = {
        HELD_OUT: f"{where}.hold_out.fraction",
        UNMATCHED: f"{where}.match_radius",
        BETTER_SPECTRUM: f"{where}.same_star_radius",
    }
    why = why_fewer(counts, lambda reason: keys.get(reason, f"{where}.cuts"))
    refuse(problems, f"{n} reference stars of {len(reasons)} matched ones are too few", why)


def check_trainable(n, lost, study, where, seed=0):
    """Raise ValueError, as `check_reference_set`, for the stars that are left when spectra have been read and clipped.

    Parameters
    ----------
    n : int
        Stars to train on.
    lost : mapping of str to int
        Why others are not among them -> how many.
    study, where, seed
        As for `check_reference_set`.
    """
    keys = {CLIPPED: f"{where}.model.clip", UNREAD: UNREAD_WHERE}
    problems = problems_of_cannon(n, study, where, seed)
    refuse(problems, f"{n} reference stars to train on are too few", why_fewer(lost, keys.get))


def check_network(n_train, n_test, lost, study, where):
    """The same for networks: stars with an S/N to train on, and to test with, others having been lost."""
    keys = {
        CLIPPED: f"{where}.model.clip",
        UNREAD: UNREAD_WHERE,
        UNUSED: f"{where}.network.test_snr",
    }
    problems = problems_of_network(n_train, n_test, study, where)
    what = f"{n_train} reference stars to train on and {n_test} to test with are too few"
    refuse(problems, what, why_fewer(lost, keys.get))


def check_training_parts(parts, study, where):
    """Raise ValueError unless a polynomial model can be trained on each part of the stars that cross-validation takes.

    Parameters
    ----------
    parts : mapping of str to sequence of int
        Key of the study that makes the parts -> stars of each to train on.
    study : mapping
        Its part of the configuration.
    where : str
        The key of that part.
    """
    n_label, order, terms = _size(study)
    needed = polynomial_stars(n_label, order, terms)
    for key, sizes in parts.items():
        if min(sizes) < needed:
            raise ValueError(
                f"{where}.{key} leaves {min(sizes)} stars to train on once the clip has taken its part, and a model of "
                f"order {order} in {n_label} labels needs at least {needed}: raise it, or lower {where}.model.order"
            )


def refuse(problems, what, why):
    """Raise ValueError with all problems and where the stars went, if there are problems."""
    if problems:
        raise ValueError(f"{what}: {'; '.join(problems)}. {why}")
