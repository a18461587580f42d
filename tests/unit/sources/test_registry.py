"""Packages that carry data: from a folder that the package client is told of, and from archives of all sorts."""

import hashlib
import io
import tarfile
import zipfile

import pytest

from labeltransfer.files.download import FetchError
from labeltransfer.sources import registry
from labeltransfer.sources.datasets import Part
from labeltransfer.sources.registry import fetch_archive, package_client, unpack

RUN = "raise SystemExit('a package was run')\n"
FILES = {
    "data/a.fits": b"flux of a",
    "data/b.fits": b"flux of b",
    "data/labels.csv": b"id,teff\n",
    "LICENSE": b"MIT\n",
}


def wheel(folder, name="starlight", version="1.2"):
    """A wheel of data, as a registry would have it."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in FILES.items():
            archive.writestr(f"{name}/{member}", content)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def source(folder, name="oldlight", version="0.3"):
    """A source distribution whose set-up must not be run."""
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member, content in {**FILES, "setup.py": RUN.encode(), "PKG-INFO": b"Name: oldlight\n"}.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{member}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def package(path):
    name, version = path.name.split("-")[:2]
    content = path.read_bytes()
    named, checksum = (name, version.removesuffix(".tar.gz")), f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Part("spectra", path.name, named, "", "*/data/*.fits", len(content), checksum)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder in which the package client looks, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    if package_client() is None:
        pytest.skip("no pip on this machine")
    return folder


@pytest.mark.parametrize("make", [wheel, source])
def test_a_package_is_fetched_once_and_never_run(index, tmp_path, make):
    wanted = package(make(index))
    found = fetch_archive(wanted, tmp_path / "here")
    assert found == tmp_path / "here" / wanted.file
    assert list((tmp_path / "here").iterdir()) == [found]
    assert f"sha256:{hashlib.sha256(found.read_bytes()).hexdigest()}" == wanted.checksum
    # What is there needs no client any more.
    assert fetch_archive(wanted, tmp_path / "here", client=["no-such-program"]) == found
    files = unpack(found, ["*/data/*.fits", "*LICENSE"], tmp_path / "files")
    assert [path.name for path in files] == ["LICENSE", "a.fits", "b.fits"]
    assert files[1].read_bytes() == FILES["data/a.fits"]
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == ["LICENSE", "a.fits", "b.fits"]


@pytest.mark.parametrize("make", [wheel, source])
def test_a_package_that_cannot_be_had_says_how_to_bring_it(index, tmp_path, make):
    path = make(index)
    wanted = package(path)
    path.unlink()
    with pytest.raises(FetchError, match=r"could not be fetched: .*No matching distribution") as caught:
        fetch_archive(wanted, tmp_path / "here")
    assert f"Bring {wanted.file} (0 MB, {wanted.checksum})" in str(caught.value)
    assert f"put it at {tmp_path / 'here' / wanted.file}" in str(caught.value)
    assert list((tmp_path / "here").iterdir()) == []


def test_another_file_of_the_same_name_is_refused(index, tmp_path):
    wanted = package(wheel(index))
    other = wanted._replace(checksum=f"sha256:{0:064}")
    with pytest.raises(FetchError, match=r"checksum mismatch; delete it. Bring starlight-1.2"):
        fetch_archive(other, tmp_path / "here")
    with pytest.raises(FetchError, match="size mismatch"):
        fetch_archive(wanted._replace(size=5), tmp_path / "here")


def test_without_a_client_a_file_that_was_brought_serves(tmp_path, monkeypatch):
    wanted = package(wheel(tmp_path))
    monkeypatch.setattr(registry, "package_client", lambda: None)
    with pytest.raises(FetchError, match=r"no package client \(pip\) on this machine. Bring"):
        fetch_archive(wanted, tmp_path / "here")
    (tmp_path / wanted.file).rename(tmp_path / "here" / wanted.file)
    assert fetch_archive(wanted, tmp_path / "here").is_file()


def test_a_client_that_does_not_start_is_said(tmp_path):
    wanted = package(wheel(tmp_path))
    with pytest.raises(FetchError, match=r"could not be fetched: .*no-such-program"):
        fetch_archive(wanted, tmp_path / "here", client=["no-such-program"])


def test_unpacking_takes_up_where_it_stopped(tmp_path):
    archive = wheel(tmp_path)
    files = unpack(archive, ["*.fits"], tmp_path / "files")
    files[0].write_bytes(b"short")
    kept = files[1].stat().st_ino
    again = unpack(archive, ["*.fits"], tmp_path / "files")
    assert again == files
    assert files[0].read_bytes() == FILES["data/a.fits"]
    assert files[1].stat().st_ino == kept


def test_what_is_no_archive_of_data_is_refused(tmp_path, monkeypatch):
    archive = wheel(tmp_path)
    with pytest.raises(FetchError, match=r"no file \*.h5 in it: is it the right version"):
        unpack(archive, ["*.h5"], tmp_path / "files")
    text = tmp_path / "text.whl"
    text.write_text("no archive")
    with pytest.raises(FetchError, match="damaged or no archive"):
        unpack(text, ["*"], tmp_path / "files")
    broken = tmp_path / "broken.whl"
    content = bytearray(archive.read_bytes())
    content[60] ^= 1
    broken.write_bytes(content)
    with pytest.raises(FetchError, match="damaged or no archive"):
        unpack(broken, ["*"], tmp_path / "broken")
    short = tmp_path / "short.tar.gz"
    short.write_bytes(source(tmp_path).read_bytes()[:-60])
    with pytest.raises(FetchError, match="damaged or no archive"):
        unpack(short, ["*.fits"], tmp_path / "short")
    monkeypatch.setattr(registry, "MEMBER_LIMIT", 5)
    with pytest.raises(FetchError, match="has 9 bytes, more than 5"):
        unpack(archive, ["*.fits"], tmp_path / "files")


def test_files_stay_in_their_folder_and_links_are_none(tmp_path):
    archive = tmp_path / "evil.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        for name in ("x/../../out.fits", "/abs.fits"):
            entry = tarfile.TarInfo(name)
            entry.size = 3
            opened.addfile(entry, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("x/link.fits")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(link)
    files = unpack(archive, ["*.fits"], tmp_path / "files")
    assert [path.name for path in files] == ["abs.fits", "out.fits"]
    assert {path.parent for path in files} == {tmp_path / "files"}
    with zipfile.ZipFile(tmp_path / "twice.whl", "w") as opened:
        opened.writestr("a/x.fits", "1")
        opened.writestr("b/x.fits", "2")
    with pytest.raises(FetchError, match=r"b/x.fits and a/x.fits have one name"):
        unpack(tmp_path / "twice.whl", ["*"], tmp_path / "twice")
