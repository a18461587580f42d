"""Runs of the workflow on real files."""

from tests.workspaces import clone, workspace

__all__ = ["clone", "workspace"]
