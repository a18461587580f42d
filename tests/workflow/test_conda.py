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
from tests.workspaces import DEPLOYED, OFFLINE, Workspace, snakefile_in

DRIVER = str(Path(snakemake.__file__).resolve().parents[1])
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


def build(made, path, *arguments, **variables):
    """Build the environments of a workspace and have them watched; returns the folders of their packages."""
    run = made.snakemake(*arguments, "--sdm", "conda", "--conda-create-envs-only", PATH=path, **variables)
    if run.returncode and OFFLINE.search(run.stdout):
        pytest.skip("the packages of the environments cannot be reached")
    assert run.returncode == 0, run.stdout[-5000:]
    text = LEAKS.read_text().replace("@DRIVER@", DRIVER).replace("@NOTES@", str(made.folder / "leaks.txt"))
    packages = sorted((made.folder / ".snakemake" / "conda").glob("*/lib/python3*/site-packages"))
    for place in packages:
        (place / LEAKS.name).write_text(text)
    return packages


@pytest.fixture(scope="module")
def path(conda, root):
    """PATH with the conda command before the tools beside the interpreter."""
    return os.pathsep.join([conda["PATH"].split(os.pathsep)[0], Workspace(root).environment()["PATH"]])


@pytest.fixture(scope="module")
def environments(path, workspace):
    """A workspace whose environments are built, and watched; they are removed at the end (about 1 GB)."""
    made = workspace("conda")
    packages = build(made, path, "--configfile", SMALL)
    assert len(packages) == 3  # the fourth environment, for theoretical spectra, is for an optional target
    yield made, packages
    shutil.rmtree(made.folder / ".snakemake" / "conda", ignore_errors=True)


def test_the_small_study_runs_in_environments_of_its_own(environments, path, small_run):
    made, _ = environments
    made.succeed("--configfile", SMALL, "--sdm", "conda", PATH=path)
    leaks = made.folder / "leaks.txt"
    assert not leaks.exists(), leaks.read_text()
    expected, found = digests(small_run), digests(made.folder)
    assert set(found) == set(expected)
    assert [str(name) for name in sorted(expected) if found[name] != expected[name]] == []


def test_what_an_environment_lacks_is_noticed_although_the_driver_has_it(environments):
    made, packages = environments
    without = next(place for place in packages if not (place / "matplotlib").exists())
    script = made.folder / "leak.py"
    python = without.parents[2] / "bin" / "python"
    for module, leaks in (("matplotlib", True), ("numpy", False)):
        script.write_text(f"import sys\nsys.path.append({DRIVER!r})\nimport {module}\n")
        run = subprocess.run([python, script], capture_output=True, text=True, cwd=made.folder)
        assert (run.returncode != 0) == leaks, run.stderr
        assert ("is not in this environment" in run.stderr) == leaks
    (made.folder / "leaks.txt").unlink()


def test_a_workflow_from_git_needs_its_library_beside_snakemake_alone(
    path, repository, library, small_run, tmp_path
):
    """Its environments come from git too, and lack the library: jobs find the driver's, and nothing else of it."""
    name, snakefile = "labels", f'"{snakefile_in(repository)}"'
    (tmp_path / "Snakefile").write_text(DEPLOYED.format(repo="x", name=name, snakefile=snakefile))
    (tmp_path / "config").mkdir()
    shutil.copy(SMALL, tmp_path / "config" / "config.yaml")
    made, target = Workspace(tmp_path), "results/ho2017/catalog.fits"
    try:
        packages = build(made, path, target, **library)
        assert len(packages) == 2
        assert not any((place / "labeltransfer").exists() for place in packages)
        made.succeed(target, "--sdm", "conda", PATH=path, **library)
    finally:
        shutil.rmtree(tmp_path / ".snakemake" / "conda", ignore_errors=True)
    assert not (tmp_path / "leaks.txt").exists(), (tmp_path / "leaks.txt").read_text()
    assert (tmp_path / target).read_bytes() == (small_run / target).read_bytes()
