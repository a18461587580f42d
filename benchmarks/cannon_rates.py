"""Rates of The Cannon's two steps on mock spectra, beside the machine's matrix-product rate.

    python benchmarks/cannon_rates.py [--stars 2000] [--survey 8192] [--threads 1] [--peer]

Training is given per star and pixel, labelling per star with seven starts, both as wall-clock time and as CPU
time, which other work on the machine disturbs less; ratios are of CPU time.  A floor is the time that the one
unavoidable matrix product takes at the measured rate.  ``--peer`` also times TheCannon 0.7.3 (test
requirements) on a part of the same spectra.
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
    """Flux, ivar (float32), labels and scatter of a quadratic nature, S/N about 50, 3 % masked."""
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
    """Median wall-clock and CPU time of a few calls, and the last result."""
    times = []
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        result = function()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    return *np.median(times, axis=0), result


def gemm_rate():
    """Floating-point operations per CPU second of a double-precision matrix product."""
    a = np.ones((2048, 2048))
    with threadpool_limits(limits=1, user_api="blas"):
        _, cpu, _ = median_time(lambda: a @ a)
    return 2 * 2048**3 / cpu


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
    start = time.process_time()
    with threadpool_limits(limits=1):
        _, _, _, _, scales = _train_model(dataset)
    training = (time.process_time() - start) / dataset.tr_flux.size
    # only the time matters now: our model in its scales is as good to label with as its own
    model = train(flux, ivar, labels, label_names=NAMES)
    peer_model = SimpleNamespace(
        coeffs=model.theta * np.prod((scales / model.scale) ** model.terms.exponents, axis=1),
        scatters=model.scatter,
        pivots=model.pivot,
        scales=scales,
    )
    dataset.test_flux, dataset.test_ivar = flux[:8].astype(float), ivar[:8].astype(float)
    dataset.set_test_label_vals = lambda values: None
    start = time.process_time()
    with threadpool_limits(limits=1):
        for guess in (starts - model.pivot) / scales:
            _infer_labels(peer_model, dataset, starting_guess=guess)
    return training, (time.process_time() - start) / 8


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

    rate = gemm_rate()
    print(f"double-precision matrix products: {rate / 1e9:.1f} GFLOP/s per core; {threads} thread(s)")
    wall, train_cpu, model = median_time(lambda: train(*reference, label_names=NAMES, threads=threads))
    work = n_star * N_PIX
    print(
        f"train {n_star} x {N_PIX}, exact scatter: {wall:.2f} s; {train_cpu / work * 1e9:.0f} CPU-ns per "
        f"star-pixel, {train_cpu * rate / (2 * 231 * work):.1f} times the floor; "
        f"scatter / true {np.median(model.scatter / scatter):.3f}, {np.mean(model.status == 0):.1%} converged"
    )
    survey, n_survey = (flux[: options.survey], ivar[: options.survey]), options.survey
    label_cpu = {}
    for dtype in (np.float32, np.float64):
        wall, cpu, found = median_time(
            lambda d=dtype: label(*survey, model, starts=starts, threads=threads, dtype=d)
        )
        label_cpu[dtype] = cpu / n_survey
        z = (found.labels - labels[:n_survey]) / np.sqrt(np.einsum("nkk->nk", found.covariance))
        print(
            f"label {n_survey}, {len(starts)} starts, {np.dtype(dtype).name}: {n_survey / wall:.0f} stars/s; "
            f"{label_cpu[dtype] * 1e3:.3f} CPU-ms per star, "
            f"{label_cpu[dtype] * rate / (2 * 250 * N_PIX):.1f} times the float64 floor; 444,228 stars "
            f"in {444228 * wall / n_survey:.0f} s; {found.converged.mean():.1%} converged, z {z.std():.2f}"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")
    if options.peer:
        training, labelling = peer_rates(*reference, starts)
        print(
            f"TheCannon: train {training * 1e9:.0f} CPU-ns per star-pixel, "
            f"{training * work / train_cpu:.0f} times ours; label {labelling * 1e3:.1f} CPU-ms per star, "
            f"{labelling / label_cpu[np.float32]:.0f} times ours "
            f"(float64: {labelling / label_cpu[np.float64]:.0f})"
        )


if __name__ == "__main__":
    main()
