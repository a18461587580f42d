"""Fetch ledgers."""

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.sources.at_hand import (
    SPECTRUM,
    mark_of,
    numbered_anew,
    spectra_at_hand,
    spectra_fetched,
    spectra_listed,
    worth_another_try,
)


def test_spectra_that_are_not_there_are_named_in_the_fetch_ledger(tmp_path):
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "here.fits.gz").write_bytes(b"12345")
    stars = Table(
        {"spectrum_id": ["here.fits", "gone.fits"], "path": ["plan/here.fits.gz", "plan/gone.fits.gz"]}
    )
    ledger = spectra_at_hand(stars, tmp_path)
    assert ledger["status"].tolist() == ["ok", "failed"]
    assert ledger["reason"].tolist() == ["", "no such file"]
    assert ledger["bytes"].tolist() == [5, -1]
    assert ledger["path"][0] == str(tmp_path / "plan" / "here.fits.gz")


def test_a_mark_changes_with_the_spectra_alone():
    known = Table({"spectrum_id": ["a", "b", "c"], "bytes": [1, 2, 3], "sha256": ["aa", "bb", "cc"]})
    stars = Table({"spectrum_id": ["c", "a"], "path": ["p/c.fits", "p/a.fits"], "teff": [5000.0, 6000.0]})
    mark = mark_of(spectra_listed(stars, known, ""), SPECTRUM)
    stars["teff"] = [1.0, 2.0]
    known["sha256"][1] = "b2"
    assert mark_of(spectra_listed(stars, known, ""), SPECTRUM) == mark
    others = [
        mark_of(spectra_listed(stars[[1, 0]], known, ""), SPECTRUM),
        mark_of(spectra_listed(stars[:1], known, ""), SPECTRUM),
    ]
    known["sha256"][2] = "c2"
    others.append(mark_of(spectra_listed(stars, known, ""), SPECTRUM))
    assert len({mark, *others}) == 4


def test_ledgers_of_servers_and_of_folders_have_one_form(tmp_path):
    stars = Table({"spectrum_id": ["a.fits", "b.fits"], "path": ["p/a.fits", "p/b.fits"]})
    fetched = Table({"path": ["p/a.fits", "p/b.fits"], "status": ["present", "failed"]})
    fetched["reason"], fetched["bytes"], fetched["sha256"] = ["", "missing on server"], [5, -1], ["aa", ""]
    fetched["url"], fetched["attempts"] = ["u", "v"], [0, 3]
    ledger = spectra_fetched(stars, fetched, "data")
    assert ledger["status"].tolist() == ["ok", "failed"]
    assert ledger["path"].tolist() == ["data/p/a.fits", "data/p/b.fits"]
    assert ledger.colnames == [*spectra_at_hand(stars, tmp_path).colnames, "url"]


@pytest.mark.parametrize(
    ("n", "failed", "said"), [(100, 5, False), (100, 6, True), (1000, 20, False), (0, 0, False)]
)
def test_few_failures_are_borne_and_many_are_told(n, failed, said):
    reasons = np.full(n, "missing on server", dtype="U40")
    reasons[:failed] = "server answered 503"
    ledger = Table({"status": np.full(n, "failed"), "reason": reasons})
    assert bool(worth_another_try(ledger)) == said
    if said:
        assert "6 of 100 spectra" in worth_another_try(ledger)
        assert "'server answered 503'" in worth_another_try(ledger)


def test_the_number_of_a_star_in_the_catalogue_is_not_in_the_mark_of_its_set():
    stars = Table({"spectrum_id": ["b", "a"], "star": [7, 3], "teff": [5000.0, np.nan]}, meta={"of": "x"})
    again = Table(stars, copy=True)
    again["star"] += 4
    assert numbered_anew(again)["star"].tolist() == [1, 0]
    assert numbered_anew(again).meta == {"of": "x"}
    marks = [mark_of(numbered_anew(table), stars.colnames) for table in (stars, again, stars[[1, 0]])]
    assert marks[0] == marks[1] != marks[2]
