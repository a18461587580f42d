"""Refuses what a job would import from the driver's Python: goes into the site-packages of an environment under test.

Snakemake adds the driver's own packages to the search path of every script, so that its `snakemake` object can be
read; whatever the environment lacks would be found there too, silently.
"""

import builtins
import os.path
import sys

DRIVER = "@DRIVER@"  # the folder of the driver's packages, filled in by the test
NOTES = "@NOTES@"  # where what was refused is written
OPTIONAL = {"isal"}  # refused likewise, but without a note: there is another way

_import = builtins.__import__


def _isolated_import(name, globals=None, locals=None, fromlist=(), level=0):
    module = _import(name, globals, locals, fromlist, level)
    importer = os.path.realpath((globals or {}).get("__file__") or "")
    top = name.partition(".")[0]
    # Packages of the environment may look for optional ones, and find the driver's: only our own imports count.
    others = (DRIVER, sys.prefix, sys.base_prefix)
    if level == 0 and top != "snakemake" and not importer.startswith(others):
        package = sys.modules.get(top)
        found = getattr(package, "__file__", None) or next(iter(getattr(package, "__path__", [])), "")
        if os.path.realpath(found).startswith(DRIVER):
            if top not in OPTIONAL:
                with open(NOTES, "a", encoding="utf-8") as notes:
                    notes.write(f"{importer} imports {name} from {found}\n")
            raise ImportError(f"{name} is not in this environment: {found} is the driver's")
    return module


builtins.__import__ = _isolated_import
