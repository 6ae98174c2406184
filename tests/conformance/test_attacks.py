"""What an attacker tries once the verdict table holds: the seams between two messages, two states, two floors.

Each test is one attack, named for what it would gain; where it was done to somebody before, the CVE is named.
"""

from __future__ import annotations

import array
import ctypes
from collections.abc import Callable

import pytest

from client import protocol
from client.protocol import ConnectionClosed, Data, EndOfMessage, Request, Response
from tests.conformance.feeding import drain, open_connection
from tests.conformance.rows import Context, Row, Verdict
from tests.conformance.test_verdicts import ROWS

OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"Content-Length: 0\r\n\r\n"
GET = Request(method="GET", target="/", headers=[("Host", "h")])

#: What a client in each of these contexts has sent last; a server was sent nothing.
REQUESTS = {
    Context.GET: b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    Context.SECOND_GET: b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    Context.HEAD: b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
    Context.CONNECT: b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
    Context.SERVER: b"",
}


def receive(connection: protocol.Connection, data: bytes) -> list[protocol.Event]:
    """Feed *data*; return the events; fail if it is refused."""
    events: list[protocol.Event] = []
    connection.receive_data(data)
    error = drain(connection, events)
    assert error is None, str(error)
    return events


def server_that_read(request: bytes) -> protocol.Connection:
    connection = protocol.Connection(protocol.SERVER)
    receive(connection, request)
    return connection


# ---- a response that is there before its request (CVE-2026-48931, CVE-2026-6733)


@pytest.mark.parametrize(
    "early", [EMPTY, EMPTY[:20], b"\r\n", b"x"], ids=["whole", "half", "empty line", "garbage"]
)
def test_bytes_that_came_before_a_request_never_answer_it(early: bytes) -> None:
    """Staged on an idle connection, they would be taken for the answer to whatever is asked next."""
    connection = open_connection(Context.GET)
    receive(connection, OK + b"Content-Length: 2\r\n\r\nok")
    connection.start_next_cycle()
    connection.receive_data(early)

    assert connection.close_reason is not None
    with pytest.raises(protocol.LocalProtocolError):
        connection.send(GET)


def test_an_answer_that_was_read_before_the_request_never_answers_it() -> None:
    """A server may speak first to say 408; a request that follows is not what it spoke of."""
    connection = protocol.Connection(protocol.CLIENT)
    receive(connection, b"HTTP/1.1 408 T\r\nContent-Length: 0\r\n\r\n")

    with pytest.raises(protocol.LocalProtocolError):
        connection.send(GET)


def test_an_answer_to_half_a_request_ends_the_connection_unless_the_rest_is_sent() -> None:
    connection = protocol.Connection(protocol.CLIENT)
    connection.send(Request(method="POST", target="/", headers=[("Host", "h"), ("Content-Length", "5")]))
    receive(connection, b"HTTP/1.1 413 L\r\nContent-Length: 0\r\n\r\n")

    with pytest.raises(protocol.LocalProtocolError):
        connection.start_next_cycle()

    connection.send(Data(data=b"hello"))
    connection.send(EndOfMessage())
    connection.start_next_cycle()


# ---- the switch of protocols


@pytest.mark.parametrize("context", [Context.CONNECT, Context.UPGRADE])
def test_a_refused_switch_leaves_ordinary_http(context: Context) -> None:
    connection = open_connection(context)
    assert connection.our_state is protocol.MIGHT_SWITCH_PROTOCOL
    receive(connection, b"HTTP/1.1 403 F\r\nContent-Length: 0\r\n\r\n")

    connection.start_next_cycle()


@pytest.mark.parametrize("context", [Context.CONNECT, Context.UPGRADE])
def test_bytes_behind_a_pending_switch_are_not_read_as_http(context: Context) -> None:
    """A client that pipelines behind its CONNECT smuggles a request past a proxy that reads on."""
    method = b"CONNECT h:1" if context is Context.CONNECT else b"GET /"
    behind = b"GET /evil HTTP/1.1\r\nHost: h\r\n\r\n"
    connection = protocol.Connection(protocol.SERVER)
    events = receive(
        connection,
        method + b" HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" + behind,
    )

    assert 2 == len(events)
    assert protocol.PAUSED is connection.next_event()
    assert behind == connection.trailing_data[0]


def test_a_switch_ends_http_for_good() -> None:
    connection = open_connection(Context.CONNECT)
    receive(connection, OK + b"\r\nHTTP/1.1 200 OK\r\n\r\n")

    assert {protocol.SWITCHED_PROTOCOL} == set(connection.states.values())
    assert protocol.PAUSED is connection.next_event()
    assert connection.close_reason is protocol.CloseReason.PROTOCOL_SWITCHED
    assert 0 == connection.passthrough_available()
    for event in (GET, Data(data=b"x"), EndOfMessage(), ConnectionClosed()):
        with pytest.raises(protocol.LocalProtocolError):
            open_tunnel().send(event)
    with pytest.raises(protocol.LocalProtocolError):
        connection.start_next_cycle()


def open_tunnel() -> protocol.Connection:
    connection = open_connection(Context.CONNECT)
    receive(connection, OK + b"\r\n")
    return connection


def test_an_http_1_0_client_cannot_ask_for_a_switch() -> None:
    """A server MUST ignore its Upgrade: the proxy before it may not know what a switch is (RFC 9110 section 7.8)."""
    connection = server_that_read(
        b"GET / HTTP/1.0\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    )

    assert connection.their_state is protocol.MUST_CLOSE
    with pytest.raises(protocol.LocalProtocolError):
        connection.send(protocol.InformationalResponse(status_code=101, headers=[("Upgrade", "websocket")]))


# ---- lengths that lie


@pytest.mark.parametrize("framing", [("Transfer-Encoding", "chunked"), ("Content-Length", "2")])
@pytest.mark.parametrize(
    "wrap",
    [memoryview, lambda numbers: numbers, lambda numbers: (ctypes.c_uint32 * 2)(*numbers)],
    ids=["memoryview", "array", "ctypes"],
)
def test_a_buffer_of_wide_items_cannot_frame_fewer_bytes_than_it_sends(
    framing: tuple[str, str], wrap: Callable[[array.array[int]], bytes]
) -> None:
    """`len` of such a buffer counts items: two items in the frame, eight bytes behind it."""
    connection = protocol.Connection(protocol.CLIENT)
    connection.send(Request(method="POST", target="/", headers=[("Host", "h"), framing]))
    wide = wrap(array.array("I", [1, 2]))
    try:
        wire = connection.send(Data(data=wide))
    except protocol.LocalProtocolError:
        return

    assert b"8\r\n" + bytes(wide) + b"\r\n" == wire


def test_passthrough_cannot_be_reported_past_its_end() -> None:
    connection = open_connection(Context.GET)
    receive(connection, OK + b"Content-Length: 5\r\n\r\nhe")

    for count in (-1, 4, 2**63):
        with pytest.raises(protocol.LocalProtocolError):
            connection.passthrough_received(count)
    connection.passthrough_received(3)

    assert isinstance(connection.next_event(), EndOfMessage)


def test_passthrough_is_closed_wherever_a_byte_may_be_more_than_body() -> None:
    """One byte too many, and a body could write the next head."""
    head = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    closed = {
        "nothing sent": protocol.Connection(protocol.CLIENT),
        "no head yet": open_connection(Context.GET),
        "half a head": fed(Context.GET, OK),
        "before a chunk": fed(Context.GET, head),
        "in a chunk line": fed(Context.GET, head + b"5"),
        "behind a chunk": fed(Context.GET, head + b"1\r\nx"),
        "in trailers": fed(Context.GET, head + b"0\r\nX: y"),
        "complete": fed(Context.GET, EMPTY),
        "HEAD": fed(Context.HEAD, OK + b"Content-Length: 5\r\n\r\n"),
        "tunnel": fed(Context.CONNECT, OK + b"Content-Length: 5\r\n\r\n"),
        "error": fed(Context.GET, b"nonsense"),
        "error in a body": fed(Context.GET, head + b"x\r\n"),
        "closed": fed(Context.GET, OK + b"\r\nbody", b""),
        "server, no request": protocol.Connection(protocol.SERVER),
        "server, paused": fed(Context.SERVER, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    }

    assert {} == {
        name: connection.passthrough_available()
        for name, connection in closed.items()
        if connection.passthrough_available()
    }


def fed(context: Context, *pieces: bytes) -> protocol.Connection:
    connection = open_connection(context)
    for piece in pieces:
        connection.receive_data(piece)
        drain(connection, [])
    return connection


# ---- what stays behind


def test_trailing_data_tells_what_was_not_parsed_in_every_state() -> None:
    second = b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
    connection = protocol.Connection(protocol.SERVER)
    assert (b"", False) == connection.trailing_data
    connection.receive_data(b"GET / HT")
    assert (b"GET / HT", False) == connection.trailing_data
    drain(connection, [])
    assert (b"GET / HT", False) == connection.trailing_data
    receive(connection, b"TP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\no")
    assert (b"", False) == connection.trailing_data
    receive(connection, b"k" + second)
    assert (second, False) == connection.trailing_data
    connection.receive_data(b"")
    assert (second, True) == connection.trailing_data
    assert protocol.PAUSED is connection.next_event()
    assert (second, True) == connection.trailing_data


def test_a_reused_receive_buffer_cannot_change_what_was_received() -> None:
    """A transport reads into one bytearray over and over; what the engine kept must not follow it."""
    connection = open_connection(Context.GET)
    buffer = bytearray(OK + b"Content-Length: 5\r\n\r\nhello")
    connection.receive_data(buffer)
    buffer[:] = b"x" * len(buffer)
    head, body = connection.next_event(), connection.next_event()

    assert isinstance(head, Response)
    assert isinstance(body, Data)
    assert bytes is type(body.data)
    assert b"hello" == body.data


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_received_data_may_be_any_bytes(kind: Callable[[bytes], bytes]) -> None:
    connection = open_connection(Context.GET)
    for piece in (OK, b"Content-Length: 5\r\n", b"\r\nhel", b"lo"):
        connection.receive_data(kind(piece))
    events: list[protocol.Event] = []
    assert drain(connection, events) is None
    connection.receive_data(kind(b""))

    assert b"hello" == b"".join(event.data for event in events if isinstance(event, Data))
    assert connection.trailing_data[1], "an empty buffer of any kind is the end"


@pytest.mark.parametrize("wrong", [None, 5, "text", ["b"], 1.5])
def test_a_wrong_type_is_a_type_error_and_leaves_the_connection_as_it_was(wrong: object) -> None:
    connection = open_connection(Context.GET)
    connection.receive_data(OK)

    with pytest.raises(TypeError):
        connection.receive_data(wrong)  # type: ignore[arg-type]  # that is the test

    assert (OK, False) == connection.trailing_data
    receive(connection, b"Content-Length: 0\r\n\r\n")
    connection.start_next_cycle()


def test_data_after_the_end_is_the_callers_mistake() -> None:
    connection = open_connection(Context.GET)
    connection.receive_data(b"")
    connection.receive_data(b"")

    with pytest.raises(RuntimeError):
        connection.receive_data(b"x")


# ---- the server's old and waiting clients


@pytest.mark.parametrize("close", [b"", b"Connection: keep-alive\r\n", b"Connection: close\r\n"])
def test_an_http_1_0_client_is_answered_and_closed(close: bytes) -> None:
    connection = server_that_read(b"GET / HTTP/1.0\r\n" + close + b"\r\n")
    head = connection.send(Response(status_code=200, headers=[("Content-Length", "2")]))
    connection.send(Data(data=b"ok"))
    connection.send(EndOfMessage())

    assert b"\r\nconnection: close\r\n" in head.lower()
    assert connection.our_state is protocol.MUST_CLOSE
    with pytest.raises(protocol.LocalProtocolError):
        connection.start_next_cycle()


def test_an_http_1_0_client_gets_no_informational_response() -> None:
    """RFC 9110 section 15.2: it would take it for the final one."""
    server = server_that_read(b"GET / HTTP/1.0\r\n\r\n")

    with pytest.raises(protocol.LocalProtocolError, match=r"HTTP/1\.0"):
        server.send(protocol.InformationalResponse(status_code=103, headers=[]))


def test_a_waiting_client_is_seen_until_it_is_answered_or_goes_on() -> None:
    request = b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n"
    answered, went_on = server_that_read(request), server_that_read(request)
    assert answered.they_are_waiting_for_100_continue

    answered.send(protocol.InformationalResponse(status_code=100, headers=[]))
    receive(went_on, b"o")

    assert not answered.they_are_waiting_for_100_continue
    assert not went_on.they_are_waiting_for_100_continue


def test_a_client_that_cannot_wait_is_not_waited_for() -> None:
    """A server MUST ignore 100-continue from HTTP/1.0 (RFC 9110 section 10.1.1)."""
    connection = server_that_read(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")

    assert not connection.they_are_waiting_for_100_continue


# ---- a connection that looks alive


def test_close_reason_and_start_next_cycle_agree_about_a_closed_server() -> None:
    """A pool asks one of them; the other must not say that the dead connection lives."""
    connection = fed(Context.GET, EMPTY, b"")

    assert connection.close_reason is protocol.CloseReason.CLOSED
    with pytest.raises(protocol.LocalProtocolError):
        connection.start_next_cycle()


def test_a_client_that_closed_its_half_still_gets_what_it_pipelined() -> None:
    """`printf 'GET..GET..' | nc` is valid: the close is of one direction, and behind both requests."""
    request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    connection = protocol.Connection(protocol.SERVER)
    connection.receive_data(request + request)
    connection.receive_data(b"")
    for more in (True, False):
        events: list[protocol.Event] = []
        assert drain(connection, events) is None
        assert isinstance(events[0], Request)
        connection.send(Response(status_code=204, headers=[]))
        connection.send(EndOfMessage())
        if more:
            assert connection.close_reason is None
            connection.start_next_cycle()

    assert connection.their_state is protocol.CLOSED
    with pytest.raises(protocol.LocalProtocolError):
        connection.start_next_cycle()


# ---- what was checked and what is sent


@pytest.mark.parametrize(
    "event",
    [
        GET,
        Response(status_code=200, headers=[]),
        protocol.InformationalResponse(status_code=100, headers=[]),
        EndOfMessage(headers=[("X", "y")]),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_cannot_change_behind_its_validation(event: protocol.Event) -> None:
    """A GET whose method says HEAD by now would leave its response's body to the next request."""
    names = [
        name
        for name in ("method", "target", "status_code", "reason", "headers", "http_version")
        if hasattr(event, name)
    ]
    for name in names:
        with pytest.raises(AttributeError):
            setattr(event, name, b"HEAD")


# ---- a proxy on top


FORWARDED = [
    pytest.param(row, id=row.id)
    for row in ROWS
    if row.verdict in (Verdict.ACCEPT, Verdict.ACCEPT_CLOSE) and row.context in REQUESTS
]


@pytest.mark.parametrize("row", FORWARDED)
def test_what_was_received_can_be_passed_on(row: Row) -> None:
    """Events go from one connection to the next as they are: nothing that we tolerate may leave us as it came."""
    events: list[protocol.Event] = []
    received = open_connection(row.context)
    received.receive_data(row.stimulus)
    assert drain(received, events) is None
    received.receive_data(b"")
    drain(received, events)
    request = row.context is Context.SERVER
    sender = protocol.Connection(protocol.CLIENT) if request else server_that_read(REQUESTS[row.context])
    receiver = protocol.Connection(protocol.SERVER) if request else open_connection(row.context)
    heads = [event for event in events if isinstance(event, Request | Response)]
    if heads[0].http_version != b"1.1":
        with pytest.raises(protocol.LocalProtocolError):
            sender.send(heads[0])
        return

    passed_on: list[protocol.Event] = []
    message = events[: 1 + next(at for at, event in enumerate(events) if isinstance(event, EndOfMessage))]
    for event in message:
        passed_on += receive(receiver, sender.send(event) or b"")

    assert without_framing(message) == without_framing(passed_on)


def without_framing(events: list[protocol.Event]) -> list[object]:
    """What must come through unchanged: the fields that a server rewrites for its own client are left out."""
    rewritten = (b"content-length", b"transfer-encoding", b"connection", b"host")
    seen: list[object] = [b"".join(event.data for event in events if isinstance(event, Data))]
    for event in events:
        if not isinstance(event, Data | ConnectionClosed):
            assert isinstance(event, Request | Response | protocol.InformationalResponse | EndOfMessage)
            seen.append([field for field in event.headers if field[0] not in rewritten])
    return seen


# ---- two ways to take events


def test_events_not_taken_from_the_iterator_stay() -> None:
    connection = open_connection(Context.GET)
    first = connection.receive_data(OK + b"Content-Length: 5\r\n\r\nhe")
    head = next(first)
    second = connection.receive_data(b"llo")

    assert isinstance(head, Response)
    assert Data(data=b"hello") == connection.next_event()
    assert [EndOfMessage()] == list(second)
    assert [] == list(first)
