"""What one role sends the other receives, event for event, wherever the wire is cut."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from client import protocol
from tests.conformance.feeding import drain, merged
from tests.conformance.messages import (
    Exchange,
    Message,
    bodies,
    exchanges,
    messages_out,
    piece_sizes,
    pieces_of,
    requests,
    tokens,
)


def receive(connection: protocol.Connection, wire: bytes, sizes: list[int]) -> list[protocol.Event]:
    """Feed *wire* cut into *sizes*; return the events."""
    events: list[protocol.Event] = []
    for piece in pieces_of(wire, sizes):
        connection.receive_data(piece)
        error = drain(connection, events)
        assert error is None, f"a valid message was refused: {error}"
    return events


@given(st.lists(exchanges(), max_size=3), exchanges(last=True), piece_sizes)
def test_exchanges_arrive_as_they_were_sent(before: list[Exchange], last: Exchange, sizes: list[int]) -> None:
    """Several on one connection: nothing of one leaks into the next."""
    client = protocol.Connection(protocol.CLIENT)
    server = protocol.Connection(protocol.SERVER)
    for number, exchange in enumerate([*before, last]):
        if number:
            client.start_next_cycle()
            server.start_next_cycle()
        seen = receive(server, messages_out(client, exchange.request.events), sizes)
        assert merged(exchange.request.events) == merged(seen)

        answer: list[protocol.Event] = [*exchange.informational, *exchange.response.events]
        seen = receive(client, messages_out(server, answer), sizes)
        assert merged(answer) == merged(seen)


@given(requests(), bodies, piece_sizes, st.sampled_from([b"1.0", b"1.1"]))
def test_a_response_without_length_frames_itself(
    request: Message, body: list[bytes], sizes: list[int], version: bytes
) -> None:
    """Chunked for a 1.1 client; for a 1.0 client the close is the end, and the engine says so to both."""
    assert isinstance(request.head, protocol.Request)
    method = b"POST" if request.head.method in (b"HEAD", b"CONNECT") else request.head.method
    client = protocol.Connection(protocol.CLIENT)
    server = protocol.Connection(protocol.SERVER)
    wire = messages_out(
        client,
        [protocol.Request(method=method, target="/", headers=[("Host", "h")]), protocol.EndOfMessage()],
    )
    receive(server, wire.replace(b"HTTP/1.1", b"HTTP/" + version), sizes)

    answer = [
        protocol.Response(status_code=200, headers=[]),
        *(protocol.Data(data=piece) for piece in body),
        protocol.EndOfMessage(),
    ]
    seen = receive(client, messages_out(server, answer), sizes)
    if version == b"1.0":
        assert server.our_state is protocol.MUST_CLOSE
        client.receive_data(b"")
        assert drain(client, seen) is None

    assert [one for one in merged(answer) if one[0] == "Data"] == [
        one for one in merged(seen) if one[0] == "Data"
    ]
    assert any(isinstance(event, protocol.EndOfMessage) for event in seen)


@given(exchanges(), piece_sizes)
@example(
    Exchange(
        Message(protocol.Request(method="GET", target="/", headers=[("Host", "h")]), [], []),
        [],
        Message(
            protocol.Response(status_code=200, headers=[("Transfer-Encoding", "chunked")]), [b"a", b"b"], []
        ),
    ),
    [1000],
)
def test_coalescing_changes_no_byte_of_the_body(exchange: Exchange, sizes: list[int]) -> None:
    """All whole chunks in the buffer become one Data; the flags, which would lie about it, stay False."""
    client = protocol.Connection(protocol.CLIENT, coalesce_chunks=True)
    server = protocol.Connection(protocol.SERVER, coalesce_chunks=True)
    by_server = receive(server, messages_out(client, exchange.request.events), sizes)
    assert merged(exchange.request.events) == merged(by_server)

    answer: list[protocol.Event] = [*exchange.informational, *exchange.response.events]
    by_client = receive(client, messages_out(server, answer), sizes)
    assert merged(answer) == merged(by_client)
    seen = [*by_server, *by_client]
    flags = [(event.chunk_start, event.chunk_end) for event in seen if isinstance(event, protocol.Data)]
    assert {(False, False)} >= set(flags)


@given(exchanges(), piece_sizes, st.booleans())
def test_passthrough_delivers_the_same_bytes(exchange: Exchange, sizes: list[int], coalesce: bool) -> None:
    """Body bytes that never pass the engine are those it would have handed out."""
    client = protocol.Connection(protocol.CLIENT, coalesce_chunks=coalesce)
    server = protocol.Connection(protocol.SERVER, coalesce_chunks=coalesce)
    seen = receive_past_the_engine(server, messages_out(client, exchange.request.events), sizes)
    assert merged(exchange.request.events) == merged(seen)

    answer: list[protocol.Event] = [*exchange.informational, *exchange.response.events]
    seen = receive_past_the_engine(client, messages_out(server, answer), sizes)
    assert merged(answer) == merged(seen)


def receive_past_the_engine(
    connection: protocol.Connection, wire: bytes, sizes: list[int]
) -> list[protocol.Event]:
    """Read *wire* as a transport does: what is nothing but body goes to the caller, the rest to the engine."""
    events: list[protocol.Event] = []
    position = 0
    turn = 0
    while True:
        error = drain(connection, events)
        assert error is None, f"a valid message was refused: {error}"
        if position >= len(wire):
            return events
        size = sizes[turn % len(sizes)]
        turn += 1
        body_ahead = connection.passthrough_available()
        if body_ahead:
            piece = wire[position : position + min(size, body_ahead)]
            connection.passthrough_received(len(piece))
            events.append(protocol.Data(data=piece))
        else:
            piece = wire[position : position + size]
            connection.receive_data(piece)
        position += len(piece)


@given(
    st.lists(requests(tokens.filter(lambda method: method != b"CONNECT")), min_size=2, max_size=4),
    piece_sizes,
)
def test_pipelined_requests_are_read_one_a_cycle(pipeline: list[Message], sizes: list[int]) -> None:
    """All in one stream, in pieces that end in the middle of any of them: none leaks into its neighbours."""
    server = protocol.Connection(protocol.SERVER)
    stream = pieces_of(b"".join(wire_of(request) for request in pipeline), sizes)
    seen: list[protocol.Event] = []
    for number, request in enumerate(pipeline):
        if number:
            server.start_next_cycle()
        seen = []
        assert drain(server, seen) is None
        while server.their_state is not protocol.DONE:
            server.receive_data(next(stream))
            assert drain(server, seen) is None
        assert merged(request.events) == merged(seen)
        messages_out(server, [protocol.Response(status_code=204, headers=[]), protocol.EndOfMessage()])

    assert (b"", False) == server.trailing_data


def wire_of(request: Message) -> bytes:
    return messages_out(protocol.Connection(protocol.CLIENT), request.events)
