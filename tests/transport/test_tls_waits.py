"""Limits under TLS, where one read is several of the kernel's: records that come in pieces, and signals meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

import client
from client.timeouts import Timeouts
from client.transport import connection as connection_room
from tests.scripted_server import Expect, Hold, ScriptedServer, Send
from tests.tls_authority import TLSAuthority
from tests.transport.exchanging import OK

PATIENCE = 20.0
PACE = 0.02  # seconds between two bytes, or two signals

Play = Callable[[socket.socket, bytes, threading.Event], None]


@pytest.fixture
def session(no_leaks: None, tls_authority: TLSAuthority) -> Iterator[client.Session]:
    with client.Session(trust_env=False, verify=str(tls_authority.bundle)) as session:
        yield session


@contextlib.contextmanager
def answering(authority: TLSAuthority, play: Play) -> Iterator[str]:
    """Serve one connection, whose answer is the record that *play* gets, to be sent as it likes; yield the URL."""
    stop = threading.Event()

    def serve() -> None:
        accepted, _ = listener.accept()
        with accepted, contextlib.suppress(ConnectionError):
            accepted.settimeout(PATIENCE)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = authority.server_context().wrap_bio(incoming, outgoing, server_side=True)
            done = [False, False]  # the handshake, the request
            while not all(done):
                try:
                    tls.read(65536) if done[0] else tls.do_handshake()
                    done[done[0]] = True
                except ssl.SSLWantReadError:
                    accepted.sendall(outgoing.read())
                    incoming.write(accepted.recv(65536))
            tls.write(OK)
            play(accepted, outgoing.read(), stop)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            stop.set()
            thread.join()


def byte_by_byte(accepted: socket.socket, record: bytes, stop: threading.Event, pace: float = PACE) -> None:
    for position in range(len(record)):
        accepted.sendall(record[position : position + 1])
        if stop.wait(pace):
            return


def half(accepted: socket.socket, record: bytes, stop: threading.Event) -> None:
    accepted.sendall(record[: len(record) // 2])
    stop.wait(PATIENCE)


@contextlib.contextmanager
def signalled() -> Iterator[None]:
    """Send this thread signals that do nothing, in no steady beat that `signal.getitimer` would tell of."""
    stop, here = threading.Event(), threading.get_ident()

    def send() -> None:
        while not stop.wait(PACE):
            signal.pthread_kill(here, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("total", [None, PATIENCE])
def test_a_record_may_come_byte_by_byte(
    session: client.Session, tls_authority: TLSAuthority, total: float | None
) -> None:
    with answering(tls_authority, partial(byte_by_byte, pace=0.001)) as url:
        assert b"ok" == session.get(url, timeout=Timeouts(total=total)).content


@pytest.mark.timing
def test_a_total_limit_holds_while_a_record_comes_byte_by_byte(
    session: client.Session, tls_authority: TLSAuthority
) -> None:
    """Each byte would begin the kernel's timeout anew."""
    with answering(tls_authority, byte_by_byte) as url:
        began = time.monotonic()
        with pytest.raises(client.TotalTimeout):
            session.get(url, timeout=Timeouts(total=0.4))

        assert 0.4 <= time.monotonic() - began < 1.4


@pytest.mark.timing
@pytest.mark.parametrize("by_kernel", [True, False])
@pytest.mark.parametrize("with_signals", [True, False])
def test_the_read_limit_holds_where_half_a_record_came(
    session: client.Session,
    tls_authority: TLSAuthority,
    monkeypatch: pytest.MonkeyPatch,
    by_kernel: bool,
    with_signals: bool,
) -> None:
    """Never early either: to ssl, a read that a signal broke off looks like one whose time is over."""
    if not by_kernel:
        monkeypatch.setattr(connection_room, "_HAS_KERNEL_TIMEOUTS", False)
    with answering(tls_authority, half) as url:
        began = time.monotonic()
        with pytest.raises(client.ReadTimeout), signalled() if with_signals else contextlib.nullcontext():
            session.get(url, timeout=Timeouts(read=0.5))

        assert 0.5 <= time.monotonic() - began < 1.5


@pytest.mark.timing
@pytest.mark.parametrize("limit", [None, PATIENCE])
def test_a_signal_ends_no_wait(
    session: client.Session, tls_authority: TLSAuthority, limit: float | None
) -> None:
    def late(accepted: socket.socket, record: bytes, stop: threading.Event) -> None:
        stop.wait(10 * PACE)
        accepted.sendall(record)

    with answering(tls_authority, late) as url, signalled():
        assert b"ok" == session.get(url, timeout=Timeouts(read=limit)).content


def test_a_connection_serves_by_whichever_limits_the_call_has(
    scripted_tls_server: ScriptedServer, session: client.Session
) -> None:
    """The same socket waits in the kernel, in Python, and not at all."""
    body = os.urandom(1 << 20)
    scripted_tls_server.script(
        *(step for _ in range(3) for step in (Expect(), Send(OK), Expect(body=len(body)), Send(OK))), Hold()
    )
    for limits in (Timeouts(total=PATIENCE), Timeouts(), Timeouts(total=PATIENCE)):
        assert b"ok" == session.get(scripted_tls_server.url, timeout=limits).content
        assert b"ok" == session.post(scripted_tls_server.url, data=body, timeout=limits).content

    assert 1 == len(scripted_tls_server.conversations)
