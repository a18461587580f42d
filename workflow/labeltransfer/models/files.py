"""One file format for trained models: HDF5 that says what it is, and never a pickle.

The root group holds ``format``, ``version`` and ``kind``; arrays of the model are datasets, its numbers and
names attributes, and the group ``provenance`` says how it was made. The file begins with a line of text that
holds its sha256, so that damage is noticed before the HDF5 library stumbles over it.
"""

import contextlib
import json
import os
from dataclasses import MISSING, fields

import h5py
import numpy as np

from labeltransfer.files.hdf5 import check_plain, new_file, open_hdf5, read_seal

FORMAT = "labeltransfer-model"
VERSION = 2


# Imports are late: whoever has models of one kind does not wait for what the others need.


def _cannon():
    from labeltransfer.models.cannon import CannonModel

    return CannonModel


def _network():
    from labeltransfer.models.network import NetworkModel

    return NetworkModel


#: What gives the class of each kind of model: a dataclass of arrays, numbers, strings and tuples of strings.
KINDS = {"cannon": _cannon, "network": _network}


def save_model(path, model, provenance=None):
    """Write a model; same model and provenance, same bytes.  The file appears complete or not at all.

    Parameters
    ----------
    path : path
        Where to; an existing file is replaced.
    model : of one of `KINDS`
        What to write.
    provenance : dict of str to plain data, optional
        How the model was made; each part of it is kept as JSON.

    Raises
    ------
    TypeError
        If the model is of no known kind.
    OSError
        If it cannot be written, as on a full disk.
    """
    kind = getattr(model, "kind", None)
    if kind not in KINDS or type(model) is not KINDS[kind]():
        raise TypeError(f"a model to save must be one of {', '.join(KINDS)}, not {type(model).__name__}")
    with new_file(path, f"{FORMAT} {VERSION}") as (file, _):
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["kind"] = kind
        for field in fields(model):
            value = getattr(model, field.name)
            if isinstance(value, np.ndarray):
                file.create_dataset(field.name, data=value, track_times=False)
            elif isinstance(value, tuple) and value:
                file.attrs.create(field.name, list(value), dtype=h5py.string_dtype())
            elif value not in (None, ()):
                file.attrs[field.name] = value
        group = file.create_group("provenance")
        for name, value in sorted((provenance or {}).items()):
            group.attrs[name] = json.dumps(value, sort_keys=True)


def load_model(path):
    """Read a model of any kind.

    Parameters
    ----------
    path : path
        Written by `save_model`.

    Returns
    -------
    A model of one of `KINDS`

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a model file, is damaged, or of another version of the format.
    """
    with _open(path) as file:
        model = KINDS[file.attrs["kind"]]()
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
        return {name: json.loads(value) for name, value in file["provenance"].attrs.items()}


def _plain(value):
    """An HDF5 attribute as the Python object it was."""
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    return value.item() if isinstance(value, np.generic) else value


@contextlib.contextmanager
def _open(path):
    """The open file, once it is known to be of our format and version, whole, and of a known kind."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: no such model file; train a model first")
    title, whole = read_seal(path)
    name, _, version = (title or "").rpartition(" ")
    if name != FORMAT:
        raise ValueError(
            f"{path}: expected a model file (HDF5 of format {FORMAT!r}), found something else; "
            "give the path of a trained model, or delete it and train it again"
        )
    if version != str(VERSION):
        raise ValueError(f"{path}: of format version {version}, this package reads {VERSION}; train it again")
    if not whole:
        raise ValueError(f"{path}: damaged: its checksum is wrong; delete it and train it again")
    with open_hdf5(path) as file:
        try:
            check_plain(file)
        except OSError as error:
            raise ValueError(f"{path}: no plain model file: {error}; train it again") from error
        kind = file.attrs["kind"]
        if kind not in KINDS:
            raise ValueError(
                f"{path}: expected kind {' or '.join(KINDS)}, found {kind!r}; update this package"
            )
        yield file
