"""Held-out labels of the reference stars of Ness et al. 2015, by this project and by TheCannon, on the same folds.

    python benchmarks/ness2015.py SPECTRA LABELS               giants, five folds, orders 1 to 3; prints a table
    python benchmarks/ness2015.py SPECTRA LABELS --clusters    each cluster held out as a whole
    python benchmarks/ness2015.py SPECTRA LABELS --width 50    Eq. 1 instead of the survey's own normalisation

SPECTRA is the folder of aspcapStar files and LABELS the table reference_labels.csv of the package TheCannon 0.3.0. The
peer, TheCannon 0.7.3, takes part where Python has it (`requirements-thecannon.txt`); it knows order 2 alone. Times are
CPU seconds of one thread, means over the folds.
"""

import argparse
import contextlib
import io
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

import numpy as np
import pandas as pd
from measure import timed
from threadpoolctl import threadpool_limits

from labeltransfer.catalogs.splits import group_folds, k_folds
from labeltransfer.models.cannon import train
from labeltransfer.models.starts import spread_starts
from labeltransfer.spectra.defaults import default_settings
from labeltransfer.spectra.prepare import gridded_from, prepared
from labeltransfer.surveys.apogee_spectra import read_spectrum
from labeltransfer.surveys.ness2015 import read_ness_labels
from labeltransfer.validation.statistics import comparison

#: APOGEE's own pixels.
GRID = {"lower": 15100.0, "upper": 17000.0, "log_start": 4.179, "step": 6.0e-6}
PREPARATION = {"interpolation": "linear", "windows": [], "min_good_fraction": 0.4}


def spectra(folder, stars, width):
    """Flux and ivar (n, p) of stars: as the survey normalised them, or by Eq. 1 with a width [Angstrom]."""
    readers = [partial(read_spectrum, Path(folder) / file) for file in stars["file"]]
    settings = default_settings(GRID, {**PREPARATION, "normalisation": {"width": width or 50.0}})
    raw = gridded_from(readers, settings)
    if raw.reasons:
        raise SystemExit(f"cannot be prepared: {raw.reasons}")
    if width is None:
        return np.where(raw.ivar > 0, raw.flux, 1.0).astype(np.float32), raw.ivar.astype(np.float32)
    flux, ivar, _, rejected = prepared(list(stars["reference_id"]), raw, settings)
    if rejected:
        raise SystemExit(f"cannot be prepared: {rejected}")
    return flux, ivar


def ours(order, n_start, names):
    """Functions that train on and label spectra."""

    def label(model, flux, ivar, labels):
        found = model.label(flux, ivar, starts=spread_starts(labels, n_start))
        return found.labels, found.converged

    return lambda flux, ivar, labels: train(flux, ivar, labels, label_names=names, order=order), label


def peer(n_start):
    """The same of TheCannon; None where it is not installed."""
    try:
        import peer_thecannon
    except ImportError:
        return None

    def train_peer(flux, ivar, labels):
        with contextlib.redirect_stdout(io.StringIO()):
            return peer_thecannon.train_arrays(flux.astype(float), ivar.astype(float), labels)

    def label(model, flux, ivar, labels):
        with contextlib.redirect_stdout(io.StringIO()):
            found = peer_thecannon.label(flux, ivar, model, spread_starts(labels, n_start))["labels"]
        return found, (found > -9000).all(axis=1)

    return train_peer, label


def held_out(data, labels, fold, functions):
    """Labels (n, k) of stars whose fold a model had not seen, which converged, and seconds of both steps per fold."""
    train_one, label_some = functions
    found, converged, seconds = np.full(labels.shape, np.nan), np.zeros(len(labels), dtype=bool), []
    for number in range(fold.max() + 1):
        test = fold == number
        others = [one[~test] for one in (*data, labels)]
        _, train_cpu, model = timed(partial(train_one, *others))
        _, label_cpu, answer = timed(partial(label_some, model, *(one[test] for one in data), others[-1]))
        found[test], converged[test] = answer
        seconds.append((train_cpu, label_cpu))
    return found, converged, np.mean(seconds, axis=0)


def rows_of(code, order, names, labels, results):
    """Rows of the table for one code and order."""
    found, converged, seconds = results
    for k, name in enumerate(names):
        about = comparison(found[:, k], labels[:, k], converged)
        yield {
            "code": code, "order": order, "label": name, "n": about.n, "std": about.scatter,
            "robust": about.robust_scatter, "bias": about.bias, "median": about.median, "clipped": about.n_clipped,
            "train_s": seconds[0], "label_s": seconds[1],
        }  # fmt: skip


def main(arguments):
    stars, _ = read_ness_labels(arguments.labels)
    stars = stars if arguments.dwarfs else stars[~stars["dwarf"]]
    names = tuple(arguments.names)
    data = [one[:, :: arguments.every] for one in spectra(arguments.spectra, stars, arguments.width)]
    labels = np.column_stack([stars[name] for name in names]).astype(float)
    clusters = stars["cluster"]
    fold = group_folds(clusters) if arguments.clusters else k_folds(stars["reference_id"], arguments.folds)
    print(f"{len(stars)} stars, {fold.max() + 1} folds, {data[0].shape[1]} pixels")
    few = [one[:, ::32] for one in data]  # the first call compiles
    held_out(few, labels, k_folds(np.arange(len(labels)), 2), ours(1, 1, names))
    codes = [("ours", order, ours(order, arguments.starts, names)) for order in arguments.orders]
    other = peer(arguments.starts) if arguments.peer else None
    codes += [("TheCannon 0.7.3", 2, other)] if other else []
    rows = []
    for code, order, functions in codes:
        rows += rows_of(code, order, names, labels, held_out(data, labels, fold, functions))
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.4g}".format))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("spectra", type=Path, help="folder of aspcapStar files")
    parser.add_argument("labels", type=Path, help="reference_labels.csv")
    parser.add_argument("--names", nargs="+", default=["teff", "logg", "m_h"], help="columns that are labels")
    parser.add_argument("--orders", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--clusters", action="store_true", help="hold out one cluster after the other")
    parser.add_argument("--dwarfs", action="store_true", help="with the Pleiades")
    parser.add_argument(
        "--width", type=float, help="of Eq. 1 [Angstrom]; without, the survey's normalisation"
    )
    parser.add_argument("--every", type=int, default=1, help="only every so many pixels")
    parser.add_argument("--starts", type=int, default=1, help="starting points of the fits, of both codes")
    parser.add_argument("--no-peer", dest="peer", action="store_false")
    with threadpool_limits(limits=1):
        main(parser.parse_args())
