"""Rates of the per-pixel networks at the size of Ting et al. 2017, and plain Adam on the same loss.

    python benchmarks/network_rates.py [--pixels 16] [--stars 256] [--threads 1] [--adam 2000] [--converge]

500 mock stars of 16 labels, 100 hidden nodes, the gradient prior at D_scale = 10: some of the 3,626 pixels
are trained and the time is scaled to all of them.  Labelling is measured with all pixels and seven starts.
Both are given as wall-clock time and as CPU time, which other work on the machine disturbs less.  Adam
minimises the same loss of the same pixels, full batches in float32, from the same kind of start;
``--converge`` also trains with 100 iterations to show where the optimum is.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from labeltransfer.models.cannon import spread_starts
from labeltransfer.models.network import NetworkModel, label_network, predict_network, train_network

N_PIX, N_LABEL, HIDDEN = 3626, 16, 100
NAMES = tuple(f"label_{k}" for k in range(N_LABEL))
STEPS = np.full(N_LABEL, 0.7)
FLOOR, RIDGE = 1e-4, 1e-2
CORES = 2


def mock_labels(n_star, rng):
    """Labels in units of their scatter, correlated as abundances are."""
    return rng.standard_normal((n_star, N_LABEL)) @ np.linalg.cholesky(0.3 * np.eye(N_LABEL) + 0.7).T


def mock_training(n_pix, rng, n_star=500, snr=250.0):
    """Saturating, blended lines of a few labels per pixel, and gradients from a theory that is 12 % off."""
    labels = mock_labels(n_star, rng)
    strength = rng.exponential(0.04, (n_pix, N_LABEL)) * (rng.random((n_pix, N_LABEL)) < 0.25)

    def flux_of(x):
        depth = sum(np.outer(np.exp(0.25 * x[:, k]), strength[:, k]) for k in range(N_LABEL))
        return 1 - 0.6 * depth / (1 + 2 * depth)

    point = np.zeros(N_LABEL)
    gradient = 0.5 * (flux_of(point + np.diag(STEPS)) - flux_of(point - np.diag(STEPS)))
    gradient = gradient * (1 + 0.12 * rng.standard_normal(gradient.shape))
    sigma = np.exp(0.2 * rng.standard_normal((n_star, 1))) / snr * np.ones(n_pix)
    flux = flux_of(labels) + sigma * rng.standard_normal((n_star, n_pix))
    return flux, sigma**-2, labels, gradient, point


def mock_survey(n_star, rng, noise=0.02):
    """Stars that a full-size model of random networks describes, S/N 50."""
    change = np.zeros((N_PIX, N_LABEL))
    for k in range(N_LABEL):
        lines = rng.integers(0, N_PIX, 300)
        change[lines, k] = rng.exponential(0.01, 300) * rng.choice([-1, 1], 300)
    W = 0.25 * rng.standard_normal((N_PIX, HIDDEN, N_LABEL))
    c = rng.standard_normal((N_PIX, HIDDEN))
    w = np.einsum("pk,phk->ph", change, W) * 16 / HIDDEN
    zero = np.zeros(N_PIX)
    model = NetworkModel(
        NAMES, np.zeros(N_LABEL), np.ones(N_LABEL), W, c, w, 1 - w.sum(axis=1) / 2, zero + 0.003, zero, zero,
        zero.astype(int), zero.astype(np.int8), RIDGE, 0.0, 10.0, FLOOR, "rel_l2",
    )  # fmt: skip
    labels = mock_labels(n_star, rng)
    flux = predict_network(model, labels)
    flux += np.hypot(noise, 0.003) * rng.standard_normal(flux.shape)
    return flux.astype(np.float32), np.full(flux.shape, noise**-2, np.float32), labels, model


class Loss:
    """Eq. 2 with the relative prior and the ridge, of C pixels at once, and its slope; plain numpy."""

    def __init__(self, flux, ivar, labels, gradient, point, dtype):
        pivot, scale = labels.mean(axis=0), labels.std(axis=0)
        mean = (ivar * flux).sum(axis=0) / ivar.sum(axis=0)
        self.unit = np.sqrt((ivar * (flux - mean) ** 2).sum(axis=0) / ivar.sum(axis=0))
        self.mean, self.dtype = mean, dtype
        ends = np.vstack([point + np.diag(STEPS), point - np.diag(STEPS)])
        self.x = ((np.vstack([labels, ends]) - pivot) / scale).astype(dtype)
        self.n = len(labels)
        self.y = ((flux - mean) / self.unit).T.astype(dtype)
        self.w = (ivar * self.unit**2 / self.n).T.astype(dtype)
        self.t = (gradient / self.unit).T.astype(dtype)
        self.tau = (10.0 / N_LABEL * (self.unit / np.maximum(np.abs(gradient), FLOOR)) ** 2).T.astype(dtype)

    def __call__(self, q, slope=True):
        W, c, w, b = q
        nodes = 0.5 + 0.5 * np.tanh(0.5 * (self.x @ W + c[:, None, :]))
        f = (nodes @ w[:, :, None])[:, :, 0] + b
        r = f[:, : self.n] - self.y
        e = 0.5 * (f[:, self.n : self.n + N_LABEL] - f[:, self.n + N_LABEL :]) - self.t
        ridge = sum((part**2).reshape(len(b), -1).sum(axis=1) for part in (W, c, w))
        loss = (self.w * r * r).sum(axis=1) + (self.tau * e * e).sum(axis=1) + RIDGE * ridge
        if not slope:
            return loss
        back = np.concatenate([2 * self.w * r, self.tau * e, -self.tau * e], axis=1)
        z = nodes * (1 - nodes) * w[:, None, :] * back[:, :, None]
        slopes = (
            self.x.T @ z + 2 * RIDGE * W,
            z.sum(axis=1) + 2 * RIDGE * c,
            (back[:, None, :] @ nodes)[:, 0] + 2 * RIDGE * w,
            back.sum(axis=1, keepdims=True),
        )
        return loss, slopes

    def of_model(self, model):
        """The loss of a trained model, in float64."""
        q = (
            model.W.transpose(0, 2, 1),
            model.c,
            model.w / self.unit[:, None],
            ((model.b - self.mean) / self.unit)[:, None],
        )
        return self(q, slope=False)


def adam(loss, n_steps, rng, rates=(1e-2, 1e-4)):
    """Plain Adam with a rate that falls geometrically; the networks it ends with."""
    n = len(loss.y)
    shapes = ((n, N_LABEL, HIDDEN), (n, HIDDEN), (n, HIDDEN), (n, 1))
    spread = (0.5 / np.sqrt(N_LABEL), 0.5, 0.1, 0.0)
    q = [(s * rng.standard_normal(shape)).astype(loss.dtype) for s, shape in zip(spread, shapes, strict=True)]
    first, second = [np.zeros_like(part) for part in q], [np.zeros_like(part) for part in q]
    for step in range(1, n_steps + 1):
        rate = rates[0] * (rates[1] / rates[0]) ** (step / n_steps)
        _, slopes = loss(q)
        for part, slope, m, v in zip(q, slopes, first, second, strict=True):
            m += 0.1 * (slope - m)
            v += 0.001 * (slope * slope - v)
            part -= (rate / (1 - 0.9**step)) * m / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return [part.astype(float) for part in q]


def timed(function):
    """Wall-clock time, CPU time and the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def report(what, wall, cpu, n_pix, loss):
    minutes = cpu / n_pix * N_PIX / CORES / 60
    print(
        f"{what}: {wall / n_pix:.3f} s, {cpu / n_pix:.3f} CPU-s per pixel; {N_PIX} pixels in {minutes:.1f} "
        f"CPU-minutes on each of {CORES} cores; mean loss {loss.mean():.5f}, worst {loss.max():.3f}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=16, help="pixels to train")
    parser.add_argument("--stars", type=int, default=256, help="stars to label")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--adam", type=int, default=2000, help="steps of Adam, 0 for none")
    parser.add_argument("--converge", action="store_true", help="train with 100 iterations too")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    flux, ivar, labels, gradient, point = mock_training(options.pixels, rng)
    settings = {
        "label_names": NAMES,
        "gradient": gradient,
        "steps": STEPS,
        "reference_point": point,
        "ridge": RIDGE,
        "floor": FLOOR,
        "threads": options.threads,
    }
    exact = Loss(flux, ivar, labels, gradient, point, np.float64)
    for n_iterations in (15, 100) if options.converge else (15,):
        wall, cpu, model = timed(
            lambda n=n_iterations: train_network(flux, ivar, labels, n_iterations=n, **settings)
        )
        report(f"dual LM, {n_iterations} iterations", wall, cpu, options.pixels, exact.of_model(model))
    if options.adam:
        single = Loss(flux, ivar, labels, gradient, point, np.float32)
        with threadpool_limits(limits=1, user_api="blas"):
            wall, cpu, q = timed(lambda: adam(single, options.adam, rng))
        report(f"Adam, {options.adam} steps", wall, cpu, options.pixels, exact(q, slope=False))
    if options.stars:
        flux, ivar, labels, model = mock_survey(options.stars, rng)
        starts = spread_starts(mock_labels(500, rng), 7)
        label_network(flux[:2], ivar[:2], model, starts=starts)  # compiles
        wall, cpu, found = timed(
            lambda: label_network(flux, ivar, model, starts=starts, threads=options.threads)
        )
        z = (found.labels - labels) / np.sqrt(np.einsum("nkk->nk", found.covariance))
        print(
            f"label {options.stars} stars, {len(starts)} starts: {options.stars / wall:.0f} stars/s; "
            f"{cpu / options.stars * 1e3:.1f} CPU-ms per star, {CORES * options.stars / cpu:.0f} stars per "
            f"CPU-second of {CORES} cores; {found.converged.mean():.1%} converged, z {z.std():.2f}"
        )


if __name__ == "__main__":
    main()
