"""Four servers that answer the same paths, so that one matrix runs against all of them.

- ``/bytes/N``    the *N* bytes of `Site.content`, with ranges
- ``/chunked/N``  the same, chunked
- ``/redirect/N`` N redirects (302) to a page that answers 200
- POST ``/echo``  JSON with the ``length`` and ``sha256`` of the body as it arrived; nginx, which runs no code, stores it instead

The standard library's server and pytest-httpserver run in this process, nginx in its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

import client
from client.testing import LoopbackServer, payload
from tests.nginx import NginxServer, pattern

__all__ = ["Site", "http_server_site", "httpserver_site", "loopback_site", "nginx_site"]


@dataclass(frozen=True, slots=True)
class Site:
    """One server.

    Attributes:
        url: Without a slash at its end.
        connections: Asks the server how many connections it has accepted so far.
        content: What ``/bytes/N`` serves.
        stores: True if uploads are PUT below ``/store`` and read back, False if ``/echo`` answers their digest.
        keeps_alive: False if it closes the connection after each response.
    """

    url: str
    connections: Callable[[], int]
    content: Callable[[int], bytes] = pattern
    stores: bool = False
    keeps_alive: bool = True

    def upload(self, session: client.Session, body: Any, name: str) -> str:
        """Upload *body* and return the SHA-256 of what the server received."""
        if self.stores:
            stored = f"{self.url}/store/{name}"
            session.put(stored, data=body).raise_for_status()
            return hashlib.sha256(session.get(stored).content).hexdigest()
        response = session.post(f"{self.url}/echo", data=body)
        response.raise_for_status()
        return str(response.json()["sha256"])


@contextlib.contextmanager
def loopback_site(tls: ssl.SSLContext | None) -> Iterator[Site]:
    """Run our own `LoopbackServer`."""
    with LoopbackServer(tls) as server:
        yield Site(server.url, lambda: server.stats.connections, lambda count: b"".join(payload(0, count)))


@contextlib.contextmanager
def nginx_site(nginx: NginxServer, *, tls: bool) -> Iterator[Site]:
    """Use the nginx of the test run."""
    probes = 0

    def connections() -> int:
        nonlocal probes
        probes += 1
        with socket.create_connection(("127.0.0.1", nginx.port)) as probe:
            probe.sendall(b"GET /status HTTP/1.0\r\n\r\n")
            status = b"".join(iter(lambda: probe.recv(4096), b""))
        accepted = re.search(rb"requests\s+(\d+)", status)
        assert accepted is not None, status
        return int(accepted[1]) - probes

    yield Site(nginx.tls_url if tls else nginx.url, connections, stores=True)


class Handler(BaseHTTPRequestHandler):
    """The paths by the standard library's means; chunked coding is by hand, as it has none."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and small body leave in one write, as from most servers
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        kind, _, count = self.path.strip("/").partition("/")
        body = pattern(int(count or 0)) if kind in {"bytes", "chunked"} else b"arrived"
        if kind == "redirect":
            target = f"/redirect/{int(count) - 1}" if count != "1" else "/echo"
            self.answer(302, b"elsewhere", {"Location": target})
        elif kind == "chunked":
            self.answer(200, body, {"Transfer-Encoding": "chunked"})
        elif asked := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            first, last = int(asked[1]), int(asked[2])
            if first >= len(body):
                self.answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            else:
                part = body[first : last + 1]
                self.answer(
                    206, part, {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(body)}"}
                )
        else:
            self.answer(200, body, {})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = b"".join(self.chunks()) if "Transfer-Encoding" in self.headers else self.sized_body()
        document = {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        self.answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def sized_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Transfer-Encoding" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if "Transfer-Encoding" in headers:
            for start in range(0, len(body), 8000):
                piece = body[start : start + 8000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            body = b"0\r\n\r\n"
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test run's output to itself."""


class CountingServer(ThreadingHTTPServer):
    """Counts the connections it accepts, and does the TLS handshake on each connection's own thread."""

    request_queue_size = 128
    accepted = 0
    tls: ssl.SSLContext | None = None

    def get_request(self) -> tuple[socket.socket, Any]:
        accepted, address = super().get_request()
        self.accepted += 1
        if self.tls is not None:
            accepted = self.tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        return accepted, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that refuse the certificate or go away."""


@contextlib.contextmanager
def http_server_site(tls: ssl.SSLContext | None) -> Iterator[Site]:
    """Run the standard library's `http.server`."""
    with CountingServer(("127.0.0.1", 0), Handler) as server:
        server.tls = tls
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        scheme = "http" if tls is None else "https"
        yield Site(f"{scheme}://127.0.0.1:{server.server_port}", lambda: server.accepted)
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def httpserver_site(tls: ssl.SSLContext | None) -> Iterator[Site]:
    """Run pytest-httpserver, which is werkzeug's server; that closes after every response."""

    def content(request: Request) -> Response:
        body = pattern(int(request.path.rpartition("/")[2]))
        response = Response(body)
        return response.make_conditional(request.environ, accept_ranges=True, complete_length=len(body))

    def chunked(request: Request) -> Response:
        body = pattern(int(request.path.rpartition("/")[2]))
        return Response(body[start : start + 8000] for start in range(0, len(body), 8000))

    def redirect(request: Request) -> Response:
        left = int(request.path.rpartition("/")[2])
        return Response("elsewhere", 302, {"Location": f"/redirect/{left - 1}" if left > 1 else "/echo"})

    def echo(request: Request) -> Response:
        body = request.get_data()
        document = {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        return Response(json.dumps(document), content_type="application/json")

    with HTTPServer("127.0.0.1", ssl_context=tls, threaded=True) as server:
        for path, handler in {
            "bytes": content,
            "chunked": chunked,
            "redirect": redirect,
            "echo": echo,
        }.items():
            server.expect_request(re.compile(f"^/{path}")).respond_with_handler(handler)

        # It logs requests, and serves one a connection.
        yield Site(server.url_for("/").rstrip("/"), lambda: len(server.log), keeps_alive=False)
