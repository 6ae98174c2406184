"""An HTTP server that answers each request with the nonce it carries, over and over, and remembers what arrived.

Raw sockets and one thread a connection; nothing of our own engine, so that a mistake of it is not made twice.

- ``/N?FRAMING``: *N* bytes of body. FRAMING is ``length``, ``chunked`` or ``close``; ``rude`` is ``length`` followed by a
  close that no ``Connection: close`` announced; ``late`` is ``length`` followed by an unasked-for 408.
- The nonce is the field ``X-Nonce`` of the request; it comes back in the same field and fills the body.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections import Counter
from types import TracebackType
from typing import BinaryIO, Self

__all__ = ["NonceOrigin", "body_of"]

PATIENCE = 10.0
LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate"


def body_of(nonce: str, size: int) -> bytes:
    """Return the body that belongs to *nonce*."""
    unit = f"[{nonce}]".encode()
    return (unit * (size // len(unit) + 1))[:size]


class NonceOrigin:
    """Listens on 127.0.0.1 until the with block is left.

    Attributes:
        port: Where.
        arrived: How often each nonce arrived with its whole head.
        completed: How often each nonce's request arrived to its end.
        mangled: What was no request, or a body other than its nonce says.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.arrived: Counter[str] = Counter()
        self.completed: Counter[str] = Counter()
        self.mangled: list[bytes] = []
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self._stopping = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, name="nonce-origin", daemon=True)

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping = True
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            self._acceptor.join(PATIENCE)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._stopping:
                connection.close()
                return
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            thread = threading.Thread(
                target=self._serve, args=(connection,), name="nonce-connection", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
        accepted = connection
        try:
            connection.settimeout(PATIENCE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection.getpeername()  # wrap_socket would leave its socket unclosed after a reset
                connection = self._tls.wrap_socket(connection, server_side=True)
                with self._lock:
                    self._open.discard(accepted)
                    self._open.add(connection)
            with connection.makefile("rb") as stream:
                while (head := _head(stream)) is not None and self._answer(connection, stream, head):
                    pass
        except (OSError, EOFError):  # the network did what it is here for
            pass
        finally:
            with self._lock:
                self._open -= {accepted, connection}
            connection.close()

    def _answer(self, connection: socket.socket, stream: BinaryIO, head: bytes) -> bool:
        """Answer one request; say whether the connection goes on."""
        asked = re.match(rb"(GET|POST|PUT) /(\d+)\?(\w+) HTTP/1\.1\r\n", head)
        nonce_field = re.search(rb"\r\nX-Nonce: ([\w-]+)\r\n", head)
        if asked is None or nonce_field is None:
            self.mangled.append(head)
            return False
        nonce, size, framing = nonce_field[1].decode(), int(asked[2]), asked[3]
        with self._lock:
            self.arrived[nonce] += 1
        body = _body(stream, head)
        if body != (b"" if asked[1] == b"GET" else body_of(nonce, len(body))):
            self.mangled.append(head + body[:100])
        with self._lock:
            self.completed[nonce] += 1
        payload = body_of(nonce, size)
        start = b"HTTP/1.1 200 OK\r\nX-Nonce: %b\r\n" % nonce.encode()
        if framing == b"chunked":
            pieces = [payload[at : at + 5000] for at in range(0, len(payload), 5000)]
            coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
            connection.sendall(start + b"Transfer-Encoding: chunked\r\n\r\n" + coded)
        elif framing == b"close":
            connection.sendall(start + b"Connection: close\r\n\r\n" + payload)
        else:
            connection.sendall(start + b"Content-Length: %d\r\n\r\n" % size + payload)
        if framing == b"late":
            connection.sendall(LATE)
        if framing in {b"close", b"rude", b"late"} and self._tls is not None:
            connection.unwrap()  # type: ignore[attr-defined]  # an SSLSocket: the proper end of TLS
        return framing in {b"length", b"chunked"}


def _head(stream: BinaryIO) -> bytes | None:
    """Read a request's head; None at the end of the connection."""
    lines = []
    while line := stream.readline(65536):
        lines.append(line)
        if line == b"\r\n":
            return b"".join(lines)
    return None


def _body(stream: BinaryIO, head: bytes) -> bytes:
    if b"\r\nTransfer-Encoding: chunked\r\n" not in head:
        length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
        return _exactly(stream, int(length[1]) if length else 0)
    whole = b""
    while line := stream.readline():
        piece = _exactly(stream, int(line, 16) + 2)
        if piece == b"\r\n":
            return whole
        whole += piece[:-2]
    raise EOFError


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
