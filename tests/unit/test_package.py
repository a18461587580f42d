"""The library as a package: one version, what it needs, and that it works where the repository is not."""

import re
import subprocess
import sys
import tomllib

import numpy
import pytest
import yaml
from packaging.requirements import Requirement

import labeltransfer
from tests.workspaces import Workspace

PIN = re.compile(r"^([a-z0-9-]+)==([^ \\]+)", re.M)
# Imports every module of the installed library, but for an optional package, and reads what comes with it.
USE = """
import importlib, pkgutil, sys
import labeltransfer
from labeltransfer.files.places import library_file
from labeltransfer.sources.datasets import read_datasets
from labeltransfer.settings import validate_config
import yaml

names = [one.name for one in pkgutil.walk_packages(labeltransfer.__path__, "labeltransfer.")]
for name in names:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] != "pysme":
            raise
assert len(read_datasets(library_file("resources/datasets.csv"))) > 3
config = yaml.safe_load(library_file("config/config.yaml").read_text())
validate_config(config, library_file("config/schemas/config.schema.yaml"))
assert library_file("resources/ab_initio/spectra_r1800.fits").stat().st_size > 1e6
print(labeltransfer.__version__, labeltransfer.__file__, len(names))
"""


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


def test_the_version_stands_in_one_place(root, project):
    version = labeltransfer.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert "version" in project["dynamic"]
    assert "version" not in project
    assert yaml.safe_load((root / "CITATION.cff").read_text())["version"] == version
    assert re.search(r"^## (\S+)", (root / "CHANGELOG.md").read_text(), re.M)[1] == version


def test_the_package_asks_for_what_the_driver_has(root, project):
    extras = project["optional-dependencies"]
    asked = [Requirement(text) for text in project["dependencies"] + extras["workflow"] + extras["fast"]]
    wanted = re.findall(r"^([a-z0-9-]+)", (root / "requirements.in").read_text(), re.M)
    assert sorted(one.name for one in asked) == sorted(wanted)
    pins = dict(PIN.findall((root / "requirements.txt").read_text()))
    for one in asked:
        assert pins[one.name] in one.specifier, f"{one}, but requirements.txt has {pins[one.name]}"


def test_the_library_works_in_an_environment_without_the_repository(wheel, tmp_path):
    environment, elsewhere = tmp_path / "environment", tmp_path / "elsewhere"
    elsewhere.mkdir()
    python = environment / "bin" / "python"
    for command in (
        ["uv", "venv", "--quiet", "--python", sys.executable, environment],
        ["uv", "pip", "install", "--quiet", "--no-deps", "--python", python, wheel],
    ):
        subprocess.run(command, env=Workspace(elsewhere).environment(), check=True)
    place = next(environment.glob("lib/python3*/site-packages"))
    # What it depends on comes from here, so that the test needs no downloads.
    (place / "others.pth").write_text(str(numpy.__path__[0]).removesuffix("/numpy") + "\n")
    run = subprocess.run([python, "-I", "-c", USE], cwd=elsewhere, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    version, file, modules = run.stdout.split()
    assert version == labeltransfer.__version__
    assert file == str(place / "labeltransfer" / "__init__.py")
    assert int(modules) > 30
