"""The ledger: the fate of every row of the input catalogues, or the first reason why it went no further."""

from typing import NamedTuple

import numpy as np
import pandas as pd

COLUMNS = ("catalog", "id", "row", "fate", "stage", "reason")
REJECTED = "rejected"


def assemble(survey_ids, reference_ids, rejected, fates):
    """Build the ledger, one line for each row of the two input catalogues.

    Rows are found by `catalog` and `id`. Where an id stands in a catalogue more than once, a column `row`
    (index in the input catalogue; -1 if unknown) says which is meant; without it a rejection takes the last
    of the rows that are still open and a fate the first, as when readers keep the first of duplicates.

    Parameters
    ----------
    survey_ids, reference_ids : (n,) sequence of str
        Ids of all rows of the input catalogues, in their order.
    rejected : sequence of tables
        Rejected rows in the order of the stages, with columns `id`, `catalog` ("survey" or "reference"),
        `stage`, `reason` and, optionally, `row`. Of several rejections of a row the first counts.
    fates : table
        What became of the rows that were not rejected: columns `id`, `catalog`, `fate` (such as "labelled",
        "labelled and trained on", "trained on") and, optionally, `row`.

    Returns
    -------
    DataFrame
        Columns `catalog`, `id`, `row`, `fate`, `stage`, `reason`: survey rows first, in catalogue order.

    Raises
    ------
    ValueError
        If a row has no fate, is both rejected and given a fate, has two fates, or is not in the catalogues:
        nothing may be lost on the way, nor appear from nowhere.
    """
    catalogs = {"survey": _text(survey_ids), "reference": _text(reference_ids)}
    index = _index(catalogs)
    n = len(index.ids)
    outcome = {name: np.full(n, "", dtype=object) for name in ("fate", "stage", "reason")}

    for number, table in enumerate(rejected, start=1):
        entries = _entries(table, ("id", "catalog", "stage", "reason"), f"rejected table {number}")
        place = _locate(entries, index, outcome["fate"] == "", last=True)
        place, kept = np.unique(place, return_index=True)
        kept = kept[place >= 0]
        place = place[place >= 0]
        still_open = outcome["fate"][place] == ""
        place, kept = place[still_open], kept[still_open]
        outcome["fate"][place] = REJECTED
        outcome["stage"][place] = entries["stage"].to_numpy(object)[kept]
        outcome["reason"][place] = entries["reason"].to_numpy(object)[kept]

    entries = _entries(fates, ("id", "catalog", "fate"), "table of fates")
    place = _locate(entries, index, outcome["fate"] == "", last=False)
    clash = (place < 0) | (outcome["fate"][place] != "") | pd.Series(place).duplicated().to_numpy()
    if clash.any():
        raise ValueError(
            f"{clash.sum()} rows have a fate though they were rejected or have another one, "
            f"such as {_show(entries[clash])}; each row may end in one place only"
        )
    outcome["fate"][place] = entries["fate"].to_numpy(object)

    ledger = pd.DataFrame(
        {
            "catalog": pd.Series(np.repeat(list(catalogs), index.size), dtype="str"),
            "id": pd.Series(index.ids, dtype="str"),
            "row": np.concatenate([np.arange(size) for size in index.size]),
            **{name: pd.Series(values, dtype="str") for name, values in outcome.items()},
        }
    )
    lost = outcome["fate"] == ""
    if lost.any():
        raise ValueError(
            f"{lost.sum()} of {n} rows have neither a fate nor a reason, such as {_show(ledger[lost])}; "
            "the step that dropped them must say why"
        )
    return ledger


def count_fates(ledger):
    """Count the rows of a ledger by catalogue, fate, stage and reason, the most frequent first.

    Parameters
    ----------
    ledger : DataFrame
        From `assemble`.

    Returns
    -------
    DataFrame
        Columns `catalog`, `fate`, `stage`, `reason`, `rows`.
    """
    keys = ["catalog", "fate", "stage", "reason"]
    counts = ledger.groupby(keys, sort=True).size().rename("rows").reset_index()
    return counts.sort_values(["catalog", "rows"], ascending=[False, False], kind="stable", ignore_index=True)


def _text(ids):
    # A missing value (None, NaN) differs from itself or is None: it must not become the word "nan".
    return np.array(["" if value is None or value != value else str(value) for value in ids], dtype=object)


def _entries(table, columns, what):
    """The needed columns of a Table or DataFrame as text, with `row` (-1 where not given)."""
    names = list(table.keys())
    missing = [name for name in columns if name not in names]
    if missing:
        raise ValueError(f"{what}: no column {', '.join(missing)}; it has {', '.join(map(str, names))}")
    entries = pd.DataFrame({name: pd.Series(_text(table[name]), dtype="str") for name in columns})
    entries["row"] = np.asarray(table["row"], dtype=np.int64) if "row" in names else np.int64(-1)
    strange = ~entries["catalog"].isin(["survey", "reference"])
    if strange.any():
        raise ValueError(f"{what}: catalog must be 'survey' or 'reference': found {_show(entries[strange])}")
    for name in set(columns) - {"id", "catalog", "stage"}:
        if (entries[name] == "").any():
            raise ValueError(f"{what}: empty {name} for {_show(entries[entries[name] == ''])}")
    return entries


class _Index(NamedTuple):
    """Where the ids of both catalogues stand: lines of the ledger, survey first."""

    ids: np.ndarray  # (n,) id of each line
    code: np.ndarray  # (n,) number that equal ids of a catalogue share
    known: dict  # catalogue -> (pandas Index of its distinct ids, code of the first of them)
    start: np.ndarray  # (2,) first line of each catalogue
    size: np.ndarray  # (2,) lines of each catalogue


def _index(catalogs):
    code, known, offset = [], {}, 0
    for name, ids in catalogs.items():
        number, distinct = pd.factorize(ids)
        code.append(number + offset)
        known[name] = (pd.Index(distinct), offset)
        offset += len(distinct)
    size = np.array([len(ids) for ids in catalogs.values()])
    return _Index(
        np.concatenate(list(catalogs.values())), np.concatenate(code), known, size.cumsum() - size, size
    )


def _locate(entries, index, is_open, last):
    """Ledger line of each entry; -1 where all lines of its id are closed already."""
    place = np.full(len(entries), -1, dtype=np.int64)
    ids, row = entries["id"].to_numpy(object), entries["row"].to_numpy()
    catalog = (entries["catalog"] == "reference").to_numpy().astype(int)
    given = row >= 0
    outside = given & (row >= index.size[catalog])
    if outside.any():
        raise ValueError(f"rows beyond the end of the input catalogue: {_show(entries[outside])}")
    place[given] = (index.start[catalog] + row)[given]
    wrong = given & (index.ids[place] != ids) if len(index.ids) else given
    if wrong.any():
        raise ValueError(f"rows that carry another id in the input catalogue: {_show(entries[wrong])}")

    # Where only ids are known: the k-th entry of an id goes to the k-th open line of that id.
    code = np.full(len(entries), -1, dtype=np.int64)
    for number, (distinct, offset) in enumerate(index.known.values()):
        mine = (catalog == number) & ~given
        found = distinct.get_indexer(ids[mine])
        code[mine] = np.where(found >= 0, found + offset, -1)
    unknown = ~given & (code < 0)
    if unknown.any():
        raise ValueError(
            f"{unknown.sum()} rows that are in no input catalogue, such as {_show(entries[unknown])}"
        )
    is_open = is_open.copy()
    is_open[place[given]] = False
    lines = np.flatnonzero(is_open)
    lines = lines[np.lexsort((-lines if last else lines, index.code[lines]))]
    begin, end = (np.searchsorted(index.code[lines], code[~given], side) for side in ("left", "right"))
    line = begin + pd.Series(code[~given]).groupby(code[~given]).cumcount().to_numpy()
    there = line < end
    place[np.flatnonzero(~given)[there]] = lines[line[there]]
    return place


def _show(rows):
    """The first rows by name, for an error message."""
    return ", ".join(f"{row.id!r} ({row.catalog})" for row in rows.head(3).itertuples())
