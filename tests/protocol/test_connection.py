"""The parts of `Connection` that the verdict tables do not reach: arguments, closing, what is said about reuse."""

from __future__ import annotations

import array
import ctypes
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from client import protocol
from client.protocol import (
    CLIENT,
    SERVER,
    CloseReason,
    Connection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    Response,
)

MIB = 1 << 20
GET = Request(method="GET", target="/", headers=[("Host", "h")])
OK = b"HTTP/1.1 200 OK\r\n"


def client_that_sent(request: Request = GET) -> Connection:
    connection = Connection(CLIENT)
    connection.send(request)
    connection.send(EndOfMessage())
    return connection


def server_that_read(request: bytes = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n") -> Connection:
    connection = Connection(SERVER)
    assert list(connection.receive_data(request))
    return connection


def test_the_public_names_are_those_of_h11_and_ours() -> None:
    h11 = """CLIENT CLOSED Connection ConnectionClosed DONE Data ERROR EndOfMessage Event IDLE InformationalResponse
        LocalProtocolError MIGHT_SWITCH_PROTOCOL MUST_CLOSE NEED_DATA PAUSED PRODUCT_ID ProtocolError
        RemoteProtocolError Request Response SEND_BODY SEND_RESPONSE SERVER SWITCHED_PROTOCOL""".split()
    ours = ["CloseReason", "Headers", "Limits", "Sentinel"]

    assert sorted(h11 + ours) == sorted(protocol.__all__)
    assert all(hasattr(protocol, name) for name in protocol.__all__)


def test_a_connection_has_one_of_two_roles() -> None:
    wrong: Any = protocol.IDLE
    with pytest.raises(ValueError, match="expected CLIENT or SERVER, not IDLE"):
        Connection(wrong)
    assert (CLIENT, SERVER) == (Connection(CLIENT).our_role, Connection(CLIENT).their_role)
    assert (SERVER, CLIENT) == (Connection(our_role=SERVER).our_role, Connection(SERVER).their_role)


def test_only_events_can_be_sent() -> None:
    connection = Connection(CLIENT)
    wrong: Any = b"GET / HTTP/1.1\r\n\r\n"

    with pytest.raises(TypeError, match="expected an event, not bytes"):
        connection.send(wrong)
    assert connection.our_state is protocol.ERROR


def test_shutdown_is_the_close_of_our_half_and_may_come_twice() -> None:
    connection = Connection(CLIENT)

    connection.shutdown()
    connection.shutdown()

    assert connection.our_state is protocol.CLOSED
    assert connection.their_state is protocol.MUST_CLOSE
    assert connection.close_reason is CloseReason.CLOSED


def test_shutdown_in_the_middle_of_a_message_is_our_mistake() -> None:
    connection = Connection(CLIENT)
    connection.send(GET)

    with pytest.raises(LocalProtocolError):
        connection.shutdown()


def test_a_failed_write_ends_our_side() -> None:
    connection = Connection(CLIENT)
    connection.send(GET)

    connection.send_failed()

    assert connection.our_state is protocol.ERROR
    assert connection.close_reason is CloseReason.ERROR
    with pytest.raises(LocalProtocolError):
        connection.send(EndOfMessage())


def test_data_that_is_no_bytes_goes_out_as_it_is() -> None:
    """It may stand for a file: nothing but its `len` is asked for."""

    class File:
        def __len__(self) -> int:
            return 5

    file: Any = File()
    connection = Connection(CLIENT)
    connection.send(
        Request(method="PUT", target="/", headers=[("Host", "h"), ("Transfer-Encoding", "chunked")])
    )

    pieces = connection.send_with_data_passthrough(Data(file))

    assert pieces is not None
    assert [b"5\r\n", b"\r\n"] == [pieces[0], pieces[2]]
    assert pieces[1] is file
    assert b"3\r\nabc\r\n" == connection.send(Data(memoryview(b"abc")))
    assert b"3\r\nabc\r\n" == connection.send(Data(bytearray(b"abc")))
    assert b"" == connection.send(Data(b"")), "a chunk of no bytes would end the body"


@pytest.mark.parametrize("framing", [("Transfer-Encoding", "chunked"), ("Content-Length", "3")])
@pytest.mark.parametrize("data", [b"abc", b"", b"a" * 4, memoryview(b"abc"), array.array("H", [1, 2])])
@pytest.mark.parametrize("state", ["idle", "body", "error", "server broke", "done"])
def test_framed_data_is_what_a_data_event_gives(framing: tuple[str, str], data: Any, state: str) -> None:
    """So are the error, and the state afterwards."""

    def sent(through: Callable[[Connection], object]) -> tuple[object, Any]:
        connection = Connection(CLIENT)
        if state != "idle":
            connection.send(Request(method="PUT", target="/", headers=[("Host", "h"), framing]))
        if state == "error":
            connection.send_failed()
        if state == "server broke":
            with pytest.raises(RemoteProtocolError):
                connection.receive_data(b"SSH-2.0-x\r\n")
                connection.next_event()
        if state == "done":
            connection.send(Data(b"abc"))
            connection.send(EndOfMessage())
        try:
            outcome: object = through(connection)
        except LocalProtocolError as error:
            outcome = str(error)
        return outcome, connection.our_state

    assert sent(lambda connection: connection.send_with_data_passthrough(Data(data))) == sent(
        lambda connection: connection.frame_data(data)
    )


def test_trailers_need_chunks() -> None:
    connection = server_that_read(b"GET / HTTP/1.0\r\n\r\n")
    connection.send(Response(status_code=200, headers=[]))

    with pytest.raises(LocalProtocolError, match="trailers"):
        connection.send(EndOfMessage(headers=[("X", "y")]))


@pytest.mark.parametrize(
    ("reason", "response"),
    [
        (CloseReason.RESPONSE_SAYS_CLOSE, OK + b"Connection: x, Close\r\nContent-Length: 0\r\n\r\n"),
        (CloseReason.HTTP_1_0, b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"),
        (CloseReason.READ_UNTIL_CLOSE, OK + b"\r\nbody"),
        (CloseReason.FRAMING_FAULT, b"HTTP/1.1 204 N\r\nContent-Length: 5\r\n\r\n"),
        (CloseReason.FRAMING_FAULT, b"HTTP/1.1 204 N\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (CloseReason.BARE_LINE_FEED, b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
        (CloseReason.UNEXPECTED_DATA, OK + b"Content-Length: 2\r\n\r\nok\r\n"),
        (CloseReason.ERROR, b"SSH-2.0-OpenSSH_9.6\r\n"),
        (None, OK + b"Content-Length: 0\r\n\r\n"),
        (None, b"HTTP/1.1 204 N\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_the_reason_not_to_reuse_a_connection(reason: CloseReason | None, response: bytes) -> None:
    connection = client_that_sent()
    try:
        list(connection.receive_data(response))
    except RemoteProtocolError:
        assert reason is CloseReason.ERROR

    assert connection.close_reason is reason


def test_a_request_may_be_the_reason_too() -> None:
    headers = [("Host", "h"), ("Connection", "close")]
    connection = client_that_sent(Request(method="GET", target="/", headers=headers))

    assert connection.close_reason is CloseReason.REQUEST_SAYS_CLOSE


def test_an_empty_line_before_a_later_response_is_the_last_of_that_connection() -> None:
    connection = client_that_sent()
    list(connection.receive_data(OK + b"Content-Length: 0\r\n\r\n"))
    connection.start_next_cycle()
    connection.send(GET)
    connection.send(EndOfMessage())

    events = list(connection.receive_data(b"\r\n" + OK + b"Content-Length: 0\r\n\r\n"))

    assert isinstance(events[0], Response)
    assert connection.close_reason is CloseReason.LEADING_EMPTY_LINE


def test_the_iterator_and_next_event_take_from_one_queue() -> None:
    connection = client_that_sent()

    events = connection.receive_data(OK + b"Content-Length: 2\r\n\r\nok")

    assert isinstance(next(events), Response)
    assert Data(b"ok") == connection.next_event()
    assert [EndOfMessage()] == list(events)
    assert protocol.NEED_DATA is connection.next_event()
    assert [ConnectionClosed()] == list(connection.receive_data(b""))


def test_a_whole_read_of_body_is_not_copied() -> None:
    connection = client_that_sent()
    list(connection.receive_data(OK + b"Content-Length: 100000\r\n\r\n"))
    read = b"x" * 65536

    (event,) = connection.receive_data(read)

    assert isinstance(event, Data)
    assert event.data is read


def test_a_body_past_the_engine_costs_no_memory() -> None:
    """1 GiB, a MiB at a time, in less than 2 MiB above the start."""
    connection = client_that_sent()
    list(connection.receive_data(OK + b"Content-Length: %d\r\n\r\n" % (1024 * MIB)))
    buffer = bytearray(MIB)
    tracemalloc.start()
    try:
        start, _ = tracemalloc.get_traced_memory()
        while available := connection.passthrough_available():
            connection.passthrough_received(min(len(buffer), available))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert isinstance(connection.next_event(), EndOfMessage)
    assert peak - start < 2 * MIB


def test_what_may_pass_the_engine_is_never_more_than_body() -> None:
    connection = client_that_sent()
    assert 0 == connection.passthrough_available()
    list(connection.receive_data(OK + b"Transfer-Encoding: chunked\r\n\r\n"))
    assert 0 == connection.passthrough_available()
    list(connection.receive_data(b"5\r\nhe"))
    assert 3 == connection.passthrough_available()
    with pytest.raises(LocalProtocolError, match="only 3 are body"):
        connection.passthrough_received(4)
    connection.passthrough_received(0)
    connection.passthrough_received(3)
    assert 0 == connection.passthrough_available()
    assert [EndOfMessage()] == list(connection.receive_data(b"\r\n0\r\n\r\n"))


def test_a_body_until_the_close_may_pass_without_end() -> None:
    connection = client_that_sent()
    list(connection.receive_data(OK + b"\r\n"))

    connection.passthrough_received(5)

    assert sys.maxsize == connection.passthrough_available()
    assert [EndOfMessage(), ConnectionClosed()] == list(connection.receive_data(b""))


def test_a_server_that_reads_past_the_engine_sees_the_client_go_on() -> None:
    connection = server_that_read(
        b"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    )
    assert connection.they_are_waiting_for_100_continue

    connection.passthrough_received(5)

    assert not connection.they_are_waiting_for_100_continue


def test_the_answer_to_an_illegible_request_says_close() -> None:
    connection = Connection(SERVER)
    with pytest.raises(RemoteProtocolError) as refused:
        list(connection.receive_data(b"nonsense\r\n\r\n"))

    head = connection.send(
        Response(status_code=refused.value.error_status_hint, headers=[("Content-Length", "0")])
    )

    assert b"HTTP/1.1 400 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n" == head


@pytest.mark.parametrize("fields", [[("Content-Length", "5")], [("Transfer-Encoding", "chunked")]])
def test_responses_without_a_body_announce_none(fields: list[tuple[str, str]]) -> None:
    """Neither field may stand in 1xx, 204, or the 2xx to CONNECT; some clients would wait for what it announces."""
    plain = server_that_read()
    tunnel = server_that_read(b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n")

    informational = protocol.InformationalResponse(status_code=103, headers=[*fields, ("Link", "x")])
    assert b"HTTP/1.1 103 \r\nLink: x\r\n\r\n" == plain.send(informational)
    assert b"HTTP/1.1 204 \r\nX: y\r\n\r\n" == plain.send(
        Response(status_code=204, headers=[*fields, ("X", "y")])
    )
    assert b"HTTP/1.1 200 \r\n\r\n" == tunnel.send(Response(status_code=200, headers=fields))


def test_buffers_of_bytes_are_framed_by_their_length() -> None:
    connection = Connection(CLIENT)
    connection.send(
        Request(method="PUT", target="/", headers=[("Host", "h"), ("Transfer-Encoding", "chunked")])
    )
    narrow: list[Any] = [array.array("B", b"abc"), (ctypes.c_ubyte * 3)(97, 98, 99)]

    assert [b"3\r\nabc\r\n"] * 2 == [connection.send(Data(data)) for data in narrow]


@pytest.mark.parametrize("coalesce", [False, True])
@pytest.mark.parametrize("line", [b"\r\n3\r\nabc\r\n", b"\r\n0003\r\nabc\r\n", b"\r\n03\r\nabc\r\n"])
def test_a_chunk_line_limit_below_the_longest_plain_line_holds(coalesce: bool, line: bytes) -> None:
    """However short the limit is, and whichever way a line is looked at."""
    limits = protocol.Limits(chunk_line=4)
    connection = Connection(CLIENT, limits=limits, coalesce_chunks=coalesce)
    connection.send(GET)
    connection.send(EndOfMessage())
    wire = OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx" + line
    allowed = len(line) - len(b"\r\nabc\r\n") <= limits.chunk_line

    if allowed:
        events = list(connection.receive_data(wire))
        assert b"xabc" == b"".join(bytes(event.data) for event in events if isinstance(event, Data))
    else:
        with pytest.raises(RemoteProtocolError, match="chunk header of more than 4 bytes"):
            list(connection.receive_data(wire))


def test_equal_field_sections_mean_the_same_in_every_message() -> None:
    """A reader remembers the last one; what it remembers must not reach into the next that differs."""
    server = Connection(SERVER)
    sections = [b"Host: h\r\nX: %b\r\n\r\n" % value for value in (b"1", b"1", b"2", b"1", b"12", b"1")]
    values = []
    for section in sections:
        request = next(server.receive_data(b"GET /a HTTP/1.1\r\n" + section))
        assert isinstance(request, Request)
        values.append(request.headers.raw_items()[1][1])
        assert EndOfMessage() == server.next_event()
        server.send(Response(status_code=204, headers=[]))
        server.send(EndOfMessage())
        server.start_next_cycle()

    assert [b"1", b"1", b"2", b"1", b"12", b"1"] == values


def test_what_is_remembered_of_a_head_passes_no_limit() -> None:
    """The same fields behind a longer target are a longer head."""
    section = b"Host: h\r\n\r\n"
    server = Connection(SERVER, limits=protocol.Limits(head=40))
    assert isinstance(next(server.receive_data(b"GET /a HTTP/1.1\r\n" + section)), Request)
    assert isinstance(server.next_event(), EndOfMessage)
    server.send(Response(status_code=204, headers=[]))
    server.send(EndOfMessage())
    server.start_next_cycle()

    with pytest.raises(RemoteProtocolError) as refused:
        list(server.receive_data(b"GET /aaaaaaaaaaaaaaaa HTTP/1.1\r\n" + section))
    assert 431 == refused.value.error_status_hint


def test_chunks_that_arrive_together_come_out_as_one_piece() -> None:
    connection = Connection(CLIENT, coalesce_chunks=True)
    connection.send(GET)
    connection.send(EndOfMessage())
    chunks = b"".join(b"%x\r\n%b\r\n" % (size, b"x" * size) for size in range(1, 40))

    events = list(connection.receive_data(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"))

    assert [Data(b"x" * sum(range(40))), EndOfMessage()] == events[1:]
