"""Spectra as networks take them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits


def check_spectra(flux, ivar):
    """Raise ValueError unless both are (n_star, n_pix)."""
    if np.ndim(flux) != 2 or np.shape(flux) != np.shape(ivar):
        raise ValueError(
            f"flux and ivar must both be (n_star, n_pix), found shapes {np.shape(flux)} and {np.shape(ivar)}"
        )


def run_blocks(function, blocks, threads):
    """Results of every block in order; BLAS has one thread, so that bytes do not depend on ``threads``."""
    with threadpool_limits(limits=1, user_api="blas"):
        if threads == 1:
            return [function(block) for block in blocks]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(function, blocks))


def clean_pixels(flux, ivar, pixels):
    """Flux and ivar of some pixels as float64 (pixel, star), both zero where masked."""
    f = np.array(flux[:, pixels].T, dtype=float, order="C")
    iv = np.array(ivar[:, pixels].T, dtype=float, order="C")
    bad = ~(np.isfinite(f) & np.isfinite(iv) & (iv > 0))
    f[bad] = iv[bad] = 0.0
    return f, iv
