"""A run that is killed at several moments and started again gives the bytes of a run that was left alone."""

import contextlib
import hashlib
import os
import time
from pathlib import Path

import pytest

SMALL = Path(__file__).with_name("small.yaml")


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


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_killed_runs_end_with_the_same_bytes(small_run, workspace):
    killed = workspace("killed")
    for what, (there, jobs_too) in MOMENTS.items():
        assert not there(killed.folder), f"{what}: over before it could be disturbed"
        killed.kill_when(there, "--configfile", SMALL, jobs_too=jobs_too)
        if jobs_too:
            wait_for_silence(killed.folder)
        assert not (killed.folder / "results" / "ho2017" / "complete.json").exists()
        # The lock of a run that lives no more is for a person to remove, and the message says how.
        assert "--unlock" in killed.fail("--configfile", SMALL)
        killed.succeed("--configfile", SMALL, "--unlock")
    killed.succeed("--configfile", SMALL)
    wait_for_silence(killed.folder)
    expected, found = digests(small_run), digests(killed.folder)
    assert len(expected) > 600
    assert set(found) == set(expected)
    assert [str(path) for path in sorted(expected) if found[path] != expected[path]] == []
    assert "Nothing to be done" in killed.succeed("--configfile", SMALL)
