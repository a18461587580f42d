"""The ledger knows every row once."""

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from labeltransfer.catalogs import ledger as ledgers
from labeltransfer.catalogs.ledger import COLUMNS, count_fates, ledger_blocks
from labeltransfer.files.parquet import write_parquet


def rejected(ids, stage, reason, catalog="survey", **more):
    n = len(ids)
    return Table({"id": ids, "catalog": [catalog] * n, "stage": [stage] * n, "reason": [reason] * n, **more})


def fates(ids, fate, catalog="survey", **more):
    return pd.DataFrame({"id": ids, "catalog": catalog, "fate": fate, **more})


def assemble(survey_ids, reference_ids, rejected, fates):
    """The ledger as one table, put together from blocks."""
    found = ledgers.assemble(survey_ids, reference_ids, rejected, [fates])
    return pd.concat(list(ledger_blocks(found, max(2, len(survey_ids) // 3))), ignore_index=True)


def test_each_row_has_one_fate():
    ledger = assemble(
        ["s0", "s1", "s2", "s3"],
        ["r0", "r1"],
        [rejected(["s2"], "match", "first"), rejected(["s2", "s0"], "prepare", "later")],
        pd.concat(
            [
                fates(["s3", "s1"], ["labelled", "labelled and trained on"]),
                fates(["r0"], "trained on", "reference"),
            ]
        ).pipe(lambda f: pd.concat([f, fates(["r1"], "not observed by the survey", "reference")])),
    )
    assert tuple(ledger.columns) == COLUMNS
    assert ledger.to_numpy().tolist() == [
        ["survey", "s0", 0, "rejected", "prepare", "later"],
        ["survey", "s1", 1, "labelled and trained on", "", ""],
        ["survey", "s2", 2, "rejected", "match", "first"],
        ["survey", "s3", 3, "labelled", "", ""],
        ["reference", "r0", 0, "trained on", "", ""],
        ["reference", "r1", 1, "not observed by the survey", "", ""],
    ]
    stages = [rejected(["a", "b", "c"], "s", "r"), rejected(["d"], "s", "q")]
    ends = [fates(["e"], "labelled"), fates(["x"], "trained on", "reference")]
    found = ledgers.assemble(["a", "b", "c", "d", "e"], ["x"], stages, ends)
    assert count_fates(found).to_numpy().tolist() == [
        ["survey", "rejected", "s", "r", 3],
        ["survey", "labelled", "", "", 1],
        ["survey", "rejected", "s", "q", 1],
        ["reference", "trained on", "", "", 1],
    ]


def test_the_same_id_in_both_catalogues_is_two_rows():
    ledger = assemble(["x"], ["x"], [rejected(["x"], "match", "far", "reference")], fates(["x"], "labelled"))
    assert ledger["fate"].tolist() == ["labelled", "rejected"]


def test_duplicate_ids_keep_apart():
    twice = assemble(
        ["d", "e", "d"], [], [rejected(["d"], "read", "duplicate id")], fates(["d", "e"], "labelled")
    )
    assert twice["fate"].tolist() == ["labelled", "labelled", "rejected"]
    by_row = assemble(
        ["d", "e", "d"], [], [rejected(["d"], "read", "duplicate id", row=[0])], fates(["d", "e"], "labelled")
    )
    assert by_row["fate"].tolist() == ["rejected", "labelled", "labelled"]
    all_out = assemble(["d", "d"], [], [rejected(["d", "d"], "read", "no file")], fates([], []))
    assert all_out["fate"].tolist() == ["rejected", "rejected"]


def test_the_first_reason_wins_by_row_and_by_id():
    stages = [rejected(["a"], "one", "first", row=[0]), rejected(["a"], "two", "second", row=[0])]
    assert assemble(["a"], [], stages, fates([], []))["reason"].tolist() == ["first"]
    within = [rejected(["a", "a"], "one", ["first", "second"][0])]
    within[0]["reason"] = ["first", "second"]
    assert assemble(["a"], [], within, fates([], []))["reason"].tolist() == ["first"]


@pytest.mark.parametrize(
    ("stages", "ends", "message"),
    [
        ([], fates(["a"], "labelled"), "1 of 2 rows have neither a fate nor a reason, such as 'b'"),
        ([rejected(["a"], "s", "r")], fates(["a", "b"], "labelled"), "such as 'a'"),
        ([], fates(["a", "a", "b"], "labelled"), "have a fate though"),
        ([], fates(["a", "b", "c"], "labelled"), "in no input catalogue, such as 'c'"),
        ([rejected(["z"], "s", "r")], fates(["a", "b"], "labelled"), "in no input catalogue, such as 'z'"),
        ([rejected(["a"], "s", "r", "reference")], fates(["a", "b"], "labelled"), "in no input catalogue"),
        ([rejected(["a"], "s", "r", row=[1])], fates(["b"], "labelled"), "another id"),
        ([rejected(["a"], "s", "r", row=[2])], fates(["b"], "labelled"), "beyond the end"),
        ([rejected(["a"], "s", "")], fates(["b"], "labelled"), "empty reason"),
        (
            [rejected(["a"], "s", "r").to_pandas().assign(reason=None)],
            fates(["b"], "labelled"),
            "empty reason",
        ),
        ([], fates(["a", "b"], ["labelled", np.nan]), "empty fate"),
        ([rejected(["a"], "s", "r", "stars")], fates(["b"], "labelled"), "must be 'survey' or 'reference'"),
        ([Table({"id": ["a"]})], fates(["b"], "labelled"), "no column catalog, stage, reason"),
    ],
)
def test_what_does_not_add_up_is_an_error(stages, ends, message):
    with pytest.raises(ValueError, match=message):
        assemble(["a", "b"], [], stages, ends)


def test_a_large_ledger_adds_up(rng):
    n = 200_000
    ids = np.char.add("spec-", rng.integers(0, 150_000, n).astype(str))  # many ids recur
    out = rng.random(n) < 0.3
    rows = np.arange(n)
    ledger = assemble(
        ids,
        ["r"],
        [rejected(ids[out], "prepare", "no redshift", row=rows[out])],
        pd.concat(
            [fates(ids[~out], "labelled", row=rows[~out]), fates(["r"], "trained on", "reference", row=-1)]
        ),
    )
    np.testing.assert_array_equal(ledger["fate"][:n] == "rejected", out)
    np.testing.assert_array_equal(ledger["id"][:n], ids)


def test_the_ledger_survives_parquet(tmp_path):
    ledger = assemble(["=a", "b"], [], [rejected(["b"], "s", "r")], fates(["=a"], "labelled"))
    write_parquet(ledger, tmp_path / "ledger.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "ledger.parquet"), ledger)


@pytest.mark.parametrize(("survey", "reference"), [(3, 1), (1, 1), (2, 2), (2, 0)])
def test_a_ledger_with_another_number_of_lines_than_rows_were_found_is_refused(survey, reference):
    ids = fates(["a", "b"], "labelled"), fates(["A"], "trained on", "reference")
    ledger = ledgers.assemble(["a", "b"], ["A"], [], ids)
    ledgers.check_counts(ledger, {"survey": 2, "reference": 1})
    name, found, there = ("survey", survey, 2) if survey != 2 else ("reference", reference, 1)
    with pytest.raises(
        ValueError, match=rf"^{found} rows or files of the {name} were found, but .* has {there}:"
    ):
        ledgers.check_counts(ledger, {"survey": survey, "reference": reference})
