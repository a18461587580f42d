"""Writers on a full disk, beside what killed ones left, and in the order that a power cut asks for."""

import os
import resource
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from labeltransfer.figures.style import new_figure, save
from labeltransfer.files.atomic import atomic_path
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.parquet import write_parquet
from labeltransfer.files.tables import write_blocks, write_table
from labeltransfer.mock.cards import replace_file
from labeltransfer.models.cannon import CannonModel
from labeltransfer.models.files import save_model
from labeltransfer.spectra.store import write_store

LIMIT = 1 << 17  # bytes


@pytest.fixture
def writers(rng):
    """Functions of a path, which write more than LIMIT."""
    n = 20_000
    table = Table({"id": np.array([f"star-{i}" for i in range(n)]), "snr": rng.random(n)})
    model = CannonModel(
        label_names=("teff",),
        order=1,
        pivot=np.zeros(1),
        scale=np.ones(1),
        theta=rng.random((n, 2)),
        scatter=rng.random(n),
        chi2=rng.random(n),
        n_used=np.ones(n, dtype=int),
        status=np.zeros(n, dtype=np.int8),
    )
    flux = rng.random((200, 300))
    figure = new_figure(3, 3)
    figure.add_subplot().imshow(rng.random((400, 400, 3)), interpolation="none")
    return {
        "table.fits": lambda path: write_table(table, path),
        "table.parquet": lambda path: write_parquet(table, path),
        "table.csv": lambda path: write_csv(pd.DataFrame({"x": rng.random(n)}), path),
        "store.h5": lambda path: write_store(path, np.arange(300.0), [(flux, flux, table[:200])] * 2),
        "model.h5": lambda path: save_model(path, model),
        "figure.pdf": lambda path: save(figure, path, path.with_suffix(".png")),
    }


@pytest.fixture
def full_disk():
    """Let no file grow beyond LIMIT, as if the disk were full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(on):
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT if on else before[0], before[1]))

    yield limit
    limit(False)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 pages, and a function that leaves so many of them free."""
    disk, page = tmp_path / "disk", resource.getpagesize()
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={64 * page}", "small"]
    try:
        mounted = subprocess.run(["mount", *options, disk], capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("may not mount a small disk here: run as root")

    def free(pages):
        (disk / "ballast").write_bytes(bytes((64 - pages) * page))

    yield disk, free
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("name", ["blocks.fits", "sorted.fits", "table.parquet", "table.csv", "store.h5"])
def test_a_disk_that_fills_up_anywhere_gives_a_whole_file_or_an_error(small_disk, tmp_path, rng, name):
    disk, free = small_disk
    n = 1500
    # One column does not compress.
    table = Table({"id": np.array([f"star-{i}" for i in rng.permutation(n)]), "snr": rng.random(n)})
    # Blocks below a page wait in a buffer, and fail when that is emptied.
    blocks = [table[first : first + 150] for first in range(0, n, 150)]
    flux = rng.random((64, 50))
    write = {
        "blocks.fits": lambda path: write_blocks(blocks, path),
        "sorted.fits": lambda path: write_blocks(blocks, path, sort_by="id"),
        "table.parquet": lambda path: write_parquet(table, path),
        "table.csv": lambda path: write_csv(table.to_pandas(), path),
        "store.h5": lambda path: write_store(path, np.arange(50.0), [(flux, flux, table[:64])] * 2),
    }[name]
    write(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    written = []
    for pages in range(63):
        free(pages)
        # The bytes of the file, or what the error says.
        try:
            write(disk / name)
            found = (disk / name).read_bytes()
        except OSError as error:
            found = str(error)
        if isinstance(found, str):
            assert "cannot be written" in found
        else:
            assert found == whole
            (disk / name).unlink()
            written.append(pages)
        assert [path.name for path in disk.iterdir()] == ["ballast"]
    assert 5 < len(written) < 60
    assert written == list(range(written[0], 63))


@pytest.mark.parametrize(
    "name", ["table.fits", "table.parquet", "table.csv", "store.h5", "model.h5", "figure.pdf"]
)
def test_a_full_disk_is_an_error_with_its_cure_and_spares_the_old_file(tmp_path, writers, full_disk, name):
    path = tmp_path / name
    path.write_text("old")
    full_disk(True)
    with pytest.raises(OSError, match=rf"{name}: cannot be written \(.*Make room"):
        writers[name](path)
    full_disk(False)
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == [name]
    writers[name](path)
    assert path.stat().st_size > LIMIT


def test_what_killed_writers_left_is_removed(tmp_path):
    for name in (".part-1-a[1].csv", ".part-22-a[1].csv", ".part-1-b.csv"):
        (tmp_path / name).write_text("half")
    with atomic_path(tmp_path / "a[1].csv") as temporary:
        # Another writer, started later, is left alone.
        later = tmp_path / ".part-3-a[1].csv"
        later.write_text("going on")
        temporary.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a[1].csv", ".part-1-b.csv", later.name}
    assert (tmp_path / "a[1].csv").read_text() == "whole"


def test_contents_reach_the_disk_before_the_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda fd: done.append(Path(os.readlink(f"/proc/self/fd/{fd}"))) or fsync(fd)
    )
    monkeypatch.setattr(os, "replace", lambda one, two: done.append(two) or replace(one, two))
    with atomic_path(tmp_path / "a.csv") as temporary:
        temporary.write_text("x")
    assert done == [temporary, tmp_path / "a.csv", tmp_path]


def test_errors_of_the_block_are_its_own(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"input\.csv") as caught, atomic_path(tmp_path / "a.csv"):
        (tmp_path / "input.csv").read_text()
    assert "cannot be written" not in str(caught.value)
    with pytest.raises(OSError, match="cannot be written"), atomic_path(tmp_path / "a.csv"):
        pass  # nothing was written
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "results").write_text("")
    with (
        pytest.raises(OSError, match=r"a\.csv: cannot be written"),
        atomic_path(tmp_path / "results" / "a.csv"),
    ):
        pass


def test_files_of_the_mock_leave_nothing_behind(tmp_path):
    (tmp_path / ".part-1-spec.fits.gz").write_bytes(b"half")
    replace_file(tmp_path / "spec.fits.gz", b"whole")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"]
