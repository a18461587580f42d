"""Networks of some of the pixels only: for models that are compared, and not used on survey stars."""

from dataclasses import replace

import numpy as np

from labeltransfer.models.network.model import STATUS
from labeltransfer.models.network.train import train_network


def even_pixels(n_pix, n_even):
    """Numbers of `n_even` pixels spread evenly over `n_pix`; of all if there are fewer."""
    return np.linspace(0, n_pix - 1, min(n_even, n_pix)).astype(int)


def sample_pixels(wavelength, n_even, window):
    """Evenly spread pixels, and all those of a window.

    Parameters
    ----------
    wavelength : (p,) array
        Angstrom, increasing.
    n_even : int
        How many are evenly spread over the pixels; all of them if there are fewer.
    window : (float, float)
        Range, its ends included [Angstrom].

    Returns
    -------
    (p,) bool array
    """
    wavelength = np.asarray(wavelength)
    chosen = (wavelength >= window[0]) & (wavelength <= window[1])
    chosen[even_pixels(len(wavelength), n_even)] = True
    return chosen


def train_sample(flux, ivar, labels, label_names, chosen, **how):
    """`train_network` on some of the pixels: each gets the network that it would have among all of them.

    Parameters
    ----------
    flux, ivar : (n, p) arrays
        Of all pixels.
    labels : (n, k) array
    label_names : sequence of k str
    chosen : (p,) bool array
        Pixels to train.
    **how
        Keyword arguments of `train_network`.

    Returns
    -------
    NetworkModel
        Of all pixels; those that are not chosen have the status "not trained", use no stars, and are never
        fitted nor predicted.

    Raises
    ------
    ValueError
        If the choice is not one bool per pixel, and as `train_network` does.
    """
    chosen = np.asarray(chosen)
    if chosen.dtype != bool or chosen.shape != np.shape(flux)[1:]:
        raise ValueError(
            f"chosen must be one bool per pixel, {np.shape(flux)[1:]}: found {chosen.dtype} {chosen.shape}"
        )
    model = train_network(flux, np.where(chosen, ivar, 0.0), labels, label_names, **how)
    return replace(model, status=np.where(chosen, model.status, STATUS.index("not trained")).astype(np.int8))
