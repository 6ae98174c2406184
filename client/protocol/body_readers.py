"""From bytes to the events of a body: one reader for each way in which a body ends.

``left`` is how many next bytes on the wire are nothing but body; those may bypass the buffer, and are then
counted by
``skip``. RFC 9112 sections 6.3 and 7.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from .buffer import ReceiveBuffer
from .errors import RemoteProtocolError, excerpt
from .events import PLAIN_END, Data, EndOfMessage, end_of_message_from_wire
from .framing import MAX_LENGTH, UNTIL_CLOSE
from .grammar import (
    BARE_LINE_FEED,
    CHUNK_LINE_LENIENT,
    CHUNK_LINE_STRICT,
    FIELD_BLOCK,
    NEXT_CHUNK_LINE,
    PLAIN_CHUNK_LINE,
    PLAIN_CHUNK_LINE_BYTES,
    TRAILING_BLANKS,
)
from .headers import headers_from_wire
from .readers import NothingToRead, check_field_count, first_line, illegal_field_line
from .state import CLIENT

if TYPE_CHECKING:
    import re

    from .limits import Limits
    from .state import Sentinel

__all__ = ["NOTHING_LEFT", "LengthReader", "body_reader"]

#: What a chunk line holds beside the size means nothing to us. A peer may spend this many bytes on it and
#: twice the size of the body, as in Go (CVE-2023-39326); one that spends more wants to burn our time.
OVERHEAD_ALLOWANCE: Final = 16 * 1024


class LengthReader(NothingToRead):
    """Reads a body of a known number of bytes, and then another one: one serves a connection for all its life."""

    __slots__ = ("_buffer", "_length", "left")

    def __init__(self, buffer: ReceiveBuffer) -> None:
        self._buffer = buffer
        self._length = 0
        self.left: int = 0

    def begin(self, length: int) -> LengthReader:
        """Begin with a body of *length* bytes; return this very reader."""
        self._length = self.left = length
        return self

    def read(self) -> Data | EndOfMessage | None:
        """Return what is buffered of the body, or its end."""
        left = self.left
        if left == 0:
            return PLAIN_END
        data = self._buffer.take(left)
        if not data:
            return None
        self.left = left - len(data)
        return Data(data)

    def read_eof(self) -> None:
        """Raise: the body is too short."""
        raise RemoteProtocolError(
            "peer closed connection without sending complete message body "
            f"(received {self._length - self.left} bytes, expected {self._length})"
        )

    def skip(self, count: int) -> None:
        """Count *count* bytes that bypassed the buffer."""
        self.left -= count


#: What has nothing left to count down can serve every message.
NOTHING_LEFT: Final = LengthReader(ReceiveBuffer())


class UntilCloseReader(NothingToRead):
    """Reads a body that only the end of the connection ends, so there is nothing to count."""

    __slots__ = ("_buffer",)
    left: int = sys.maxsize

    def __init__(self, buffer: ReceiveBuffer) -> None:
        self._buffer = buffer

    def read(self) -> Data | None:
        """Return what is buffered of the body."""
        data = self._buffer.take(sys.maxsize)
        return Data(data) if data else None

    def read_eof(self) -> EndOfMessage:
        """Return the end of the body."""
        return PLAIN_END


class ChunkedReader(NothingToRead):
    """Reads a chunked body and its trailers: chunk lines, the bytes they announce, the CRLF behind those."""

    __slots__ = (
        "_at_start",
        "_buffer",
        "_in_trailers",
        "_limits",
        "_line",
        "_line_end_due",
        "_overhead",
        "_plain_next",
        "_received",
        "_searched",
        "left",
    )

    def __init__(self, buffer: ReceiveBuffer, limits: Limits, line: re.Pattern[bytes]) -> None:
        self._buffer = buffer
        self._limits = limits
        self._line = line
        self._plain_next = limits.chunk_line >= PLAIN_CHUNK_LINE_BYTES  # a plain line is never too long
        self.left = 0  # of the current chunk
        self._at_start = False  # no byte of the current chunk was delivered yet
        self._line_end_due = False  # the CRLF behind a chunk's bytes is still to come
        self._in_trailers = False
        self._searched = 0  # so many bytes at the buffer's start do not hold the end of the line or section
        self._received = 0  # bytes of body
        self._overhead = 0  # bytes of chunk lines beside the sizes

    def read(self) -> Data | EndOfMessage | None:
        """Return what is buffered of one chunk, or the end of the body."""
        if self.left == 0 and not self._begin_chunk():
            return self._read_trailers() if self._in_trailers else None
        data = self._buffer.take(self.left)
        if not data:
            return None
        at_start, size = self._at_start, len(data)
        left = self.left - size
        self.left = left  # as `skip`, a call less
        self._received += size
        self._at_start = False
        self._line_end_due = left == 0
        return Data(data, at_start, left == 0)

    def read_eof(self) -> None:
        """Raise: the body has no end."""
        raise RemoteProtocolError(
            "peer closed connection without sending complete message body (incomplete chunked read)"
        )

    def skip(self, count: int) -> None:
        """Count *count* bytes of the current chunk."""
        self.left -= count
        self._received += count
        self._at_start = False
        self._line_end_due = self.left == 0

    def _begin_chunk(self) -> bool:
        """Consume the line that begins a chunk, and tell whether there was one that announces bytes.

        A line that is refused is not consumed.
        """
        if self._in_trailers:
            return False
        buffer = self._buffer
        if self._line_end_due:
            # Nearly always the end of the last chunk and a plain line are there: one look instead of three.
            match = self._plain_next and NEXT_CHUNK_LINE.match(buffer.data, buffer.start)
            if match and (length := int(match[1], 16)) > 0:
                buffer.start = match.end()
                self.left: int = length
                self._at_start = True
                self._line_end_due = False
                return True
            if not self._end_chunk():
                return False
        data, start = buffer.data, buffer.start
        end = data.find(b"\r\n", start + self._searched, start + self._limits.chunk_line) + 2
        match = self._line.fullmatch(data, start, end) if end > 1 else None
        if match is None:
            self._check_chunk_line(data, start, end)
            return False
        size = match[1]
        length = int(size, 16)
        if length > MAX_LENGTH:
            raise RemoteProtocolError(f"chunk size {excerpt(size)}: expected at most 2**63 - 1")
        if (overhead := end - start - len(size) - 2) > 0:
            self._count_overhead(overhead)
        buffer.start = end
        self._searched = 0
        self.left = length
        self._at_start = True
        self._in_trailers = length == 0
        return length > 0

    def _end_chunk(self) -> bool:
        """Consume the CRLF behind a chunk's bytes, and tell whether it was there.

        Nothing else may stand there: CVE-2025-43859.
        """
        buffer = self._buffer
        end = buffer.data[buffer.start : buffer.start + 2]
        if end == b"\r\n":
            buffer.start += 2
            self._line_end_due = False
            return True
        if end and end != b"\r":
            raise RemoteProtocolError(f"malformed chunk end: expected CRLF, not {excerpt(end)}")
        return False

    def _check_chunk_line(self, data: bytes | bytearray, start: int, end: int) -> None:
        """Return if more bytes may complete the line; *end* is where it ends, or less than 2."""
        if end > 1:
            raise RemoteProtocolError(f"illegal chunk header: {excerpt(data[start:end])}")
        size = len(data) - start
        if size >= self._limits.chunk_line:
            raise RemoteProtocolError(f"chunk header of more than {self._limits.chunk_line} bytes")
        if BARE_LINE_FEED.search(data, start + self._searched):
            raise RemoteProtocolError(f"illegal chunk header: {excerpt(data[start:])}")
        self._searched = max(0, size - 1)

    def _count_overhead(self, count: int) -> None:
        overhead = self._overhead + count
        if overhead > OVERHEAD_ALLOWANCE + 2 * self._received:
            raise RemoteProtocolError(f"{overhead} bytes of chunk extensions are more than twice the body")
        self._overhead = overhead

    def _read_trailers(self) -> EndOfMessage | None:
        """Consume the trailer section with its empty line, and return the end of the body."""
        buffer = self._buffer
        data, start = buffer.data, buffer.start
        if data.startswith(b"\r\n", start):
            buffer.start += 2
            return PLAIN_END
        end = data.find(b"\r\n\r\n", start + self._searched) + 4
        size = (end if end > 3 else len(data)) - start
        if size > self._limits.trailers:
            message = f"trailer section of more than {self._limits.trailers} bytes"
            raise RemoteProtocolError(message, error_status_hint=431)
        if end <= 3:
            if BARE_LINE_FEED.search(data, start + self._searched):
                raise RemoteProtocolError(f"illegal trailer section: {first_line(data[start:])}")
            self._searched = max(0, size - 3)
            return None
        lines = TRAILING_BLANKS.sub(b"", b"\r\n" + data[start : end - 2])[:-2]
        if FIELD_BLOCK.fullmatch(lines) is None:
            raise illegal_field_line(lines + b"\r\n")
        check_field_count(lines, self._limits)
        buffer.start = end
        return end_of_message_from_wire(headers_from_wire(lines))


class CoalescingChunkedReader(ChunkedReader):
    """Reads a chunked body, but delivers what is buffered of it as one piece, however many chunks it came in."""

    __slots__ = ()

    def read(self) -> Data | EndOfMessage | None:
        """Return what is buffered of the body, or its end."""
        pieces: list[bytes | bytearray] = []
        try:
            while self.left > 0 or self._begin_chunk():
                data = self._buffer.take(self.left)
                if not data:
                    break
                self.skip(len(data))
                pieces.append(data)
                if self._plain_next and self._line_end_due and self._end_chunk():
                    self._take_whole_chunks(pieces)
        except RemoteProtocolError:
            # Nothing of what is refused was consumed: the next call finds it again, behind the good bytes.
            if not pieces:
                raise
        if pieces:
            return Data(b"".join(pieces))
        return self._read_trailers() if self._in_trailers else None

    def _take_whole_chunks(self, pieces: list[bytes | bytearray]) -> None:
        """Take the chunks that are buffered with both line ends and have nothing beside their size.

        Whatever else follows, right or wrong, is left to `_begin_chunk`.
        """
        data, start = self._buffer.data, self._buffer.start
        while match := PLAIN_CHUNK_LINE.match(data, start):
            size = int(match[1], 16)
            begin = match.end()
            end = begin + size
            if size == 0 or data[end : end + 2] != b"\r\n":
                break
            pieces.append(data[begin:end])
            self._received += size
            start = end + 2
        self._buffer.start = start


def body_reader(
    length: int, buffer: ReceiveBuffer, limits: Limits, our_role: type[Sentinel], coalesce: bool
) -> NothingToRead:
    """Return the reader for a body whose length nobody knows: `CHUNKED` or `UNTIL_CLOSE`, as `framing` says."""
    if length == UNTIL_CLOSE:
        return UntilCloseReader(buffer)
    # A server must not be wider than the grammar: a proxy before it may have read the request to the letter.
    line = CHUNK_LINE_LENIENT if our_role is CLIENT else CHUNK_LINE_STRICT
    return (CoalescingChunkedReader if coalesce else ChunkedReader)(buffer, limits, line)
