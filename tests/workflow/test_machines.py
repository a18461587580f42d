"""Machines unlike this one: no home folder, checkouts with Windows' line ends."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labeltransfer.files.tables import read_table
from tests.workspaces import PARTS, Workspace, with_results_of

SMALL = Path(__file__).with_name("small.yaml")
HO2017 = "results/ho2017"


@pytest.fixture(scope="module")
def homeless(small_run, workspace):
    """The small study without one chunk of labels and one figure, which need what keeps compiled code and fonts."""
    made = with_results_of(small_run, workspace("homeless"))
    for name in ("labels/survey/1-of-2.fits", "figures/figure_05.png", "figures/figure_05.pdf"):
        (made.folder / HO2017 / name).unlink()
    return made


def test_without_a_home_one_variable_is_enough(homeless, tmp_path):
    """A home that cannot be made, even by root; what is said without the variable is Snakemake's."""
    targets = [f"{HO2017}/labels/survey/1-of-2.fits", f"{HO2017}/figures/figure_05.png"]
    where = ["--configfile", SMALL, "--rerun-triggers", "mtime"]
    homeless_now = {"HOME": "/dev/null", "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "", "MPLCONFIGDIR": ""}
    assert "/dev/null" in homeless.fail(*targets, *where, "--dry-run", **homeless_now)
    homeless.succeed(*targets, *where, **homeless_now | {"XDG_CACHE_HOME": str(tmp_path / "cache")})
    with Image.open(homeless.folder / targets[1]) as image:
        assert min(image.size) > 300
    assert any((tmp_path / "cache").iterdir())


@pytest.fixture(scope="module")
def windows(root, tmp_path_factory):
    """A clone whose texts have CRLF."""
    folder = tmp_path_factory.mktemp("windows")
    for part in PARTS:
        (shutil.copytree if (root / part).is_dir() else shutil.copy2)(root / part, folder / part)
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in (".fits", ".pyc", ".nbi", ".nbc"):
            path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    return Workspace(folder)


def test_a_checkout_with_windows_line_ends_works(windows, small_run):
    assert b"\r\n" in (windows.folder / "workflow" / "Snakefile").read_bytes()
    made = with_results_of(small_run, windows)
    target = made.folder / HO2017 / "catalogs" / "reference_set.fits"
    before = read_table(target)
    printed = made.succeed(
        "--force", target.relative_to(made.folder), "--configfile", SMALL, "--rerun-triggers", "mtime"
    )
    assert "1 of 1 steps" in printed
    after = read_table(target)
    assert after.colnames == before.colnames
    for name in after.colnames:
        np.testing.assert_array_equal(after[name], before[name])
    made.succeed("--dry-run", "--configfile", SMALL)


def test_git_gives_every_text_the_same_line_ends(root):
    if not (root / ".git").exists():
        pytest.skip("no git repository")
    found = subprocess.run(["git", "ls-files", "--eol"], cwd=root, capture_output=True, text=True, check=True)
    rows = [line.partition("\t") for line in found.stdout.splitlines()]
    assert len(rows) > 200
    for about, _, name in rows:
        index, _, attributes = about.split(maxsplit=2)
        kept = index == "i/lf" and attributes.split() == ["attr/text=auto", "eol=lf"]
        assert kept or index == "i/none" or (index == "i/-text" and "-text" in attributes), f"{name}: {about}"
