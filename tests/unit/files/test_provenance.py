"""What a file says of its own making, and where that leads."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from labeltransfer.files.provenance import provenance, sha256, trace
from labeltransfer.files.tables import write_table


def test_provenance_names_each_file_by_its_path_and_content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, content in (("reference", b"one"), ("survey", b"two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1-of-2.fits").write_bytes(content)
    inputs = ["reference/1-of-2.fits", "survey/1-of-2.fits"]
    found = provenance({"seed": 7}, inputs, {"models": "0123"})
    assert found["inputs"] == {
        "reference/1-of-2.fits": hashlib.sha256(b"one").hexdigest(),
        "survey/1-of-2.fits": hashlib.sha256(b"two").hexdigest(),
    }
    assert found["settings"] == {"seed": 7}
    assert found["code"] == {"models": "0123"}
    assert found["packages"]["numpy"] == np.__version__
    assert found == provenance({"seed": 7}, inputs, {"models": "0123"})
    # Plain data without times, users or machines.
    text = json.dumps(found)
    assert str(tmp_path) not in text
    assert "202" not in text.replace(json.dumps(found["packages"]), "").replace(
        json.dumps(found["inputs"]), ""
    )


def test_provenance_is_the_same_in_another_process(tmp_path):
    code = "from labeltransfer.files.provenance import provenance; import json; "
    code += "print(json.dumps(provenance({'seed': 1})))"
    runs = [
        subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert json.loads(runs[0]) == json.loads(json.dumps(provenance({"seed": 1})))


def test_sha256_of_files_of_any_size(tmp_path):
    for size in (0, 1, 3_000_001):
        content = bytes(size)
        (tmp_path / "file").write_bytes(content)
        assert sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
    with pytest.raises(FileNotFoundError):
        sha256(tmp_path / "none")


def test_files_made_from_two_versions_of_one_are_noticed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = {"inputs": {"a.fits": "1" * 64}}
    write_table(Table({"x": [1]}), "b.fits", table)
    write_table(Table({"x": [1]}), "c.fits", {"inputs": {"a.fits": "2" * 64, "b.fits": "3" * 64}})
    assert trace(["b.fits"]) == ({"b.fits": ["a.fits"]}, {"a.fits": "1" * 64})
    with pytest.raises(ValueError, match=r"a\.fits: .*different versions"):
        trace(["c.fits"])


def test_files_that_say_nothing_are_followed_by_what_the_rules_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("d.csv").write_text("x\n1\n")
    write_table(Table({"x": [1]}), "b.fits", {"inputs": {"a.fits": "1" * 64}})
    rules = {
        "e.csv": ["d.csv", "lost.fits"],
        "d.csv": ["b.fits"],
        "b.fits": ["no.fits"],
        "other.csv": ["z.fits"],
    }
    made, digests = trace(["e.csv"], rules)
    # What a file says of itself goes before what the rules say.
    assert made == {"e.csv": ["d.csv", "lost.fits"], "d.csv": ["b.fits"], "b.fits": ["a.fits"]}
    assert digests == {"a.fits": "1" * 64, "b.fits": sha256("b.fits"), "d.csv": sha256("d.csv")}
    assert trace(["e.csv"]) == ({}, {})
