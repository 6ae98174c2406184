"""A `WireResponse` made of bytes that a test wrote: each read returns one of the pieces, then the end or an error."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence

from client.call_options import CallOptions
from client.defaults import quick_request
from client.exceptions import ChunkedEncodingError, StreamConsumedError, Timeout
from client.request import PreparedRequest
from client.response import Response
from client.timeouts import DEFAULT_TIMEOUTS
from client.transport.tls import TLSSettings
from client.transport.wire import NO_CONNECTION
from client.url import parse_url


class WireBytes:
    """The seam's contract over pieces in memory, so that a body can be cut anywhere and end in any way.

    Args:
        pieces: What the reads return; one longer than the size asked for is returned in parts.
        headers: Fields of the head.
        status: The status.
        error: Raised after the last piece instead of the body's end.
    """

    def __init__(
        self,
        pieces: bytes | Iterable[bytes] = b"",
        headers: Sequence[tuple[bytes, bytes]] = (),
        *,
        status: int = 200,
        reason: bytes = b"OK",
        error: Exception | None = None,
        trailers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self._pieces = iter([pieces] if isinstance(pieces, bytes) else pieces)
        self._piece = b""
        self._error = error
        self._trailers = trailers
        self.complete = False
        self.closed = False
        self.reads: list[int | None] = []
        self.status = status
        self.reason = reason
        self.http_version = b"1.1"
        self.headers = headers
        self.info = NO_CONNECTION
        self.reused = False
        self.timings = {"queue": 0.0, "wait": 0.25}

    def read(self, size: int | None = None) -> bytes:
        self.reads.append(size)
        if size is not None:
            return self._some(size)
        parts = []
        try:
            while part := self._some(1 << 30):
                parts.append(part)
        except (ChunkedEncodingError, Timeout) as error:
            error.__dict__["partial"] = b"".join(parts)
            raise
        return b"".join(parts)

    def _some(self, size: int) -> bytes:
        if self.closed and not self.complete:
            raise StreamConsumedError("the response was closed before its body was read")
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                if self._error is not None:
                    raise self._error
                self.complete = True
                return b""
            self._piece = piece
        data, self._piece = self._piece[:size], self._piece[size:]
        return data

    def readinto(self, buffer: bytearray | memoryview) -> int:
        view = memoryview(buffer)
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    @property
    def trailers(self) -> list[tuple[bytes, bytes]]:
        return list(self._trailers) if self.complete else []

    def close(self) -> None:
        self.closed = True

    def has_field(self, name: bytes) -> bool:
        return any(field.lower() == name for field, _ in self.headers)

    def drain(self) -> None:
        self.close()

    def detach(self) -> tuple[socket.socket, bytes]:
        raise NotImplementedError("nothing of this module's tests switches protocols")


def request_to(url: str = "http://user:secret@example.test/path?token=1#part") -> PreparedRequest:
    """Return a GET whose URL has a password and a query, neither of which may show up in an error."""
    return quick_request("GET", parse_url(url), [])


def response_of(
    pieces: bytes | Iterable[bytes] = b"",
    headers: Sequence[tuple[bytes, bytes]] = (),
    *,
    wire: WireBytes | None = None,
    max_body: int | None = None,
    max_ratio: float | None = None,
    progress: Callable[[int, int | None], object] | None = None,
    **facts: object,
) -> Response:
    """Return the response to `request_to` whose body is *pieces*; *facts* as for `WireBytes`."""
    wire = wire or WireBytes(pieces, headers, **facts)  # type: ignore[arg-type]  # passed on as they are
    options = CallOptions(
        timeouts=DEFAULT_TIMEOUTS, tls=TLSSettings(), max_body=max_body, max_ratio=max_ratio
    )
    return Response._from_wire(wire, request_to(), options, started=0.0, progress=progress)


def cut(data: bytes, *sizes: int) -> list[bytes]:
    """Cut *data* into pieces of these sizes, the last one taking the rest; none is empty."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in [*pieces, data] if piece]
