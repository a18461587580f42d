"""How a step of the workflow runs: its log, its threads, and how far it is."""

import contextlib
import logging
import os
import sys
import time
import traceback
import warnings
from pathlib import Path

from threadpoolctl import threadpool_limits

# What libraries that are not loaded yet, and programs that a step starts, go by.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@contextlib.contextmanager
def job(log_path, threads=1):
    """Send everything a step prints or warns to its log, and hold numerical libraries to its threads.

    Parameters
    ----------
    log_path : str or Path
        The log; it is replaced. A failure leaves its traceback there and is raised again.
    threads : int, optional
        Threads that linear algebra, numba and pyarrow may use.
    """
    Path(log_path).parent.mkdir(parents=True, exist_ok=True)
    with (
        open(log_path, "w", buffering=1, encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        warnings.catch_warnings(),
        held_threads(threads),
    ):
        handler = logging.StreamHandler(log)
        logging.getLogger().addHandler(handler)
        logging.captureWarnings(True)
        try:
            yield
        except BaseException:
            traceback.print_exc(file=sys.stderr)
            raise
        finally:
            logging.captureWarnings(False)
            logging.getLogger().removeHandler(handler)


@contextlib.contextmanager
def held_threads(threads):
    """Hold libraries to a number of threads, whether they are loaded or not, and let go of them at the end.

    Parameters
    ----------
    threads : int
        At least 1.
    """
    # Not imported here: an environment has the libraries that its rules need, and no others.
    numba, pyarrow = sys.modules.get("numba"), sys.modules.get("pyarrow")
    # Numba reads its variable again whenever it compiles, and refuses another number than it started with.
    variables = [name for name in THREAD_VARIABLES if numba is None or not name.startswith("NUMBA")]
    before = {name: os.environ.get(name) for name in variables}
    with contextlib.ExitStack() as stack:
        if numba is not None:
            stack.callback(numba.set_num_threads, numba.get_num_threads())
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        # After numba, which sets OpenMP's threads for itself.
        stack.enter_context(threadpool_limits(threads))
        if pyarrow is not None:
            stack.callback(pyarrow.set_cpu_count, pyarrow.cpu_count())
            pyarrow.set_cpu_count(threads)
        os.environ.update(dict.fromkeys(variables, str(threads)))
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


@contextlib.contextmanager
def blamed_on(path):
    """End the job, without a traceback for its user to read, where what a file holds will not do.

    Parameters
    ----------
    path : str or Path
        The file that an error of value is about.

    Raises
    ------
    SystemExit
        With the file and the error's text.
    """
    try:
        yield
    except ValueError as error:
        raise SystemExit(f"{path}: {error}") from error


def counted(blocks, size, total, what, every=30.0):
    """Pass blocks on, and print from time to time how far the work on them is.

    Parameters
    ----------
    blocks : iterable
        What is worked on.
    size : callable
        How many there are in a block.
    total : int
        How many there are in all blocks together.
    what : str
        What they are.
    every : float, optional
        Seconds between two lines in the log.

    Yields
    ------
    The blocks.
    """
    start = last = time.monotonic()
    done = 0
    for block in blocks:
        yield block
        done += size(block)
        now = time.monotonic()
        if now - last >= every:
            last = now
            print(f"{done} of {total} {what}, {done / (now - start):.3g} per second", flush=True)
