"""What is said of the configuration elsewhere, written from its schema and its defaults.

In the repository, `PYTHONPATH=workflow python -m labeltransfer.schema` writes the keys in config/README.md, and
workflow/schemas/config.schema.yaml, from which the catalogue of Snakemake workflows makes its table of parameters.
"""

import copy
import sys
from pathlib import Path

import yaml

from labeltransfer.files.places import LIBRARY

HEADING = "## Keys\n"
HEADER = """\
# Written from config/schemas/config.schema.yaml and config/config.yaml for the catalogue of Snakemake workflows, which
# follows no references: edit those, then PYTHONPATH=workflow python -m labeltransfer.schema
"""


def described(schema):
    """Write the keys of a schema as a list in Markdown.

    Parameters
    ----------
    schema : dict
        JSON schema of the configuration; every property has a description.

    Returns
    -------
    str
    """
    return "\n".join(_lines(schema, schema, 0))


def _lines(node, schema, depth):
    for name, child in _resolved(node, schema).get("properties", {}).items():
        child = _resolved(child, schema)
        yield f"{'  ' * depth}- `{name}`: {child.get('description', '')}".rstrip(" :")
        yield from _lines(child, schema, depth + 1)
    node = _resolved(node, schema)
    for child in (node.get("additionalProperties"), node.get("items")):
        if isinstance(child, dict):
            yield from _lines(child, schema, depth)


def _resolved(node, schema):
    """The node itself, what it refers to, or the choice of it that is an object, which may then be null."""
    if "$ref" in node:
        return schema["$defs"][node["$ref"].rpartition("/")[2]]
    for choice in node.get("anyOf", []):
        if choice.get("type") == "object":
            return {"description": node.get("description", ""), **choice, "type": ["object", "null"]}
    return node


def standalone(schema, defaults):
    """A schema without references, with the default of every key.

    Parameters
    ----------
    schema : dict
        JSON schema of the configuration.
    defaults : dict
        A configuration. Studies in it, and what else has a name of the user's choice, become properties; names
        within these do not, which would make it several times as long.

    Returns
    -------
    dict
        A schema that accepts what the other accepts.
    """
    return _standalone({key: value for key, value in schema.items() if key != "$defs"}, schema, defaults)


def _standalone(node, schema, default, named=True):
    node = copy.deepcopy(_resolved(node, schema))
    of_any_name = node.get("additionalProperties")
    if isinstance(of_any_name, dict):
        node["additionalProperties"] = _standalone(of_any_name, schema, None, named=False)
    if isinstance(node.get("items"), dict):
        node["items"] = _standalone(node["items"], schema, None, named=False)
    known = default if isinstance(default, dict) else {}
    properties = dict(node.get("properties", {}))
    has_named = isinstance(of_any_name, dict) and "properties" in _resolved(of_any_name, schema)
    if has_named and named:
        properties |= dict.fromkeys(known, of_any_name)
    if properties:
        node["properties"] = {
            name: _standalone(child, schema, known.get(name), named and not has_named)
            for name, child in properties.items()
        }
    elif default is not None and not has_named:
        node["default"] = default
    return node


def documents(root):
    """The texts that follow from the schema.

    Parameters
    ----------
    root : Path
        The repository.

    Returns
    -------
    dict of Path to str
        File -> what it should hold.
    """
    schema = yaml.safe_load((root / "config/schemas/config.schema.yaml").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((root / "config/config.yaml").read_text(encoding="utf-8"))
    readme = root / "config/README.md"
    before = readme.read_text(encoding="utf-8").partition(HEADING)[0]
    table = yaml.dump(
        standalone(schema, defaults),
        Dumper=_WithoutAliases,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=120,
    )
    return {
        readme: f"{before}{HEADING}\n{described(schema)}\n",
        root / "workflow/schemas/config.schema.yaml": HEADER + table,
    }


class _WithoutAliases(yaml.SafeDumper):
    """Writes what stands twice twice."""

    def ignore_aliases(self, data):
        return True


def main():
    """Write the documents of the repository that the library lies in."""
    root = LIBRARY.parents[1]
    if not (root / "workflow" / LIBRARY.name).is_dir():
        sys.exit(f"{LIBRARY} is in no repository: there is nothing to write")
    for path, text in documents(root).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(Path(path).relative_to(root))


if __name__ == "__main__":
    main()
