"""What every benchmark needs: clocks, the machine's own rates, growth laws. Runs in the peers' environments too."""

import os
import resource
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits


class Timing(NamedTuple):
    """Median wall-clock and CPU time of one call [s], and what the last call returned."""

    wall: float
    cpu: float
    result: object


def timed(function, repeats=1):
    """Call a function a few times; other work on the machine disturbs CPU time less than wall-clock time."""
    times = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = function()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    return Timing(*(float(value) for value in np.median(times, axis=0)), result)


def peak_memory():
    """Highest resident memory of this process so far [GB].

    Linux hands the peak of the parent on to getrusage of a child, so its own note of this process goes first.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e9
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def gemm_rate(dtype, size=2048, repeats=5):
    """Floating-point operations per CPU second of a matrix product on one thread."""
    a = np.ones((size, size), dtype)
    with threadpool_limits(limits=1, user_api="blas"):
        a @ a
        return 2 * size**3 / timed(lambda: a @ a, repeats).cpu


def memory_rate(n_byte=2**29, repeats=5):
    """Bytes per second that one thread reads from memory: the dot product of an array with itself."""
    a = np.ones(n_byte // 8)
    with threadpool_limits(limits=1, user_api="blas"):
        return n_byte / timed(lambda: a @ a, repeats).wall


def write_plain(path, n_byte, piece=2**24):
    """Write that many bytes and wait until the disk has them."""
    block = np.random.default_rng(0).bytes(min(piece, n_byte))
    with open(path, "wb") as file:
        for _ in range(max(1, n_byte // len(block))):
            file.write(block)
        os.fsync(file.fileno())


def read_plain(path, cold=False, piece=2**24):
    """Read a whole file into one buffer; cold: from the disk and not from what the system remembers of it."""
    buffer = bytearray(piece)
    with open(path, "rb", buffering=0) as file:
        if cold and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while file.readinto(buffer):
            pass


def disk_rates(folder, n_byte=2**30):
    """Bytes per second of plain writing, of reading from the disk, and of reading what was just read."""
    path = Path(folder) / "plain.bin"
    try:
        write = timed(lambda: write_plain(path, n_byte)).wall
        n_byte = path.stat().st_size
        cold = timed(lambda: read_plain(path, cold=True)).wall
        return n_byte / write, n_byte / cold, n_byte / timed(lambda: read_plain(path)).wall
    finally:
        path.unlink(missing_ok=True)


def growth_exponent(n, value):
    """Slope of ln(value) over ln(n): 1 where a cost is proportional to the number of stars, 0 where constant."""
    return float(np.polyfit(np.log(n), np.log(value), 1)[0])


def width(z):
    """Robust width of residuals over errors: 1.4826 times the median absolute deviation."""
    z = np.asarray(z, dtype=float)
    z = z[np.isfinite(z)]
    return float(1.4826 * np.median(np.abs(z - np.median(z)))) if len(z) else float("nan")
