"""Watches every job of a run, and kills some: Python imports this by itself where PYTHONPATH names this folder.

Environment: WATCH_DIARY names the folder for the diaries. Where WATCH_KILLS is set, the first job of each script to
come there is killed just before its first file gets its name, and another (or the same, tried again) before its second.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path

DIARY = os.environ.get("WATCH_DIARY")
# Snakemake runs a copy of script.py under the name tmpRANDOM.script.py.
SCRIPT = Path(sys.orig_argv[-1])


def note(*words):
    """Add a line to the diary, which all jobs share."""
    with open(Path(DIARY) / "diary.txt", "a", encoding="utf-8") as file:
        file.write("\t".join(map(str, words)) + "\n")


def watch(script):
    """Note each file that gets its name, and whether its contents had been sent to the disk before."""
    on_disk, renamed = set(), []
    fsync, replace, sync = os.fsync, os.replace, os.sync

    def watched_fsync(file):
        fsync(file)
        on_disk.add(os.fstat(file if isinstance(file, int) else file.fileno()).st_ino)

    def watched_replace(source, target, **options):
        renamed.append(target)
        strike = Path(DIARY) / f"killed-{script}-{len(renamed)}"
        if "WATCH_KILLS" in os.environ and len(renamed) < 3:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(strike, os.O_CREAT | os.O_EXCL))
                note("killed", script, target)
                os.kill(os.getpid(), signal.SIGKILL)
        note("fsync" if os.stat(source).st_ino in on_disk else "cached", script, os.path.relpath(target))
        replace(source, target, **options)

    def watched_sync():
        sync()
        note("sync", script)

    os.fsync, os.replace, os.sync = watched_fsync, watched_replace, watched_sync
    note("begin", script)


if DIARY and SCRIPT.parent.name == "scripts" and SCRIPT.parent.parent.name == ".snakemake":
    watch(SCRIPT.name.split(".")[1])
