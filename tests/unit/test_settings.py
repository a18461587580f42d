"""The configuration: what is accepted, what is refused and in which words, and that the documents agree with it."""

import ast
import copy
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from labeltransfer import settings
from labeltransfer.settings import (
    TAKEN_NAMES,
    ConfigError,
    check_config,
    code_versions,
    configured,
    goes_first,
    surrounding_versions,
    typed,
    validate_config,
)


def merged(*parts):
    """Nested dicts, the later over the earlier, as Snakemake merges configuration files."""
    result = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result


@pytest.fixture(scope="module")
def schema_path(root):
    return root / "config" / "schemas" / "config.schema.yaml"


@pytest.fixture(scope="module")
def schema(schema_path):
    return yaml.safe_load(schema_path.read_text())


@pytest.fixture(scope="module")
def default(root):
    return yaml.safe_load((root / "config" / "config.yaml").read_text())


def test_the_files_of_the_repository_are_accepted(root, default, schema_path):
    validate_config(default, schema_path)
    others = [*(root / "config").glob("*.yaml"), *(root / "tests" / "workflow").glob("*.yaml")]
    assert len(others) >= 4
    for path in others:
        validate_config(merged(default, yaml.safe_load(path.read_text())), schema_path, [path])


@pytest.mark.parametrize(
    ("change", "key", "problem"),
    [
        ({"sead": 1}, "sead", "unknown key 'sead'; known here: run, source, seed, archives"),
        (
            {"archives": {"moc": {}}},
            "archives.moc",
            "unknown key 'moc'; known here: mock, public, missing, local",
        ),
        (
            {"archives": {"mock": {"releases": {"dr2": {"n_stars": 3}}}}},
            "archives.mock.releases.dr2.n_stars",
            "unknown key 'n_stars'; known here: n_reference, n_survey",
        ),
        ({"preparation": {"normalisation": {"form": "x"}}}, "preparation.normalisation.form", "unknown key"),
        ({"studies": {"ho2017": {"distance": {"cutt": 2}}}}, "studies.ho2017.distance", "cutt"),
        (
            {"studies": {"ho2017": {"cuts": [{"reason": "x", "bellow": 3}]}}},
            "studies.ho2017.cuts.0.bellow",
            "unknown",
        ),
        (
            {"studies": {"ho2017": {"cuts": [{"column": "teff"}]}}},
            "studies.ho2017.cuts.0",
            "'reason' is missing",
        ),
        ({"seed": -1}, "seed", "-1 is less than the minimum of 0 (Every random draw starts from it.)"),
        ({"seed": "first"}, "seed", "'first' is not of type 'integer'"),
        ({"source": "web"}, "source", "'web' is not one of ['mock', 'public', 'local', 'registry']"),
        ({"run": []}, "run", "[] should be non-empty"),
        ({"chunks": {"survey": 0}}, "chunks.survey", "0 is less than the minimum of 1"),
        ({"archives": {"mock": {"defects": {"html": -2}}}}, "archives.mock.defects.html", "-2 is less than"),
        (
            {"archives": {"mock": {"dwarf_fraction": 1.5}}},
            "archives.mock.dwarf_fraction",
            "1.5 is greater than",
        ),
        (
            {"archives": {"public": {"concurrency": 500}}},
            "archives.public.concurrency",
            "500 is greater than",
        ),
        (
            {"archives": {"public": {"lamost_mirror": "ftp://x"}}},
            "archives.public.lamost_mirror",
            "does not match",
        ),
        ({"preparation": {"min_good_fraction": 3}}, "preparation.min_good_fraction", "3 is greater than"),
        ({"studies": {"ho2017": {"figures": [1, 13]}}}, "studies.ho2017.figures", "13"),
        ({"studies": {"Ho 2017": {}}}, "studies.Ho 2017", "must begin with a lower-case letter"),
        ({"studies": {"my-study": {}}}, "studies.my-study", "only lower-case letters, digits and _"),
        ({"studies": {"Mine": {}}}, "studies.Mine", "'Mine' cannot be a name here"),
        ({"studies": {2017: {}}}, "studies.2017", "2017 cannot be a name here"),
        ({"studies": {True: {}}}, "studies.True", "put it in quotes"),
        ({"run": [2017]}, "run.0", "2017 is not of type 'string'"),
        ({"grid": None}, "grid", "None is not of type 'object'"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named_with_its_key_and_file(
    default, schema_path, root, tmp_path, change, key, problem
):
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(change))
    with pytest.raises(ConfigError) as caught:
        validate_config(merged(default, change), schema_path, [root / "config" / "config.yaml", mine])
    where, _, rest = str(caught.value).partition(": ")
    assert where == str(mine)
    assert rest.startswith(key)
    assert problem in rest


def test_a_key_that_is_missing_is_named(default, schema_path):
    config = copy.deepcopy(default)
    del config["archives"]["public"]["retries"]
    with pytest.raises(ConfigError, match=r"archives\.public: 'retries' is missing"):
        validate_config(config, schema_path)
    del config["seed"]
    with pytest.raises(
        ConfigError, match=r"top level: 'seed' is missing|archives\.public: 'retries' is missing"
    ):
        validate_config(config, schema_path)


def test_a_value_from_the_command_line_is_not_blamed_on_a_file(default, schema_path, root):
    files = [root / "config" / "config.yaml"]
    for change in ({"seed": -3}, {"sead": 3}):
        with pytest.raises(ConfigError, match=r"^configuration \(no file holds this value; see --config"):
            validate_config(merged(default, change), schema_path, files)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run": ["ting2071"]}, "run names the study 'ting2071', but studies has only ho2017"),
        ({"grid": {"lower": 9500.0}}, "grid.lower must be below grid.upper"),
        (
            {"studies": {"ho2017": {"pipeline": {"vsini": "v"}}}},
            "studies.ho2017.pipeline names vsini, which is no label",
        ),
        (
            {"studies": {"ho2017": {"nuisance": ["a_v"]}}},
            "studies.ho2017.nuisance names a_v, which is no label",
        ),
        (
            {"studies": {"ho2017": {"distance": {"scale": {"alpha_m": 0.1}}}}},
            "studies.ho2017.distance.scale names a label without a pipeline value; "
            "studies.ho2017.pipeline has teff, logg, fe_h",
        ),
        (
            {"studies": {"ho2017": {"validation": {"bootstrap": 0}}}},
            "studies.ho2017.validation.bootstrap must be 0 for a network, else 2 or more",
        ),
        (
            {"studies": {"ho2017": {"model": {"kind": "network"}}}},
            "studies.ho2017.model.kind is network, so it needs the key studies.ho2017.network",
        ),
    ],
    ids=["run", "grid", "pipeline", "nuisance", "distance", "bootstrap", "network"],
)
def test_parts_that_contradict_each_other_are_refused(default, root, tmp_path, change, message):
    files = [root / "config" / "config.yaml", tmp_path / "mine.yaml"]
    files[1].write_text(yaml.safe_dump(change))
    check_config(default, files)
    with pytest.raises(ConfigError) as caught:
        check_config(merged(default, change), files)
    assert str(caught.value).startswith(f"{files[1]}: {message}")


def test_a_study_is_not_named_as_another_folder_of_the_results(default, root, tmp_path):
    mine = tmp_path / "mine.yaml"
    for name in ("archive", "times", "ab_initio", "release", "results"):
        change = {"run": [name], "studies": {name: default["studies"]["ho2017"]}}
        mine.write_text(yaml.safe_dump(change))
        with pytest.raises(ConfigError, match=f"^{mine}: studies.{name} cannot be the name"):
            check_config(merged(default, change), [root / "config" / "config.yaml", mine])
    found = {
        name
        for path in [root / "workflow" / "Snakefile", *(root / "workflow" / "rules").glob("*.smk")]
        for name in re.findall(r"results/([a-z_]+)[/\"]", path.read_text())
    }
    assert found | {"results"} == set(TAKEN_NAMES)


def test_no_level_of_the_schema_takes_unknown_keys_and_every_key_is_described(schema):
    nodes = [("", schema)]
    seen = 0
    while nodes:
        path, node = nodes.pop()
        if isinstance(node, list):
            nodes += [(path, inner) for inner in node]
        if not isinstance(node, dict):
            continue
        if "properties" in node:
            assert node.get("additionalProperties") is False, f"{path or 'top level'} takes unknown keys"
            for name, inner in node["properties"].items():
                seen += 1
                resolved = schema["$defs"][inner["$ref"].rpartition("/")[2]] if "$ref" in inner else inner
                of_releases = "releases" in path and name.startswith("dr")
                assert resolved.get("description") or inner.get("description") or of_releases, (
                    f"{path}.{name}"
                )
        elif node.get("type") == "object":
            assert "additionalProperties" in node, path
        nodes += [(f"{path}.{name}", inner) for name, inner in node.items() if name != "required"]
    assert seen > 80


def test_examples_in_the_documents_are_accepted(root, default, schema_path):
    examples = []
    for path in [root / "README.md", *(root / "config").glob("*"), *(root / "docs").glob("*.md")]:
        if path.is_file():
            said = path.read_text()
            examples += re.findall(r'(?:--configfile (\S+) )?--config "([a-z_]+)=([^"]+)"', said)
            examples += re.findall(r"(?:--configfile (\S+) )?--config ([a-z_]+)=([^\s`\"]+)", said)
    assert len(examples) >= 2
    for file, name, text in examples:
        below = merged(default, yaml.safe_load((root / file).read_text())) if file else default
        # As Snakemake reads it: everything nested is text.
        value = yaml.load(text.replace("PATH", "path"), Loader=yaml.BaseLoader)
        validate_config(merged(below, {name: typed(value)}), schema_path)


def test_text_of_the_command_line_gets_the_types_of_yaml():
    given = {"chunks": {"survey": "200"}, "f": ["1", "2.5", "true", "null"], "s": "exp(-d2/L2)", "n": 3}
    assert typed(given) == {"chunks": {"survey": 200}, "f": [1, 2.5, True, None], "s": "exp(-d2/L2)", "n": 3}
    # What YAML would take for a date, a list or a mapping stays the text that it was.
    for text in ("2017-01-01", "a: b", "[1", "results/archive", "1-of-2", "@x", "lamost-dr2"):
        assert typed(text) == text


def test_what_was_given_is_merged_over_the_defaults_key_by_key(tmp_path):
    defaults = tmp_path / "config.yaml"
    defaults.write_text("seed: 1\nrun: [a, b]\nstudies: {a: {cut: 2, form: {x: 1}}}\n")
    given = {"run": ["c"], "studies": {"a": {"cut": None, "form": {"y": 2}}, "c": {"cut": 3}}}
    before = copy.deepcopy(given)
    found = configured(defaults, given)
    assert found == {
        "seed": 1,
        "run": ["c"],
        "studies": {"a": {"cut": None, "form": {"x": 1, "y": 2}}, "c": {"cut": 3}},
    }
    # Another workflow may give one mapping to two modules.
    found["studies"]["c"]["cut"] = 4
    found["run"].append("d")
    assert given == before


def test_only_what_the_command_line_said_gets_types(tmp_path):
    defaults = tmp_path / "config.yaml"
    defaults.write_text("chunks: {survey: 1}\ntitle: T\n")
    given = {"chunks": {"survey": "200"}, "title": "2017"}
    found = configured(defaults, given, {"chunks": {"survey": "200"}, "samples": "7"})
    # A text of a file stays one, and what another workflow was told is none of ours.
    assert found == {"chunks": {"survey": 200}, "title": "2017"}
    assert configured(defaults, given) == given
    assert configured(defaults, {}) == {"chunks": {"survey": 1}, "title": "T"}


def test_a_folder_goes_before_what_is_installed(tmp_path, monkeypatch):
    for place, text in (("installed", "old"), ("folder", "new")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "which.py").write_text(f"print({text!r})\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "installed"))
    for _ in range(2):
        goes_first(tmp_path / "folder")
    assert os.environ["PYTHONPATH"].split(os.pathsep) == [
        str(tmp_path / "folder"),
        str(tmp_path / "installed"),
    ]
    run = subprocess.run([sys.executable, "-c", "import which"], capture_output=True, text=True, check=True)
    assert run.stdout == "new\n"


def test_code_versions_follow_the_source_floor_by_floor(tmp_path, monkeypatch):
    for floor in settings.FLOORS:
        (tmp_path / floor).mkdir()
        (tmp_path / floor / "module.py").write_text("x = 1\n")
    monkeypatch.setattr(settings, "__file__", str(tmp_path / "settings.py"))
    before = code_versions()
    assert list(before) == list(settings.FLOORS)
    assert all(re.fullmatch("[0-9a-f]{12}", digest) for digest in before.values())
    assert code_versions() == before
    (tmp_path / "models" / "notes.txt").write_text("no code\n")
    assert code_versions() == before
    (tmp_path / "models" / "module.py").write_text("x = 2\n")
    (tmp_path / "spectra" / "module.py").rename(tmp_path / "spectra" / "other.py")
    changed = {floor for floor, digest in code_versions().items() if digest != before[floor]}
    assert changed == {"models", "spectra"}


def test_code_versions_follow_imports_down_the_floors(tmp_path, monkeypatch):
    library = tmp_path / "labeltransfer"
    for floor in settings.FLOORS:
        (library / floor).mkdir(parents=True)
        (library / floor / "__init__.py").write_text("")
    (library / "files" / "one.py").write_text("x = 1\n")
    (library / "spectra" / "store.py").write_text("from labeltransfer.files import one\n")
    (library / "models" / "train.py").write_text(
        "def f():\n    from labeltransfer.spectra.store import one\n"
    )
    monkeypatch.setattr(settings, "__file__", str(library / "settings.py"))
    before = code_versions()
    (library / "files" / "one.py").write_text("x = 2\n")
    changed = {floor for floor, digest in code_versions().items() if digest != before[floor]}
    assert changed == {"files", "spectra", "models"}


def test_imports_are_seen_as_the_parser_sees_them(root):
    library = root / "workflow" / "labeltransfer"
    paths = sorted(library.rglob("*.py"))
    parts = {path: path.relative_to(library.parent).with_suffix("").parts for path in paths}
    modules = {".".join(names).removesuffix(".__init__"): path for path, names in parts.items()}
    n_import = 0
    for path in paths:
        expected = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                expected |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                expected |= {alias.name for alias in node.names}
        expected = {modules[name] for name in expected if name in modules}
        assert set(settings._imported(path, modules)) == expected, path
        n_import += len(expected)
    assert n_import > 200


def test_versions_around_the_floors_follow_modules_scripts_and_rules(tmp_path, monkeypatch):
    library = tmp_path / "workflow" / "labeltransfer"
    files = {
        "base": [library / "runtime.py"],
        "scripts": [
            tmp_path / "workflow" / "Snakefile",
            tmp_path / "workflow" / "rules" / "train.smk",
            tmp_path / "workflow" / "scripts" / "cannon" / "train.py",
        ],
    }
    for path in [*files["base"], *files["scripts"], library / "models" / "cannon.py"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    monkeypatch.setattr(settings, "__file__", str(library / "settings.py"))
    here = tmp_path / "workflow"
    before = surrounding_versions(here)
    assert set(before) == {"base", "scripts"}
    assert all(re.fullmatch("[0-9a-f]{12}", digest) for digest in before.values())
    (library / "models" / "cannon.py").write_text("x = 2\n")
    assert surrounding_versions(here) == before
    for part, paths in files.items():
        for path in paths:
            path.write_text("x = 2\n")
            changed = {name for name, digest in surrounding_versions(here).items() if digest != before[name]}
            assert changed == {part}, path
            path.write_text("x = 1\n")
    assert surrounding_versions(here) == before
    # A workflow straight from git is no folder.
    assert surrounding_versions(Path("git+file:/somewhere/workflow@main")) == {"base": before["base"]}


def test_floors_are_those_of_the_library(root):
    library = root / "workflow" / "labeltransfer"
    assert {path.parent.name for path in library.glob("*/__init__.py")} == set(settings.FLOORS)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            {"terms": ["teff", "mass"]},
            "studies.ho2017.model.terms has mass, but mass is no label of the study",
        ),
        ({"terms": ["teff^2*logg"]}, "terms has teff^2*logg, which is of higher order than model.order, 2"),
        ({"terms": ["teff", "logg*fe_h"]}, "studies.ho2017.model.terms has none with alpha_m, a_k"),
        (
            {"forms": {"mass": "5040/x"}},
            "studies.ho2017.model.forms names mass, which is no label of the study",
        ),
        ({"terms": ["teff^"]}, "model.terms"),
        ({"forms": {"teff": "1/x"}}, "model.forms"),
    ],
)
def test_terms_and_forms_that_are_none_are_refused_before_anything_runs(default, schema_path, model, message):
    config = merged(default, {"studies": {"ho2017": {"model": model}}})
    with pytest.raises(ConfigError, match=re.escape(message)):
        validate_config(config, schema_path)


def test_terms_and_forms_of_labels_are_accepted(default, schema_path):
    terms = ["teff", "logg", "fe_h", "alpha_m", "a_k", "teff * logg", "teff^2"]
    model = {"terms": terms, "forms": {"teff": "5040/x"}}
    validate_config(merged(default, {"studies": {"ho2017": {"model": model}}}), schema_path)
