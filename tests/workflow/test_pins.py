"""Pins of the environments agree with the hashed requirements, and every rule names an environment."""

import re

import pytest
import yaml

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
