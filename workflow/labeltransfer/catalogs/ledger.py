"""The ledger: the fate of every row of the input catalogues, or the first reason why it went no further.

Catalogues have millions of rows, so a row costs its id as bytes, where the id stands in alphabetical order, and
the number of its outcome; rejected rows may come in blocks.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from labeltransfer.catalogs.rows import Index, index_ids, text_bytes
from labeltransfer.files.tables import BLOCK

COLUMNS = ("catalog", "id", "row", "fate", "stage", "reason")
CATALOGS = ("survey", "reference")
REJECTED = "rejected"
_OPEN = -1


class Ledger(NamedTuple):
    """The outcome of every row of the input catalogues.

    Attributes
    ----------
    ids : tuple of two (n,) bytes arrays
        Of the survey and of the reference catalogue.
    outcome : tuple of two (n,) int32 arrays
        Numbers in `outcomes`.
    outcomes : list of (fate, stage, reason)
        Texts; stage and reason are empty for rows that were not rejected.
    """

    ids: tuple
    outcome: tuple
    outcomes: list


def assemble(survey_ids, reference_ids, rejected, fates):
    """Build the ledger, one line for each row of the two input catalogues.

    Rows are found by `catalog` and `id`. Where an id stands in a catalogue more than once, a column `row`
    (index in the input catalogue; -1 if unknown) says which is meant; without it a rejection takes the last
    of the rows that are still open and a fate the first, as when readers keep the first of duplicates.

    Parameters
    ----------
    survey_ids, reference_ids : (n,) sequence of str or bytes
        Ids of all rows of the input catalogues, in their order.
    rejected : iterable of tables
        Rejected rows in the order of the stages, with columns `id`, `catalog` ("survey" or "reference"),
        `stage`, `reason` and, optionally, `row`. Of several rejections of a row the first counts. A long
        table may come in blocks.
    fates : iterable of tables
        What became of the rows that were not rejected: columns `id`, `catalog`, `fate` (such as "labelled",
        "labelled and trained on", "trained on") and, optionally, `row`.

    Returns
    -------
    Ledger

    Raises
    ------
    ValueError
        If a row has no fate, is both rejected and given a fate, has two fates, or is not in the catalogues:
        nothing may be lost on the way, nor appear from nowhere.
    """
    ids = text_bytes(survey_ids), text_bytes(reference_ids)
    indices = [index_ids(names) for names in ids]
    outcome = tuple(np.full(len(names), _OPEN, dtype=np.int32) for names in ids)
    numbers = {}

    for number, table in enumerate(rejected, start=1):
        entries = _entries(table, ("id", "catalog", "stage", "reason"), f"rejected table {number}")
        code = _codes(numbers, REJECTED, entries["stage"], entries["reason"])
        for kind, mine in _by_catalog(entries):
            place = _locate(
                _chosen(entries, mine), ids[kind], indices[kind], outcome[kind] == _OPEN, kind, True
            )
            place, first = np.unique(place, return_index=True)
            still_open = (place >= 0) & (outcome[kind][place] == _OPEN)
            outcome[kind][place[still_open]] = code[mine][first[still_open]]

    for number, table in enumerate(fates, start=1):
        entries = _entries(table, ("id", "catalog", "fate"), f"table of fates {number}")
        blank = np.zeros(len(entries["id"]), dtype="S1")
        code = _codes(numbers, entries["fate"], blank, blank)
        for kind, mine in _by_catalog(entries):
            place = _locate(
                _chosen(entries, mine), ids[kind], indices[kind], outcome[kind] == _OPEN, kind, False
            )
            clash = (place < 0) | (outcome[kind][place] != _OPEN) | pd.Series(place).duplicated().to_numpy()
            if clash.any():
                raise ValueError(
                    f"{clash.sum()} rows have a fate though they were rejected or have another one, "
                    f"such as {_show(entries['id'][mine][clash], kind)}; each row may end in one place only"
                )
            outcome[kind][place] = code[mine]

    lost = [names[states == _OPEN] for names, states in zip(ids, outcome, strict=True)]
    if any(len(names) for names in lost):
        shown = ", ".join(_show(names, kind) for kind, names in enumerate(lost) if len(names))
        raise ValueError(
            f"{sum(map(len, lost))} of {sum(map(len, ids))} rows have neither a fate nor a reason, such as {shown}; "
            "the step that dropped them must say why"
        )
    return Ledger(ids, outcome, list(numbers))


def check_counts(ledger, found):
    """Refuse a ledger that has not a line for each row or file that was found when the catalogues were read.

    Parameters
    ----------
    ledger : Ledger
    found : mapping of str to int
        How many there were, by catalogue ("survey", "reference").

    Raises
    ------
    ValueError
    """
    for name, ids in zip(CATALOGS, ledger.ids, strict=True):
        if len(ids) != found[name]:
            raise ValueError(
                f"{found[name]} rows or files of the {name} were found, but the ledger has {len(ids)}: "
                "the steps between have lost some; delete results/STUDY/catalogs and run again"
            )


def ledger_blocks(ledger, block=None):
    """Lines of a ledger as tables.

    Parameters
    ----------
    ledger : Ledger
        From `assemble`.
    block : int, optional
        Most lines of a table; 65,536 by default.

    Yields
    ------
    DataFrame
        Columns `catalog`, `id`, `row`, `fate`, `stage`, `reason`: survey rows first, in catalogue order. At
        least one, which may be empty.
    """
    block = block or BLOCK
    parts = [
        (kind, slice(start, start + block))
        for kind, names in enumerate(ledger.ids)
        for start in range(0, len(names), block)
    ]
    texts = [np.array(column, dtype=object) for column in zip(*ledger.outcomes, strict=True)] or [
        np.zeros(0)
    ] * 3
    for kind, rows in parts or [(0, slice(0, 0))]:
        names, outcome = ledger.ids[kind][rows], ledger.outcome[kind][rows]
        columns = {
            "catalog": np.full(len(names), CATALOGS[kind], dtype=object),
            "id": np.char.decode(names, "utf-8"),
        }
        columns |= dict(zip(("fate", "stage", "reason"), (text[outcome] for text in texts), strict=True))
        frame = pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in columns.items()})
        frame.insert(2, "row", np.arange(rows.start, rows.start + len(names)))
        yield frame


def count_fates(ledger):
    """Count the rows of a ledger by catalogue, fate, stage and reason, the most frequent first.

    Parameters
    ----------
    ledger : Ledger
        From `assemble`.

    Returns
    -------
    DataFrame
        Columns `catalog`, `fate`, `stage`, `reason`, `rows`.
    """
    keys = ["catalog", "fate", "stage", "reason"]
    counts = pd.DataFrame(
        [
            (CATALOGS[kind], *ledger.outcomes[number], rows)
            for kind, outcome in enumerate(ledger.outcome)
            for number, rows in enumerate(np.bincount(outcome, minlength=len(ledger.outcomes)).tolist())
            if rows
        ],
        columns=[*keys, "rows"],
    )
    counts = counts.astype(dict.fromkeys(keys, "str") | {"rows": np.int64}).sort_values(keys)
    return counts.sort_values(["catalog", "rows"], ascending=[False, False], kind="stable", ignore_index=True)


def _entries(table, columns, what):
    """The needed columns of a Table or DataFrame as bytes, with `row` (-1 where not given)."""
    names = list(table.keys())
    missing = [name for name in columns if name not in names]
    if missing:
        raise ValueError(f"{what}: no column {', '.join(missing)}; it has {', '.join(map(str, names))}")
    entries = {name: text_bytes(table[name]) for name in columns}
    entries["row"] = (
        np.asarray(table["row"], dtype=np.int64) if "row" in names else np.full(len(entries["id"]), -1)
    )
    strange = ~np.isin(entries["catalog"], [name.encode() for name in CATALOGS])
    if strange.any():
        found = ", ".join(repr(name.decode()) for name in np.unique(entries["catalog"][strange])[:3])
        raise ValueError(f"{what}: catalog must be 'survey' or 'reference': found {found}")
    for name in set(columns) - {"id", "catalog", "stage"}:
        if (entries[name] == b"").any():
            shown = ", ".join(repr(one.decode()) for one in entries["id"][entries[name] == b""][:3])
            raise ValueError(f"{what}: empty {name} for {shown}")
    return entries


def _by_catalog(entries):
    for kind, name in enumerate(CATALOGS):
        mine = np.flatnonzero(entries["catalog"] == name.encode())
        if len(mine):
            yield kind, mine


def _chosen(entries, rows):
    return entries["id"][rows], entries["row"][rows]


def _codes(numbers, fate, stage, reason):
    """Number of each triple of texts; new ones get the next numbers."""
    fate = np.broadcast_to(text_bytes(np.atleast_1d(fate)), stage.shape)
    parts = [np.unique(column, return_inverse=True) for column in (fate, stage, reason)]
    shape = [len(texts) for texts, _ in parts]
    if 0 in shape:
        return np.zeros(0, dtype=np.int32)
    triple, inverse = np.unique(np.ravel_multi_index([code for _, code in parts], shape), return_inverse=True)
    codes = []
    for places in zip(*np.unravel_index(triple, shape), strict=True):
        texts = tuple(texts[place].decode() for (texts, _), place in zip(parts, places, strict=True))
        codes.append(numbers.setdefault(texts, len(numbers)))
    return np.array(codes, dtype=np.int32)[inverse]


def _locate(entries, ids, index, is_open, kind, last):
    """Row of each entry in the catalogue; -1 where all rows of its id are closed already."""
    names, place = entries
    given = place >= 0
    outside = place >= len(ids)
    if outside.any():
        raise ValueError(f"rows beyond the end of the input catalogue: {_show(names[outside], kind)}")
    wrong = given.copy()
    wrong[given] = ids[place[given]] != names[given]
    if wrong.any():
        raise ValueError(f"rows that carry another id in the input catalogue: {_show(names[wrong], kind)}")

    # Where only ids are known: the k-th entry of an id goes to the k-th open row of that id.
    begin, end = (np.searchsorted(index.ids, names[~given], side) for side in ("left", "right"))
    unknown = begin == end
    if unknown.any():
        raise ValueError(
            f"{unknown.sum()} rows that are in no input catalogue, such as "
            f"{_show(names[~given][unknown], kind)}"
        )
    is_open[place[given]] = False
    _, first, group = np.unique(begin, return_index=True, return_inverse=True)
    rows, group_of_row = _rows_of_groups(index, begin[first], end[first])
    rows, group_of_row = rows[is_open[rows]], group_of_row[is_open[rows]]
    order = np.lexsort((-rows if last else rows, group_of_row))
    rows, group_of_row = rows[order], group_of_row[order]
    left, right = (np.searchsorted(group_of_row, group, side) for side in ("left", "right"))
    chosen = left + pd.Series(group).groupby(group).cumcount().to_numpy()
    there = chosen < right
    place = place.copy()
    place[np.flatnonzero(~given)[there]] = rows[chosen[there]]
    return place


def _rows_of_groups(index: Index, begin, end):
    """Rows of several stretches of an index, and the number of the stretch that each is in."""
    size = end - begin
    group = np.repeat(np.arange(len(size)), size)
    within = np.arange(len(group)) - np.repeat(np.cumsum(size) - size, size)
    return index.rows[begin[group] + within], group


def _show(names, kind):
    """The first rows by name, for an error message."""
    return ", ".join(f"{name.decode()!r} ({CATALOGS[kind]})" for name in names[:3])
