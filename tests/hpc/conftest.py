"""A Slurm of one node, and runs of the workflow that go on side by side: most of their time is waiting."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.hpc.one_node import Slurm, install, one_node
from tests.workspaces import clone, workspace

__all__ = ["clone", "faults", "local_run", "slurm", "start", "workspace"]

HERE = Path(__file__).parent
# No accounting database means no sacct to ask; and who waits little at first waits little between the first looks.
PROFILES = {
    "slurm": ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"),
    "cluster": ("--seconds-between-status-checks", "2"),
}


@pytest.fixture(scope="session")
def slurm():
    """A running Slurm, installed if need be; the test is skipped where that cannot be."""
    reason = install()
    if reason:
        pytest.skip(reason)
    with one_node() as running:
        yield running


class Run(NamedTuple):
    """A run of the workflow that goes on by itself."""

    process: subprocess.Popen
    folder: Path
    slurm: Slurm

    def said(self):
        """What it has printed so far."""
        return (self.folder / "run.log").read_text()

    def states(self, comment=None):
        """States of the jobs that it has submitted, the first first; of all, or of those with a comment."""
        submitted = re.findall(r"(?:SLURM jobid |SLURM job ID |external jobid ')(\d+)", self.said())
        # A task of an array is its job's number with one of its own.
        jobs = [job for job in self.slurm.jobs() if job.number.partition("_")[0] in submitted]
        return [job.state for job in jobs if comment in (None, job.comment)]

    def succeed(self, seconds=1800):
        """Wait for the end, which must be a good one; returns what was printed."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running:\n{self.said()[-6000:]}\n{self.slurm.report()}") from None
        assert self.process.returncode == 0, f"{self.said()[-8000:]}\n{self.slurm.report()}"
        return self.said()


@pytest.fixture(scope="session")
def start(slurm, workspace):
    """Start runs in folders of their own: `start(name, profile, *arguments)`; without profile on this machine alone."""
    runs = []

    def new_run(name, profile, *arguments):
        folder = workspace(name).folder
        how = ("--profile", f"profiles/{profile}", *PROFILES[profile]) if profile else ("--cores", "2")
        # The folder with this Slurm's srun comes first, then the tools beside the interpreter.
        first, rest = slurm.environment["PATH"].split(os.pathsep, 1)
        path = os.pathsep.join([first, str(Path(sys.executable).parent), rest])
        with (folder / "run.log").open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *how, *map(str, arguments)],
                cwd=folder,
                env=slurm.environment | {"PATH": path, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        runs.append(Run(process, folder, slurm))
        return runs[-1]

    yield new_run
    for run in runs:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
            run.process.wait()


@pytest.fixture(scope="session")
def local_run(start):
    """The small study on this machine alone."""
    return start("local", None, "--configfile", HERE / "small.yaml")


@pytest.fixture(scope="session")
def faults(start):
    """Two jobs through Slurm that are killed at their first attempt."""
    return start("faults", "slurm", "--snakefile", HERE / "faults.smk")
