"""How spectra are prepared unless one says otherwise: the settings of the configuration that comes with the library."""

import yaml

from labeltransfer.files.places import find_fact, library_file
from labeltransfer.spectra.prepare import settings_from

_CONFIGURATION = "config/config.yaml"


def default_settings(grid=None, preparation=None):
    """Settings of the preparation for a session of one's own.

    Parameters
    ----------
    grid, preparation : mapping, optional
        What differs from the parts of that name in ``config/config.yaml``, key by key (``config/README.md``).

    Returns
    -------
    labeltransfer.spectra.prepare.Settings

    Raises
    ------
    KeyError
        For a key that these parts do not have.
    """
    config = yaml.safe_load(library_file(_CONFIGURATION).read_text(encoding="utf-8"))
    grid, preparation = (
        _changed(config[name], changes or {}, name)
        for name, changes in (("grid", grid), ("preparation", preparation))
    )
    windows = [find_fact(name) for name in preparation["windows"]]
    fibres = find_fact(preparation["resolution"]["table"]) if preparation["resolution"] else None
    return settings_from(grid, preparation, windows, fibres)


def _changed(part, changes, name):
    unknown = [key for key in changes if key not in part]
    if unknown:
        raise KeyError(f"{name} has no key {', '.join(unknown)}; it has {', '.join(part)}")
    # Eq. 1 has keys of its own; `resolution` is given whole.
    deeper = {key: {**part[key], **value} for key, value in changes.items() if key == "normalisation"}
    return {**part, **changes, **deeper}
