"""The plan, the rules and their style: without running a single job."""

import ast
import re
import resource
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

# What a package is called where its name differs from that of the module.
OPTIONAL = {
    "isal",
    "specutils",
}  # used where they are there; done without, or asked for by name, where they are not
PACKAGES = {"yaml": "pyyaml", "PIL": "pillow", "pysme": "pysme-astro"}
HO2017 = "results/ho2017/complete.json"
DIRECTIVES = ("log", "benchmark", "conda", "threads", "resources", "message")


@pytest.fixture(scope="module")
def here(workspace):
    return workspace("dag")


def jobs(text):
    """Jobs by rule in the last table of a dry-run."""
    table = text.rpartition("Job stats:")[2]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.M)}


def plan(here, *targets, config=(), configfile=()):
    """Jobs by rule that a run would have."""
    options = ["--dry-run", "--quiet", "rules"]
    options += ["--config", *config] if config else []
    options += ["--configfile", *configfile] if configfile else []
    return jobs(here.succeed(*targets, *options))


def rules(root):
    """Text of every rule by name, with what it inherits before it."""
    found = {}
    for path in [
        root / "Snakefile",
        root / "workflow" / "Snakefile",
        *sorted((root / "workflow" / "rules").glob("*.smk")),
    ]:
        # Rules in a loop are called by the constant part of their names.
        text = re.sub(
            r"^for .*\n((?:    .*\n|\n)+)",
            lambda loop: textwrap.dedent(loop[1]),
            path.read_text(),
            flags=re.M,
        )
        text = re.sub(r'^rule:\n    name:\n        f?"(\w+).*', r"rule \1:", text, flags=re.M)
        for block in re.split(r"^(?=rule |checkpoint |use rule )", text, flags=re.M)[1:]:
            block = re.split(r"^(?=[^\s#])", block, flags=re.M)[1]  # without what follows the rule
            name = re.match(r"(?:rule|checkpoint) (\w+):|use rule \w+ as (\w+) with:", block)
            base = re.match(r"use rule (\w+) as", block)
            found[name[1] or name[2]] = (found[base[1]] if base else "", block)
            found[name[1] or name[2]] = "".join(found[name[1] or name[2]])
    return found


def works(rule):
    """Whether a rule does something, rather than only name targets."""
    return re.search(r"^    (script|shell|run):", rule, re.M) is not None


def test_hundreds_of_chunks_are_planned_in_seconds(here):
    def planned(chunks):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        counts = plan(here, HO2017, config=[f"chunks={{survey: {chunks}, reference: 10}}"])
        return counts, resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before

    # Processor time, and over that of few chunks, so that neither a busy nor a slow machine fails the test.
    (counts, many), (_, few) = planned(200), planned(4)
    print(f"200 chunks: {many:.1f} CPU-s, 4 chunks: {few:.1f}")
    assert many < 8 * few
    expected = {
        "mock_catalogs": 1,
        "mock_spectra": 200,
        "survey_catalog": 1,
        "reference_catalog": 1,
        "crossmatch": 1,
        "select": 1,
        "repeats_set": 1,
        "fetch_spectra": 211,
        "fetch_example": 1,
        "prepare": 211,
        "train": 1,
        "bootstrap": 1,
        "cross_validate": 1,
        "label": 211,
        "repeats": 1,
        "calibrate": 1,
        "compare": 1,
        "catalog": 1,
        "published": 1,
        "recovery_mock": 1,
        "choices": 1,
        "orders": 1,
        "choices_figure": 1,
        "complete": 1,
    }
    expected |= {f"figure_{number:02d}": 1 for number in range(1, 13)}
    assert {name: counts.get(name) for name in expected} == expected
    assert counts["total"] == sum(expected.values())


def test_studies_may_want_different_numbers_of_bootstrap_models(here, tmp_path):
    # Rules name their outputs, so that each number is a rule of its own.
    study = yaml.safe_load((here.folder / "config" / "config.yaml").read_text())["studies"]["ho2017"]
    other = study | {"validation": study["validation"] | {"bootstrap": 3}}
    file = tmp_path / "more.yaml"
    file.write_text(yaml.safe_dump({"studies": {"other": other, "third": study}}))
    paths = [f"results/{study}/complete.json" for study in ("ho2017", "other", "third")]
    counts = plan(here, *paths, configfile=[file])
    assert {name: count for name, count in counts.items() if name.startswith("bootstrap")} == {
        "bootstrap": 1,
        "bootstrap_20": 2,
    }


def test_the_typical_noise_is_measured_where_eq_1_weights_by_it(here, tmp_path):
    file = tmp_path / "typical.yaml"
    normalisation = {"errors": "typical"}
    file.write_text(
        yaml.safe_dump({"studies": {"ho2017": {"preparation": {"normalisation": normalisation}}}})
    )
    target = "results/ho2017/models/cannon.h5"
    with_it, without = plan(here, target, configfile=[file]), plan(here, target)
    assert with_it["typical_noise"] == 1
    assert with_it["total"] == without["total"] + 1


def test_a_noise_model_is_made_where_missing_errors_follow_from_residuals(here):
    target = "results/ho2017/models/cannon.h5"
    with_it = plan(here, target, config=["preparation={missing_errors: residuals}"])
    without = plan(here, target, config=["preparation={missing_errors: 100}"])
    assert with_it["residual_noise"] == 1
    assert with_it["total"] == without["total"] + 1


def test_errors_may_be_calibrated_on_repeats(here, tmp_path):
    file = tmp_path / "repeats.yaml"
    file.write_text(yaml.safe_dump({"studies": {"ho2017": {"validation": {"errors_from": "repeats"}}}}))
    target = "results/ho2017/validation/calibration.json"
    with_them, without = plan(here, target, configfile=[file]), plan(here, target)
    assert with_them["repeats_set"] == 1
    assert with_them["label"] == without["label"] + 1


def test_the_study_that_run_names_first_is_made_first(workspace):
    made = workspace("order")
    # A copy of its own, for all workspaces link to the same one.
    shared = (made.folder / "workflow").resolve()
    (made.folder / "workflow").unlink()
    shutil.copytree(shared, made.folder / "workflow")
    for script in (made.folder / "workflow" / "scripts").glob("*/*.py"):
        script.write_text("for path in snakemake.output:\n    open(path, 'w').close()\n")
    printed = made.succeed("--cores", "1", "--config", "run=[ting2017,ho2017]")
    assert re.search(
        r"^From nothing, on two idle cores: ting2017 about .* min, then ho2017 about .* min", printed, re.M
    )
    whose = re.findall(r"^Job \d+: .*?(ho2017|ting2017|lamost-dr2|lamost-dr3)", printed, re.M)
    first = [name in ("ting2017", "lamost-dr3") for name in whose]
    assert first == sorted(first, reverse=True)
    assert {*whose} == {"ho2017", "ting2017", "lamost-dr2", "lamost-dr3"}


def test_one_figure_is_a_target_of_its_own(here):
    counts = plan(here, "results/ho2017/figures/figure_05.pdf")
    assert counts["figure_05"] == 1
    assert {"catalog", "published", "figure_01"}.isdisjoint(counts)


def test_the_mocks_own_table_of_fibres_is_for_no_other_source(here):
    setting = "preparation={resolution: {common: 1600, table: archive}}"
    printed = here.fail("--dry-run", "--config", setting, "source=public")
    assert (
        "preparation.resolution.table: 'archive' is the mock's own table, and the source is public" in printed
    )
    here.succeed("--dry-run", "--config", setting)


def test_other_sources_are_plans_of_the_same_rules(here):
    mock, public = plan(here, HO2017), plan(here, HO2017, config=["source=public"])
    made_up = {"mock_catalogs", "mock_spectra", "recovery_mock"}
    assert set(mock) - set(public) == made_up
    assert set(public) - set(mock) == {"fetch_catalog"}
    assert public["fetch_catalog"] == 2
    printed = here.fail("--dry-run", "--configfile", "config/local.yaml")
    assert "_params.csv: no such file: expected a table of labels" in printed
    assert "Correct archives.local.root or archives.local.labels." in printed
    settings = yaml.safe_load((here.folder / "config" / "local.yaml").read_text())
    for name in settings["archives"]["local"]["labels"]:
        path = here.folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    local = plan(here, configfile=["config/local.yaml"], config=["archives={local: {root: data}}"])
    assert made_up.isdisjoint(local)
    assert "fetch_catalog" not in local
    assert local["complete"] == 1


def test_the_catalogue_of_workflows_finds_the_same_plan(here):
    front = plan(here)
    inner = jobs(here.succeed("--snakefile", "workflow/Snakefile", "--dry-run", "--quiet", "rules"))
    assert front == inner
    assert front["all"] == 1


def test_lint_is_clean(here):
    assert "good condition" in here.succeed("--lint")


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["snakefmt", "--check", "workflow"],
    ],
    ids=" ".join,
)
def test_style_is_clean(root, here, command):
    tool = shutil.which(command[0], path=here.environment()["PATH"])
    if tool is None:
        pytest.skip(f"{command[0]} is not installed: pip install --requirement requirements-test.txt")
    run = subprocess.run(
        [tool, *command[1:]], cwd=root, env=here.environment(), text=True, capture_output=True, timeout=300
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-5000:]


def test_every_rule_has_what_a_cluster_and_a_reader_need(root):
    found = rules(root)
    assert len([rule for rule in found.values() if works(rule)]) > 25
    for name, rule in found.items():
        if works(rule):
            missing = [word for word in DIRECTIVES if not re.search(rf"^    {word}:", rule, re.M)]
            assert missing == [], f"{name} has no {', '.join(missing)}"
            # What grows with the attempt: a number alone would be killed again and again.
            assert re.search(r"mem_mb=growing\(\d+\),", rule), name
            assert re.search(r"runtime=growing\(\d+\),", rule), name
            # Snakemake itself takes more than 200 MB in each job.
            assert all(int(size) >= 500 for size in re.findall(r"mem_mb=growing\((\d+)\)", rule)), name


def test_no_two_rules_share_a_log(root):
    logs = {}
    for name, rule in rules(root).items():
        if works(rule):
            # The last counts: what went before is inherited.
            logs.setdefault(re.findall(r'^    log:\n\s+"([^"]+)"', rule, re.M)[-1], []).append(name)
    assert {log: names for log, names in logs.items() if len(names) > 1} == {}


PAPERS = {
    "ho2017": {f"figure_{number:02d}": f"figure_{number:02d}" for number in range(1, 13)},
    "ting2017": {f"figure_{number:02d}": f"network_figure_{number:02d}" for number in range(1, 4)}
    | {name: f"{name}_figure" for name in ("d_scale", "cramer_rao", "shift_test")},
}


@pytest.mark.parametrize("paper", PAPERS)
def test_a_figure_goes_by_one_name_everywhere(root, paper):
    found, library = rules(root), root / "workflow" / "labeltransfer" / "figures" / paper
    for name, rule in PAPERS[paper].items():
        source = ast.parse((library / f"{name}.py").read_text())
        functions = {node.name for node in source.body if isinstance(node, ast.FunctionDef)}
        assert {"draw", "from_files"} <= functions, name
        # The last counts: what went before is inherited.
        assert re.findall(r'drawn\("([^"]+)"', found[rule])[-1] == f"{paper}/{name}"
        assert re.findall(r'paper="(\w+)"', found[rule])[-1] == paper
        caption = root / "workflow" / "report" / paper / f"{name}.rst"
        assert len(caption.read_text()) > 100, caption
    drawn = {path.stem for path in library.glob("*.py") if "def from_files" in path.read_text()}
    assert drawn == set(PAPERS[paper])


# Imports of scripts against the environments of their rules.


def imports_of(path, root):
    """Third-party packages that a file imports, by itself or through files of the repository.

    Those inside functions count too: they are missed just as much when the function is called.
    """
    library = root / "workflow" / "labeltransfer"
    packages, todo, done = set(), [path], set()
    while todo:
        file = todo.pop()
        if file in done:
            continue
        done.add(file)
        for name in imported_names(file, library):
            parts = name.split(".")
            if parts[0] == "labeltransfer":
                place = library
                todo.append(library / "__init__.py")
                for part in parts[1:]:
                    place = place / part
                    todo += [
                        file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()
                    ]
            elif parts[0] not in sys.stdlib_module_names | OPTIONAL:
                packages.add(PACKAGES.get(parts[0], parts[0]))
    return packages


def imported_names(file, library):
    """Full names of the modules that a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                package = ["labeltransfer", *file.relative_to(library).parent.parts]
                package = package[: len(package) - node.level + 1]
                module = ".".join([*package, *([module] if module else [])])
            yield module
            # `from package import module` imports the module too; other names lead to no file.
            yield from (
                f"{module}.{alias.name}" for alias in node.names if module.startswith("labeltransfer")
            )
        elif isinstance(node, ast.JoinedStr):
            # A module that is named at run time, f"labeltransfer.figures.{paper}.{name}": it may be any.
            parts = ["*" if isinstance(part, ast.FormattedValue) else part.value for part in node.values]
            if parts and str(parts[0]).startswith("labeltransfer."):
                pattern = "".join(parts).removeprefix("labeltransfer.").replace(".", "/")
                for path in sorted(library.glob(f"{pattern}.py")):
                    yield ".".join(("labeltransfer", *path.relative_to(library).with_suffix("").parts))


def dependencies(environment):
    """Packages of an environment file, those of pip included."""
    for entry in yaml.safe_load(environment.read_text())["dependencies"]:
        for text in entry["pip"] if isinstance(entry, dict) else [entry]:
            yield re.match(r"[A-Za-z0-9_-]+", text)[0].lower()


def test_imports_are_followed_through_the_library(root):
    found = imports_of(root / "workflow" / "scripts" / "figures" / "figure.py", root)
    # matplotlib through the figures, scipy through one that is named at run time, h5py through the store below.
    assert {"numpy", "astropy", "matplotlib", "scipy", "h5py", "threadpoolctl"} <= found
    assert "labeltransfer" not in found
    assert "requests" in imports_of(root / "workflow" / "scripts" / "archive" / "fetch_spectra.py", root)
    assert "matplotlib" not in imports_of(root / "workflow" / "scripts" / "spectra" / "prepare.py", root)


def test_every_script_finds_its_imports_in_the_environment_of_its_rule(root):
    checked = set()
    for name, rule in rules(root).items():
        for script in re.findall(r'^    script:\n\s+"\.\./scripts/([^"]+)"', rule, re.M):
            environment = re.findall(r'conda:\s+"\.\./\.\./envs/([^"]+)"', rule)[-1]
            needed = imports_of(root / "workflow" / "scripts" / script, root)
            missing = needed - set(dependencies(root / "envs" / environment))
            assert not missing, f"{name}: {script} needs {sorted(missing)}, which {environment} lacks"
            checked.add(script)
    there = {f"{path.parent.name}/{path.name}" for path in (root / "workflow" / "scripts").glob("*/*.py")}
    assert checked == there, f"scripts without a rule: {sorted(there - checked)}"


def test_driver_has_what_the_snakefile_imports(root):
    needed = {"snakemake"}
    for path in [root / "workflow" / "Snakefile", *(root / "workflow" / "rules").glob("*.smk")]:
        for module in re.findall(r"^(?:from|import) (labeltransfer[\w.]*)", path.read_text(), re.M):
            place = root / "workflow" / Path(*module.split("."))
            needed |= imports_of(place.with_suffix(".py"), root)
    driver = set(re.findall(r"^([a-z0-9-]+)$", (root / "requirements.in").read_text(), re.M))
    assert len(needed) > 2
    assert needed <= driver
