"""What disks, archives and people do to a run: a clear error, nothing half taken for whole, a good end afterwards."""

import itertools
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from labeltransfer.files.tables import read_table
from tests.misbehaving_server import serve
from tests.workflow.test_kill import SMALL, digests
from tests.workflow.test_public import APOGEE, SPECTRA, TOKEN, published, sha256, write_settings

__all__ = ["published"]

STORE = "results/ho2017/spectra/survey/1-of-2.h5"
LABELS = "results/ho2017/labels/survey/1-of-2.fits"
REPLICATE = "results/ho2017/models/bootstrap/1.h5"


@pytest.fixture
def branch(small_run, workspace, request):
    """A workspace that goes on from a copy of the finished small run."""
    made = workspace(request.node.originalname)
    for part in ("results", "logs", ".snakemake"):
        shutil.copytree(small_run / part, made.folder / part, symlinks=True)
    return made


def jobs_of(printed):
    """Rules whose jobs were finished, as printed."""
    return [line.split("Rule: ")[1].rstrip(")") for line in printed.splitlines() if "Finished jobid" in line]


def partial_files(folder):
    """Files that a writer left unfinished."""
    return list((folder / "results").rglob(".part-*"))


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    """Flip a bit in the middle; the time of the last change stays, as when a disk rots."""
    status = path.stat()
    with open(path, "r+b") as file:
        file.seek(status.st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 4]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    ("damaged", "damage", "rule"),
    [(STORE, truncate, "prepare"), (STORE, flip, "prepare"), (REPLICATE, flip, "bootstrap")],
    ids=["truncated store", "flipped store", "flipped model"],
)
def test_damaged_hdf5_is_noticed_and_made_anew(branch, small_run, damaged, damage, rule):
    (branch.folder / LABELS).unlink()
    damage(branch.folder / damaged)
    arguments = (LABELS, "--configfile", SMALL, "--rerun-triggers", "input", "params", "code")
    printed = branch.fail(*arguments)
    assert f"{damaged}: damaged" in printed
    assert "elete it and" in printed
    assert not (branch.folder / LABELS).exists()
    (branch.folder / damaged).unlink()
    assert sorted(jobs_of(branch.succeed(*arguments))) == sorted([rule, "label"])
    for path in (damaged, LABELS):
        assert sha256(branch.folder / path) == sha256(small_run / path)


@pytest.fixture
def mounted():
    """Mount a file system in memory at a folder; needs root."""
    places = []

    def mount(place, options):
        if not places:
            place.mkdir(parents=True)
            if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place]).returncode:
                pytest.skip("mounting a small disk needs root")
            places.append(place)
        subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)

    yield mount
    for place in places:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize(
    ("sick", "well", "message"),
    [("size=512k", "size=64m", "No space left on device"), ("ro", "rw", "Read-only file system")],
    ids=["full disk", "read-only"],
)
def test_a_disk_that_takes_nothing_more(branch, small_run, mounted, sick, well, message):
    folder = branch.folder / "results" / "ho2017" / "spectra" / "survey"
    shutil.rmtree(folder)
    mounted(folder, sick)
    arguments = (STORE, "--configfile", SMALL)
    printed = branch.fail(*arguments)
    assert f"{STORE}: cannot be written" in printed or sick == "ro"
    assert message in printed
    assert [path.name for path in folder.iterdir()] == []
    mounted(folder, well)
    branch.succeed(*arguments)
    assert sha256(branch.folder / STORE) == sha256(small_run / STORE)


def test_an_archive_that_is_down_and_one_that_changes_its_mind(workspace, published, root):
    made = workspace("down")
    chunk = "results/ho2017/archive/survey/1-of-2.fits"
    arguments = (chunk, "--configfile", "public.yaml", "--resources", "downloads=1")
    down = {"*": itertools.repeat("503")}
    with serve(published[0], dict(down), token=TOKEN) as lamost, serve(published[1], dict(down)) as apogee:
        checksum = sha256(published[1] / APOGEE[1:] / "allStar-v603.fits")
        write_settings(made.folder, root, lamost.url, apogee.url, checksum, retries=0)

        def run(succeed=True):
            for server in (lamost, apogee):
                server.counts.clear()
                server.pending.clear()
            return (made.succeed if succeed else made.fail)(*arguments, LAMOST_TOKEN=TOKEN)

        # Down for the whole of the first run.
        printed = run(succeed=False)
        assert "server answered 503" in printed
        assert "Run again later" in printed
        assert not list((made.folder / "results").rglob("*.fits"))

        # Up for the catalogues, down again for the spectra.
        lamost.faults, apogee.faults = {f"{SPECTRA}*": itertools.repeat("503")}, {}
        printed = run(succeed=False)
        assert "run again later to fetch the rest" in printed
        assert not (made.folder / chunk).exists()

        # Up: what is missing is fetched once, and nothing else.
        lamost.faults = {}
        assert jobs_of(run()) == ["fetch_spectra"]
        assert apogee.counts.total() == 0
        assert set(lamost.counts.values()) == {1}
        before = read_table(made.folder / chunk)
        assert (before["status"] == "ok").mean() > 0.9

        # The same name stands for other bytes now: what is here stays, and is not asked for again.
        good = np.flatnonzero(before["status"] == "ok")
        changed, other = (Path(before["path"][good[number]]) for number in (0, 1))
        name = f"{SPECTRA}{changed.parent.name}/{changed.name}"
        lamost.routes[name] = made.folder / other
        assert "Nothing to be done" in run()
        arguments += ("--forcerun", "fetch_spectra")
        run()
        assert name not in lamost.counts
        assert list(read_table(made.folder / chunk)["sha256"]) == list(before["sha256"])

        # Lost here and fetched again, it is the archive's new file, and the ledger says so.
        (made.folder / changed).unlink()
        run()
        assert lamost.counts[name] == 1
        after = read_table(made.folder / chunk)
        assert np.flatnonzero(after["sha256"] != before["sha256"]).tolist() == [good[0]]
    assert list(after["spectrum_id"]) == list(before["spectrum_id"])


def test_of_two_runs_at_once_the_second_is_refused(branch, small_run):
    study = branch.folder / "results" / "ho2017"
    for folder in (study / "spectra" / "survey", study / "labels" / "survey"):
        shutil.rmtree(folder)
    (study / "catalog.fits").unlink()
    arguments = ("results/ho2017/catalog.fits", "--configfile", SMALL)
    locks = branch.folder / ".snakemake" / "locks"
    with (branch.folder / "first.log").open("w") as log:
        first = subprocess.Popen(
            branch.command(*arguments),
            cwd=branch.folder,
            env=branch.environment(),
            stdout=log,
            stderr=log,
        )
        try:
            while not any(locks.glob("*")):
                assert first.poll() is None
                time.sleep(0.05)
            printed = branch.fail(*arguments)
            assert "Directory cannot be locked" in printed
            assert first.wait(600) == 0, (branch.folder / "first.log").read_text()[-5000:]
        finally:
            first.kill()
            first.wait()
    assert digests(branch.folder) == digests(small_run)
    assert partial_files(branch.folder) == []
