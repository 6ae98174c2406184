"""What the transports without a network share: a request's body on its way out, a response's on its way in.

A body is held to what its head announces, as on a wire: one that is shorter than its Content-Length is an
`IncompleteBody` and not a short success.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from client.exceptions import (
    ChunkedEncodingError,
    IncompleteBody,
    ProtocolError,
    StreamConsumedError,
    Timeout,
)
from client.transport.wire import NO_CONNECTION

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from client.transport.wire import Call, Fields, WireRequest

__all__ = ["HEAD_ONLY", "OfflineResponse", "sent_pieces"]

#: Statuses whose answers end with their head (RFC 9110 sections 15.3.5 and 15.4.5).
HEAD_ONLY: Final = frozenset({204, 304})

PHASES: Final = ("queue", "dns", "connect", "tls", "send", "wait", "receive")


def sent_pieces(request: WireRequest, call: Call) -> Iterator[bytes]:
    """Yield the body of *request*, reporting its progress as a connection would.

    Raises:
        WriteTimeout, TotalTimeout: The deadline passed between two pieces.
        UnrewindableBodyError: The body was used up before.
    """
    body = request.body
    if body is None:
        return
    sent = 0
    for piece in (body,) if isinstance(body, bytes) else body.chunks():
        _check(call)
        yield piece
        sent += len(piece)
        if call.on_sent is not None:
            call.on_sent(sent)


class OfflineResponse:
    """A response that came by no connection; see `client.transport.wire.WireResponse`.

    Args:
        status: 200 to 999.
        reason: The reason phrase.
        headers: Fields in order.
        pieces: The body; read piece by piece as it is asked for. None for an answer that has none.
        call: The call that it answers, for its deadline and its stop switch.
        on_close: Called once, when the body is complete, broken or given up.
        trailers: Trailer fields.
    """

    http_version = b"1.1"
    info = NO_CONNECTION
    reused = False

    def __init__(
        self,
        status: int,
        reason: bytes,
        headers: Fields,
        pieces: Iterator[bytes] | None,
        call: Call,
        *,
        on_close: Callable[[], None] | None = None,
        trailers: Fields | None = None,
    ) -> None:
        """Take the answer; nothing of the body is read yet."""
        self.status = status
        self.reason = reason
        self.headers: Sequence[tuple[bytes, bytes]] = headers
        self.timings: dict[str, float] = dict.fromkeys(PHASES, 0.0)
        self._expected = _content_length(headers)
        self._pieces = pieces
        self._call = call
        self._on_close = on_close
        self._trailers = trailers or []
        self._left = memoryview(b"")
        self._received = 0
        self._failure: Exception | None = None
        if pieces is None:
            self._end()

    def read(self, size: int | None = None) -> bytes:
        """Return at most *size* bytes of the body, or all that is left if None; ``b""`` when it is complete.

        Raises:
            IncompleteBody: The body is shorter than its Content-Length.
            ProtocolError: It is longer.
            ReadTimeout, TotalTimeout: The deadline passed.
            StreamConsumedError: The response was closed before.
        """
        if size is not None and size >= 0:
            if not self._left:
                self._left = memoryview(self._next_piece())
            data, self._left = bytes(self._left[:size]), self._left[size:]
            return data
        parts = [bytes(self._left)]
        self._left = memoryview(b"")
        try:
            while piece := self._next_piece():
                parts.append(piece)
        except (ChunkedEncodingError, Timeout) as error:
            error.__dict__["partial"] = b"".join(parts)
            raise
        return b"".join(parts)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill *buffer* from its start; return the count of bytes, 0 when the body is complete.

        Raises:
            IncompleteBody, ProtocolError, ReadTimeout, TotalTimeout, StreamConsumedError: As `read`.
        """
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    @property
    def trailers(self) -> Fields:
        """Trailer fields; empty until the body is complete."""
        return self._trailers if self._pieces is None and self._failure is None else []

    def close(self) -> None:
        """Give up what is left of the body. Idempotent."""
        if self._pieces is not None:
            self._failure = StreamConsumedError("the response was closed before its body was read")
            self._end()

    def has_field(self, name: bytes) -> bool:
        """Say whether a header field of that lower-case name is there."""
        return any(field.lower() == name for field, _ in self.headers)

    def drain(self) -> None:
        """As `close`: nothing is gained by reading on where there is no connection."""
        self.close()

    def detach(self) -> tuple[socket.socket, bytes]:
        """Refuse: there is no socket to hand over.

        Raises:
            ProtocolError: Always.
        """
        raise ProtocolError("this response came by no connection, so there is no socket to hand over")

    def _next_piece(self) -> bytes:
        """Return the next piece that is not empty; ``b""`` at the end of the body."""
        if self._failure is not None:
            raise self._failure
        if self._pieces is None:
            return b""
        try:
            _check(self._call)
            piece = next(filter(None, self._pieces), b"")
            if not isinstance(piece, (bytes, bytearray, memoryview)):
                raise TypeError(f"the answer's body yields {type(piece).__name__}, expected bytes")
            self._received += len(piece)
            self._hold_to_length(at_end=not piece)
        except Exception as error:
            self._failure = error
            self._end()
            raise
        if not piece:
            self._end()
        return piece

    def _hold_to_length(self, *, at_end: bool) -> None:
        received, expected = self._received, self._expected
        if expected is None:
            return
        if received > expected:
            raise ProtocolError(f"the body is longer than its Content-Length of {expected} bytes")
        if at_end and received < expected:
            message = f"the body ended after {received} bytes, expected {expected} bytes"
            raise IncompleteBody(message, received=received, expected=expected)

    def _end(self) -> None:
        self._pieces = None
        if self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            on_close()


def _content_length(headers: Fields) -> int | None:
    values = {value for name, value in headers if name.lower() == b"content-length"}
    if not values:
        return None
    if len(values) > 1 or not all(map(bytes.isdigit, values)):
        raise ProtocolError(f"Content-Length is {sorted(values)!r}, expected one number")
    return int(values.pop())


def _check(call: Call) -> None:
    """Raise if the call was cancelled, or its total deadline has passed."""
    if call.cancel is not None:
        call.cancel.check()
    call.deadline.remaining("read", "read")
