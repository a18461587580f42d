"""Fetch files over HTTP: either a whole, verified file stands in its place, or the ledger says why not."""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

import numpy as np
import requests
import urllib3
from astropy.table import Table
from requests.adapters import HTTPAdapter
from tqdm import tqdm

from labeltransfer import __version__
from labeltransfer.files import fitsfile

USER_AGENT = f"survey-label-transfer/{__version__} (python-requests/{requests.__version__})"
CHUNK = 1 << 16
LONGEST_WAIT = 120.0  # seconds between two tries; a server that asks for more is left alone
PROGRESS = 1 << 20  # bytes; an attempt that brings this much does not count as a failed one
LENIENCE = 10  # files in a row that a host failed to deliver, after which it is asked once for each
CHECKSUM = r"(sha256:[0-9a-f]{64}|sha1:[0-9a-f]{40}|md5:[0-9a-f]{32})"
HTML = "HTML page instead of a file"

LEDGER = {
    "key": (str, "What was asked for", None),
    "url": (str, "Address, access token left out", None),
    "path": (str, "Path below the folder", None),
    "status": (str, "ok, present (not fetched again) or failed", None),
    "reason": (str, "Why it failed, else empty", None),
    "bytes": (np.int64, "Size of the file", "byte"),
    "sha256": (str, "Checksum of the file", None),
    "attempts": (np.int64, "Number of requests made", None),
    "seconds": (np.float64, "Time taken", "s"),
}


class Request(NamedTuple):
    """One file to fetch: its key in the ledger, address, path below the folder, and what is known of it."""

    key: str
    url: str
    path: str
    size: int | None = None
    checksum: str | None = None


class FetchError(RuntimeError):
    """A file without which nothing can go on could not be fetched."""


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


class _Job(NamedTuple):
    """What all the threads of one `fetch_files` share."""

    folder: Path
    session: requests.Session
    token: str | None
    retries: int
    backoff: float
    timeout: tuple[float, float]
    min_rate: float
    deadline: float
    max_bytes: float
    verify: Callable | None
    failing: Counter
    stop: threading.Event
    report: Callable


def fetch_files(
    wanted,
    folder,
    *,
    concurrency=4,
    retries=5,
    backoff=1.0,
    timeout=(10.0, 60.0),
    min_rate=1000.0,
    deadline=6 * 3600.0,
    max_bytes=20e9,
    token=None,
    verify=None,
    progress=True,
    session=None,
):
    """Fetch files into a folder, resuming what an earlier run left unfinished.

    A file is written to `<name>.part`, checked, and only then renamed: a file under its own name is whole. A
    file already there is checked in the same way and not fetched again. One bad file never stops the rest.

    Parameters
    ----------
    wanted : sequence of Request
        Or of tuples (key, url, path, size or None, checksum or None). `path` is relative to `folder`. A
        checksum is `sha256:`, `sha1:` or `md5:` and hexadecimal digits. Where the url has a query parameter
        whose value is `{token}`, the token is put there at the last moment; without a token that parameter is
        left out.
    folder : str or Path
        Where to; made if it is not there.
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
    token : str, optional
        Access token. It appears in no log, ledger or message.
    verify : callable, optional
        Called with the path of the complete temporary file (whose name ends in `.part`); raises ValueError
        with a short reason if that is no good. For example `verify_fits`.
    progress : bool
        Show a bar on stderr if that is a terminal.
    session : requests.Session, optional
        Must verify TLS certificates.

    Returns
    -------
    ledger : Table
        One row per request, in order: key, url, path, status ('ok', 'present' or 'failed'), reason, bytes,
        sha256, attempts, seconds.

    Raises
    ------
    ValueError
        If a checksum is malformed, or the session does not verify certificates.
    """
    wanted = [Request(*map(str, request[:3]), *request[3:]) for request in wanted]
    for request in wanted:
        if request.checksum and not re.fullmatch(CHECKSUM, request.checksum):
            raise ValueError(f"checksum of {request.key}: expected {CHECKSUM}, found {request.checksum!r}")
    session = session or polite_session(concurrency)
    if not session.verify:
        raise ValueError("the session does not verify TLS certificates: set session.verify = True")
    bar = tqdm(unit="B", unit_scale=True, file=sys.__stderr__, disable=None if progress else True)
    lock, done = threading.Lock(), 0

    def report(n_bytes=0, n_files=0):
        nonlocal done
        with lock:
            done += n_files
            bar.set_description_str(f"{done}/{len(wanted)} files", refresh=False)
            bar.update(n_bytes)

    job = _Job(
        folder=Path(folder).resolve(),
        session=session,
        token=token,
        retries=retries,
        backoff=backoff,
        timeout=timeout,
        min_rate=min_rate,
        deadline=deadline,
        max_bytes=max_bytes,
        verify=verify,
        failing=Counter(),
        stop=threading.Event(),
        report=report,
    )
    first = {}
    for index, request in enumerate(wanted):
        first.setdefault(request.path, index)
    with bar, _redacted_logs(token), ThreadPoolExecutor(concurrency) as pool:
        futures = {index: pool.submit(_fetch, wanted[index], job) for index in first.values()}
        try:
            rows = {index: future.result() for index, future in futures.items()}
        except BaseException:
            job.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    for index, request in enumerate(wanted):
        if index not in rows:
            # Two threads never work on one file.
            earlier = first[request.path]
            if request[1:] == wanted[earlier][1:]:
                rows[index] = rows[earlier] | {"key": request.key, "attempts": 0, "seconds": 0.0}
            else:
                rows[index] = failed_row(*request[:3], "another address for the same path")
    return ledger_table([rows[index] for index in range(len(wanted))])


def polite_session(concurrency=4):
    """A session that names the project, verifies certificates, keeps no cookies and does not retry."""
    session = requests.Session()
    session.headers["User-Agent"] = USER_AGENT
    session.max_redirects = 5
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=concurrency, max_retries=0))
    return session


def ledger_table(rows):
    """The fetch ledger with units and descriptions; `rows` are dicts with the columns of LEDGER."""
    table = Table()
    for name, (kind, description, unit) in LEDGER.items():
        table[name] = np.array([row[name] for row in rows], dtype=kind)
        table[name].description = description
        table[name].unit = unit
    return table


def failed_row(key, url, path, reason):
    """A ledger row for what could not be had, before any attempt."""
    empty = {"status": "failed", "bytes": 0, "sha256": "", "attempts": 0, "seconds": 0.0}
    return empty | {"key": key, "url": shown(url), "path": path, "reason": reason}


def shown(url):
    """The address as it may be shown: without user name, password or the value of a token."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "malformed address"
    parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return re.sub(r"(?i)([?&](?:token|key|apikey|password)=)[^&#]*", r"\1***", urlunsplit(parts))


def safe_path(folder, relative):
    """The path of `relative` below `folder`; ValueError('unsafe path') for anything that might lie elsewhere.

    Names come from catalogues, which come from strangers: absolute paths, `..`, back-slashes, control
    characters and symbolic links that lead out of the folder are refused.
    """
    name, root = str(relative), Path(folder).resolve()
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise ValueError("unsafe path")
    target = root.joinpath(*parts)
    if PurePosixPath(name).is_absolute() or not target.parent.resolve().is_relative_to(root):
        raise ValueError("unsafe path")
    return target


def verify_fits(path, limit=fitsfile.SPECTRUM_LIMIT):
    """Check that a file is whole: a gzip stream up to its checksum, and all that the FITS headers announce.

    Parameters
    ----------
    path : str or Path
        A FITS file, plain or gzipped, whatever its name.
    limit : int
        Most bytes that a gzip file may unpack to.

    Raises
    ------
    ArchiveError
        With a reason for the ledger.
    """
    for _ in fitsfile.hdus(fitsfile.map_bytes(path, limit), path):
        pass


def _fetch(request, job):
    """Fetch one file, whatever happens, and return its row of the ledger."""
    began, attempts = time.monotonic(), 0
    row = failed_row(*request[:3], "")
    try:
        host = _host(request.url)
        try:
            target = safe_path(job.folder, request.path)
        except ValueError as error:
            raise _Failure(str(error)) from None
        found = _whole(target, request, job)
        if not found:
            target.parent.mkdir(parents=True, exist_ok=True)
        failures, furthest = 0, _size(_part(target))
        status = "present"
        while not found:
            attempts += 1
            try:
                status, found = _attempt(request, target, job, began)
            except _Failure as failure:
                size = _size(_part(target))
                if size >= furthest + PROGRESS:
                    failures, furthest = 0, size
                else:
                    failures += 1
                wait = max(failure.wait, min(job.backoff * 2 ** max(failures - 1, 0), LONGEST_WAIT))
                # With the archive down, thousands of files times all their waits would take days.
                retries = job.retries if job.failing[host] < LENIENCE else 0
                late = time.monotonic() + wait - began > job.deadline or job.stop.is_set()
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
    job.report(n_files=1)
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
            found = _check(part, request, job)
        except _Failure as failure:
            stream.flush()
            if failure.discard or _size(part) == 0:
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
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The file may have been renamed or removed between opening and locking.
            same = os.path.samestat(os.fstat(stream.fileno()), os.stat(part))
        except (BlockingIOError, FileNotFoundError):
            same = False
        if not same:
            raise _Failure("another run is fetching it", again=True)
        yield stream


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
        address = _with_token(request.url, job.token)
        with job.session.get(address, headers=headers, stream=True, timeout=job.timeout) as response:
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
    if length is not None and length > job.max_bytes:
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
        if offset > job.max_bytes:
            raise _bad("larger than allowed", again=False)
        stream.write(chunk)
        job.report(n_bytes=len(chunk))
        now = time.monotonic()
        if job.stop.is_set() or now - began > job.deadline:
            raise _Failure("timed out", server=True)
        if now - window > job.timeout[1]:
            if received < job.min_rate * (now - window):
                raise _Failure("too slow", again=True, server=True)
            window, received = now, 0
    if length is not None and offset < length:
        raise _Failure("connection lost", again=True, server=True)


def _whole(target, request, job):
    """(size, sha256) of the file if it is there and good, else None."""
    if not target.is_file():
        return None
    try:
        return _check(target, request, job)
    except _Failure:
        return None


def _check(path, request, job):
    """(size, sha256) of a complete file that is what was asked for."""
    size = _size(path)
    if request.size is not None and size != request.size:
        raise _bad("size mismatch")
    kind, _, expected = (request.checksum or "sha256:").partition(":")
    digests = {name: hashlib.new(name) for name in ("sha256", kind)}
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            for digest in digests.values():
                digest.update(block)
    if expected and digests[kind].hexdigest() != expected:
        raise _bad("checksum mismatch")
    if size == 0:
        raise _bad("empty file")
    if job.verify is not None:
        try:
            job.verify(path)
        except ValueError as error:
            raise _bad(getattr(error, "reason", str(error))) from None
    return size, digests["sha256"].hexdigest()


def _size(path):
    """Size of a file [bytes], 0 if it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


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


def _host(url):
    """The host of an http or https address."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        host = None
    if not host:
        raise _Failure("not an http or https address")
    return host


def _with_token(url, token):
    """The address with the token in its place, or without the parameter that would hold it."""
    parts = urlsplit(url)
    parameters = [p for p in parts.query.split("&") if token or "{token}" not in p]
    query = "&".join(parameters).replace("{token}", quote(token or "", safe=""))
    return urlunsplit(parts._replace(query=query))


@contextlib.contextmanager
def _redacted_logs(token):
    """Keep the token out of what the HTTP library logs."""

    def redact(record):
        record.msg, record.args = record.getMessage(), ()
        for secret in (token, quote(token, safe="")):
            record.msg = record.msg.replace(secret, "***")
        return True

    loggers = [logging.getLogger(f"urllib3.{name}") for name in ("connectionpool", "util.retry")]
    try:
        for logger in loggers if token else ():
            logger.addFilter(redact)
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(redact)
