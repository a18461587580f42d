"""Train and label with AnniesLasso 0.2.96 through its public class.

    python peer_annieslasso.py SPEC.json    (in the environment of requirements-annieslasso.txt)

It prints a progress bar for every pixel and star, which goes nowhere here.
"""

import contextlib
import io
import json
import logging
import sys
from pathlib import Path

import numpy as np
from measure import peak_memory, timed

logging.disable(logging.CRITICAL)
from thecannon import CannonModel  # noqa: E402 (it logs when it is imported)
from thecannon.vectorizer import PolynomialVectorizer  # noqa: E402


def new_model(labels, flux, ivar):
    names = [f"l{k}" for k in range(labels.shape[1])]
    return CannonModel(labels, flux, ivar, PolynomialVectorizer(names, 2))


def train(folder, n_star, pixels):
    flux, ivar = (
        np.load(folder / f"{name}.npy", mmap_mode="r")[:n_star, pixels].astype(float)
        for name in ("flux", "ivar")
    )
    model = new_model(np.load(folder / "labels.npy")[:n_star], flux, ivar)
    model.train(threads=1)
    return {"theta": model.theta, "s2": model.s2}


def main(spec):
    folder = Path(spec["folder"])
    if spec["stage"] == "train":
        pixels = slice(None, None, spec["every"])
        with contextlib.redirect_stdout(io.StringIO()):
            wall, cpu, found = timed(lambda: train(folder, spec["n_star"], pixels), spec["repeats"])
        if spec["every"] == 1:
            np.savez(spec["answers"], **found, n_train=spec["n_star"])
        return {"wall": wall, "cpu": cpu, "n_pix": len(found["theta"]), "peak": peak_memory()}
    trained = np.load(spec["model"])
    all_labels = np.load(folder / "labels.npy")
    labels = all_labels[: trained["n_train"]]
    # The spectra that it was trained on play no part any more: one pixel of ones stands for them.
    model = new_model(labels, np.ones((len(labels), 1)), np.ones((len(labels), 1)))
    model._theta, model._s2 = trained["theta"], trained["s2"]
    rows = slice(spec["first"], spec["first"] + spec["n_star"])
    flux, ivar = (
        np.load(folder / f"{name}.npy", mmap_mode="r")[rows].astype(float) for name in ("flux", "ivar")
    )
    starts = np.load(folder / "starts.npy")[: spec["n_start"]]
    parts, times = [], []
    for part in np.array_split(np.arange(len(flux)), spec["repeats"]):
        initial = np.broadcast_to(starts, (len(part), *starts.shape))
        with contextlib.redirect_stdout(io.StringIO()):
            wall, cpu, (found, covariance, meta) = timed(
                lambda rows=part, first=initial: model.test(flux[rows], ivar[rows], initial_labels=first)
            )
        parts.append((found, covariance, [star.get("chi_sq", np.nan) for star in meta]))
        times.append([wall / len(part), cpu / len(part)])
    found, covariance, chi2 = (np.concatenate(values) for values in zip(*parts, strict=True))
    peak = peak_memory()
    truth = (all_labels[rows] - model._fiducials) / model._scales
    np.savez(
        spec["answers"],
        labels=found,
        errors=np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)),
        chi2=chi2,
        flux=model.vectorizer(truth).T @ model.theta.T,
        scale=model._scales,
        scatter=np.sqrt(model.s2),
    )
    wall, cpu = np.median(times, axis=0) * len(flux)
    return {"wall": wall, "cpu": cpu, "n_pix": flux.shape[1], "peak": peak}


if __name__ == "__main__":
    spec = json.loads(Path(sys.argv[1]).read_text())
    Path(spec["report"]).write_text(json.dumps(main(spec)))
