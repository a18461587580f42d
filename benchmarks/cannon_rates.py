"""Rates of The Cannon's two steps on mock spectra, beside the machine's matrix-product rate.

    python benchmarks/cannon_rates.py [--stars 2000] [--survey 8192] [--threads 1] [--peer]

Training is given per star and pixel, labelling per star with seven starts.  A floor is the time that the one
unavoidable matrix product takes at the measured rate.  ``--peer`` also times TheCannon 0.7.3 (test
requirements) on a part of the same spectra, one thread.
"""

import argparse
import resource
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from labeltransfer.models.cannon import label, spread_starts, train
from labeltransfer.models.vectorize import polynomial, vectorize

NAMES = ("teff", "logg", "fe_h", "alpha_m", "a_k")
N_PIX = 3626
REPEATS = 3


def mock_survey(n_star, rng):
    """Normalised flux and ivar (float32) and labels of stars with a quadratic nature, S/N about 50, 3 % masked."""
    terms = polynomial(5, 2)
    x = rng.standard_normal((n_star, 5))
    theta = rng.standard_normal((N_PIX, 21)) * np.r_[1, np.full(5, 0.01), np.full(15, 0.0015)]
    theta[:, 0] = 1 + 0.05 * theta[:, 0]
    scatter = rng.uniform(0.004, 0.008, N_PIX)
    flux, ivar = np.empty((n_star, N_PIX), np.float32), np.empty((n_star, N_PIX), np.float32)
    for first in range(0, n_star, 1024):
        rows = slice(first, min(first + 1024, n_star))
        size = rows.stop - first
        sigma = 0.02 * np.exp(0.2 * rng.standard_normal((size, 1)) + 0.1 * rng.standard_normal((1, N_PIX)))
        noise = np.hypot(sigma, scatter) * rng.standard_normal((size, N_PIX))
        flux[rows] = vectorize(x[rows], terms) @ theta.T + noise
        ivar[rows] = np.where(rng.random((size, N_PIX)) < 0.03, 0, sigma**-2)
    labels = np.array([4800, 2.5, -0.2, 0.1, 0.1]) + np.array([350, 0.8, 0.3, 0.08, 0.08]) * x
    return flux, ivar, labels, scatter


def median_time(function):
    """Median wall-clock time of a few calls, and the last result."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return float(np.median(times)), result


def gemm_rate(threads):
    """Floating-point operations per second of a double-precision matrix product."""
    a = np.ones((2048, 2048))
    with threadpool_limits(limits=threads, user_api="blas"):
        seconds, _ = median_time(lambda: a @ a)
    return 2 * 2048**3 / seconds


def peer_rates(flux, ivar, labels, starts):
    """Seconds per star and pixel to train TheCannon on 40 pixels, per star to label 8 with every start."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from TheCannon.infer_labels import _infer_labels
        from TheCannon.train_model import _train_model
    part = slice(0, N_PIX, N_PIX // 40)
    dataset = SimpleNamespace(
        get_plotting_labels=lambda: list(NAMES),
        tr_label=labels,
        tr_flux=flux[:, part].astype(float),
        tr_ivar=ivar[:, part].astype(float),
        wl=np.arange(len(range(*part.indices(N_PIX)))),
    )
    start = time.perf_counter()
    _, _, _, pivots, scales = _train_model(dataset)
    training = (time.perf_counter() - start) / dataset.tr_flux.size
    model = train(flux, ivar, labels, label_names=NAMES)
    x_change = scales / model.scale
    terms = model.terms
    # its model in our coefficients: only the time matters, so the same quadratic with its own scales will do
    peer_model = SimpleNamespace(
        coeffs=model.theta * np.prod(x_change**terms.exponents, axis=1),
        scatters=model.scatter,
        pivots=model.pivot,
        scales=scales,
    )
    dataset.test_flux, dataset.test_ivar = flux[:8].astype(float), ivar[:8].astype(float)
    dataset.set_test_label_vals = lambda values: None
    start = time.perf_counter()
    for guess in (starts - model.pivot) / scales:
        _infer_labels(peer_model, dataset, starting_guess=guess)
    return training, (time.perf_counter() - start) / 8


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stars", type=int, default=2000, help="reference stars to train on")
    parser.add_argument("--survey", type=int, default=8192, help="stars to label")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peer", action="store_true", help="time TheCannon 0.7.3 too")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    n_star, threads = options.stars, options.threads
    flux, ivar, labels, scatter = mock_survey(max(n_star, options.survey), rng)
    reference = flux[:n_star], ivar[:n_star], labels[:n_star]
    starts = spread_starts(labels[:n_star])
    small = train(flux[:60], ivar[:60], labels[:60], label_names=NAMES)  # compiles
    label(flux[:2], ivar[:2], small, starts=starts)

    rate = gemm_rate(threads)
    print(f"double-precision matrix products, {threads} thread(s): {rate / 1e9:.1f} GFLOP/s")
    seconds, model = median_time(lambda: train(*reference, label_names=NAMES, threads=threads))
    work = n_star * N_PIX
    floor = 2 * 231 * work / rate
    print(
        f"train {n_star} x {N_PIX}, exact scatter: {seconds:.2f} s = {seconds / work * 1e9:.0f} ns per star-pixel, "
        f"{seconds / floor:.1f} times the floor; scatter / true {np.median(model.scatter / scatter):.3f}, "
        f"{np.mean(model.status == 0):.1%} of the pixels converged"
    )
    survey = flux[: options.survey], ivar[: options.survey]
    for dtype in (np.float64, np.float32):
        per_star, found = median_time(
            lambda d=dtype: label(*survey, model, starts=starts, threads=threads, dtype=d)
        )
        per_star /= options.survey
        floor = 2 * (210 + 20 + 20) * N_PIX / rate
        z = (found.labels - labels[: options.survey]) / np.sqrt(np.einsum("nkk->nk", found.covariance))
        print(
            f"label, {len(starts)} starts, {np.dtype(dtype).name}: {per_star * 1e3:.3f} ms per star = "
            f"{1 / per_star:.0f} stars/s, {per_star / floor:.1f} times the float64 floor; 444,228 stars in "
            f"{444228 * per_star:.0f} s; {found.converged.mean():.2%} converged, z-scores {z.std():.2f}"
        )
        if dtype is np.float64:
            best = per_star
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")
    if options.peer:
        training, labelling = peer_rates(*reference, starts)
        print(
            f"TheCannon: train {training * 1e9:.0f} ns per star-pixel, {training * work / seconds:.0f} times ours; "
            f"label {labelling * 1e3:.1f} ms per star, {labelling / best:.0f} times ours"
        )


if __name__ == "__main__":
    main()
