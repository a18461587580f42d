"""Do jobs keep to the threads of their rules, so that two side by side take no more than the machine is given?"""

import json

import pytest

from tests.workspaces import Workspace

SNAKEFILE = """
import sys

sys.path.insert(0, {library!r})


rule all:
    input:
        "one.json",
        "two.json",


rule one:
    output:
        "one.json",
    log:
        "one.log",
    threads: 1
    script:
        "settings.py"


rule two:
    output:
        "two.json",
    log:
        "two.log",
    threads: 2
    script:
        "settings.py"
"""

SCRIPT = """
import json
import os
import time

import numba
import pyarrow
import scipy.linalg
from threadpoolctl import threadpool_info

from labeltransfer.runtime import THREAD_VARIABLES, job

start = time.time()
with job(snakemake.log[0], snakemake.threads):
    settings = {pool["filepath"].split("/")[-1]: pool["num_threads"] for pool in threadpool_info()}
    settings |= {"numba": numba.get_num_threads(), "pyarrow": pyarrow.cpu_count()}
    # numba, once loaded, goes by what it was told, and compiles as well as before.
    variables = [name for name in THREAD_VARIABLES if name != "NUMBA_NUM_THREADS"]
    settings |= {name: int(os.environ[name]) for name in variables}
    assert numba.njit(lambda x: x + 1)(1) == 2
    time.sleep(2)
with open(snakemake.output[0], "w") as file:
    json.dump({"threads": snakemake.threads, "time": [start, time.time()], "settings": settings}, file)
"""


@pytest.mark.parametrize(("cores", "threads"), [(3, {"one": 1, "two": 2}), (2, {"one": 1, "two": 2})])
def test_jobs_side_by_side_take_no_more_threads_than_there_are(root, tmp_path, cores, threads):
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(library=str(root / "workflow")))
    (tmp_path / "settings.py").write_text(SCRIPT)
    Workspace(tmp_path).succeed("--cores", cores, "--quiet")
    found = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in threads}
    for name, expected in threads.items():
        assert found[name]["threads"] == expected
        settings = found[name]["settings"]
        # numpy and scipy bring a BLAS each; numba cannot have more threads than the machine has processors.
        assert sum("blas" in library for library in settings) >= 1
        processors = settings.pop("numba")
        assert processors <= expected
        assert set(settings.values()) == {expected}, settings
    (start_one, end_one), (start_two, end_two) = (found[name]["time"] for name in ("one", "two"))
    together = start_one < end_two and start_two < end_one
    assert together == (cores == 3)


def test_a_job_gets_no_more_than_the_run_has(root, tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(library=str(root / "workflow")))
    (tmp_path / "settings.py").write_text(SCRIPT)
    Workspace(tmp_path).succeed("--cores", 1, "--quiet", "--", "two.json")
    found = json.loads((tmp_path / "two.json").read_text())
    assert found["threads"] == 1
    assert set(found["settings"].values()) == {1}
