"""How a step runs: its log, its threads, and what its outputs say of where they came from."""

import logging
import os
import subprocess
import sys
import warnings

import numba
import numpy as np
import pyarrow
import pytest
from threadpoolctl import threadpool_info

from labeltransfer.runtime import THREAD_VARIABLES, blamed_on, counted, job


def test_the_log_gets_all_that_a_step_says(tmp_path, capsys):
    path = tmp_path / "logs" / "deep" / "step.log"
    handlers = list(logging.getLogger().handlers)
    with warnings.catch_warnings(), job(path):
        warnings.simplefilter("always")
        print("printed")
        print("complained", file=sys.stderr)
        warnings.warn("a warning", stacklevel=1)
        logging.getLogger("some.library").warning("logged")
        logging.getLogger("some.library").info("chatter of a library")
        # A job that is killed leaves what it said up to then.
        assert "printed" in path.read_text()
    print("after")
    text = path.read_text()
    for word in ("printed", "complained", "a warning", "logged"):
        assert word in text
    assert "chatter" not in text
    assert "after" not in text
    assert capsys.readouterr().out == "after\n"
    assert logging.getLogger().handlers == handlers


def test_a_failure_is_in_the_log_and_raised_again(tmp_path):
    path = tmp_path / "step.log"
    path.write_text("of the run before\n")
    with pytest.raises(ValueError, match="no such star"), job(path):
        raise ValueError("no such star")
    assert "of the run before" not in path.read_text()
    assert "Traceback" in path.read_text()
    assert "ValueError: no such star" in path.read_text()
    with pytest.raises(SystemExit), job(path):
        raise SystemExit("the server may be down")
    assert "SystemExit: the server may be down" in path.read_text()


def thread_settings():
    """Threads of everything that has them, by the libraries' own answers."""
    return {
        "blas": [pool["num_threads"] for pool in threadpool_info()],
        "numba": numba.get_num_threads(),
        "arrow": pyarrow.cpu_count(),
        **{name: os.environ.get(name) for name in THREAD_VARIABLES},
    }


def test_libraries_keep_to_the_threads_of_the_step(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    np.ones((4, 4)) @ np.ones((4, 4))
    numba.njit(lambda x: x + 1)(1)  # loads libraries of its own
    before = thread_settings()
    assert before["blas"]
    for threads in (1, 2):
        with job(tmp_path / "step.log", threads=threads):
            inside = thread_settings()
            compiled = numba.njit(lambda x: x + 1)(1)
            # A library that is loaded later, or a program that the step starts, goes by the variables.
            code = "import numpy, threadpoolctl as t; print({p['num_threads'] for p in t.threadpool_info()})"
            child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert inside["blas"] == [threads] * len(before["blas"])
        assert inside["numba"] == min(threads, numba.config.NUMBA_NUM_THREADS)
        assert inside["arrow"] == threads
        variables = [name for name in THREAD_VARIABLES if name != "NUMBA_NUM_THREADS"]
        assert {inside[name] for name in variables} == {str(threads)}
        # numba is loaded, and would refuse to compile with another number in its own variable.
        assert inside["NUMBA_NUM_THREADS"] == before["NUMBA_NUM_THREADS"]
        assert compiled == 2
        assert int(child.stdout.strip("{}\n")) <= threads
    assert thread_settings() == before
    with pytest.raises(RuntimeError, match="stop"), job(tmp_path / "step.log", threads=1):
        raise RuntimeError("stop")
    assert thread_settings() == before


def test_progress_is_counted_and_said(capsys):
    blocks = [[1, 2], [3], [4, 5, 6]]
    assert list(counted(blocks, len, 6, "stars", every=0.0)) == blocks
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["2 of 6 stars", "3 of 6 stars", "6 of 6 stars"]
    assert all(line.endswith(" per second") for line in lines)
    assert list(counted(blocks, len, 6, "stars")) == blocks
    assert capsys.readouterr().out == "", "nothing is said of what takes no time"


def test_an_error_of_value_is_blamed_on_its_file():
    with pytest.raises(SystemExit, match=r"^stars\.fits: too few$"), blamed_on("stars.fits"):
        raise ValueError("too few")
    with pytest.raises(KeyError), blamed_on("stars.fits"):
        raise KeyError("no name")
