"""From bytes to events: what all readers share, and those for the two kinds of head.

``read`` consumes the bytes of one event and returns it, or returns None if there are too few. ``read_eof``
says what the end of the connection means at this point. What is wrong on the wire raises
`RemoteProtocolError`; rules shared with the sending side raise `LocalProtocolError`, which
`Connection.next_event` turns round. Every limit is checked against one head, line or section, never against
what happens to be buffered, so that no verdict depends on how the bytes were cut. RFC 9112 sections 2 to 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from .errors import RemoteProtocolError, excerpt
from .events import request_from_wire, response_from_wire
from .grammar import (
    BARE_LINE_FEED,
    CONTROL_FIELDS,
    FIELD_LINE,
    FIELD_SECTION,
    FOLD,
    HEAD_END,
    HEAD_END_LENIENT,
    REQUEST_BEGINNING,
    REQUEST_LINE,
    RESPONSE_BEGINNING,
    STATUS_LINE,
    TRAILING_BLANKS,
)
from .headers import NO_HEADERS, headers_from_wire, lower_coding, mentions_secret, merge_equal_lengths
from .state import CloseReason

if TYPE_CHECKING:
    import re

    from .buffer import ReceiveBuffer
    from .events import Data, EndOfMessage, InformationalResponse, Request, Response
    from .limits import Limits

__all__ = [
    "NOTHING_TO_READ",
    "REFUSE_TO_READ",
    "HeadReader",
    "NothingToRead",
    "RequestReader",
    "ResponseReader",
    "check_field_count",
    "first_line",
    "illegal_field_line",
]

AnyEvent: TypeAlias = "Request | InformationalResponse | Response | Data | EndOfMessage"


class NothingToRead:
    """Reads nothing: the peer's message is over, or its bytes are not HTTP. The base class of all readers.

    Attributes:
        left: How many next bytes on the wire are nothing but body.
    """

    __slots__ = ()
    left = 0

    def read(self) -> AnyEvent | None:
        """Return the next event, None if there are too few bytes for it."""
        return None

    def read_eof(self) -> EndOfMessage | None:
        """Return what the end of the connection completes, None if nothing was begun."""
        return None

    def skip(self, count: int) -> None:
        """Count *count* bytes of body that bypassed the buffer."""


class RefuseToRead(NothingToRead):
    """Refuses to read on behind an error of the peer's."""

    __slots__ = ()

    def read(self) -> None:
        """Raise, whatever there is."""
        raise RemoteProtocolError("Can't receive data when peer state is ERROR")


NOTHING_TO_READ: Final = NothingToRead()
REFUSE_TO_READ: Final = RefuseToRead()


class HeadReader(NothingToRead):
    """What reading the two kinds of head has in common.

    On one connection field sections repeat: a client sends the same fields to many targets, and a server that is
    asked often answers alike within a second. So the reader remembers the last section, and what it was found to
    mean: equal bytes mean the same, whatever came between. One comparison decides; there is one section to
    compare with, no longer than ``Limits.head``; and it stays as long as the connection, like what was last
    received, in which it stood.

    Attributes:
        may_skip_line: One empty line before the head is ignored. RFC 9112 section 2.2.
        close_reason: What was tolerated in a head, if it is a reason not to use the connection again.
    """

    __slots__ = ("_buffer", "_headers", "_limits", "_searched", "_section", "close_reason", "may_skip_line")

    start_line: ClassVar[re.Pattern[bytes]]
    head_end: ClassVar[re.Pattern[bytes]]
    beginning: ClassVar[re.Pattern[bytes]]
    merges_lengths: ClassVar[bool]  # several equal Content-Lengths count as one

    def __init__(self, buffer: ReceiveBuffer, limits: Limits, *, may_skip_line: bool) -> None:
        self._buffer = buffer
        self._limits = limits
        self._searched = 0  # so many bytes at the buffer's start do not hold the end of the head
        self._section = b"\r\n\r\n"  # the last field section, here one without fields, with its empty line
        self._headers = NO_HEADERS  # what it means
        self.may_skip_line: bool = may_skip_line
        self.close_reason: CloseReason | None = None

    def _read_head(self) -> re.Match[bytes] | None:
        """Consume one head. Return its start line, with its fields in ``_headers``; None if it is not complete.

        Raises:
            RemoteProtocolError: It is illegal, or too long; or it is not complete, and nothing can make it
                legal.
        """
        buffer = self._buffer
        data, start = buffer.data, buffer.start
        # The first look at a head tries to match it; if that fails, only its end is looked for, which costs
        # less the more often it is done.
        if self._searched == 0 or data.find(b"\r\n\r\n", start + self._searched) >= 0:
            line = self.start_line.match(data, start)
            if line is not None:
                at, limit = line.end(), start + self._limits.head
                if data.startswith(self._section, at) or self._learn(FIELD_SECTION.match(data, at, limit)):
                    end = at + len(self._section)
                    if end <= limit:
                        buffer.start = end
                        self._searched = 0
                        return line
        return self._read_irregular_head()

    def _learn(self, section: re.Match[bytes] | None) -> bool:
        """Find out what *section* means, and remember it; tell whether there is one."""
        if section is None:
            return False
        lines = section[1]
        if len(lines) > 4 * self._limits.fields:  # the shortest field has a CRLF, a letter and a colon
            check_field_count(lines, self._limits)
        headers = headers_from_wire(lines)
        control = headers.control
        if b"transfer-encoding" in control:
            headers = lower_coding(headers)
        if self.merges_lengths and b"content-length" in control and not control[b"content-length"].isdigit():
            headers = merge_equal_lengths(headers)
        self._headers = headers
        self._section = section[0]
        return True

    def _read_irregular_head(self) -> re.Match[bytes] | None:
        """Do what `_read_head` does for a head that is incomplete, illegal, or legal but not to the letter."""
        buffer = self._buffer
        if self.may_skip_line and buffer.data.startswith(b"\r\n", buffer.start):
            self._skip_line()
        data, start = buffer.data, buffer.start
        size = len(data) - start
        if size == 0 or (size == 1 and self.may_skip_line and data.endswith(b"\r")):
            return None
        found = self.head_end.search(data, start + self._searched)
        self._check_beginning(data, start, found.end() if found else len(data))
        self._check_size(found.end() - start if found else size)
        if found is None:
            self._searched = max(0, size - 3)
            return None
        head = self._tidy(bytes(data[start : found.end()]))
        line = self.start_line.match(head)
        if line is None or not self._learn(FIELD_SECTION.fullmatch(head, line.end())):
            raise self._illegal(head, line)
        buffer.start = found.end()
        self._searched = 0
        return line

    def _skip_line(self) -> None:
        self._buffer.start += 2
        self._searched = 0
        self.may_skip_line = False

    def _check_beginning(self, data: bytes | bytearray, start: int, end: int) -> None:
        """Raise if no head begins like ``data[start:end]``, so that nobody waits for the rest of it."""
        has_line_feed = self.head_end is HEAD_END and BARE_LINE_FEED.search(data, start + self._searched, end)
        if has_line_feed or self.beginning.match(data, start) is None:
            raise RemoteProtocolError(f"this is no HTTP/1 head: {first_line(data[start:])}")

    def _check_size(self, size: int) -> None:
        limit = self._limits.head
        if size > limit:
            buffer = self._buffer
            if buffer.data.find(b"\n", buffer.start, buffer.start + limit) < 0:
                raise RemoteProtocolError(f"start line of more than {limit} bytes", error_status_hint=414)
            raise RemoteProtocolError(f"head of more than {limit} bytes", error_status_hint=431)

    def _tidy(self, head: bytes) -> bytes:
        """Return *head* to the letter of the grammar, as far as it is legal: no blanks behind the values."""
        fields = head.find(b"\r\n") + 2
        return head[:fields] + TRAILING_BLANKS.sub(b"", head[fields:])

    def _illegal(self, head: bytes, start_line: re.Match[bytes] | None) -> RemoteProtocolError:
        if start_line is not None:
            return illegal_field_line(head[start_line.end() :])
        return RemoteProtocolError(f"illegal start line: {first_line(head)}")


class RequestReader(HeadReader):
    """Reads the head of a request; nothing irregular is tolerated but an empty line before it."""

    __slots__ = ()
    start_line = REQUEST_LINE
    head_end = HEAD_END
    beginning = REQUEST_BEGINNING
    merges_lengths = False

    def read(self) -> Request | None:
        """Return the next request, None if its head is incomplete."""
        line = self._read_head()
        if line is None:
            return None
        method, target, http_version = line.groups()
        if not http_version.startswith(b"1."):
            raise RemoteProtocolError(f"HTTP/{http_version.decode()} is not supported", error_status_hint=505)
        return request_from_wire(method, target, self._headers, http_version)


class ResponseReader(HeadReader):
    """Reads the head of a response, as strictly as real servers allow.

    Tolerated, since a client has nobody else to ask: lines that end with LF alone (RFC 9112 section 2.2; the
    connection is not used again, since not all agree where such a head ends), and folded values (section 5.2)
    of fields that do not steer the protocol.
    """

    __slots__ = ()
    start_line = STATUS_LINE
    head_end = HEAD_END_LENIENT
    beginning = RESPONSE_BEGINNING
    merges_lengths = True

    def read(self) -> Response | InformationalResponse | None:
        """Return the next response, None if its head is incomplete."""
        line = self._read_head()
        if line is None:
            return None
        http_version, status_code, reason = line.groups(b"")
        return response_from_wire(int(status_code), reason, self._headers, http_version)

    def _skip_line(self) -> None:
        super()._skip_line()
        self.close_reason = CloseReason.LEADING_EMPTY_LINE

    def _tidy(self, head: bytes) -> bytes:
        if BARE_LINE_FEED.search(head):
            self.close_reason: CloseReason | None = CloseReason.BARE_LINE_FEED
            head = BARE_LINE_FEED.sub(b"\r\n", head)
        return super()._tidy(unfold(head))


def check_field_count(block: bytes, limits: Limits) -> None:
    """Raise if *block* has more field lines than *limits* allow."""
    count = block.count(b"\n")
    if count > limits.fields:
        raise RemoteProtocolError(f"{count} fields, more than {limits.fields}", error_status_hint=431)


def unfold(head: bytes) -> bytes:
    """Replace each fold with one blank; leave *head* as it is if a field that steers the protocol has one."""
    name = None
    for line in head.split(b"\r\n")[1:]:
        if not line.startswith((b" ", b"\t")):
            name = line.partition(b":")[0].lower()
        elif name is None or name in CONTROL_FIELDS:
            return head
    return FOLD.sub(b" ", head)


def illegal_field_line(block: bytes) -> RemoteProtocolError:
    """Find the first line of *block* that is no field line."""
    start = 0
    while match := FIELD_LINE.match(block, start):
        start = match.end()
    return RemoteProtocolError(f"illegal header line: {first_line(block[start + 2 :])}")


def first_line(data: bytes | bytearray) -> str:
    """Show what stands before the first line end in *data*, but no credential, nor a fold, which may continue one."""
    line = bytes(data.partition(b"\n")[0]).rstrip(b"\r")
    hidden = line.startswith((b" ", b"\t")) or mentions_secret(line)
    return f"<{len(line)} bytes>" if hidden else excerpt(line)
