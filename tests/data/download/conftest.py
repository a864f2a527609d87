"""A server on loopback that misbehaves on demand, and keeps a log of what it was asked for."""

import hashlib
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from helixlm.data.download import SessionConfig


class Site:
    """What the server has, and how it will behave: `acts` are used up, one a GET of their path."""

    def __init__(self):
        self.files = {}
        self.acts = defaultdict(list)
        self.log = []
        self.etags = True
        self.release = threading.Event()  # lets stalled answers go

    def put(self, path, content):
        self.files[path] = content
        return self.url + path

    def gets(self, path):
        return [seen for seen in self.log if seen.method == "GET" and seen.path == path]

    def sent(self, path):
        return sum(seen.sent for seen in self.gets(path))

    # What an act does is sent by the thread of the request.

    def whole(self, handler, seen, content, *, ranges=True, stop=None, wait=False, pace=None):
        """Send a file as servers do; the rest says how badly."""
        start, etag = 0, f'"{hashlib.sha1(content).hexdigest()}"'
        asked = handler.headers.get("Range", "")
        fits = handler.headers.get("If-Range", etag) == etag
        if ranges and asked and fits:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                return self.status(416)(handler, seen)
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - start))
        if self.etags:
            handler.send_header("ETag", etag)
        handler.end_headers()
        if handler.command == "HEAD":
            return None
        rest = content[start : len(content) if stop is None else max(stop, start)]
        step = len(rest) or 1
        if pace:
            step = pace
        for at in range(0, len(rest), step):
            handler.wfile.write(rest[at : at + step])
            seen.sent += len(rest[at : at + step])
            if pace and self.release.wait(0.02):
                break
        if wait:
            self.release.wait()
        if wait or stop is not None:
            handler.close_connection = True
        return None

    def cut(self, stop):
        """Close the connection when the bytes up to `stop` have been sent."""
        return lambda handler, seen: self.whole(handler, seen, self.files[seen.path], stop=stop)

    def stall(self, stop):
        """Fall silent after the bytes up to `stop`."""
        return lambda handler, seen: self.whole(
            handler, seen, self.files[seen.path], stop=stop, wait=True
        )

    def slow(self, pace):
        """Send so many bytes every fiftieth of a second."""
        return lambda handler, seen: self.whole(handler, seen, self.files[seen.path], pace=pace)

    def no_ranges(self, stop=None):
        """Send the file from its beginning, whatever was asked for."""
        return lambda handler, seen: self.whole(
            handler, seen, self.files[seen.path], ranges=False, stop=stop
        )

    def change(self, content):
        """Have another file from now on."""

        def act(handler, seen):
            self.files[seen.path] = content
            self.whole(handler, seen, content)

        return act

    def wrong(self, content):
        """Send other bytes this once."""
        return lambda handler, seen: self.whole(handler, seen, content)

    def status(self, code, **headers):
        """Answer with a status and nothing else."""

        def act(handler, seen):
            handler.send_response(code)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        return act


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        site = self.server.site
        seen = SimpleNamespace(
            method=self.command,
            path=self.path,
            range=self.headers.get("Range", ""),
            if_range=self.headers.get("If-Range", ""),
            sent=0,
        )
        site.log.append(seen)
        if self.command == "GET" and site.acts[self.path]:
            act = site.acts[self.path].pop(0)
        elif self.path in site.files:
            act = site.wrong(site.files[self.path])
        else:
            act = site.status(404)
        act(self, seen)

    do_HEAD = do_GET

    def log_message(self, *parts):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that goes away is part of the tests


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    site = Site()
    server = Server(("127.0.0.1", 0), Handler)
    server.site = site
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield site
    site.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def quick():
    """Tries that follow each other closely."""
    return SessionConfig(tries=3, stall_seconds=0.3, first_wait_seconds=0.01)
