"""Fetch files over HTTP: either a whole, verified file stands in its place, or the ledger says why not."""

import contextlib
import logging
import re
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from urllib.parse import quote

import numpy as np
import requests
from astropy.table import Table
from requests.adapters import HTTPAdapter
from tqdm import tqdm

from labeltransfer import __version__
from labeltransfer.files.transfer import Job, Limits, Request, failed_row, fetch
from labeltransfer.files.verify import CHECKSUM

USER_AGENT = f"survey-label-transfer/{__version__} (python-requests/{requests.__version__})"

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


class FetchError(RuntimeError):
    """A file without which nothing can go on could not be fetched."""


def fetch_files(wanted, folder, limits=None, *, token=None, verify=None, progress=True, session=None):
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
    limits : Limits, optional
        How servers are asked, and when a file is given up.
    token : str, optional
        Access token. It appears in no log, ledger or message.
    verify : callable, optional
        Called with the path of the complete temporary file (whose name ends in `.part`); raises ValueError
        with a short reason if that is no good. For example `verify.verify_fits`.
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
    limits = limits or Limits()
    wanted = [Request(*map(str, request[:3]), *request[3:]) for request in wanted]
    for request in wanted:
        if request.checksum and not re.fullmatch(CHECKSUM, request.checksum):
            raise ValueError(f"checksum of {request.key}: expected {CHECKSUM}, found {request.checksum!r}")
    session = session or polite_session(limits.concurrency)
    if not session.verify:
        raise ValueError("the session does not verify TLS certificates: set session.verify = True")
    first = {}
    for index, request in enumerate(wanted):
        first.setdefault(request.path, index)
    bar, report = _progress(len(wanted), progress)
    folder = Path(folder).resolve()
    job = Job(folder, session, token, limits, verify, Counter(), threading.Event(), report)
    with bar, _redacted_logs(token), ThreadPoolExecutor(limits.concurrency) as pool:
        futures = {index: pool.submit(fetch, wanted[index], job) for index in first.values()}
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


def _progress(n_files, visible):
    """A bar on stderr, and what tells it, from any thread, of bytes and files that have come."""
    bar = tqdm(unit="B", unit_scale=True, file=sys.__stderr__, disable=None if visible else True)
    lock, done = threading.Lock(), 0

    def report(n_bytes=0, n_files_done=0):
        nonlocal done
        with lock:
            done += n_files_done
            bar.set_description_str(f"{done}/{n_files} files", refresh=False)
            bar.update(n_bytes)

    return bar, report


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
