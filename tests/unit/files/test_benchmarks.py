"""What the benchmark files of jobs say, by rule and in all."""

import pytest

from labeltransfer.files.benchmarks import by_rule, expectation, read_benchmarks, report, rule_of

PATTERNS = {
    "part": "logs/{study}/part/{item}.tsv",
    "train": "logs/{study}/train.tsv",
    "any": "logs/{study}/{rule}.tsv",
}


def test_a_file_belongs_to_the_rule_with_the_least_freedom():
    assert rule_of("logs/a/train.tsv", PATTERNS) == "train"
    assert rule_of("logs/a/part/1-of-2.tsv", PATTERNS) == "part"
    assert rule_of("logs/a/other.tsv", PATTERNS) == "any"
    assert rule_of("logs/a/b/c/d.tsv", PATTERNS) is None


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = {
        "logs/a/train.tsv": "100.5\t50.25\t300",
        "logs/a/part/1.tsv": "10\t5\t20",
        "logs/a/part/2.tsv": "30\t6\t10",
        "logs/a/short.tsv": "0.2\t-\tNA",
        "logs/not/of/any/rule.tsv": "1000\t1000\t1000",
    }
    for name, line in lines.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\tcpu_time\tmax_rss\n{line}\n")
    return read_benchmarks("logs", PATTERNS)


def test_sums_and_maxima_of_rules(jobs):
    table = by_rule(jobs).set_index("rule")
    assert list(table.index) == ["train", "part", "any"]
    assert table.loc["part"].to_dict() == {
        "jobs": 2,
        "wall_s": 40,
        "longest_s": 30,
        "cpu_s": 11,
        "memory_mb": 20,
    }


def test_report_has_the_sum_and_the_longest_jobs(jobs):
    text = report(jobs, largest=2)
    assert text.startswith("all 4 jobs: 141 s of wall time, 61 s of CPU time")
    longest = text.partition("the 2 longest jobs:\n")[2].splitlines()[1:]
    assert [line.split() for line in longest] == [
        ["logs/a/train", "100.5", "50.25", "300.0"],
        ["logs/a/part/2", "30.0", "6.00", "10.0"],
    ]


def test_expectation_names_studies_in_their_order_and_no_strangers(monkeypatch):
    monkeypatch.setattr("labeltransfer.files.benchmarks.CPU_SECONDS", {"one": 120, "two": 600})
    assert "on two idle cores: two about 5.0 min, then one about 1.0 min (" in expectation(
        ["two", "mine", "one"]
    )
    assert expectation(["mine"]) == ""
