"""The per-pixel networks at the size of Ting et al. 2017, beside Adam on the same loss and scipy's fits.

    python benchmarks/network_rates.py [--full] [--pixels 512] [--adam-pixels 32] [--stars 1024]
        [--adam-steps 500 2000 8000 32000] [--processes 2] [--output results/benchmarks/network.csv]

Training: 500 mock stars of 16 labels, 100 hidden nodes, the gradient prior at D_scale = 10 and a ridge.  Our
Levenberg-Marquardt trains some of the 3,626 pixels, or with ``--full`` every one, in processes of one thread.
Adam minimises the same loss of some of these pixels: full batches of the stars, four pixels at a time so that
they stay in the cache, in float32, which is faster than float64.  Its rate falls geometrically to a
hundredth; the first rate is the best of three.  It starts from random networks: from our start, where the
output layer is solved for, it ends higher.  A rate that falls goes with a number of steps, so that each
number of steps is a run of its own; the time to our objective is interpolated between them.  What the optimum
is, Levenberg-Marquardt says with 200 iterations.

Labelling: all pixels, seven starts, covariance and chi2.  Scipy's ``least_squares`` has the analytic Jacobian
and one start, the mean of the labels.

The table has the ``value`` of each ``code``, its ``floor`` (time: matrix products of that size, at the measured
rate, for all iterations or for one evaluation of a star; objective: the optimum) and its ``ratio``, its cost
over ours.  ``n_pix`` is what was run; times for all pixels are scaled.  CPU time is that of all processes:
other work disturbs it less than the wall-clock time.
"""

import argparse
import os
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import least_squares
from threadpoolctl import threadpool_info, threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from measure import gemm_rate, timed
from summary import COLUMNS, OURS, row

from labeltransfer.files.atomic import atomic_path
from labeltransfer.models.network import (
    GradientPrior,
    NetworkModel,
    NetworkOptions,
    label_network,
    predict_network,
    train_network,
)
from labeltransfer.models.starts import spread_starts

N_PIX, N_STAR, N_LABEL, HIDDEN = 3626, 500, 16, 100
NAMES = tuple(f"label_{k}" for k in range(N_LABEL))
STEPS = np.full(N_LABEL, 0.7)
D_SCALE, FLOOR, RIDGE = 10.0, 1e-4, 1e-2
ITERATIONS, LONG = 15, 200
RATES = (3e-3, 1e-2, 3e-2)
TRAIN_PIECE, ADAM_PIECE = 16, 4


def mock_labels(n_star, rng):
    """Labels in units of their scatter, correlated as abundances are."""
    return rng.standard_normal((n_star, N_LABEL)) @ np.linalg.cholesky(0.3 * np.eye(N_LABEL) + 0.7).T


def mock_training(rng, n_pix=N_PIX, n_star=N_STAR, snr=250.0):
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
        zero.astype(int), zero.astype(np.int8), RIDGE, 0.0, D_SCALE, FLOOR, "rel_l2",
    )  # fmt: skip
    labels = mock_labels(n_star, rng)
    flux = predict_network(model, labels)
    flux += np.hypot(noise, 0.003) * rng.standard_normal(flux.shape)
    return flux.astype(np.float32), np.full(flux.shape, noise**-2, np.float32), labels, model


class Loss:
    """Eq. 2 with the relative prior and the ridge, of C pixels at once, and its slope.

    Parameters of the networks are W and c in one (C, k + 1, H) array, w (C, H, 1) and b (C, 1), in units of
    each pixel's own spread of flux; the nodes are (1 + tanh) / 2.
    """

    def __init__(self, flux, ivar, labels, gradient, point, dtype):
        pivot, scale = labels.mean(axis=0), labels.std(axis=0)
        mean = (ivar * flux).sum(axis=0) / ivar.sum(axis=0)
        self.unit = np.sqrt((ivar * (flux - mean) ** 2).sum(axis=0) / ivar.sum(axis=0))
        self.mean, self.dtype, self.n = mean, np.dtype(dtype).type, len(labels)
        ends = np.vstack([point + np.diag(STEPS), point - np.diag(STEPS)])
        x = (np.vstack([labels, ends]) - pivot) / scale
        self.x = np.column_stack([x, np.ones(len(x))]).astype(dtype)
        self.half = self.x / self.dtype(2)
        self.y = ((flux - mean) / self.unit).T.astype(dtype)
        self.w = (ivar * self.unit**2 / self.n).T.astype(dtype)
        self.t = (gradient / self.unit).T.astype(dtype)
        scaled = self.unit / np.maximum(np.abs(gradient), FLOOR)
        self.tau = (D_SCALE / N_LABEL * scaled**2).T.astype(dtype)
        self.nodes = np.empty((len(self.y), len(self.x), HIDDEN), dtype)
        self.work = np.empty_like(self.nodes)

    def __call__(self, inner, w, b):
        """Loss of each pixel, and the slopes by the three arrays."""
        nodes, work, n = self.nodes, self.work, self.n
        np.matmul(self.half, inner, out=nodes)
        np.tanh(nodes, out=nodes)
        f = 0.5 * np.matmul(nodes, w)[:, :, 0] + (b + 0.5 * w.sum(axis=1))
        r = f[:, :n] - self.y
        e = 0.5 * (f[:, n : n + N_LABEL] - f[:, n + N_LABEL :]) - self.t
        wr, te = self.w * r, self.tau * e
        ridge = RIDGE * ((inner * inner).sum(axis=(1, 2)) + (w * w).sum(axis=(1, 2)))
        back = np.concatenate([2 * wr, te, -te], axis=1)
        np.multiply(nodes, nodes, out=work)
        np.subtract(self.dtype(1), work, out=work)
        work *= (back / 4)[:, :, None]
        slopes = (
            np.matmul(self.x.T, work) * w.transpose(0, 2, 1) + 2 * RIDGE * inner,
            0.5 * (np.matmul(nodes.transpose(0, 2, 1), back[:, :, None]) + back.sum(axis=1)[:, None, None])
            + 2 * RIDGE * w,
            back.sum(axis=1, keepdims=True),
        )
        return (wr * r).sum(axis=1) + (te * e).sum(axis=1) + ridge, slopes


def loss_of(model, *data):
    """The loss of the networks of a trained model, in float64."""
    loss = Loss(*data, np.float64)
    inner = np.concatenate([model.W.transpose(0, 2, 1), model.c[:, None]], axis=1)
    return loss(
        inner, (model.w / loss.unit[:, None])[:, :, None], ((model.b - loss.mean) / loss.unit)[:, None]
    )[0]


def adam(loss, n_steps, rate, seed):
    """Plain Adam; the networks that it ends with."""
    rng, n, dtype = np.random.default_rng(seed), len(loss.y), loss.dtype
    inner = 0.5 * rng.standard_normal((n, N_LABEL + 1, HIDDEN))
    inner[:, :N_LABEL] /= np.sqrt(N_LABEL)
    parts = [inner, 0.1 * rng.standard_normal((n, HIDDEN, 1)), np.zeros((n, 1))]
    parts = [part.astype(dtype) for part in parts]
    first, second = [np.zeros_like(part) for part in parts], [np.zeros_like(part) for part in parts]
    for step in range(1, n_steps + 1):
        now = dtype(rate * 0.01 ** (step / n_steps) / (1 - 0.9**step))
        unbias = dtype(1 / (1 - 0.999**step))
        _, slopes = loss(*parts)
        for part, slope, m, v in zip(parts, slopes, first, second, strict=True):
            m += dtype(0.1) * (slope - m)
            v += dtype(0.001) * (slope * slope - v)
            part -= now * m / (np.sqrt(v * unbias) + dtype(1e-8))
    return [part.astype(float) for part in parts]


# --------------------------------------------------------------- what the processes do, with one BLAS thread each


def train_piece(flux, ivar, labels, gradient, point, n_iterations, first_pixel):
    """Loss of each of some pixels that Levenberg-Marquardt has trained."""
    model = train_network(
        flux,
        ivar,
        labels,
        NAMES,
        prior=GradientPrior(gradient[None], STEPS, point[None], D_SCALE, floor=FLOOR),
        options=NetworkOptions(ridge=RIDGE, n_iterations=n_iterations, first_pixel=first_pixel),
    )
    return model, (flux, ivar, labels, gradient, point)


def adam_piece(flux, ivar, labels, gradient, point, n_steps, rate, seed):
    """Networks of some pixels that Adam has trained."""
    data = flux, ivar, labels, gradient, point
    return adam(Loss(*data, np.float32), n_steps, rate, seed), data


def label_piece(flux, ivar, model, starts):
    """Labels of some stars."""
    return label_network(flux, ivar, model, starts=starts)


def warm_up():
    """Load compiled code, and keep to one thread."""
    threadpool_limits(1)
    rng = np.random.default_rng(0)
    train_piece(*mock_training(rng, 2), 1, 0)
    flux, ivar, labels, model = mock_survey(2, rng)
    label_network(flux, ivar, model, starts=labels)


def clocked(task):
    """Result of a function, when it started and ended, and the CPU time that it took."""
    function, arguments = task
    start, cpu = time.time(), time.process_time()
    result = function(*arguments)
    return result, start, time.time(), time.process_time() - cpu


def spread(pool, function, pieces):
    """Results of all pieces, CPU time, and the wall-clock time from the first start to the last end."""
    results, start, end, cpu = zip(
        *pool.map(clocked, [(function, piece) for piece in pieces], 1), strict=True
    )
    return results, sum(cpu), max(end) - min(start)


# ------------------------------------------------------------------------------------------------ measurements


def pieces_of(data, pixels, size, *rest):
    """Arguments for some pixels at a time."""
    flux, ivar, labels, gradient, point = data
    for first in range(0, len(pixels), size):
        some = pixels[first : first + size]
        yield flux[:, some], ivar[:, some], labels, gradient[:, some], point, *rest, int(some[0])


def training_rows(pool, options, rates):
    """Time and objective of Levenberg-Marquardt and of Adam."""
    data = mock_training(np.random.default_rng(1))
    few = np.unique(np.linspace(0, N_PIX - 1, options.adam_pixels).astype(int))
    many = np.arange(N_PIX)
    if not options.full:
        many = np.union1d(few, np.linspace(0, N_PIX - 1, options.pixels).astype(int))
    shared, n = np.isin(many, few), len(few)

    def objective(results):
        return np.concatenate([loss_of(model, *piece) for model, piece in results])

    results, cpu, wall = spread(pool, train_piece, pieces_of(data, many, TRAIN_PIECE, ITERATIONS))
    per_pixel, loss = cpu / len(many), objective(results)
    found, long_cpu, long_wall = spread(pool, train_piece, pieces_of(data, few, ADAM_PIECE, LONG))
    optimum, ours = objective(found).mean(), loss[shared].mean()
    points = N_STAR + 2 * N_LABEL
    dual = (2 * points**2 * HIDDEN + (N_STAR + N_LABEL) ** 3 / 3) / rates[np.float64]
    each = 4 * points * (N_LABEL + 1) * HIDDEN / rates[np.float32]

    def rows_of(code, n_pix, cpu, wall, loss, least=np.nan):
        ratio = np.nan if code == OURS else cpu / n_pix / per_pixel
        scaled = N_PIX / n_pix / 60
        share, where = cpu / options.processes, f"for {N_PIX} pixels, {options.processes} processes"
        return [
            row("network training", code, N_STAR, n_pix, cpu / n_pix, "CPU-s per pixel", least, ratio),
            row("network training of all", code, N_STAR, n_pix, share * scaled, f"CPU-min each {where}"),
            row("network training wall", code, N_STAR, n_pix, wall * scaled, f"min {where}"),
            row("network objective", code, N_STAR, n, loss, "mean loss", optimum),
        ]

    rows = rows_of(OURS, len(many), cpu, wall, ours, ITERATIONS * dual)
    rows += rows_of(f"{OURS}, {LONG} iterations", n, long_cpu, long_wall, optimum)

    def run_adam(n_steps, rate):
        results, cpu, wall = spread(pool, adam_piece, pieces_of(data, few, ADAM_PIECE, n_steps, rate))
        loss = np.concatenate([Loss(*piece, np.float64)(*parts)[0] for parts, piece in results])
        return cpu, wall, loss.mean()

    scan = {rate: run_adam(options.adam_scan, rate) for rate in RATES}
    rate = min(scan, key=lambda rate: scan[rate][2])
    for tried, (_, _, mean) in scan.items():
        print(f"Adam, {options.adam_scan} steps, first rate {tried:g}: mean loss {mean:.4f}", flush=True)
    curve = []
    for n_steps in sorted(options.adam_steps):
        cpu, wall, mean = scan[rate] if n_steps == options.adam_scan else run_adam(n_steps, rate)
        curve.append((cpu / n, mean))
        rows += rows_of(f"Adam, {n_steps} steps, rate {rate:g}", n, cpu, wall, mean, n_steps * each)
    if curve:
        cost, reached = time_to(ours, *np.transpose(curve))
        unit = "CPU-s per pixel" if reached else "CPU-s per pixel, at least"
        rows.append(
            row("network training to our objective", "Adam", N_STAR, n, cost, unit, ratio=cost / per_pixel)
        )
    return rows


def time_to(objective, cost, loss):
    """Cost at which a falling curve comes down to the objective, and whether it does."""
    below = np.flatnonzero(loss <= objective)
    if not len(below):
        return cost[-1], False
    i = below[0]
    if i == 0:
        return cost[0], True
    share = (np.log(loss[i - 1]) - np.log(objective)) / (np.log(loss[i - 1]) - np.log(loss[i]))
    return float(cost[i - 1] * (cost[i] / cost[i - 1]) ** share), True


def label_rows(pool, options, rates):
    """Time of labels from all pixels, and of scipy's for a few of the same stars."""
    rng = np.random.default_rng(2)
    flux, ivar, labels, model = mock_survey(options.stars, rng)
    starts = spread_starts(mock_labels(N_STAR, rng), 7)
    size = -(-options.stars // options.processes)
    pieces = [(flux[i : i + size], ivar[i : i + size], model, starts) for i in range(0, options.stars, size)]
    results, cpu, wall = spread(pool, label_piece, pieces)
    found, errors, converged = (
        np.concatenate([value(part) for part in results])
        for value in (
            lambda part: part.labels,
            lambda part: np.sqrt(np.einsum("nkk->nk", part.covariance)),
            lambda part: part.converged,
        )
    )
    print(
        f"{options.stars} stars labelled in {options.processes} processes: {options.stars / wall:.0f} per second, "
        f"{options.processes * options.stars / cpu:.0f} per {options.processes} CPU-seconds; "
        f"{converged.mean():.1%} converged, z of width {((found - labels) / errors).std():.3f}"
    )
    with threadpool_limits(1):
        theirs = timed(lambda: [scipy_label(flux[i], ivar[i], model) for i in range(options.scipy_stars)])
    off = max((np.abs((x - found[i]) / errors[i]).max() for i, x in enumerate(theirs.result)), default=np.nan)
    floor = 2 * N_PIX * HIDDEN * (2 * N_LABEL + 2) / rates[np.float32] * 1e3
    ours, unit = cpu / options.stars * 1e3, "CPU-ms per star"
    rows = [
        row("network label", OURS, options.stars, N_PIX, ours, unit, floor),
        row("network label wall", OURS, options.stars, N_PIX, wall / options.stars * 1e3, "ms per star"),
    ]
    if options.scipy_stars:
        cost = theirs.cpu / options.scipy_stars * 1e3
        print(f"scipy's labels of {options.scipy_stars} of them differ by {off:.2g} errors at most")
        rows.append(
            row(
                "network label",
                "scipy, one start",
                options.scipy_stars,
                N_PIX,
                cost,
                unit,
                floor,
                cost / ours,
            )
        )
    return rows


def scipy_label(flux, ivar, model):
    """Labels of one star by scipy's least_squares from the mean of the labels."""
    root = 1 / np.sqrt(1 / ivar.astype(float) + model.scatter**2)

    def nodes(x):
        return np.tanh((model.W @ x + model.c) / 2)

    def residual(x):
        return root * ((model.w * (1 + nodes(x)) / 2).sum(axis=1) + model.b - flux)

    def jacobian(x):
        slope = model.w * (1 - nodes(x) ** 2) / 4
        return root[:, None] * np.matmul(slope[:, None], model.W)[:, 0]

    return least_squares(residual, model.pivot, jacobian, xtol=1e-6, ftol=1e-8).x


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="train every pixel (Adam: still --adam-pixels)")
    parser.add_argument("--pixels", type=int, default=512, help="pixels to train, spread over the grid")
    parser.add_argument("--adam-pixels", type=int, default=32, help="those that Adam trains too")
    parser.add_argument("--adam-steps", type=int, nargs="*", default=[500, 2000, 8000, 32000])
    parser.add_argument("--adam-scan", type=int, default=2000, help="steps with which its rate is chosen")
    parser.add_argument("--stars", type=int, default=1024, help="stars to label, 0 for none")
    parser.add_argument("--scipy-stars", type=int, default=4, help="stars that scipy labels too")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("results/benchmarks/network.csv"))
    options = parser.parse_args()
    rates = {dtype: gemm_rate(dtype) for dtype in (np.float32, np.float64)}
    blas = ", ".join(sorted({f"{i['internal_api']} for {i.get('architecture')}" for i in threadpool_info()}))
    print(
        f"matrix products: {rates[np.float64] / 1e9:.0f} (float64) and {rates[np.float32] / 1e9:.0f} (float32) "
        f"GFLOP/s per core ({blas}); load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
        flush=True,
    )
    with get_context("spawn").Pool(options.processes, warm_up) as pool:
        rows = training_rows(pool, options, rates)
        if options.stars:
            rows += label_rows(pool, options, rates)
    table = pd.DataFrame(rows, columns=COLUMNS)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(options.output) as temporary:
        table.to_csv(temporary, index=False)
    with pd.option_context("display.width", 250, "display.max_colwidth", 60):
        print(table.to_string(index=False, float_format="{:.4g}".format, na_rep=""))
    print(f"load {os.getloadavg()[0]:.1f}; written to {options.output}")


if __name__ == "__main__":
    main()
