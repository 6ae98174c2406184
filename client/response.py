"""`Response`: what came back, with the names and the behaviour that requests documents.

The law of the room: the body is read when someone asks, as far as asked, and once; what is delivered as complete
is complete.  The head is in `client.response_head`, reading and decoding in `client.response_body`, charsets
in `client.text`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable  # noqa: TC003  # see `ResponseHead`
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self, overload
from weakref import ref

from client.exceptions import JSONDecodeError, ProtocolError, RequestException, StreamConsumedError
from client.foreign_raw import foreign_reader
from client.lines import ServerSentEvent, events, split, split_lines
from client.response_body import READ_SIZE, DecodedReader, RawReader, ResponseBody
from client.response_head import REDIRECT_STATI, ResponseHead
from client.response_limits import DEFAULT_RESPONSE_LIMITS
from client.text import decode, decode_pieces, detect

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

    from client.call_options import CallOptions
    from client.request import PreparedRequest
    from client.transport.wire import WireResponse

__all__ = ["REDIRECT_STATI", "Response", "ServerSentEvent"]

#: Characters of the body that a JSON error shows.
_SHOWN: Final = 200

#: What pickle keeps besides the body; the connection is not among it.
_PICKLED: Final = (
    "status_code",
    "reason",
    "http_version",
    "url",
    "headers",
    "trailers",
    "cookies",
    "encoding",
    "elapsed",
    "timings",
    "history",
    "attempts",
    "request",
)


class Response(ResponseHead):
    """An answer, its body read or still to be read.

    Made by a session. `Response()` is an empty one whose attributes can be set, as test doubles and adapters
    written for requests do. True if `ok`; iterates over the body; a context manager that closes itself.
    """

    #: requests' list of what is pickled, which caches copy and hooks extend; here `_PICKLED` is as well.
    __attrs__: ClassVar[list[str]] = [
        "_content", "status_code", "url", "headers", "history", "encoding", "reason", "cookies", "elapsed", "request",
    ]  # fmt: skip

    # As in `ResponseHead`: defaults that cost a new response nothing.
    _content: bytes | Literal[False] | None = False
    _raw: Any = None
    _body: ResponseBody | None = None
    _gone: bool = False  # unpickled after its body had been streamed
    _text: tuple[bytes, str | None, str] | None = None
    _is_counted: bool = True  # what is received may be too much, or somebody wants to know how much it is
    _max_body: int | None = None
    _max_ratio: float | None = None
    _check: Callable[[], object] | None = None
    _max_codings: int = DEFAULT_RESPONSE_LIMITS.codings
    _progress: Callable[[int, int | None], object] | None = None

    @classmethod
    def _from_wire(
        cls,
        wire: WireResponse,
        request: PreparedRequest,
        options: CallOptions,
        started: float,
        progress: Callable[[int, int | None], object] | None = None,
    ) -> Response:
        """Wrap *wire*, whose head has just arrived; *started* is when its request set out (monotonic seconds)."""
        self = cls()
        self._wire = wire
        self.status_code = wire.status
        self.request = request
        self._elapsed = monotonic() - started
        self._body = None
        self._is_counted = False
        if options.bounds_body or progress is not None:
            self._max_body = options.max_body
            self._max_ratio = options.max_ratio
            self._max_codings = options.max_codings
            self._progress = progress
            self._is_counted = True
        return self

    # -- the body ---------------------------------------------------------------------------------------------

    @property
    def content(self) -> bytes:
        """The whole body, decoded; read on first use and kept.

        Raises:
            IncompleteBody, ChunkedEncodingError: The framing is broken or ended early.
            ContentDecodingError: A content coding is broken or cut short.
            BodyTooLarge: ``max_body`` or ``max_ratio`` was passed.
            SSLError: TLS broke.
            ReadTimeout, TotalTimeout: Too late. These carry in ``partial`` what had arrived, decoded.
            StreamConsumedError: A part of the body was streamed or lost before.
        """
        if self._content is False:
            self._content = self._read_content()
        return self._content  # type: ignore[return-value]  # None of `Response()`, as in requests

    @property
    def text(self) -> str:
        """The body as text: by `encoding`, else a byte order mark, else UTF-8 if it decodes, else Latin-1.

        Never fails to decode: what is invalid becomes U+FFFD. Errors of reading as `content`.
        """
        content, encoding = self.content, self.encoding
        if not content:
            return ""
        if self._text is None or self._text[0] is not content or self._text[1] != encoding:
            self._text = (content, encoding, decode(content, encoding))
        return self._text[2]

    @property
    def apparent_encoding(self) -> str:
        """The encoding that the body itself shows: of its byte order mark, ``utf-8``, else ``iso-8859-1``."""
        return detect(self.content or b"")

    def json(self, **kwargs: Any) -> Any:
        """Parse the body as JSON.

        UTF-8, UTF-16 and UTF-32 are told apart by the bytes (RFC 8259 section 8.1); a declared or assigned
        `encoding` that is none of these is used as it says.

        Args:
            kwargs: Passed to `json.loads`.

        Raises:
            JSONDecodeError: The body is no JSON, nests too deeply or has a number of absurd length. A ValueError;
                the message names status, URL (without user information and query) and the start of the body.
            RequestException: As `content`.
        """
        content = self.content or b""
        encoding = self.encoding
        if encoding is None or encoding.lower().startswith("utf"):
            try:
                return json.loads(content, **kwargs)
            except UnicodeDecodeError:  # not UTF-8 after all
                pass
            except (ValueError, RecursionError) as error:
                raise self._json_error(error, self.text) from error
        return self._parse_json(self.text, kwargs)

    @overload
    def iter_content(
        self, chunk_size: int | None = None, decode_unicode: Literal[False] = False
    ) -> Iterator[bytes]: ...
    @overload
    def iter_content(self, chunk_size: int | None, decode_unicode: Literal[True]) -> Iterator[str]: ...
    @overload
    def iter_content(
        self, chunk_size: int | None = None, *, decode_unicode: Literal[True]
    ) -> Iterator[str]: ...
    @overload
    def iter_content(
        self, chunk_size: int | None = None, decode_unicode: bool = False
    ) -> Iterator[bytes] | Iterator[str]: ...
    def iter_content(
        self, chunk_size: int | None = None, decode_unicode: bool = False
    ) -> Iterator[bytes] | Iterator[str]:
        """Iterate over the decoded body; each piece is in memory once, at most 256 KiB of it.

        Args:
            chunk_size: Bytes a piece; the last one may be shorter, and where the length of the body was not
                announced (chunked) each piece is delivered as soon as it arrives. None: whatever arrives.
            decode_unicode: Yield str: by `encoding` or else UTF-8, what is invalid becomes U+FFFD.

        Raises:
            StreamConsumedError: The body was streamed before.
            TypeError, ValueError: *chunk_size* is no int, or below 1.
            RequestException: While iterating, as `content`; ``partial`` is empty, the pieces were delivered.
        """
        announced = self._content is not False or self._raw_field(b"content-length") is not None
        pieces = self._pieces(chunk_size, fill=announced)
        return decode_pieces(pieces, self.encoding) if decode_unicode else pieces

    @overload
    def iter_lines(
        self,
        chunk_size: int | None = ...,
        decode_unicode: Literal[False] = False,
        delimiter: bytes | None = None,
    ) -> Iterator[bytes]: ...
    @overload
    def iter_lines(
        self, chunk_size: int | None, decode_unicode: Literal[True], delimiter: str | None = None
    ) -> Iterator[str]: ...
    @overload
    def iter_lines(
        self, chunk_size: int | None = ..., *, decode_unicode: Literal[True], delimiter: str | None = None
    ) -> Iterator[str]: ...
    @overload
    def iter_lines(
        self, chunk_size: int | None = ..., decode_unicode: bool = False, delimiter: Any = None
    ) -> Iterator[bytes] | Iterator[str]: ...
    def iter_lines(
        self, chunk_size: int | None = READ_SIZE, decode_unicode: bool = False, delimiter: Any = None
    ) -> Iterator[bytes] | Iterator[str]:
        """Iterate over the lines of the body, without their ends, each as soon as it is complete.

        Args:
            chunk_size: Bytes that are read at once, at most.
            decode_unicode: Yield str, as `iter_content`.
            delimiter: What ends a line, of the type that is yielded; default LF or CRLF and nothing else.

        Go on with the same iterator: it has read more than its lines, so nothing else may (StreamConsumedError).

        Raises:
            StreamConsumedError, RequestException: As `iter_content`.
        """
        pieces = self._pieces(chunk_size, fill=False, ahead="iter_lines()")
        if decode_unicode:
            text = decode_pieces(pieces, self.encoding)
            return split(text, delimiter) if delimiter else split_lines(text, "\n", "\r")
        return split(pieces, delimiter) if delimiter else split_lines(pieces, b"\n", b"\r")

    def iter_sse(self) -> Iterator[ServerSentEvent]:
        """Iterate over the events of a ``text/event-stream`` body, each as soon as it is complete.

        Always UTF-8 (WHATWG HTML section 9.2.5). Reconnecting is the caller's: send the last event's ``id`` as
        Last-Event-ID, after ``retry`` milliseconds.

        Raises:
            StreamConsumedError, RequestException: As `iter_content`.
        """
        return events(decode_pieces(self._pieces(None, fill=False, ahead="iter_sse()"), "utf-8"))

    def iter_json_lines(self, **kwargs: Any) -> Iterator[Any]:
        """Iterate over a body of one JSON document a line (NDJSON); blank lines are skipped.

        Args:
            kwargs: Passed to `json.loads`.

        Raises:
            JSONDecodeError: A line is no JSON; the message names status, URL and the start of the line.
            StreamConsumedError, RequestException: As `iter_content`.
        """
        lines = self.iter_lines(decode_unicode=True)
        return (self._parse_json(line, kwargs) for line in lines if line.strip())

    @property
    def raw(self) -> Any:
        """The body as a file, chunking removed and content coding not; use it with ``stream=True``.

        Has ``read(amt=None, decode_content=False)``, ``readinto``, ``stream``, ``tell``, ``close``, ``closed``,
        and urllib3's ``status``, ``reason``, ``version`` and ``headers``.
        None if there is no connection behind the response.
        """
        if self._raw is None and self._wire is not None:
            self._raw = RawReader(self._reader(), self._wire)
        return self._raw

    @raw.setter
    def raw(self, value: Any) -> None:
        self._raw = value

    def open(self) -> io.BufferedReader:
        """Return the decoded body as a buffered binary file; closing it closes the response.

        For whatever reads files: `io.TextIOWrapper`, `csv`, `json.load`, `tarfile.open(fileobj=..., mode="r|")`.
        Reading raises as `iter_content`.

        Raises:
            StreamConsumedError: The body was streamed before.
        """
        if self._content is not False:
            return io.BufferedReader(io.BytesIO(self._content or b""))
        return io.BufferedReader(DecodedReader(self._unread_body(), self), READ_SIZE)

    def close(self) -> None:
        """Give the connection up, or back if the body was read. Idempotent; never blocks.

        A thread that waits for more of the body is woken, with StreamConsumedError.
        """
        raw = self.raw
        if raw is not None:
            raw.close()  # which also shows it as closed

    def detach(self) -> tuple[socket.socket, bytes]:
        """Take over the connection, after 101 (Switching Protocols) or a 2xx to CONNECT.

        Returns:
            The socket (an `ssl.SSLSocket` for https), blocking and without a timeout, which the caller closes; and
            the bytes that arrived behind the head.

        Raises:
            ProtocolError: The peer did not switch, or the connection was taken over before.

        Ask for the switch by the request's Connection and Upgrade fields; RFC 9110 sections 7.8 and 9.3.6.
        """
        if self._wire is None:
            raise ProtocolError("there is no connection behind this response", response=self)
        return self._wire.detach()

    @property
    def _content_consumed(self) -> bool:
        """Whether nothing is left on the connection, under requests' name for it: Azure's SDK asks before `content`."""
        body = self._body
        return self._content is not False or (body is not None and body.complete and body.consumed)

    @_content_consumed.setter
    def _content_consumed(self, value: bool) -> None:
        """Take what doubles and adapters set beside `_content`, which says the same."""

    # -- how the body is read ---------------------------------------------------------------------------------

    def _read_content(self) -> bytes | None:
        wire = self._wire
        if wire is None and self._raw is None and not self._gone:
            return None
        if (
            self._body is None
            and wire is not None
            and not self._is_counted
            and not wire.has_field(b"content-encoding")
        ):
            # The bytes on the wire are the content, and nobody wants to count them.
            try:
                return wire.read(None)
            except RequestException as error:
                _attach(error, self.request, self)
                self._reader().error = error  # reading again raises it again, ``partial`` and all
                raise
        body = self._unread_body()
        if body.consumed and body.error is None:
            raise self._consumed("a part of this body was streamed before; the whole cannot be had any more")
        return body.read_all()

    def _unread_body(self) -> ResponseBody:
        """Return the body, unless nothing of it is left."""
        body = None if self._gone else self._reader()
        if body is None or (body.complete and body.consumed):
            raise self._consumed("the content of this response was streamed before")
        body.check_unshared()
        return body

    def _consumed(self, message: str) -> StreamConsumedError:
        return StreamConsumedError(message, response=self)

    def _reader(self) -> ResponseBody:
        if self._body is None:
            # The body must not keep the response alive: an abandoned one gives its connection up at once, not
            # when the garbage collector finds a cycle.
            response, request = ref(self), self.request
            read: Callable[[int], bytes]
            codings: list[str] = []
            if self._wire is not None:
                read, close = self._wire.read, self._wire.close
                codings = [
                    value.decode("latin-1")
                    for name, value in self._raw_fields()
                    if len(name) == 16 and name.lower() == b"content-encoding"
                ]
            else:
                read, close = foreign_reader(self._raw), getattr(self._raw, "close", lambda: None)
            length = self._raw_field(b"content-length")
            self._body = ResponseBody(
                read,
                close,
                lambda error: _attach(error, request, response()),
                codings,
                max_body=self._max_body,
                max_ratio=self._max_ratio,
                max_codings=self._max_codings,
                progress=self._progress,
                check=self._check,
                total=int(length) if length is not None and length.isdigit() else None,
            )
        return self._body

    def _pieces(self, size: int | None, *, fill: bool, ahead: str | None = None) -> Iterator[bytes]:
        """Check the arguments at once, iterate later."""
        if size is not None and not isinstance(size, int):
            raise TypeError(f"chunk_size must be an int, it is instead a {type(size)}.")
        if size is not None and size < 1:
            raise ValueError(f"chunk_size must be at least 1, not {size}")
        if self._content is not False:
            return _slices(self._content or b"", size)
        if self._wire is None and self._raw is None and not self._gone:
            return iter(())
        return self._stream(self._unread_body(), size, fill, ahead)

    def _stream(self, body: ResponseBody, size: int | None, fill: bool, ahead: str | None) -> Iterator[bytes]:
        if ahead is not None:
            body.ahead = ahead
        while chunk := body.read(size, fill=fill):
            yield chunk

    # -- small things -----------------------------------------------------------------------------------------

    def _parse_json(self, text: str, kwargs: dict[str, Any]) -> Any:
        try:
            return json.loads(text, **kwargs)
        except (ValueError, RecursionError) as error:
            raise self._json_error(error, text) from error

    def _json_error(self, error: ValueError | RecursionError, text: str) -> JSONDecodeError:
        reason = getattr(error, "msg", None) or (
            "nested too deeply" if isinstance(error, RecursionError) else str(error)
        )
        start = text[:_SHOWN] + ("..." if len(text) > _SHOWN else "")
        message = f"{reason} (status {self.status_code}, url {self._redacted_url()}, body {start!r})"
        return JSONDecodeError(message, text, getattr(error, "pos", 0), response=self)

    def __getstate__(self) -> dict[str, Any]:
        """Read the body, as requests does, and keep all but the connection.

        Where it cannot be read, the copy says so when its content is asked for: an error that carries its
        response must reach another process in any case.
        """
        if self._content is False:
            try:
                self.content  # noqa: B018  # reads it
            except RequestException:
                pass
        state = {name: getattr(self, name, None) for name in (*_PICKLED, *self.__attrs__)}
        state["_content"] = self._content
        state["_gone"] = self._content is False
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take the attributes of `__getstate__`."""
        for name, value in state.items():
            setattr(self, name, value)

    def __repr__(self) -> str:
        """Show the status and nothing that could be secret."""
        return f"<Response [{self.status_code}]>"

    def __bool__(self) -> bool:
        """Tell `ok`."""
        return self.ok

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the decoded body in pieces of 128 bytes, as requests does."""
        return self.iter_content(128)

    def __enter__(self) -> Self:
        """Return the response itself."""
        return self

    def __exit__(self, *args: object) -> None:
        """Close the response."""
        self.close()


def _attach(error: RequestException, request: PreparedRequest, response: Response | None) -> None:
    """Tell *error* what it is about."""
    error.request = error.request or request
    if error.response is None:
        error.response = response


def _slices(content: bytes, size: int | None) -> Iterator[bytes]:
    step = size or len(content) or 1
    for start in range(0, len(content), step):
        yield content[start : start + step]
