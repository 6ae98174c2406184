"""Every error this library raises, as one tree.

The law of the room: code decides by class and by field, never by text.  Names are those of requests;
each class also inherits the builtin that a caller would expect, so `except TimeoutError` and
`except ValueError` work.  No socket, ssl, zlib or engine error leaves the library (it may be the
``__cause__``), and no message shows a credential or a query string.

    RequestException(OSError)
    |- HTTPError                                  a 4xx or 5xx answer, raised by raise_for_status()
    |- TooManyRedirects  RedirectError            the redirect cannot or must not be followed
    |- RetryError                                 all attempts are used up
    |- InvalidRequest(ValueError)                 refused before a byte was sent
    |  |- InvalidURL  MissingSchema  InvalidSchema  InvalidProxyURL  URLRequired
    |  `- InvalidHeader  InvalidMethod  InvalidTimeout  InvalidBody  UnrewindableBodyError
    |- ConnectionError(builtins.ConnectionError)  .reused .bytes_sent .response_started
    |  |- ConnectError                            no connection came about
    |  |  |- NameResolutionError  AddressNotAllowed
    |  |  |- ProxyError  SSLError
    |  |  `- ConnectTimeout
    |  |- RemoteDisconnected(ConnectionResetError)  the peer closed before it answered
    |  |- StaleConnectionError                    ... on a reused connection, and resending is not safe
    |  |- ProtocolError                           the peer broke HTTP/1.1
    |  `- SessionClosed  ForkError  WorkerLost(RuntimeError)
    |- Timeout(builtins.TimeoutError)             .phase .seconds
    |  `- ConnectTimeout  WriteTimeout  ReadTimeout  PoolTimeout  TotalTimeout
    |- ChunkedEncodingError                       the body's framing is broken; .partial
    |  `- IncompleteBody(EOFError)                ... or ended early; .received .expected
    |- ContentDecodingError(ValueError)           a content coding is broken or cut short; .partial
    |- BodyTooLarge(ValueError)                   max_body= or max_ratio= was passed; .limit
    |- DownloadError                              no file came about of what the server sent
    |  `- ChecksumMismatch(ValueError)            ... its SHA-256 is another one
    |- StreamConsumedError(TypeError, RuntimeError)  the body was streamed and is gone
    `- InvalidJSONError  JSONDecodeError(json.JSONDecodeError)
"""

from __future__ import annotations

import builtins
from json import JSONDecodeError as _BuiltinJSONDecodeError
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from client.request import PreparedRequest, Request
    from client.response import Response

__all__ = [
    "AddressNotAllowed",
    "BodyTooLarge",
    "ChecksumMismatch",
    "ChunkedEncodingError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionError",
    "ContentDecodingError",
    "DownloadError",
    "FileModeWarning",
    "ForkError",
    "HTTPError",
    "IncompleteBody",
    "InvalidBody",
    "InvalidHeader",
    "InvalidJSONError",
    "InvalidMethod",
    "InvalidProxyURL",
    "InvalidRequest",
    "InvalidSchema",
    "InvalidTimeout",
    "InvalidURL",
    "JSONDecodeError",
    "MissingSchema",
    "NameResolutionError",
    "PoolTimeout",
    "ProtocolError",
    "ProxyError",
    "ReadTimeout",
    "RedirectError",
    "RemoteDisconnected",
    "RequestException",
    "RequestsDependencyWarning",
    "RequestsWarning",
    "RetryError",
    "SSLError",
    "SessionClosed",
    "StaleConnectionError",
    "StreamConsumedError",
    "Timeout",
    "TooManyRedirects",
    "TotalTimeout",
    "URLRequired",
    "UnrewindableBodyError",
    "WorkerLost",
    "WriteTimeout",
]


class RequestException(OSError):
    """The root of the tree.

    Attributes:
        request: The `PreparedRequest` (or `Request`) of the call, or None where it never came to one.
        response: The `Response` that the error is about, or None.
        attempts: One entry for each earlier try of the same call, oldest first.

    The fields travel with the exception through pickle.
    """

    request: Request | PreparedRequest | None = None
    response: Response | None = None
    attempts: tuple[Any, ...] = ()

    def __init__(self, *args: object, **fields: Any) -> None:
        """Store *args* as every exception does, and each keyword as an attribute.

        Args:
            args: Usually one str, the message.
            fields: ``request``, ``response`` and what the subclass documents. Where only a response is
                given, ``request`` is taken from it (requests does the same).
        """
        super().__init__(*args)
        self.__dict__.update(fields)
        if self.request is None and self.response is not None:
            self.request = getattr(self.response, "request", None)


# -- the answer arrived, and is not what was hoped for ------------------------------------------------------


class HTTPError(RequestException):
    """A 4xx or 5xx answer; raised by `Response.raise_for_status`, the answer is ``response``."""

    response: Response


class TooManyRedirects(RequestException):
    """More hops than ``max_redirects`` (default 30); ``response`` is the last one, with its history."""


class RedirectError(RequestException):
    """A redirect that cannot be followed: a broken or forbidden target; ``response`` is attached."""


class RetryError(RequestException):
    """The attempts that `Retry` allows are used up; ``attempts`` tells what happened in each."""


# -- refused before a byte was sent -----------------------------------------------------------------------


class InvalidRequest(RequestException, ValueError):
    """The arguments do not make a request; nothing was sent."""


class InvalidURL(InvalidRequest):
    """The URL breaks RFC 3986, or hides a host where another would be read."""


class URLRequired(InvalidRequest):
    """No URL was given."""


class MissingSchema(InvalidRequest):
    """The URL lacks its scheme (``http://`` or ``https://``)."""


class InvalidSchema(InvalidRequest):
    """The URL's scheme is none that this session can reach."""


class InvalidProxyURL(InvalidURL):
    """A proxy's URL is broken or of an unknown scheme."""


class InvalidHeader(InvalidRequest):
    """A header name is no token, or a value holds CR, LF, NUL or another control (RFC 9110 section 5)."""


class InvalidMethod(InvalidRequest):
    """The method is no token (RFC 9110 section 9.1)."""


class InvalidTimeout(InvalidRequest):
    """A timeout is not a positive, finite number of seconds."""


class InvalidBody(InvalidRequest):
    """A body argument of a type or length that cannot be sent as announced."""


class UnrewindableBodyError(InvalidRequest):
    """The body was used up by the first attempt and cannot be produced again.

    A redirect (307, 308) or a retry needs the body once more. Pass bytes, a seekable file, or a callable
    that returns a fresh body.
    """


# -- no usable connection -----------------------------------------------------------------------------------


class ConnectionError(RequestException, builtins.ConnectionError):
    """The exchange broke on the wire.

    Attributes:
        reused: True if the connection had served an earlier request.
        bytes_sent: How many bytes of this request the kernel took.
        response_started: True once a byte of the answer arrived.
    """

    reused: bool = False
    bytes_sent: int = 0
    response_started: bool = False


class ConnectError(ConnectionError):
    """No connection came about: refused, unreachable, reset during the handshake.

    Nothing was sent, unless it is an `SSLError` with ``bytes_sent`` or ``response_started``.
    """


class NameResolutionError(ConnectError):
    """The host's name has no address."""


class AddressNotAllowed(ConnectError):
    """`address_filter` refused the address that the host's name led to."""


class ProxyError(ConnectError):
    """The proxy could not be reached, or refused to connect us.

    Attributes:
        status: Why it did not connect us to the origin: the status of its answer to CONNECT, or the code of its SOCKS
            reply. None if it did not come to that.
    """

    status: int | None = None


class SSLError(ConnectError):
    """The TLS handshake failed or the certificate is not trusted for this host; or TLS failed later on.

    A server may refuse a client's certificate once it has the request, and anybody on the path can break a record.
    Then ``bytes_sent`` and ``response_started`` tell how far it had come, and ``partial`` has what a non-streamed read
    had got.
    """

    partial: bytes = b""


class RemoteDisconnected(ConnectionError, ConnectionResetError):
    """The peer closed or reset the connection before a whole response head arrived."""


class StaleConnectionError(ConnectionError):
    """A reused connection died before any answer, and sending again could do the work twice.

    Pass ``idempotent=True`` or an ``Idempotency-Key`` header if the request may be sent again.
    """


class ProtocolError(ConnectionError):
    """The peer sent something that is not HTTP/1.1 (RFC 9112); the connection is closed."""


class SessionClosed(ConnectionError):
    """The session was closed or aborted while the call was under way."""


class ForkError(ConnectionError):
    """The call belongs to the parent process; a child neither sends nor reads on its connection."""


class WorkerLost(ConnectionError, RuntimeError):
    """The executor that was to carry out the call lost it, or takes no more work; ``__cause__`` says what it raised.

    Its process died, or it was shut down. Whether the request was sent, nobody can tell.
    """


# -- too late -----------------------------------------------------------------------------------------------


class Timeout(RequestException, builtins.TimeoutError):
    """A limit of `Timeouts` passed.

    Attributes:
        phase: What the call was waiting for: ``"pool" "dns" "connect" "proxy" "tls" "write" "continue"
            "read"``, or ``"total"`` where the total deadline fired.
        seconds: The setting that fired.
    """

    phase: str = ""
    seconds: float = 0.0
    reused: bool = False
    bytes_sent: int = 0
    response_started: bool = False


class ConnectTimeout(ConnectError, Timeout):
    """The ``connect`` budget ran out: name look-up, every address, proxy and TLS together."""


class WriteTimeout(Timeout):
    """The peer took no byte of the request for ``write`` seconds."""


class ReadTimeout(Timeout):
    """The peer sent no byte for ``read`` seconds."""

    partial: bytes = b""


class PoolTimeout(Timeout):
    """No connection became free within ``pool`` seconds."""


class TotalTimeout(Timeout):
    """The ``total`` deadline of the whole call passed; ``phase`` is ``"total"``."""

    partial: bytes = b""


# -- the body -----------------------------------------------------------------------------------------------


class ChunkedEncodingError(RequestException):
    """The body's framing is broken; ``partial`` holds the bytes that a non-streamed read had got."""

    partial: bytes = b""


class IncompleteBody(ChunkedEncodingError, EOFError):
    """The peer closed before the body was complete (RFC 9112 section 8).

    Attributes:
        received: Bytes of the body that arrived.
        expected: Bytes that Content-Length announced; None for chunked and close-delimited bodies.
    """

    received: int = 0
    expected: int | None = None


class ContentDecodingError(RequestException, ValueError):
    """A content coding (gzip, br, ...) is broken or cut short, or nests too deeply; ``partial`` as above."""

    partial: bytes = b""


class BodyTooLarge(RequestException, ValueError):
    """``max_body`` or ``max_ratio`` was passed; ``limit`` is the setting, ``received`` the decoded bytes."""

    limit: float = 0
    received: int = 0
    partial: bytes = b""


class DownloadError(RequestException):
    """`Session.download` got no file together of what the server sent, such as one that changes all the time."""


class ChecksumMismatch(DownloadError, ValueError):
    """The file is whole, and its SHA-256 is not the one that was asked for; nothing of it was kept.

    Attributes:
        expected, found: Both in hex.
    """

    expected: str = ""
    found: str = ""


class StreamConsumedError(RequestException, TypeError, RuntimeError):
    """The body was streamed and is gone; read ``content`` first if it is needed twice.

    requests raises a class of this name in one place and RuntimeError in another; this is both.
    """


class InvalidJSONError(RequestException, ValueError):
    """The ``json=`` argument cannot be written as JSON."""


class JSONDecodeError(InvalidJSONError, _BuiltinJSONDecodeError):
    """The body is not JSON; the message names status, URL and the start of the body.

    Attributes:
        msg, doc, pos, lineno, colno: As in `json.JSONDecodeError`.
    """

    def __init__(self, msg: str, doc: str, pos: int, **fields: Any) -> None:
        """Take the three facts of `json.JSONDecodeError`, and fields such as ``response``."""
        _BuiltinJSONDecodeError.__init__(self, msg, doc, pos)
        InvalidJSONError.__init__(self, *self.args, **fields)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the three facts; OSError's own rule would lose two of them."""
        return type(self), (self.msg, self.doc, self.pos), self.__dict__


# -- warnings -----------------------------------------------------------------------------------------------


class RequestsWarning(Warning):
    """The root of this library's warnings (requests' name)."""


class FileModeWarning(RequestsWarning, DeprecationWarning):
    """A file was opened in text mode where its bytes are needed."""


class RequestsDependencyWarning(RequestsWarning):
    """Kept for code that filters it by name; never issued here."""
