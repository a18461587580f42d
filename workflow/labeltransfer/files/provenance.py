"""What a file says of its own making: written with it, read from it, and followed back to the archives' files."""

import hashlib
import importlib.metadata
import json
import platform
import struct
from pathlib import Path

import numpy as np

from labeltransfer import __version__
from labeltransfer.files.places import located, recorded_name

PACKAGES = ("numpy", "scipy", "astropy", "pandas", "pyarrow", "numba", "h5py")


def provenance(settings, inputs=(), code=None, packages=PACKAGES):
    """Describe what an output was made from.

    Parameters
    ----------
    settings : mapping
        The part of the configuration that matters for the output, seeds included.
    inputs : sequence of str or Path
        Files that were read; each stands there under its recorded name, with its sha256.
    code : mapping, optional
        Digests of the library's floors (`settings.code_versions`).
    packages : sequence of str, optional
        Whose versions matter.

    Returns
    -------
    dict
        Plain data, the same for the same inputs: no dates, no machine names.
    """
    return {
        "labeltransfer": __version__,
        "code": dict(code or {}),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
        "settings": settings,
        "inputs": {recorded_name(path): sha256(path) for path in inputs},
    }


def sha256(path):
    """Hexadecimal sha256 of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def figure_provenance(params, inputs):
    """Provenance of a figure: all that its rule was given, `code` among the parameters."""
    settings = {name: value for name, value in params.items() if name != "code"}
    return provenance(settings, list(inputs), params["code"], (*PACKAGES, "matplotlib"))


def as_text(meta):
    """Provenance as the JSON that files carry; numpy's numbers and arrays, and paths, become plain data."""
    return json.dumps(meta, sort_keys=True, default=_plain)


def read_provenance(path):
    """The provenance that a file of ours carries.

    Parameters
    ----------
    path : str or Path
        A table (FITS, Parquet), a store of spectra or a model (HDF5), or a figure (PNG; a PDF is made together
        with the PNG of its name).

    Returns
    -------
    dict, or None
        As from `provenance`; None for files that say nothing: CSV, JSON, and whatever others made.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix)
    text = reader(path) if reader and path.is_file() else None
    found = json.loads(text) if text else None
    return found if isinstance(found, dict) and "inputs" in found else None


def trace(names, silent=None, prefix=""):
    """Follow files back to what they were made from; all by the names under which they are recorded.

    Parameters
    ----------
    names : sequence of str or Path
        Where to start.
    silent : mapping, optional
        What files that say nothing were made from: name -> names.
    prefix : str, optional
        What stands before the names of the run's results (`places.prefix_of`).

    Returns
    -------
    made : dict
        Each file that says how it was made, or is in `silent` -> its inputs, sorted.
    digests : dict
        Each file that was an input of another -> its sha256 at that time; of what only silent files were made
        from, its sha256 now.

    Raises
    ------
    ValueError
        If two files were made from different versions of a third.
    """
    made, digests, todo = {}, {}, [Path(name).as_posix() for name in names]
    silent, reader = silent or {}, {}
    while todo:
        path = todo.pop()
        if path in made:
            continue
        found = read_provenance(located(path, prefix))
        if found is None:
            if path in silent:
                made[path] = sorted(silent[path])
                todo += made[path]
            continue
        made[path] = sorted(found["inputs"])
        for name, digest in found["inputs"].items():
            if digests.setdefault(name, digest) != digest:
                raise ValueError(
                    f"{name}: {path} and {reader[name]} were made from different versions of it; delete both and rerun"
                )
            reader[name] = path
            todo.append(name)
    for name in {name for path in silent.keys() & made.keys() for name in made[path]} - digests.keys():
        if located(name, prefix).is_file():
            digests[name] = sha256(located(name, prefix))
    return dict(sorted(made.items())), dict(sorted(digests.items()))


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _plain(value):
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"provenance must be plain data: found {type(value).__name__}")


# Each format's library is loaded when such a file is read: every step imports this module, and few read so.


def _of_fits(path):
    from astropy.io import fits

    with fits.open(path, lazy_load_hdus=True) as hdus:
        # The primary unit first: to count the units would mean to read them all.
        return hdus[0].header.get("PROV") or (hdus[1].header.get("PROV") if len(hdus) > 1 else None)


def _of_parquet(path):
    import pyarrow.parquet as pq

    return (pq.read_schema(path).metadata or {}).get(b"provenance")


def _of_hdf5(path):
    import h5py

    from labeltransfer.files.hdf5 import open_hdf5

    with open_hdf5(path) as file:
        part = file.get("provenance")
        if isinstance(part, h5py.Dataset):
            return bytes(part[0]).decode()
        attributes = dict(part.attrs) if part is not None else {}
    # Models keep each part of it as JSON by itself.
    return json.dumps({name: _parsed(value) for name, value in attributes.items()})


def _parsed(value):
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return str(value)


def _of_png(path):
    with open(path, "rb") as file:
        file.seek(8)
        while len(start := file.read(8)) == 8:
            size, kind = struct.unpack(">I4s", start)
            content = file.read(size)
            file.seek(4, 1)
            keyword, _, text = content.partition(b"\0")
            if kind == b"tEXt" and keyword == b"Provenance":
                return text.decode("latin-1")
    return None


def _of_pdf(path):
    return _of_png(path.with_suffix(".png")) if path.with_suffix(".png").is_file() else None


_READERS = {
    ".fits": _of_fits,
    ".parquet": _of_parquet,
    ".h5": _of_hdf5,
    ".png": _of_png,
    ".pdf": _of_pdf,
}
