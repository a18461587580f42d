"""Every rule alone: from its inputs, as they lie in a finished run, it makes its outputs again, in the same bytes."""

import hashlib
import re
from pathlib import Path

import pytest

from tests.workspaces import with_results_of

SMALL = Path(__file__).with_name("small.yaml")


def rules_of(made, config):
    """The first output of the first job of each rule of a finished run, and how many rules there are."""
    lines = made.succeed("--summary", "--configfile", config).splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("output_file\t"))
    found = {}
    for line in lines[head + 1 :]:
        file, _, rule, *_ = line.split("\t")
        if (made.folder / file).is_file():
            found.setdefault(rule, file)
    return found


def outputs_of(made):
    """sha256 of all results by path."""
    paths = (path for path in (made.folder / "results").rglob("*") if path.is_file())
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def remake_each(made, config, without=()):
    """Run each rule alone on the inputs that are there; the rules, and what was not made again as it was."""
    rules, before = rules_of(made, config), outputs_of(made)
    for rule in without:
        del rules[rule]
    wrong = []
    for rule, file in rules.items():
        old = (made.folder / file).stat().st_mtime_ns
        run = made.snakemake(file, "--force", "--allowed-rules", rule, "--configfile", config)
        if run.returncode or (made.folder / file).stat().st_mtime_ns == old:
            wrong.append((rule, run.stdout[-1500:]))
        elif not re.search(r"^1 of 1 steps", run.stdout, re.M):
            wrong.append((rule, "other jobs than this one were run"))
    after = outputs_of(made)
    wrong += [("", str(path)) for path in before if after.get(path) != before[path]]
    return rules, wrong


@pytest.fixture(scope="module")
def small(small_run, workspace):
    return with_results_of(small_run, workspace("rules"))


def test_every_rule_of_the_first_study_makes_its_outputs_from_its_inputs_alone(small):
    rules, wrong = remake_each(small, SMALL)
    assert wrong == []
    assert len(rules) > 28
