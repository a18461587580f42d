"""Train and label with TheCannon 0.7.3, called where its work is done: `_train_model` and `_infer_labels`.

    python peer_thecannon.py SPEC.json      (in the environment of requirements-thecannon.txt)

All that it wants of a dataset is a handful of attributes. It spoils its inputs, so it gets copies. It knows one
starting point per call: with several, the lowest chi2 wins, as in Ho et al. 2017.
"""

import contextlib
import io
import json
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from measure import peak_memory, timed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it was written for much older numpy and matplotlib
    from TheCannon.infer_labels import _infer_labels
    from TheCannon.train_model import _get_lvec, _train_model


def train(folder, n_star, pixels):
    flux, ivar = (
        np.load(folder / f"{name}.npy", mmap_mode="r")[:n_star, pixels].astype(float)
        for name in ("flux", "ivar")
    )
    return train_arrays(flux, ivar, np.load(folder / "labels.npy")[:n_star])


def train_arrays(flux, ivar, labels):
    """Its model of spectra (n, p) in float64, which it spoils, and labels (n, k)."""
    dataset = SimpleNamespace(
        get_plotting_labels=lambda: [str(k) for k in range(labels.shape[1])],
        tr_label=labels,
        tr_flux=flux,
        tr_ivar=ivar,
        wl=np.arange(flux.shape[1]),
    )
    coeffs, scatters, _, pivots, scales = _train_model(dataset)
    return {"theta": coeffs, "scatter": scatters, "pivot": pivots, "scale": scales}


def label(flux, ivar, model, starts):
    found = {}
    fitted = SimpleNamespace(
        coeffs=model["theta"], scatters=model["scatter"], pivots=model["pivot"], scales=model["scale"]
    )
    dataset = SimpleNamespace(
        get_plotting_labels=lambda: [str(k) for k in range(starts.shape[1])],
        set_test_label_vals=lambda values: found.update(labels=values),
    )
    best = {"chi2": np.full(len(flux), np.inf)}
    for start in (starts - model["pivot"]) / model["scale"]:
        dataset.test_flux, dataset.test_ivar = flux.astype(float), ivar.astype(float)
        errors, chi2 = _infer_labels(fitted, dataset, starting_guess=start)
        better = chi2 < best["chi2"]
        for name, values in (("labels", found["labels"]), ("errors", errors), ("chi2", chi2)):
            best[name] = np.where(
                better[(...,) + (None,) * (values.ndim - 1)], values, best.get(name, values)
            )
    return best


def predict(model, labels):
    return _get_lvec(labels, model["pivot"], model["scale"], derivs=False) @ model["theta"].T


def main(spec):
    folder = Path(spec["folder"])
    answers = Path(spec["answers"])
    if spec["stage"] == "train":
        pixels = slice(None, None, spec["every"])
        with contextlib.redirect_stdout(io.StringIO()):
            wall, cpu, model = timed(lambda: train(folder, spec["n_star"], pixels), spec["repeats"])
        if spec["every"] == 1:
            np.savez(answers, **model)
        return {"wall": wall, "cpu": cpu, "n_pix": len(model["theta"]), "peak": peak_memory()}
    model = dict(np.load(spec["model"]))
    rows = slice(spec["first"], spec["first"] + spec["n_star"])
    flux, ivar = (np.load(folder / f"{name}.npy", mmap_mode="r")[rows] for name in ("flux", "ivar"))
    starts = np.load(folder / "starts.npy")[: spec["n_start"]]
    parts, times = [], []
    for part in np.array_split(np.arange(len(flux)), spec["repeats"]):
        with contextlib.redirect_stdout(io.StringIO()):
            wall, cpu, found = timed(lambda rows=part: label(flux[rows], ivar[rows], model, starts))
        parts.append(found)
        times.append([wall / len(part), cpu / len(part)])
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    peak = peak_memory()
    truth = np.load(folder / "labels.npy")[rows]
    np.savez(answers, **found, flux=predict(model, truth), scale=model["scale"], scatter=model["scatter"])
    wall, cpu = np.median(times, axis=0) * len(flux)
    return {"wall": wall, "cpu": cpu, "n_pix": flux.shape[1], "peak": peak}


if __name__ == "__main__":
    spec = json.loads(Path(sys.argv[1]).read_text())
    Path(spec["report"]).write_text(json.dumps(main(spec)))
