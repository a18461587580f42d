"""Runs through a real Slurm: the small study with its node drained on the way, and jobs killed for what they take."""

from pathlib import Path

import pytest

SMALL = Path(__file__).with_name("small.yaml")
TARGET = "results/ho2017/catalogs/reference_set.fits"


def contents(folder):
    """The bytes of every result."""
    paths = [path for path in (folder / "results").rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.slow
def test_the_small_study_is_the_same_on_slurm_with_its_node_drained_on_the_way(
    faults, local_run, slurm, start
):
    run = start("study", "slurm", "--configfile", SMALL, "--slurm-array-jobs", "mock_spectra,label")

    def states():
        assert run.process.poll() is None, f"over before it could be disturbed:\n{run.said()[-8000:]}"
        return set(run.states())

    slurm.wait_until(lambda: "RUNNING" in states(), "a job of the study runs")
    slurm.set_node("drain")
    # What runs ends well, and what comes next has to wait.
    slurm.wait_until(lambda: states() == {"COMPLETED", "PENDING"}, "jobs wait for the drained node", 600)
    assert slurm.node() in ("draining", "drained")
    slurm.set_node("resume")
    assert "Trying to restart" not in run.succeed()
    assert set(run.states()) == {"COMPLETED"}
    # 47 jobs of the workflow in groups.
    assert len(run.states()) < 24
    assert run.said().count("Submitted array job") == 2

    local_run.succeed()
    expected, found = contents(local_run.folder), contents(run.folder)
    assert len(expected) > 300
    assert "results/ho2017/catalog.fits" in expected
    assert set(found) == set(expected)
    assert [name for name in sorted(expected) if found[name] != expected[name]] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "killed", "granted"), [("memory", {"FAILED", "OUT_OF_MEMORY"}, 800), ("time", {"TIMEOUT"}, 1)]
)
def test_a_job_killed_for_what_it_takes_succeeds_with_more(faults, slurm, rule, killed, granted):
    faults.succeed()
    *before, last = faults.states(f"rule_{rule}")
    assert last == "COMPLETED"
    assert before
    assert set(before) <= killed, slurm.report()
    # What it was granted in the end: a busy machine may need a third attempt to start a job within its time.
    assert int((faults.folder / f"{rule}.txt").read_text()) == granted * (len(before) + 1)
    if rule == "memory":
        assert "exceeded memory limit" in (slurm.folder / "slurmd.log").read_text()


@pytest.mark.slow
def test_the_profile_for_other_schedulers_with_the_commands_of_slurm(local_run, slurm, start):
    part = start("part", "cluster", TARGET, "--configfile", SMALL)
    memory = start("memory", "cluster", "memory.txt", "--snakefile", SMALL.with_name("faults.smk"))
    part.succeed()
    assert part.states() == ["COMPLETED"] * 2
    local_run.succeed()
    assert (part.folder / TARGET).read_bytes() == (local_run.folder / TARGET).read_bytes()
    # A job that was killed leaves no word itself: its state is what is noticed.
    assert "Trying to restart" in memory.succeed()
    killed, good = memory.states()
    assert killed in ("FAILED", "OUT_OF_MEMORY"), slurm.report()
    assert good == "COMPLETED"
    assert (memory.folder / "memory.txt").read_text() == "1600\n"
