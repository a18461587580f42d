"""What every test may use: the folder of real survey files, and seeded random numbers."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.workspaces import wheel

__all__ = ["real_data", "rng", "root", "wheel"]

ROOT = Path(__file__).resolve().parents[1]
# Files of tests/workflow that look at the run of the small study.
SMALL_RUN = {
    f"test_{name}.py"
    for name in (
        "bad_input",
        "conda",
        "faults",
        "kill",
        "machines",
        "provenance",
        "public",
        "report",
        "rules",
        "run_small",
    )
}
FUZZED = pytest.StashKey()  # kind of file -> inputs tried and refused (tests/unit/test_fuzz.py)
REAL = Path(os.environ.get("LABELTRANSFER_REAL_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def root():
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def real_data():
    """The folder of real LAMOST spectra and APOGEE labels; the test is skipped where it is absent."""
    if not (REAL / "lamost_spectra").is_dir():
        pytest.skip(f"no real survey files at {REAL}; set LABELTRANSFER_REAL_DATA")
    return REAL


@pytest.fixture
def rng():
    """A generator that every test starts from the same seed."""
    return np.random.default_rng(20170208)


def pytest_addoption(parser):
    """`--fuzz N`: how many damaged inputs of each kind of file to try."""
    parser.addoption("--fuzz", type=int, metavar="N", help="damaged inputs to try per kind of file")


def pytest_collection_modifyitems(items):
    """What takes longest comes first."""
    order = ("workflow", "hpc", "real", "unit")
    items.sort(key=lambda item: order.index(item.path.relative_to(ROOT / "tests").parts[0]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `-n`, tests that share a run of the workflow, or a Slurm, stay in one process."""
    from xdist.scheduler import LoadScopeScheduling

    class ByRun(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            folder, file = nodeid.partition("::")[0].split("/")[-2:]
            if folder == "hpc":
                return folder
            return "network" if "network" in file else "small" if file in SMALL_RUN else file

    config.option.loadscopereorder = False
    return ByRun(config, log)


def pytest_terminal_summary(terminalreporter, config):
    """Say how many damaged inputs were tried."""
    counts = config.stash.get(FUZZED, {})
    if counts:
        terminalreporter.section("fuzz")
        for kind, count in counts.items():
            terminalreporter.line(f"{kind:28}{count['inputs']:8} inputs,{count['refused']:8} refused")
        terminalreporter.line(f"{'all':28}{sum(count['inputs'] for count in counts.values()):8} inputs")
