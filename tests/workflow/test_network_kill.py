"""The network study, its driver and a job of every script killed: the bytes of a run left alone."""

import hashlib
from collections import Counter

from tests.workflow.conftest import NETWORK_SMALL
from tests.workflow.test_kill import WATCH, some, wait_for_silence


def digests(folder):
    """sha256 of every file of the study."""
    paths = sorted(path for path in (folder / "results" / "ting2017").rglob("*") if path.is_file())
    return {path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_a_killed_run_goes_on_to_the_same_bytes(root, workspace, network_run, tmp_path):
    made = workspace("network_killed")
    arguments = ("--configfile", NETWORK_SMALL, "--retries", "2")
    watched = {"PYTHONPATH": str(WATCH), "WATCH_DIARY": str(tmp_path), "WATCH_KILLS": "1"}
    made.kill_when(some("results/ting2017/models/parts/prior/*.h5"), *arguments, **watched)
    wait_for_silence(made.folder)
    made.succeed("--unlock", "--configfile", NETWORK_SMALL)
    made.succeed(*arguments, **watched)
    expected, found = digests(network_run), digests(made.folder)
    assert set(found) == set(expected)
    assert [str(name) for name in expected if found[name] != expected[name]] == []
    diary = [line.split("\t") for line in (tmp_path / "diary.txt").read_text().splitlines()]
    begun = Counter(line[1] for line in diary if line[0] == "begin")
    struck = Counter(line[1] for line in diary if line[0] == "killed")
    scripts = {path.stem for path in (root / "workflow" / "scripts" / "network").glob("*.py")}
    assert len(scripts & set(struck)) > 10
    assert scripts & set(struck) == scripts & set(begun)
