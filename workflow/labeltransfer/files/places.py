"""Where files lie, and under which names they are recorded, whatever folder or workflow a run stands in.

A name begins with ``results/`` or ``resources/`` and is the same on every machine. A run in the repository finds files
under their names. The same rules in another workflow may have a prefix before ``results/``, and the tables of facts
in ``resources/`` may lie in an installed library.
"""

from pathlib import Path

LIBRARY = Path(__file__).parents[1]
FACTS = "resources"
RESULTS = "results"


def library_file(name):
    """Path of a file that comes with the library: a table of facts, the default configuration, its schema.

    Parameters
    ----------
    name : str
        As in the repository, such as ``resources/masks/telluric.csv``.

    Returns
    -------
    Path
        In the package where it is installed, else in the repository that the library is a part of.

    Raises
    ------
    FileNotFoundError
        Where neither has it.
    """
    for folder in (LIBRARY, LIBRARY.parents[1]):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"{name} is neither in {LIBRARY} nor in {LIBRARY.parents[1]}: install the library again"
    )


def find_fact(name):
    """Path of a table of facts: the caller's own where there is one, else the library's.

    Parameters
    ----------
    name : str
        A path, as it stands in a configuration.

    Returns
    -------
    str
        The name itself, unless it begins with ``resources/`` and leads to nothing from the current folder.
    """
    if Path(name).parts[:1] != (FACTS,) or Path(name).exists():
        return name
    return str(library_file(name))


def prefix_of(path):
    """What a workflow that uses this one as a module puts before the names of its results.

    Parameters
    ----------
    path : str or Path
        Of a result.

    Returns
    -------
    str
        What stands before the last folder ``results``: empty, or ending in ``/``.
    """
    parts = Path(path).parts
    if RESULTS not in parts:
        return ""
    last = len(parts) - 1 - parts[::-1].index(RESULTS)
    return f"{Path(*parts[:last]).as_posix().rstrip('/')}/" if last else ""


def recorded_name(path):
    """The name under which a file is recorded: the same on every machine and under every prefix.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    str
        Results from ``results/`` on, tables of facts of a repository or of an installed library from ``resources/``
        on, anything else as it is.
    """
    path = Path(path)
    if not path.is_absolute():
        return path.as_posix().removeprefix(prefix_of(path))
    for folder in path.parents:
        installed = folder.parent.name == LIBRARY.name
        if folder.name == FACTS and (installed or (folder.parent / "workflow" / LIBRARY.name).is_dir()):
            return path.relative_to(folder.parent).as_posix()
    return path.as_posix()


def located(name, prefix=""):
    """Path of a file from its recorded name.

    Parameters
    ----------
    name : str or Path
        As from `recorded_name`.
    prefix : str, optional
        As from `prefix_of` for another result of the same run.

    Returns
    -------
    Path
    """
    if Path(name).parts[:1] == (RESULTS,):
        return Path(prefix, name)
    try:
        return Path(find_fact(str(name)))
    except FileNotFoundError:
        return Path(name)
