"""From pieces of a body to its lines, and from lines to server-sent events.

The law of the room: the result does not depend on where the network cut the pieces, and each character is
looked at once however long a line gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, AnyStr

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ServerSentEvent", "events", "split", "split_lines"]


def split(pieces: Iterable[AnyStr], delimiter: AnyStr) -> Iterator[AnyStr]:
    """Yield what stands between two of *delimiter*; one at the very end starts no further item."""
    pending: list[AnyStr] = []
    overlap = len(delimiter) - 1
    empty = delimiter[:0]
    tail = empty  # the end of what is pending, where a delimiter may have been cut
    for piece in pieces:
        if delimiter not in tail + piece:
            pending.append(piece)
            tail = (tail + piece)[-overlap:] if overlap else empty
            continue
        items = (empty.join(pending) + piece).split(delimiter)
        rest = items.pop()
        yield from items
        pending = [rest]
        tail = rest[-overlap:] if overlap else empty
    if last := empty.join(pending):
        yield last


def split_lines(pieces: Iterable[AnyStr], line_feed: AnyStr, carriage_return: AnyStr) -> Iterator[AnyStr]:
    """Yield lines without their end, which is LF or CRLF.

    Nothing else ends a line: CR alone, form feed and U+2028 may stand inside a JSON string or a CSV field,
    where `str.splitlines` would cut.
    """
    for line in split(pieces, line_feed):
        yield line.removesuffix(carriage_return)


class ServerSentEvent:
    """One event of a ``text/event-stream``.

    Args:
        event: The event's type, ``"message"`` if the stream names none.
        data: The data lines, joined by LF.
        id: The last event id that the stream has set so far, ``""`` if none; to resume after it, send it as
            Last-Event-ID.
        retry: Milliseconds to wait before a reconnection, as last set by the stream; None if it never was.
    """

    __slots__ = ("data", "event", "id", "retry")

    def __init__(
        self, event: str = "message", data: str = "", id: str = "", retry: int | None = None
    ) -> None:
        """Hold the four facts."""
        self.event: str = event
        self.data: str = data
        self.id: str = id
        self.retry: int | None = retry

    def __eq__(self, other: object) -> bool:
        """Compare all four."""
        return isinstance(other, ServerSentEvent) and self._facts() == other._facts()

    def __hash__(self) -> int:
        """Hash all four."""
        return hash(self._facts())

    def _facts(self) -> tuple[str, str, str, int | None]:
        return self.event, self.data, self.id, self.retry

    def __repr__(self) -> str:
        """Show all four."""
        return (
            f"ServerSentEvent(event={self.event!r}, data={self.data!r}, id={self.id!r}, retry={self.retry!r})"
        )


def events(pieces: Iterable[str]) -> Iterator[ServerSentEvent]:
    """Yield the events of a stream of text (WHATWG HTML section 9.2.6, "Interpreting an event stream").

    An event that the end of the stream cuts off is dropped, as the standard says: its blank line is missing.
    """
    event_type = ""
    data: list[str] = []
    last_id = ""
    retry: int | None = None
    for line in _sse_lines(pieces):
        if not line:
            if data:
                yield ServerSentEvent(event_type or "message", "\n".join(data), last_id, retry)
            event_type, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            event_type = value
        elif field == "id":
            last_id = last_id if "\0" in value else value
        elif field == "retry" and value.isascii() and value.isdigit() and len(value) <= 18:
            retry = int(value)  # 18 digits: 30 million years; int() of a million digits takes seconds


def _sse_lines(pieces: Iterable[str]) -> Iterator[str]:
    """Yield lines that end in LF, CRLF or CR; a last one without an end is dropped."""
    pending: list[str] = []
    after_carriage_return = False
    for piece in pieces:
        if not piece:
            continue
        if after_carriage_return:
            piece = piece.removeprefix("\n")  # the line ended at the CR; this LF belongs to it
        after_carriage_return = piece.endswith("\r")
        if "\r" in piece:
            piece = piece.replace("\r\n", "\n").replace("\r", "\n")
        first, *lines = piece.split("\n")
        pending.append(first)
        if lines:
            yield "".join(pending)
            *lines, rest = lines
            yield from lines
            pending = [rest]
