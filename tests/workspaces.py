"""Runs of the workflow in folders of their own."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

PARTS = (
    "CITATION.cff",
    "LICENSE",
    "README.md",
    "requirements.txt",
    "Snakefile",
    "config",
    "envs",
    "profiles",
    "resources",
    "workflow",
)
# What uv says where no package index can be reached.
OFFLINE = re.compile(
    r"(?i)connection ?error|error sending request|failed to fetch|dns error|could not connect"
)

# The text that `snakedeploy deploy-workflow` 0.17 writes, with what it fills in.
DEPLOYED = """\
from snakemake.utils import min_version


min_version("6.10.0")


configfile: "config/config.yaml"


# declare {repo} as a module
module {name}:
    snakefile: 
        {snakefile}
    config:
        config


# use all rules from {repo}
use rule * from {name}
"""  # noqa: W291


class Workspace(NamedTuple):
    """A folder that the workflow runs in, as in a fresh clone."""

    folder: Path

    def command(self, *arguments):
        return [sys.executable, "-m", "snakemake", "--cores", "2", *map(str, arguments)]

    def environment(self, **variables):
        # Tools installed beside the interpreter are found, and its library is the only one.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"} | variables

    def snakemake(self, *arguments, **variables):
        """Run to the end; stdout and stderr come together."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )

    def succeed(self, *arguments, **variables):
        """Run to the end, which must be a good one; returns what was printed."""
        run = self.snakemake(*arguments, **variables)
        assert run.returncode == 0, run.stdout[-8000:]
        return run.stdout

    def fail(self, *arguments, **variables):
        """Run, which must end in an error; returns what was printed."""
        run = self.snakemake(*arguments, **variables)
        assert run.returncode != 0, run.stdout[-8000:]
        return run.stdout

    def kill_when(self, there, *arguments, jobs_too=True, **variables):
        """Start a run, and kill it with or without its jobs as soon as `there(folder)` is true."""
        log = self.folder / "killed.log"
        with log.open("ab") as stream:
            run = subprocess.Popen(
                self.command(*arguments),
                cwd=self.folder,
                env=self.environment(**variables),
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
            try:
                while not there(self.folder):
                    try:
                        run.wait(0.05)
                    except subprocess.TimeoutExpired:
                        continue
                    raise AssertionError("the run ended before it was killed:\n" + log.read_text()[-8000:])
                (os.killpg if jobs_too else os.kill)(run.pid, signal.SIGKILL)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(run.pid, signal.SIGKILL)
                raise
            finally:
                run.wait()


@pytest.fixture(scope="session")
def wheel(root, tmp_path_factory):
    """The package, built from a copy of the repository; skipped where what builds it cannot be had."""
    if shutil.which("uv", path=Workspace(root).environment()["PATH"]) is None:
        pytest.skip("uv is not installed: pip install --requirement requirements-test.txt")
    folder = tmp_path_factory.mktemp("package")
    source = shutil.copytree(
        root, folder / "source", ignore=shutil.ignore_patterns(".*", "results", "tests", "logs")
    )
    # An archive of the sources first and the package from that, so that both are known to be whole.
    command = ["uv", "build", "--quiet", "--out-dir", folder / "built", source]
    run = subprocess.run(command, env=Workspace(root).environment(), capture_output=True, text=True)
    if run.returncode and OFFLINE.search(run.stderr):
        pytest.skip("setuptools, which builds the package, cannot be reached")
    assert run.returncode == 0, run.stderr
    return next((folder / "built").glob("*.whl"))


@pytest.fixture(scope="session")
def clone(root, tmp_path_factory):
    """The parts of the repository that a run needs, in another place."""
    folder = tmp_path_factory.mktemp("clone")
    for part in PARTS:
        copy = shutil.copytree if (root / part).is_dir() else shutil.copy2
        copy(root / part, folder / part)
    return folder


@pytest.fixture(scope="session")
def workspace(clone, tmp_path_factory):
    """Make workspaces: `workspace(name)`."""

    def make(name):
        folder = tmp_path_factory.mktemp(name)
        for part in PARTS:
            (folder / part).symlink_to(clone / part)
        return Workspace(folder)

    return make


def with_results_of(folder, made):
    """A workspace with the results, logs and records of a run in another folder; returns the workspace.

    Files are shared, which does no harm: whatever is written takes the place of a file and does not change it.
    """
    for part in ("results", "logs"):
        shutil.copytree(folder / part, made.folder / part, copy_function=os.link)
    shutil.copytree(folder / ".snakemake", made.folder / ".snakemake", ignore=shutil.ignore_patterns("locks"))
    return made


@pytest.fixture(scope="session")
def repository(clone, tmp_path_factory):
    """A git repository of the workflow, with the branch main and one whose version is another."""
    folder = tmp_path_factory.mktemp("git") / "repository"
    shutil.copytree(clone, folder)

    def git(*arguments):
        who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
        subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)

    git("init", "--initial-branch", "main")
    git("add", ".")
    git("commit", "--message", "all")
    git("checkout", "-b", "later")
    file = folder / "workflow" / "labeltransfer" / "__init__.py"
    file.write_text(re.sub('__version__ = ".*"', '__version__ = "99.0.0"', file.read_text()))
    git("commit", "--all", "--message", "later")
    git("checkout", "main")
    return folder


@pytest.fixture(scope="session")
def library(wheel, tmp_path_factory):
    """The library as it is installed beside Snakemake, in the form of an environment variable."""
    folder = tmp_path_factory.mktemp("library")
    command = ["uv", "pip", "install", "--quiet", "--no-deps", "--target", folder, wheel]
    subprocess.run(command, env=Workspace(folder).environment(), check=True)
    return {"PYTHONPATH": str(folder)}


def snakefile_in(repository, branch="main"):
    """The place of the Snakefile in a git repository, as Snakemake takes it."""
    return f"git+file://{repository}/workflow/Snakefile@{branch}"
