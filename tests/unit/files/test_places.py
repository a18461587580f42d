"""Names of files that are the same in the repository, under a prefix and with an installed library."""

from pathlib import Path

import pytest

from labeltransfer.files import places
from labeltransfer.files.places import find_fact, library_file, located, prefix_of, recorded_name

TELLURIC = "resources/masks/telluric.csv"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A library that is installed, with one table of facts."""
    library = tmp_path / "site-packages" / "labeltransfer"
    (library / "resources" / "masks").mkdir(parents=True)
    (library / TELLURIC).write_text("installed\n")
    monkeypatch.setattr(places, "LIBRARY", library)
    return library


def test_the_repository_has_the_facts_and_the_configuration(root):
    assert library_file(TELLURIC) == root / TELLURIC
    assert library_file("config/schemas/config.schema.yaml").is_file()
    with pytest.raises(FileNotFoundError, match=r"resources/none\.csv is neither in .*labeltransfer nor in"):
        library_file("resources/none.csv")


def test_the_package_goes_before_the_repository(installed):
    assert library_file(TELLURIC) == installed / TELLURIC
    outside = installed.parents[1] / "resources" / "masks"
    outside.mkdir(parents=True)
    (outside / "telluric.csv").write_text("beside\n")
    (outside / "sky_lines.csv").write_text("beside\n")
    assert library_file(TELLURIC).read_text() == "installed\n"
    assert library_file("resources/masks/sky_lines.csv").read_text() == "beside\n"


def test_the_caller_s_own_facts_go_first(installed, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert find_fact(TELLURIC) == str(installed / TELLURIC)
    assert find_fact("mine/windows.csv") == "mine/windows.csv"
    own = Path(TELLURIC)
    own.parent.mkdir(parents=True)
    own.write_text("own\n")
    assert find_fact(TELLURIC) == TELLURIC
    with pytest.raises(FileNotFoundError):
        find_fact("resources/none.csv")


@pytest.mark.parametrize(
    ("path", "prefix", "name"),
    [
        ("results/ho2017/catalog.fits", "", "results/ho2017/catalog.fits"),
        ("a/results/ho2017/catalog.fits", "a/", "results/ho2017/catalog.fits"),
        ("results/a/results/ho2017/catalog.fits", "results/a/", "results/ho2017/catalog.fits"),
        ("my/spectra/x.fits", "", "my/spectra/x.fits"),
        (TELLURIC, "", TELLURIC),
        # Of an absolute path nothing says that it is a result of ours.
        ("/a/results/ho2017/catalog.fits", "/a/", "/a/results/ho2017/catalog.fits"),
        ("/results/x", "/", "/results/x"),
    ],
)
def test_results_are_recorded_without_the_prefix(path, prefix, name):
    assert prefix_of(path) == prefix
    assert recorded_name(path) == recorded_name(Path(path)) == name
    assert located(name, prefix) == Path(path)


def test_facts_are_recorded_by_the_name_they_have_in_the_repository(installed, root, tmp_path):
    assert recorded_name(installed / TELLURIC) == TELLURIC
    assert recorded_name(root / TELLURIC) == TELLURIC
    strangers = tmp_path / "resources" / "masks" / "telluric.csv"
    assert recorded_name(strangers) == strangers.as_posix()


def test_a_recorded_name_leads_back_to_the_file(installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert located(TELLURIC, "a/") == installed / TELLURIC
    assert located("mine/windows.csv", "a/") == Path("mine/windows.csv")
    assert located("results/x.fits", "a/") == Path("a/results/x.fits")
    assert located("resources/none.csv") == Path("resources/none.csv")
