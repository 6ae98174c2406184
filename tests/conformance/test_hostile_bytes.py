"""Whatever a peer sends and whatever a caller tries, only the two documented errors come out.

A caller's `except RemoteProtocolError` is the whole defence of a program against its peer: one ValueError that
escapes is a crash that the peer can cause at will.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from client import protocol
from tests.conformance.feeding import HEADS, open_connection, outcome_of
from tests.conformance.messages import Exchange, exchanges, messages_out, piece_sizes, pieces_of
from tests.conformance.rows import Context, Row
from tests.conformance.test_verdicts import ROWS

# Pieces of HTTP, right and wrong, that random bytes would never hit.
FRAGMENTS = (
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 204 No\r\n", b"HTTP/1.1 304 NM\r\n",
    b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.1 101 S\r\n", b"HTTP/1.1 103 E\r\n", b"HTTP/1.1 ", b"HTTP/2.0 200 OK\r\n",
    b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n", b"HEAD / HTTP/1.0\r\n", b"CONNECT h:1 HTTP/1.1\r\n", b"GET /",
    b"Host: h\r\n", b"Host: ", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length: 5, 5\r\n",
    b"content-length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n", b"transfer-encoding: gzip\r\n",
    b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Connection: upgrade\r\n", b"Upgrade: websocket\r\n",
    b"Expect: 100-continue\r\n", b"X: y\r\n", b"X: \xff\t\xe9\r\n", b" folded\r\n", b"\tfolded\r\n", b"X\r\n", b": v\r\n",
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b" ", b"\t", b"\x00", b"\x0b", b"\x7f", b"\xff",
    b"0\r\n\r\n", b"0\r\n", b"5\r\nhello\r\n", b"5\r\n", b"hello", b"5;a=b\r\n", b'5;a="\\"\r\n', b"ffffffffffffffff\r\n",
    b"5 \r\n", b"0;\r\n", b"a" * 5000, b"A: b\r\n" * 300,
)  # fmt: skip
fragments = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=8), max_size=25).map(b"".join)
contexts = st.sampled_from(Context)

Edit = tuple[int, int, bytes]
Call = tuple[type[protocol.Event], dict[str, Any]]
Pairs = list[tuple[str | bytes, str | bytes]]
# Where to cut a row open, how much to take out, what to put in.
edits = st.tuples(
    st.integers(0, 999),
    st.integers(0, 3),
    st.sampled_from(
        [
            b"",
            b"\r",
            b"\n",
            b" ",
            b"\t",
            b"\r\n",
            b"\r\n\r\n",
            b"\r\n ",
            b"\x00",
            b";",
            b'"',
            b":",
            b",",
            b"0",
            b"\n\n",
        ]
    )
    | st.binary(max_size=2),
)

# Arguments of the documented types, most of them nonsense.
text_or_bytes = (
    st.text(max_size=8)
    | st.binary(max_size=8)
    | st.sampled_from(
        ["GET", "CONNECT", "HEAD", "/", "*", "h:1", b"GET", "1.1", b"1.0", "a\r\nb", "", "\u0660", "\udc80"]
    )
)
field_names = text_or_bytes | st.sampled_from(
    ["Host", "Content-Length", b"content-length", "Transfer-Encoding", "Connection", "Upgrade", "Expect", "X"]
)
field_values = text_or_bytes | st.sampled_from(
    ["h", "5", "0", b"1, 1", "chunked", b"Chunked", "gzip", "close", "100-continue", "-1", "9" * 30, "\u0665"]
)
any_fields = st.lists(st.tuples(field_names, field_values), max_size=4)
constructors = st.one_of(
    st.builds(
        lambda **arguments: (protocol.Request, arguments),
        method=text_or_bytes,
        target=text_or_bytes,
        headers=any_fields,
    ),
    st.builds(
        lambda **arguments: (protocol.Request, arguments),
        method=text_or_bytes,
        target=text_or_bytes,
        headers=any_fields,
        http_version=text_or_bytes,
    ),
    st.builds(
        lambda kind, **arguments: (kind, arguments),
        st.sampled_from([protocol.Response, protocol.InformationalResponse]),
        status_code=st.integers(-1, 1000) | st.sampled_from([100, 101, 200, 204, 205, 304, 10**30]),
        headers=any_fields,
        reason=text_or_bytes,
    ),
    st.builds(
        lambda data: (protocol.Data, {"data": data}),
        st.binary(max_size=8) | st.binary(max_size=8).map(bytearray),
    ),
    st.builds(lambda headers: (protocol.EndOfMessage, {"headers": headers}), any_fields),
    st.just((protocol.ConnectionClosed, {})),
)


def everything_from(connection: protocol.Connection, budget: int) -> bool:
    """Take events until there are none; return whether the peer's mistake ended it."""
    for _ in range(budget):
        try:
            event = connection.next_event()
        except protocol.RemoteProtocolError as error:
            check_report(error)
            return True
        if event in (protocol.NEED_DATA, protocol.PAUSED) or isinstance(event, protocol.ConnectionClosed):
            return False
    raise AssertionError(f"more than {budget} events: does it loop?")


def check_report(error: protocol.RemoteProtocolError) -> None:
    """An error can be answered and logged: a status to send, no control characters, no flood."""
    assert error.error_status_hint in range(400, 600)
    assert str(error).isprintable(), "peer bytes are shown escaped"
    assert len(str(error)) <= 700, (
        "and cut: 100 bytes, each at most 4 characters wide, and what we say of them"
    )


@settings(max_examples=600)
@given(contexts, fragments, piece_sizes)
def test_only_remote_protocol_error_comes_out_of_any_bytes(
    context: Context, wire: bytes, sizes: list[int]
) -> None:
    connection = open_connection(context)
    failed = False
    for piece in [*pieces_of(wire, sizes), b"", b""]:
        connection.receive_data(piece)
        failed = everything_from(connection, 3 * len(wire) + 10) or failed
        assert failed == (connection.their_state is protocol.ERROR), (
            "ERROR is entered by a mistake and never left"
        )


@settings(max_examples=600)
@given(contexts, fragments, piece_sizes)
def test_no_cut_changes_what_any_bytes_mean(context: Context, wire: bytes, sizes: list[int]) -> None:
    whole = outcome_of(context, [wire] if wire else [])

    assert whole == outcome_of(context, pieces_of(wire, sizes))


@settings(max_examples=1500)
@given(
    st.sampled_from([row for row in ROWS if len(row.stimulus) < 1000]),
    st.lists(edits, max_size=4),
    piece_sizes,
)
def test_no_cut_changes_what_a_damaged_row_means(row: Row, damages: list[Edit], sizes: list[int]) -> None:
    """The neighbours of every row: almost legal, so that they get far."""
    wire = bytearray(row.stimulus)
    for position, length, replacement in damages:
        at = position % (len(wire) + 1)
        wire[at : at + length] = replacement
    outcome = outcome_of(row.context, [bytes(wire)] if wire else [])

    assert outcome == outcome_of(row.context, pieces_of(bytes(wire), sizes))
    assert outcome == outcome_of(row.context, pieces_of(bytes(wire), [1]))
    assert outcome == outcome_of(row.context, pieces_of(bytes(wire), sizes), coalesce_chunks=True)


@given(exchanges(), st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=2)), min_size=1, max_size=3))
def test_a_damaged_message_is_refused_or_read_but_never_crashes(
    exchange: Exchange, damages: list[tuple[int, bytes]]
) -> None:
    """Valid messages with a few bytes overwritten reach states that fragments do not."""
    client = protocol.Connection(protocol.CLIENT)
    wire = bytearray(messages_out(client, exchange.request.events))
    for position, damage in damages:
        wire[position : position + len(damage)] = damage
    server = protocol.Connection(protocol.SERVER)
    for data in (bytes(wire), b""):
        server.receive_data(data)
        everything_from(server, 3 * len(wire) + 10)


@settings(max_examples=600)
@given(contexts, fragments, st.lists(constructors, max_size=8))
def test_only_local_protocol_error_comes_out_of_any_event(
    context: Context, received: bytes, calls: list[Call]
) -> None:
    connection = open_connection(context)
    if received:
        connection.receive_data(received)
        everything_from(connection, 3 * len(received) + 10)
    failed = False
    for kind, arguments in calls:
        try:
            event = kind(**arguments)
        except protocol.LocalProtocolError:
            continue
        try:
            connection.send(event)
        except protocol.LocalProtocolError:
            failed = True
        else:
            assert not failed, f"after an error, send accepted {event!r}"
        assert failed == (connection.our_state is protocol.ERROR)


likely_fields = st.lists(
    st.tuples(
        st.sampled_from(
            ["X", "Content-Length", "TRANSFER-ENCODING", "Connection", "Upgrade", "Expect", "Trailer"]
        )
        | text_or_bytes,
        st.sampled_from(
            ["", "5", "0", "5, 5", "05", "chunked", "Chunked", "gzip, chunked", "close", "x", "1\r\n"]
        )
        | text_or_bytes,
    ),
    max_size=3,
)
likely_rest = st.lists(
    st.sampled_from([b"hello", b"", b"x"]).map(lambda data: (protocol.Data, {"data": data}))
    | likely_fields.map(lambda headers: (protocol.EndOfMessage, {"headers": headers}))
    | st.just((protocol.EndOfMessage, {})),
    max_size=3,
)


@settings(max_examples=600)
@given(st.sampled_from(["GET", "POST", "HEAD", "CONNECT"]), likely_fields, likely_rest)
def test_what_a_client_sent_can_always_be_received(method: str, headers: Pairs, rest: list[Call]) -> None:
    """Whatever a caller gets past the checks of our side is valid to the other: nothing ambiguous leaves."""
    head = {"method": method, "target": "/", "headers": [("Host", "h"), *headers]}

    check_received(
        protocol.Connection(protocol.CLIENT),
        protocol.Connection(protocol.SERVER),
        [(protocol.Request, head), *rest],
    )


@settings(max_examples=600)
@given(
    st.sampled_from([Context.GET, Context.HEAD, Context.CONNECT, Context.UPGRADE]),
    st.sampled_from([100, 101, 200, 204, 205, 304, 407, 999]),
    likely_fields,
    likely_rest,
)
def test_what_a_server_sent_can_always_be_received(
    context: Context, status: int, headers: Pairs, rest: list[Call]
) -> None:
    client = protocol.Connection(protocol.CLIENT)
    server = protocol.Connection(protocol.SERVER)
    check_received(client, server, [(protocol.Request, request_to(context)), (protocol.EndOfMessage, {})])
    kind = protocol.InformationalResponse if status < 200 else protocol.Response

    check_received(server, client, [(kind, {"status_code": status, "headers": headers}), *rest])


def request_to(context: Context) -> dict[str, Any]:
    """The arguments of the request that a client in *context* has sent."""
    request = HEADS[context]
    return {"method": request.method, "target": request.target, "headers": request.headers}


def check_received(
    sender: protocol.Connection,
    receiver: protocol.Connection,
    calls: list[Call],
) -> None:
    """Send until something is refused; the receiver must accept every byte, and no body but the one that was sent."""
    sent = received = b""
    for kind, arguments in calls:
        try:
            wire = sender.send(kind(**arguments))
        except protocol.LocalProtocolError:
            break
        sent += arguments["data"] if kind is protocol.Data else b""
        for event in receiver.receive_data(wire) if wire else ():
            received += event.data if isinstance(event, protocol.Data) else b""
    assert sent == received
    assert receiver.their_state is not protocol.ERROR
