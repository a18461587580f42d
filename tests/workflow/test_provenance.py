"""What every file says of its own making, and the deposit that packs them all."""

import hashlib
import importlib
import json
import re
import shutil
import socket
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from labeltransfer import __version__
from labeltransfer.files.deposit import code_files
from labeltransfer.files.provenance import read_provenance
from labeltransfer.files.tables import write_table
from labeltransfer.settings import FLOORS
from labeltransfer.sources import datasets
from labeltransfer.sources import public as public_archive
from tests.workspaces import with_results_of

SMALL = Path(__file__).with_name("small.yaml")
NETWORK_SMALL = SMALL.with_name("network_small.yaml")
STUDY = "results/ho2017"
# Drawn before there are labels.
EARLY = tuple(f"figure_{number}.{kind}" for number in ("02", "10") for kind in ("pdf", "png"))
ZIP = f"results/release/survey-label-transfer-{__version__}-mock.zip"


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def record(small_run):
    return json.loads((small_run / STUDY / "provenance.json").read_text())


# What files say.


def test_every_final_file_is_in_the_record_with_its_checksum(small_run, record):
    manifest = json.loads((small_run / STUDY / "complete.json").read_text())
    assert record["outputs"] == manifest["files"]
    assert record["archive"] == record["settings"]["source"] == "mock"
    assert {name: about["sha256"] for name, about in record["outputs"].items()} == {
        name: sha256(small_run / name) for name in record["outputs"]
    }


def test_the_record_says_settings_seed_code_and_software(small_run, record):
    assert record["settings"]["seed"] == 20170208
    assert record["settings"]["study"]["validation"]["bootstrap"] == 3
    assert record["settings"]["archives"]["mock"]["releases"]["dr2"]["n_reference"] == 250
    assert set(record["code"]) == {*FLOORS, "base", "scripts"}
    assert record["code"].items() >= read_provenance(small_run / STUDY / "catalog.fits")["code"].items()
    assert record["labeltransfer"] == __version__
    assert {"numpy", "scipy", "astropy", "pandas", "h5py", "numba", "pyarrow"} <= set(record["packages"])
    assert all(re.match(r"\d+\.\d", version) for version in record["packages"].values())


def test_the_record_leads_back_to_the_archive_and_to_facts(small_run, record):
    archive = "results/archive/mock/lamost-dr2/catalogs"
    expected = {f"{archive}/lamost_mock.fits.gz", f"{archive}/apogee_mock.fits"}
    expected |= {
        "resources/masks/telluric.csv",
        "resources/published/ho2017.csv",
        "resources/starting_points.csv",
    }
    assert expected <= set(record["inputs"])
    assert not any(name.startswith(STUDY) for name in record["inputs"])
    everything = record["inputs"] | record["intermediate"]
    assert len(record["intermediate"]) > 20
    assert everything == {name: sha256(small_run / name) for name in everything}
    # From every table and figure a way leads back to the catalogues of the archive.
    for name in record["outputs"]:
        seen, todo = set(), [name]
        while todo:
            here = todo.pop()
            seen.add(here)
            todo += set(record["made_from"].get(here, [])) - seen
        wanted = {f"{archive}/lamost_mock.fits.gz"} if name.endswith(EARLY) else expected
        assert wanted - {"resources/published/ho2017.csv"} <= seen, name
    assert "resources/published/ho2017.csv" in record["made_from"][f"{STUDY}/published_vs_here.csv"]


def test_every_file_on_the_way_says_what_it_was_made_from_or_the_rules_do(record):
    assert all(record["made_from"].values())
    assert set(record["outputs"]) <= set(record["made_from"])
    assert set(record["intermediate"]) <= set(record["made_from"])
    # Whatever stands there has a checksum.
    read = {name for inputs in record["made_from"].values() for name in inputs}
    assert read <= set(record["inputs"]) | set(record["intermediate"])


def test_the_rules_say_what_tables_of_a_network_study_were_made_from(workspace):
    made = workspace("silent")
    (made.folder / "silent.smk").write_text(
        'import json\ninclude: "workflow/Snakefile"\n'
        'print("silent", json.dumps(silent_files("ting2017", "")), file=sys.stderr)\n'
    )
    printed = made.succeed("--snakefile", "silent.smk", "--dry-run", "--configfile", NETWORK_SMALL)
    silent = json.loads(re.search(r"^silent (.*)$", printed, re.M)[1])
    assert all(silent.values())
    study = "results/ting2017"
    tables = (
        "published_vs_here",
        "cramer_rao",
        "shift_test",
        "d_scale_scan",
        "gradient_correlation",
        "fates",
    )
    assert {f"{study}/{name}.csv" for name in tables} <= set(silent)
    # Those on the way too, as far as the spectra of the theory.
    assert f"{study}/models/ridge_prior.csv" in silent[f"{study}/validation/d_scale/00.csv"]
    assert f"{study}/models/theory.fits" in silent[f"{study}/models/ridge_prior.csv"]
    assert f"{study}/validation/gradients.fits" in silent[f"{study}/cramer_rao.csv"]
    labels = [name for name in silent[f"{study}/validation/calibration.json"] if "/labels/reference/" in name]
    assert len(labels) == 2


def test_another_script_is_another_code_in_the_record_and_reruns_nothing_else(workspace, small_run, record):
    made = with_results_of(small_run, workspace("edited"))
    workflow = made.folder / "workflow"
    original = workflow.resolve()
    workflow.unlink()
    shutil.copytree(original, workflow)
    with (workflow / "scripts" / "figures" / "complete.py").open("a") as file:
        file.write("# edited\n")
    made.succeed(f"{STUDY}/provenance.json", "--configfile", SMALL)
    edited = json.loads((made.folder / STUDY / "provenance.json").read_text())
    assert edited["code"].pop("scripts") != record["code"]["scripts"]
    assert edited["code"].items() <= record["code"].items()
    assert edited | {"code": 0} == record | {"code": 0}


def test_every_format_with_room_carries_its_own_provenance(small_run):
    files = [
        path for path in (small_run / STUDY).rglob("*") if path.suffix in (".fits", ".parquet", ".h5", ".png")
    ]
    silent = [path for path in files if read_provenance(path) is None]
    assert silent == []
    assert len(files) - len(silent) > 40
    for path in (small_run / STUDY / "figures").glob("*.png"):
        about = json.loads(Image.open(path).text["Provenance"])
        assert about == read_provenance(path) == read_provenance(path.with_suffix(".pdf"))
        assert about["settings"]["source"] == "mock"
        assert about["inputs"] == {name: sha256(small_run / name) for name in about["inputs"]}
        assert "matplotlib" in about["packages"]
        assert b"/Keywords" in path.with_suffix(".pdf").read_bytes()


def test_ledgers_of_spectra_are_the_same_however_long_it_took(root, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "workflow" / "scripts" / "archive"))
    script = importlib.import_module("fetch_spectra")
    monkeypatch.chdir(tmp_path)
    write_table(Table({"spectrum_id": ["a.fits", "b.fits"]}), "stars.fits")
    digests = set()
    for attempts, seconds, status in ((1, 0.5, "ok"), (3, 70.0, "ok"), (0, 0.1, "present")):
        came = Table(
            {"path": ["p/a.fits.gz"], "status": [status], "reason": ["-"], "bytes": [5], "sha256": ["0"]}
        )
        came["attempts"], came["seconds"], came["url"] = attempts, seconds, "http://server/a"
        monkeypatch.setattr(
            public_archive, "fetch_spectra", lambda block, *_, came=came, **options: came[[0, 0]]
        )
        monkeypatch.setattr(datasets, "read_datasets", lambda path: {})
        public = {"folder": "archive", "lamost_mirror": None, "concurrency": 1, "retries": 0, "deadline": 1}
        script.main(
            SimpleNamespace(
                input=SimpleNamespace(stars="stars.fits", datasets="stars.fits"),
                output=SimpleNamespace(ledger="ledger.fits"),
                params=SimpleNamespace(source="public", release="dr2", archives={"public": public}, code={}),
                wildcards=SimpleNamespace(item="1-of-1"),
            )
        )
        digests.add(sha256("ledger.fits"))
    assert len(digests) == 1
    about = read_provenance("ledger.fits")
    assert about["inputs"] == {"stars.fits": sha256("stars.fits")}
    assert about["settings"] == {"source": "public", "release": "dr2"}
    assert about["labeltransfer"] == __version__


def test_nothing_says_when_where_or_on_which_machine(small_run, record, root):
    text = json.dumps(record)
    for path in (small_run / STUDY).rglob("*.png"):
        text += json.dumps(read_provenance(path))
    for stranger in (str(small_run), str(root), str(Path.home()) + "/", socket.gethostname() + "."):
        assert stranger not in text
    assert not re.search(r"20\d\d-\d\d-\d\d|\d\d:\d\d:\d\d", text)


# The deposit.


def test_the_code_of_a_deposit_has_what_its_documents_build(root):
    names = set(code_files(root))
    assert {
        "workflow/Snakefile",
        "requirements.txt",
        "setup.py",
        "docs/containers.md",
        "Dockerfile",
        ".dockerignore",
    } <= names
    assert not [name for name in names if "/." in name or "__pycache__" in name or name.startswith("results")]


@pytest.fixture(scope="module")
def deposit(workspace, small_run):
    made = with_results_of(small_run, workspace("deposit"))
    made.succeed("release", "--configfile", SMALL)
    return made.folder / ZIP


@pytest.fixture(scope="module")
def unpacked(deposit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(deposit) as archive:
        archive.extractall(folder)
    return folder / deposit.stem


def test_checksums_of_the_deposit_are_those_of_its_files(unpacked):
    run = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"],
        cwd=unpacked,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    listed = {line[66:] for line in (unpacked / "SHA256SUMS").read_text().splitlines()}
    files = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert files == listed | {"SHA256SUMS"}


def test_the_deposit_has_code_configuration_results_and_their_description(unpacked, record):
    there = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    expected = {"README.md", "LICENSE", "CITATION.cff", ".zenodo.json", "config/as_run.json"}
    expected |= {
        f"code/{name}"
        for name in ("workflow/Snakefile", "workflow/labeltransfer/runtime.py", "requirements.txt")
    }
    expected |= {
        *record["outputs"],
        f"{STUDY}/complete.json",
        f"{STUDY}/provenance.json",
        f"{STUDY}/models/cannon.h5",
    }
    assert expected <= there
    assert not [
        name for name in there if "__pycache__" in name or name.endswith(".pyc") or ".snakemake/" in name
    ]
    assert (
        json.loads((unpacked / "config/as_run.json").read_text())["studies"]["ho2017"]["validation"]["folds"]
        == 3
    )
    about = json.loads((unpacked / ".zenodo.json").read_text())
    assert {"title", "description", "creators", "license", "upload_type", "version"} <= set(about)
    assert "not observations" in about["description"]
    assert any("Ho, Anna" in reference and "836" in reference for reference in about["references"])
    readme = (unpacked / "README.md").read_text()
    assert "mock archive" in readme
    assert "`results/ho2017/`" in readme


def test_what_is_unpacked_plans_the_run_that_made_it(unpacked, workspace, tmp_path):
    shutil.copytree(unpacked / "code", tmp_path / "code")
    made = workspace("unpacked")._replace(folder=tmp_path / "code")
    printed = made.succeed("--dry-run", "--quiet", "rules", "--configfile", unpacked / "config/as_run.json")
    assert re.search(r"^figure_12 +1$", printed, re.M)
    assert re.search(r"^mock_spectra +2$", printed, re.M)


def test_the_deposit_has_the_same_bytes_in_another_place(deposit, workspace, small_run):
    other = with_results_of(small_run, workspace("elsewhere"))
    (other.folder / "notes.txt").write_text("no part of it\n")
    other.succeed("release", "--configfile", SMALL)
    assert sha256(other.folder / ZIP) == sha256(deposit)
    with zipfile.ZipFile(deposit) as archive:
        entries = archive.infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert [entry.filename for entry in entries[:-1]] == sorted(entry.filename for entry in entries[:-1])
    assert not any(".." in entry.filename or entry.filename.startswith("/") for entry in entries)


# Where the time goes.


def test_times_of_all_jobs_are_gathered(workspace, small_run):
    made = with_results_of(small_run, workspace("times"))
    printed = made.succeed("times", "--configfile", SMALL)
    assert re.search(r"^all \d+ jobs: \d+ s of wall time", printed, re.MULTILINE)
    assert "the 10 longest jobs:" in printed
    lines = (made.folder / "results/times/times.csv").read_text().splitlines()
    table = {
        line.split(",")[0]: dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]
    }
    jobs = {rule: int(row["jobs"]) for rule, row in table.items()}
    expected = {
        "prepare": 5,
        "label": 5,
        "mock_spectra": 2,
        "bootstrap": 1,
        "train": 1,
        "figure_12": 1,
        "catalog": 1,
    }
    assert {rule: jobs.get(rule) for rule in expected} == expected
    assert all(float(row["wall_s"]) >= float(row["longest_s"]) > 0 for row in table.values())
    with Image.open(made.folder / "results/times/times.png") as image:
        assert np.asarray(image.convert("L")).std() > 5
