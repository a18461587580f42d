"""Which folders make up the package; everything else about it stands in pyproject.toml.

The library lies in workflow/. What it reads besides, tables of facts and the default configuration with its schema,
lies at the top of the repository, where a reader looks for it, and becomes a part of the package when it is
installed (labeltransfer.files.places finds it in both).
"""

from setuptools import find_packages, setup

DATA = {"labeltransfer.resources": "resources", "labeltransfer.config": "config"}

setup(
    packages=[*find_packages("workflow", include=["labeltransfer*"]), *DATA],
    package_dir={"": "workflow", **DATA},
    package_data={"labeltransfer.figures": ["*.mplstyle"], **{name: ["*", "*/*"] for name in DATA}},
)
