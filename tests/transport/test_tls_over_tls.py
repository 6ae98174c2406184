"""TLS to an origin inside TLS to a proxy behaves as any TLS socket does."""

from __future__ import annotations

import contextlib
import hashlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from client.transport.dialer import Route
from client.transport.handshake import TLSOverTLS
from client.transport.tls import TLSSettings
from client.transport.wire import Proxy
from tests.scripted_server import (
    Close,
    Expect,
    ExpectClosed,
    HalfClose,
    Hold,
    ScriptedServer,
    Send,
    Signal,
    Step,
    Wait,
)
from tests.tls_authority import TLSAuthority
from tests.transport.dialing import CloseNotify, dialed
from tests.transport.relaying_proxy import ConnectProxy

pytestmark = pytest.mark.usefixtures("no_leaks")

MEGABYTE = hashlib.shake_256(b"threadwire").digest(1 << 20)


class Tunnel:
    """Opens one connection to a scripted TLS origin through a TLS proxy."""

    def __init__(self, origin: ScriptedServer, proxy: ConnectProxy, route: Route) -> None:
        self.origin = origin
        self.proxy = proxy
        self.route = route

    @contextlib.contextmanager
    def open(self, *steps: Step) -> Iterator[TLSOverTLS]:
        self.origin.script(*steps)
        with dialed(self.route) as connection:
            assert isinstance(connection.sock, TLSOverTLS)
            yield connection.sock


@pytest.fixture
def tunnel(
    no_leaks: None, scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority
) -> Iterator[Tunnel]:
    settings = TLSSettings(tls_authority.bundle)
    with ConnectProxy(tls_authority.server_context()) as proxy:
        way = Proxy("https", "127.0.0.1", proxy.port, tls=settings)
        yield Tunnel(
            scripted_tls_server, proxy, Route("https", "localhost", scripted_tls_server.port, way, settings)
        )


def test_the_facts_are_those_of_the_inner_connection(tunnel: Tunnel, tls_authority: TLSAuthority) -> None:
    with tunnel.open(Send(b"hello"), ExpectClosed()) as sock:
        assert isinstance(sock, socket.socket)
        assert "TLSv1.3" == sock.version()
        assert sock.selected_alpn_protocol() in (None, "http/1.1")
        names = [name for _, name in sock.getpeercert()["subjectAltName"]]
        assert "localhost" in names
        assert b"hello" == sock.recv(5)


def test_a_pin_is_for_the_origin(tunnel: Tunnel, tls_authority: TLSAuthority) -> None:
    with tunnel.open(Send(b"hello"), ExpectClosed()) as sock:
        pin = hashlib.sha256(sock.getpeercert(binary_form=True)).digest()
        assert b"hello" == sock.recv(5)

    pinned = TLSSettings(tls_authority.bundle, fingerprint=pin)
    tunnel.route = Route("https", "localhost", tunnel.route.port, tunnel.route.proxy, pinned)
    with tunnel.open(Send(b"hello"), ExpectClosed()) as sock:
        assert b"hello" == sock.recv(5)


def test_a_megabyte_each_way(tunnel: Tunnel) -> None:
    with tunnel.open(Expect(until=b"", body=len(MEGABYTE)), Send(MEGABYTE), ExpectClosed()) as sock:
        sock.sendall(MEGABYTE)
        received = bytearray(len(MEGABYTE))
        filled = 0
        while filled < len(received):
            count = sock.recv_into(memoryview(received)[filled:])
            assert 0 < count
            filled += count
        assert MEGABYTE == received
    assert [MEGABYTE] == tunnel.origin.conversations[0].requests


def test_without_blocking_it_says_what_it_waits_for(tunnel: Tunnel) -> None:
    """And whatever polling the descriptor does not show, `pending` does."""
    go = threading.Event()
    with tunnel.open(Wait(go), Send(MEGABYTE), ExpectClosed()) as sock:
        sock.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            sock.recv(1)
        assert 0 == sock.pending()
        go.set()
        received = b""
        while len(received) < len(MEGABYTE):
            if not sock.pending():
                assert select.select([sock], [], [], 10)[0], f"{len(received)} bytes came, then silence"
            try:
                received += sock.recv(1000)
            except ssl.SSLWantReadError:
                assert 0 == sock.pending()
        assert MEGABYTE == received


def test_a_full_network_is_told_and_nothing_is_lost(tunnel: Tunnel) -> None:
    go = threading.Event()
    data = MEGABYTE * 16
    with tunnel.open(Wait(go), Expect(until=b"", body=len(data)), Send(b"done"), ExpectClosed()) as sock:
        sock.setblocking(False)
        sent = 0
        with pytest.raises(ssl.SSLWantWriteError):
            while sent < len(data):
                sent += sock.send(memoryview(data)[sent:])
        go.set()
        while sent < len(data):
            try:
                sent += sock.send(memoryview(data)[sent:])
            except ssl.SSLWantWriteError:
                select.select([], [sock], [], 10)
        sock.settimeout(10)
        assert b"done" == sock.recv(4)
    assert data == tunnel.origin.conversations[0].requests[0]


def test_a_timeout_is_kept(tunnel: Tunnel) -> None:
    with tunnel.open(Hold()) as sock:
        sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            sock.recv(1)


@pytest.mark.timing
def test_a_dripped_record_does_not_stretch_the_timeout(tunnel: Tunnel) -> None:
    """Each byte makes the outer connection readable, and none of them is enough for the inner one."""
    go = threading.Event()
    with tunnel.open(Wait(go), Send(b"x" * 500), Hold()) as sock:
        sock.settimeout(0.05)
        with contextlib.suppress(TimeoutError):  # tickets that are on their way
            sock.recv(1)
        tunnel.proxy.dripping.set()
        go.set()
        sock.settimeout(0.3)
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            sock.recv(1)

        assert 0.3 <= time.monotonic() - started < 1.3


def test_a_close_without_close_notify_is_an_error(tunnel: Tunnel) -> None:
    with tunnel.open(Send(b"hello"), HalfClose()) as sock:
        assert b"hello" == sock.recv(5)
        with pytest.raises(ssl.SSLEOFError):
            sock.recv(5)


def test_a_close_with_close_notify_is_an_end(tunnel: Tunnel) -> None:
    with tunnel.open(Send(b"hello"), CloseNotify(), Close()) as sock:
        assert b"hello" == sock.recv(5)
        assert b"" == sock.recv(5)
        assert 0 == sock.recv_into(bytearray(5))


def test_shutting_down_wakes_a_blocked_reader(tunnel: Tunnel) -> None:
    """The way to stop a call from another thread: the plain socket's shutdown, then the owner closes."""
    reading = threading.Event()
    outcome: list[object] = []
    with tunnel.open(Signal(reading), Hold()) as sock:

        def read(sock: TLSOverTLS = sock) -> None:
            try:
                outcome.append(sock.recv(1))
            except OSError as error:
                outcome.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        assert reading.wait(10)
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
        thread.join(10)

        assert not thread.is_alive()
        assert b"x" not in outcome


def test_nothing_goes_round_the_inner_layer(tunnel: Tunnel) -> None:
    """What a plain socket would do here, it would do in the clear in the middle of the proxy's records."""
    with tunnel.open(Send(b"hello"), ExpectClosed()) as sock:
        assert b"hello" == sock.recv(5)
        with pytest.raises(NotImplementedError):
            sock.sendmsg([b"secret"])
        with pytest.raises(NotImplementedError):
            sock.sendto(b"secret", ("127.0.0.1", 1))
        with pytest.raises(NotImplementedError):
            sock.recvmsg(1)


def test_closing_twice_is_closing_once(tunnel: Tunnel) -> None:
    with tunnel.open(Send(b"hello"), ExpectClosed()) as sock:
        assert b"hello" == sock.recv(5)
        sock.close()
        sock.close()

        assert -1 == sock.fileno()
