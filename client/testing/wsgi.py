"""`WSGITransport`: a WSGI application (PEP 3333) answers in the place of the network.

    session = client.Session(base_url="http://app.test", transport=WSGITransport(flask_app))

The application runs on the thread that makes the call.  Both bodies pass piece by piece, and what it raises
is what the caller gets, so that a test shows the traceback.
"""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import unquote_to_bytes

from client.exceptions import InvalidHeader, ProtocolError
from client.headers import encode_fields
from client.testing.offline import HEAD_ONLY, OfflineResponse, sent_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from _typeshed import WriteableBuffer

    from client.transport.wire import Call, Fields, WireRequest

__all__ = ["WSGITransport"]

ExceptionInfo: TypeAlias = "tuple[type[BaseException], BaseException, TracebackType | None]"
WSGIApplication: TypeAlias = "Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]"

#: And its reason phrase, of what Latin-1 can hold (RFC 9112 section 4).
FINAL_STATUS: Final = re.compile(r"([2-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")


class WSGITransport:
    """A `Transport` that calls a WSGI application.

    Args:
        app: The application. Every request goes to it, whatever its host.
        remote_addr: What the application sees as the client's address.

    Raises:
        TypeError: The application is not callable.
    """

    def __init__(self, app: WSGIApplication, *, remote_addr: str = "127.0.0.1") -> None:
        """Hold the application."""
        if not callable(app):
            raise TypeError(f"the application must be callable, not {type(app).__name__}")
        self._app = app
        self._remote_addr = remote_addr

    def round_trip(self, request: WireRequest, call: Call) -> OfflineResponse:
        """Call the application and return its answer with the body unread.

        Raises:
            Exception: Whatever the application raises before its first piece of body, as it is.
            ProtocolError: The application did not keep to PEP 3333.
        """
        body = io.BufferedReader(_BodyInput(sent_pieces(request, call)))
        started = _Start()
        result = self._app(environ(request, body, self._remote_addr), started.start_response)
        close: Callable[[], None] | None = getattr(result, "close", None)
        try:
            # PEP 3333: the application may call start_response as late as with its first piece.
            pieces = iter(result)
            first = next(filter(None, pieces), b"")
            status, reason, headers = started.head()
        except BaseException:
            if close is not None:
                close()
            raise
        bodyless = request.method == "HEAD" or status in HEAD_ONLY
        return OfflineResponse(
            status, reason, headers, None if bodyless else started.body(first, pieces), call, on_close=close
        )

    def close(self) -> None:
        """Do nothing: the application belongs to the caller."""


def environ(request: WireRequest, body: io.BufferedIOBase, remote_addr: str) -> dict[str, Any]:
    """Build the environment of *request* (PEP 3333, "environ Variables"; RFC 3875 section 4.1)."""
    url = request.url
    variables: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        # Text in an environ is bytes seen as Latin-1.
        "PATH_INFO": unquote_to_bytes(url.path).decode("latin-1"),
        "QUERY_STRING": url.query or "",
        "SERVER_NAME": url.host,
        "SERVER_PORT": str(url.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": remote_addr,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": body,
        "wsgi.input_terminated": True,  # the input ends where the body does; chunked bodies have no length
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in request.headers:
        name = raw_name.decode("ascii").upper().replace("-", "_")
        value = raw_value.decode("latin-1")
        if name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            variables[name] = value
            continue
        key = f"HTTP_{name}"
        separator = "; " if name == "COOKIE" else ", "
        variables[key] = f"{variables[key]}{separator}{value}" if key in variables else value
    return variables


class _Start:
    """What the application said by ``start_response`` and ``write``."""

    def __init__(self) -> None:
        self._status: Any = None  # whatever the application says
        self._headers: list[tuple[str, str]] = []
        self._head_taken = False
        self._written: list[bytes] = []

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExceptionInfo | None = None
    ) -> Callable[[bytes], None]:
        if exc_info is not None and self._head_taken:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and self._status is not None:
            raise ProtocolError("the application called start_response twice without exc_info")
        self._status, self._headers = status, list(headers)
        return self._written.append

    def head(self) -> tuple[int, bytes, Fields]:
        """Return status, reason and fields; from now on they are sent."""
        if self._status is None:
            raise ProtocolError("the application returned a body without calling start_response")
        self._head_taken = True
        match = FINAL_STATUS.fullmatch(self._status) if isinstance(self._status, str) else None
        if match is None:
            raise ProtocolError(
                f"the application's status is {self._status!r}, expected for instance '200 OK'"
            )
        try:
            fields = encode_fields(self._headers)
        except InvalidHeader as error:
            raise ProtocolError(f"the application's header fields: {error}") from error
        return int(match[1]), (match[2] or "").encode("latin-1"), fields

    def body(self, first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        """Yield what was written and what was returned, in the order in which they were made."""
        yield from self._take_written()
        yield first
        for piece in rest:
            yield from self._take_written()
            yield piece
        yield from self._take_written()

    def _take_written(self) -> list[bytes]:
        written, self._written[:] = self._written[:], []
        return written


class _BodyInput(io.RawIOBase):
    """The request's body as the application reads it."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        if not self._left:
            self._left = memoryview(next(filter(None, self._pieces), b""))
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._left))
        view[:count], self._left = self._left[:count], self._left[count:]
        return count
