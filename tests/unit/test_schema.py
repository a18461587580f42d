"""What is written from the schema of the configuration: that it is up to date, and says what the schema says."""

import copy

import jsonschema
import pytest
import yaml

from labeltransfer.schema import described, documents, standalone


@pytest.fixture(scope="module")
def schema(root):
    return yaml.safe_load((root / "config" / "schemas" / "config.schema.yaml").read_text())


@pytest.fixture(scope="module")
def default(root):
    return yaml.safe_load((root / "config" / "config.yaml").read_text())


@pytest.fixture(scope="module")
def shown(root):
    """The schema as the catalogue of workflows finds it."""
    return yaml.safe_load((root / "workflow" / "schemas" / "config.schema.yaml").read_text())


def test_what_is_written_from_the_schema_is_up_to_date(root):
    written = documents(root)
    assert len(written) == 2
    stale = [str(path.relative_to(root)) for path, text in written.items() if path.read_text() != text]
    assert stale == [], "write them again: PYTHONPATH=workflow python -m labeltransfer.schema"


def test_a_changed_schema_makes_both_documents_stale(root, tmp_path):
    for path in ("config/schemas/config.schema.yaml", "config/config.yaml", "config/README.md"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text((root / path).read_text())
    before = documents(tmp_path)
    path = tmp_path / "config" / "schemas" / "config.schema.yaml"
    path.write_text(path.read_text().replace("Every random draw starts from it.", "It starts every draw."))
    after = documents(tmp_path)
    assert all("It starts every draw." in after[path] and before[path] != after[path] for path in before)


def test_keys_are_listed_below_their_parents():
    schema = {
        "properties": {
            "a": {"description": "First.", "type": "object", "properties": {"b": {"description": "Inner."}}},
            "c": {"$ref": "#/$defs/d"},
            "e": {
                "description": "Or null.",
                "anyOf": [{"type": "null"}, {"type": "object", "properties": {"f": {}}}],
            },
        },
        "$defs": {"d": {"description": "Elsewhere."}},
    }
    assert described(schema) == "- `a`: First.\n  - `b`: Inner.\n- `c`: Elsewhere.\n- `e`: Or null.\n  - `f`"


def test_the_catalogue_s_table_has_every_key_with_its_description_and_default(shown, default):
    """Read as the catalogue reads it: type, description and default of each property, and its properties in turn."""
    rows = {}

    def read(node, path):
        for name, child in node.get("properties", {}).items():
            assert "$ref" not in child
            rows[(*path, name)] = child
            read(child, (*path, name))

    read(shown, ())
    assert len(rows) > 150
    assert rows["seed",]["default"] == default["seed"]
    assert rows["studies", "ho2017", "validation", "folds"]["default"] == 10
    assert rows["studies", "ho2017", "distance", "cut"]["default"] == 2.5
    assert "network" in rows["studies", "ting2017", "model", "kind"]["enum"]
    bare = [path for path, row in rows.items() if not row.get("description")]
    # Names that the user chose: studies, labels, releases, reference points.
    assert {path[:-1] for path in bare} <= {
        ("studies",),
        ("archives", "mock", "releases"),
        ("ab_initio", "references"),
    }

    def leaves(value, path):
        if isinstance(value, dict) and value and (*path, next(iter(value))) in rows:
            for name, inner in value.items():
                yield from leaves(inner, (*path, name))
        else:
            yield path, value

    named = 0
    for path, value in leaves(default, ()):
        if path[-1] in ("labels", "extra_labels") and path[0] == "studies":
            named += 1  # each of them would have rows of its own
        else:
            assert rows[path].get("default") == value, path
    assert named == 3


def test_both_schemas_accept_and_refuse_the_same(schema, shown, default):
    def errors(rules, config):
        found = jsonschema.Draft202012Validator(rules).iter_errors(config)
        return {tuple(error.absolute_path) for error in found}

    assert errors(shown, default) == errors(schema, default) == set()
    for path, value in [
        (("seed",), -1),
        (("sead",), 1),
        (("studies", "ho2017", "distance"), None),
        (("studies", "ho2017", "distance", "form"), "sum of squares"),
        (("studies", "ho2017", "labels", "teff", "units"), "K"),
        (("studies", "mine"), {}),
        (("studies", "Mine"), {}),
        (("ab_initio", "references", "g4800", "teff"), "hot"),
    ]:
        changed = copy.deepcopy(default)
        node = changed
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value
        accepted = value is None
        assert (errors(shown, changed) == set()) == (errors(schema, changed) == set()) == accepted, path


def test_references_are_resolved_and_what_was_given_is_left_alone():
    schema = {
        "type": "object",
        "properties": {
            "a": {"$ref": "#/$defs/n"},
            "b": {"type": "object", "additionalProperties": {"$ref": "#/$defs/o"}},
        },
        "$defs": {
            "n": {"type": "number"},
            "o": {"type": "object", "properties": {"c": {"$ref": "#/$defs/n"}}},
        },
    }
    before = copy.deepcopy(schema)
    found = standalone(schema, {"a": 1, "b": {"mine": {"c": 2}}})
    inner = {"type": "object", "properties": {"c": {"type": "number", "default": 2}}}
    assert found == {
        "type": "object",
        "properties": {
            "a": {"type": "number", "default": 1},
            "b": {
                "type": "object",
                "additionalProperties": {"type": "object", "properties": {"c": {"type": "number"}}},
                "properties": {"mine": inner},
            },
        },
    }
    assert schema == before
