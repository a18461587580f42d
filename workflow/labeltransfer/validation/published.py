"""The numbers that the papers print, and how they compare with the ones measured here."""

import numpy as np
import pandas as pd

COLUMNS = ("quantity", "label", "value", "unit", "where", "source", "note")
SOURCES = {"T": "text of the paper", "F": "found in a public source", "I": "inference"}
NOT_MEASURED = "not measured in this run"


def read_published(path):
    """Read a table of published numbers.

    Parameters
    ----------
    path : str or Path
        CSV with the columns quantity, label (may be empty), value, unit, where (in the paper), source
        (T: text of the paper, F: found in a public source, I: inference) and note.

    Returns
    -------
    DataFrame
        `value` as float, the rest as text.

    Raises
    ------
    ValueError
        If columns differ, a value is no finite number, a source is unknown, or a quantity and label recur.
    """
    table = pd.read_csv(path, dtype="str", keep_default_na=False)
    if tuple(table.columns) != COLUMNS:
        raise ValueError(f"{path}: expected columns {', '.join(COLUMNS)}; found {', '.join(table.columns)}")
    value = pd.to_numeric(table["value"], errors="coerce")
    bad = ~np.isfinite(value)
    if bad.any():
        raise ValueError(f"{path}: value is no finite number for {_show(table[bad])}")
    table["value"] = value.astype(float)
    strange = ~table["source"].isin(list(SOURCES))
    if strange.any():
        raise ValueError(f"{path}: source must be one of {', '.join(SOURCES)} for {_show(table[strange])}")
    again = table.duplicated(["quantity", "label"])
    if again.any():
        raise ValueError(f"{path}: quantity and label recur: {_show(table[again])}")
    return table


def wanted_of(published):
    """Quantities and labels {(quantity, label)} of a table of published numbers."""
    return set(zip(published["quantity"], published["label"], strict=True))


def published_vs_here(published, measured, archive_kind):
    """Set published numbers beside the ones measured here.

    Parameters
    ----------
    published : DataFrame
        From `read_published`.
    measured : mapping of (quantity, label) to float or str
        What was measured; a text instead of a number is the reason why it was not.
    archive_kind : str
        Where the spectra came from: "mock", "public", "local" or "registry".

    Returns
    -------
    DataFrame
        One row per published number: quantity, label, unit, published, here, ratio (here / published),
        archive, where (with the source mark), note. `here` is NaN, with the reason in the note, where there
        is none.

    Raises
    ------
    ValueError
        If something was measured that is not in the table of published numbers: a misspelt name would
        otherwise go unnoticed.
    """
    keys = list(zip(published["quantity"], published["label"], strict=True))
    strange = sorted(set(measured) - set(keys))
    if strange:
        raise ValueError(f"measured, but not in the table of published numbers: {strange}")
    here, note = [], []
    for key, about in zip(keys, published["note"], strict=True):
        found = measured.get(key, NOT_MEASURED)
        reason = found if isinstance(found, str) else "" if np.isfinite(found) else "no finite value here"
        here.append(np.nan if reason else float(found))
        note.append("; ".join(text for text in (about, reason) if text))
    value = published["value"].to_numpy(dtype=float)
    ratio = np.full(len(value), np.nan)
    np.divide(here, value, out=ratio, where=value != 0)
    return pd.DataFrame(
        {
            "quantity": published["quantity"].to_numpy(),
            "label": published["label"].to_numpy(),
            "unit": published["unit"].to_numpy(),
            "published": value,
            "here": np.array(here, dtype=float),
            "ratio": ratio,
            "archive": archive_kind,
            "where": [f"{w} [{s}]" for w, s in zip(published["where"], published["source"], strict=True)],
            "note": note,
        }
    )


def _show(rows):
    return ", ".join(f"{row.quantity} {row.label}".strip() for row in rows.head(3).itertuples())
