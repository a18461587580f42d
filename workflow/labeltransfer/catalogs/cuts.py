"""Selection of stars by cuts that are written in the configuration, each with its reason.

The quality cuts of Ho et al. 2017 (section 3) on APOGEE DR12, whose text has them the wrong way round
("excise objects with 3500 < Teff < 6000"), read as such a list::

    - {reason: labels missing, columns: [teff, logg, fe_h, alpha_m, a_k], finite: true}
    - {reason: teff outside 3500-6000 K, column: teff, above: 3500, below: 6000}
    - {reason: logg not positive, column: logg, above: 0}
    - {reason: alpha_m below -0.1, column: alpha_m, above: -0.1}
    - {reason: aspcap flag, column: aspcapflag, bits_clear: [3, 4, 19, 20, 23]}
"""

from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np

_COMPARISONS = {
    "above": np.greater,
    "below": np.less,
    "at_least": np.greater_equal,
    "at_most": np.less_equal,
}
_CONDITIONS = (*_COMPARISONS, "finite", "equals", "bits_clear")
_KEYS = ("reason", "column", "columns", *_CONDITIONS)


def apply_cuts(table, cuts):
    """Apply cuts in order; a row is kept if it passes all, else it carries the reason of the first it fails.

    A cut is a mapping that says what is **kept**. It has a `reason`, a `column` (or a list of `columns`,
    which must all pass) and one or more conditions: `above`, `below` (strict), `at_least`, `at_most`,
    `finite: true`, `equals` (a number or a string), `bits_clear` (numbers of bits, 0 the lowest, none of
    which may be set in an integer column). A missing value (NaN, or masked) passes no condition.

    Parameters
    ----------
    table : astropy Table, DataFrame or mapping of (n,) arrays
        The rows to choose from; it stays as it is.
    cuts : sequence of mappings
        See above.

    Returns
    -------
    keep : (n,) bool
        Rows that pass every cut.
    reason : (n,) str
        Reason of the first failed cut; empty where kept.

    Raises
    ------
    ValueError
        If a cut has an unknown key, no condition, a value of the wrong kind, or a column the table lacks.
    """
    names = [str(name) for name in table.keys()]  # noqa: SIM118 (a Table iterates over its rows)
    check_cuts(cuts, names)
    n = len(table[names[0]]) if names else 0
    keep = np.ones(n, dtype=bool)
    reason = np.full(n, "", dtype=f"U{max([1, *(len(cut['reason']) for cut in cuts)])}")
    for cut in cuts:
        passes = np.ones(n, dtype=bool)
        for name in _columns(cut):
            passes &= _passes(name, table[name], cut)
        reason[keep & ~passes] = cut["reason"]
        keep &= passes
    return keep, reason


def check_cuts(cuts, columns=None):
    """Raise ValueError, naming the cut and what is wrong, unless every cut can be applied.

    Parameters
    ----------
    cuts : sequence of mappings
        As for `apply_cuts`.
    columns : sequence of str, optional
        Names of the columns that exist; None leaves them unchecked.
    """
    if isinstance(cuts, str | Mapping):
        raise ValueError(f"cuts must be a list of mappings: found {type(cuts).__name__}")
    for number, cut in enumerate(cuts, start=1):
        if not isinstance(cut, Mapping):
            raise ValueError(f"cut {number} must map reason, column and conditions: found {cut!r}")
        where = f"cut {number} ({cut.get('reason', 'without reason')!s})"
        unknown = sorted(str(key) for key in cut if key not in _KEYS)
        if unknown:
            raise ValueError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(_KEYS)}")
        if not isinstance(cut.get("reason"), str) or not cut["reason"].strip():
            raise ValueError(f"{where}: a cut needs a reason, a short text for the rows that it rejects")
        if ("column" in cut) == ("columns" in cut):
            raise ValueError(f"{where}: a cut needs either a column or a list of columns")
        if "columns" in cut and (not isinstance(cut["columns"], list | tuple) or not cut["columns"]):
            raise ValueError(f"{where}: columns must be a list of names: found {cut['columns']!r}")
        if not any(key in cut for key in _CONDITIONS):
            raise ValueError(f"{where}: no condition; give one of {', '.join(_CONDITIONS)}")
        for name in _columns(cut):
            if columns is not None and name not in columns:
                raise ValueError(f"{where}: no column {name!r} in the table, which has {', '.join(columns)}")
        _check_values(where, cut)


def _check_values(where, cut):
    for key in _COMPARISONS:
        if key in cut and not (_is_number(cut[key]) and np.isfinite(cut[key])):
            raise ValueError(f"{where}: {key} must be a finite number: found {cut[key]!r}")
    if cut.get("finite", True) is not True:
        raise ValueError(f"{where}: finite can only be true: found {cut['finite']!r}; leave it out instead")
    if "equals" in cut and not (_is_number(cut["equals"]) or isinstance(cut["equals"], str | bool)):
        raise ValueError(f"{where}: equals must be a number or a text: found {cut['equals']!r}")
    bits = cut.get("bits_clear", [0])
    if (
        not isinstance(bits, list | tuple)
        or not bits
        or not all(isinstance(b, Integral) and 0 <= b < 63 for b in bits)
    ):
        raise ValueError(f"{where}: bits_clear must be a list of bit numbers from 0 to 62: found {bits!r}")


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def _columns(cut):
    return [cut["column"]] if "column" in cut else list(cut["columns"])


def _passes(name, column, cut):
    """Which values of one column meet all the conditions of a cut."""
    where = f"cut {cut['reason']!r}"
    values = np.asarray(column)
    if values.ndim != 1:
        raise ValueError(f"{where}: column {name!r} holds arrays of shape {values.shape[1:]}")
    numeric = values.dtype.kind in "biuf"
    needs_numbers = [key for key in (*_COMPARISONS, "finite") if key in cut]
    if needs_numbers and not numeric:
        raise ValueError(f"{where}: {needs_numbers[0]} needs numbers, column {name!r} is {values.dtype}")
    passes = np.isfinite(values) if numeric else np.ones(len(values), dtype=bool)
    passes &= ~np.ma.getmaskarray(column)
    for key, compare in _COMPARISONS.items():
        if key in cut:
            passes &= compare(values, cut[key])
    if "equals" in cut:
        if numeric == isinstance(cut["equals"], str):
            raise ValueError(f"{where}: column {name!r} is {values.dtype} and cannot equal {cut['equals']!r}")
        passes &= values == cut["equals"]
    if "bits_clear" in cut:
        if values.dtype.kind not in "iu":
            raise ValueError(f"{where}: bits_clear needs integers, column {name!r} is {values.dtype}")
        bits = np.int64(sum(1 << int(bit) for bit in set(cut["bits_clear"])))
        passes &= (values.astype(np.int64) & bits) == 0
    return passes
