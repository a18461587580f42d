"""How fast and how right this project is: beside TheCannon and AnniesLasso, and beside what the machine can do.

    python benchmarks/compare.py                 tables, summary.csv, growth.csv and plots in results/benchmarks
    python benchmarks/compare.py --scale full    the same with 444,228 spectra from the store to the catalogue
    python benchmarks/compare.py --scale quick   does it run: small numbers that mean nothing
    python benchmarks/compare.py --page docs/scaling.md    puts the last numbers into the page

Every stage runs in a process of its own with one thread per numerical library unless it says otherwise; times are
medians, CPU time unless they are called wall-clock. The peers come from the registry into environments of their
own (`requirements-thecannon.txt`, `requirements-annieslasso.txt`) on the first run; --peers says which.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from measure import peak_memory, width
from mock_stars import CENTRE, NAMES, SPREAD, UNITS, mock_labels, spectrum_names
from scales import SCALES
from summary import (
    BOOTSTRAP,
    GRID,
    OURS,
    PEERS,
    add_ratios,
    check_targets,
    draw,
    growth_rows,
    page,
    row,
    show,
)

from labeltransfer.files.tables import read_table
from labeltransfer.models.polynomial import polynomial, vectorize
from labeltransfer.models.starts import spread_starts
from labeltransfer.spectra.grid import common_grid

HERE = Path(__file__).resolve().parent
SEED = 1
PAIRS = 231  # distinct products of the 21 terms of a quadratic in five labels
FITTED = 230  # of those and of the terms, without the constant: what labels are fitted with


class Bench:
    """Where the stages run, what they shared and what they reported."""

    def __init__(self, folder, scale, threads, peers, environments):
        self.folder, self.scale, self.quick = Path(folder), SCALES[scale], scale == "quick"
        self.threads = 1 if self.quick else threads
        self.peers, self.environments = peers, environments
        self.config = yaml.safe_load((HERE.parent / "config" / "config.yaml").read_text())
        self.grid = {**self.config["grid"], "upper": self.scale["upper"]}
        self.n_pix = len(common_grid(**self.grid))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.numbers = count(1)

    def run(self, stage, script="stages.py", python=sys.executable, **spec):
        """Run one stage in a process of its own and return its report; in quick mode most share this one."""
        name = self.folder / f"stage_{next(self.numbers):03d}_{stage}"
        report = name.with_suffix(".report.json")
        spec = {"folder": str(self.folder), "seed": SEED, "stage": stage, "report": str(report), **spec}
        if self.quick and script == "stages.py" and stage != "machine":
            import stages

            return {"peak": peak_memory(), **stages.STAGES[stage](spec)}
        name.with_suffix(".json").write_text(json.dumps(spec))
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        command = [str(python), "-W", "ignore", str(HERE / script), str(name.with_suffix(".json"))]
        done = subprocess.run(
            command,
            env={**os.environ, **limits, "MPLBACKEND": "Agg"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not report.exists():
            raise SystemExit(
                f"{script} failed in the stage {stage}:\n{done.stdout[-1000:]}\n{done.stderr[-4000:]}"
            )
        found = json.loads(report.read_text())
        print(f"  {stage}: {json.dumps({k: v for k, v in found.items() if k != 'paths'})[:300]}", flush=True)
        return found


def environment(name, folder):
    """Python of a peer's environment, which is made where it is not there yet."""
    requirements = HERE / f"requirements-{name}.txt"
    home = Path(folder) / name
    python, mark = home / "bin" / "python", home / "requirements.txt"
    if mark.exists() and mark.read_text() == requirements.read_text():
        return python
    print(f"setting up {name} in {home}", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    owners = (sys.executable, Path(sys.base_prefix) / "bin" / "python3")
    for owner in owners:
        if not subprocess.run([owner, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
            break
    else:
        raise SystemExit("no pip to set up the peers with; leave them out with --peers none")
    command = [owner, "-m", "pip", "--python", python, "install", "--quiet", "--require-hashes"]
    if subprocess.run([*command, "-r", requirements], check=False).returncode:
        raise SystemExit(f"{name} could not be installed; leave it out with --peers none")
    mark.write_text(requirements.read_text())
    return python


# ----------------------------------------------------------------------------------------- the codes compared


def compare_codes(bench, rates):
    """Train and label the same stars with every code: costs and answers."""
    s = bench.scale
    bench.run("make_arrays", n_star=s["n_paper"] + s["n_test"], n_pix=bench.n_pix)
    labels = np.load(bench.folder / "labels.npy")
    np.save(bench.folder / "starts.npy", spread_starts(labels[: s["n_train"]], 7))
    floors = {
        "train": 2 * PAIRS / rates["gemm_f64"],
        "float64": 2 * FITTED * bench.n_pix / rates["gemm_f64"],
        "float32": 2 * FITTED * bench.n_pix / rates["gemm_f32"],
    }
    rows, answers = our_costs(bench, floors)
    for code in bench.peers:
        costs, answers[code] = peer_costs(bench, code, floors)
        rows += costs
    costs, answers[f"{OURS}, {s['n_paper']:,} stars"] = paper_scale(bench, floors)
    truth = dict(np.load(bench.folder / "truth.npz"))
    return add_ratios(rows + costs + compare_answers(answers, labels[s["n_paper"] :], truth, s["n_peer"]))


def train_rows(stage, code, n_star, n_pix, report, floor):
    """Time per star and pixel, and memory beside that of the spectra themselves in float32."""
    cost = report["cpu"] / n_star / report["n_pix"] * 1e9
    bare = 8 * n_star * report["n_pix"] / 1e9
    return [
        row(stage, code, n_star, report["n_pix"], cost, "CPU-ns per star-pixel", floor * 1e9),
        row(f"{stage} memory", code, n_star, report["n_pix"], report["peak"], "GB", bare),
    ]


def our_costs(bench, floors):
    """Cost and answers of this project, in its variants."""
    s, folder, n_pix, rows, answers = bench.scale, bench.folder, bench.n_pix, [], {}
    for code, scatter in ((OURS, "exact"), (GRID, "grid")):
        options = {"n_star": s["n_train"], "scatter": scatter, "threads": 1, "every": 1}
        model = str(folder / f"model_{scatter}.h5")
        report = bench.run("train_model", **options, repeats=s["repeats"], model=model)
        rows += train_rows("train", code, s["n_train"], n_pix, report, floors["train"])
    variants = (
        ("label", OURS, "exact", 7, "float32", 1),
        ("label", f"{OURS}, float64", "exact", 7, "float64", 1),
        ("label", GRID, "grid", 7, "float32", 1),
        ("label one start", OURS, "exact", 1, "float32", 1),
        ("label wall", OURS, "exact", 7, "float32", bench.threads),
    )
    n, file = s["n_test"], folder / "answers.npz"
    for stage, code, scatter, n_start, dtype, threads in variants:
        options = {"first": s["n_paper"], "n_star": n, "n_start": n_start, "dtype": dtype, "threads": threads}
        model = str(folder / f"model_{scatter}.h5")
        report = bench.run("label_stars", **options, model=model, repeats=s["repeats"], answers=str(file))
        floor = floors[dtype] * 1e3
        if stage == "label wall":
            rows.append(row(stage, code, n, n_pix, report["wall"] / n * 1e3, "ms per star", floor / threads))
            continue
        rows.append(row(stage, code, n, n_pix, report["cpu"] / n * 1e3, "CPU-ms per star", floor))
        if stage == "label":
            answers[code] = dict(np.load(file))
            rows.append(row("label memory", code, n, n_pix, report["peak"], "GB", 8 * n * n_pix / 1e9))
            rows.append(row("label converged", code, n, n_pix, report["converged"], "fraction"))
    return rows, answers


def peer_costs(bench, code, floors):
    """Cost and answers of a peer: its time to train from some of the pixels, its model from all of them."""
    s, n_pix, rows = bench.scale, bench.n_pix, []
    run = {"python": bench.environments[code], "script": f"peer_{code}.py"}
    model, file = str(bench.folder / f"{code}.npz"), bench.folder / "answers.npz"
    for every, repeats in ((s["every"], s["repeats"]), (1, 1)):
        report = bench.run("train", **run, n_star=s["n_train"], answers=model, every=every, repeats=repeats)
        costs = train_rows("train", code, s["n_train"], n_pix, report, floors["train"])
        rows.append(costs[every == 1])
    for stage, n_start in (("label one start", 1), ("label", 7)):
        options = {"first": s["n_paper"], "n_star": s["n_peer"], "n_start": n_start, "repeats": s["repeats"]}
        report = bench.run("label", **run, **options, model=model, answers=str(file))
        cost = report["cpu"] / s["n_peer"] * 1e3
        rows.append(row(stage, code, s["n_peer"], n_pix, cost, "CPU-ms per star", floors["float64"] * 1e3))
    return rows, dict(np.load(file))


def compare_answers(answers, labels, truth, n):
    """How right each code is on the first n test stars, which all of them labelled."""
    x = (labels[:n] - CENTRE) / SPREAD
    true_flux = vectorize(x, polynomial(len(NAMES), 2)) @ truth["theta"].T
    rows = []

    def add(stage, code, value, unit):
        rows.append(row(stage, code, n, len(truth["scatter"]), float(value), unit))

    for code, found in answers.items():
        add("scatter over truth", code, np.median(found["scatter"] / truth["scatter"]), "median of pixels")
        error = found["flux"][:n] - true_flux
        add("model flux error", code, np.sqrt(np.nanmean(error**2)), "rms of normalised flux")
        for other in (OURS, GRID):
            if code != other:
                away = found["flux"][:n] - answers[other]["flux"][:n]
                add(
                    f"model flux, away from {other}",
                    code,
                    np.sqrt(np.nanmean(away**2)),
                    "rms of normalised flux",
                )
                away = (found["labels"][:n] - answers[other]["labels"][:n]) / answers[other]["errors"][:n]
                add(f"labels, away from {other}", code, np.nanmedian(np.abs(away)), "median, formal errors")
        off = found["labels"][:n] - labels[:n]
        for k, (name, unit) in enumerate(zip(NAMES, UNITS, strict=True)):
            errors = found["errors"][:n, k]
            add(f"label error, {name}", code, width(off[:, k]), unit)
            add(f"label z width, {name}", code, width(off[:, k] / errors), "errors as given")
            if code in PEERS:
                z = off[:, k] / (errors * found["scale"][k])
                add(f"label z width, {name}", code, width(z), "errors times its scale")
    return rows


def paper_scale(bench, floors):
    """Train as many stars as the paper, and bootstrap models of as many; answers of that model."""
    s, n_pix = bench.scale, bench.n_pix
    n, model = s["n_paper"], str(bench.folder / "model_paper.h5")
    options = {"n_star": n, "scatter": "exact", "every": 1, "repeats": s["repeats"], "model": model}
    rows = train_rows(
        "train paper", OURS, n, n_pix, bench.run("train_model", **options, threads=1), floors["train"]
    )
    report = bench.run("train_model", **options, threads=bench.threads)
    floor = floors["train"] * n * n_pix / bench.threads
    rows.append(row("train paper wall", OURS, n, n_pix, report["wall"], "s", floor))
    n_model = s["n_bootstrap"]
    report = bench.run("bootstrap", n_star=n, n_model=n_model, threads=bench.threads)
    wall = report["wall"] * BOOTSTRAP / n_model
    rows.append(row("bootstrap wall", OURS, n, n_pix, wall, "s", BOOTSTRAP * floor))
    file = bench.folder / "answers.npz"
    options = {"n_start": 7, "dtype": "float32", "threads": 1, "repeats": 1, "model": model}
    bench.run("label_stars", first=n, n_star=s["n_peer"], answers=str(file), **options)
    return rows, dict(np.load(file))


# ------------------------------------------------------------------------------------------ the path of a star


def path_rates(bench, rates, paths):
    """Cost of each step from an archive file to the store, per star."""
    preparation = bench.config["preparation"]
    report = bench.run(
        "path_of_a_star",
        paths=paths,
        grid=bench.grid,
        preparation=preparation,
        windows=preparation["windows"],
        repeats=bench.scale["repeats"],
    )
    times, n, n_pix = report["times"], len(paths), report["n_pix"]
    ms = {name: time["cpu"] * 1e3 for name, time in times.items()}
    bands = 4 * report["band_products"] / rates["gemm_f64"] * 1e3
    wall = {name: time["wall"] * 1e3 for name, time in times.items()}
    floor_of = {"read": "unzip", "write": "plain write", "store read": "plain read"}
    rows = [row("read", "astropy", n, n_pix, ms["astropy"], "CPU-ms per star", ms["unzip"])]
    for stage in ("read", "grid", "normalise", "write", "store read"):
        for words, cost, unit in ((stage, ms, "CPU-ms per star"), (f"{stage} wall", wall, "ms per star")):
            floor = bands if stage == "normalise" else cost.get(floor_of.get(stage), np.nan)
            rows.append(row(words, OURS, n, n_pix, cost[stage], unit, floor))
    prepare = sum(ms[stage] for stage in ("grid", "normalise", "write"))
    rows.append(row("prepare", OURS, n, n_pix, prepare, "CPU-ms per star", bands + ms["plain write"]))
    rows.append(row("prepare", "astropy, reading only", n, n_pix, ms["astropy"], "CPU-ms per star"))
    rows.append(
        row("store size", OURS, n, n_pix, report["store_bytes"] / n / 1e3, "kB per star", 8 * n_pix / 1e3)
    )
    return add_ratios(rows)


# ------------------------------------------------------------------------------- the rules, at any number of stars


class Study:
    """A mock study in a folder: the rules of the workflow run on it one by one, each in its own process."""

    def __init__(self, bench, name, n_survey, n_reference, n_chunk=1):
        self.bench, self.n_survey, self.n_reference, self.n_chunk = bench, n_survey, n_reference, n_chunk
        self.folder = bench.folder / name
        self.folder.mkdir()
        self.settings = bench.config["studies"]["ho2017"]
        # Every star is to be labelled, however far from the few reference stars it is.
        self.settings = {**self.settings, "distance": {**self.settings["distance"], "cut": 1e9}, "cuts": []}
        bench.run(
            "make_catalogues",
            folder=str(self.folder),
            n_star=n_survey + n_reference,
            n_reference=n_reference,
        )

    def path(self, name):
        return str(self.folder / name)

    def chunks(self):
        edges = np.linspace(0, self.n_survey, self.n_chunk + 1).round().astype(int) + self.n_reference
        return [(int(a), int(b)) for a, b in pairwise(edges)]

    def store(self, name, rows, distinct):
        options = {"rows": rows, "distinct": distinct, "n_pix": self.bench.n_pix, "grid": self.bench.grid}
        return self.bench.run("make_store", store=self.path(f"{name}.h5"), **options)

    def rule(self, script, inputs, outputs, **params):
        inputs = {key: self.path(value) if isinstance(value, str) else value for key, value in inputs.items()}
        outputs = {key: self.path(value) for key, value in outputs.items()}
        log = self.path(f"{script}_{time.monotonic_ns()}.log")
        return self.bench.run(
            "rule",
            script_of_rule=script,
            input=inputs,
            output=outputs,
            params=params,
            config={"seed": SEED, "studies": {"ho2017": self.settings}},
            threads=1,
            log=log,
        )

    def crossmatch(self):
        outputs = {"matches": "matches.fits", "stars": "stars.fits", "rejected": "rejected_crossmatch.fits"}
        return self.rule(
            "crossmatch",
            {"survey": "survey.fits", "reference": "reference.fits"},
            outputs,
            match_radius=self.settings["match_radius"],
            same_star_radius=self.settings["same_star_radius"],
            code={},
        )

    def select(self):
        names = ("survey", "reference", "matches", "stars")
        outputs = {name: f"{name}.fits" for name in ("reference_set", "survey_set", "distance")}
        keys = ("labels", "pipeline", "cuts", "distance", "hold_out")
        return self.rule(
            "select",
            {name: f"{name}.fits" for name in names},
            outputs | {"rejected": "rejected_select.fits"},
            **{key: self.settings[key] for key in keys},
            groups=None,
            seed=SEED,
            code={},
        )

    def label(self, name, model, bootstrap=()):
        return self.rule(
            "label",
            {
                "store": f"{name}.h5",
                "model": str(model),
                "theory": [],
                "clip": "clip.fits",
                "bootstrap": [str(path) for path in bootstrap],
                "starts": [],
            },
            {"labels": f"{name}.fits"},
            labels=self.settings["labels"],
            code={},
        )

    def catalog(self, chunks):
        single = "survey reference matches survey_set reference_set rejected_survey_catalog"
        single += " rejected_reference_catalog rejected_crossmatch rejected_select clip"
        inputs = {name: f"{name}.fits" for name in single.split()}
        inputs |= {"calibration": "calibration.json", "reference_labels": [self.path("reference_stars.fits")]}
        inputs |= {"survey_labels": [self.path(f"{name}.fits") for name in chunks]}
        inputs |= {key: [self.path("rejected.fits")] for key in ("rejected_reference", "rejected_survey")}
        outputs = {"fits": "catalog.fits", "parquet": "catalog.parquet", "ledger": "ledger.parquet"}
        outputs |= {"fates": "fates.csv", "distance": "distance_sample.fits"}
        return self.rule(
            "catalog",
            inputs,
            outputs,
            source="mock",
            data=[],
            study=self.settings,
            seed=SEED,
            code={},
        )

    def size(self, *names):
        return sum(os.path.getsize(self.path(name)) for name in names)


def prepare_rule(bench, n, paths):
    """The rule that reads and prepares, on a few files that are listed again and again."""
    folder = bench.folder / f"prepare_{n}"
    folder.mkdir()
    fetched, preparation = str(folder / "fetched.fits"), bench.config["preparation"]
    bench.run("make_fetched", n_star=n, paths=paths, fetched=fetched)
    windows = [str(HERE.parent / path) for path in preparation["windows"]]
    report = bench.run(
        "rule",
        script_of_rule="prepare",
        input={"fetched": fetched, "windows": windows, "fibres": [], "noise": [], "residuals": []},
        output={"store": str(folder / "store.h5"), "rejected": str(folder / "rejected.fits")},
        params={"survey": "lamost-dr2", "grid": bench.grid, "preparation": preparation, "code": {}},
        config=bench.config,
        threads=1,
        log=str(folder / "log"),
    )
    shutil.rmtree(folder)
    return report


def growth(bench, paths):
    """Time and memory of every stage against the number of stars."""
    s, found = bench.scale, []

    def note(stage, n, report):
        found.append({"stage": stage, "n_star": n} | {key: report[key] for key in ("wall", "cpu", "peak")})

    for n in s["growth_prepare"]:
        note("prepare rule", n, prepare_rule(bench, n, paths))
    n_reference = s["n_train"]
    for n in s["growth"]:
        study = Study(bench, f"growth_{n}", n, n_reference)
        study.store("reference_stars", (0, n_reference), distinct=True)
        study.label("reference_stars", bench.folder / "model_exact.h5")
        note("store write", n, study.store("survey_stars", study.chunks()[0], distinct=False))
        note("store read", n, bench.run("read_store", store=study.path("survey_stars.h5"), repeats=1))
        note("cross-match rule", n, study.crossmatch())
        note("select rule", n, study.select())
        note("label rule", n, study.label("survey_stars", bench.folder / "model_exact.h5"))
        note("catalogue rule", n, study.catalog(["survey_stars"]))
        shutil.rmtree(study.folder)
    for n in sorted({*(n for n in s["growth"] if n < s["n_paper"]), s["n_paper"]}):
        if n >= 4 * 21:
            options = {"scatter": "exact", "threads": 1, "every": 1, "repeats": 1}
            note(
                "train",
                n,
                bench.run("train_model", n_star=n, **options, model=str(bench.folder / "growing.h5")),
            )
    return pd.DataFrame(found)


def full_run(bench, rates):
    """The survey of the paper from the store to the catalogue, through the rules' own scripts."""
    s, n_pix = bench.scale, bench.n_pix
    n, n_reference = s["n_full"], s["n_paper"]
    print(f"{n} mock spectra, each with its own labels and noise", flush=True)
    study = Study(bench, "full", n, n_reference, s["n_chunk"])
    names = [f"survey_{number}" for number in range(s["n_chunk"])]
    model = bench.folder / "model_paper.h5"
    with ThreadPoolExecutor(bench.threads) as pool:
        list(pool.map(lambda item: study.store(*item, True), zip(names, study.chunks(), strict=True)))
    study.store("reference_stars", (0, n_reference), distinct=True)
    size = study.size(*(f"{name}.h5" for name in [*names, "reference_stars"]))
    reports = {"cross-match": [study.crossmatch()], "select": [study.select()]}
    start = time.perf_counter()
    with ThreadPoolExecutor(bench.threads) as pool:
        reports["label"] = list(pool.map(lambda name: study.label(name, model), ["reference_stars", *names]))
    labelled = time.perf_counter()
    reports["catalogue"] = [study.catalog(names)]
    stop = time.perf_counter()
    total = n + n_reference
    tables = study.size(*(f"{name}.fits" for name in [*names, "reference_stars"]))
    outputs = study.size("catalog.fits", "catalog.parquet", "ledger.parquet")
    floor = size / rates["disk_read"]
    cpu = sum(report["cpu"] for report in [*reports["label"], *reports["catalogue"]])
    rows = [
        row("store to catalogue", OURS, total, n_pix, cpu, "CPU-s"),
        row("store to catalogue wall", OURS, total, n_pix, stop - start, "s", floor),
        row("label rules wall", OURS, total, n_pix, labelled - start, "s", floor),
        row("catalogue rule wall", OURS, total, n_pix, stop - labelled, "s", outputs / rates["disk_write"]),
        row("survey store", OURS, total, n_pix, size / 1e9, "GB", 8 * total * n_pix / 1e9),
        row("label tables", OURS, total, n_pix, tables / 1e9, "GB"),
        row("catalogue and ledger", OURS, total, n_pix, outputs / 1e9, "GB"),
    ]
    for name, found in reports.items():
        cost = sum(report["cpu"] for report in found) / total * 1e3
        rows.append(row(f"{name} rule, full", OURS, total, n_pix, cost, "CPU-ms per star"))
        peak = max(report["peak"] for report in found)
        rows.append(row(f"{name} rule memory, full", OURS, total, n_pix, peak, "GB"))
    rows += recovered(study.path("catalog.fits"), total, n_pix)
    replicas = sorted(bench.folder.glob("bootstrap_*.h5"))
    report = study.label(names[0], model, replicas)
    alone = np.median([found["cpu"] for found in reports["label"][1:]])
    first, stop = study.chunks()[0]
    chunk = stop - first
    cost = (report["cpu"] - alone) / len(replicas) / chunk * 1e3
    rows.append(row("label rule, per bootstrap model", OURS, chunk, n_pix, cost, "CPU-ms per star"))
    rows.append(row("label rule with bootstrap memory", OURS, chunk, n_pix, report["peak"], "GB"))
    shutil.rmtree(study.folder)
    return rows


def recovered(path, total, n_pix):
    """How much of the survey is in the catalogue, and how its labels and errors compare with the truth."""
    found = read_table(path, ["spectrum_id", *NAMES, *(f"{name}_err" for name in NAMES)])
    truth = mock_labels(total, SEED)[np.searchsorted(spectrum_names(0, total), found["spectrum_id"])]
    rows = [row("stars in the catalogue", OURS, total, n_pix, len(found) / total, "fraction")]
    for k, name in enumerate(NAMES):
        z = (np.asarray(found[name], dtype=float) - truth[:, k]) / found[f"{name}_err"]
        rows.append(row(f"catalogue z width, {name}", OURS, total, n_pix, width(z), "errors as given"))
    return rows


# --------------------------------------------------------------------------------------------------- the command


def machine_report(bench, scale):
    """What it is measured on, and the rates that floors are made of."""
    names = [
        line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")
    ]
    return {
        **bench.run("machine", quick=bench.quick),
        "processor": names[0] if names else "unknown",
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d"),
        "scale": scale,
        "threads": bench.threads,
        "python": sys.version.split()[0],
        "numpy": np.__version__,
    }


def _lines(path):
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=SCALES, default="standard")
    parser.add_argument("--quick", action="store_const", const="quick", dest="scale", help="--scale quick")
    parser.add_argument("--full", action="store_const", const="full", dest="scale", help="--scale full")
    parser.add_argument("--peers", nargs="*", choices=[*PEERS, "none"], default=list(PEERS))
    parser.add_argument(
        "--threads", type=int, default=min(2, os.cpu_count()), help="of what is called wall-clock"
    )
    parser.add_argument("--results", default="results/benchmarks", help="folder of the tables and plots")
    parser.add_argument("--keep", action="store_true", help="keep the spectra and reports of the stages")
    parser.add_argument("--page", metavar="FILE", help="measure nothing: put the last numbers into this page")
    options = parser.parse_args()
    results = Path(options.results).resolve()
    if options.page:
        page(options.page, results)
        return
    results.mkdir(parents=True, exist_ok=True)
    peers = [name for name in options.peers if name != "none"]
    environments = {name: environment(name, results / "environments") for name in peers}
    work = results / f"work-{os.getpid()}"
    bench = Bench(work, options.scale, options.threads, peers, environments)
    stars = (
        max(bench.scale["n_full"], *bench.scale["growth"], 0) + bench.scale["n_paper"] + bench.scale["n_test"]
    )
    needed = 9.0 * bench.n_pix * stars
    free = shutil.disk_usage(work).free
    if free < 1.3 * needed:
        raise SystemExit(f"{work}: {needed / 1e9:.1f} GB of mock spectra do not fit in {free / 1e9:.1f} GB")
    try:
        rates = machine_report(bench, options.scale)
        rows = compare_codes(bench, rates)
        archive = bench.run("make_archive", n_star=bench.scale["n_files"])
        rates["archive_bytes"] = archive["bytes"] / len(archive["paths"])
        rows += path_rates(bench, rates, archive["paths"])
        growing = growth(bench, archive["paths"])
        rows += growth_rows(growing, bench.n_pix)
        if bench.scale["n_full"]:
            rows += full_run(bench, rates)
        rates["load_after"] = os.getloadavg()[0]
    finally:
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)
    table = check_targets(pd.DataFrame(rows), results, bench.quick)
    table.to_csv(results / "summary.csv", index=False)
    growing.to_csv(results / "growth.csv", index=False)
    (results / "machine.json").write_text(json.dumps(rates, indent=2) + "\n")
    draw(table, growing, results)
    show(table, rates, results)


if __name__ == "__main__":
    main()
