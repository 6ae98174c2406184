"""From bytes to events: one reader for each kind of message part.

``read`` consumes the bytes of one event and returns it, or returns None if there are too few. ``read_eof`` says what the
end of the connection means at this point. ``left`` is how many next bytes on the wire are nothing but body.
What is wrong on the wire raises `RemoteProtocolError`; rules shared with the sending side raise `LocalProtocolError`,
which `Connection.next_event` turns round. Every limit is checked against one head, line or section, never against
what happens to be buffered, so that no verdict depends on how the bytes were cut. RFC 9112.
"""

from __future__ import annotations

import re
import sys
from typing import Final, TypeAlias

from .buffer import ReceiveBuffer
from .errors import RemoteProtocolError, excerpt
from .events import (
    PLAIN_END,
    Data,
    EndOfMessage,
    InformationalResponse,
    Request,
    Response,
    end_of_message_from_wire,
    request_from_wire,
    response_from_wire,
)
from .framing import CHUNKED, MAX_LENGTH, UNTIL_CLOSE
from .grammar import (
    CHUNK_LINE_LENIENT,
    CHUNK_LINE_STRICT,
    FIELD_BLOCK,
    FIELD_LINE,
    REQUEST_HEAD,
    REQUEST_LINE,
    RESPONSE_HEAD,
    STATUS_LINE,
    TOKEN,
)
from .headers import CONTROL_FIELDS, headers_from_wire
from .state import CloseReason

__all__ = [
    "NOTHING_TO_READ",
    "REFUSE_TO_READ",
    "BodyReader",
    "Limits",
    "Reader",
    "RequestReader",
    "ResponseReader",
    "body_reader",
]

BARE_LINE_FEED: Final = re.compile(rb"(?<!\r)\n")
#: The end of a head whose lines may end with LF alone.
LENIENT_END: Final = re.compile(rb"\n\r?\n")

#: Chunk extensions carry nothing for us. A peer may spend this many bytes on them and twice the size of the body, as in
#: Go (CVE-2023-39326); one that spends more wants to burn our time.
EXTENSION_ALLOWANCE: Final = 16 * 1024


class Limits:
    """What a peer may send before it is refused. All sizes in bytes, line ends included.

    Args:
        head: Start line and fields of one message.
        fields: Number of fields in one head, and in the trailers of one message.
        chunk_line: One chunk's size with its extensions.
        trailers: The trailer section of one message.
        informational: Number of 1xx responses before the final one.
    """

    __slots__ = ("chunk_line", "fields", "head", "informational", "trailers")

    def __init__(
        self,
        *,
        head: int = 64 * 1024,
        fields: int = 256,
        chunk_line: int = 4 * 1024,
        trailers: int = 64 * 1024,
        informational: int = 16,
    ) -> None:
        self.head = head
        self.fields = fields
        self.chunk_line = chunk_line
        self.trailers = trailers
        self.informational = informational


class NothingToRead:
    """Reads nothing: the peer's message is over, or its bytes are not HTTP."""

    __slots__ = ()
    left = 0

    def read(self) -> None:
        return None

    def read_eof(self) -> None:
        return None

    def skip(self, count: int) -> None:
        """Nothing is body here."""


class RefuseToRead(NothingToRead):
    """Refuses to read on behind an error of the peer's."""

    __slots__ = ()

    def read(self) -> None:
        raise RemoteProtocolError("Can't receive data when peer state is ERROR")


NOTHING_TO_READ: Final = NothingToRead()
REFUSE_TO_READ: Final = RefuseToRead()


class _HeadReader(NothingToRead):
    """What reading the two kinds of head has in common.

    Attributes:
        may_skip_line: One empty line before the head is ignored.
        close_reason: What was tolerated in the last head, if it is a reason not to use the connection again.
    """

    __slots__ = ("_buffer", "_limits", "_searched", "close_reason", "may_skip_line")

    def __init__(self, buffer: ReceiveBuffer, limits: Limits, may_skip_line: bool) -> None:
        self._buffer = buffer
        self._limits = limits
        self._searched = 0
        self.may_skip_line = may_skip_line
        self.close_reason: CloseReason | None = None

    def _match_head(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Consume one head that follows *pattern* to the letter; otherwise leave it to `_match_irregular_head`."""
        buffer = self._buffer
        start = buffer.start
        end = buffer.data.find(b"\r\n\r\n", start + self._searched) + 4
        if start < end <= start + self._limits.head:
            match = pattern.fullmatch(buffer.data, start, end)
            if match is not None:
                buffer.start = end
                self._searched = 0
                return match
        return None

    def _skip_empty_line(self) -> bool:
        """Consume an empty line where one is ignored, and tell whether there was one. RFC 9112 section 2.2."""
        buffer = self._buffer
        if not (self.may_skip_line and buffer.data.startswith(b"\r\n", buffer.start)):
            return False
        buffer.start += 2
        self._searched = 0
        self.may_skip_line = False
        return True

    def _is_half_empty_line(self) -> bool:
        return self.may_skip_line and len(self._buffer) == 1 and self._buffer.data.endswith(b"\r")

    def _check_size(self, size: int) -> None:
        if size <= self._limits.head:
            return
        buffer = self._buffer
        if buffer.data.find(b"\n", buffer.start, buffer.start + self._limits.head) < 0:
            raise RemoteProtocolError(
                f"start line of more than {self._limits.head} bytes", error_status_hint=414
            )
        raise RemoteProtocolError(f"head of more than {self._limits.head} bytes", error_status_hint=431)

    def _illegal_head(self, head: bytes, start_line: re.Pattern[bytes]) -> RemoteProtocolError:
        """Say which line of *head* is wrong."""
        match = start_line.match(head)
        if match is None:
            line, _, _ = head.partition(b"\r\n")
            return RemoteProtocolError(f"illegal start line: {excerpt(line)}")
        return _illegal_field_line(head, match.end())


class RequestReader(_HeadReader):
    """Reads the head of a request; nothing irregular is tolerated but one empty line before it."""

    __slots__ = ()

    def read(self) -> Request | None:
        match = self._match_head(REQUEST_HEAD)
        while match is None:
            if self._skip_empty_line():
                match = self._match_head(REQUEST_HEAD)
            elif self._is_incomplete():
                return None
        method, target, http_version, block = match.groups()
        if not http_version.startswith(b"1."):
            raise RemoteProtocolError(f"HTTP/{http_version.decode()} is not supported", error_status_hint=505)
        headers = headers_from_wire(block)
        _check_field_count(len(headers), self._limits)
        return request_from_wire(method, target, headers, http_version)

    def _is_incomplete(self) -> bool:
        """Return True if more bytes may complete the head.

        Raises:
            RemoteProtocolError: They cannot; no reason to wait for them.
        """
        buffer = self._buffer
        data, start = buffer.data, buffer.start
        if start == len(data) or self._is_half_empty_line():
            return True
        end = data.find(b"\r\n\r\n", start + self._searched)
        self._check_size(end + 4 - start if end >= 0 else len(buffer))
        if end >= 0:
            raise self._illegal_head(bytes(data[start : end + 4]), REQUEST_LINE)
        if TOKEN.match(data, start) is None or BARE_LINE_FEED.search(data, start + self._searched):
            raise RemoteProtocolError(f"this is no HTTP request: {excerpt(bytes(buffer))}")
        self._searched = max(0, len(buffer) - 3)
        return True


class ResponseReader(_HeadReader):
    """Reads the head of a response, as strictly as real servers allow.

    Tolerated, since a client has nobody else to ask: lines that end with LF alone (RFC 9112 section 2.2; the connection is not
    used again, since where the next response begins is then a matter of taste) and folded values (section 5.2) of fields that do
    not steer the protocol.
    """

    __slots__ = ()

    def read(self) -> Response | InformationalResponse | None:
        match = self._match_head(RESPONSE_HEAD)
        if match is None:
            match = self._match_irregular_head()
            if match is None:
                return None
        http_version, status_code, reason, block = match.groups(b"")
        headers = headers_from_wire(block)
        _check_field_count(len(headers), self._limits)
        return response_from_wire(int(status_code), reason, headers, http_version)

    def _match_irregular_head(self) -> re.Match[bytes] | None:
        buffer = self._buffer
        if self._skip_empty_line():
            self.close_reason = CloseReason.LEADING_EMPTY_LINE
        data, start = buffer.data, buffer.start
        if start == len(data) or self._is_half_empty_line():
            return None
        if not b"HTTP/1.".startswith(data[start : start + 7]):
            raise RemoteProtocolError(f"this is no HTTP/1 response: {excerpt(bytes(buffer))}")
        found = LENIENT_END.search(data, start + self._searched)
        self._check_size(found.end() - start if found else len(buffer))
        if found is None:
            self._searched = max(0, len(buffer) - 3)
            return None
        head = bytes(data[start : found.end()])
        if BARE_LINE_FEED.search(head):
            self.close_reason = CloseReason.BARE_LINE_FEED
            head = BARE_LINE_FEED.sub(b"\r\n", head)
        head = _unfold(head)
        match = RESPONSE_HEAD.fullmatch(head)
        if match is None:
            raise self._illegal_head(head, STATUS_LINE)
        buffer.start = found.end()
        self._searched = 0
        return match


class LengthReader:
    """Reads a body of a known number of bytes."""

    __slots__ = ("_buffer", "_length", "left")

    def __init__(self, buffer: ReceiveBuffer, length: int) -> None:
        self._buffer = buffer
        self._length = length
        self.left = length

    def read(self) -> Data | EndOfMessage | None:
        if self.left == 0:
            return PLAIN_END
        data = self._buffer.take(self.left)
        if not data:
            return None
        self.left -= len(data)
        return Data(data)

    def read_eof(self) -> None:
        raise RemoteProtocolError(
            "peer closed connection without sending complete message body "
            f"(received {self._length - self.left} bytes, expected {self._length})"
        )

    def skip(self, count: int) -> None:
        self.left -= count


class UntilCloseReader:
    """Reads a body that only the end of the connection ends."""

    __slots__ = ("_buffer", "left")

    def __init__(self, buffer: ReceiveBuffer) -> None:
        self._buffer = buffer
        self.left = sys.maxsize

    def read(self) -> Data | None:
        data = self._buffer.take(sys.maxsize)
        return Data(data) if data else None

    def read_eof(self) -> EndOfMessage:
        return PLAIN_END

    def skip(self, count: int) -> None:
        """Nothing to count down: there is no end but the connection's."""


class ChunkedReader:
    """Reads a chunked body and its trailers. RFC 9112 section 7.1."""

    __slots__ = (
        "_at_start",
        "_buffer",
        "_extension_bytes",
        "_in_trailers",
        "_limits",
        "_line",
        "_line_end_due",
        "_received",
        "_searched",
        "left",
    )

    def __init__(self, buffer: ReceiveBuffer, limits: Limits, line: re.Pattern[bytes]) -> None:
        self._buffer = buffer
        self._limits = limits
        self._line = line
        self.left = 0
        self._at_start = False  # no byte of the current chunk was delivered yet
        self._line_end_due = False  # the CRLF behind a chunk's bytes is still to come
        self._in_trailers = False
        self._searched = 0
        self._received = 0
        self._extension_bytes = 0

    def read(self) -> Data | EndOfMessage | None:
        if self.left == 0 and not self._begin_chunk():
            return self._read_trailers() if self._in_trailers else None
        data = self._buffer.take(self.left)
        if not data:
            return None
        at_start = self._at_start
        self.skip(len(data))
        return Data(data, at_start, self.left == 0)

    def read_eof(self) -> None:
        raise RemoteProtocolError(
            "peer closed connection without sending complete message body (incomplete chunked read)"
        )

    def skip(self, count: int) -> None:
        self.left -= count
        self._received += count
        self._at_start = False
        self._line_end_due = self.left == 0

    def _begin_chunk(self) -> bool:
        """Consume the line that begins a chunk, and tell whether there was one that announces bytes."""
        if self._in_trailers:
            return False
        buffer = self._buffer
        if self._line_end_due and not self._end_chunk():
            return False
        data, start = buffer.data, buffer.start
        end = data.find(b"\r\n", start + self._searched, start + self._limits.chunk_line) + 2
        match = self._line.fullmatch(data, start, end) if end > 1 else None
        if match is None:
            self._check_chunk_line(end)
            return False
        buffer.start = end
        self._searched = 0
        size, extensions = match.groups()
        if extensions:
            self._count_extensions(len(extensions))
        self.left = int(size, 16)
        if self.left > MAX_LENGTH:
            raise RemoteProtocolError(f"chunk size {excerpt(size)}: expected at most 2**63 - 1")
        self._in_trailers = self.left == 0
        self._at_start = True
        return self.left > 0

    def _end_chunk(self) -> bool:
        """Consume the CRLF behind a chunk's bytes, and tell whether it was there (CVE-2025-43859: it need not be a CRLF)."""
        buffer = self._buffer
        end = buffer.data[buffer.start : buffer.start + 2]
        if end == b"\r\n":
            buffer.start += 2
            self._line_end_due = False
            return True
        if end and end != b"\r":
            raise RemoteProtocolError(f"malformed chunk end: expected CRLF, not {excerpt(end)}")
        return False

    def _check_chunk_line(self, end: int) -> None:
        """Return if more bytes may complete the line; *end* is where it ends, or less than 2."""
        buffer = self._buffer
        data, start = buffer.data, buffer.start
        if end > 1:
            raise RemoteProtocolError(f"illegal chunk header: {excerpt(data[start:end])}")
        if len(buffer) >= self._limits.chunk_line:
            raise RemoteProtocolError(f"chunk header of more than {self._limits.chunk_line} bytes")
        if BARE_LINE_FEED.search(data, start + self._searched):
            raise RemoteProtocolError(f"illegal chunk header: {excerpt(bytes(buffer))}")
        self._searched = max(0, len(buffer) - 1)

    def _count_extensions(self, count: int) -> None:
        self._extension_bytes += count
        if self._extension_bytes > EXTENSION_ALLOWANCE + 2 * self._received:
            raise RemoteProtocolError(
                f"{self._extension_bytes} bytes of chunk extensions are more than the body"
            )

    def _read_trailers(self) -> EndOfMessage | None:
        buffer = self._buffer
        data, start = buffer.data, buffer.start
        if data.startswith(b"\r\n", start):
            buffer.start += 2
            return PLAIN_END
        end = data.find(b"\r\n\r\n", start + self._searched) + 2
        if (end + 2 - start if end > 1 else len(buffer)) > self._limits.trailers:
            raise RemoteProtocolError(
                f"trailer section of more than {self._limits.trailers} bytes", error_status_hint=431
            )
        if end < 2:
            if BARE_LINE_FEED.search(data, start + self._searched):
                raise RemoteProtocolError(f"illegal trailer section: {excerpt(bytes(buffer))}")
            self._searched = max(0, len(buffer) - 3)
            return None
        if FIELD_BLOCK.fullmatch(data, start, end) is None:
            raise _illegal_field_line(bytes(data[start:end]), 0)
        headers = headers_from_wire(bytes(data[start:end]))
        _check_field_count(len(headers), self._limits)
        buffer.start = end + 2
        return end_of_message_from_wire(headers)


class CoalescingChunkedReader(ChunkedReader):
    """Reads a chunked body, but delivers what is buffered of it as one piece, however many chunks it came in."""

    __slots__ = ()

    def read(self) -> Data | EndOfMessage | None:
        pieces = []
        while self.left > 0 or self._begin_chunk():
            data = self._buffer.take(self.left)
            if not data:
                break
            self.skip(len(data))
            pieces.append(data)
        if pieces:
            return Data(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        return self._read_trailers() if self._in_trailers else None


BodyReader: TypeAlias = LengthReader | UntilCloseReader | ChunkedReader
Reader: TypeAlias = RequestReader | ResponseReader | BodyReader | NothingToRead


def body_reader(
    length: int, buffer: ReceiveBuffer, limits: Limits, *, of_response: bool, coalesce: bool
) -> BodyReader:
    """Return the reader for a body of *length*, as `framing` gives it."""
    if length == CHUNKED:
        # A server must not be wider than the grammar: a proxy before it may have read the request to the letter.
        line = CHUNK_LINE_LENIENT if of_response else CHUNK_LINE_STRICT
        return (CoalescingChunkedReader if coalesce else ChunkedReader)(buffer, limits, line)
    if length == UNTIL_CLOSE:
        return UntilCloseReader(buffer)
    return LengthReader(buffer, length)


def _check_field_count(count: int, limits: Limits) -> None:
    if count > limits.fields:
        raise RemoteProtocolError(f"{count} header fields, more than {limits.fields}", error_status_hint=431)


def _unfold(head: bytes) -> bytes:
    """Join folded lines with one blank each, but for the fields that steer the protocol. RFC 9112 section 5.2."""
    if b"\r\n " not in head and b"\r\n\t" not in head:
        return head
    lines = head.split(b"\r\n")
    unfolded = lines[:1]
    for line in lines[1:]:
        name = unfolded[-1].partition(b":")[0].lower()
        if line.startswith((b" ", b"\t")) and len(unfolded) > 1 and name not in CONTROL_FIELDS:
            unfolded[-1] += b" " + line.lstrip(b" \t")
        else:
            unfolded.append(line)
    return b"\r\n".join(unfolded)


def _illegal_field_line(block: bytes, start: int) -> RemoteProtocolError:
    """Find the first line of *block*, from *start*, that is no field line."""
    while match := FIELD_LINE.match(block, start):
        start = match.end()
    line = block[start:].partition(b"\r\n")[0]
    return RemoteProtocolError(f"illegal header line: {excerpt(line)}")
