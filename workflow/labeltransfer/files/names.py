"""Names that come from strangers' catalogues: made printable, judged as names of files, filled into patterns."""

import re
from string import Formatter

import numpy as np

SAFE_NAME = r"[A-Za-z0-9_+][A-Za-z0-9_+.\-]*"
_BLOCK = 65_536  # rows that are Python objects at a time


def fill_pattern(pattern, columns):
    """Fill ``"{name}/file-{other:03d}.fits"`` for each row.

    Parameters
    ----------
    pattern : str
        Column names in braces, formatted as by `str.format`.
    columns : dict
        Name -> array (n_row,); more than the pattern needs do no harm.

    Returns
    -------
    str array (n_row,)

    Raises
    ------
    ValueError
        Where the pattern names what there is not.
    """
    used = fields(pattern)
    if not set(used) <= set(columns):
        raise ValueError(f"the pattern {pattern!r} may use {', '.join(columns)} in braces, and nothing else")
    n_row = len(next(iter(columns.values())))
    # In blocks, so that there is never an object for each row of a long catalogue.
    blocks = [np.zeros(0, dtype="U1")]
    for start in range(0, n_row, _BLOCK):
        rows = zip(*(columns[name][start : start + _BLOCK].tolist() for name in used), strict=True)
        blocks.append(np.array([pattern.format(**dict(zip(used, row, strict=True))) for row in rows]))
    return np.concatenate(blocks)


def fields(pattern):
    """Names in braces in `pattern`, each once."""
    names = [field for _, field, _, _ in Formatter().parse(pattern) if field is not None]
    return list(dict.fromkeys(names))


def safe_names(names):
    """Tell which strings can be file names anywhere.

    They have letters, digits and ``_ + - .`` only, do not start with a dot or dash, and lack ``..``.

    Parameters
    ----------
    names : array of str
        Shape (n,).

    Returns
    -------
    bool array (n,)
    """
    names = [str(name) for name in np.asarray(names, dtype=object).tolist()]
    # Catalogues of millions of rows have few names of some kinds.
    good = {name: re.fullmatch(SAFE_NAME, name) is not None and ".." not in name for name in set(names)}
    return np.array([good[name] for name in names], dtype=bool)


def printable(names, longest=100):
    r"""Names as every table and screen can hold them.

    Parameters
    ----------
    names : array of str, shape (n,)
    longest : int
        Characters that are kept, so that one absurd name does not widen a column of millions of rows.

    Returns
    -------
    names : array of str objects, shape (n,)
        What is not printable ASCII written as Python writes it (``\n``, ``\xe9``).
    changed : bool array, shape (n,)
    """
    plain = np.array([_printable(str(name), longest) for name in names], dtype=object)
    return plain, plain != np.asarray(names, dtype=object)


def _printable(name, longest):
    name = name[: longest + 1]
    name = name if name.isascii() and name.isprintable() else ascii(name)[1:-1]
    return name if len(name) <= longest else name[: longest - 3] + "..."
