"""What neither role can be made to send: section 2c of the catalogue, rows S01-S40.

Each row builds events one after the other and sends them; the last one must raise LocalProtocolError, from its
constructor or from `send`, before a byte of it is produced.  Afterwards the wire has seen nothing that a peer could
read in two ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from client import protocol
from client.protocol import Data, EndOfMessage, InformationalResponse, Request, Response
from client.protocol.state import Sentinel
from tests.conformance.feeding import drain, open_connection
from tests.conformance.rows import Context

Pairs = list[tuple[str | bytes, str | bytes]]
Script = Callable[[], Iterator[protocol.Event]]


class Refusal(NamedTuple):
    """A script of events, of which the last is refused."""

    id: str
    role: type[Sentinel]
    script: Script
    section: str
    reason: str


def get(*fields: tuple[str | bytes, str | bytes], host: bool = True, **arguments: str | bytes) -> Request:
    """A GET with *fields*, after a Host unless the row is about that."""
    headers: Pairs = [("Host", "h"), *fields] if host else [*fields]
    return Request(**{"method": "GET", "target": "/", **arguments}, headers=headers)


def ok(*fields: tuple[str | bytes, str | bytes], status: int = 200, reason: str | bytes = b"") -> Response:
    return Response(status_code=status, headers=[*fields], reason=reason)


def client(id: str, section: str, reason: str, *events: Callable[[], protocol.Event]) -> Refusal:
    return Refusal(id, protocol.CLIENT, lambda: (event() for event in events), section, reason)


def server(id: str, section: str, reason: str, *events: Callable[[], protocol.Event]) -> Refusal:
    return Refusal(id, protocol.SERVER, lambda: (event() for event in events), section, reason)


FIVE = ("Content-Length", "5")
CHUNKED = ("Transfer-Encoding", "chunked")
HELLO = Data(data=b"hello")

# fmt: off
REFUSALS = (
    client("S01", "9112 6.2", "both lengths", lambda: get(FIVE, CHUNKED)),
    client("S02", "9110 8.6", "two lengths, spelled apart", lambda: get(("Content-Length", "1"), ("content-length", "2"))),
    client("S02b", "9110 8.6", "two equal lengths", lambda: get(FIVE, FIVE)),
    server("S02c", "9110 8.6", "two lengths in a response", lambda: ok(("Content-Length", "1"), (b"CONTENT-LENGTH", b"2"))),
    client("S02d", "9110 8.6", "no number", lambda: get(("Content-Length", "+5"))),
    client("S02e", "9110 8.6", "a length that int() would take", lambda: get(("Content-Length", "5_0"))),
    client("S03", "9110 8.6", "a body longer than its length", lambda: get(FIVE), lambda: Data(data=b"hello!")),
    client("S03b", "9110 8.6", "longer, in two pieces", lambda: get(FIVE), lambda: HELLO, lambda: Data(data=b"!")),
    client("S04", "9110 8.6", "a body shorter than its length", lambda: get(FIVE), lambda: Data(data=b"hell"), EndOfMessage),
    server("S04b", "9110 8.6", "shorter, in a response", lambda: ok(FIVE), lambda: Data(data=b"hell"), EndOfMessage),
    client("S05", "9110 8.6", "a body without a length", get, lambda: HELLO),
    client("S06", "9112 6.1", "a coding that is not chunked", lambda: get(("Transfer-Encoding", "gzip, chunked"))),
    client("S06b", "9112 6.1", "chunked twice", lambda: get(CHUNKED, CHUNKED)),
    client("S06c", "9112 6.1", "identity", lambda: get(("Transfer-Encoding", "identity"))),
    client("S07", "9110 6.5.1", "a length in the trailers", lambda: get(CHUNKED), lambda: EndOfMessage(headers=[("Content-Length", "5")]) ),
    client("S07b", "9110 6.5.1", "a host in the trailers", lambda: get(CHUNKED), lambda: EndOfMessage(headers=[("Host", "evil")])),
    client("S07c", "9110 6.5.1", "credentials in the trailers", lambda: get(CHUNKED), lambda: EndOfMessage(headers=[("authorization", "x")]) ),
    server("S07d", "9110 6.5.1", "a cookie in the trailers", lambda: ok(CHUNKED), lambda: EndOfMessage(headers=[("Set-Cookie", "a=b")])),
    client("S08", "9110 6.5", "trailers where no chunk can carry them", get, lambda: EndOfMessage(headers=[("X", "y")])),
    client("S08b", "9110 6.5", "trailers behind a length", lambda: get(("Content-Length", "0")), lambda: EndOfMessage(headers=[("X", "y")])),
    client("S09", "9110 5.1", "an empty name", lambda: get(("", "v"))),
    client("S09b", "9110 5.1", "a pseudo-field of HTTP/2", lambda: get((":path", "/"))),
    client("S09c", "9110 5.1", "a name with a blank behind", lambda: get(("X ", "v"))),
    client("S09d", "9110 5.1", "a line in a name", lambda: get((b"X: y\r\nZ", "v"))),
    client("S09e", "9110 5.1", "a name outside ASCII", lambda: get(("X\xe9", "v"))),
    client("S10", "9110 5.5", "CRLF in a value", lambda: get(("X", "y\r\nZ: evil"))),
    client("S10b", "9110 5.5", "a whole well-formed line in a value", lambda: get(("X", b"y\r\nContent-Length: 5"))),
    client("S10c", "9110 5.5", "LF in a value", lambda: get(("X", "y\nZ: evil"))),
    client("S10d", "9110 5.5", "CR in a value", lambda: get(("X", "y\rZ: evil"))),
    client("S10e", "9110 5.5", "NUL in a value", lambda: get(("X", "y\x00"))),
    client("S10f", "9110 5.5", "a blank before a value", lambda: get(("X", " y"))),
    client("S10g", "9110 5.5", "a blank behind a value", lambda: get(("X", "y\t"))),
    client("S10h", "9110 5.5", "a line end behind a value", lambda: get(("X", "y\r\n"))),
    client("S10i", "9110 5.5", "an empty line: the head ends, a body begins", lambda: get(("X", "y\r\n\r\nGET /evil HTTP/1.1"))),
    client("S10j", "9110 5.5", "a value that is no Latin-1", lambda: get(("X", "\u010a\u010d"))),
    client("S10k", "9110 5.5", "a lone surrogate", lambda: get(("X", "\udc80"))),
    client("S10l", "9110 5.5", "a fold", lambda: get(("X", "y\r\n z"))),
    client("S10m", "9110 6.5", "CRLF in a trailer", lambda: get(CHUNKED), lambda: EndOfMessage(headers=[("X", "y\r\nZ: evil")])),
    client("S10n", "9110 5.5", "a line in a value, beside a coding that is to be lowered", lambda: get(("X", "1\r\n"), ("Transfer-Encoding", "Chunked"))),
    server("S10o", "9110 5.5", "the same in a response", lambda: ok((" X", "y"), ("Transfer-Encoding", "Chunked"))),
    client("S11", "9112 3.2", "a blank in the target", lambda: get(target="/a b")),
    client("S11b", "9112 3.2", "a line in the target", lambda: get(target=b"/ HTTP/1.1\r\nHost: evil\r\n\r\n")),
    client("S11c", "9112 3.2", "a target outside ASCII", lambda: get(target="/\xe9")),
    client("S11d", "9112 3.2", "no target", lambda: get(target="")),
    client("S11e", "9112 3.2", "LF behind the target", lambda: get(target="/\n")),
    client("S12", "9112 3.1", "a line in the method", lambda: get(method="GET / HTTP/1.1\r\nX:")),
    client("S12b", "9112 3.1", "no method", lambda: get(method="")),
    client("S12c", "9112 3.1", "LF behind the method", lambda: get(method="GET\n")),
    client("S12d", "9112 2.3", "a line in the version", lambda: get(http_version="1.1\r\nX: y")),
    client("S12e", "9112 2.3", "another version than 1.1", lambda: get(http_version="1.0")),
    client("S13", "9112 3.2", "no Host", lambda: get(host=False)),
    client("S13b", "9112 3.2", "two Hosts", lambda: get(("host", "h"))),
    client("S13c", "9112 3.2", "userinfo in Host", lambda: get(("Host", "u@h"), host=False)),
    server("S14", "9110 15", "a line in the reason", lambda: ok(reason="OK\r\nX: evil")),
    server("S14b", "9110 15", "a control in the reason", lambda: ok(reason=b"O\x00K")),
    server("S14c", "9110 15", "1xx as a final response", lambda: ok(status=100)),
    server("S14d", "9110 15", "a final status as an interim one", lambda: InformationalResponse(status_code=200, headers=[])),
    server("S14e", "9110 15", "four digits", lambda: ok(status=1000)),
    server("S15", "9110 15.3.5", "a body behind 204", lambda: ok(status=204), lambda: HELLO),
    server("S15b", "9110 15.4.5", "a body behind 304", lambda: ok(FIVE, status=304), lambda: HELLO),
    server("S15c", "9110 15.2", "a body behind 103", lambda: InformationalResponse(status_code=103, headers=[]), lambda: HELLO),
    server("S16", "9110 15.2.2", "101 that the client did not ask for", lambda: InformationalResponse(status_code=101, headers=[])),
    server("S17", "9112 9.3.2", "two responses to one request", ok, EndOfMessage, ok),
    client("S18", "9112 9.3", "a second request before the cycle ends", get, EndOfMessage, get),
    client("S18b", "9112 9.3", "a request in the middle of a body", lambda: get(FIVE), get),
    client("S19", "9112 9.6", "a close in the middle of a body", lambda: get(FIVE), protocol.ConnectionClosed),
    client("S20", "9112 9.6", "a request after the close", protocol.ConnectionClosed, get),
    client("S21", "9110 9", "a client that responds", ok),
    server("S21b", "9110 9", "a server that requests", get),
)
# fmt: on


@pytest.mark.parametrize("refusal", [pytest.param(refusal, id=refusal.id) for refusal in REFUSALS])
def test_refused_before_the_first_byte(refusal: Refusal) -> None:
    connection = protocol.Connection(refusal.role)
    if refusal.role is protocol.SERVER:
        connection.receive_data(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert drain(connection, []) is None
    sent = 0

    with pytest.raises(protocol.LocalProtocolError):
        for event in refusal.script():
            connection.send(event)
            sent += 1

    script = refusal.script()
    for _ in range(sent):
        next(script)
    try:
        next(script)
    except protocol.LocalProtocolError:
        return  # refused by its constructor: nothing reached the connection
    except StopIteration:
        raise AssertionError(f"{refusal.id}: {refusal.reason} was sent (RFC {refusal.section})") from None
    assert connection.our_state is protocol.ERROR, f"{refusal.id}: what was half sent cannot be continued"


def test_ids_are_unique() -> None:
    ids = [refusal.id for refusal in REFUSALS]

    assert sorted(set(ids)) == sorted(ids)


def test_an_empty_piece_of_a_chunked_body_is_not_sent() -> None:
    """Its chunk would have the size 0, which ends the body: the next piece would be read as trailers."""
    connection = protocol.Connection(protocol.CLIENT)
    connection.send(get(CHUNKED))

    assert b"" == connection.send(Data(data=b""))
    assert b"5\r\nhello\r\n" == connection.send(HELLO)
    assert b"0\r\n\r\n" == connection.send(EndOfMessage())


def test_a_server_sends_no_coding_to_an_http_1_0_client() -> None:
    connection = protocol.Connection(protocol.SERVER)
    connection.receive_data(b"GET / HTTP/1.0\r\n\r\n")
    drain(connection, [])

    head = connection.send(ok(CHUNKED)).lower()

    assert b"transfer-encoding" not in head
    assert b"\r\nconnection: close\r\n" in head
    assert b"hello" == connection.send(HELLO)
    assert b"" == connection.send(EndOfMessage())
    assert connection.our_state is protocol.MUST_CLOSE


def test_a_response_with_both_lengths_goes_out_with_one() -> None:
    """A server that passes on the fields of another may hold both; the coding wins (RFC 9112 section 6.2)."""
    connection = protocol.Connection(protocol.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    drain(connection, [])

    head = connection.send(ok(FIVE, CHUNKED)).lower()

    assert b"\r\ntransfer-encoding: chunked\r\n" in head
    assert b"content-length" not in head


@pytest.mark.parametrize("context", [Context.GET, Context.SECOND_GET])
def test_nothing_is_sent_after_the_peer_broke_the_protocol(context: Context) -> None:
    connection = open_connection(context)
    connection.receive_data(b"nonsense\r\n\r\n")
    assert drain(connection, []) is not None

    with pytest.raises(protocol.LocalProtocolError):
        connection.start_next_cycle()
    with pytest.raises(protocol.LocalProtocolError):
        connection.send(get())


def test_a_failed_send_leaves_nothing_to_continue() -> None:
    connection = protocol.Connection(protocol.CLIENT)
    connection.send(get(FIVE))
    connection.send_failed()

    for event in (HELLO, EndOfMessage(), protocol.ConnectionClosed()):
        with pytest.raises(protocol.LocalProtocolError):
            connection.send(event)
    with pytest.raises(protocol.LocalProtocolError):
        connection.start_next_cycle()


@pytest.mark.parametrize("container", [list, tuple, iter], ids=["list", "tuple", "iterator"])
def test_two_lengths_are_found_in_any_container(
    container: Callable[[Pairs], Iterator[tuple[str, str]]],
) -> None:
    fields: Pairs = [("Host", "h"), ("Content-Length", "1"), ("CONTENT-LENGTH", "2")]

    with pytest.raises(protocol.LocalProtocolError):
        protocol.Connection(protocol.CLIENT).send(
            Request(method="GET", target="/", headers=container(fields))
        )


def test_what_was_validated_is_what_is_sent() -> None:
    """A str subclass that lies about itself, and fields changed after the check, get nothing past it."""

    class Liar(str):
        __slots__ = ()

        def encode(self, *_: object, **__: object) -> bytes:
            return b"h\r\nX: evil"

    connection = protocol.Connection(protocol.CLIENT)
    value = bytearray(b"fine")
    fields: list[tuple[object, object]] = [("Host", "h"), ("X", value)]
    request = Request(method="GET", target="/", headers=fields)  # type: ignore[arg-type]  # bytes-like is documented
    value[:] = b"y\r\nZ: evil"
    fields.append(("Content-Length", "5"))

    wire = connection.send(request)

    assert b"GET / HTTP/1.1\r\nhost: h\r\nx: fine\r\n\r\n" == wire.lower().replace(
        b"get / http", b"GET / HTTP"
    )
    with pytest.raises(protocol.LocalProtocolError):
        protocol.Connection(protocol.CLIENT).send(
            Request(method="GET", target="/", headers=[("Host", "h"), ("X", Liar("y"))])
        )
