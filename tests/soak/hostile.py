"""A server whose every page is an attack, and what each must come to.

Raw sockets and one thread a connection; nothing of our own engine.  A request's path names the page, its field
``X-Nonce`` the nonce that an honest answer carries.
"""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Final, NamedTuple, Self

import client
from client.exceptions import (
    BodyTooLarge,
    ChunkedEncodingError,
    ContentDecodingError,
    IncompleteBody,
    InvalidSchema,
    ProtocolError,
    ReadTimeout,
    RemoteDisconnected,
    TooManyRedirects,
    TotalTimeout,
    WriteTimeout,
)
from tests.faults.origin import body_of

__all__ = ["HONEST_SIZE", "PAGES", "HostileServer", "Page"]

HONEST_SIZE: Final = 500
PATIENCE: Final = 3.0  # seconds without a byte from the client
CHUNKED: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BOMB: Final = gzip.compress(bytes(8 << 20))
MEBIBYTE: Final = 1 << 20

Send = Callable[[socket.socket, str], object]


class Page(NamedTuple):
    """What a page sends, and what may come of asking for it.

    Attributes:
        send: Called with the socket and the request's nonce; returns True to keep the connection.
        errors: Classes of which one must be raised; none: the answer is honest, and must arrive whole. A timeout or a
            broken connection may come in the place of any: the machine may be slow, and a close a reset.
        arguments: Of the call.
        method: Of the call.
    """

    send: Send
    errors: tuple[type[Exception], ...] = ()
    arguments: Mapping[str, Any] = MappingProxyType({})
    method: str = "GET"


def honest(nonce: str, *lines: bytes) -> bytes:
    """Return the answer that belongs to *nonce*."""
    head = [b"HTTP/1.1 200 OK", b"X-Nonce: " + nonce.encode(), *lines, b"Content-Length: %d" % HONEST_SIZE]
    return b"\r\n".join(head) + b"\r\n\r\n" + body_of(nonce, HONEST_SIZE)


def exactly(data: bytes) -> Send:
    """Send *data* and close."""
    return lambda sock, nonce: sock.sendall(data)


def endless(start: bytes, piece: bytes) -> Send:
    """Send *start*, then *piece* until the client has had enough."""

    def send(sock: socket.socket, nonce: str) -> None:
        sock.sendall(start)
        block = piece * (16384 // len(piece) + 1)
        for _ in range(2000):
            sock.sendall(block)

    return send


def reset_after(data: bytes) -> Send:
    """Send *data* and reset the connection."""

    def send(sock: socket.socket, nonce: str) -> None:
        sock.sendall(data)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return send


def drip(sock: socket.socket, nonce: str) -> None:
    """Send a byte now and then, never long enough apart for the read timeout."""
    for octet in honest(nonce):
        sock.sendall(bytes([octet]))
        time.sleep(0.05)


def silence(sock: socket.socket, nonce: str) -> None:
    """Say nothing until the client goes."""
    with contextlib.suppress(OSError):
        sock.recv(1)


def answer(sock: socket.socket, nonce: str) -> bool:
    """Answer as one should."""
    sock.sendall(honest(nonce))
    return True


def lead_round(sock: socket.socket, nonce: str) -> bool:
    """Redirect to this very page."""
    sock.sendall(b"HTTP/1.1 302 Go\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n")
    return True


def answer_and_poison(sock: socket.socket, nonce: str) -> bool:
    """Answer, and put an answer behind it that nobody asked for."""
    sock.sendall(honest(nonce) + honest("poison"))
    return True


def answer_too_long(sock: socket.socket, nonce: str) -> bool:
    """Send more than Content-Length says."""
    sock.sendall(honest(nonce) + b"x" * 5000)
    return True


def with_cookies(sock: socket.socket, nonce: str) -> bool:
    """Answer, with as many cookies as a head may hold."""
    sock.sendall(honest(nonce, *(b"Set-Cookie: c%d-%b=1" % (n, nonce.encode()) for n in range(200))))
    return True


def after_hints(sock: socket.socket, nonce: str) -> bool:
    """Answer after as many 1xx as are allowed."""
    sock.sendall(b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n" * 16 + honest(nonce))
    return True


def refuse_upload(sock: socket.socket, nonce: str) -> None:
    """Answer a large upload before it is over, and read no more of it."""
    sock.sendall(b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    time.sleep(0.05)


def stay_deaf(sock: socket.socket, nonce: str) -> None:
    """Read nothing of an upload, and say nothing."""
    time.sleep(1.5)


def bomb(*lines: bytes) -> Send:
    """Send 8 MiB of zeros in 8 KiB."""
    return exactly(
        b"HTTP/1.1 200 OK\r\n" + b"".join(lines) + b"Content-Length: %d\r\n\r\n" % len(BOMB) + BOMB
    )


GZIP: Final = b"Content-Encoding: gzip\r\n"
LARGE: Final = {"data": b"u" * 2 * MEBIBYTE}

PAGES: Final = {
    "honest": Page(answer),
    "poison": Page(answer_and_poison),
    "too-long": Page(answer_too_long),
    "cookies": Page(with_cookies),
    "hints": Page(after_hints),
    "garbage": Page(exactly(b"\x16\x03\x01\x00\xff garbage \x00\r\n" * 20), (ProtocolError,)),
    "empty": Page(exactly(b""), (RemoteDisconnected,)),
    "endless-line": Page(endless(b"HTTP/1.1 200 OK\r\nX: ", b"y"), (ProtocolError,)),
    "endless-fields": Page(endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), (ProtocolError,)),
    "endless-hints": Page(endless(b"", b"HTTP/1.1 103 E\r\n\r\n"), (ProtocolError,)),
    "endless-trailers": Page(endless(CHUNKED + b"0\r\n", b"X: y\r\n"), (ChunkedEncodingError,)),
    "endless-extension": Page(endless(CHUNKED + b"1;", b"y"), (ChunkedEncodingError,)),
    "endless-body": Page(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), (BodyTooLarge,), {"max_body": MEBIBYTE}),
    "two-framings": Page(
        exactly(CHUNKED[:-2] + b"Content-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), (ProtocolError,)
    ),
    "bad-chunk": Page(exactly(CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n"), (ChunkedEncodingError,)),
    "cut-chunk": Page(exactly(CHUNKED + b"100\r\nhello"), (IncompleteBody,)),
    "cut-length": Page(exactly(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello"), (IncompleteBody,)),
    "reset-head": Page(reset_after(b"HTTP/1.1 200 OK\r\nX-"), (RemoteDisconnected, ProtocolError)),
    "reset-body": Page(reset_after(CHUNKED + b"5\r\nhel"), (IncompleteBody,)),
    "bomb-size": Page(bomb(GZIP), (BodyTooLarge,), {"max_body": MEBIBYTE}),
    "bomb-ratio": Page(bomb(GZIP), (BodyTooLarge,), {"max_ratio": 100}),
    "six-codings": Page(bomb(*[GZIP] * 6), (ContentDecodingError,)),
    "cut-coding": Page(
        exactly(b"HTTP/1.1 200 OK\r\n" + GZIP + b"Content-Length: 100\r\n\r\n" + BOMB[:100]),
        (ContentDecodingError,),
    ),
    "loop": Page(lead_round, (TooManyRedirects,)),
    "elsewhere": Page(
        exactly(b"HTTP/1.1 302 Go\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
        (InvalidSchema, client.RedirectError),
    ),
    "drip": Page(drip, (TotalTimeout,)),
    "silence": Page(silence, (ReadTimeout,)),
    "refused-upload": Page(refuse_upload, (client.ConnectionError,), LARGE, "POST"),
    "deaf-upload": Page(stay_deaf, (WriteTimeout,), LARGE, "POST"),
}


class HostileServer:
    """Listens on 127.0.0.1 until the with block is left.

    Attributes:
        port: Where.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="hostile-server", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.close()  # the threads are daemons of a process that ends with its round

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(PATIENCE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            while self._answer(connection):
                pass
        except (OSError, EOFError):  # the client has had enough, as it should
            pass
        finally:
            connection.close()

    def _answer(self, connection: socket.socket) -> bool:
        head = b""
        while b"\r\n\r\n" not in head:
            data = connection.recv(65536)
            if not data:
                return False
            head += data
        asked = re.match(rb"\w+ /([\w-]+)", head)
        nonce = re.search(rb"\r\nX-Nonce: ([\w-]+)\r\n", head)
        if asked is None or nonce is None:
            return False
        keeps = PAGES[asked[1].decode()].send(connection, nonce[1].decode()) is True
        if not keeps and self._tls is not None:
            # The proper end of TLS, so that a cut is one of HTTP's framing.
            connection.unwrap()  # type: ignore[attr-defined]  # an SSLSocket
        return keeps
