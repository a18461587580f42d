"""A run that is killed at several moments and started again gives the bytes of a run that was left alone."""

import contextlib
import hashlib
import os
import time
from collections import Counter
from pathlib import Path

import pytest

SMALL = Path(__file__).with_name("small.yaml")
WATCH = Path(__file__).with_name("watch")


def digests(folder):
    """sha256 of every result that a person would look at, and of the files that labels rest on."""
    study = folder / "results" / "ho2017"
    kinds = ("*.fits", "*.parquet", "*.csv", "*.json", "figures/*.png", "figures/*.pdf", "labels/**/*.fits")
    kinds += ("models/**/*.h5", "spectra/**/*.h5", "validation/*", "catalogs/*.fits")
    paths = {path for kind in kinds for path in study.glob(kind)}
    archive = folder / "results" / "archive" / "mock"
    paths |= {path for path in archive.rglob("*") if path.is_file()}
    return {path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def processes_in(folder):
    """Processes whose working directory is the folder."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if Path(os.readlink(process / "cwd")) == folder:
                found.add(process.name)
    return found


def wait_for_silence(folder, seconds=60):
    """Wait until no process is left in the folder; what was killed takes a moment to go."""
    end = time.monotonic() + seconds
    while processes_in(folder):
        assert time.monotonic() < end, f"processes {processes_in(folder)} go on after the run was killed"
        time.sleep(0.05)


def some(pattern):
    """Tell whether any file matches."""
    return lambda folder: any(folder.glob(pattern))


# When the run is killed, and whether its jobs die with it or go on beside the next run.
MOMENTS = {
    "writing the archive": (some("results/archive/mock/lamost-dr2/spectra/*/*.gz"), True),
    "preparing spectra": (some("results/ho2017/spectra/*/*.h5"), False),
    "training": (some("results/ho2017/models/bootstrap/*.h5"), True),
    "finishing": (some("results/ho2017/catalog.parquet"), True),
}


@pytest.fixture(scope="module")
def killed_run(workspace, tmp_path_factory):
    """A run whose driver is killed at four moments, and in between a job of every script, twice."""
    if not Path("/proc").is_dir():
        pytest.skip("looks for processes in /proc")
    killed, diary = workspace("killed"), tmp_path_factory.mktemp("diary")
    arguments = ("--configfile", SMALL, "--retries", "2")
    watched = {"PYTHONPATH": str(WATCH), "WATCH_DIARY": str(diary), "WATCH_KILLS": "1"}
    for what, (there, jobs_too) in MOMENTS.items():
        assert not there(killed.folder), f"{what}: over before it could be disturbed"
        killed.kill_when(there, *arguments, jobs_too=jobs_too, **watched)
        if jobs_too:
            wait_for_silence(killed.folder)
        assert not (killed.folder / "results" / "ho2017" / "complete.json").exists()
        # The lock of a run that lives no more is for a person to remove, and the message says how.
        assert "--unlock" in killed.fail(*arguments)
        killed.succeed("--configfile", SMALL, "--unlock")
    killed.succeed(*arguments, **watched)
    wait_for_silence(killed.folder)
    return killed, [line.split("\t") for line in (diary / "diary.txt").read_text().splitlines()]


def test_killed_runs_end_with_the_same_bytes(small_run, killed_run):
    killed = killed_run[0]
    expected, found = digests(small_run), digests(killed.folder)
    assert len(expected) > 600
    assert set(found) == set(expected)
    assert [str(path) for path in sorted(expected) if found[path] != expected[path]] == []
    assert "Nothing to be done" in killed.succeed("--configfile", SMALL)


def test_a_job_of_every_stage_was_killed_and_nothing_whole_was_made_anew(small_run, killed_run):
    diary = killed_run[1]
    begun = Counter(line[1] for line in diary if line[0] == "begin")
    struck = Counter(line[1] for line in diary if line[0] == "killed")
    assert len(begun) > 18
    assert set(struck) == set(begun), "a script whose jobs write nothing?"
    # One log for each job of the study; two jobs at most go with each driver.
    jobs = len(list((small_run / "logs").rglob("*.log")))
    assert jobs + struck.total() <= begun.total() <= jobs + struck.total() + 2 * len(MOMENTS)


def test_every_file_is_on_the_disk_before_it_gets_its_name(killed_run):
    killed, diary = killed_run
    renamed = {line[2]: line[0] for line in diary if line[0] in ("fsync", "cached")}
    results = killed.folder / "results"
    files = {str(path.relative_to(killed.folder)) for path in results.rglob("*") if path.is_file()}
    files = {path for path in files if not path.endswith(".snakemake_timestamp")}
    assert len(files) > 650
    assert sorted(files - set(renamed)) == [], "written without a temporary file, or left over"
    # The many files of the mock are sent to the disk together, at the end of their job.
    cached = {line[1] for line in diary if line[0] == "cached"}
    assert cached == {"mock_catalogs", "mock_spectra"}
    assert cached == {line[1] for line in diary if line[0] == "sync"}
