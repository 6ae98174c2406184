"""From events to bytes: one writer for each kind of body. Heads are laid out by their events.

A writer looks at nothing of a `Data` but the ``len`` of its ``data``, and hands that very object on, so that
it may stand for a file (`Connection.send_with_data_passthrough`). RFC 9112 sections 6 and 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from .errors import LocalProtocolError
from .events import InformationalResponse, Response
from .framing import CHUNKED, UNTIL_CLOSE, comma_list
from .headers import replace_field, without_fields

if TYPE_CHECKING:
    from collections.abc import Sized

    from .headers import BytesLike, Headers

__all__ = [
    "NO_BODY",
    "BodyWriter",
    "body_writer",
    "check_length_in_bytes",
    "frame_informational",
    "frame_response",
]

FRAMING_FIELDS: Final = frozenset((b"content-length", b"transfer-encoding"))


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
        if trailers.lines:
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
        if trailers.lines:
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


def frame_response(
    response: Response, request_method: bytes | None, their_http_version: bytes | None, must_close: bool
) -> Response:
    """Return *response* with the framing fields that its client needs, and ``Connection: close`` where it must stand.

    The caller may set Content-Length; otherwise the body goes out chunked, or to a client that speaks
    HTTP/1.0 or never sent a legible request, until the close. A response to HEAD gets the fields that GET
    would get.
    """
    headers = response._headers
    control = headers.control
    if response._status_code == 204 or (request_method == b"CONNECT" and response._status_code < 300):
        # RFC 9110 sections 8.6 and 9.3.6, RFC 9112 section 6.1: neither field may stand here.
        headers = without_fields(headers, FRAMING_FIELDS)
    elif response._status_code != 304 and (
        b"transfer-encoding" in control or b"content-length" not in control
    ):
        headers = without_fields(headers, {b"content-length"})
        if their_http_version is None or their_http_version < b"1.1":
            headers = without_fields(headers, FRAMING_FIELDS)
            must_close = must_close or request_method != b"HEAD"
        elif b"transfer-encoding" not in control:
            headers = replace_field(headers, b"Transfer-Encoding", [b"chunked"])
    if must_close:
        options = {*comma_list(control, b"connection"), b"close"} - {b"keep-alive"}
        headers = replace_field(headers, b"Connection", sorted(options))
    if headers is response._headers:
        return response
    return Response(
        status_code=response.status_code,
        headers=headers,
        http_version=response.http_version,
        reason=response.reason,
    )


def frame_informational(response: InformationalResponse) -> InformationalResponse:
    """Return *response* without fields that frame a body: it has none (RFC 9110 section 8.6, RFC 9112 section 6.1)."""
    headers = without_fields(response.headers, FRAMING_FIELDS)
    if headers is response.headers:
        return response
    return InformationalResponse(status_code=response.status_code, headers=headers, reason=response.reason)


def check_length_in_bytes(data: Sized) -> None:
    """Refuse a buffer of wide items, whose ``len`` is not the number of bytes that it would send.

    Raises:
        LocalProtocolError: A memoryview, an array of `array` or `ctypes`, or the like, with items of more than
            one byte.
    """
    items = len(data)
    try:
        size = memoryview(data).nbytes  # type: ignore[arg-type]  # what is no buffer is what we want to know
    except TypeError:  # it stands for a file, and its `len` is all that there is to know
        return
    if size != items:
        raise LocalProtocolError(
            f"{type(data).__name__} of {items} items that are not bytes: cast it to bytes first"
        )
