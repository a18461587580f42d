"""What lies in a folder of spectra: which files are read, which are not, and a mark that changes with any of them."""

import functools
import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from labeltransfer.files.errors import ArchiveError, refusal

SUFFIXES = (".fits", ".fits.gz")
_CHECK_PATH = "Check the path in the configuration."
_KINDS_SHOWN = 5


class Listing(NamedTuple):
    """Files in a folder and in all folders below it; `list_files` makes it.

    Attributes
    ----------
    paths : list of str
        Of spectra, relative to the folder, sorted.
    marks : list of (int, int)
        Size [bytes] and time of the last change [ns] of each; (-1, -1) where a link leads nowhere.
    folders : int
        How many were looked into.
    linked : int
        How many of these are behind links.
    ignored : dict of str to int
        Ending of the names of other files -> how many there are.
    """

    paths: list
    marks: list
    folders: int
    linked: int
    ignored: dict

    def summary(self):
        """What was found where, and what was ignored, in a line for the log."""
        text = f"{len(self.paths)} spectra in {self.folders} folders"
        text += f", {self.linked} of them behind links" if self.linked else ""
        if not self.ignored:
            return f"{text}; no other files"
        most = Counter(self.ignored).most_common()
        kinds = [f"{n} {ending or 'without an ending'}" for ending, n in most[:_KINDS_SHOWN]]
        kinds += ["others"] if len(most) > _KINDS_SHOWN else []
        others = f"{sum(self.ignored.values())} files ignored, which are not named *{' or *'.join(SUFFIXES)}"
        return f"{text}; {others}: {', '.join(kinds)}"

    def digest(self):
        """A text that is another one when a spectrum is added, removed, renamed, or written again."""
        lines = (
            f"{path}\0{size}\0{time}\n" for path, (size, time) in zip(self.paths, self.marks, strict=True)
        )
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def list_files(folder):
    """List the spectra in a folder and in all folders below it, those behind links too, each real folder once.

    Parameters
    ----------
    folder : str or path

    Returns
    -------
    Listing

    Raises
    ------
    ArchiveError
        'no such folder'; 'folder cannot be read', for any of them; 'no spectra'.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise refusal(folder, "no such folder", "a folder of spectra", "none", _CHECK_PATH)
    found, ignored, seen = {}, Counter(), set()
    folders = linked = 0
    behind_links = False
    # Folders behind links wait until all others were looked into: what is there twice bears its own name.
    todo, links = [folder], []
    while todo or links:
        if not todo:
            # From here on all that is found is behind a link.
            behind_links = True
            todo.append(links.pop(0))
        here = todo.pop()
        try:
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(here) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            cure = "Give it the permission to be read, or take it out of the folder."
            raise refusal(here, "folder cannot be read", "a readable folder", error.strerror, cure) from None
        folders += 1
        linked += behind_links
        below = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                below.append(Path(entry.path))
            elif _leads_to_folder(entry):
                links.append(Path(entry.path))
            elif entry.name.lower().endswith(SUFFIXES):
                found[Path(entry.path).relative_to(folder).as_posix()] = _mark(entry)
            else:
                ignored[os.path.splitext(entry.name)[1].lower()] += 1
        todo += reversed(below)
    if not found:
        others = f"{sum(ignored.values())} other files" if ignored else "no files"
        raise refusal(folder, "no spectra", "files named *.fits or *.fits.gz", others, _CHECK_PATH)
    paths = sorted(found)
    return Listing(paths, [found[path] for path in paths], folders, linked, dict(ignored))


def own_folder(config):
    """Path of one's own folder of spectra, from the configuration."""
    local = config["archives"]["local"]
    return str(Path(local["root"]) / local["spectra"])


def own_tables(config):
    """Paths of one's own tables of labels, from the configuration; an ArchiveError names one that is not there."""
    local = config["archives"]["local"]
    paths = [Path(local["root"]) / table for table in local["labels"]]
    for path in paths:
        if not path.is_file():
            cure = "Correct archives.local.root or archives.local.labels."
            raise refusal(path, "no such file", "a table of labels", "none", cure)
    return [str(path) for path in paths]


@functools.cache
def _digest(folder):
    try:
        return list_files(folder).digest()
    except ArchiveError as error:
        return str(error)  # the job that reads the folder fails with it


def own_marks(config):
    """sha256 of each of one's own tables of labels: a table that was replaced by an older file is another one too."""
    marks = []
    for path in own_tables(config):
        with open(path, "rb") as file:
            marks.append(hashlib.file_digest(file, "sha256").hexdigest())
    return marks


def own_listing(config):
    """The digest of the spectra in one's own folder, from the configuration; of a folder that will not do, why."""
    return _digest(own_folder(config))


def _leads_to_folder(entry):
    """Whether an entry is a link to a folder, or to a place where nobody may look: that is an error then."""
    try:
        return entry.is_dir()
    except PermissionError:
        return not entry.name.lower().endswith(SUFFIXES)
    except OSError:  # a link that leads to itself
        return False


def _mark(entry):
    try:
        status = entry.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns
