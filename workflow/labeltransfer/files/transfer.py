"""One file over HTTP: received, resumed, checked, and put in its place whole; or the reason why not."""

import contextlib
import errno
import fcntl
import json
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import requests
import urllib3

from labeltransfer.files.address import host_of, shown, with_token
from labeltransfer.files.verify import check_file, safe_path, size_of

CHUNK = 1 << 16
LONGEST_WAIT = 120.0  # seconds between two tries; a server that asks for more is left alone
PROGRESS = 1 << 20  # bytes; an attempt that brings this much does not count as a failed one
LENIENCE = 10  # files in a row that a host failed to deliver, after which it is asked once for each
HTML = "HTML page instead of a file"
_NO_LOCKS = (
    errno.ENOLCK,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
)  # what file systems without them answer


class Request(NamedTuple):
    """One file to fetch: its key in the ledger, address, path below the folder, and what is known of it."""

    key: str
    url: str
    path: str
    size: int | None = None
    checksum: str | None = None


class Limits(NamedTuple):
    """How servers are asked, and when a file is given up.

    Attributes
    ----------
    concurrency : int
        Most requests at a time, hence also the most that any one server sees.
    retries : int
        Further attempts after the first, for what may pass: lost connections, timeouts, server errors, bad
        bytes. Attempts that bring the file at least 1 MiB further are not counted.
    backoff : float
        Wait before the first further attempt [s]; it doubles each time. A longer `Retry-After` is honoured.
    timeout : (float, float)
        To connect, and between two pieces of an answer [s].
    min_rate : float
        An attempt slower than this over the read timeout is abandoned and resumed [bytes/s].
    deadline : float
        Time after which no more is done for a file [s].
    max_bytes : float
        Larger files are refused.
    """

    concurrency: int = 4
    retries: int = 5
    backoff: float = 1.0
    timeout: tuple[float, float] = (10.0, 60.0)
    min_rate: float = 1000.0
    deadline: float = 6 * 3600.0
    max_bytes: float = 20e9


class Job(NamedTuple):
    """What all the threads of one `download.fetch_files` share.

    Attributes
    ----------
    folder : Path
        Where to.
    session : requests.Session
    token : str or None
        Access token.
    limits : Limits
    verify : callable or None
        See `verify.check_file`.
    failing : Counter
        Host -> files in a row that it failed to deliver.
    stop : threading.Event
        Set when all shall end.
    report : callable
        Told how many bytes and files have come.
    """

    folder: Path
    session: requests.Session
    token: str | None
    limits: Limits
    verify: Callable | None
    failing: Counter
    stop: threading.Event
    report: Callable


class _Failure(Exception):
    """Why an attempt failed, and what follows.

    `again`: another attempt makes sense, after `wait` seconds. `server`: the server is in trouble, not this
    file. `discard`: what was received is no good.
    """

    def __init__(self, reason, again=False, wait=0.0, server=False, discard=False):
        super().__init__(reason)
        self.reason, self.again, self.wait, self.server, self.discard = reason, again, wait, server, discard


def _bad(reason, again=True, server=False):
    """What was received is no good."""
    return _Failure(reason, again=again, server=server, discard=True)


def failed_row(key, url, path, reason):
    """A ledger row for what could not be had, before any attempt."""
    empty = {"status": "failed", "bytes": 0, "sha256": "", "attempts": 0, "seconds": 0.0}
    return empty | {"key": key, "url": shown(url), "path": path, "reason": reason}


def fetch(request, job):
    """Fetch one file, whatever happens, and return its row of the ledger.

    Parameters
    ----------
    request : Request
    job : Job

    Returns
    -------
    dict
        As from `failed_row`.
    """
    began, attempts = time.monotonic(), 0
    row = failed_row(*request[:3], "")
    try:
        host = host_of(request.url)
        if host is None:
            raise _Failure("not an http or https address")
        try:
            target = safe_path(job.folder, request.path)
        except ValueError as error:
            raise _Failure(str(error)) from None
        found = _whole(target, request, job)
        if not found:
            target.parent.mkdir(parents=True, exist_ok=True)
        failures, furthest = 0, size_of(_part(target))
        status = "present"
        while not found:
            attempts += 1
            try:
                status, found = _attempt(request, target, job, began)
            except _Failure as failure:
                size = size_of(_part(target))
                if size >= furthest + PROGRESS:
                    failures, furthest = 0, size
                else:
                    failures += 1
                wait = max(failure.wait, min(job.limits.backoff * 2 ** max(failures - 1, 0), LONGEST_WAIT))
                # With the archive down, thousands of files times all their waits would take days.
                retries = job.limits.retries if job.failing[host] < LENIENCE else 0
                late = time.monotonic() + wait - began > job.limits.deadline or job.stop.is_set()
                if not failure.again or failures > retries or late or wait > LONGEST_WAIT:
                    job.failing[host] = job.failing[host] + 1 if failure.server else 0
                    raise
                job.stop.wait(wait)
        job.failing[host] = 0
        row |= {"status": status, "bytes": found[0], "sha256": found[1]}
    except _Failure as failure:
        row["reason"] = failure.reason
    except OSError as error:
        row["reason"] = f"cannot write: {(error.strerror or 'unknown').lower()}"
    except Exception as error:
        row["reason"] = f"unexpected {type(error).__name__}"  # its message might hold the token
    job.report(n_files_done=1)
    return row | {"attempts": attempts, "seconds": time.monotonic() - began}


def _attempt(request, target, job, began):
    """One attempt: receive what is missing, check the whole, put it in its place; ('ok', (size, sha256))."""
    part = _part(target)
    state = part.with_name(part.name + ".json")
    with _locked(part) as stream:
        found = _whole(target, request, job)  # another run may have been here in the meantime
        if found:
            part.unlink()
            return "present", found
        try:
            _receive(request, stream, state, job, began)
            stream.flush()
            found = _checked(part, request, job)
        except _Failure as failure:
            stream.flush()
            if failure.discard or size_of(part) == 0:
                part.unlink()
                state.unlink(missing_ok=True)
            raise
        os.fsync(stream.fileno())
        os.replace(part, target)
        state.unlink(missing_ok=True)
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    return "ok", found


@contextlib.contextmanager
def _locked(part):
    """The temporary file, open and locked against other threads and runs."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    with open(os.open(part, flags, 0o666), "r+b") as stream:
        try:
            _lock(stream)
            # The file may have been renamed or removed between opening and locking.
            same = os.path.samestat(os.fstat(stream.fileno()), os.stat(part))
        except (BlockingIOError, FileNotFoundError):
            same = False
        if not same:
            raise _Failure("another run is fetching it", again=True)
        yield stream


def _lock(stream):
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Where the file system has no locks, only two runs that share its folder could meet: what came is verified.
        if error.errno not in _NO_LOCKS:
            raise


def _receive(request, stream, state, job, began):
    """Bring the temporary file to its full length, from where it stands if the server allows that."""
    known = _read_state(state, shown(request.url))
    offset = os.fstat(stream.fileno()).st_size
    if offset and offset == known.get("length"):
        return
    headers = {"Accept-Encoding": "identity"}
    resume = bool(offset and known.get("validator"))
    if resume:
        headers |= {"Range": f"bytes={offset}-", "If-Range": known["validator"]}
    try:
        address = with_token(request.url, job.token)
        with job.session.get(address, headers=headers, stream=True, timeout=job.limits.timeout) as response:
            _check_answer(response)
            if response.status_code == 206:
                if not (resume and _continues(response.headers, offset, known)):
                    raise _bad("changed on server")
            else:
                offset = 0
                state.unlink(missing_ok=True)
                stream.truncate(0)
            _copy(response, request, stream, offset, state, job, began)
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise _Failure("timed out", again=True, server=True) from None
    except (requests.TooManyRedirects, requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL):
        raise _Failure("redirected to nowhere") from None
    except requests.exceptions.SSLError:
        raise _Failure("TLS handshake failed", again=True, server=True) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError):
        raise _Failure("connection lost", again=True, server=True) from None


def _continues(headers, offset, known):
    """Whether a partial answer continues the same file where ours ends."""
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
    if span is None or int(span[1]) != offset:
        return False
    same_length = known["length"] is None or span[2] in ("*", str(known["length"]))
    return same_length and known["validator"] in (headers.get("ETag"), headers.get("Last-Modified"))


def _check_answer(response):
    """Tell answers that bring data from the others."""
    code = response.status_code
    if any(hop.url.startswith("https:") for hop in response.history) and response.url.startswith("http:"):
        raise _Failure("redirected from https to http")
    if code in (404, 410):
        raise _Failure("missing on server")
    if code in (401, 403):
        raise _Failure("access refused")
    if code == 416:
        raise _bad("changed on server")
    if code not in (200, 206):
        wait = 0.0
        with contextlib.suppress(urllib3.exceptions.InvalidHeader):
            wait = urllib3.Retry().get_retry_after(response.raw) or 0.0
        again = code in (408, 425, 429) or code >= 500
        raise _Failure(f"server answered {code}", again=again, wait=wait, server=again)


def _copy(response, request, stream, offset, state, job, began):
    """Copy the body of an answer to the end of the temporary file, as sent, watching size and speed."""
    stated = response.headers.get("Content-Length", "")
    length = offset + int(stated) if re.fullmatch(r"[0-9]{1,18}", stated) else None
    if length is not None and length > job.limits.max_bytes:
        raise _Failure("larger than allowed")
    if request.size is not None and length not in (None, request.size):
        raise _bad("size mismatch")
    if offset == 0:
        tag, date = response.headers.get("ETag", ""), response.headers.get("Last-Modified")
        validator = tag if tag.startswith('"') else date  # a weak tag does not vouch for the bytes
        state.write_text(json.dumps({"url": shown(request.url), "validator": validator, "length": length}))
    stream.seek(offset)
    window, received = time.monotonic(), 0
    # read1 returns what has arrived: read would wait for a full chunk, however slowly that trickles in.
    while chunk := response.raw.read1(CHUNK, decode_content=False):
        if offset == 0 and chunk.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
            raise _bad(HTML, server=True)
        offset += len(chunk)
        received += len(chunk)
        if offset > job.limits.max_bytes:
            raise _bad("larger than allowed", again=False)
        stream.write(chunk)
        job.report(n_bytes=len(chunk))
        now = time.monotonic()
        if job.stop.is_set() or now - began > job.limits.deadline:
            raise _Failure("timed out", server=True)
        if now - window > job.limits.timeout[1]:
            if received < job.limits.min_rate * (now - window):
                raise _Failure("too slow", again=True, server=True)
            window, received = now, 0
    if length is not None and offset < length:
        raise _Failure("connection lost", again=True, server=True)


def _whole(target, request, job):
    """(size, sha256) of the file if it is there and good, else None."""
    if not target.is_file():
        return None
    try:
        return check_file(target, request.size, request.checksum, job.verify)
    except ValueError:
        return None


def _checked(part, request, job):
    """(size, sha256) of a complete file that is what was asked for."""
    try:
        return check_file(part, request.size, request.checksum, job.verify)
    except ValueError as error:
        raise _bad(str(error)) from None


def _part(target):
    """Where a file is written before it is whole."""
    return target.with_name(target.name + ".part")


def _read_state(path, url):
    """What an earlier attempt noted of the file at the same address, else nothing."""
    try:
        state = json.loads(path.read_text())
        return state if state["url"] == url else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
