"""From events to bytes: one writer for each kind of body. Heads are laid out by their events.

A writer looks at nothing of a `Data` but the ``len`` of its ``data``, and hands that very object on, so that it may stand
for a file (`Connection.send_with_data_passthrough`). RFC 9112 sections 6 and 7.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Final, TypeAlias

from .errors import LocalProtocolError
from .framing import CHUNKED, UNTIL_CLOSE
from .headers import BytesLike, Headers

__all__ = [
    "NO_BODY",
    "BodyWriter",
    "body_writer",
    "check_length_in_bytes",
]


class LengthWriter:
    """Writes a body of a known number of bytes."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    def write(self, data: BytesLike) -> list[BytesLike]:
        size = len(data)
        if size > self._left:
            raise LocalProtocolError("Too much data for declared Content-Length")
        self._left -= size
        return [data]

    def write_end(self, trailers: Headers) -> list[BytesLike]:
        if self._left != 0:
            raise LocalProtocolError("Too little data for declared Content-Length")
        if trailers:
            raise LocalProtocolError("Content-Length and trailers don't mix")
        return []


class ChunkedWriter:
    """Writes a body in chunks, one for each `Data`."""

    __slots__ = ()

    def write(self, data: BytesLike) -> list[BytesLike]:
        size = len(data)
        # A chunk of no bytes would end the body.
        return [b"%x\r\n" % size, data, b"\r\n"] if size else []

    def write_end(self, trailers: Headers) -> list[BytesLike]:
        return [b"0%b\r\n\r\n" % trailers.lines]


class UntilCloseWriter:
    """Writes a body that only the end of the connection ends."""

    __slots__ = ()

    def write(self, data: BytesLike) -> list[BytesLike]:
        return [data]

    def write_end(self, trailers: Headers) -> list[BytesLike]:
        if trailers:
            raise LocalProtocolError("can't send trailers to an HTTP/1.0 client")
        return []


BodyWriter: TypeAlias = LengthWriter | ChunkedWriter | UntilCloseWriter

#: What has no left to count down can serve every message.
NO_BODY: Final = LengthWriter(0)
CHUNKED_BODY: Final = ChunkedWriter()
BODY_UNTIL_CLOSE: Final = UntilCloseWriter()


def body_writer(length: int) -> BodyWriter:
    """Return the writer for a body of *length*, as `framing` gives it."""
    if length == 0:
        return NO_BODY
    if length == CHUNKED:
        return CHUNKED_BODY
    if length == UNTIL_CLOSE:
        return BODY_UNTIL_CLOSE
    return LengthWriter(length)


def check_length_in_bytes(data: Sized) -> None:
    """Refuse a buffer of wide items, whose ``len`` is not the number of bytes that it would send.

    Raises:
        LocalProtocolError: A memoryview, array or the like with items of more than one byte.
    """
    items = len(data)
    if getattr(data, "nbytes", items * getattr(data, "itemsize", 1)) != items:
        raise LocalProtocolError(
            f"{type(data).__name__} of {items} items that are not bytes: cast it to bytes first"
        )
