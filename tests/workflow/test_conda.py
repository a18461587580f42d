"""The small study with one environment per family of rules: nothing comes from the driver, and the bytes are the same.

Runs where a conda command is: in the folder that LABELTRANSFER_CONDA names, on PATH, or the stand-in beside the
repository, which builds the environments from PyPI with uv.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import snakemake

from tests.workflow.test_kill import SMALL, digests
from tests.workspaces import OFFLINE

LEAKS = Path(__file__).with_name("leaks") / "sitecustomize.py"


@pytest.fixture(scope="module")
def conda(root):
    """PATH with a conda command that works, in the form of environment variables."""
    beside = root.parent / "shared" / "conda-stand-in" / "bin"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    places = [os.environ.get("LABELTRANSFER_CONDA"), os.environ["PATH"], str(beside)]
    found = next((tool for place in places if place and (tool := shutil.which("conda", path=place))), None)
    if found is None:
        pytest.skip("no conda command: set LABELTRANSFER_CONDA to the folder that holds one")
    if Path(found).parent == beside and shutil.which("uv", path=path) is None:
        pytest.skip("the stand-in for conda builds environments with uv, which is not installed")
    return {"PATH": os.pathsep.join([str(Path(found).parent), path])}


@pytest.fixture(scope="module")
def environments(conda, workspace):
    """A workspace whose environments are built, and watched; they are removed at the end (about 1 GB)."""
    made = workspace("conda")
    path = os.pathsep.join([conda["PATH"].split(os.pathsep)[0], made.environment()["PATH"]])
    arguments = ("--configfile", SMALL, "--sdm", "conda")
    run = made.snakemake(*arguments, "--conda-create-envs-only", PATH=path)
    if run.returncode and OFFLINE.search(run.stdout):
        pytest.skip("the packages of the environments cannot be reached")
    assert run.returncode == 0, run.stdout[-5000:]
    folder = made.folder / ".snakemake" / "conda"
    driver = str(Path(snakemake.__file__).resolve().parents[1])
    text = LEAKS.read_text().replace("@DRIVER@", driver).replace("@NOTES@", str(made.folder / "leaks.txt"))
    packages = sorted(folder.glob("*/lib/python3*/site-packages"))
    assert len(packages) == 3  # the fourth environment, for theoretical spectra, is for an optional target
    for place in packages:
        (place / LEAKS.name).write_text(text)
    yield made, path, packages, driver
    shutil.rmtree(folder, ignore_errors=True)


def test_the_small_study_runs_in_environments_of_its_own(environments, small_run):
    made, path, _, _ = environments
    made.succeed("--configfile", SMALL, "--sdm", "conda", PATH=path)
    leaks = made.folder / "leaks.txt"
    assert not leaks.exists(), leaks.read_text()
    expected, found = digests(small_run), digests(made.folder)
    assert set(found) == set(expected)
    assert [str(name) for name in sorted(expected) if found[name] != expected[name]] == []


def test_what_an_environment_lacks_is_noticed_although_the_driver_has_it(environments):
    made, _, packages, driver = environments
    without = next(place for place in packages if not (place / "matplotlib").exists())
    script = made.folder / "leak.py"
    python = without.parents[2] / "bin" / "python"
    for module, leaks in (("matplotlib", True), ("numpy", False)):
        script.write_text(f"import sys\nsys.path.append({driver!r})\nimport {module}\n")
        run = subprocess.run([python, script], capture_output=True, text=True, cwd=made.folder)
        assert (run.returncode != 0) == leaks, run.stderr
        assert ("is not in this environment" in run.stderr) == leaks
    (made.folder / "leaks.txt").unlink()
