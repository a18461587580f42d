"""A survey archive on the loopback interface that misbehaves to order.

    with serve(folder, faults={"/sas/fits/*": ["503", "drop"]}) as server:
        fetch(server.url + "/sas/fits/PLAN/spec-....fits.gz")
    server.counts["/sas/fits/PLAN/spec-....fits.gz"]  # requests seen

The first requests for an address get the behaviours of the first pattern that it matches, one each and in
order; all later ones are served well: ranges, entity tags, lengths.
"""

import contextlib
import email.utils
import fnmatch
import hashlib
import os
import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock
from urllib.parse import parse_qs, unquote, urlsplit

BEHAVIOURS = {
    "good": "the whole file, or the range asked for",
    "503": "server error",
    "503 after 1": "server error, with Retry-After: 1 (any number of seconds)",
    "403": "access refused",
    "404": "missing file",
    "drop": "half of the body, then the connection is closed",
    "truncate": "half of the body, with the length of that half: valid HTTP, useless file",
    "html": "an error page with status 200",
    "wrong bytes": "bytes changed in the middle, length and type right",
    "trickle": "a byte now and then",
    "no range": "the whole file, whatever range was asked for",
    "no tag": "the whole file without entity tag or date, then the connection is closed half-way",
    "chunked": "the whole file without stating its length",
    "chunked drop": "the same, broken off half-way",
    "wrong range": "a partial answer that starts elsewhere than asked for",
    "huge": "announces a petabyte",
    "endless": "sends zeros without stating a length, up to 64 MiB",
    "redirect": "to the same file at another address of this server, with the query",
    "redirect loop": "to itself",
    "redirect file": "to file:///etc/passwd",
}


class Server:
    """A running server: its `url`, the requests it saw (`counts` by address, `log` with headers)."""

    def __init__(self, folder, faults=None, routes=None, token=None, delay=0.0):
        self.folder, self.token, self.delay = Path(folder), token, delay
        self.routes = {"/": self.folder} | {prefix: Path(path) for prefix, path in (routes or {}).items()}
        self.faults, self.pending = dict(faults or {}), {}
        self.counts, self.log = Counter(), []
        self.busy, self.busiest = 0, 0
        self.lock = threading.Lock()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"archive": self}))
        self.http.daemon_threads, self.http.block_on_close = True, False
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def file(self, address):
        """The file that an address stands for.

        `/catdl?name=X` is `catdl/X`, the openapi's `...?obsid=N` is `.../N`, all else is the path itself.
        The longest prefix in `routes` says below which folder.
        """
        parts = urlsplit(address)
        query = parse_qs(parts.query)
        path = "/".join([unquote(parts.path), *query.get("name", []), *query.get("obsid", [])])
        path = path.removeprefix("/redirected")
        prefix = max((prefix for prefix in self.routes if path.startswith(prefix)), key=len)
        return self.routes[prefix] / path[len(prefix) :].lstrip("/")

    def next_behaviour(self, address):
        """What to do with this request."""
        with self.lock:
            self.counts[address] += 1
            if address not in self.pending:
                found = (f for pattern, f in self.faults.items() if fnmatch.fnmatchcase(address, pattern))
                self.pending[address] = iter(next(found, ()))
            return next(self.pending[address], "good")


@contextlib.contextmanager
def serve(folder, faults=None, routes=None, token=None, delay=0.0):
    """Serve the files below a folder in an archive's layout, as long as the context lasts.

    Parameters
    ----------
    folder : path
        Its files are served under their path; see `Server.file` for addresses with a query.
    faults : dict of str to iterable of str, optional
        Pattern (as of file names; without scheme, host and token) -> keys of BEHAVIOURS, one for each request
        before the first good one. Each address that matches goes through its own list; `itertools.repeat`
        never gets good.
    routes : dict of str to path, optional
        Folders for addresses that start in a certain way, such as {"/sas/fits": mock / "spectra"}.
    token : str, optional
        Where given, each request must carry it as `token=`, or is refused.
    delay : float
        Time that each answer takes [s].

    Yields
    ------
    Server
    """
    server = Server(folder, faults, routes, token, delay)
    thread = threading.Thread(target=server.http.serve_forever, args=(0.02,), daemon=True)
    # A proxy of the environment must not come between, here or in child processes.
    with mock.patch.dict(os.environ, {"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}):
        thread.start()
        try:
            yield server
        finally:
            server.http.shutdown()
            server.http.server_close()
            thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        """Stay silent."""

    def do_GET(self):
        archive = self.archive
        given = parse_qs(urlsplit(self.path).query).get("token", [None])[0]
        address = re.sub(r"[?&]token=[^&]*", "", self.path)
        with archive.lock:
            archive.log.append((self.path, dict(self.headers)))
            archive.busy += 1
            archive.busiest = max(archive.busiest, archive.busy)
        try:
            time.sleep(archive.delay)
            behaviour = archive.next_behaviour(address)
            if archive.token is not None and given != archive.token:
                behaviour = "403"
            self.answer(behaviour, archive.file(self.path))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with archive.lock:
                archive.busy -= 1

    def answer(self, behaviour, path):
        if behaviour[:3].isdigit():
            wait = behaviour.partition(" after ")[2]
            return self.send(int(behaviour[:3]), b"<html>error</html>", {"Retry-After": wait} if wait else {})
        if behaviour.startswith("redirect"):
            places = {"redirect loop": self.path, "redirect file": "file:///etc/passwd"}
            return self.send(302, b"", {"Location": places.get(behaviour, "/redirected" + self.path)})
        if behaviour == "html":
            return self.send(200, b"<!DOCTYPE html><html><body>Please try later</body></html>")
        if not path.is_file():
            return self.send(404, b"<html>not found</html>")
        body = path.read_bytes()
        if behaviour == "wrong bytes":
            middle = len(body) // 2
            body = (
                body[:middle] + bytes(255 - byte for byte in body[middle : middle + 8]) + body[middle + 8 :]
            )
        return self.send_file(behaviour, body, path.stat().st_mtime)

    def send_file(self, behaviour, body, modified):
        half = len(body) // 2
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"ETag": tag, "Last-Modified": email.utils.formatdate(modified, usegmt=True)}
        if behaviour == "no tag":
            return self.send(200, body, {}, stop=half)
        if behaviour == "truncate":
            return self.send(200, body[:half], headers)
        if behaviour == "huge":
            return self.send(200, body, headers | {"Content-Length": str(10**15)}, stop=half)
        if behaviour == "trickle":
            return self.send(200, body, headers, pause=0.02)
        if behaviour.startswith("chunked"):
            return self.send_chunked(body, headers, whole=behaviour == "chunked")
        if behaviour == "endless":
            return self.send_chunked(bytes(1 << 26), {}, whole=False)
        stop = half if behaviour == "drop" else None
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if (
            start is None
            or behaviour == "no range"
            or self.headers.get("If-Range", tag) not in headers.values()
        ):
            return self.send(200, body, headers, stop)
        start = int(start[1]) - (100 if behaviour == "wrong range" else 0)
        if start >= len(body):
            return self.send(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return self.send(206, body[start:], headers, None if stop is None else max(stop - start, 0))

    def send(self, code, body, headers=None, stop=None, pause=0.0):
        self.send_response(code)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        for position in range(min(len(body), 500) if pause else 0):  # bounded, should the client never leave
            self.wfile.write(body[position : position + 1])
            time.sleep(pause)
        if pause:
            self.close_connection = True
        else:
            self.wfile.write(body[:stop])
            if stop is not None:
                self.close_connection = True

    def send_chunked(self, body, headers, whole):
        self.send_response(200)
        for name, value in (headers | {"Transfer-Encoding": "chunked"}).items():
            self.send_header(name, value)
        self.end_headers()
        size = max(1, len(body) // 7)
        chunks = [body[start : start + size] for start in range(0, len(body), size)]
        for chunk in chunks if whole else chunks[:4]:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        if whole:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True
