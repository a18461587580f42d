"""Files that are there whole or not at all, whatever happens to the process, the disk or the power."""

import contextlib
import glob
import os
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path):
    """Give a temporary path beside `path` that takes its place when the block ends without an error.

    What was written reaches the disk before it gets its name, so that even after a power cut a file under its own
    name is whole. What killed writers of the same file left behind is removed.

    Parameters
    ----------
    path : str or Path
        Where the file shall be; missing folders are made.

    Yields
    ------
    Path
        Where to write it.

    Raises
    ------
    OSError
        If it cannot be written, as on a full or read-only disk; what was there before is still there then.
    """
    path = Path(path)
    temporary = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Only what was there before: a job that outlived its run must not take from the job that replaces it.
        for left in path.parent.glob(f".part-*-{glob.escape(path.name)}"):
            left.unlink(missing_ok=True)
        yield temporary
        _to_disk(temporary)
        os.replace(temporary, path)
        _to_disk(path.parent)
    except OSError as error:
        # An error about another file is that of a reader inside the block.
        if error.filename not in (None, str(temporary), str(path.parent)):
            raise
        raise OSError(
            error.errno or 0,
            f"{path}: cannot be written ({error}). Make room or give access there, and run again: what is whole stays",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _to_disk(path):
    """Have the contents of a file, or the names in a folder, written to the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
