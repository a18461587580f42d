"""The workflow in other people's work: each way of using it makes the bytes that a run in the repository makes."""

import re
import shutil
import textwrap
from pathlib import Path

import pytest
import yaml

from tests.workflow.test_dag import jobs
from tests.workspaces import DEPLOYED, Workspace, snakefile_in

SMALL = Path(__file__).with_name("small.yaml")
STUDY = "results/ho2017"
CATALOG = f"{STUDY}/catalog.fits"
MADE = ("catalog.fits", "catalog.parquet", "ledger.parquet", "fates.csv")
OTHER_SEED = 7


def module(name, snakefile, config, rules, **others):
    """Text of a module statement and of the use of its rules."""
    others = "".join(f"\n    {key}: {value!r}" for key, value in others.items())
    return f"module {name}:\n    snakefile: {str(snakefile)!r}\n    config: {config}{others}\n\nuse rule {rules}\n\n"


@pytest.fixture
def elsewhere(tmp_path):
    """Make a workspace with nothing of the repository: `elsewhere(Snakefile, configuration)`."""

    def make(text="", config=None, name="elsewhere"):
        folder = tmp_path / name
        (folder / "config").mkdir(parents=True)
        (folder / "Snakefile").write_text(text)
        (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config or {}))
        return Workspace(folder)

    return make


@pytest.fixture(scope="module")
def small():
    return yaml.safe_load(SMALL.read_text())


@pytest.fixture(scope="module")
def reference(workspace):
    """Folder of the study as a run in the repository makes it, by seed; each is run when it is first asked for."""
    made = {}

    def run(seed):
        if seed not in made:
            here = workspace(f"seed-{seed}")
            here.succeed(
                CATALOG, "--configfile", SMALL, *([] if seed is None else ["--config", f"seed={seed}"])
            )
            made[seed] = here.folder / STUDY
        return made[seed]

    return run


def assert_same_bytes(found, expected):
    for name in MADE:
        assert (found / name).read_bytes() == (expected / name).read_bytes(), name


# The ways that run.


def test_by_its_snakefile_from_an_empty_folder(elsewhere, clone, reference, tmp_path):
    start, results = tmp_path / "start", tmp_path / "results"
    start.mkdir()
    results.mkdir()
    snakefile = clone / "workflow" / "Snakefile"
    here = Workspace(start)
    here.succeed(CATALOG, "--snakefile", snakefile, "--directory", results, "--configfile", SMALL)
    assert list(start.iterdir()) == []
    assert_same_bytes(results / STUDY, reference(None))


def test_as_a_module_with_renamed_rules(elsewhere, clone, reference, small):
    text = f'rule all:\n    input: "{CATALOG}"\n\n'
    text += 'configfile: "config/config.yaml"\n\n'
    text += module(
        "labels", clone / "workflow" / "Snakefile", 'config["labels"]', "* from labels as labels_*"
    )
    here = elsewhere(text, {"samples": "none of the module's business", "labels": small})
    printed = here.succeed()
    counts = jobs(printed.partition("Select jobs")[0])
    assert counts.pop("all") == 1
    assert counts.pop("total") > 20
    assert {name.partition("_")[0] for name in counts} == {"labels"}
    assert_same_bytes(here.folder / STUDY, reference(None))


def test_as_a_module_from_git_as_snakedeploy_writes_it(elsewhere, repository, library, reference, small):
    text = DEPLOYED.format(
        repo="https://example.org/survey-label-transfer",
        name="survey_label_transfer",
        snakefile=f'"{snakefile_in(repository)}"',
    )
    # The configuration holds what differs from the default, and nothing else.
    here = elsewhere(text, small)
    here.succeed(CATALOG, **library)
    assert_same_bytes(here.folder / STUDY, reference(None))


def test_two_instances_with_prefixes_and_seeds_of_their_own(elsewhere, clone, reference, small):
    snakefile = clone / "workflow" / "Snakefile"
    text = 'configfile: "config/config.yaml"\n\n'
    text += f'rule both:\n    input: "one/{CATALOG}", "work/two/{CATALOG}"\n\n'
    text += module("one", snakefile, "config", "* from one as one_*", prefix="one")
    other = f"dict(config, seed={OTHER_SEED})"
    text += module("two", snakefile, other, "* from two as two_*", prefix="work/two")
    here = elsewhere(text, small)
    here.succeed()
    assert_same_bytes(here.folder / "one" / STUDY, reference(None))
    assert_same_bytes(here.folder / "work" / "two" / STUDY, reference(OTHER_SEED))
    # What a module makes is all under its prefix, but for the records of Snakemake.
    assert {path.name for path in here.folder.iterdir()} == {
        "Snakefile",
        "config",
        "one",
        "work",
        ".snakemake",
    }


# What can be seen in a plan.


def plan(here, *arguments, **variables):
    return jobs(here.succeed(*arguments, "--dry-run", "--quiet", "rules", **variables))


def test_rules_as_they_are_and_the_module_s_default_target(elsewhere, clone, workspace):
    snakefile = clone / "workflow" / "Snakefile"
    everything = plan(workspace("everything"))
    # Neither a configuration nor a target of its own; a file that is there for other rules is left alone.
    text = module("labels", snakefile, "{}", "* from labels")
    assert plan(elsewhere(text, {"samples": 3}, "bare")) == everything
    without_config = text.replace("    config: {}\n", "")
    assert plan(elsewhere(without_config, {"samples": 3}, "none")) == everything
    renamed = text.replace("from labels", "from labels as my_*")
    assert plan(elsewhere(renamed, name="renamed")) == {
        name if name == "total" else f"my_{name}": count for name, count in everything.items()
    }


def test_the_whole_configuration_may_be_deployed_too(elsewhere, clone, repository, library, workspace):
    text = DEPLOYED.format(repo="x", name="labels", snakefile=f'"{snakefile_in(repository)}"')
    here = elsewhere(text)
    shutil.copytree(clone / "config", here.folder / "config", dirs_exist_ok=True)
    small_plan = plan(workspace("small"), "--configfile", SMALL)
    assert plan(here, "--configfile", SMALL, **library) == small_plan
    # Values of the command line have their types.
    more = plan(here, "--configfile", SMALL, "--config", "chunks={survey: 5}", **library)
    assert more["mock_spectra"] == 5


def test_instances_may_differ_in_everything(elsewhere, clone):
    snakefile = clone / "workflow" / "Snakefile"
    text = 'rule both:\n    input: "one/results/ho2017/catalog.fits", "two/results/mine/catalog.fits"\n\n'
    one = {"chunks": {"survey": 3, "reference": 2}}
    own = {"run": ["mine"], "chunks": {"survey": 7, "reference": 5}}
    text += module("one", snakefile, one, "* from one as one_*", prefix="one")
    text += textwrap.dedent(f"""\
        import yaml

        own = {own!r}
        with open({str(clone / "config" / "config.yaml")!r}) as file:
            own["studies"] = {{"mine": yaml.safe_load(file)["studies"]["ho2017"]}}

    """)
    text += module("two", snakefile, "own", "* from two as two_*", prefix="two")
    counts = plan(elsewhere(text))
    assert [counts[f"{name}_mock_spectra"] for name in ("one", "two")] == [3, 7]
    assert [counts[f"{name}_prepare"] for name in ("one", "two")] == [5, 12]
    # A study that is not in the default configuration is a target like the others.
    assert plan(elsewhere(text, name="target"), "two_mine")["two_complete"] == 1


def test_a_caller_s_own_table_of_facts_has_no_prefix(elsewhere, clone):
    snakefile = clone / "workflow" / "Snakefile"
    config = {"preparation": {"windows": ["resources/masks/telluric.csv", "mine/windows.csv"]}}
    text = module("labels", snakefile, config, "* from labels", prefix="there")
    here = elsewhere(text)
    target = "there/results/ho2017/spectra/survey/1-of-4.h5"
    missing = here.fail("--dry-run", target)
    assert "mine/windows.csv" in missing
    assert "there/mine" not in missing
    assert "masks" not in missing
    (here.folder / "mine").mkdir()
    shutil.copy(clone / "resources" / "masks" / "sky_lines.csv", here.folder / "mine" / "windows.csv")
    assert plan(here, target)["prepare"] == 1


def test_unknown_keys_of_a_module_are_refused(elsewhere, clone):
    text = module("labels", clone / "workflow" / "Snakefile", {"sead": 3}, "* from labels")
    assert "sead: unknown key 'sead'" in elsewhere(text).fail("--dry-run")


def test_without_its_library_a_workflow_from_git_says_what_to_install(elsewhere, repository):
    text = module("labels", snakefile_in(repository), {}, "* from labels")
    printed = elsewhere(text).fail("--dry-run")
    assert re.search(
        r"without a folder for its library labeltransfer; install version \d+\.\d+\.\d+", printed
    )


def test_another_version_of_the_library_is_an_error(elsewhere, repository, library):
    text = module("labels", snakefile_in(repository, "later"), {}, "* from labels")
    printed = elsewhere(text).fail("--dry-run", **library)
    assert re.search(
        r"version 99\.0\.0 of the workflow, but version \d+\.\d+\.\d+ of its library in", printed
    )
    assert library["PYTHONPATH"] in printed
