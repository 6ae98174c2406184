"""`send_message` and `take_rest`: a whole message in one call, and nothing else than event by event."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.protocol import (
    CLIENT,
    DONE,
    ERROR,
    NEED_DATA,
    PAUSED,
    SERVER,
    Connection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    InformationalResponse,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    Response,
)

HOST = ("Host", "example.com")
GET = Request(method="GET", target="/", headers=[HOST])
WIRE_GET = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"


def event_by_event(connection: Connection, head: Request | Response, data: bytes) -> bytes:
    """Return what `send_message` is to return."""
    wire = connection.send(head)
    if data:
        wire += connection.send(Data(data))
    return wire + connection.send(EndOfMessage())


def server_that_was_asked(method: str = "GET") -> Connection:
    server = Connection(SERVER)
    list(server.receive_data(WIRE_GET.replace(b"GET", method.encode())))
    return server


@st.composite
def framed(draw: st.DrawFn) -> tuple[list[tuple[str, str]], bytes]:
    """Fields that announce a body, and the body."""
    data = draw(st.binary(max_size=40))
    framing = draw(st.sampled_from([("Content-Length", str(len(data))), ("Transfer-Encoding", "chunked")]))
    return [HOST, framing], data


@given(
    framed(),
    st.sampled_from(["GET", "POST", "CONNECT", "HEAD"]),
    st.sampled_from([(), ("Connection", "close")]),
)
def test_a_request_goes_out_in_one_call_as_event_by_event(
    message: tuple[list[tuple[str, str]], bytes], method: str, more: tuple[str, str] | tuple[()]
) -> None:
    fields, data = message
    request = Request(method=method, target="/", headers=[*fields, *([more] if more else [])])
    at_once, in_turn = Connection(CLIENT), Connection(CLIENT)

    assert event_by_event(in_turn, request, data) == at_once.send_message(request, data)
    assert in_turn.states == at_once.states
    assert in_turn.close_reason == at_once.close_reason


@given(framed(), st.integers(200, 599), st.sampled_from(["GET", "HEAD"]))
def test_a_response_goes_out_in_one_call_as_event_by_event(
    message: tuple[list[tuple[str, str]], bytes], status: int, method: str
) -> None:
    fields, data = message
    if status in (204, 304) or method == "HEAD":
        data = b""
    response = Response(status_code=status, headers=fields[1:])
    at_once, in_turn = server_that_was_asked(method), server_that_was_asked(method)
    wires = []
    for send, server in ((event_by_event, in_turn), (Connection.send_message, at_once)):
        try:
            wires.append(send(server, response, data))
        except LocalProtocolError as error:  # a length that this status or method must not have
            wires.append(str(error).encode())

    assert wires[0] == wires[1]
    assert in_turn.states == at_once.states


@pytest.mark.parametrize(("announced", "data"), [("5", b"four"), ("4", b"fives"), ("4", b""), ("0", b"some")])
def test_a_body_of_another_length_than_announced_is_refused(announced: str, data: bytes) -> None:
    client = Connection(CLIENT)

    with pytest.raises(LocalProtocolError, match=r"Too (much|little) data"):
        client.send_message(
            Request(method="PUT", target="/", headers=[HOST, ("Content-Length", announced)]), data
        )
    assert ERROR is client.our_state


@pytest.mark.parametrize(
    "head",
    [
        Data(b"x"),
        EndOfMessage(),
        ConnectionClosed(),
        InformationalResponse(status_code=100, headers=[]),
        "GET",
    ],
)
def test_what_begins_no_message_is_refused(head: object) -> None:
    client = Connection(CLIENT)

    with pytest.raises((LocalProtocolError, TypeError)):
        client.send_message(head)  # type: ignore[arg-type]  # on purpose
    assert ERROR is client.our_state or isinstance(head, ConnectionClosed)


def test_after_an_error_nothing_is_sent_in_one_call_either() -> None:
    client = Connection(CLIENT)
    client.send_failed()

    with pytest.raises(LocalProtocolError, match="our state is ERROR"):
        client.send_message(GET)


# -- receiving ------------------------------------------------------------------------------------------------------


def client_with_head(wire: bytes, method: str = "GET") -> Connection:
    """Return a client that has received *wire* and delivered the head in it."""
    client = Connection(CLIENT)
    client.send_message(Request(method=method, target="/", headers=[HOST]))
    client.receive_data(wire)
    assert isinstance(client.next_event(), Response)
    return client


@given(st.binary(max_size=40), st.binary(max_size=3))
def test_the_rest_is_what_the_events_would_be(body: bytes, more: bytes) -> None:
    wire = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b%b" % (len(body), body, more)
    at_once, in_turn = client_with_head(wire), client_with_head(wire)
    events = [in_turn.next_event() for _ in range(2 if body else 1)]

    assert [*([Data(body)] if body else []), EndOfMessage()] == events
    assert body == at_once.take_rest()
    assert in_turn.states == at_once.states
    assert in_turn.trailing_data == at_once.trailing_data
    assert in_turn.next_event() is at_once.next_event()


def test_a_rest_of_which_a_part_was_delivered_is_taken_too() -> None:
    client = client_with_head(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")

    assert client.take_rest() is None
    assert Data(b"ab") == client.next_event()
    client.receive_data(bytearray(b"cde"))
    assert b"cde" == client.take_rest()
    assert DONE is client.their_state
    assert client.take_rest() is None


@pytest.mark.parametrize(
    ("wire", "method"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "GET"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "HEAD"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET"),
    ],
)
def test_a_message_without_content_has_an_empty_rest(wire: bytes, method: str) -> None:
    client = client_with_head(wire, method)

    assert b"" == client.take_rest()
    assert DONE is client.their_state
    client.start_next_cycle()


@pytest.mark.parametrize(
    ("wire", "method", "then"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour", "GET", Data(b"four")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "GET", EndOfMessage()),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil close", "GET", Data(b"until close")),
        (b"HTTP/1.1 200 OK\r\n\r\n", "GET", NEED_DATA),
        (b"HTTP/1.1 200 OK\r\n\r\nother", "CONNECT", PAUSED),
    ],
)
def test_a_rest_that_has_no_known_end_yet_is_left_to_the_events(
    wire: bytes, method: str, then: object
) -> None:
    client = client_with_head(wire, method)
    before = (client.states, client.trailing_data)

    assert client.take_rest() is None
    assert before == (client.states, client.trailing_data)
    assert then == client.next_event()


def test_nothing_is_taken_from_a_peer_that_broke_the_protocol() -> None:
    client = Connection(CLIENT)
    client.send_message(GET)
    client.receive_data(b"nonsense\r\n\r\n")
    with pytest.raises(RemoteProtocolError):
        client.next_event()

    assert client.take_rest() is None


def test_a_server_takes_the_body_of_a_request_at_once() -> None:
    server = Connection(SERVER)
    server.receive_data(b"POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 3\r\n\r\nabc" + WIRE_GET)
    assert isinstance(server.next_event(), Request)

    assert b"abc" == server.take_rest()
    assert DONE is server.their_state
    assert PAUSED is server.next_event()
    assert (WIRE_GET, False) == server.trailing_data
