"""One measured stage of this project in a process of its own, so that its peak memory is its own.

    python stages.py SPEC.json

`compare.py` writes the specifications and reads the reports.
"""

import contextlib
import gzip
import importlib.util
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from astropy.io import fits
from astropy.table import Table
from measure import disk_rates, gemm_rate, memory_rate, peak_memory, read_plain, timed, write_plain

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from mock_stars import NAMES, make_nature, mock_labels, mock_spectra, spectrum_names

from labeltransfer.catalogs.splits import bootstrap_rows
from labeltransfer.files.tables import write_table
from labeltransfer.mock.lamost import DEFECTS
from labeltransfer.mock.universe import draw_universe, write_spectra
from labeltransfer.models.cannon import label, predict, train
from labeltransfer.models.files import load_model, save_model
from labeltransfer.runtime import job
from labeltransfer.spectra.grid import common_grid
from labeltransfer.spectra.normalise import normalise
from labeltransfer.spectra.prepare import band_snr, on_grid, settings_from, signal_to_noise
from labeltransfer.spectra.store import iterate, write_store
from labeltransfer.surveys.lamost import read_spectrum
from labeltransfer.synthesis.model_spectra import read_model_spectra
from labeltransfer.validation.calibration import Calibration, write_calibration

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
BLOCK = 2048


def load(spec, rows):
    return tuple(
        np.load(Path(spec["folder"]) / f"{name}.npy", mmap_mode="r")[rows] for name in ("flux", "ivar")
    )


def machine(spec):
    """Rates of the machine that floors are made of."""
    small = spec["quick"]
    write, cold, warm = disk_rates(spec["folder"], 2**24 if small else 2**30)
    return {
        "gemm_f64": gemm_rate(float, 512 if small else 2048),
        "gemm_f32": gemm_rate(np.float32, 512 if small else 2048),
        "memory": memory_rate(2**24 if small else 2**29),
        "disk_write": write,
        "disk_read": cold,
        "cached_read": warm,
    }


def make_arrays(spec):
    """Write reference and test stars as plain arrays that the environments of the peers can read, too."""
    folder, n = Path(spec["folder"]), spec["n_star"]
    nature = make_nature(spec["n_pix"], spec["seed"])
    labels = mock_labels(n, spec["seed"])
    arrays = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (n, spec["n_pix"]))
        for name in ("flux", "ivar")
    }
    for first in range(0, n, BLOCK):
        rows = slice(first, first + BLOCK)
        arrays["flux"][rows], arrays["ivar"][rows] = mock_spectra(nature, labels[rows], spec["seed"] + first)
    np.save(folder / "labels.npy", labels)
    np.savez(folder / "truth.npz", **nature._asdict())
    return {}


def train_model(spec):
    """Train on the first stars, some runs after another; the model is kept."""
    every = slice(None, None, spec["every"])
    flux, ivar = (np.ascontiguousarray(part[:, every]) for part in load(spec, slice(0, spec["n_star"])))
    labels = np.load(Path(spec["folder"]) / "labels.npy")[: spec["n_star"]]
    options = {"label_names": NAMES, "scatter": spec["scatter"]}
    train(flux[:60, :2], ivar[:60, :2], labels[:60], **options)  # compiles
    before = peak_memory()
    wall, cpu, model = timed(
        lambda: train(flux, ivar, labels, threads=spec["threads"], **options), spec["repeats"]
    )
    if spec["every"] == 1:
        save_model(spec["model"], model)
    return {
        "wall": wall,
        "cpu": cpu,
        "n_pix": flux.shape[1],
        "before": before,
        "converged": float(np.mean(model.status == 0)),
    }


def bootstrap(spec):
    """Train bootstrap models, one after another, each on all threads."""
    flux, ivar = load(spec, slice(0, spec["n_star"]))
    labels = np.load(Path(spec["folder"]) / "labels.npy")[: spec["n_star"]]
    samples = bootstrap_rows(spec["n_star"], spec["n_model"], spec["seed"])

    def run():
        for number, rows in enumerate(samples):
            model = train(flux[rows], ivar[rows], labels[rows], label_names=NAMES, threads=spec["threads"])
            save_model(Path(spec["folder"]) / f"bootstrap_{number}.h5", model)

    wall, cpu, _ = timed(run)
    return {"wall": wall, "cpu": cpu}


def label_stars(spec):
    """Label stars in memory, some runs after another; answers are kept."""
    rows = slice(spec["first"], spec["first"] + spec["n_star"])
    flux, ivar = (np.ascontiguousarray(part) for part in load(spec, rows))
    model = load_model(spec["model"])
    starts = np.load(Path(spec["folder"]) / "starts.npy")[: spec["n_start"]]
    options = {"starts": starts, "threads": spec["threads"], "dtype": np.dtype(spec["dtype"])}
    label(flux[:2], ivar[:2], model, **options)  # compiles
    wall, cpu, found = timed(lambda: label(flux, ivar, model, **options), spec["repeats"])
    peak = peak_memory()
    if spec["answers"]:
        truth = np.load(Path(spec["folder"]) / "labels.npy")[rows]
        np.savez(
            spec["answers"],
            labels=found.labels,
            errors=np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2)),
            chi2=found.chi2,
            flux=predict(model, truth),
            scale=np.ones(len(NAMES)),
            scatter=model.scatter,
        )
    return {
        "wall": wall,
        "cpu": cpu,
        "n_pix": flux.shape[1],
        "peak": peak,
        "converged": float(found.converged.mean()),
    }


def make_archive(spec):
    """Write mock spectra as LAMOST publishes them, without broken ones."""
    config = {
        "releases": {
            "dr2": {"n_reference": 8, "n_survey": spec["n_star"]},
            "dr3": {"n_reference": 8, "n_survey": 8},
        },
        "n_apogee_only": 8,
        "repeat_fraction": 0.0,
        "defects": dict.fromkeys(DEFECTS, 0),
    }
    models = read_model_spectra(ROOT / "resources" / "ab_initio" / "spectra_r1800.fits")
    paths = write_spectra(draw_universe(config, spec["seed"], models), spec["folder"], "dr2")
    return {"paths": [str(path) for path in paths], "bytes": sum(path.stat().st_size for path in paths)}


def path_of_a_star(spec):
    """CPU and wall-clock time of every step from the file to the store, and of what they are held against."""

    settings = settings_from(spec["grid"], spec["preparation"], [ROOT / path for path in spec["windows"]])
    paths, repeats, folder = spec["paths"], spec["repeats"], Path(spec["folder"])
    found = {}

    def clock(name, function):
        wall, cpu, result = timed(function, repeats)
        found[name] = {"wall": wall / len(paths), "cpu": cpu / len(paths)}
        return result

    def bare_astropy():
        for path in paths:
            with fits.open(path, memmap=False) as hdus:
                _ = hdus[0].header["Z"], hdus[0].data

    def unzip():
        for path in paths:
            gzip.decompress(Path(path).read_bytes())

    read_spectrum(paths[0])
    bare_astropy()
    clock("astropy", bare_astropy)
    clock("unzip", unzip)
    spectra = clock("read", lambda: [read_spectrum(path) for path in paths])
    raw = clock("grid", lambda: np.array([on_grid(spectrum, settings) for spectrum in spectra]))

    def normalised():
        flux, ivar, _ = normalise(raw[:, 0], raw[:, 1], settings.kernel)
        snr = signal_to_noise(flux, ivar), band_snr(flux, ivar, settings)
        return flux.astype(np.float32), ivar.astype(np.float32), snr

    flux, ivar, snr = clock("normalise", normalised)
    work = sum(weight.size for *_, weight in settings.kernel.bands)
    stars = Table({"id": spectrum_names(0, len(paths)), "snr": snr[0], "snr_g": snr[1]})
    store = folder / "path.h5"
    clock("write", lambda: write_store(store, settings.grid, [(flux, ivar, stars)]))
    size = store.stat().st_size
    clock("plain write", lambda: write_plain(folder / "plain.bin", size))
    clock("store read", lambda: [np.count_nonzero(block.ivar[:, 0]) for block in iterate(store, 512)])
    clock("plain read", lambda: read_plain(store))
    (folder / "plain.bin").unlink()
    return {"times": found, "band_products": work, "store_bytes": size, "n_pix": len(settings.grid)}


def make_store(spec):
    """Write a store of mock spectra. Without `distinct` one block is written again and again under new names."""
    nature = make_nature(spec["n_pix"], spec["seed"])
    wavelength = common_grid(**spec["grid"])
    first, stop = spec["rows"]
    labels = mock_labels(stop if spec["distinct"] else BLOCK, spec["seed"])
    same = None if spec["distinct"] else mock_spectra(nature, labels, spec["seed"])

    def blocks():
        for start in range(first, stop, BLOCK):
            size = min(BLOCK, stop - start)
            flux, ivar = same or mock_spectra(nature, labels[start : start + size], [spec["seed"], start])
            stars = Table({"id": spectrum_names(start, start + size)})
            stars["n_good"] = np.full(size, spec["n_pix"])
            for name, value in (("redshift", 0.0), ("phase", 0.0), ("snr", 50.0), ("snr_g", 50.0)):
                stars[name] = np.full(size, value)
            yield flux[:size], ivar[:size], stars

    wall, cpu, _ = timed(lambda: write_store(spec["store"], wavelength, blocks()))
    return {"wall": wall, "cpu": cpu, "bytes": os.path.getsize(spec["store"])}


def read_store(spec):
    """Read a store block by block, and the same file as plain bytes."""
    path = spec["store"]
    read_plain(path)
    wall, cpu, _ = timed(
        lambda: [np.count_nonzero(block.ivar[:, 0]) for block in iterate(path, BLOCK)], spec["repeats"]
    )
    return {"wall": wall, "cpu": cpu, "plain": timed(lambda: read_plain(path), spec["repeats"])._asdict()}


def make_catalogues(spec):
    """Write the input catalogues of a study, far-apart stars, and what else the rules need before they label."""
    folder, n, n_reference = Path(spec["folder"]), spec["n_star"], spec["n_reference"]
    labels, ids = mock_labels(n, spec["seed"]), np.array(spectrum_names(0, n))
    # Points on a spiral over the sky: no two within a match radius, in an order unlike that of the sky.
    order = np.random.default_rng(spec["seed"]).permutation(n)
    dec = np.degrees(np.arcsin(1 - (2 * order + 1) / n))
    ra = order * 180 * (3 - np.sqrt(5)) % 360
    survey = Table({"spectrum_id": ids, "path": ids, "obsid": np.arange(n), "ra": ra, "dec": dec})
    survey["snrg"] = 50.0
    for number, name in enumerate(("teff", "logg", "feh")):
        survey[name] = labels[:, number]
    reference = survey["ra", "dec"][:n_reference]
    reference["reference_id"] = [f"MOCK{row:08d}" for row in range(n_reference)]
    for number, name in enumerate(NAMES):
        reference[name] = labels[:n_reference, number]
        reference[f"{name}_err"] = 0.01
    none = Table({name: np.zeros(0, "U1") for name in ("id", "catalog", "stage", "reason")})
    tables = {"survey": survey, "reference": reference, "rejected": none}
    for name, table in tables.items():
        write_table(table, folder / f"{name}.fits")
    for name in ("survey", "reference"):
        write_table(none, folder / f"rejected_{name}_catalog.fits", {"rows_found": len(tables[name])})
    clip = Table({"id": ids[:n_reference], "trained": np.ones(n_reference, dtype=bool)})
    for number, name in enumerate(NAMES):
        clip[name] = clip[f"{name}_first"] = labels[:n_reference, number]
    write_table(clip, folder / "clip.fits")
    sharp = Calibration(1.0, 0.0, 0.0, 1e6, 0.0, 0.0, n_reference, 1.0, True)
    write_calibration(dict.fromkeys(NAMES, sharp), folder / "calibration.json")
    return {}


def make_fetched(spec):
    """Write the list of fetched files: the same few files again and again under as many names as wanted."""
    n = spec["n_star"]
    paths = np.resize(np.array(spec["paths"]), n)
    fetched = Table({"spectrum_id": np.array(spectrum_names(0, n)), "path": paths})
    fetched["status"], fetched["reason"] = np.full(n, "there"), np.full(n, "none")
    write_table(fetched, spec["fetched"])
    return {}


class Files(SimpleNamespace):
    """Named files, as Snakemake hands them to a script."""

    def __iter__(self):
        for value in vars(self).values():
            yield from value if isinstance(value, list) else [value]


def rule(spec):
    """Run the script of a rule of the workflow as Snakemake would."""
    step = SimpleNamespace(
        input=Files(**spec["input"]),
        output=Files(**spec["output"]),
        params=SimpleNamespace(**spec["params"]),
        wildcards=SimpleNamespace(study="ho2017"),
        config=spec["config"],
        threads=spec["threads"],
        log=[spec["log"]],
    )
    (path,) = SCRIPTS.glob(f"*/{spec['script_of_rule']}.py")
    found = importlib.util.spec_from_file_location(spec["script_of_rule"], path)
    script = importlib.util.module_from_spec(found)
    found.loader.exec_module(script)

    def run():
        with job(step.log[0], step.threads):
            script.main(step)

    before = peak_memory()
    wall, cpu, _ = timed(run)
    return {"wall": wall, "cpu": cpu, "before": before}


STAGES = {
    function.__name__: function
    for function in (
        machine,
        make_arrays,
        train_model,
        bootstrap,
        label_stars,
        make_archive,
        path_of_a_star,
        make_store,
        read_store,
        make_catalogues,
        make_fetched,
        rule,
    )
}

if __name__ == "__main__":
    spec = json.loads(Path(sys.argv[1]).read_text())
    with contextlib.redirect_stdout(sys.stderr):
        report = STAGES[spec["stage"]](spec)
    Path(spec["report"]).write_text(json.dumps({"peak": peak_memory(), **report}))
