"""What every test may use: the folder of real survey files, and seeded random numbers."""

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
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
