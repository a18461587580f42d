"""One file format for trained models: HDF5 that says what it is, and never a pickle.

The root group holds ``format``, ``version`` and ``kind``; arrays of the model are datasets, its numbers and
names attributes, and the group ``provenance`` says how it was made.
"""

import os
from dataclasses import MISSING, fields
from pathlib import Path

import h5py
import numpy as np

from labeltransfer.models.cannon import CannonModel
from labeltransfer.models.network import NetworkModel

FORMAT = "labeltransfer-model"
VERSION = 1

#: The model class of each kind; a class is a dataclass of arrays, numbers, strings and tuples of strings.
KINDS = {model.kind: model for model in (CannonModel, NetworkModel)}


def save_model(path, model, provenance=None):
    """Write a model; same model and provenance, same bytes.  The file appears complete or not at all.

    Parameters
    ----------
    path : path
        Where to; an existing file is replaced.
    model : an instance of one of `KINDS`
        What to write.
    provenance : dict of str to str or number, optional
        How the model was made.

    Raises
    ------
    TypeError
        If the model is of no known kind.
    """
    kind = getattr(model, "kind", None)
    if type(model) is not KINDS.get(kind):
        raise TypeError(f"a model to save must be one of {', '.join(KINDS)}, not {type(model).__name__}")
    path = Path(path)
    partial = path.with_name(path.name + ".part")
    with h5py.File(partial, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["kind"] = kind
        for field in fields(model):
            value = getattr(model, field.name)
            if isinstance(value, np.ndarray):
                file.create_dataset(field.name, data=value, track_times=False)
            elif isinstance(value, tuple):
                file.attrs.create(field.name, list(value), dtype=h5py.string_dtype())
            elif value is not None:
                file.attrs[field.name] = value
        group = file.create_group("provenance")
        for name, value in sorted((provenance or {}).items()):
            group.attrs[name] = value
    os.replace(partial, path)


def load_model(path):
    """Read a model of any kind.

    Parameters
    ----------
    path : path
        Written by `save_model`.

    Returns
    -------
    An instance of one of `KINDS`

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a model file, is damaged, or comes from a newer version of this package.
    """
    with _open(path) as file:
        model = KINDS[file.attrs["kind"]]
        values = {}
        for field in fields(model):
            if field.name in file:
                values[field.name] = file[field.name][()]
            elif field.name in file.attrs:
                values[field.name] = _plain(file.attrs[field.name])
            elif field.default is MISSING:
                raise ValueError(
                    f"{path}: a {model.kind} model must hold {field.name!r}, not found; train it again"
                )
    return model(**values)


def load_provenance(path):
    """How a model was made: the dict that `save_model` was given.  Raises as `load_model`."""
    with _open(path) as file:
        return {name: _plain(value) for name, value in file["provenance"].attrs.items()}


def _plain(value):
    """An HDF5 attribute as the Python object it was."""
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    return value.item() if isinstance(value, np.generic) else value


def _open(path):
    """The open file, once its format, version and kind are known to be ours."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: no such model file; train a model first")
    expected = f"expected a model file (HDF5 of format {FORMAT!r})"
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(
            f"{path}: {expected}, found something that HDF5 cannot read; train it again"
        ) from error
    problem = None
    if file.attrs.get("format") != FORMAT:
        problem = f"{expected}, found format {file.attrs.get('format')!r}; give the path of a trained model"
    elif file.attrs["version"] > VERSION:
        problem = f"of format version {file.attrs['version']}, this package reads up to {VERSION}; update it"
    elif file.attrs["kind"] not in KINDS:
        problem = f"expected kind {' or '.join(KINDS)}, found {file.attrs['kind']!r}; update this package"
    if problem:
        file.close()
        raise ValueError(f"{path}: {problem}")
    return file
