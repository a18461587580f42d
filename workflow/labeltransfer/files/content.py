"""The content of files of unknown quality: looked at before it is opened, unzipped, and never more than a limit."""

import contextlib
import mmap
import os
import stat
import tempfile

from labeltransfer.files.errors import FETCH_AGAIN, refusal

try:
    from isal import isal_zlib as zlib  # the same in half the time
except ImportError:
    import zlib

SPECTRUM_LIMIT = 64 * 2**20  # bytes of a file with one spectrum
TABLE_LIMIT = 4 * 2**30  # bytes of a table

_GZIP = b"\x1f\x8b"
_PIECE = 2**20


def read_bytes(path, limit=SPECTRUM_LIMIT):
    """Read a file, unzipped if its first bytes say gzip whatever its name is.

    Parameters
    ----------
    path : str or path
        An ordinary file.
    limit : int
        Most bytes that are accepted, before and after decompression.

    Returns
    -------
    bytes

    Raises
    ------
    ArchiveError
        Reasons 'no such file', 'not a regular file', 'cannot be read', 'empty file', 'file too large',
        'truncated gzip', 'damaged gzip'.
    """
    with _opened(path) as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise _too_large(path, limit)
        raw = file.read()
    return gunzip(raw, path, limit) if raw.startswith(_GZIP) else raw


def gunzip(raw, path, limit=SPECTRUM_LIMIT):
    """Unzip `raw`, the gzip content of `path`, to at most `limit` bytes; errors as in `read_bytes`."""
    members, room, rest = [], limit + 1, memoryview(raw)
    # A gzip file may have several members one after another; what follows them and is none is ignored.
    while rest[:2] == _GZIP:
        # The output limit stops a file that would unpack without end before it fills the memory.
        inflate = zlib.decompressobj(wbits=31)
        try:
            members.append(inflate.decompress(rest, room))
        except zlib.error as error:
            raise refusal(path, "damaged gzip", "gzip data", str(error), FETCH_AGAIN) from None
        room -= len(members[-1])
        if room <= 0:
            raise _too_large(path, limit)
        if not inflate.eof:
            found = f"{len(raw)} bytes"
            raise refusal(path, "truncated gzip", "the end of the gzip data", found, FETCH_AGAIN)
        rest = rest[len(rest) - len(inflate.unused_data) :]
    data = members[0] if len(members) == 1 else b"".join(members)
    if not data:
        raise refusal(path, "empty file", "a FITS file", "0 bytes inside gzip", FETCH_AGAIN)
    return data


def open_plain(path, limit):
    """Open a file for reading, unzipped into a temporary one if its first bytes say gzip.

    Nothing of the content is held in memory, however large it is; parameters and errors as for `read_bytes`.
    """
    file = _opened(path)
    with contextlib.ExitStack() as stack:
        stack.enter_context(file)
        start = file.read(2)
        file.seek(0)
        # What is plain takes no more room than it has; only gzip can grow.
        if start == _GZIP:
            return _unzipped(file, path, limit)
        stack.pop_all()
    return file


def _unzipped(file, path, limit):
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(tempfile.TemporaryFile())
        rest = file.read(_PIECE)
        while rest[:2] == _GZIP:
            inflate = zlib.decompressobj(wbits=31)
            while not inflate.eof:
                try:
                    piece = inflate.decompress(rest, _PIECE)
                except zlib.error as error:
                    raise refusal(path, "damaged gzip", "gzip data", str(error), FETCH_AGAIN) from None
                plain.write(piece)
                if plain.tell() > limit:
                    raise _too_large(path, limit)
                rest = inflate.unconsumed_tail or (b"" if inflate.eof else file.read(_PIECE))
                if not (rest or piece or inflate.eof):
                    found = f"{file.tell()} bytes"
                    raise refusal(path, "truncated gzip", "the end of the gzip data", found, FETCH_AGAIN)
            rest = inflate.unused_data
            rest += file.read(_PIECE) if len(rest) < 2 else b""
        if not plain.tell():
            raise refusal(path, "empty file", "a FITS file", "0 bytes inside gzip", FETCH_AGAIN)
        plain.seek(0)
        stack.pop_all()
    return plain


def map_bytes(path, limit):
    """Like `read_bytes`, but mapped, so that only what is used of it is read."""
    with open_plain(path, limit) as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _opened(path):
    # Looked at before opening: a pipe or a device would be read without end.
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise refusal(
            path, "no such file", "a file", "nothing", "Check the path, or fetch the file."
        ) from None
    except (OSError, ValueError) as error:
        raise refusal(path, "cannot be read", "a readable file", error, "Check the path.") from None
    if not stat.S_ISREG(status.st_mode):
        raise refusal(path, "not a regular file", "a file", "a folder or a device", "Check the path.")
    if status.st_size == 0:
        raise refusal(path, "empty file", "a FITS file or a table", "0 bytes", FETCH_AGAIN)
    try:
        return open(path, "rb")
    except OSError as error:
        raise refusal(path, "cannot be read", "a readable file", error, "Check its permissions.") from None


def _too_large(path, limit):
    found = f"more than {limit / 2**20:.0f} MiB"
    return refusal(path, "file too large", "a file of reasonable size", found, "Check what this file is.")
