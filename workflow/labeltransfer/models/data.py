"""Spectra and labels as models take them: checked, cleaned, weighted, and worked on in blocks."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits


def check_spectra(flux, ivar, n_pix=None):
    """Raise ValueError unless flux and ivar have one shape (n_star, n_pix), and that of the model if given."""
    if np.ndim(flux) != 2 or np.shape(flux) != np.shape(ivar):
        raise ValueError(
            f"flux and ivar must both be (n_star, n_pix), found shapes {np.shape(flux)} and {np.shape(ivar)}"
        )
    if n_pix is not None and np.shape(flux)[1] != n_pix:
        raise ValueError(f"spectra have {np.shape(flux)[1]} pixels but the model {n_pix}: not the same grid")


def check_training_labels(labels, label_names, n_star, needed, model):
    """Training labels as float64, once they are fit for it.

    Parameters
    ----------
    labels : (n, k) array
        Labels of the reference stars.
    label_names : sequence of k str
        For the messages.
    n_star : int
        Spectra there are.
    needed : int
        Stars that it takes to train the model.
    model : str
        What is to be trained, as the subject of a sentence.

    Returns
    -------
    (n, k) float array

    Raises
    ------
    ValueError
        For shapes that do not agree, too few stars, or labels that are not finite or do not vary.
    """
    labels = np.asarray(labels, dtype=float)
    if labels.shape != (n_star, len(label_names)):
        raise ValueError(
            f"labels must be (n_star, n_label) = ({n_star}, {len(label_names)}) for the labels "
            f"{', '.join(label_names)}, found {labels.shape}"
        )
    if n_star < needed:
        raise ValueError(
            f"{model} needs at least {needed} training stars, found {n_star}; "
            "give more reference stars, or choose a lower order or fewer labels"
        )
    for name, column in zip(label_names, labels.T, strict=True):
        bad = np.count_nonzero(~np.isfinite(column))
        if bad:
            raise ValueError(
                f"training label {name} is not finite for {bad} of {n_star} stars; drop those stars"
            )
        if np.ptp(column) == 0:
            raise ValueError(
                f"training label {name} is {column[0]} for every star: nothing can be learned of it"
            )
    return labels


def native(spectra):
    """Spectra as float32 or float64 in the machine's byte order (FITS has the other); no copy if they are."""
    spectra = np.asarray(spectra)
    plain = spectra.dtype in (np.float32, np.float64) and spectra.dtype.isnative
    return spectra if plain else spectra.astype(float)


def clean_pixels(flux, ivar, pixels):
    """Flux and ivar of some pixels of all stars as rows (pixel, star) in float64, both zero where masked.

    A pixel of a star is good if its ivar is positive and finite and its flux is finite.
    """
    f = np.array(flux[:, pixels].T, dtype=float, order="C")
    iv = np.array(ivar[:, pixels].T, dtype=float, order="C")
    bad = ~(np.isfinite(f) & np.isfinite(iv) & (iv > 0))
    f[bad] = iv[bad] = 0.0
    return f, iv


def weights(ivar, s2):
    """Weights 1 / (1 / ivar + s^2) of pixels whose model has the scatter s: zero where ivar is."""
    return ivar / (1.0 + ivar * s2)


def run_blocks(function, blocks, threads):
    """Results of every block in order; BLAS has one thread, so that bytes do not depend on ``threads``."""
    with threadpool_limits(limits=1, user_api="blas"):
        if threads == 1:
            return [function(block) for block in blocks]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(function, blocks))
