"""The small mock study, which is run once for all tests that look at it."""

from pathlib import Path

import pytest

from tests.workspaces import clone, workspace

__all__ = ["clone", "small_run", "workspace"]

SMALL = Path(__file__).with_name("small.yaml")


@pytest.fixture(scope="session")
def small_run(workspace):
    """The workspace of the small mock study, run to the end and never disturbed: look, don't touch."""
    made = workspace("small")
    made.succeed("--configfile", SMALL)
    return made.folder
