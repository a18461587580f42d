"""Rows that go no further: which, of which catalogue, at which stage, and why. The ledger gathers them."""

import numpy as np
from astropy.table import Table


def rejected_rows(ids, catalog, stage, reasons):
    """A table of rejected rows.

    Parameters
    ----------
    ids : (n,) sequence of str or bytes
        Bytes stay bytes, here and in `catalog` and `stage`: a quarter of the memory.
    catalog : {"survey", "reference"}
    stage : str
        Of the workflow, such as "cross-match".
    reasons : str, or (n,) sequence of str or bytes
        One for all, or one for each.

    Returns
    -------
    Table
        Columns `id`, `catalog`, `stage`, `reason`.
    """
    ids, reasons = _texts(ids), _texts(reasons)
    return Table(
        {
            "id": ids,
            "catalog": _repeated(catalog, ids),
            "stage": _repeated(stage, ids),
            "reason": np.array(np.broadcast_to(reasons, ids.shape)),
        }
    )


def fate_rows(ids, catalog, fate):
    """A table of what became of rows that were not rejected; parameters as for `rejected_rows`.

    Returns
    -------
    Table
        Columns `id`, `catalog`, `fate`.
    """
    ids = _texts(ids)
    return Table({"id": ids, "catalog": _repeated(catalog, ids), "fate": _repeated(fate, ids)})


def _texts(values):
    values = np.asarray(values, dtype=None if hasattr(values, "dtype") else str)
    return values if values.dtype.kind in "SU" else values.astype(str)


def _repeated(text, ids):
    return np.full(ids.shape, np.array(text, dtype=ids.dtype.kind))
