"""Tables as CSV that a spreadsheet can open without running anything."""

from labeltransfer.files.atomic import atomic_path

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\n")


def write_csv(frame, path):
    """Write a DataFrame as CSV in UTF-8; texts that a spreadsheet would run as a formula get a leading quote.

    Parameters
    ----------
    frame : DataFrame
        Its index is not written; missing numbers are written as `nan`.
    path : str or Path
        The file; it is replaced if it exists.
    """
    import pandas as pd  # late: it is loaded where there is a DataFrame, and many only pass this by

    safe = frame.copy()
    for position, dtype in enumerate(safe.dtypes):
        if not (pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)):
            safe.isetitem(position, safe.iloc[:, position].map(_inert_text))
    safe.columns = [_inert_text(name) for name in safe.columns]
    with atomic_path(path) as temporary:
        safe.to_csv(temporary, index=False, na_rep="nan", lineterminator="\n")


def read_chosen(path, column):
    """The number in the row of a table that its column `chosen` marks: a ridge or a strength."""
    import pandas as pd  # late, as above

    table = pd.read_csv(path)
    return float(table[column][table["chosen"]].iloc[0])


def _inert_text(value):
    if not isinstance(value, str):
        return value
    # A carriage return ends a row for some programs, and Python's writer does not quote it.
    value = value.replace("\r", "\\r")
    return "'" + value if value.startswith(_FORMULA_STARTS) else value
