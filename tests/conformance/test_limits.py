"""The limits hold however the bytes are cut, also when a whole message arrives in one piece.

h11 looked at its limit only while a message was incomplete, so that a megabyte of header in one segment passed where
the same in two was refused: a limit that the attacker's network chooses.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from client import protocol
from tests.conformance.feeding import drain, open_connection
from tests.conformance.rows import Context

HEAD_BYTES = 64 * 1024
FIELDS = 256
CHUNK_LINE_BYTES = 4096
INFORMATIONAL = 16

Build = Callable[[int], bytes]
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def head_of(size: int, start: bytes = OK, end: bytes = b"Content-Length: 0\r\n\r\n") -> bytes:
    """A head of *size* bytes, its start line and its empty line counted."""
    filler = size - len(start) - len(end) - len(b"X: \r\n")
    return start + b"X: " + b"a" * filler + b"\r\n" + end


def fields_of(count: int) -> bytes:
    """A response head with *count* fields."""
    return OK + b"X: y\r\n" * (count - 1) + b"Content-Length: 0\r\n\r\n"


def chunk_line_of(size: int) -> bytes:
    """A chunked response whose first chunk line has *size* bytes, its CRLF counted."""
    return CHUNKED + b"1;" + b"a" * (size - 4) + b"\r\nx\r\n0\r\n\r\n"


def trailers_of(size: int) -> bytes:
    """A chunked response with a trailer section of *size* bytes, its empty line counted."""
    return CHUNKED + b"0\r\nX: " + b"a" * (size - 7) + b"\r\n\r\n"


def trailer_fields_of(count: int) -> bytes:
    """A chunked response with *count* trailer fields."""
    return CHUNKED + b"0\r\n" + b"X: y\r\n" * count + b"\r\n"


def informational_of(count: int) -> bytes:
    """*count* interim responses and a final one."""
    return b"HTTP/1.1 103 E\r\n\r\n" * count + OK + b"Content-Length: 0\r\n\r\n"


LIMITS = [
    pytest.param(Context.GET, head_of, HEAD_BYTES, id="response head"),
    pytest.param(Context.GET, fields_of, FIELDS, id="response fields"),
    pytest.param(Context.GET, chunk_line_of, CHUNK_LINE_BYTES, id="chunk line"),
    pytest.param(Context.GET, trailers_of, HEAD_BYTES, id="trailers"),
    pytest.param(Context.GET, trailer_fields_of, FIELDS, id="trailer fields"),
    pytest.param(Context.GET, informational_of, INFORMATIONAL, id="1xx"),
    pytest.param(
        Context.SERVER,
        lambda size: head_of(size, b"GET / HTTP/1.1\r\n", b"Host: h\r\n\r\n"),
        HEAD_BYTES,
        id="request head",
    ),
    pytest.param(
        Context.SERVER,
        lambda size: b"GET /" + b"a" * (size - 27) + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        HEAD_BYTES,
        id="target",
    ),
    pytest.param(
        Context.SERVER,
        lambda size: POST + b"0\r\nX: " + b"a" * (size - 7) + b"\r\n\r\n",
        HEAD_BYTES,
        id="request trailers",
    ),
]
FEEDS: dict[str, Callable[[bytes], list[bytes]]] = {
    "whole": lambda wire: [wire],
    "halves": lambda wire: [wire[: len(wire) // 2], wire[len(wire) // 2 :]],
    "last byte apart": lambda wire: [wire[:-1], wire[-1:]],
    "last line end apart": lambda wire: [wire[:-2], wire[-2:]],
    "segments": lambda wire: [wire[at : at + 1460] for at in range(0, len(wire), 1460)],
    "bytes": lambda wire: [wire[at : at + 1] for at in range(len(wire))],
}


@pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS)
@pytest.mark.parametrize(("context", "build", "limit"), LIMITS)
def test_limit(context: Context, build: Build, limit: int, feed: Callable[[bytes], list[bytes]]) -> None:
    assert accepted(context, feed(build(limit))), "what the limit allows"
    assert not accepted(context, feed(build(limit + 1))), "one more"


@pytest.mark.parametrize(("context", "build", "limit"), LIMITS)
def test_limit_holds_before_the_end_arrives(context: Context, build: Build, limit: int) -> None:
    """A peer that never ends its line is not listened to for ever."""
    wire = build(4 * HEAD_BYTES)
    connection = open_connection(context)
    for at in range(0, len(wire) // 2, 64):
        connection.receive_data(wire[at : at + 64])
        if drain(connection, []) is not None:
            return

    raise AssertionError(f"{len(wire) // 2} bytes of an unfinished element were kept")


def test_the_argument_of_h11_is_still_a_limit() -> None:
    connection = protocol.Connection(protocol.SERVER, max_incomplete_event_size=1000)
    connection.receive_data(head_of(1001, b"GET / HTTP/1.1\r\n", b"Host: h\r\n\r\n"))

    error = drain(connection, [])

    assert error is not None
    assert 431 == error.error_status_hint


def test_limits_can_be_set() -> None:
    """A head of 200 bytes and 3 fields, 16 bytes of chunk line, one 1xx: each refuses alone."""
    tight = {
        "head": head_of(201),
        "fields": fields_of(4),
        "chunk line": chunk_line_of(17),
        "1xx": informational_of(2),
    }
    for what, wire in tight.items():
        connection = protocol.Connection(protocol.CLIENT, limits=tight_limits())
        connection.send(protocol.Request(method="GET", target="/", headers=[("Host", "h")]))
        connection.receive_data(wire)
        assert drain(connection, []) is not None, what


def tight_limits() -> protocol.Limits:
    return protocol.Limits(head=200, fields=3, chunk_line=16, informational=1)


@pytest.mark.parametrize(
    ("context", "line"),
    [
        pytest.param(Context.GET, b"1;" + b"a" * 4000 + b"\r\nx\r\n", id="client, long"),
        pytest.param(Context.GET, b"1;a=bcd\r\nx\r\n", id="client, short"),
        pytest.param(Context.GET, b"1" + b" " * 4000 + b"\r\nx\r\n", id="client, blanks"),
        pytest.param(Context.SERVER, b"1;" + b"a" * 4000 + b"\r\nx\r\n", id="server, long"),
        pytest.param(Context.SERVER, b"1;a=bcd\r\nx\r\n", id="server, short"),
    ],
)
@pytest.mark.parametrize("coalesce_chunks", [False, True], ids=["one by one", "coalesced"])
def test_extensions_cannot_outweigh_the_body(context: Context, line: bytes, coalesce_chunks: bool) -> None:
    """One byte of body in 4 KiB of line makes the receiver work 4000 times for its user's count (CVE-2023-39326).

    More than 16 KiB of extensions and padding beyond twice the body is refused, in segments and in one piece.
    """
    head = CHUNKED if context is Context.GET else POST
    for pieces in ([head, *[line] * 6000], [head + line * 6000]):
        connection = open_connection(context, coalesce_chunks=coalesce_chunks)
        events: list[protocol.Event] = []
        error = None
        for piece in pieces:
            connection.receive_data(piece)
            error = drain(connection, events)
            if error is not None:
                break

        assert error is not None, "6000 one-byte chunks, each with overhead"
        overhead = len(line) - len(b"1\r\nx\r\n")
        delivered = sum(len(event.data) for event in events if isinstance(event, protocol.Data))
        assert delivered * overhead <= 16 * 1024 + 2 * delivered


def test_many_small_chunks_are_an_ordinary_body() -> None:
    """Many chunks are slow, not hostile: without extensions there is no overhead to refuse."""
    connection = open_connection(Context.GET)
    connection.receive_data(CHUNKED)
    events: list[protocol.Event] = []
    for _ in range(1000):
        connection.receive_data(b"1\r\nx\r\n" * 50)
        assert drain(connection, events) is None
    connection.receive_data(b"0\r\n\r\n")
    assert drain(connection, events) is None

    assert 50_000 == sum(len(event.data) for event in events if isinstance(event, protocol.Data))


def accepted(context: Context, pieces: list[bytes]) -> bool:
    connection = open_connection(context)
    for piece in pieces:
        connection.receive_data(piece)
        if drain(connection, []) is not None:
            return False
    return connection.their_state in (protocol.DONE, protocol.MUST_CLOSE)
