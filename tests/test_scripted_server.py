"""The byte-exact server must be right itself: a script that was not played may not pass as one that was."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

import pytest

from tests.leaks import no_leaks
from tests.scripted_server import (
    Close,
    Expect,
    ExpectClosed,
    FailedHandshake,
    Flood,
    HalfClose,
    Hold,
    Reset,
    ScriptedServer,
    Send,
    Signal,
    Wait,
)
from tests.tls_authority import TLSAuthority

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def connect(server: ScriptedServer) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=5)


def receive_all(client: socket.socket) -> bytes:
    received = b""
    while data := client.recv(65536):
        received += data
    return received


def test_a_script_is_played_byte_by_byte_and_records_what_came(scripted_server: ScriptedServer) -> None:
    conversation = scripted_server.script(
        Expect(b"GET / ", body=3), Send(b"one"), Expect(until=b"!"), Send(b"two"), Close()
    )

    with connect(scripted_server) as client:
        client.sendall(HEAD + b"abc")
        client.sendall(b"more!")
        reply = receive_all(client)

    assert b"onetwo" == reply
    assert [HEAD + b"abc", b"more!"] == conversation.requests
    assert HEAD + b"abcmore!" == conversation.received


def test_each_connection_plays_the_next_script(scripted_server: ScriptedServer) -> None:
    scripted_server.script(Send(b"1"))
    scripted_server.script(Send(b"2"))

    with connect(scripted_server) as first, connect(scripted_server) as second:
        assert [b"1", b"2"] == [receive_all(first), receive_all(second)]


def test_answer_keeps_the_connection_open_between_responses(scripted_server: ScriptedServer) -> None:
    scripted_server.answer(b"a", b"b")

    with connect(scripted_server) as client:
        for expected in (b"a", b"b"):
            client.sendall(HEAD)
            assert expected == client.recv(10)


def test_an_event_orders_the_two_sides(scripted_server: ScriptedServer) -> None:
    go, gone = threading.Event(), threading.Event()
    scripted_server.script(Wait(go), Send(b"late"), Signal(gone))

    with connect(scripted_server) as client:
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
        client.settimeout(5)
        go.set()
        assert gone.wait(5)
        assert b"late" == client.recv(10)


def test_reset_is_a_reset_and_half_close_a_fin(scripted_server: ScriptedServer) -> None:
    scripted_server.script(Expect(), Reset())
    half_closed = scripted_server.script(Send(b"bye"), HalfClose(), Expect())

    with connect(scripted_server) as client:
        client.sendall(HEAD)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with connect(scripted_server) as client:
        assert b"bye" == receive_all(client)
        client.sendall(HEAD)

    assert half_closed.finished.wait(5)
    assert [HEAD] == half_closed.requests


def test_a_flood_ends_when_the_client_goes_away(scripted_server: ScriptedServer) -> None:
    flood = scripted_server.script(Flood(b"x" * 65536, limit=1 << 40))

    with connect(scripted_server) as client:
        client.recv(10)

    assert flood.finished.wait(5)


def test_tls_from_the_first_byte(scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority) -> None:
    scripted_tls_server.answer(b"secret")

    with (
        connect(scripted_tls_server) as client,
        tls_authority.client_context().wrap_socket(client, server_hostname="localhost") as tls,
    ):
        tls.sendall(HEAD)
        assert b"secret" == tls.recv(10)


def test_a_refused_certificate_can_be_the_script(scripted_tls_server: ScriptedServer) -> None:
    scripted_tls_server.script(FailedHandshake())

    with connect(scripted_tls_server) as client, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(client, server_hostname="localhost")


def test_closing_leaves_nothing_behind() -> None:
    with no_leaks(), contextlib.ExitStack() as clients:
        with ScriptedServer() as server:
            for _ in range(2):
                held = server.script(Hold())
                clients.enter_context(connect(server))
                assert held.accepted.wait(5)


@pytest.mark.parametrize("left", ["a descriptor", "a thread"])
def test_what_is_left_behind_is_seen(left: str) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    with contextlib.ExitStack() as leaked:
        with pytest.raises(AssertionError, match="left behind"), no_leaks(grace=0.01):
            if left == "a thread":
                thread.start()
                leaked.callback(thread.join)
                leaked.callback(stop.set)
            else:
                leaked.enter_context(socket.socket())


@pytest.mark.parametrize("gap", ["never came", "stops halfway", "wrong bytes", "no script", "not closed"])
def test_what_does_not_go_by_the_script_fails_the_test(gap: str) -> None:
    server = ScriptedServer(patience=0.2)
    with pytest.raises(AssertionError, match="scripted server: "), server:
        if gap == "never came":
            server.script(Expect())
        elif gap == "no script":
            with connect(server) as client:
                receive_all(client)
        elif gap == "not closed":
            conversation = server.script(ExpectClosed())
            with connect(server):
                assert conversation.finished.wait(5)
        else:
            server.script(Expect(b"POST" if gap == "wrong bytes" else b"GET"), Expect())
            with connect(server) as client:
                client.sendall(HEAD)
                client.shutdown(socket.SHUT_WR)
                receive_all(client)
