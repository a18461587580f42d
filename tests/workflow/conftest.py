"""The small mock studies, which are run once for all tests that look at them."""

from pathlib import Path

import pytest

from tests.workspaces import clone, library, repository, workspace

__all__ = ["clone", "library", "network_run", "repository", "small_run", "workspace"]

SMALL = Path(__file__).with_name("small.yaml")
NETWORK_SMALL = Path(__file__).with_name("network_small.yaml")


@pytest.fixture(scope="session")
def small_run(workspace):
    """The workspace of the small mock study, run to the end and never disturbed: look, don't touch."""
    made = workspace("small")
    made.succeed("--configfile", SMALL)
    return made.folder


@pytest.fixture(scope="session")
def network_run(workspace):
    """The workspace of the small network study, likewise."""
    made = workspace("network")
    made.succeed("--configfile", NETWORK_SMALL)
    assert "Nothing to be done" in made.succeed("--configfile", NETWORK_SMALL)
    return made.folder
