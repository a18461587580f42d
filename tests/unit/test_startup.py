"""What each script loads before it works: every job is a process of its own, and would pay for what it never uses.

A library costs a short job as much as its work (CPU seconds of a fast machine: pandas 0.2, matplotlib 0.3, numba 0.2,
scipy's larger parts 0.2 to 0.4). What is loaded is looked at, not how long it takes.
"""

import subprocess
import sys

import pytest

HEAVY = (
    "astropy",
    "h5py",
    "matplotlib",
    "numba",
    "pandas",
    "pyarrow",
    "requests",
    "scipy.interpolate",
    "scipy.linalg",
    "scipy.ndimage",
    "scipy.optimize",
    "scipy.spatial",
    "scipy.stats",
    "snakemake",
)
KERNELS = {"astropy", "h5py", "numba"}
TABLES = {"astropy"}
FRAMES = {"astropy", "pandas", "pyarrow"}
NEIGHBOURS = {"scipy.spatial", "scipy.linalg"}  # the first loads the second
# Script -> what it may load. The synthesis of spectra needs an environment of its own.
LOADS = {
    "archive/fetch_catalog": TABLES | {"requests"},
    "archive/fetch_example": TABLES,
    "archive/fetch_spectra": TABLES,
    "archive/mock_catalogs": TABLES | {"scipy.ndimage"},
    "archive/mock_spectra": TABLES | {"scipy.ndimage"},
    "archive/reference_catalog": TABLES,
    "archive/survey_catalog": TABLES,
    "cannon/bootstrap": KERNELS,
    "cannon/train": KERNELS,
    "figures/complete": set(),
    "figures/figure": {"matplotlib"},
    "label/catalog": FRAMES,
    "label/label": TABLES | {"h5py"},
    "match/crossmatch": TABLES | NEIGHBOURS,
    "match/select": TABLES,
    "network/compare_methods": FRAMES | {"h5py"},
    "network/cramer_rao": FRAMES,
    "network/d_scale_scan": FRAMES - TABLES,
    "network/shift_test": FRAMES | {"h5py"},
    "network/theory": TABLES | {"h5py"},
    "network/training_set": KERNELS,
    "release/provenance": set(),
    "release/release": set(),
    "release/tables_page": FRAMES - TABLES,
    "release/times": FRAMES - TABLES | {"matplotlib"},
    "spectra/prepare": TABLES | {"h5py"},
    "validate/calibrate": FRAMES,
    "validate/compare": TABLES,
    "validate/cross_validate": KERNELS,
    "validate/published": FRAMES | {"h5py"},
    "validate/recovery_mock": FRAMES,
}
LOOK = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
runpy.run_path(sys.argv[2])
print(*(name for name in sys.argv[3:] if name in sys.modules))
"""


def loaded(root, script):
    """Those of the heavy libraries that a fresh process has loaded once it has the script."""
    path = root / "workflow" / "scripts" / f"{script}.py"
    command = [sys.executable, "-c", LOOK, root / "workflow", path, *HEAVY]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("script", LOADS)
def test_a_script_loads_what_it_needs_alone(root, script):
    assert loaded(root, script) <= LOADS[script]
