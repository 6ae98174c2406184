"""The body of a response on its way to the caller: decoded, counted, cut to size; and its file-like views.

The law of the room: `ResponseBody` is the only reader of the wire, so limits, decoding and the callback of
`progress` hold on every path, and after its first error every later read raises that error again: what is
left of a broken body never looks like a complete one.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

from client.decoders import Decoder, decoder_for
from client.exceptions import (
    BodyTooLarge,
    RequestException,
    StreamConsumedError,
)
from client.headers import ResponseHeaders
from client.response_limits import DEFAULT_RESPONSE_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from client.response import Response
    from client.transport.wire import WireResponse

__all__ = [
    "READ_SIZE",
    "DecodedReader",
    "RawHeaders",
    "RawReader",
    "ResponseBody",
    "WireFile",
]

#: Bytes asked of the wire at once; below the size from which malloc asks the kernel for every buffer anew.
READ_SIZE: Final = 64 * 1024

#: What a body may decode to before `max_ratio` is judged. A short body is no bomb, and its ratio so far would
#: depend on where the network cut it.
RATIO_FREE: Final = 64 * 1024


class ResponseBody:
    """Reads one body from the wire.

    Args:
        read: Returns at most that many bytes of the body, as they are on the wire but for chunking; ``b""``
            at its end.
        close: Gives the connection up.
        attach: Tells an error what request and response it is about.
        codings: The values of Content-Encoding.
        max_body: Bytes that the decoded body may have, None for no limit.
        max_ratio: How many times as large as on the wire it may become by decoding, None for no limit.
        max_codings: Content codings that may be stacked on it.
        progress: Called with (bytes received so far, total) after each piece; total is *total*.
        total: The body's length on the wire, None if nobody knows.
        check: Called before each piece that is decoded of what has been received; raises if the call is over.

    Attributes:
        read_wire: As *read*.
        received: Bytes taken from the wire.
        consumed: True once the caller got a byte.
        complete: True once the framing and every coding reached their end.
        error: What the first failed read raised, and all later ones will.
        ahead: What reads more than it has delivered, such as ``"iter_lines()"``: nothing else may go on from there.
    """

    __slots__ = (
        "_attach",
        "_check",
        "_close",
        "_codings",
        "_decoded",
        "_decoder",
        "_max_body",
        "_max_codings",
        "_max_ratio",
        "_offset",
        "_piece",
        "_progress",
        "_steps",
        "_total",
        "ahead",
        "complete",
        "consumed",
        "error",
        "read_wire",
        "received",
    )

    def __init__(
        self,
        read: Callable[[int], bytes],
        close: Callable[[], object],
        attach: Callable[[RequestException], object],
        codings: Sequence[str] = (),
        *,
        max_body: int | None = None,
        max_ratio: float | None = None,
        max_codings: int = DEFAULT_RESPONSE_LIMITS.codings,
        progress: Callable[[int, int | None], object] | None = None,
        total: int | None = None,
        check: Callable[[], object] | None = None,
    ) -> None:
        """Read nothing yet."""
        self._check = check
        self.read_wire: Callable[[int], bytes] = read
        self._close = close
        self._attach = attach
        self._codings = codings
        self._max_body = max_body
        self._max_ratio = max_ratio
        self._max_codings = max_codings
        self._progress = progress
        self._total = total
        self._decoder: Decoder | None = None
        self._steps: Iterator[bytes] | None = None  # what the last bytes from the wire decode to
        self._piece = b""  # decoded, delivered up to _offset
        self._offset = 0
        self._decoded = 0
        self.error: RequestException | None = None
        self.received: int = 0
        self.consumed: bool = False
        self.complete: bool = False
        self.ahead: str | None = None

    def check_unshared(self) -> None:
        """Refuse to go on where somebody else stopped who had read ahead.

        Raises:
            StreamConsumedError: The bytes between would be missing, and nobody would see it.
        """
        if self.ahead is not None and not self.complete:
            raise self._lost(
                f"a part of this body was streamed by {self.ahead}, and what that had read ahead is lost"
            )

    def read(self, size: int | None = None, *, fill: bool = False) -> bytes:
        """Return the next decoded bytes.

        Args:
            size: At most so many; None returns what arrives next, up to 256 KiB.
            fill: Return fewer than *size* only at the end of the body.

        Returns:
            At least one byte; ``b""`` means that the body is complete.

        Raises:
            ContentDecodingError: A content coding is broken or cut short.
            BodyTooLarge: A limit was passed.
            RequestException: What the wire raises.
        """
        chunk = self._next(size)
        if fill and size is not None and 0 < len(chunk) < size:
            chunks = [chunk]
            missing = size - len(chunk)
            while missing and (chunk := self._next(missing)):
                chunks.append(chunk)
                missing -= len(chunk)
            return b"".join(chunks)
        return chunk

    def read_all(self) -> bytes:
        """Return all the rest, decoded.

        Raises:
            RequestException: As `read`, with what had been decoded in ``partial``.
        """
        if self.error is not None:
            raise self.error
        # Half the time of joining a list: the buffer grows in place, and its pages are touched once.
        collected = io.BytesIO()
        try:
            while chunk := self._next(None):
                collected.write(chunk)
        except RequestException as error:
            if hasattr(error, "partial"):
                error.partial = collected.getvalue()
            raise
        return collected.getvalue()

    def read_undecoded(self, size: int) -> bytes:
        """Return the next bytes, 1 to *size*, with their content codings on; ``b""`` at the end of the body."""
        if not self._codings:
            return self._next(size)
        if self._decoder is not None and not self.complete:
            raise self._lost("a part of this body was decoded; its coded bytes are gone")
        data = self._guarded(lambda: self._receive(size))
        self.consumed = self.consumed or bool(data)
        self.complete = self.complete or not data
        return data

    def read_from(self, read: Callable[[int], bytes]) -> None:
        """Begin anew with the bytes that *read* returns in place of those of the wire."""
        self.read_wire = read
        self._decoder = self._steps = None
        self._piece, self._offset = b"", 0
        self.complete = self.consumed = False
        self.ahead = None

    def _next(self, size: int | None) -> bytes:
        piece, start = self._piece, self._offset
        if start == len(piece):
            piece = self._guarded(self._decode_next)
            start = 0
            if not piece:
                return b""
            self.consumed = True
        if size is None or len(piece) - start <= size:
            self._piece, self._offset = b"", 0
            return piece[start:] if start else piece
        # One piece is cut by moving an offset: copying what is left each time would be quadratic.
        self._piece, self._offset = piece, start + size
        return piece[start : start + size]

    def _guarded(self, step: Callable[[], bytes]) -> bytes:
        """Take a step unless one failed before; where it fails, keep the error and give the connection up."""
        if self.error is not None:
            raise self.error
        try:
            return step()
        except BaseException as error:
            if isinstance(error, RequestException):
                self.error = error
            else:  # Ctrl-C, or an error of the progress callback
                self.error = StreamConsumedError(
                    "an earlier read was interrupted; the rest of the body is lost"
                )
            self._attach(self.error)
            self._close()
            raise

    def _decode_next(self) -> bytes:
        while not self.complete:
            if self._steps is not None:
                if self._check is not None:
                    self._check()
                piece = next(self._steps, b"")
                if piece:
                    return self._counted(piece)
                self._steps = None
            data = self._receive(READ_SIZE)
            if not data:
                if self._decoder is not None:
                    self._decoder.finish()
                self.complete = True
            elif not self._codings:
                return self._counted(data)
            else:
                self._start_decoding(data)
        return b""

    def _start_decoding(self, data: bytes) -> None:
        if self._decoder is None:
            self._decoder = decoder_for(self._codings, self._max_codings)
            if self._decoder is None:  # not one that we know: delivered as it is
                self._codings = ()
                self._steps = iter((data,))
                return
        self._steps = self._decoder.decode(data)

    def _receive(self, size: int) -> bytes:
        data = self.read_wire(size)
        self.received += len(data)
        if data and self._max_body is not None:
            # Coded data may be a little longer than what it decodes to. Beyond that it is padding, or members
            # that decode to nothing, and would go on for ever without passing the limit.
            overhead = self._max_body // 8 + READ_SIZE if self._codings else 0
            if max(self.received, self._total or 0) > self._max_body + overhead:
                raise self._too_large("max_body", self._max_body)
        if data and self._progress is not None:
            self._progress(self.received, self._total)
        return data

    def _counted(self, piece: bytes) -> bytes:
        self._decoded += len(piece)
        if self._max_body is not None and self._decoded > self._max_body:
            raise self._too_large("max_body", self._max_body)
        if (
            self._max_ratio is not None
            and self._decoded > RATIO_FREE
            and self._decoded > self._max_ratio * self.received
        ):
            raise self._too_large("max_ratio", self._max_ratio)
        return piece

    def _lost(self, message: str) -> StreamConsumedError:
        error = StreamConsumedError(message)
        self._attach(error)
        return error

    def _too_large(self, name: str, limit: float) -> BodyTooLarge:
        decoded = self._decoded if self._codings else self.received
        announced = "" if self._total is None else f" of {self._total} announced"
        facts = f"{self.received} bytes{announced} came and decoded to {decoded} so far"
        return BodyTooLarge(f"the body passes {name}={limit}: {facts}", limit=limit, received=decoded)


class RawHeaders(ResponseHeaders):
    """The header fields with urllib3's name for `ResponseHeaders.get_list`."""

    __slots__ = ()

    def getlist(self, name: str) -> list[str]:
        """Return the values of all fields called *name*; see `ResponseHeaders.get_list`."""
        return self.get_list(name)


class RawReader(io.RawIOBase):
    """`Response.raw`: a body as it is on the wire, chunking removed and content coding not.

    Reads as a binary file does; `shutil.copyfileobj`, `io.BufferedReader` and `gzip.GzipFile` take it. The
    attributes are those of urllib3's response that programs written for requests look at.

    Attributes:
        status: The status.
        reason: The reason phrase.
        version: 11 for HTTP/1.1, 10 for HTTP/1.0.
        headers: As `Response.headers`, and with ``getlist``.
        decode_content: What reading without that argument does; False, may be set.
    """

    decode_content: bool = False
    #: Chunks are put together below this.
    chunked: bool = False
    #: Where caches written for requests look for `http.client`'s response, which there is none.
    _original_response: None = None
    _request_url: None = None

    def __init__(self, body: ResponseBody, wire: WireResponse) -> None:
        """Read *body*, which is that of *wire*."""
        self._reader = body
        self._close: Callable[[], object] = wire.close
        self.status: int = wire.status
        self.reason: str = wire.reason.decode("latin-1")
        self.version = 10 if wire.http_version == b"1.0" else 11
        self.headers: RawHeaders = RawHeaders(wire.headers)

    def __del__(self) -> None:
        """Leave the connection to its own finaliser; that of `io.IOBase` would call `close`, which may lock."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, amt: int | None = -1, decode_content: bool | None = None) -> bytes:
        """Return the next bytes.

        Args:
            amt: Exactly so many, fewer only at the end of the body; None or negative means all the rest.
            decode_content: True removes the content coding. Default: the attribute of that name.

        Raises:
            RequestException: As `Response.iter_content`.
        """
        self._check_open()
        step = self._step(decode_content)
        if amt is None or amt < 0:
            collected = io.BytesIO()
            while chunk := step(READ_SIZE):
                collected.write(chunk)
            return collected.getvalue()
        chunks = []
        while amt and (chunk := step(min(amt, READ_SIZE))):
            chunks.append(chunk)
            amt -= len(chunk)
        return b"".join(chunks)

    def readinto(self, buffer: Any) -> int:
        """Fill *buffer* from its start with what arrives next; return the count, 0 at the end of the body."""
        self._check_open()
        view = memoryview(buffer).cast("B")
        data = self._step(None)(len(view)) if view else b""
        view[: len(data)] = data
        return len(data)

    def stream(self, amt: int | None = READ_SIZE, decode_content: bool | None = None) -> Iterator[bytes]:
        """Yield the rest in pieces of at most *amt* bytes (None: 64 KiB); arguments as `read`."""
        step = self._step(decode_content)
        while chunk := step(amt or READ_SIZE):
            yield chunk

    def _step(self, decode_content: bool | None) -> Callable[[int], bytes]:
        self._reader.check_unshared()
        decode_content = self.decode_content if decode_content is None else decode_content
        return self._reader.read if decode_content else self._reader.read_undecoded

    @property
    def _fp(self) -> WireFile:
        """Where caches written for urllib3's response take the bytes from.

        They put a file of their own around it and assign that, which is then read in its place.
        """
        return WireFile(self._reader.read_wire, closed=self._reader.complete)

    @_fp.setter
    def _fp(self, file: Any) -> None:
        self._reader.read_from(file.read)

    def release_conn(self) -> None:
        """Give the connection back if the body was read, up otherwise (urllib3's name, for auth plugins)."""
        self._close()

    def tell(self) -> int:
        """Return how many bytes were taken from the wire."""
        return self._reader.received

    def close(self) -> None:
        """Give the connection up; unread bytes are lost. Idempotent."""
        if not self.closed:
            super().close()
            self._close()

    def _dealloc_warn(self, source: object) -> None:
        """Called by a buffer around this when it is collected unclosed, before `close`; see `__del__`."""
        self._close = _do_nothing

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")


class WireFile:
    """The bytes of a body as they arrive, as a file that is closed once it has ended."""

    __slots__ = ("_read", "closed")

    def __init__(self, read: Callable[[int], bytes], *, closed: bool) -> None:
        """Read by *read*, unless it is over."""
        self._read = read
        self.closed: bool = closed

    def read(self, amt: int = READ_SIZE) -> bytes:
        """Return the next bytes, at most *amt*; ``b""`` at the end of the body."""
        data = self._read(amt)
        self.closed = not data
        return data


class DecodedReader(io.RawIOBase):
    """What `Response.open` buffers: the decoded body."""

    def __init__(self, body: ResponseBody, response: Response) -> None:
        """Read *body* and keep *response* alive as long."""
        self._body = body
        self._response: Response | None = response

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill *buffer* from its start with what arrives next; return the count, 0 at the end of the body."""
        view = memoryview(buffer).cast("B")
        self._body.ahead = "open()"
        data = self._body.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the response. Idempotent."""
        if not self.closed:
            super().close()
            if self._response is not None:
                self._response.close()

    def _dealloc_warn(self, source: object) -> None:
        """Called by the buffer when it is collected unclosed, before `close`; that may lock."""
        self._response = None


def _do_nothing() -> None:
    pass
