"""Seconds and peak memory of the steps that handle whole catalogues, on made-up ones as long as the real.

Every step runs as the workflow runs it, its own script in a process of its own, with catalogues of LAMOST DR2's
and APOGEE DR12's length and labels in 200 chunks:

    python benchmarks/catalogue_scale.py --folder /scratch/scale

Nothing in them is astronomy: the mock archive is for that.
"""

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import yaml
from astropy.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow"))
SCRIPTS = ROOT / "workflow" / "scripts"

from labeltransfer import runtime  # noqa: E402
from labeltransfer.catalogs import ledger  # noqa: E402
from labeltransfer.files import readers, tables  # noqa: E402
from labeltransfer.files.chunks import chunk_rows  # noqa: E402
from labeltransfer.files.tables import count_rows, read_table, write_blocks, write_table  # noqa: E402
from labeltransfer.validation.calibration import Calibration, write_calibration  # noqa: E402

CENTRES = {"teff": 4800.0, "logg": 2.5, "fe_h": -0.2, "alpha_m": 0.1, "a_k": 0.1}
SPREADS = {"teff": 200.0, "logg": 0.4, "fe_h": 0.2, "alpha_m": 0.08, "a_k": 0.05}
STEPS = (
    "survey_catalog",
    "reference_catalog",
    "crossmatch",
    "select",
    "fetch_spectra",
    "catalog",
    "figure_03",
    "figure_10",
    "figure_11",
)
STEPS += ("figure_12",)
BLOCK = 65_536


def study():
    """The first study's configuration."""
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())["studies"]["ho2017"]


def make_catalogues(folder, n_survey, n_labelled, n_reference, seed=0):
    """Write a stellar catalogue in LAMOST's columns and an allStar file in APOGEE's.

    A tenth of the spectra repeat a star; of the stars, as many as shall be labelled are like the reference stars, a
    tenth of which LAMOST has seen.
    """
    rng = np.random.default_rng(seed)
    seen = min(n_reference // 10, n_survey // 10)
    ra, dec = rng.uniform(0, 360, n_survey), np.degrees(np.arcsin(rng.uniform(-0.17, 0.9, n_survey)))
    repeats = rng.choice(np.arange(1, n_survey), n_survey // 10, replace=False)
    ra[repeats], dec[repeats] = ra[repeats - 1], dec[repeats - 1]
    like = rng.random(n_survey) < 1.12 * n_labelled / n_survey
    like[:seen] = True

    def survey():
        for start in range(0, n_survey, BLOCK):
            row = np.arange(start, min(start + BLOCK, n_survey))
            table = Table({"obsid": row + 1, "lmjd": 55_860 + row // 250 // 16 % 900})
            table["planid"] = np.array([f"GAC{plate % 360:03d}N{plate % 57:02d}B1" for plate in row // 4000])
            table["spid"], table["fiberid"] = 1 + row // 250 % 16, 1 + row % 250
            table["ra"], table["dec"] = ra[row], dec[row]
            table["snrg"] = rng.uniform(5, 300, len(row))
            for name, label in (("teff", "teff"), ("logg", "logg"), ("feh", "fe_h")):
                far = np.where(like[row], 0.0, 8.0 * SPREADS[label])
                table[name] = CENTRES[label] + SPREADS[label] * rng.standard_normal(len(row)) + far
                table[f"{name}_err"] = np.full(len(row), SPREADS[label] / 2)
            table["rv"] = 30 * rng.standard_normal(len(row))
            yield table

    write_blocks(survey(), folder / "lamost.fits")
    reference = Table({"APOGEE_ID": np.array([f"2M{row:08d}+0000000" for row in range(n_reference)])})
    reference["RA"], reference["DEC"] = rng.uniform(0, 360, (2, n_reference)) / [[1], [-4]]
    reference["RA"][:seen], reference["DEC"][:seen] = ra[:seen], dec[:seen] + 0.1 / 3600
    reference["SNR"] = rng.uniform(50, 500, n_reference)
    for name, label in study()["labels"].items():
        values = CENTRES[name] + SPREADS[name] * rng.standard_normal(n_reference)
        reference[label["column"]] = np.maximum(values, -0.09) if name == "alpha_m" else values
        if label["error"]:
            reference[label["error"]] = SPREADS[name] / 5
    for name in ("ASPCAPFLAG", "STARFLAG", "EXTRATARG"):
        reference[name] = np.zeros(n_reference, dtype=np.int32)
    reference["LOCATION_ID"] = np.int32(4100)
    write_table(reference, folder / "apogee.fits")


def label_table(ids, rng):
    """Labels of some spectra, in the columns that the rule `label` writes."""
    n = len(ids)
    table = Table({"chi2": 3600 * rng.lognormal(0, 0.2, n), "n_pix": np.full(n, 3600)})
    table["reduced_chi2"] = table["chi2"] / 3595
    table["converged"], table["start"] = rng.random(n) > 0.002, np.zeros(n, dtype=int)
    for name, label in study()["labels"].items():
        table[name] = CENTRES[name] + SPREADS[name] * rng.standard_normal(n)
        table[f"{name}_err"] = SPREADS[name] * rng.uniform(0.05, 0.2, n)
        table[f"{name}_bootstrap"] = SPREADS[name] * rng.uniform(0.01, 0.05, n)
        for suffix in ("", "_err", "_bootstrap"):
            table[name + suffix].unit = label["unit"]
    table["covariance"] = np.zeros((n, len(CENTRES), len(CENTRES)))
    table["id"], table["snr"], table["snr_g"] = ids, rng.uniform(5, 300, n), rng.uniform(5, 300, n)
    table["redshift"], table["novelty"] = 1e-4 * rng.standard_normal(n), rng.lognormal(-1, 0.5, n)
    return table


def make_labels(folder, chunks, lost=0.02, seed=1):
    """Write what lies between selection and catalogue: label chunks, spectra left out, the clip, the calibration."""
    catalogs = folder / "catalogs"
    for kind, role in enumerate(("reference", "survey")):
        path = catalogs / f"{role}_set.fits"
        for part in range(1, chunks[role] + 1):
            rng, item = np.random.default_rng([seed, kind, part]), f"{part}-of-{chunks[role]}"
            ids = read_table(path, ["spectrum_id"], chunk_rows(count_rows(path), item))["spectrum_id"]
            out = rng.random(len(ids)) < lost
            write_table(label_table(ids[~out], rng), folder / "labels" / role / f"{item}.fits")
            rejected = Table({"id": ids[out], "catalog": np.full(out.sum(), "survey")})
            rejected["stage"] = np.full(out.sum(), "spectra")
            rejected["reason"] = rng.choice(["missing redshift", "not fetched: missing on server"], out.sum())
            write_table(rejected, folder / "spectra" / role / f"{item}.rejected.fits")
    reference = read_table(catalogs / "reference_set.fits", ["spectrum_id", *CENTRES])
    reference.rename_column("spectrum_id", "id")
    reference["trained"] = np.arange(len(reference)) % 200 != 0
    write_table(reference, folder / "clip.fits")
    calibration = Calibration(1.5, 1.0, 0.01, 5.0, 0.0, 0.0, 1000, 1.0, True)
    write_calibration(dict.fromkeys(CENTRES, calibration), folder / "calibration.json")


class Params(SimpleNamespace):
    """Parameters by name, and all of them, as Snakemake gives them to a script."""

    def items(self):
        return vars(self).items()


class Files(Params):
    """Files by name, and one after the other, as Snakemake gives them to a script."""

    def __iter__(self):
        for value in vars(self).values():
            yield from value if isinstance(value, list) else [value]


def job_of(step, folder, chunks):
    """Script and job of a step: the rules in workflow/rules say the same."""
    f = {name: folder / "catalogs" / f"{name}.fits" for name in ("survey", "reference", "matches", "stars")}
    f |= {name: folder / "catalogs" / f"{name}.fits" for name in ("survey_set", "reference_set", "distance")}
    f |= {
        f"rejected_{name}": folder / "catalogs" / f"{name}.fits"
        for name in ("survey_catalog", "reference_catalog", "crossmatch", "select")
    }
    settings, params = study(), {"code": {}, "source": "mock", "data": [], "study": study(), "seed": 1}
    if step == "survey_catalog":
        inputs = {"catalog": folder / "lamost.fits"}
        outputs = {"survey": f["survey"], "rejected": f["rejected_survey_catalog"]}
        params |= {"release": "lamost-dr2", "folder": "", "missing": [], "listing": ""}
    elif step == "reference_catalog":
        inputs = {"labels": folder / "apogee.fits"}
        outputs = {"reference": f["reference"], "rejected": f["rejected_reference_catalog"]}
        params |= {
            "release": "apogee-dr12",
            "local": {},
            "missing": [],
            "labels": settings["labels"],
            "radius": 3.0,
        }
    elif step == "crossmatch":
        inputs = {name: f[name] for name in ("survey", "reference")}
        outputs = {"matches": f["matches"], "stars": f["stars"], "rejected": f["rejected_crossmatch"]}
        params |= {name: settings[name] for name in ("match_radius", "same_star_radius")}
    elif step == "select":
        inputs = {name: f[name] for name in ("survey", "reference", "matches", "stars")}
        outputs = {name: f[name] for name in ("reference_set", "survey_set", "distance")}
        outputs["rejected"] = f["rejected_select"]
        params |= {name: settings[name] for name in ("labels", "pipeline", "cuts", "distance", "hold_out")}
        params["groups"] = None
    elif step == "fetch_spectra":
        inputs = {"stars": f["survey_set"], "survey": f["survey"], "datasets": "-"}
        outputs = {"ledger": folder / "archive" / "survey.fits"}
        params |= {
            "source": "local",
            "archives": {"local": {"root": str(folder), "spectra": "none"}},
            "release": "",
        }
    elif step == "catalog":
        inputs = {name: f[name] for name in ("survey", "reference", "matches", "survey_set", "reference_set")}
        inputs |= {"clip": folder / "clip.fits", "calibration": folder / "calibration.json"}
        inputs |= {name: path for name, path in f.items() if name.startswith("rejected")}
        for role, number in chunks.items():
            items = [f"{part}-of-{number}" for part in range(1, number + 1)]
            inputs[f"{role}_labels"] = [folder / "labels" / role / f"{item}.fits" for item in items]
            inputs[f"rejected_{role}"] = [
                folder / "spectra" / role / f"{item}.rejected.fits" for item in items
            ]
        outputs = {"fits": folder / "catalog.fits", "parquet": folder / "catalog.parquet"}
        outputs |= {"ledger": folder / "ledger.parquet", "fates": folder / "fates.csv"}
        outputs["distance"] = folder / "labels" / "distance_sample.fits"
    else:
        inputs = {name: f[name] for name in ("survey", "reference", "distance")}
        inputs |= {"catalog": folder / "catalog.fits", "comparison": folder / "comparison.fits"}
        outputs = {kind: folder / f"{step}.{kind}" for kind in ("pdf", "png")}
        params["paper"] = "ho2017"
    script = "figure" if step.startswith("figure") else step
    job = {"input": Files(**inputs), "output": Files(**outputs), "params": Params(**params)}
    wildcards = SimpleNamespace(study="ho2017", item=f"1-of-{chunks['survey']}")
    config = {"studies": {"ho2017": settings}}
    return script, SimpleNamespace(
        **job, wildcards=wildcards, config=config, rule=step, threads=1, log=[folder / f"{step}.log"]
    )


def run_step(step, folder, chunks, block=BLOCK):
    """Run a step here; seconds, CPU seconds with the imports, and the peak memory of this process [MB]."""
    script, job = job_of(step, folder, chunks)
    (path,) = SCRIPTS.glob(f"*/{script}.py")
    spec = importlib.util.spec_from_file_location(script, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for holder in (module, tables, readers, ledger):
        if hasattr(holder, "BLOCK"):
            holder.BLOCK = min(block, holder.BLOCK)
    # Files as plain names, as Snakemake has them.
    for files in (job.input, job.output):
        for name, value in vars(files).items():
            setattr(files, name, [str(path) for path in value] if isinstance(value, list) else str(value))
    start = time.perf_counter()
    with runtime.job(job.log[0], job.threads):
        module.main(job)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, peak_memory()


def peak_memory():
    """Peak memory of this process [MB]; what the kernel reports as such starts with that of the parent process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no line VmHWM: only Linux is measured")


def measure(step, folder, chunks, block=BLOCK):
    """Run a step in a process of its own."""
    command = [sys.executable, __file__, "--folder", folder, "--step", step, "--chunks", json.dumps(chunks)]
    command = [*map(str, command), "--block", str(block)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        log = folder / f"{step}.log"
        raise SystemExit(f"{step} failed:\n{found.stderr}\n{log.read_text() if log.exists() else ''}")
    return json.loads(found.stdout)


def make_comparison(folder):
    """Reference stars with labels of both surveys, for Figure 3."""
    stars = read_table(folder / "catalogs" / "reference_set.fits")
    table = Table({"trained": np.ones(len(stars), dtype=bool)})
    for name in ("teff", "logg", "fe_h"):
        table[f"{name}_apogee"], table[f"{name}_lamost"] = stars[name], stars[f"{name}_pipeline"]
    write_table(table, folder / "comparison.fits")


def run_all(folder, sizes, chunks, steps=STEPS, block=BLOCK):
    """Make the catalogues, run every step on them, and yield (step, seconds, CPU seconds, MB)."""
    make_catalogues(folder, *sizes)
    for step in steps:
        if step == "catalog":
            make_labels(folder, chunks)
            make_comparison(folder)
        yield step, *measure(step, folder, chunks, block)


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    arguments.add_argument("--survey", type=int, default=2_207_788, help="spectra in the survey's catalogue")
    arguments.add_argument("--labelled", type=int, default=444_228, help="about how many of them get labels")
    arguments.add_argument("--reference", type=int, default=163_278, help="stars of the reference survey")
    arguments.add_argument("--chunks", type=json.loads, default={"reference": 10, "survey": 200})
    arguments.add_argument("--step", choices=STEPS, help="run this step alone, on what is there")
    arguments.add_argument(
        "--block", type=int, default=BLOCK, help="most rows that a step may hold of a table"
    )
    asked = arguments.parse_args()
    if asked.step:
        print(json.dumps(run_step(asked.step, asked.folder, asked.chunks, asked.block)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{'step':14s} {'seconds':>8s} {'CPU s':>8s} {'peak MB':>8s}")
        for step, *numbers in run_all(folder, (asked.survey, asked.labelled, asked.reference), asked.chunks):
            print(f"{step:14s} {numbers[0]:8.1f} {numbers[1]:8.1f} {numbers[2]:8.0f}", flush=True)
        print(f"{count_rows(folder / 'catalog.fits')} stars in the catalogue")


if __name__ == "__main__":
    main()
