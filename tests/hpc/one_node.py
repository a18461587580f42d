"""A Slurm of one node on the loopback interface, in a folder of its own, beside any other that there may be."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
PACKAGES = ("slurm-wlm", "munge")
APT = (
    "apt-get",
    "-o",
    "Acquire::Retries=1",
    "-o",
    "Acquire::http::Timeout=30",
    "-o",
    "DPkg::Lock::Timeout=120",
)


def missing_programs():
    """Programs of Slurm and munge that are not installed."""
    return [program for program in PROGRAMS if not shutil.which(program)]


def install():
    """Install Slurm and munge where they are missing; returns the reason where that cannot be, or None."""
    if os.geteuid() != 0:
        return "Slurm's daemons can be started by root only"
    if not missing_programs():
        return None
    if not shutil.which("apt-get"):
        return f"no {', '.join(missing_programs())} here, and no apt-get that could install them"
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(
            [*APT, *arguments],
            env=quiet,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
    if missing_programs():
        return f"apt-get could not install {', '.join(missing_programs())}: {done.stdout.strip()[-300:]}"
    return None


def free_ports(number):
    """Ports of the loopback interface that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Job(NamedTuple):
    """A job that Slurm has or had."""

    number: str
    state: str
    comment: str


class Slurm(NamedTuple):
    """A running Slurm: the folder with all its files, and the environment in which its commands find it."""

    folder: Path
    environment: dict

    def command(self, *arguments, check=True):
        """Give one of Slurm's commands; returns what it prints."""
        done = subprocess.run(
            arguments,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert not check or done.returncode == 0, f"{' '.join(arguments)}: {done.stdout}\n{self.report()}"
        return done.stdout

    def jobs(self):
        """Every job that there was, the first first."""
        rows = self.command(
            "squeue", "--noheader", "--states=all", "--sort=i", "--format=%i %T %k"
        ).splitlines()
        return [Job(*row.split(maxsplit=2)) for row in rows]

    def node(self):
        """State of the node, or why it is not known."""
        return self.command("sinfo", "--noheader", "--Node", "--format=%T", check=False).strip()

    def set_node(self, state):
        """Drain the node, or let it work again."""
        self.command("scontrol", "update", "nodename=localhost", f"state={state}", "reason=test")

    def wait_until(self, true, what, seconds=180):
        """Wait until a function of no arguments is true."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"not within {seconds} s: {what}\n{self.report()}"
            time.sleep(0.3)

    def report(self, lines=40):
        """What there is to know of a Slurm that does not do what it should."""
        said = [
            self.command(name, *options, check=False)
            for name, *options in (["squeue", "--states=all"], ["sinfo"])
        ]
        for path in sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")]):
            said += [f"--- {path.name}", *path.read_text(errors="replace").splitlines()[-lines:]]
        return "\n".join(said)


def configure(folder, cpus, memory):
    """Write all that the daemons and commands need into a folder."""
    for name in ("controller", "node"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    controller_port, node_port = free_ports(2)
    values = {
        "folder": folder,
        "hostname": socket.gethostname().partition(".")[0],
        "controller_port": controller_port,
        "node_port": node_port,
        "cpus": cpus,
        "memory": memory,
    }
    configuration = folder / "slurm.conf"
    configuration.write_text(Path(__file__).with_name("slurm.conf").read_text().format(**values))
    # Jobs call srun without the variables of Slurm, and this configuration is not where srun looks by itself.
    srun = folder / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={configuration} exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)
    # Tests may themselves run in a job of another Slurm.
    others = ("SLURM_", "SBATCH_", "SRUN_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    path = os.pathsep.join([str(folder), environment["PATH"]])
    return Slurm(folder, environment | {"SLURM_CONF": str(configuration), "PATH": path})


@contextlib.contextmanager
def one_node(cpus=4, memory=24_000):
    """Start munged, slurmctld and slurmd; in the end stop the jobs and the daemons, and remove all their files."""
    daemons = []

    def daemon(name, *options):
        with (slurm.folder / f"{name}.out").open("wb") as out:
            streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out}
            daemons.append(subprocess.Popen([name, *options], env=slurm.environment, **streams))

    # Not pytest's folder, because the name of a socket has at most 107 letters.
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder:
        slurm = configure(Path(folder), cpus, memory)
        try:
            files = [f"--{kind}-file={folder}/munge.{kind}" for kind in ("key", "pid", "seed", "log")]
            daemon("munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *files)
            slurm.wait_until((slurm.folder / "munge.socket").exists, "munged is there", seconds=30)
            daemon("slurmctld", "-D")
            daemon("slurmd", "-D")
            slurm.wait_until(lambda: slurm.node() == "idle", "the node is idle", seconds=120)
            yield slurm
            slurm.command("scancel", "--user=root")
            on = {"RUNNING", "COMPLETING"}
            slurm.wait_until(lambda: not any(job.state in on for job in slurm.jobs()), "no job runs", 60)
        finally:
            for process in reversed(daemons):
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
