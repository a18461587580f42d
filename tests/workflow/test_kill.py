"""A run that is killed at several moments and started again gives the bytes of a run that was left alone."""

import hashlib
import os
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
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(process / "cwd")) == folder:
                found.append(process.name)
        except OSError:
            continue
    return found


def some(pattern):
    """Tell whether any file matches."""
    return lambda folder: any(folder.glob(pattern))


MOMENTS = (
    some("results/archive/mock/lamost-dr2/spectra/*/*.gz"),
    some("results/ho2017/spectra/*/*.h5"),
    some("results/ho2017/models/bootstrap/*.h5"),
    some("results/ho2017/figures/*.png"),
)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for stray processes in /proc")
def test_killed_runs_end_with_the_same_bytes(small_run, workspace):
    killed = workspace("killed")
    for there in MOMENTS:
        assert not there(killed.folder)
        assert killed.kill_when(there, "--configfile", SMALL) == -9
        assert processes_in(killed.folder) == []
        assert not (killed.folder / "results" / "ho2017" / "complete.json").exists()
        # What the message of the next run asks for: the lock of a run that lives no more.
        assert "unlock" in killed.fail("--configfile", SMALL)
        killed.succeed("--configfile", SMALL, "--unlock")
    killed.succeed("--configfile", SMALL)
    expected, found = digests(small_run), digests(killed.folder)
    assert len(expected) > 700
    assert set(found) == set(expected)
    assert [str(path) for path in sorted(expected) if found[path] != expected[path]] == []
    assert "Nothing to be done" in killed.succeed("--configfile", SMALL)
