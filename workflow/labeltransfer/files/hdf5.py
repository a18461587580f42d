"""HDF5 files that are written whole or not at all, in the same bytes for the same contents, and read with care."""

import contextlib
import hashlib
import io
import re

import h5py

from labeltransfer.files.atomic import atomic_path

_LIBVER = ("v110", "v110")  # the first file format whose own structures are checksummed throughout
_SEAL = 512  # bytes before what HDF5 reads, its smallest user block
_LEAST, _LARGEST_RATIO = 1 << 20, 1000  # bytes stored, and bytes announced for each of them


class _Forgiving(io.FileIO):
    """A file that keeps its first failed write to itself: told of one, the HDF5 library crashes on closing."""

    failure = None

    def write(self, data):
        rest = memoryview(data).cast("B")
        while len(rest) and self.failure is None:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.failure = error
        return len(data)

    def truncate(self, size=None):
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size


def open_hdf5(path):
    """Open an HDF5 file for reading, on any file system.

    Ours have their names only once they are whole and are never changed, so that reading needs no lock; the HDF5
    library would ask for one, and call it an error where the file system has none.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    h5py.File

    Raises
    ------
    OSError
        If it is no HDF5 file.
    """
    return h5py.File(path, "r", locking=False)


@contextlib.contextmanager
def new_file(path, title=None):
    """Write an HDF5 file, which is there once the block has ended without an error.

    Parameters
    ----------
    path : str or Path
        Replaced if it is there.
    title : str, optional
        Seals the file: before what HDF5 reads stands a line with the title and the sha256 of all that follows.

    Yields
    ------
    file : h5py.File
        To be filled.
    check : callable
        Raises OSError if something could not be written so far. Called at the end in any case.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    with atomic_path(path) as temporary, _Forgiving(temporary, "w+") as stream:

        def check():
            if stream.failure is not None:
                raise stream.failure

        with h5py.File(stream, "w", libver=_LIBVER, userblock_size=_SEAL if title else 0) as file:
            yield file, check
        if title:
            stream.seek(_SEAL)
            line = f"{title} sha256 {_sha256(stream)}\n".encode("ascii")
            stream.seek(0)
            stream.write(line.ljust(_SEAL))
        check()


def read_seal(path):
    """Read the title of a sealed file, and whether the file is as it was written, without HDF5.

    Parameters
    ----------
    path : str or Path
        Any file.

    Returns
    -------
    title : str or None
        None if this is no sealed file.
    whole : bool
    """
    with open(path, "rb") as file:
        line = re.fullmatch(rb"([ -~]+) sha256 ([0-9a-f]{64})\n *", file.read(_SEAL))
        if line is None:
            return None, False
        return line[1].decode("ascii"), _sha256(file) == line[2].decode("ascii")


def check_plain(file):
    """Refuse a file that leads elsewhere: links to other files, data kept in them, endless contents.

    Parameters
    ----------
    file : h5py.File or h5py.Group
        As opened.

    Raises
    ------
    OSError
        Naming what is no array or group of the file itself.
    """
    for name in file:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise OSError(f"{name!r} is a link")
        item = file[name]
        if isinstance(item, h5py.Group):
            if item == file or (isinstance(file, h5py.Group) and file.name != "/"):
                raise OSError(f"{name!r} is a group within a group")
            check_plain(item)
        elif item.is_virtual or item.external:
            raise OSError(f"{name!r} is kept in another file")
        elif item.nbytes > _LARGEST_RATIO * max(item.id.get_storage_size(), _LEAST):
            raise OSError(f"{name!r} announces {item.nbytes} bytes, and stores next to none")


def _sha256(file):
    return hashlib.file_digest(file, "sha256").hexdigest()
