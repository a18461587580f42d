"""Training and test sets, folds and bootstrap samples; a star is never on both sides of a split.

A star recurs in several plans and releases. Splitting spectra instead of stars would test a model on stars
that it has seen, so every function here takes `star`, a number or name per row that equal stars share.
"""

import numpy as np

TEST = "S/N of the test stars"
UNUSED = "S/N below that of training and test stars"


def train_test_split(star, fraction=0.8, seed=0):
    """Choose the stars to train on; the others are the test set.

    Parameters
    ----------
    star : (n,) array_like
        Which star a row belongs to.
    fraction : float, optional
        Fraction of the stars to train on (Ho et al. 2017 use 80 %).
    seed : int
        Of the random draw.

    Returns
    -------
    train : (n,) bool
        True for rows of training stars.

    Raises
    ------
    ValueError
        If a side would be empty.
    """
    number, n_star = _numbered(star)
    n_train = round(fraction * n_star)
    if not 0 < n_train < n_star:
        raise ValueError(f"a fraction {fraction!r} of {n_star} stars leaves one side of the split empty")
    chosen = np.zeros(n_star, dtype=bool)
    chosen[np.random.default_rng(seed).permutation(n_star)[:n_train]] = True
    return chosen[number]


def k_folds(star, k=5, seed=0):
    """Divide stars over k folds of equal size (to one star).

    Parameters
    ----------
    star : (n,) array_like
        Which star a row belongs to.
    k : int, optional
        Number of folds.
    seed : int
        Of the random draw.

    Returns
    -------
    fold : (n,) int64
        Number of the fold, 0 to k - 1, that holds the row out.

    Raises
    ------
    ValueError
        If k is below 2 or above the number of stars.
    """
    number, n_star = _numbered(star)
    if not 2 <= k <= n_star:
        raise ValueError(f"folds must number between 2 and {n_star}, the number of stars: found {k}")
    fold = np.empty(n_star, dtype=np.int64)
    fold[np.random.default_rng(seed).permutation(n_star)] = np.arange(n_star) % k
    return fold[number]


def group_folds(group, k=None, fewest=1):
    """Divide groups of stars, such as clusters, over folds that hold out whole groups.

    Stars of one cluster share their abundances: a model that saw some of them knows more of the others than it does
    of stars in the field.

    Parameters
    ----------
    group : (n,) array_like
        Which group a row belongs to.
    k : int, optional
        Number of folds, made as equal as groups allow: the largest group left goes to the smallest fold. By default
        each group has a fold of its own (leave one cluster out).
    fewest : int, optional
        Where each group has a fold of its own, those with fewer rows share one.

    Returns
    -------
    fold : (n,) int64
        Number of the fold, from 0, that holds the row out: in the order of the groups, that of small ones last.

    Raises
    ------
    ValueError
        If there would be fewer than two folds, or more of them than groups.
    """
    number, n_group = _numbered(group)
    size = np.bincount(number, minlength=n_group)
    if k is None:
        large = size >= fewest
        n_fold = np.count_nonzero(large) + (not large.all())
        fold = np.where(large, np.cumsum(large) - 1, n_fold - 1)
    else:
        n_fold, fold, held = k, np.zeros(n_group, dtype=np.int64), np.zeros(max(k, 1), dtype=np.int64)
        for one in np.argsort(-size, kind="stable"):
            fold[one] = np.argmin(held)
            held[fold[one]] += size[one]
    if not 2 <= n_fold <= n_group:
        raise ValueError(f"folds must number between 2 and {n_group}, the number of groups: found {n_fold}")
    return fold[number].astype(np.int64)


def bootstrap_rows(n, n_models=20, seed=0):
    """Draw bootstrap samples of n rows with replacement, one for each model.

    Parameters
    ----------
    n : int
        Number of rows (one row per star).
    n_models : int, optional
        Number of samples (Ho et al. 2017 use 20).
    seed : int
        Of the random draws. Model i has a stream of its own, so it stays the same when models are added.

    Returns
    -------
    rows : (n_models, n) int64
        Row numbers of each sample, ascending.

    Raises
    ------
    ValueError
        If n or n_models is below 1.
    """
    if n < 1 or n_models < 1:
        raise ValueError(f"a bootstrap needs at least one row and one model: found {n} and {n_models}")
    return np.sort(
        [np.random.default_rng([seed, model]).integers(0, n, n) for model in range(n_models)], axis=1
    )


def _numbered(star):
    star = np.asarray(star)
    if star.ndim != 1:
        raise ValueError(f"star must be one-dimensional: found shape {star.shape}")
    names, number = np.unique(star, return_inverse=True)
    return number, len(names)


def divide(snr, train_snr, test_snr):
    """Which stars are to be trained on, and why the others are not (Ting et al. 2017: S/N above 200, and 30 to 200).

    Parameters
    ----------
    snr : (n,) array
    train_snr : float
        Stars above it are trained on.
    test_snr : (float, float)
        Of the others, those in this range, limits included, are test stars.

    Returns
    -------
    train : (n,) bool
    reason : (n,) str
    """
    train = snr > train_snr
    test = ~train & (snr >= test_snr[0]) & (snr <= test_snr[1])
    return train, np.select([train, test], ["", TEST], UNUSED).astype("U64")


def clip_reason(n_sigma):
    """Why stars that a model does not give back are not trained on."""
    return f"differs from the model by more than {n_sigma:g} times the scatter"
