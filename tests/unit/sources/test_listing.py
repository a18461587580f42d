"""What lies in a folder of spectra."""

import os

import pytest

from labeltransfer.files.errors import ArchiveError
from labeltransfer.sources.listing import list_files, own_marks


@pytest.fixture
def tree(tmp_path):
    """A folder with spectra, other files, and links to folders within and without."""
    folder, elsewhere = tmp_path / "spectra", tmp_path / "elsewhere"
    for path in (folder / "b" / "2.fits.gz", folder / "a" / "1.FITS", elsewhere / "deep" / "3.fits"):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    (folder / "notes.txt").write_text("x")
    (folder / "a" / "README").write_text("x")
    (folder / "0link").symlink_to(elsewhere)
    (folder / "1again").symlink_to(elsewhere / "deep")
    (folder / "b" / "loop").symlink_to(folder)
    (folder / "2same").symlink_to(folder / "a")
    (folder / "broken.fits").symlink_to(folder / "nothing.fits")
    (folder / "itself").symlink_to(folder / "itself")
    return folder


def test_folders_behind_links_are_looked_into_once(tree):
    found = list_files(tree)
    assert found.paths == ["0link/deep/3.fits", "a/1.FITS", "b/2.fits.gz", "broken.fits"]
    assert found.ignored == {".txt": 1, "": 2}
    # Of the links one leads to two folders; the others to folders that are known.
    assert (found.folders, found.linked) == (5, 2)
    text = found.summary()
    assert "4 spectra in 5 folders" in text
    assert "2 of them behind links" in text
    assert "3 files ignored" in text
    assert "1 .txt" in text


def test_a_digest_changes_with_every_spectrum_and_with_nothing_else(tree):
    before = list_files(tree).digest()
    (tree / "notes.txt").write_text("more")
    assert list_files(tree).digest() == before
    seen = {before}
    path = tree / "a" / "1.FITS"
    for change in (
        lambda: path.write_bytes(b"xy"),
        lambda: os.utime(path, ns=(1, 1)),
        lambda: path.rename(tree / "a" / "4.fits"),
        lambda: (tree / "a" / "5.fits").write_bytes(b""),
        lambda: (tree / "b" / "2.fits.gz").unlink(),
    ):
        change()
        now = list_files(tree).digest()
        assert now not in seen
        seen.add(now)


def test_a_folder_that_cannot_be_read_is_an_error(tree, monkeypatch):
    real = os.scandir

    def refusing(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(ArchiveError, match=r"spectra/b: folder cannot be read.*Permission denied"):
        list_files(tree)


def test_a_link_to_where_nobody_may_look_is_an_error(tree, monkeypatch):
    real = os.stat

    def refusing(path, **options):
        if str(path).endswith("0link"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(os, "stat", refusing)
    with pytest.raises(ArchiveError, match=r"spectra/0link: folder cannot be read.*Permission denied"):
        list_files(tree)


def test_a_table_that_an_older_file_replaced_is_another_one(tmp_path):
    config = {"archives": {"local": {"root": str(tmp_path), "labels": ["a.csv", "b.csv"]}}}
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("obsid,teff\n1,5000\n")
    before = own_marks(config)
    (tmp_path / "b.csv").touch()
    assert own_marks(config) == before
    (tmp_path / "b.csv").write_text("obsid,teff\n1,5100\n")
    os.utime(tmp_path / "b.csv", ns=(1, 1))
    assert own_marks(config)[0] == before[0]
    assert own_marks(config)[1] != before[1]


def test_a_folder_without_spectra_says_what_else_is_there(tmp_path):
    with pytest.raises(ArchiveError, match=r"no spectra.*found no files"):
        list_files(tmp_path)
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(ArchiveError, match=r"no spectra.*found 1 other files"):
        list_files(tmp_path)
