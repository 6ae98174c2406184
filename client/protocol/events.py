"""What happens in an HTTP/1.1 conversation, as objects: taken by `Connection.send`, returned by `next_event`.

A caller's event is normalised to bytes, laid out and validated by its constructor; one that was read off the
wire is not validated twice. What is sent is what was validated: fields are read-only.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from .errors import LocalProtocolError, excerpt
from .framing import FORBIDDEN_TRAILERS, check_framing
from .grammar import (
    HOST,
    REASON,
    REQUEST_HEAD_TO_SEND,
    RESPONSE_HEAD_TO_SEND,
    TARGET,
    TOKEN,
    VERSION,
)
from .headers import (
    NO_HEADERS,
    BytesLike,
    HeaderFields,
    Headers,
    Text,
    field_lines,
    headers_from_caller,
    illegal_value,
    to_bytes,
    trailers_from_caller,
    without_fields,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ConnectionClosed",
    "Data",
    "EndOfMessage",
    "Event",
    "InformationalResponse",
    "Request",
    "Response",
]


CURRENT_VERSION: Final = b"1.1"

#: Values of Host that were found valid, a bounded number of them: a program talks to the same few again and again.
_hosts: Final[set[bytes]] = set()
MAX_HOSTS: Final = 256
MAX_HOST_BYTES: Final = 255


class Event:
    """Base class of all events. Two are equal if they are of one class and their fields are equal; none has a hash."""

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]] = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, field) == getattr(other, field) for field in self._fields)

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # h11's events have none either

    def __repr__(self) -> str:
        fields = ", ".join(f"{field}={getattr(self, field)!r}" for field in self._fields)
        return f"{type(self).__name__}({fields})"


def _read_only(name: str) -> Any:
    """Return an attribute that reads the slot of that name with an underscore before it, and cannot be assigned to.

    What was validated is what is sent, and what was sent is what counts: a GET that says HEAD by the time its response
    arrives would leave that response's body to the next request.
    """

    def refuse(event: Event, _value: object = None) -> None:
        raise AttributeError(f"{type(event).__name__}.{name} is read-only: make a new event")

    return property(attrgetter(f"_{name}"), refuse, refuse)


@final
class Request(Event):
    """The beginning of a request.

    Args:
        method: A token such as ``b"GET"``; case matters.
        target: The request target, visible ASCII, such as ``b"/index.html?q=1"``.
        headers: (name, value) pairs in any iterable; exactly one Host, which only HTTP/1.0 may lack.
        http_version: ``b"1.1"``; any other is refused by `Connection.send`.

    All text may be ASCII str or bytes-like and is kept as bytes.

    Raises:
        LocalProtocolError: A part violates the grammar; no Host, two, or one that is no host (RFC 9112
            section 3.2); Content-Length that is no number or occurs twice; Transfer-Encoding other than
            chunked.
        TypeError: Text that is neither str nor bytes-like.
    """

    __slots__ = ("_head", "_headers", "_http_version", "_method", "_target")
    _fields = ("method", "headers", "target", "http_version")

    method: bytes = _read_only("method")
    target: bytes = _read_only("target")
    headers: Headers = _read_only("headers")
    http_version: bytes = _read_only("http_version")

    def __init__(
        self, *, method: Text, headers: HeaderFields, target: Text, http_version: Text = CURRENT_VERSION
    ) -> None:
        method = method if type(method) is bytes else to_bytes(method)
        target = target if type(target) is bytes else to_bytes(target)
        headers, count = headers_from_caller(headers)
        control = headers.control
        if http_version is not CURRENT_VERSION:
            http_version = _version(http_version)
        if control.get(b"host") not in _hosts:
            check_host(control, http_version)
        if len(control) > 1 or b"host" not in control:
            check_framing(control)
        head = b"".join((method, b" ", target, b" HTTP/1.1", headers.lines, b"\r\n\r\n"))
        if REQUEST_HEAD_TO_SEND.fullmatch(head) is None or head.count(b"\n") != count + 2:  # see `is_section`
            raise _illegal_request(method, target, headers)
        if not headers.lines.startswith(b"\r\nHost:"):  # not before the lines were found to be legal
            head = b"%b %b HTTP/1.1%b\r\n\r\n" % (method, target, _host_first(headers))
        self._method = method
        self._target = target
        self._headers = headers
        self._http_version = http_version
        self._head = head

    def encode(self) -> bytes:
        """Return the head as it goes on the wire.

        Raises:
            LocalProtocolError: Its version is not 1.1.
        """
        if self._http_version != b"1.1":
            raise LocalProtocolError("only HTTP/1.1 is sent")
        try:
            return self._head
        except AttributeError:  # it came off the wire, and was never validated as something to send
            return Request(method=self.method, target=self.target, headers=self.headers).encode()


class _ResponseBase(Event):
    """What the two kinds of response share."""

    __slots__ = ("_head", "_headers", "_http_version", "_reason", "_status_code")
    _fields = ("headers", "http_version", "reason", "status_code")
    _codes: ClassVar[range]

    status_code: int = _read_only("status_code")
    reason: bytes = _read_only("reason")
    headers: Headers = _read_only("headers")
    http_version: bytes = _read_only("http_version")

    def __init__(
        self,
        *,
        headers: HeaderFields,
        status_code: int,
        http_version: Text = CURRENT_VERSION,
        reason: Text = b"",
    ) -> None:
        if type(status_code) is not int:
            if not isinstance(status_code, int):
                raise LocalProtocolError("status code must be integer")
            status_code = int(status_code)  # http.HTTPStatus is an int, but does not print as one
        if status_code not in self._codes:
            raise LocalProtocolError(
                f"{type(self).__name__} status_code should be in range"
                f" [{self._codes.start}, {self._codes.stop}), not {status_code}"
            )
        reason = reason if type(reason) is bytes else to_bytes(reason)
        headers, count = headers_from_caller(headers)
        check_framing(headers.control)
        head = b"HTTP/1.1 %d %b%b\r\n\r\n" % (status_code, reason, headers.lines)
        if (
            RESPONSE_HEAD_TO_SEND.fullmatch(head) is None or head.count(b"\n") != count + 2
        ):  # see `is_section`
            raise _illegal_response(reason, headers)
        self._status_code = status_code
        self._reason = reason
        self._headers = headers
        self._http_version = http_version if http_version is CURRENT_VERSION else _version(http_version)
        self._head = head

    def encode(self) -> bytes:
        """Return the head as it goes on the wire.

        Raises:
            LocalProtocolError: Its version is not 1.1.
        """
        if self._http_version != b"1.1":
            raise LocalProtocolError("only HTTP/1.1 is sent")
        try:
            return self._head
        except AttributeError:  # it came off the wire, and was never validated as something to send
            return type(self)(status_code=self.status_code, headers=self.headers, reason=self.reason).encode()


@final
class InformationalResponse(_ResponseBase):
    """An interim response; any number of them precede the `Response`.

    Args:
        status_code: 100 to 199.
        headers: (name, value) pairs in any iterable.
        http_version: ``b"1.1"``; any other is refused by `Connection.send`.
        reason: The reason phrase, empty by default.

    Raises:
        LocalProtocolError: A part violates the grammar or the range.
        TypeError: Text that is neither str nor bytes-like.
    """

    __slots__ = ()
    _codes = range(100, 200)


@final
class Response(_ResponseBase):
    """The beginning of the final response.

    Args:
        status_code: 200 to 999.
        headers: (name, value) pairs in any iterable.
        http_version: ``b"1.1"``; any other is refused by `Connection.send`.
        reason: The reason phrase, empty by default.

    Raises:
        LocalProtocolError: A part violates the grammar or the range; Content-Length that is no number or
            occurs twice; Transfer-Encoding other than chunked.
        TypeError: Text that is neither str nor bytes-like.
    """

    __slots__ = ()
    _codes = range(200, 1000)


@final
class Data(Event):
    """A part of a message body.

    Attributes:
        data: Received: bytes, at least one. To send: bytes-like, or with
            `Connection.send_with_data_passthrough` any object whose ``len`` is the number of bytes that the
            caller will write in its place.
        chunk_start: Received only: these bytes are the first of a chunk.
        chunk_end: Received only: these bytes are the last of a chunk. Intermediaries cut chunks anew: no
            meaning may hang on either flag. With ``coalesce_chunks`` both are always False.
    """

    __slots__ = ("chunk_end", "chunk_start", "data")
    _fields = ("data", "chunk_start", "chunk_end")

    def __init__(self, data: BytesLike, chunk_start: bool = False, chunk_end: bool = False) -> None:
        self.data: BytesLike = data
        self.chunk_start: bool = chunk_start
        self.chunk_end: bool = chunk_end


@final
class EndOfMessage(Event):
    """The end of a message.

    Args:
        headers: Trailer fields, only with ``Transfer-Encoding: chunked``. Received ones lack the fields that
            RFC 9110 section 6.5.1 forbids there.

    Raises:
        LocalProtocolError: A part violates the grammar, or a field is forbidden in trailers.
        TypeError: Text that is neither str nor bytes-like.
    """

    __slots__ = ("_headers",)
    _fields = ("headers",)

    headers: Headers = _read_only("headers")

    def __init__(self, *, headers: HeaderFields | None = None) -> None:
        if headers is None:
            self._headers = NO_HEADERS
            return
        trailers = trailers_from_caller(headers)
        for name, _ in trailers:
            if name in FORBIDDEN_TRAILERS:
                raise LocalProtocolError(f"{excerpt(name)} is forbidden in trailers")
        self._headers = trailers


@final
class ConnectionClosed(Event):
    """The sender closed its half of the connection; it may still receive."""

    __slots__ = ()


#: The end of every received message without trailers.
PLAIN_END: Final = EndOfMessage()


def request_from_wire(method: bytes, target: bytes, headers: Headers, http_version: bytes) -> Request:
    """Make a `Request` of parts that the grammar has passed.

    Raises:
        LocalProtocolError: No Host in HTTP/1.1, two, or one that is no host.
    """
    if headers.control.get(b"host") not in _hosts:
        check_host(headers.control, http_version)
    event = Request.__new__(Request)
    event._method = method
    event._target = target
    event._headers = headers
    event._http_version = http_version
    return event


def response_from_wire(
    status_code: int, reason: bytes, headers: Headers, http_version: bytes
) -> Response | InformationalResponse:
    """Make a `Response`, or below 200 an `InformationalResponse`, of parts that the grammar has passed."""
    kind: type[Response | InformationalResponse] = Response if status_code >= 200 else InformationalResponse
    event = kind.__new__(kind)
    event._status_code = status_code
    event._reason = reason
    event._headers = headers
    event._http_version = http_version
    return event


def end_of_message_from_wire(trailers: Headers) -> EndOfMessage:
    """Make an `EndOfMessage` of *trailers* without those that RFC 9110 section 6.5.1 forbids."""
    event = EndOfMessage.__new__(EndOfMessage)
    event._headers = without_fields(trailers, FORBIDDEN_TRAILERS)
    return event


def check_host(control: Mapping[bytes, bytes], http_version: bytes) -> None:
    """Refuse a request head without exactly one valid Host. RFC 9112 section 3.2.

    Raises:
        LocalProtocolError: No Host in HTTP/1.1, two, or one that is no host.
    """
    host = control.get(b"host")
    if host is None:
        if http_version >= b"1.1":
            raise LocalProtocolError("Missing mandatory Host: header")
    elif HOST.fullmatch(host) is not None:
        if len(_hosts) < MAX_HOSTS and len(host) <= MAX_HOST_BYTES:
            _hosts.add(host)
    else:
        raise LocalProtocolError(f"illegal Host {excerpt(host)}: expected one host, and its port if any")


def _host_first(headers: Headers) -> bytes:
    """Lay the fields out with Host first, as RFC 9110 section 7.2 wants it."""
    return field_lines(sorted(headers.raw_items(), key=lambda item: item[0].lower() != b"host"))


def _illegal_request(method: bytes, target: bytes, headers: Headers) -> LocalProtocolError:
    if TOKEN.fullmatch(method) is None:
        return LocalProtocolError(f"illegal method {excerpt(method)}: expected one or more token characters")
    if TARGET.fullmatch(target) is None:
        return LocalProtocolError(f"illegal target {excerpt(target)}: expected visible ASCII, no blanks")
    return illegal_value(headers)


def _illegal_response(reason: bytes, headers: Headers) -> LocalProtocolError:
    if REASON.fullmatch(reason) is None:
        return LocalProtocolError(f"illegal reason {excerpt(reason)}: no control characters")
    return illegal_value(headers)


def _version(http_version: Text) -> bytes:
    if type(http_version) is bytes and http_version == b"1.1":
        return http_version
    version = to_bytes(http_version)
    if VERSION.fullmatch(version) is None:
        raise LocalProtocolError(f"illegal HTTP version {excerpt(version)}: expected a digit, a dot, a digit")
    return version
