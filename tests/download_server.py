"""A server of one file that honours ranges, and breaks them in whatever way a test says, request by request.

Raw sockets, never our own engine: a bug shared by client and server would be invisible.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

__all__ = ["Asked", "RangeServer", "Reply", "file_of"]

DATE = "Wed, 01 Jul 2026 12:00:00 GMT"


class Asked(NamedTuple):
    """One request: its number from 0 on, lower-case header fields, and the range in it."""

    number: int
    target: str
    headers: dict[str, str]
    first: int | None
    last: int | None


class Reply(NamedTuple):
    """What is sent: of *body*, only the first *cut* bytes, and then the connection breaks; once *until* is set, if given."""

    status: str
    headers: dict[str, str]
    body: bytes
    cut: int | None = None
    reset: bool = False
    until: threading.Event | None = None


def file_of(size: int, seed: int = 1) -> bytes:
    """Return *size* bytes in which no two blocks are alike, another file for each *seed*."""
    period = bytes((number * number * 31 + number * seed + (number >> 7)) & 0xFF for number in range(65_521))
    return (period * (size // len(period) + 1))[:size]


class RangeServer:
    """Serves `content` at every path; see the module's docstring.

    Attributes:
        content, etag: May be changed at any time: then it is another file.
        fault: Called with each request and the honest reply; returns the reply to send.
        asked: Every request so far.
    """

    def __init__(self, content: bytes, fault: Callable[[Asked, Reply], Reply] | None = None) -> None:
        self.content = content
        self.etag = '"one"'
        self.fault = fault
        self.asked: list[Asked] = []
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/file"

    @property
    def ranges(self) -> list[tuple[int | None, int | None]]:
        return [(asked.first, asked.last) for asked in self.asked]

    def honest(self, asked: Asked) -> Reply:
        """Return what an origin server sends (RFC 9110 sections 13.1.5 and 14.2)."""
        headers = {"ETag": self.etag, "Date": DATE, "Accept-Ranges": "bytes"}
        size = len(self.content)
        if asked.first is None or asked.headers.get("if-range", self.etag) != self.etag:
            return Reply("200 OK", headers, self.content)
        if asked.first >= size:
            return Reply("416 Range Not Satisfiable", {**headers, "Content-Range": f"bytes */{size}"}, b"")
        stop = size if asked.last is None else min(size, asked.last + 1)
        headers["Content-Range"] = f"bytes {asked.first}-{stop - 1}/{size}"
        return Reply("206 Partial Content", headers, self.content[asked.first : stop])

    def __enter__(self) -> Self:
        self._acceptor = threading.Thread(target=self._accept, name="range-server", daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(10)
        self._listener.close()
        with self._lock:
            for sock in self._sockets:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,), name="range-connection", daemon=True)
            with self._lock:
                self._sockets.append(sock)
                self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with sock.makefile("rb") as lines:
                while (asked := self._read(lines)) is not None and self._send(sock, asked):
                    pass
        except OSError:
            pass
        finally:
            with self._lock:
                self._sockets.remove(sock)
                sock.close()

    def _read(self, lines: object) -> Asked | None:
        head = []
        while (line := lines.readline().decode()) != "\r\n":  # type: ignore[attr-defined]  # a binary file
            if not line.endswith("\n"):
                return None  # the end, perhaps in the middle of a head
            head.append(line)
        headers = {}
        for field in head[1:]:
            name, _, value = field.partition(":")
            headers[name.lower()] = value.strip()
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
        first = None if found is None else int(found[1])
        last = None if found is None or not found[2] else int(found[2])
        with self._lock:
            asked = Asked(len(self.asked), head[0].split()[1], headers, first, last)
            self.asked.append(asked)
        return asked

    def _send(self, sock: socket.socket, asked: Asked) -> bool:
        reply = self.honest(asked)
        if self.fault is not None:
            reply = self.fault(asked, reply)
        headers = {"Content-Length": str(len(reply.body)), **reply.headers}  # an empty value leaves it out
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
        head = f"HTTP/1.1 {reply.status}\r\n{fields}"
        sock.sendall(head.encode("latin-1") + b"\r\n" + reply.body[: reply.cut])
        if reply.until is not None:
            reply.until.wait(10)
        if reply.reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return reply.cut is None
