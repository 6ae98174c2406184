"""From events to bytes: the heads, and one writer for each kind of body.

A head is laid out by one join of parts that their events have validated. Body writers look at nothing of a `Data` but the ``len``
of its ``data``, and hand that very object on, so that it may stand for a file (`Connection.send_with_data_passthrough`).
RFC 9112 sections 3 to 7.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Final, TypeAlias

from .errors import LocalProtocolError
from .events import InformationalResponse, Request, Response
from .framing import CHUNKED, UNTIL_CLOSE
from .headers import BytesLike, Headers, encode_fields

__all__ = [
    "NO_BODY",
    "BodyWriter",
    "body_writer",
    "check_length_in_bytes",
    "write_request",
    "write_response",
]


def write_request(request: Request) -> bytes:
    """Return the head of *request*.

    Raises:
        LocalProtocolError: Its version is not 1.1.
    """
    if request.http_version != b"1.1":
        raise LocalProtocolError("only HTTP/1.1 is sent")
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (request.method, request.target, _field_lines(request.headers))


def write_response(response: Response | InformationalResponse) -> bytes:
    """Return the head of *response*.

    Raises:
        LocalProtocolError: Its version is not 1.1.
    """
    if response.http_version != b"1.1":
        raise LocalProtocolError("only HTTP/1.1 is sent")
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (
        response.status_code,
        response.reason,
        _field_lines(response.headers),
    )


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
        return [b"0\r\n%b\r\n" % _field_lines(trailers)]


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


def _field_lines(headers: Headers) -> bytes:
    """Return the field lines, Host first, as RFC 9110 section 7.2 wants it."""
    if b"host" in headers.control and headers.first_name() != b"host":
        return encode_fields(sorted(headers.raw_items(), key=lambda item: item[0].lower() != b"host"))
    return encode_fields(headers.raw_items()) if headers.lines is None else headers.lines
