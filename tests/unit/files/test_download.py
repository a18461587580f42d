"""Downloading from a server that misbehaves in every way known of archives."""

import errno
import gzip
import hashlib
import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from labeltransfer.files import download, transfer
from labeltransfer.files.download import fetch_files
from labeltransfer.files.transfer import Limits
from labeltransfer.files.verify import verify_fits
from tests.misbehaving_server import serve
from tests.unit.files.conftest import NAME

QUICK = {"backoff": 0.01, "timeout": (2.0, 5.0), "verify": verify_fits}


def fetch_all(wanted, folder, **options):
    """`fetch_files` with the limits among the options."""
    limits = Limits(**{name: options.pop(name) for name in Limits._fields if name in options})
    return fetch_files(wanted, folder, limits, **options)


def fetch(server, folder, name=NAME, **options):
    """Fetch one file as `got.fits.gz` and return its row of the ledger."""
    (row,) = fetch_all([("star", server.url + name, "got.fits.gz")], folder, **(QUICK | options))
    return row


def bytes_of(archive):
    return (archive / NAME[1:]).read_bytes()


def test_a_file_arrives_whole_and_is_not_fetched_again(archive, tmp_path, capsys):
    with serve(archive) as server:
        row = fetch(server, tmp_path / "here")
        again = fetch(server, tmp_path / "here")
    assert (row["key"], row["status"], row["reason"], row["attempts"]) == ("star", "ok", "", 1)
    assert row["sha256"] == hashlib.sha256(bytes_of(archive)).hexdigest()
    assert row["bytes"] == len(bytes_of(archive))
    assert (tmp_path / "here" / "got.fits.gz").read_bytes() == bytes_of(archive)
    assert os.listdir(tmp_path / "here") == ["got.fits.gz"]
    assert (again["status"], again["attempts"], again["sha256"]) == ("present", 0, row["sha256"])
    assert server.counts[NAME] == 1
    headers = server.log[0][1]
    assert headers["User-Agent"].startswith("survey-label-transfer/")
    assert headers["Accept-Encoding"] == "identity"
    assert capsys.readouterr().err == ""


def test_ledger_has_one_row_per_request_in_order_with_units(archive, tmp_path):
    names = ["/none.fits", NAME, "/plain.fits"]
    with serve(archive) as server:
        wanted = [(str(i), server.url + name, f"{i}/x.fits") for i, name in enumerate(names)]
        ledger = fetch_all(wanted, tmp_path / "here", **QUICK)
    assert ",".join(ledger.colnames) == "key,url,path,status,reason,bytes,sha256,attempts,seconds"
    assert list(ledger["key"]) == ["0", "1", "2"]
    assert list(ledger["status"]) == ["failed", "ok", "ok"]
    assert str(ledger["seconds"].unit) == "s"
    empty = fetch_all([], tmp_path / "here")
    assert len(empty) == 0
    assert empty.colnames == ledger.colnames
    assert empty["key"].dtype.kind == "U"


@pytest.mark.parametrize(
    ("faults", "attempts"),
    [
        (["503", "503", "503"], 4),
        (["drop", "drop", "drop"], 4),
        (["drop", "no range"], 2),
        (["drop", "wrong range"], 3),
        (["drop", "503", "html", "drop"], 5),
        (["no tag"], 2),
        (["truncate"], 2),
        (["html"], 2),
        (["wrong bytes"], 2),
        (["redirect"], 1),
        (["chunked"], 1),
        (["chunked drop"], 2),
        (["chunked drop", "chunked drop", "chunked"], 3),
    ],
    ids=str,
)
def test_what_passes_is_overcome(archive, tmp_path, faults, attempts):
    with serve(archive, {NAME: faults}) as server:
        row = fetch(server, tmp_path / "here")
    assert (row["status"], row["reason"], row["attempts"]) == ("ok", "", attempts)
    assert (tmp_path / "here" / "got.fits.gz").read_bytes() == bytes_of(archive)
    assert os.listdir(tmp_path / "here") == ["got.fits.gz"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("503", "server answered 503"),
        ("truncate", "truncated gzip"),
        ("html", "HTML page instead of a file"),
        ("wrong bytes", "damaged gzip"),
        ("no tag", "connection lost"),
    ],
)
def test_what_does_not_pass_is_given_up_with_its_reason(archive, tmp_path, fault, reason):
    with serve(archive, {NAME: itertools.repeat(fault)}) as server:
        row = fetch(server, tmp_path / "here", retries=2)
    assert (row["status"], row["reason"], row["attempts"]) == ("failed", reason, 3)
    assert server.counts[NAME] == 3
    assert not (tmp_path / "here" / "got.fits.gz").exists()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("404", "missing on server"), ("403", "access refused"), ("huge", "larger than allowed")],
)
def test_refusals_are_taken_at_the_first_word(archive, tmp_path, fault, reason):
    with serve(archive, {NAME: itertools.repeat(fault)}) as server:
        row = fetch(server, tmp_path / "here")
    assert (row["reason"], row["attempts"], server.counts[NAME]) == (reason, 1, 1)
    assert os.listdir(tmp_path / "here") == []


def test_one_bad_file_never_stops_the_rest(archive, tmp_path):
    def verify(path):
        if path.name.startswith("4"):
            raise RuntimeError("a mistake in the hook")
        verify_fits(path)

    names = [NAME, "/none.fits", "/plain.fits", NAME, NAME, NAME]
    with serve(archive, {"/plain.fits": itertools.repeat("html")}) as server:
        wanted = [(i, server.url + name, f"{i}.fits") for i, name in enumerate(names)]
        wanted[3] = (3, "http://127.0.0.1:1/x", "3.fits")
        ledger = fetch_all(wanted, tmp_path / "here", **(QUICK | {"retries": 1, "verify": verify}))
    reasons = [
        "",
        "missing on server",
        "HTML page instead of a file",
        "connection lost",
        "unexpected RuntimeError",
        "",
    ]
    assert list(ledger["reason"]) == reasons
    assert sorted(f for f in os.listdir(tmp_path / "here") if f.endswith(".fits")) == ["0.fits", "5.fits"]


def test_a_dropped_connection_is_resumed_where_it_broke(archive, tmp_path):
    with serve(archive, {NAME: ["drop"]}) as server:
        fetch(server, tmp_path / "here")
    first, second = (headers for _, headers in server.log)
    half = len(bytes_of(archive)) // 2
    assert "Range" not in first
    assert second["Range"] == f"bytes={half}-"
    assert second["If-Range"].startswith('"')


def test_ranges_and_pages_are_checked_even_where_the_content_is_not(archive, tmp_path):
    with serve(archive, {NAME: ["drop", "wrong range"]}) as server:
        row = fetch(server, tmp_path / "here", verify=None)
    assert (row["status"], row["attempts"]) == ("ok", 3)
    assert (tmp_path / "here" / "got.fits.gz").read_bytes() == bytes_of(archive)
    with serve(archive, {NAME: itertools.repeat("html")}) as server:
        row = fetch(server, tmp_path / "there", verify=None, retries=1)
    assert (row["reason"], row["attempts"]) == ("HTML page instead of a file", 2)


@pytest.mark.parametrize("change", [False, True])
def test_a_later_run_resumes_unless_the_file_changed(archive, tmp_path, change):
    with serve(archive, {NAME: ["drop"]}) as server:
        row = fetch(server, tmp_path / "here", retries=0)
        assert row["reason"] == "connection lost"
        assert (tmp_path / "here" / "got.fits.gz.part").stat().st_size == len(bytes_of(archive)) // 2
        if change:
            shorter = gzip.compress(
                (archive / "plain.fits").read_bytes()[:2880].replace(b" 4000 ", b"    0 ")
            )
            (archive / NAME[1:]).write_bytes(shorter)
        row = fetch(server, tmp_path / "here", retries=0)
    assert row["status"] == "ok"
    assert "Range" in server.log[1][1]
    assert (tmp_path / "here" / "got.fits.gz").read_bytes() == bytes_of(archive)


def test_what_was_left_of_another_address_is_not_continued(archive, tmp_path):
    with serve(archive, {NAME: ["drop"]}) as server:
        fetch(server, tmp_path / "here", retries=0)
        row = fetch(server, tmp_path / "here", name="/plain.fits")
    assert row["status"] == "ok"
    assert "Range" not in server.log[1][1]
    assert (tmp_path / "here" / "got.fits.gz").read_bytes() == (archive / "plain.fits").read_bytes()


def test_killed_in_the_middle_and_run_again(archive, tmp_path, root):
    code = (
        "import sys; sys.path.insert(0, sys.argv[3])\n"
        "from labeltransfer.files.download import fetch_files\n"
        "from labeltransfer.files.verify import verify_fits\n"
        "fetch_files([('star', sys.argv[1], 'got.fits.gz')], sys.argv[2], verify=verify_fits)\n"
    )
    part = tmp_path / "here" / "got.fits.gz.part"
    with serve(archive, {NAME: ["drop", "trickle"]}) as server:
        arguments = [
            sys.executable,
            "-c",
            code,
            server.url + NAME,
            str(tmp_path / "here"),
            str(root / "workflow"),
        ]
        with subprocess.Popen(arguments) as process:
            limit = time.monotonic() + 20
            while server.counts[NAME] < 2 and time.monotonic() < limit:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert part.exists()
        assert not (tmp_path / "here" / "got.fits.gz").exists()
        row = fetch(server, tmp_path / "here")
    assert (row["status"], row["attempts"]) == ("ok", 1)
    assert (tmp_path / "here" / "got.fits.gz").read_bytes() == bytes_of(archive)
    assert os.listdir(tmp_path / "here") == ["got.fits.gz"]


def test_killed_between_the_last_byte_and_the_renaming(archive, tmp_path, monkeypatch):
    def crash(*args):
        raise KeyboardInterrupt

    with serve(archive) as server:
        with monkeypatch.context() as patch:
            patch.setattr(transfer.os, "replace", crash)
            with pytest.raises(KeyboardInterrupt):
                fetch(server, tmp_path / "here")
        row = fetch(server, tmp_path / "here")
    assert row["status"] == "ok"
    assert server.counts[NAME] == 1  # nothing was missing


def test_attempts_that_get_on_are_not_counted(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "PROGRESS", 1000)
    with serve(archive, {NAME: ["drop", "503"]}) as server:
        assert fetch(server, tmp_path / "here", retries=1)["attempts"] == 3
    monkeypatch.setattr(transfer, "PROGRESS", 10**9)
    with serve(archive, {NAME: ["drop", "503"]}) as server:
        assert fetch(server, tmp_path / "there", retries=1)["status"] == "failed"


def test_slow_trickle_is_abandoned_and_resumed(archive, tmp_path):
    began = time.monotonic()
    with serve(archive, {NAME: ["trickle"]}) as server:
        row = fetch(server, tmp_path / "here", timeout=(2.0, 0.3), min_rate=1000)
    assert (row["status"], row["attempts"]) == ("ok", 2)
    assert "Range" in server.log[1][1]
    assert time.monotonic() - began < 5
    with serve(archive, {NAME: itertools.repeat("trickle")}) as server:
        row = fetch(server, tmp_path / "there", timeout=(2.0, 0.2), min_rate=1000, retries=1)
    assert row["reason"] == "too slow"


def test_deadline_ends_it(archive, tmp_path):
    with serve(archive, {NAME: itertools.repeat("trickle")}) as server:
        row = fetch(server, tmp_path / "here", min_rate=0, deadline=0.3)
    assert row["reason"] == "timed out"
    assert row["seconds"] < 3


def test_silence_times_out(archive, tmp_path):
    with serve(archive, delay=0.6) as server:
        row = fetch(server, tmp_path / "here", timeout=(2.0, 0.1), retries=1)
    assert (row["reason"], row["attempts"]) == ("timed out", 2)


def test_retry_after_is_honoured_within_reason(archive, tmp_path):
    with serve(archive, {NAME: ["503 after 1"]}) as server:
        row = fetch(server, tmp_path / "here")
    assert row["status"] == "ok"
    assert row["seconds"] > 1
    with serve(archive, {NAME: ["503 after 3600"]}) as server:
        row = fetch(server, tmp_path / "there")
    assert (row["reason"], row["attempts"]) == ("server answered 503", 1)


def test_a_dead_server_is_not_hammered(tmp_path):
    wanted = [(i, "http://127.0.0.1:1/x", f"{i}.fits") for i in range(14)]
    ledger = fetch_all(wanted, tmp_path, concurrency=1, retries=2, backoff=0.001)
    assert list(ledger["attempts"]) == [3] * 10 + [1] * 4
    assert set(ledger["reason"]) == {"connection lost"}


def test_no_more_requests_at_a_time_than_allowed(archive, tmp_path):
    with serve(archive, delay=0.05) as server:
        wanted = [(i, server.url + NAME, f"{i}.fits.gz") for i in range(9)]
        ledger = fetch_all(wanted, tmp_path / "here", concurrency=3, **QUICK)
    assert set(ledger["status"]) == {"ok"}
    assert server.busiest == 3


@pytest.mark.parametrize("kind", ["sha256", "sha1", "md5"])
def test_checksum(archive, tmp_path, kind):
    checksum = f"{kind}:{hashlib.new(kind, bytes_of(archive)).hexdigest()}"
    with serve(archive, {NAME: ["wrong bytes"]}) as server:
        wanted = [("star", server.url + NAME, "x", None, checksum)]
        (row,) = fetch_all(wanted, tmp_path / "here", backoff=0.01)
    assert (row["status"], row["attempts"]) == ("ok", 2)
    with serve(archive, {NAME: itertools.repeat("wrong bytes")}) as server:
        wanted = [("star", server.url + NAME, "y", None, checksum)]
        (row,) = fetch_all(wanted, tmp_path / "here", backoff=0.01, retries=1)
    assert (row["status"], row["reason"]) == ("failed", "checksum mismatch")
    assert os.listdir(tmp_path / "here") == ["x"]


def test_expected_size(archive, tmp_path):
    size = len(bytes_of(archive))
    with serve(archive, {NAME: ["truncate", "chunked drop"]}) as server:
        (row,) = fetch_all([("star", server.url + NAME, "x", size)], tmp_path, backoff=0.01)
        assert (row["status"], row["attempts"]) == ("ok", 3)
        (row,) = fetch_all([("star", server.url + NAME, "y", size + 1)], tmp_path, backoff=0.01, retries=0)
    assert row["reason"] == "size mismatch"


def test_endless_answer_is_cut_off(archive, tmp_path):
    with serve(archive, {NAME: ["endless"]}) as server:
        row = fetch(server, tmp_path / "here", max_bytes=1e6)
    assert (row["reason"], row["attempts"]) == ("larger than allowed", 1)
    assert os.listdir(tmp_path / "here") == []


def test_malformed_checksum_and_unverified_tls_are_refused_before_anything_is_asked(tmp_path):
    with pytest.raises(ValueError, match=r"checksum of star: expected .*, found 'sha256:12'"):
        fetch_all([("star", "http://127.0.0.1:1/x", "x", None, "sha256:12")], tmp_path)
    session = download.polite_session()
    session.verify = False
    with pytest.raises(ValueError, match=r"TLS"):
        fetch_all([("star", "http://127.0.0.1:1/x", "x")], tmp_path, session=session)


def test_https_never_falls_back_to_http(archive, tmp_path):
    with serve(archive) as server:
        row = fetch(SimpleNamespace(url=server.url.replace("http:", "https:")), tmp_path / "here", retries=0)
    assert (row["status"], row["reason"]) == ("failed", "TLS handshake failed")
    hop = SimpleNamespace(url="https://archive/x")
    answer = SimpleNamespace(url="http://archive/x", history=[hop], status_code=200)
    with pytest.raises(transfer._Failure, match="redirected from https to http"):
        transfer._check_answer(answer)


@pytest.mark.parametrize("fault", ["redirect loop", "redirect file"])
def test_redirects_that_lead_nowhere(archive, tmp_path, fault):
    with serve(archive, {NAME: itertools.repeat(fault)}) as server:
        row = fetch(server, tmp_path / "here")
    assert (row["status"], row["reason"], row["attempts"]) == ("failed", "redirected to nowhere", 1)
    assert server.counts[NAME] <= 6


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://x/y", "/etc/passwd", "", "http://", "http://[::x/y"]
)
def test_only_http_and_https(tmp_path, url):
    (row,) = fetch_all([("star", url, "x")], tmp_path)
    assert row["reason"] == "not an http or https address"
    assert os.listdir(tmp_path) == []


HOSTILE = [
    "../x",
    "a/../../x",
    "/etc/x",
    "a//x",
    "./x",
    "x/",
    "",
    "a\\..\\x",
    "x\0y",
    "x\ny",
    "out/x",
    "x\x1b[2J",
    "..",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_no_file_is_written_outside_the_folder(archive, tmp_path, path):
    folder = tmp_path / "here"
    (tmp_path / "outside").mkdir()
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path / "outside")
    before = sorted(tmp_path.rglob("*"))
    with serve(archive) as server:
        (row,) = fetch_all([("star", server.url + NAME, path)], folder)
    assert (row["status"], row["reason"]) == ("failed", "unsafe path")
    assert sorted(tmp_path.rglob("*")) == before
    assert sum(server.counts.values()) == 0


def test_a_planted_link_in_place_of_the_temporary_file_is_not_followed(archive, tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "got.fits.gz.part").symlink_to(tmp_path / "precious")
    with serve(archive) as server:
        row = fetch(server, tmp_path / "here")
    assert row["reason"].startswith("cannot write")
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_spoiled_file_is_fetched_again(archive, tmp_path):
    with serve(archive) as server:
        fetch(server, tmp_path / "here")
        (tmp_path / "here" / "got.fits.gz").write_bytes(bytes_of(archive)[:-100])
        row = fetch(server, tmp_path / "here")
    assert (row["status"], row["attempts"]) == ("ok", 1)
    assert (tmp_path / "here" / "got.fits.gz").read_bytes() == bytes_of(archive)


def test_the_same_path_twice(archive, tmp_path):
    with serve(archive) as server:
        wanted = [
            ("a", server.url + NAME, "x"),
            ("b", server.url + NAME, "x"),
            ("c", server.url + "/plain.fits", "x"),
        ]
        ledger = fetch_all(wanted, tmp_path / "here", **QUICK)
    assert list(ledger["key"]) == ["a", "b", "c"]
    assert list(ledger["status"]) == ["ok", "ok", "failed"]
    assert list(ledger["attempts"]) == [1, 0, 0]
    assert ledger["reason"][2] == "another address for the same path"
    assert server.counts[NAME] == 1


def test_two_runs_at_once(archive, tmp_path):
    rows = []

    def run(server):
        rows.append(fetch(server, tmp_path / "here", backoff=0.2))

    with serve(archive, delay=0.1) as server:
        threads = [threading.Thread(target=run, args=(server,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert sorted(row["status"] for row in rows) == ["ok", "present", "present"]
    assert server.counts[NAME] == 1
    assert (tmp_path / "here" / "got.fits.gz").read_bytes() == bytes_of(archive)
    assert os.listdir(tmp_path / "here") == ["got.fits.gz"]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_file_systems_without_locks(archive, tmp_path, monkeypatch, code):
    def no_locks(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(transfer.fcntl, "flock", no_locks)
    with serve(archive) as server:
        row = fetch(server, tmp_path / "here")
    assert (row["status"], row["reason"]) == ("ok", "")
    assert (tmp_path / "here" / "got.fits.gz").read_bytes() == bytes_of(archive)


def test_a_lock_on_a_file_that_is_no_longer_there_does_not_count(archive, tmp_path, monkeypatch):
    part = tmp_path / "here" / "got.fits.gz.part"
    flock = transfer.fcntl.flock

    def lock_late(*args):
        """In the meantime another run finished with the old file, and a third began a new one."""
        monkeypatch.setattr(transfer.fcntl, "flock", flock)
        part.rename(tmp_path / "finished")
        part.touch()
        flock(*args)

    monkeypatch.setattr(transfer.fcntl, "flock", lock_late)
    with serve(archive) as server:
        row = fetch(server, tmp_path / "here")
    assert (row["status"], row["attempts"]) == ("ok", 2)
    assert (tmp_path / "finished").stat().st_size == 0


def test_a_full_disk_is_a_reason_not_a_crash(archive, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(transfer.os, "fsync", full)
    with serve(archive) as server:
        row = fetch(server, tmp_path / "here")
    assert (row["status"], row["reason"]) == ("failed", "cannot write: no space left on device")
    assert not (tmp_path / "here" / "got.fits.gz").exists()


def test_interruption_ends_the_run_soon(archive, tmp_path, monkeypatch):
    def interrupt(path):
        raise KeyboardInterrupt

    with serve(archive, {"/slow*": itertools.repeat("503")}) as server:
        wanted = [("a", server.url + NAME, "a")] + [(i, f"{server.url}/slow{i}", f"{i}") for i in range(50)]
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            fetch_all(wanted, tmp_path / "here", backoff=30.0, verify=interrupt)
    assert time.monotonic() - began < 5
    assert sum(server.counts.values()) < 10


SECRET = "s3cret/+ 100%"


@pytest.mark.parametrize("fault", ["good", "redirect", "redirect loop", "403", "drop", "html", "503"])
def test_the_token_is_sent_and_shows_nowhere(archive, tmp_path, caplog, capfd, fault):
    caplog.set_level(logging.DEBUG)
    with serve(archive, {"/sas*": itertools.repeat(fault)}, token=SECRET) as server:
        row = fetch(server, tmp_path / "here", name=NAME + "?a=1&token={token}", retries=1, token=SECRET)
    sent = server.log[0][0]
    assert sent.endswith("?a=1&token=s3cret%2F%2B%20100%25")
    assert row["status"] == ("ok" if fault in ("good", "redirect") else "failed")
    left = [path.read_text("latin-1") for path in (tmp_path / "here").glob("*.json")]
    shown = [
        *map(str, row),
        caplog.text,
        repr([record.__dict__ for record in caplog.records]),
        *capfd.readouterr(),
    ]
    assert not any("s3cret" in text for text in [*shown, *left])
    assert "urllib3" in caplog.text  # the library did log the requests
    assert "token=***" in caplog.text
    assert not logging.getLogger("urllib3.connectionpool").filters


def test_the_token_is_not_in_what_a_crash_prints(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "_copy", lambda *args: 1 / 0)
    with serve(archive, token=SECRET) as server:
        row = fetch(server, tmp_path / "here", name=NAME + "?token={token}", token=SECRET)
    assert row["reason"] == "unexpected ZeroDivisionError"
    (row,) = fetch_all([("star", "https://me:s3cret@127.0.0.1:1/x?token=s3cret", "x")], tmp_path, retries=0)
    assert row["url"] == "https://127.0.0.1:1/x?token=***"


def test_without_a_token_its_parameter_is_left_out(archive, tmp_path):
    with serve(archive) as server:
        row = fetch(server, tmp_path / "here", name=NAME + "?token={token}")
    assert row["status"] == "ok"
    assert server.log[0][0] == NAME
    with serve(archive, token=SECRET) as server:
        row = fetch(server, tmp_path / "there", name=NAME + "?token={token}")
    assert (row["reason"], row["attempts"]) == ("access refused", 1)
