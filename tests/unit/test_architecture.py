"""Who may import whom, read from the imports themselves, those inside functions included.

- A floor of the library imports from itself and from the floors below it (`settings.FLOORS`, lowest first).
- Modules beside the floors (`settings`, `runtime`, `schema`) import from the lowest floor and from each other, and no
  floor imports them: the floors can be used without them.
- A script imports from the library, never from a script.
- Nothing in the library imports Snakemake.
"""

import ast
import functools
import re
import shutil
import sys

import pytest

from labeltransfer.settings import FLOORS

LIBRARY = "labeltransfer"


@functools.cache
def imported(text):
    """Full names of what a module imports: for `from a import b` both a and a.b, of which one may be no module."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # A dot at the start stands for the folder of the file: no name that a rule allows.
            module = "." * node.level + (node.module or "")
            found += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return found


def floor_of(name):
    """The floor, or the module beside the floors, that a full name leads into; None for the library itself."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else None


def breaches(root):
    """Imports that the rules forbid, as texts."""
    library, scripts = root / "workflow" / LIBRARY, root / "workflow" / "scripts"
    modules = {path.stem for path in library.glob("*.py")} - {"__init__"}
    for path in sorted(library.rglob("*.py")):
        parts = path.relative_to(library).parts
        here = parts[0] if len(parts) > 1 else None
        below = FLOORS[: FLOORS.index(here) + 1] if here else (FLOORS[0], *modules)
        for name in imported(path.read_text()):
            top = name.partition(".")[0]
            where = f"{path.relative_to(root)} imports {name}"
            if top == "snakemake":
                yield f"{where}: the library knows nothing of Snakemake"
            elif top == "":
                yield f"{where}: imports are absolute"
            elif top == LIBRARY and floor_of(name) in {*FLOORS, *modules} - set(below):
                yield f"{where}: {here or 'a module beside the floors'} may not"
    names = {path.stem for path in scripts.rglob("*.py")} | {path.name for path in scripts.iterdir()}
    for path in sorted(scripts.rglob("*.py")):
        for name in imported(path.read_text()):
            top = name.partition(".")[0]
            if top in {"", "scripts", "workflow"} or (top in names and top not in sys.stdlib_module_names):
                yield f"{path.relative_to(root)} imports {name}: a script imports no script"


def test_nobody_imports_from_above(root):
    assert list(breaches(root)) == []


def test_every_folder_of_the_library_is_a_floor(root):
    library = root / "workflow" / LIBRARY
    assert {path.parent.name for path in library.glob("*/__init__.py")} == set(FLOORS)
    # What lies in a folder without being a package would be found by no rule.
    assert {path.relative_to(library).parts[0] for path in library.glob("*/**/*.py")} == set(FLOORS)


def test_tests_mirror_the_floors(root):
    tests = root / "tests" / "unit"
    there = {path.name for path in tests.iterdir() if list(path.rglob("test_*.py"))}
    assert there >= set(FLOORS)
    for folder in sorted(tests.glob("*/*/")):
        if list(folder.glob("test_*.py")):
            assert (root / "workflow" / LIBRARY / folder.relative_to(tests)).is_dir(), folder


def test_the_page_on_the_house_names_what_is_there(root):
    page = (root / "docs" / "architecture.md").read_text()
    assert re.findall(r"^ {4}(\w+)\[", page, re.M) == list(FLOORS)
    assert re.findall(r"(\w+) -->", re.search(r"files --> .*", page)[0]) == list(FLOORS[:-1])
    for floor, text in re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.M):
        library = root / "workflow" / LIBRARY
        assert floor in FLOORS
        for name in re.findall(r"`([a-z_0-9]+/?)`", text):
            here = library / floor / name
            assert here.is_dir() if name.endswith("/") else here.with_suffix(".py").is_file(), (floor, name)


@pytest.fixture(scope="module")
def copy(root, tmp_path_factory):
    """A copy of the code, to plant imports in."""
    folder = tmp_path_factory.mktemp("copy")
    ignore = shutil.ignore_patterns("__pycache__")
    for part in (LIBRARY, "scripts"):
        shutil.copytree(root / "workflow" / part, folder / "workflow" / part, ignore=ignore)
    return folder


@pytest.mark.parametrize(
    ("file", "planted", "said"),
    [
        ("labeltransfer/files/atomic.py", "import labeltransfer.spectra.grid", "files may not"),
        ("labeltransfer/spectra/grid.py", "from labeltransfer import models", "spectra may not"),
        (
            "labeltransfer/spectra/grid.py",
            "def late():\n    from labeltransfer.models import base",
            "may not",
        ),
        ("labeltransfer/models/base.py", "from labeltransfer.settings import typed", "models may not"),
        ("labeltransfer/models/base.py", "from labeltransfer.runtime import job", "models may not"),
        ("labeltransfer/models/base.py", "from . import data", "imports are absolute"),
        ("labeltransfer/runtime.py", "from labeltransfer.spectra import grid", "beside the floors may not"),
        ("labeltransfer/figures/style.py", "from snakemake.io import expand", "nothing of Snakemake"),
        ("labeltransfer/settings.py", "import snakemake", "nothing of Snakemake"),
        ("scripts/spectra/prepare.py", "from workflow.scripts.match import select", "imports no script"),
        ("scripts/spectra/prepare.py", "from crossmatch import main", "imports no script"),
        ("scripts/spectra/prepare.py", "from match.crossmatch import main", "imports no script"),
        ("scripts/spectra/prepare.py", "from .prepare import main", "imports no script"),
    ],
)
def test_an_import_from_above_is_seen(copy, file, planted, said):
    path = copy / "workflow" / file
    before = path.read_text()
    try:
        path.write_text(f"{before}\n\n{planted}\n")
        found = list(breaches(copy))
    finally:
        path.write_text(before)
    assert found
    assert all(said in line and f"workflow/{file} imports" in line for line in found), found


@pytest.mark.parametrize(
    ("file", "planted"),
    [
        ("labeltransfer/models/base.py", "from labeltransfer.files import atomic"),
        ("labeltransfer/models/base.py", "from labeltransfer.models.data import TrainingSet"),
        ("labeltransfer/models/base.py", "from labeltransfer import __version__"),
        ("labeltransfer/runtime.py", "from labeltransfer.files import atomic"),
        ("scripts/spectra/prepare.py", "import calendar"),
    ],
)
def test_imports_from_below_are_allowed(copy, file, planted):
    path = copy / "workflow" / file
    before = path.read_text()
    try:
        path.write_text(f"{before}\n\n{planted}\n")
        assert list(breaches(copy)) == []
    finally:
        path.write_text(before)


def reached(paths, root):
    """Files of the library that files import, directly or not, and themselves."""
    library = root / "workflow"
    modules = {
        ".".join(path.relative_to(library).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (library / LIBRARY).rglob("*.py")
    }
    found, todo = set(), set(paths)
    while todo:
        path = todo.pop()
        found.add(path)
        todo |= {modules[name] for name in imported(path.read_text()) if name in modules} - found
    return found


def test_a_rule_runs_again_when_what_its_script_imports_changes(root):
    """`code_of` names the floors that hold all that the script of a rule rests on, but for the files it reads."""
    wanted, seen = {}, 0
    for path in sorted((root / "workflow" / "rules").glob("*.smk")):
        for rule in re.split(r"^\s*(?=(?:use )?rule )", path.read_text(), flags=re.M):
            floors, script = re.search(r"code_of\(([^)]*)\)", rule), re.search(r"scripts/(\w+/\w+\.py)", rule)
            if not (floors and script):
                continue
            seen += 1
            script = root / "workflow" / "scripts" / script[1]
            covered = set()
            for floor in re.findall(r"\w+", floors[1]):
                covered |= reached((root / "workflow" / LIBRARY / floor).rglob("*.py"), root)
            above = {root / "workflow" / LIBRARY / floor for floor in FLOORS[1:]}
            rests_on = {here for here in reached([script], root) if above & set(here.parents)}
            missing = {
                f"{here.parent.name}/{here.name}" for here in rests_on - covered if here.stem != "__init__"
            }
            if missing:
                wanted[script.name] = missing
    assert wanted == {}
    assert seen > 20


def test_functions_and_modules_stay_small(root):
    """Sizes beyond which a reader loses the thread."""
    most = {"lines of a function": 80, "arguments": 8, "lines of a module": 400}
    found = []
    for path in sorted((root / "workflow").rglob("*.py")):
        text = path.read_text()
        sizes = [(path.name, "lines of a module", text.count("\n"))]
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                sizes.append((node.name, "lines of a function", node.end_lineno - node.lineno + 1))
                sizes.append((node.name, "arguments", len(arguments)))
        found += [
            f"{path.relative_to(root)}: {name} has {n} {kind}" for name, kind, n in sizes if n > most[kind]
        ]
    assert found == []
