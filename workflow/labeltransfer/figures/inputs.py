"""What figures ask of the tables and arrays that they are given."""

import numpy as np


def float_column(table, name, figure_name, table_name):
    """A column as floats with NaN for masked values; a clear error where the table lacks it."""
    _need_column(table, name, figure_name, table_name)
    values = table[name]
    if getattr(values, "unit", None) is not None and hasattr(values, "value"):
        values = values.value
    return np.ma.filled(np.ma.asarray(values).astype(float), np.nan)


def same_length(figure_name, **arrays):
    """Arrays of one figure as floats; an error that tells their lengths where these differ."""
    arrays = {
        name: np.ma.filled(np.ma.asarray(array).astype(float), np.nan) for name, array in arrays.items()
    }
    if len({array.shape for array in arrays.values()}) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{figure_name} needs arrays of the same shape, found {shapes}")
    return tuple(arrays.values())


def text_column(table, name, figure_name, table_name):
    """A column of words; a clear error where the table lacks it."""
    _need_column(table, name, figure_name, table_name)
    return np.array([str(value) for value in table[name]], dtype=object)


def _need_column(table, name, figure_name, table_name):
    if name not in table.colnames:
        raise ValueError(
            f"{figure_name} needs column '{name}' of the {table_name} table, "
            f"which has: {', '.join(table.colnames)}. "
            "Make that table with a run that provides the column, or ask for fewer labels (argument labels)."
        )
