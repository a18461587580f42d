"""Networks of Ting et al. 2017 on real giants: held-out labels, beside polynomials', and gradients against theory.

    python benchmarks/network_real.py SPECTRA LABELS                giants of MILES, five folds; prints two tables
    python benchmarks/network_real.py SPECTRA LABELS --train 60     with so many training stars in each fold
    python benchmarks/network_real.py SPECTRA LABELS --lamost       giants of LAMOST with LASP's labels

SPECTRA and LABELS are the folder and MILES_params.db of the package sdss-mangadap 4.5.0, or a folder of LAMOST spectra
and a folder of tables with columns obsid, teff, logg, feh, snrg. All methods have the same stars, folds and pixels.
Nodes and ridge of the networks are chosen in each fold, by how well networks predict the spectra of training stars that
they have not seen; D_scale is not chosen: each is a method. No error of a label is known.
"""

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

import numpy as np
import pandas as pd
from measure import timed
from threadpoolctl import threadpool_limits

from labeltransfer.catalogs.splits import k_folds
from labeltransfer.models.cannon import train
from labeltransfer.models.network import (
    GradientPrior,
    NetworkOptions,
    RidgeTrial,
    choose_ridge,
    train_network,
)
from labeltransfer.models.priors import gradient_spectra, reference_labels
from labeltransfer.spectra.defaults import default_settings
from labeltransfer.spectra.frame import mean_smoothing
from labeltransfer.spectra.prepare import prepare
from labeltransfer.surveys.lamost import read_spectrum
from labeltransfer.surveys.libraries import read_miles_labels
from labeltransfer.synthesis.model_spectra import ELEMENTS, read_model_spectra
from labeltransfer.validation.gradient_correlation import gradient_correlation
from labeltransfer.validation.held_out import held_out_labels
from labeltransfer.validation.statistics import comparison, robust_scatter

NAMES = ("teff", "logg", "fe_h")
STEPS = np.array([200.0, 0.5, 0.2])
REFERENCES = ("g4800", "g4300", "g4800m1", "g5000")
#: What of theory stands for one step of [Fe/H].
METALS = {"all": ("m_h",), "sum": tuple(f"{element.lower()}_h" for element in ELEMENTS), "iron": ("fe_h",)}
THEORY = Path(__file__).resolve().parents[1] / "resources" / "ab_initio" / "spectra_r1800.fits"
MILES_GRID = {"lower": 3905.0, "upper": 7350.0, "log_start": 3.5682, "step": 1.0e-4}
N_BOOTSTRAP, METAL_POOR = 1000, -1.0


class Stars(NamedTuple):
    """Prepared spectra (n, p) of stars with labels (n, 3), and how they were prepared."""

    name: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    labels: np.ndarray
    settings: object


def giants(labels):
    """Which rows of labels (n, 3) are of giants that theory's reference points are among."""
    teff, logg, _ = labels.T
    return np.isfinite(labels).all(axis=1) & (teff > 3500) & (teff < 6000) & (logg < 3.5)


def miles(folder, table, assumed_snr):
    """Names, files, labels and preparation of MILES."""
    stars, _ = read_miles_labels(table)
    files = {path.stem[-5:-1]: path for path in Path(folder).glob("*.fits")}
    stars = stars[[name in files for name in stars["id"]]]
    names, labels = stars["id"].tolist(), np.column_stack([stars[name] for name in NAMES])
    preparation = {"missing_errors": assumed_snr}
    return names, [files[name] for name in names], labels, default_settings(MILES_GRID, preparation)


def lamost(folder, tables, least_snr):
    """The same of LAMOST, of spectra whose S/N in g is above a least one."""
    lasp = pd.concat([pd.read_csv(path) for path in sorted(Path(tables).glob("*.csv"))])
    lasp = lasp[lasp["snrg"] > least_snr].drop_duplicates("obsid").set_index("obsid")
    found = {read_spectrum(path).obsid: path for path in sorted(Path(folder).rglob("*.fits*"))}
    names = [obsid for obsid in lasp.index if obsid in found]
    labels = lasp.loc[names, ["teff", "logg", "feh"]].to_numpy(dtype=float)
    return [str(name) for name in names], [found[name] for name in names], labels, default_settings()


def stars_of(names, files, labels, settings, survey):
    """`Stars` that are giants and can be prepared."""
    rows = np.flatnonzero(giants(labels))
    names, files = [names[row] for row in rows], [files[row] for row in rows]
    flux, ivar, about, _ = next(prepare(names, files, settings, len(names), survey))
    row_of = dict(zip(names, rows, strict=True))
    return Stars(about["id"].data, flux, ivar, labels[[row_of[name] for name in about["id"]]], settings)


def theory(settings, ivar, pixels, metals):
    """`GradientPrior` of no strength for some pixels, normalised as spectra of a typical ivar (p,)."""
    models = read_model_spectra(THEORY)
    names = ("teff", "logg", *METALS[metals])
    steps = np.concatenate([STEPS[:2], np.full(len(METALS[metals]), STEPS[2])])
    how = settings.grid, settings.kernel, ivar, mean_smoothing(settings.interpolation)
    gradients = [gradient_spectra(models, point, names, steps, *how) for point in REFERENCES]
    three = np.array([[*one[:2], one[2:].sum(axis=0)] for one in gradients])
    points = np.array([reference_labels(models, point, NAMES) for point in REFERENCES])
    return GradientPrior(three[:, :, pixels], STEPS, points, d_scale=0.0)


def network(flux, ivar, labels, prior, arguments):
    """A network whose nodes and ridge are those that predict held-out training spectra best."""
    trial = RidgeTrial(tuple(arguments.ridges), 3, arguments.trial_pixels)
    tried = {}
    for hidden in arguments.hidden:
        options = NetworkOptions(hidden, n_iterations=arguments.iterations, seed=arguments.seed)
        choice = choose_ridge(flux, ivar, labels, NAMES, trial=trial, prior=prior, options=options)
        tried[choice.held_out.min()] = replace(options, ridge=choice.best)
    return train_network(flux, ivar, labels, NAMES, prior=prior, options=tried[min(tried)])


def methods(data, prior, arguments):
    """Functions that train on some rows of the stars, by the name of the method."""
    flux, ivar, labels = data

    def polynomial(order, rows):
        return train(flux[rows], ivar[rows], labels[rows], label_names=NAMES, order=order, scatter="reml")

    def networks(d_scale, rows):
        strong = replace(prior, d_scale=d_scale)
        return network(flux[rows], ivar[rows], labels[rows], strong, arguments)

    found = {f"order {order}": partial(polynomial, order) for order in arguments.orders}
    return found | {f"D_scale {d_scale:g}": partial(networks, d_scale) for d_scale in arguments.d_scales}


def held_out(data, fold, train_one, n_train, seed):
    """`HeldOut` of all folds, each with at most so many training stars."""

    def train_some(rows):
        return train_one(np.sort(np.random.default_rng(seed).permutation(rows)[:n_train]))

    tests = [fold == number for number in range(fold.max() + 1)]
    return held_out_labels(*data, tests, train_some)


def ratio_of(residual, other, rng):
    """Robust scatter of residuals over that of another method for the same stars, and its bootstrap error."""
    samples = rng.integers(0, len(residual), (N_BOOTSTRAP, len(residual)))
    ratios = [robust_scatter(residual[rows]) / robust_scatter(other[rows]) for rows in samples]
    return f"{robust_scatter(residual) / robust_scatter(other):.2f}+-{np.std(ratios):.2f}"


def label_table(found, labels, against, seed):
    """One row per label and method, of the stars for which the fits of all methods converged."""
    good = np.all([one.converged for one in found.values()], axis=0)
    residual = {method: one.labels[good] - labels[good] for method, one in found.items()}
    poor, rows = labels[good, 2] < METAL_POOR, []
    for k, name in enumerate(NAMES):
        for method, all_labels in residual.items():
            mine = all_labels[:, k]
            about, among_poor = (comparison(some, np.zeros(len(some))) for some in (mine, mine[poor]))
            row = {
                "label": name, "method": method, "failed": np.count_nonzero(~found[method].converged), "n": about.n,
                "robust": about.robust_scatter, "median": about.median, "clipped": about.clipped_scatter,
                "mean": about.clipped_bias, "beyond": about.n_clipped, "poor": among_poor.robust_scatter,
                "poor_median": among_poor.median,
            }  # fmt: skip
            rng = np.random.default_rng(seed)
            rows.append(row | {f"/{one}": ratio_of(mine, residual[one][:, k], rng) for one in against})
    return pd.DataFrame(rows)


def gradient_table(found, prior):
    """Correlation with theory by label and method at each reference point: the mean over the folds."""
    rows = []
    for method, one in found.items():
        correlation = [
            [gradient_correlation(model.gradients(point, STEPS), gradient) for model in one.models]
            for point, gradient in zip(prior.points, prior.gradient, strict=True)
        ]
        for k, name in enumerate(NAMES):
            at = np.mean(correlation, axis=1)[:, k]
            rows.append({"label": name, "method": method, **dict(zip(REFERENCES, at, strict=True))})
    return pd.DataFrame(rows).sort_values("label", kind="stable")


def main(arguments):
    if arguments.lamost:
        stars = stars_of(*lamost(arguments.spectra, arguments.labels, 20.0), "lamost")
    else:
        stars = stars_of(*miles(arguments.spectra, arguments.labels, arguments.assumed_snr), "miles")
    pixels = slice(None, None, arguments.every)
    data = stars.flux[:, pixels], stars.ivar[:, pixels], stars.labels
    prior = theory(stars.settings, np.median(stars.ivar, axis=0), pixels, arguments.metals)
    fold = k_folds(stars.name, arguments.folds, arguments.seed)
    n_poor = np.count_nonzero(stars.labels[:, 2] < METAL_POOR)
    print(
        f"{len(fold)} stars, {n_poor} with [Fe/H] < {METAL_POOR}, {arguments.folds} folds, {data[0].shape[1]} pixels"
    )
    found = {}
    for method, train_one in methods(data, prior, arguments).items():
        clock = timed(partial(held_out, data, fold, train_one, arguments.train, arguments.seed))
        found[method] = clock.result
        networks = [model for model in clock.result.models if model.kind == "network"]
        chosen = [f"{model.w.shape[1]} nodes {model.ridge:g}" for model in networks]
        print(f"{method}: {clock.cpu:.0f} CPU s", *chosen, sep=", ", flush=True)
    against = [method for method in ("order 2", "D_scale 0") if method in found]
    tables = label_table(found, stars.labels, against, arguments.seed), gradient_table(found, prior)
    for table in tables:
        print(table.to_string(index=False, float_format="{:.3g}".format))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("spectra", type=Path, help="folder of spectra")
    parser.add_argument("labels", type=Path, help="MILES_params.db; of LAMOST, a folder of CSV files")
    parser.add_argument("--lamost", action="store_true", help="LAMOST's spectra, with S/N in g above 20")
    parser.add_argument("--orders", nargs="*", type=int, default=[2, 3], help="of polynomials")
    parser.add_argument("--d-scales", nargs="*", type=float, default=[0.0, 1.0, 10.0, 100.0])
    parser.add_argument(
        "--metals", choices=METALS, default="all", help="elements that theory steps for [Fe/H]"
    )
    parser.add_argument("--hidden", nargs="+", type=int, default=[10, 30], help="nodes to choose from")
    parser.add_argument("--ridges", nargs="+", type=float, default=[1e-3, 1e-2, 1e-1, 1.0])
    parser.add_argument("--trial-pixels", type=int, default=16, help="on which nodes and ridge are chosen")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--train", type=int, help="training stars of a fold at most")
    parser.add_argument("--every", type=int, default=8, help="only every so many pixels")
    parser.add_argument("--assumed-snr", type=float, default=100.0, help="of MILES, which has no errors")
    parser.add_argument("--seed", type=int, default=0)
    with threadpool_limits(limits=1):
        main(parser.parse_args())
