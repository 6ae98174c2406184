"""The contenders, each used as its documentation shows: one warm session, response read whole.

A method of a peer does the set-up and returns what is timed, a function of no arguments, so that the timed body is
nothing but the thing. Ours comes first, as the ratios are to it.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import importlib.metadata
import io
import json
import socket
import ssl
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from tests.benchmarks.measure import OURS

__all__ = ["PEERS", "Peer", "opened"]

Timed = Callable[[], Any]


class Peer(Protocol):
    """One HTTP client; a method may be missing where the client has no such thing."""

    def __init__(self, bundle: Path | None) -> None: ...
    def get(self, url: str) -> Timed: ...
    def close(self) -> None: ...


class Threadwire:
    """Ours."""

    def __init__(self, bundle: Path | None) -> None:
        import client

        self.session = client.Session()
        if bundle is not None:
            self.session.verify = str(bundle)

    def get(self, url: str) -> Timed:
        get = self.session.get
        return lambda: get(url).content

    def post_json(self, url: str, document: object) -> Timed:
        post = self.session.post
        return lambda: post(url, json=document).content

    def get_json(self, url: str) -> Timed:
        get = self.session.get
        return lambda: get(url).json()

    def close(self) -> None:
        self.session.close()


class Requests(Threadwire):
    """requests; what runs on it runs on ours, so only the session differs."""

    def __init__(self, bundle: Path | None) -> None:
        import requests

        self.session = requests.Session()
        if bundle is not None:
            self.session.verify = str(bundle)


class Urllib3:
    """urllib3; the genuine one."""

    def __init__(self, bundle: Path | None) -> None:
        import urllib3

        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version("urllib3-future")
            raise SystemExit(
                "urllib3-future has taken urllib3's place in this environment; the figures would be its own"
            )
        self.pool = urllib3.PoolManager(maxsize=8, ca_certs=None if bundle is None else str(bundle))

    def get(self, url: str) -> Timed:
        request = self.pool.request
        return lambda: request("GET", url).data

    def post_json(self, url: str, document: object) -> Timed:
        request = self.pool.request
        return lambda: request("POST", url, json=document).data

    def get_json(self, url: str) -> Timed:
        request = self.pool.request
        return lambda: request("GET", url, headers={"Accept-Encoding": "gzip"}).json()

    def close(self) -> None:
        self.pool.clear()


class Httpx:
    """httpx."""

    def __init__(self, bundle: Path | None) -> None:
        import httpx

        verify = True if bundle is None else ssl.create_default_context(cafile=str(bundle))
        self.client = httpx.Client(verify=verify)

    def get(self, url: str) -> Timed:
        get = self.client.get
        return lambda: get(url).content

    def post_json(self, url: str, document: object) -> Timed:
        post = self.client.post
        return lambda: post(url, json=document).content

    def get_json(self, url: str) -> Timed:
        get = self.client.get
        return lambda: get(url).json()

    def close(self) -> None:
        self.client.close()


class HttpClient:
    """http.client of the standard library: no pool, no redirects, no decoding; one connection by hand."""

    def __init__(self, bundle: Path | None) -> None:
        self.bundle = bundle
        self.connection: http.client.HTTPConnection | None = None

    def connect(self, url: str) -> tuple[http.client.HTTPConnection, str]:
        parts = urllib.parse.urlsplit(url)
        assert parts.hostname is not None
        if self.bundle is None:
            self.connection = http.client.HTTPConnection(parts.hostname, parts.port)
        else:
            context = ssl.create_default_context(cafile=str(self.bundle))
            self.connection = http.client.HTTPSConnection(parts.hostname, parts.port, context=context)
        return self.connection, parts.path

    def get(self, url: str) -> Timed:
        connection, path = self.connect(url)

        def run() -> bytes:
            connection.request("GET", path)
            return connection.getresponse().read()

        return run

    def post_json(self, url: str, document: object) -> Timed:
        connection, path = self.connect(url)

        def run() -> bytes:
            body = json.dumps(document).encode()
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            return connection.getresponse().read()

        return run

    def get_json(self, url: str) -> Timed:
        connection, path = self.connect(url)

        def run() -> Any:
            connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
            return json.loads(gzip.decompress(connection.getresponse().read()))

        return run

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()


class Pycurl:
    """libcurl through pycurl, one handle kept."""

    def __init__(self, bundle: Path | None) -> None:
        import pycurl

        self.pycurl = pycurl
        self.handle = pycurl.Curl()
        if bundle is not None:
            self.handle.setopt(pycurl.CAINFO, str(bundle))

    def get(self, url: str) -> Timed:
        handle, target = self.handle, self.pycurl.WRITEDATA
        handle.setopt(self.pycurl.URL, url)

        def run() -> bytes:
            body = io.BytesIO()
            handle.setopt(target, body)
            handle.perform()
            return body.getvalue()

        return run

    def post_json(self, url: str, document: object) -> Timed:
        perform = self.get(url)
        handle, fields = self.handle, self.pycurl.POSTFIELDS
        handle.setopt(self.pycurl.HTTPHEADER, ["Content-Type: application/json"])

        def run() -> Any:
            handle.setopt(fields, json.dumps(document))
            return perform()

        return run

    def get_json(self, url: str) -> Timed:
        self.handle.setopt(self.pycurl.ACCEPT_ENCODING, "gzip")
        perform = self.get(url)
        return lambda: json.loads(perform())

    def close(self) -> None:
        self.handle.close()


class PycurlWithHead(Pycurl):
    """As `Pycurl`, and takes what every other peer hands out as well: the status, and the header lines."""

    def get(self, url: str) -> Timed:
        perform, handle, pycurl = super().get(url), self.handle, self.pycurl

        def run() -> Any:
            lines: list[bytes] = []
            handle.setopt(pycurl.HEADERFUNCTION, lines.append)
            body = perform()
            assert lines
            assert handle.getinfo(pycurl.RESPONSE_CODE) == 200
            return body

        return run


class BareSocket:
    """The floor: a request prepared once, written and its known number of bytes read, nothing parsed."""

    def __init__(self, bundle: Path | None) -> None:
        self.bundle = bundle
        self.socket: socket.socket | None = None

    def get(self, url: str) -> Timed:
        parts = urllib.parse.urlsplit(url)
        request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
        return self.exchange(parts, request)

    def post_json(self, url: str, document: object) -> Timed:
        parts = urllib.parse.urlsplit(url)
        body = json.dumps(document)
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        return self.exchange(parts, f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    def exchange(self, parts: urllib.parse.SplitResult, request: bytes) -> Timed:
        connected = socket.create_connection((parts.hostname or "", parts.port or 80))
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.bundle is not None:
            context = ssl.create_default_context(cafile=str(self.bundle))
            connected = context.wrap_socket(connected, server_hostname=parts.hostname)
        self.socket = connected
        connected.sendall(request)
        response = b""
        while b"\r\n\r\n" not in response:
            response += connected.recv(65536)
        head, _, body = response.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        total = len(head) + 4 + length
        buffer = memoryview(bytearray(total))
        missing = length - len(body)
        while missing:
            missing -= connected.recv_into(buffer, min(total, missing))

        def run() -> int:
            connected.sendall(request)
            received = 0
            while received < total:
                received += connected.recv_into(buffer[received:])
            return received

        return run

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()


#: Name -> peer, in the order of the tables.
PEERS: dict[str, type[Any]] = {
    OURS: Threadwire,
    "pycurl": Pycurl,
    "pycurl + head": PycurlWithHead,
    "http.client": HttpClient,
    "urllib3": Urllib3,
    "httpx": Httpx,
    "requests": Requests,
    "bare socket": BareSocket,
}


@contextlib.contextmanager
def opened(method: str, *arguments: object, bundle: Path | None = None) -> Iterator[dict[str, Timed]]:
    """Open every peer that has *method*, and yield name -> what ``peer.method(*arguments)`` wants timed.

    A peer that is not installed is left out, by name.
    """
    with contextlib.ExitStack() as stack:
        timed = {}
        for name, kind in PEERS.items():
            if not hasattr(kind, method):
                continue
            try:
                peer = kind(bundle)
            except ModuleNotFoundError as missing:
                print(f"  ({name} is left out: {missing})")
                continue
            stack.callback(peer.close)
            timed[name] = getattr(peer, method)(*arguments)
        yield timed
