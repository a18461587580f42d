"""Whether a fetched file is what was asked for, and whether its name stays in the folder that it is for."""

import hashlib
from pathlib import Path, PurePosixPath

from labeltransfer.files import fitsfile
from labeltransfer.files.content import SPECTRUM_LIMIT, map_bytes

# git: the name that git gives to a file by what is in it, which is how some servers tell one.
CHECKSUM = r"(sha256:[0-9a-f]{64}|sha1:[0-9a-f]{40}|md5:[0-9a-f]{32}|git:[0-9a-f]{40})"


def safe_path(folder, relative):
    """The path of `relative` below `folder`; ValueError('unsafe path') for anything that might lie elsewhere.

    Names come from catalogues, which come from strangers: absolute paths, `..`, back-slashes, control
    characters and symbolic links that lead out of the folder are refused.
    """
    name, root = str(relative), Path(folder).resolve()
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise ValueError("unsafe path")
    target = root.joinpath(*parts)
    if PurePosixPath(name).is_absolute() or not target.parent.resolve().is_relative_to(root):
        raise ValueError("unsafe path")
    return target


def verify_fits(path, limit=SPECTRUM_LIMIT):
    """Check that a file is whole: a gzip stream up to its checksum, and all that the FITS headers announce.

    Parameters
    ----------
    path : str or Path
        A FITS file, plain or gzipped, whatever its name.
    limit : int
        Most bytes that a gzip file may unpack to.

    Raises
    ------
    ArchiveError
        With a reason for the ledger.
    """
    for _ in fitsfile.hdus(map_bytes(path, limit), path):
        pass


def check_file(path, size=None, checksum=None, verify=None):
    """Check that a complete file is what was asked for.

    Parameters
    ----------
    path : Path
    size : int, optional
        That it must have [bytes].
    checksum : str, optional
        Of the form `CHECKSUM`.
    verify : callable, optional
        Called with the path; raises ValueError with a short reason.

    Returns
    -------
    (int, str)
        Its size [bytes] and sha256.

    Raises
    ------
    ValueError
        With a short reason: 'size mismatch', 'checksum mismatch', 'empty file', or that of `verify`.
    """
    found = size_of(path)
    if size is not None and found != size:
        raise ValueError("size mismatch")
    kind, _, expected = (checksum or "sha256:").partition(":")
    digests = {"sha256": hashlib.sha256()}
    digests[kind] = hashlib.sha1(f"blob {found}\0".encode()) if kind == "git" else hashlib.new(kind)
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            for digest in digests.values():
                digest.update(block)
    if expected and digests[kind].hexdigest() != expected:
        raise ValueError("checksum mismatch")
    if found == 0:
        raise ValueError("empty file")
    if verify is not None:
        try:
            verify(path)
        except ValueError as error:
            raise ValueError(getattr(error, "reason", str(error))) from None
    return found, digests["sha256"].hexdigest()


def size_of(path):
    """Size of a file [bytes], 0 if it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
