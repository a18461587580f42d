"""What the configuration must satisfy beyond its schema, and the version of the code that a result came from."""

import copy
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import yaml

# From the lowest to the highest: each imports only from those before it.
FLOORS = (
    "files",
    "surveys",
    "synthesis",
    "sources",
    "mock",
    "catalogs",
    "spectra",
    "models",
    "validation",
    "figures",
)
# Folders of results/ that are no study's; and `results` itself, by which files/places.py knows what a result is.
TAKEN_NAMES = ("ab_initio", "archive", "release", "results", "times")
# `from labeltransfer.x import y, z`, also over several lines in brackets, or `import labeltransfer.x`.
_IMPORT = re.compile(
    r"^ *(?:from (labeltransfer[\w.]*) import (\([^)]*\)|.*)|import (labeltransfer[\w.]*))", re.MULTILINE
)
# Of studies that have no grid of their own.
_SOME_GRID = {"lower": 1, "upper": 2, "log_start": 0}
# A label and its power in a term of a polynomial.
_FACTOR = re.compile(r"([a-z][a-z0-9_]*)(?:\^(\d))?")


class ConfigError(ValueError):
    """The configuration contradicts itself; the message names the key and the cure."""


def typed(value):
    """Give text the type that it would have in a YAML file.

    Snakemake leaves numbers, truth values and null as text where they are nested in `--config`.

    Parameters
    ----------
    value : dict, list or plain value
        From the command line.

    Returns
    -------
    dict, list or plain value
    """
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    if isinstance(value, str):
        try:
            plain = yaml.safe_load(value)
        except yaml.YAMLError:
            return value
        return plain if plain is None or isinstance(plain, int | float) else value
    return value


def configured(defaults, given, command_line=()):
    """The whole configuration: what was given, merged key by key over the defaults.

    Parameters
    ----------
    defaults : str or Path
        YAML file with every key.
    given : mapping
        From a configuration file, or from another workflow that uses this one: what differs.
    command_line : mapping, optional
        What `--config` said. Where it stands in `given`, it gets the types of YAML (`typed`).

    Returns
    -------
    dict
        A copy: nothing in it is shared with `given`.
    """
    given = merged(given, _typed_where_found(given, dict(command_line)))
    return merged(yaml.safe_load(Path(defaults).read_text(encoding="utf-8")), given)


def merged(below, above):
    """Nested mappings, the second over the first: keys of both are merged in turn, other values replaced.

    Parameters
    ----------
    below, above : mapping

    Returns
    -------
    dict
        A copy.
    """
    result = copy.deepcopy(dict(below))
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result


def _typed_where_found(given, command_line):
    """The part of a command line's values that a configuration holds, typed; other values may be another workflow's."""
    found = {}
    for key in command_line.keys() & given.keys():
        if isinstance(command_line[key], Mapping) and isinstance(given[key], Mapping):
            found[key] = _typed_where_found(given[key], command_line[key])
        elif command_line[key] == given[key]:
            found[key] = typed(given[key])
    return found


def validate_config(config, schema_path, files=()):
    """Check the configuration against its schema, and against itself (`check_config`).

    Parameters
    ----------
    config : dict
        The merged configuration.
    schema_path : str or Path
        JSON schema, in YAML.
    files : sequence of str or Path
        The files it was merged from, to say in which of them a key stands.

    Raises
    ------
    ConfigError
        Naming the key, the file that holds it, what was found and what would do.
    """
    schema = yaml.safe_load(Path(schema_path).read_text(encoding="utf-8"))
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(config))
    if error is None:
        check_config(config, files)
        return
    path = list(error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        unknown = [key for key in error.instance if key not in known]
        problem = f"unknown key {unknown[0]!r}; known here: {', '.join(known)}"
        path.append(unknown[0])
    elif "propertyNames" in error.absolute_schema_path:
        problem = (
            f"{error.instance!r} cannot be a name here: it must begin with a lower-case letter, and have only "
            "lower-case letters, digits and _; put it in quotes if YAML takes it for a number or a truth value"
        )
        path.append(error.instance)
    elif error.validator == "required":
        problem = error.message.replace("is a required property", "is missing")
    else:
        problem = f"{error.message} ({error.schema.get('description', 'see config/README.md')})"
    where = _where(path, files, config)
    raise ConfigError(f"{where}: {'.'.join(map(str, path)) or 'top level'}: {problem}")


def _where(path, files, config):
    """The last file that holds the key with the value it has now, else the command line."""
    value = config
    for key in path:
        value = value[key]
    for file in reversed([Path(file) for file in files]):
        node = yaml.safe_load(file.read_text(encoding="utf-8"))
        try:
            for key in path:
                node = node[key]
        except (KeyError, IndexError, TypeError):
            continue
        # What is merged from several files equals none of them.
        if node == value or isinstance(value, dict):
            return str(file)
    return "configuration (no file holds this value; see --config and config/config.yaml)"


def check_config(config, files=()):
    """Check what a schema cannot: that parts of the configuration agree with each other.

    Parameters
    ----------
    config : dict
        The merged configuration.
    files : sequence of str or Path
        The files it was merged from.

    Raises
    ------
    ConfigError
        Naming the key, the file that holds it, what it holds and what would do.
    """
    for path, problem in _contradictions(config):
        raise ConfigError(f"{_where(path, files, config)}: {'.'.join(path)} {problem}")


def _contradictions(config):
    """Pairs of a key, as the names that lead to it, and what is wrong with it."""
    for name in config["run"]:
        if name not in config["studies"]:
            yield ["run"], f"names the study {name!r}, but studies has only {', '.join(config['studies'])}"
    yield from _contradictions_of_grid(config["grid"], ["grid"])
    for name, study in config["studies"].items():
        if name in TAKEN_NAMES:
            yield (
                ["studies", name],
                f"cannot be the name of a study: results/{name} holds other things. Choose another name",
            )
        yield from ((["studies", name, *path], problem) for path, problem in _contradictions_of(name, study))


def _contradictions_of_grid(grid, path):
    """The same of a grid that stands at a path."""
    if grid["lower"] >= grid["upper"]:
        yield [*path, "lower"], f"must be below {'.'.join(path)}.upper"
    if (grid.get("start") is None) == (grid.get("log_start") is None):
        yield (
            [*path, "step"],
            "is of a grid with log_start, or of a linear one with start: give one of them, and the other as null",
        )


def _contradictions_of(name, study):
    """The same of one study, the key from there on."""
    yield from _contradictions_of_grid(study.get("grid", _SOME_GRID), ["grid"])
    for key in ("pipeline", "nuisance"):
        strange = [label for label in study[key] if label not in study["labels"]]
        if strange:
            yield [key], f"names {', '.join(strange)}, which is no label of the study"
    yield from _contradictions_of_terms(study["model"], study["labels"])
    kind, network = study["model"]["kind"], study.get("network")
    if kind == "network":
        if network is None:
            yield ["model", "kind"], f"is network, so it needs the key studies.{name}.network"
        for label, about in study["labels"].items():
            if "step" not in about:
                yield ["labels", label], "needs a step, that of its gradient spectrum"
    if (study["validation"]["bootstrap"] < 2) == (kind == "cannon"):
        yield ["validation", "bootstrap"], "must be 0 for a network, else 2 or more"
    if study["validation"].get("groups") and kind != "cannon":
        yield ["validation", "groups"], "is for model kind cannon"
    distance = study["distance"]
    if distance is not None and set(distance["scale"]) - set(study["pipeline"]):
        yield (
            ["distance", "scale"],
            "names a label without a pipeline value; "
            f"studies.{name}.pipeline has {', '.join(study['pipeline'])}",
        )


def _contradictions_of_terms(model, labels):
    """The same of the terms of a polynomial and of the functions of labels that it is made of."""
    strange = [label for label in model.get("forms", {}) if label not in labels]
    if strange:
        yield ["model", "forms"], f"names {', '.join(strange)}, which is no label of the study"
    used = set()
    for term in model.get("terms") or ():
        factors = _FACTOR.findall(term)
        strange = [label for label, _ in factors if label not in labels]
        if strange:
            yield ["model", "terms"], f"has {term}, but {', '.join(strange)} is no label of the study"
        if sum(int(power or 1) for _, power in factors) > model["order"]:
            yield (
                ["model", "terms"],
                f"has {term}, which is of higher order than model.order, {model['order']}",
            )
        used |= {label for label, _ in factors}
    if used and not used >= set(labels):
        yield ["model", "terms"], f"has none with {', '.join(label for label in labels if label not in used)}"


def goes_first(folder):
    """Have Python's processes that are started from now on import from a folder before any installed package.

    Snakemake has a job look at what its own environment holds before it looks where the workflow does: a copy of the
    library that is installed there would run instead of the one whose digests are recorded.

    Parameters
    ----------
    folder : str or Path
        The one that holds the library.
    """
    others = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), *(one for one in others if one != str(folder))])


def code_versions():
    """Digest the library floor by floor, so that a changed module reruns the rules that rest on it.

    Returns
    -------
    dict
        Name of the floor -> first 12 hexadecimal digits of the sha256 of its source files and of all modules of the
        library that they import, directly or not.
    """
    root = Path(__file__).parent
    paths = sorted(root.rglob("*.py"))
    modules = {
        ".".join(path.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in paths
    }
    imports = {path: _imported(path, modules) for path in paths}
    return {
        floor: _digest(sorted(_reached(sorted((root / floor).rglob("*.py")), imports))) for floor in FLOORS
    }


def _reached(paths, imports):
    """The modules, and all that they import directly or not."""
    found, todo = set(), list(paths)
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += imports.get(path, ())
    return found


def _imported(path, modules):
    """Files of the library that a module imports, wherever in it the import stands.

    By the look of its lines: taking every module apart would take longer than all else that Snakemake does to plan.
    """
    found = []
    for module, names, plain in _IMPORT.findall(path.read_text(encoding="utf-8")):
        inner = [f"{module}.{name}" for name in re.findall(r"\w+", re.sub("#.*", "", names))]
        found += [modules[name] for name in (module or plain, *inner) if name in modules]
    return found


def surrounding_versions(workflow):
    """Digest what runs the floors of the library: for the record alone, since every rule rests on it.

    Parameters
    ----------
    workflow : Path
        The folder of Snakefile, rules and scripts.

    Returns
    -------
    dict
        base (modules of the library outside its floors) and scripts (with the rules) -> digest as in
        `code_versions`. Of a workflow that is no folder, because it comes straight from git, only base.
    """
    found = {"base": _digest(sorted(Path(__file__).parent.glob("*.py")))}
    steps = [path for kind in ("Snakefile", "rules/*.smk", "scripts/*/*.py") for path in workflow.glob(kind)]
    return found | ({"scripts": _digest(sorted(steps))} if steps else {})


def _digest(paths):
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
