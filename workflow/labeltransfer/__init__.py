"""Label transfer between stellar surveys: the library behind the workflow.

What a session with spectra of one's own needs is here by name: `default_settings` and `prepare_arrays` for spectra,
`train`, `cross_validate` and `load_model` for models, whose method `label` gives labels. ``docs/importing.md`` has an
example.

Sub-packages are floors; each imports only from the floors below it:
figures > validation > models > spectra > catalogs > mock > sources > synthesis > surveys > files.
"""

import importlib

__version__ = "0.1.0"

# Where what the front page offers lies; it is loaded when it is asked for, as jobs would pay for all of it.
_PLACES = {
    "Expansion": "models.polynomial",
    "Settings": "spectra.prepare",
    "cross_validate": "validation.cross_validation",
    "default_settings": "spectra.defaults",
    "load_model": "models.files",
    "prepare": "spectra.prepare",
    "prepare_arrays": "spectra.arrays",
    "save_model": "models.files",
    "to_vacuum": "spectra.medium",
    "train": "models.cannon",
    "train_network": "models.network",
}
__all__ = ["__version__", *_PLACES]


def __getattr__(name):
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__():
    return sorted(__all__)
