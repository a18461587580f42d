"""What every test may use: the folder of real survey files, and seeded random numbers."""

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
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


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items):
    """What takes longest first; tests that share a run of the workflow, or a Slurm, in one process of `-n`."""
    order = ("workflow", "hpc", "real", "unit")
    parts = {item: item.path.relative_to(ROOT / "tests").parts for item in items}
    items.sort(key=lambda item: order.index(parts[item][0]))
    for item, (folder, file, *_) in parts.items():
        item.add_marker(pytest.mark.xdist_group(folder if folder in ("workflow", "hpc") else file))


def pytest_terminal_summary(terminalreporter, config):
    """Say how many damaged inputs were tried."""
    counts = config.stash.get(FUZZED, {})
    if counts:
        terminalreporter.section("fuzz")
        for kind, count in counts.items():
            terminalreporter.line(f"{kind:28}{count['inputs']:8} inputs,{count['refused']:8} refused")
        terminalreporter.line(f"{'all':28}{sum(count['inputs'] for count in counts.values()):8} inputs")
