"""Does a long head cost more a byte than a short one, however the peer cuts and shapes it?

Unit: nanoseconds of CPU time a byte received. Baseline: the same bytes as 64 heads of 1 KiB. What is quadratic in the
head shows 64 times the baseline; three times would already be too much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from client import protocol
from tests.benchmarks.measure import Pace, Table, compare, ratio_by_round
from tests.benchmarks.target import Target

__all__ = ["HEADS", "SHAPES", "SHORT", "receive", "run"]

SHORT = 1024
HEADS = 63  # one long head of 63 KiB stays below the limit of 64
STATUS_LINE = b"HTTP/1.1 200 OK\r\n"
END = b"Content-Length: 0\r\n\r\n"
REQUEST_LINE = b"GET / HTTP/1.1\r\n"
HOST = b"Host: h\r\n\r\n"

REQUEST = protocol.Request(method="GET", target="/", headers=[("Host", "h")])
END_OF_REQUEST = protocol.EndOfMessage()


def run(target: Target, pace: Pace) -> Iterator[Table]:
    """Measure each shape of head byte by byte and whole."""
    for shape, build in SHAPES.items():
        for step, cut in ((1, "byte by byte"), (SHORT * HEADS, "whole")):
            yield measured(f"head of {shape}, {cut}", build, step, pace)


def measured(title: str, build: Callable[[int], bytes], step: int, pace: Pace) -> Table:
    """Compare one long head with as many bytes of short ones."""
    short, long = build(SHORT), build(SHORT * HEADS)

    def short_ones() -> None:
        for _ in range(HEADS):
            receive(short, step)

    table = compare(
        title, {"63 x 1 KiB": short_ones, "1 x 63 KiB": lambda: receive(long, step)}, pace, calls=len(long)
    )
    table.unit = (1e9, "ns")
    ratio = ratio_by_round(table.rows[1], table.rows[0])
    table.note = f"a byte of the long head / a byte of a short one: {ratio:.2f}"
    return table


def receive(head: bytes, step: int) -> None:
    """Feed *head* in pieces of *step* bytes, and ask for an event after each, as a caller with a slow peer does."""
    connection = waiting_for(head)
    for at in range(0, len(head), step):
        connection.receive_data(head[at : at + step])
        connection.next_event()


def waiting_for(head: bytes) -> protocol.Connection:
    """Return a connection that expects the kind of message that *head* begins."""
    if not head.startswith(b"HTTP/"):
        return protocol.Connection(protocol.SERVER)
    connection = protocol.Connection(protocol.CLIENT)
    connection.send(REQUEST)
    connection.send(END_OF_REQUEST)
    return connection


def filled(size: int, start: bytes, filler: bytes, end: bytes) -> bytes:
    """Return a head of about *size* bytes: *start*, as many *filler* as fit, *end*."""
    return start + filler * ((size - len(start) - len(end)) // len(filler)) + end


SHAPES: dict[str, Callable[[int], bytes]] = {
    "one long field (response)": lambda size: filled(size, STATUS_LINE + b"X: ", b"a", b"\r\n" + END),
    "one long field (request)": lambda size: filled(size, REQUEST_LINE + b"X: ", b"a", b"\r\n" + HOST),
    "folded lines": lambda size: filled(size, STATUS_LINE + b"X: a\r\n", b" b\r\n", END),
    "lines that end with LF": lambda size: filled(size, STATUS_LINE, b"X: " + b"a" * 400 + b"\n", END),
    "a method without end": lambda size: filled(size, b"", b"A", b""),
    "a target without end": lambda size: filled(size, b"GET /", b"a", b""),
    "a reason without end": lambda size: filled(size, STATUS_LINE.rstrip(), b"a", b""),
    "a request without end": lambda size: filled(size, REQUEST_LINE, b"X: " + b"a" * 400 + b"\r\n", b""),
    "bare CR": lambda size: filled(size, STATUS_LINE + b"X: ", b"\r", b""),
    "blanks": lambda size: filled(size, STATUS_LINE + b"X: a", b" \t", b"b\r\n" + END),
}
