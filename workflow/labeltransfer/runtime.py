"""How a step of the workflow runs: its log, its threads, and what its outputs say about where they came from."""

import contextlib
import hashlib
import importlib.metadata
import logging
import platform
import sys
import traceback
import warnings
from pathlib import Path

from threadpoolctl import threadpool_limits

from . import __version__

PACKAGES = ("numpy", "scipy", "astropy", "numba", "h5py")


@contextlib.contextmanager
def job(log_path, threads=1):
    """Send everything a step prints or warns to its log, and hold numerical libraries to its threads.

    Parameters
    ----------
    log_path : str or Path
        The log; it is replaced. A failure leaves its traceback there and is raised again.
    threads : int, optional
        Threads that linear algebra may use.
    """
    Path(log_path).parent.mkdir(parents=True, exist_ok=True)
    with (
        open(log_path, "w", buffering=1, encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        warnings.catch_warnings(),
        threadpool_limits(threads),
    ):
        handler = logging.StreamHandler(log)
        logging.getLogger().addHandler(handler)
        logging.captureWarnings(True)
        try:
            yield
        except BaseException:
            traceback.print_exc(file=sys.stderr)
            raise
        finally:
            logging.captureWarnings(False)
            logging.getLogger().removeHandler(handler)


def provenance(settings, inputs=(), code=None):
    """Describe what an output was made from.

    Parameters
    ----------
    settings : mapping
        The part of the configuration that matters for the output, seeds included.
    inputs : sequence of str or Path
        Files that were read; each stands there under its path, with its sha256.
    code : mapping, optional
        Digests of the library's floors (`settings.code_versions`).

    Returns
    -------
    dict
        Plain data, the same for the same inputs: no dates, no machine names.
    """
    return {
        "labeltransfer": __version__,
        "code": dict(code or {}),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "settings": settings,
        "inputs": {Path(path).as_posix(): sha256(path) for path in inputs},
    }


def sha256(path):
    """Hexadecimal sha256 of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
