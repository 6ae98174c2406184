"""Peers that break the TLS handshake, never finish it, or end the connection in one way or the other."""

from __future__ import annotations

import gc
import socket
import ssl
import struct
import threading
import time
from typing import Any

import pytest

import client
from client.exceptions import ConnectError, ConnectTimeout, InvalidRequest, SSLError
from client.transport.cancel import CancelToken
from client.transport.dialer import Route
from client.transport.tls import TLSSettings
from client.transport.tls_connection import TLSConnection
from tests.leaks import open_descriptors, slots_of
from tests.scripted_server import (
    Close,
    Expect,
    ExpectClosed,
    FailedHandshake,
    HalfClose,
    Hold,
    Pause,
    Reset,
    ScriptedServer,
    Send,
    Signal,
)
from tests.tls_authority import TLSAuthority
from tests.transport.dialing import CloseNotify, cancel_when, dialed

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
def trusting(tls_authority: TLSAuthority) -> TLSSettings:
    """Settings that trust the authority of the run."""
    return TLSSettings(str(tls_authority.bundle))


def route_to(server: ScriptedServer, settings: TLSSettings) -> Route:
    return Route("https", "localhost", server.port, tls=settings)


def test_settings_that_cannot_be_used_open_no_connection(scripted_server: ScriptedServer) -> None:
    """The server has no script: it would report any connection."""
    with pytest.raises(InvalidRequest, match="/no/such/file"):
        with dialed(route_to(scripted_server, TLSSettings("/no/such/file"))):
            pass


def test_a_reset_before_the_handshake_leaves_no_socket_to_the_garbage_collector(
    trusting: TLSSettings,
) -> None:
    """It may come while ssl takes the socket over, and ssl then drops the one that it has made, unclosed."""
    before = [link for link in open_descriptors().values() if link.startswith("socket")]
    refused = 0

    def refuse(listening: socket.socket, times: int) -> None:
        for _ in range(times):
            connection, _address = listening.accept()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=refuse, args=(listening, 100))
        server.start()
        gc.disable()
        try:
            for _ in range(100):
                try:
                    with dialed(Route("https", "127.0.0.1", listening.getsockname()[1], tls=trusting)):
                        pass
                except ConnectError:
                    refused += 1
            server.join()
            left = [link for link in open_descriptors().values() if link.startswith("socket")]
        finally:
            gc.enable()

    assert 100 == refused
    assert len(before) + 1 == len(left)  # the listening one


def broken(server: ScriptedServer, settings: TLSSettings, **options: Any) -> Exception:
    with pytest.raises(ConnectError) as caught:
        with dialed(route_to(server, settings), **options):
            pass
    return caught.value


def test_plain_http_instead_of_a_handshake_is_no_answer(
    scripted_server: ScriptedServer, trusting: TLSSettings
) -> None:
    """CVE-2023-40217: bytes from before the handshake must never count as protected by it."""
    scripted_server.script(Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), Close())

    error = broken(scripted_server, trusting)

    assert SSLError is type(error)
    assert "does not seem to speak TLS" in str(error)


@pytest.mark.parametrize("end", [Close(), HalfClose()], ids=repr)
def test_a_close_during_the_handshake_is_an_error(
    scripted_server: ScriptedServer, trusting: TLSSettings, end: Any
) -> None:
    scripted_server.script(Expect(until=b"localhost"), end)

    assert "localhost" in str(broken(scripted_server, trusting))


def test_a_reset_during_the_handshake_is_an_error(
    scripted_server: ScriptedServer, trusting: TLSSettings
) -> None:
    scripted_server.script(Expect(until=b"localhost"), Reset())

    error = broken(scripted_server, trusting)

    assert "broke during the TLS handshake: Connection reset by peer" in str(error)


#: Begins as one does; the 122 bytes of the record never come to an end.
SERVER_HELLO = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + bytes(32)


@pytest.mark.timing
@pytest.mark.parametrize("steps", [(Hold(),), (Send(SERVER_HELLO[:20], piece=1), Hold())])
def test_a_silent_or_slow_handshake_ends_with_the_budget(
    scripted_server: ScriptedServer, trusting: TLSSettings, steps: tuple[Any, ...]
) -> None:
    scripted_server.script(*steps)

    started = time.monotonic()
    error = broken(scripted_server, trusting, seconds=0.3)

    assert 0.3 <= time.monotonic() - started < 1.3
    assert isinstance(error, ConnectTimeout)
    assert ("tls", 0.3) == (error.phase, error.seconds)


@pytest.mark.timing
def test_a_dripped_handshake_ends_with_the_budget(
    scripted_server: ScriptedServer, trusting: TLSSettings
) -> None:
    """Each byte is progress, and none of them buys more time."""
    drip = [step for byte in SERVER_HELLO for step in (Send(bytes([byte]), may_fail=True), Pause(0.05))]
    scripted_server.script(*drip, Hold())

    error = broken(scripted_server, trusting, seconds=0.3)

    assert isinstance(error, ConnectTimeout)
    assert "tls" == error.phase


def test_cancelling_wakes_a_handshake(scripted_server: ScriptedServer, trusting: TLSSettings) -> None:
    token, error, waiting = CancelToken(), KeyError("stopped"), threading.Event()
    scripted_server.script(Expect(until=b"localhost"), Signal(waiting), ExpectClosed(silently=False))

    with cancel_when(waiting, token, error), pytest.raises(KeyError) as caught:
        with dialed(route_to(scripted_server, trusting), seconds=None, cancel=token):
            pass

    assert error is caught.value


# -- the end of a connection ------------------------------------------------------------------------------------


def test_a_close_without_close_notify_is_an_error(
    scripted_tls_server: ScriptedServer, trusting: TLSSettings
) -> None:
    """Anybody on the way can send a FIN; only the peer can send a close_notify."""
    scripted_tls_server.script(Send(b"hello"), HalfClose(), ExpectClosed())

    with dialed(route_to(scripted_tls_server, trusting)) as connection:
        assert b"hello" == connection.sock.recv(5)
        with pytest.raises(ssl.SSLEOFError):
            connection.sock.recv(5)


def test_a_close_with_close_notify_is_an_end(
    scripted_tls_server: ScriptedServer, trusting: TLSSettings
) -> None:
    scripted_tls_server.script(Send(b"hello"), CloseNotify(), Close())

    with dialed(route_to(scripted_tls_server, trusting)) as connection:
        assert b"hello" == connection.sock.recv(5)
        assert b"" == connection.sock.recv(5)


# -- refused when the handshake is over on our side ----------------------------------------------------------------


@pytest.mark.parametrize("body", [None, bytes(1 << 20)], ids=["GET", "upload"])
def test_a_server_that_misses_our_certificate_is_told_from_one_that_goes_away(
    tls_authority: TLSAuthority, body: bytes | None
) -> None:
    """With TLS 1.3 its alert comes behind our half of the handshake, where nobody waits: OpenSSL shows it once only."""
    context = tls_authority.server_context()
    context.verify_mode = ssl.CERT_REQUIRED

    def trace(event: str, facts: dict[str, Any]) -> None:
        if event == "send.start":
            assert refused.finished.wait(10)

    with ScriptedServer(context) as server:
        refused = server.script(FailedHandshake())
        with client.Session(trust_env=False, verify=str(tls_authority.bundle), trace=trace) as session:
            with pytest.raises(SSLError, match="CERTIFICATE_REQUIRED") as caught:
                session.request("GET" if body is None else "POST", server.url, data=body)

            assert isinstance(caught.value.__cause__, ssl.SSLError)
            assert 0 == slots_of(session)


def test_an_alert_that_is_met_by_a_look_is_kept(tls_authority: TLSAuthority) -> None:
    """During an upload answers are looked for, not waited for."""
    context = tls_authority.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    with ScriptedServer(context) as server:
        refused = server.script(FailedHandshake())
        route = Route("https", "localhost", server.port, tls=TLSSettings(str(tls_authority.bundle)))
        with dialed(route) as found:
            connection = TLSConnection(found.sock, found.info, None)
            assert refused.finished.wait(10)

            assert b"" == connection.receive_ready()

            assert "CERTIFICATE_REQUIRED" in str(connection.alert)
