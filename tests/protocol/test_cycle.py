"""One request and one response through two engines back to back: events, bytes, states, reuse."""

from __future__ import annotations

import pytest

from client.protocol import (
    CLIENT,
    DONE,
    IDLE,
    SERVER,
    Connection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    Response,
)

GET = Request(method="GET", target="/", headers=[("Host", "example.com")])


def client_waiting_for_response() -> Connection:
    client = Connection(CLIENT)
    client.send(GET)
    client.send(EndOfMessage())
    return client


def test_a_get_goes_out_and_its_response_comes_back() -> None:
    client, server = Connection(CLIENT), Connection(SERVER)

    wire = client.send(GET) + client.send(EndOfMessage())

    assert b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n" == wire
    assert [GET, EndOfMessage()] == list(server.receive_data(wire))

    response = Response(status_code=200, headers=[("Content-Length", "5")], reason="OK")
    wire = server.send(response) + server.send(Data(b"hello")) + server.send(EndOfMessage())

    assert b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" == wire
    assert [response, Data(b"hello"), EndOfMessage()] == list(client.receive_data(wire))
    assert {CLIENT: DONE, SERVER: DONE} == client.states == server.states

    client.start_next_cycle()
    server.start_next_cycle()

    assert {CLIENT: IDLE, SERVER: IDLE} == client.states == server.states


def test_a_body_of_unknown_length_goes_out_chunked_with_trailers() -> None:
    server, client = Connection(SERVER), client_waiting_for_response()
    list(server.receive_data(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"))

    wire = server.send(Response(status_code=200, headers=[]))
    wire += server.send(Data(b"hello")) + server.send(EndOfMessage(headers=[("Digest", "x")]))

    assert b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nDigest: x\r\n\r\n" == wire
    events = list(client.receive_data(wire))
    assert [
        Data(b"hello", chunk_start=True, chunk_end=True),
        EndOfMessage(headers=[("Digest", "x")]),
    ] == events[1:]


def test_a_body_until_close_ends_with_the_connection() -> None:
    client = client_waiting_for_response()

    events = list(client.receive_data(b"HTTP/1.0 200 OK\r\n\r\nhel"))
    events += client.receive_data(b"lo")
    events += client.receive_data(b"")

    assert [Data(b"hel"), Data(b"lo"), EndOfMessage(), ConnectionClosed()] == events[1:]


def test_a_body_cut_short_is_the_peers_fault() -> None:
    client = client_waiting_for_response()
    list(client.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"))

    with pytest.raises(RemoteProtocolError, match="received 3 bytes, expected 5"):
        list(client.receive_data(b""))


def test_a_response_before_the_request_is_never_taken_for_its_answer() -> None:
    client = client_waiting_for_response()
    list(client.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\nevil"))

    with pytest.raises(LocalProtocolError, match="bytes that belong to no request"):
        client.start_next_cycle()
