"""Waits without kernel timeouts: on systems that have none, and where a timer's signals would begin them anew."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import client
from client.timeouts import Timeouts
from client.transport import connection as connection_room
from client.transport.connection import HTTPConnection
from client.transport.wire import ConnectionInfo
from tests.scripted_server import Expect, Hold, Reset, ScriptedServer, Send
from tests.transport.exchanging import OK

BODY = bytes(range(256)) * (32 << 10)  # 8 MiB: more than the kernel buffers


@pytest.fixture
def session(no_leaks: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[client.Session]:
    """A session whose connections have Python's timeouts."""
    monkeypatch.setattr(connection_room, "_HAS_KERNEL_TIMEOUTS", False)
    with client.Session(trust_env=False) as session:
        yield session


@pytest.fixture
def beats() -> Iterator[None]:
    """A signal every 20 ms, as a profiler has them."""
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_bodies_go_both_ways(scripted_server: ScriptedServer, session: client.Session) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    conversation = scripted_server.script(Expect(body=len(BODY)), Send(answer + BODY), Hold())

    assert BODY == session.post(scripted_server.url, data=BODY).content

    assert conversation.requests[0].endswith(BODY)


def test_an_early_answer_stops_the_upload(scripted_server: ScriptedServer, session: client.Session) -> None:
    refusal = b"HTTP/1.1 413 Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
    scripted_server.script(Expect(), Send(refusal), Reset())

    response = session.post(scripted_server.url, data=BODY)

    assert (413, b"no") == (response.status_code, response.content)


@pytest.mark.parametrize("of_gevent", [False, True])
def test_only_pythons_own_sockets_have_the_kernels_timeouts(of_gevent: bool) -> None:
    """One of gevent waits in gevent's loop, where the kernel's timeout would never pass."""

    class Cooperative(socket.socket):
        __module__ = "gevent._socket3"

    mine, other = socket.socketpair()
    sock = (Cooperative if of_gevent else socket.socket)(fileno=mine.detach())
    connection = HTTPConnection(sock, ConnectionInfo(), None)
    with other, closing(connection):
        connection._limit_receive(5.0)

        assert (sys.platform == "linux" and not of_gevent) == connection.is_kernel_timed
        assert (None if connection.is_kernel_timed else 5.0) == sock.gettimeout()


@pytest.mark.timing
def test_letting_go_of_a_response_waits_for_nothing(
    scripted_server: ScriptedServer, session: client.Session
) -> None:
    """A socket with a timeout of its own waits for it even where the call says MSG_DONTWAIT."""
    scripted_server.script(Expect(), Send(OK[:-1]), Hold())
    began = time.monotonic()

    session.get(scripted_server.url, stream=True, timeout=10).close()

    assert time.monotonic() - began < 1


@pytest.mark.timing
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signal.setitimer")
@pytest.mark.parametrize(
    ("limit", "error"),
    [(Timeouts(read=0.3), client.ReadTimeout), (Timeouts(total=0.3), client.TotalTimeout)],
    ids=["read", "total"],
)
def test_a_timer_holds_up_no_limit(
    scripted_server: ScriptedServer, beats: None, limit: Timeouts, error: type[client.Timeout]
) -> None:
    """Python calls recv again after each signal, and the kernel began its timeout anew each time."""
    scripted_server.script(Expect(), Hold())
    began = time.monotonic()

    with client.Session(trust_env=False) as session, pytest.raises(error):
        session.get(scripted_server.url, timeout=limit)

    assert 0.3 <= time.monotonic() - began < 1.3


@pytest.mark.timing
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signal.setitimer")
def test_a_timer_that_starts_later_holds_up_no_limit_of_a_session_that_was_closed_behind_it(
    scripted_server: ScriptedServer, request: pytest.FixtureRequest
) -> None:
    """The connection from before has the kernel's timeout; `close` is what the documentation advises."""
    scripted_server.script(Expect(), Send(OK), Hold())
    scripted_server.script(Expect(), Hold())
    with client.Session(trust_env=False) as session:
        session.get(scripted_server.url)
        request.getfixturevalue("beats")
        session.close()
        began = time.monotonic()

        with pytest.raises(client.ReadTimeout):
            session.get(scripted_server.url, timeout=0.3)

    assert 0.3 <= time.monotonic() - began < 1.3


@pytest.mark.timing
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signal.setitimer")
def test_a_timer_that_starts_later_holds_up_no_limit_of_a_worker(
    scripted_server: ScriptedServer, request: pytest.FixtureRequest
) -> None:
    """Signals go to the main thread, so no wait of another one begins anew."""
    scripted_server.script(Expect(), Send(OK), Expect(), Hold())
    with client.Session(trust_env=False) as session:
        session.get(scripted_server.url)
        request.getfixturevalue("beats")
        began = time.monotonic()

        future = session.submit("GET", scripted_server.url, timeout=0.3)

        assert client.ReadTimeout is type(future.exception(10))
    assert 0.3 <= time.monotonic() - began < 1.3


def test_a_download_beside_a_timer_arrives_whole(
    scripted_server: ScriptedServer, beats: None, tmp_path: Path
) -> None:
    """Its descriptor does not block, so that nothing may be spliced."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    scripted_server.script(Expect(), Send(answer + BODY), Hold())

    with client.Session(trust_env=False) as session:
        session.download(f"{scripted_server.url}/body", tmp_path / "body", parts=1)

    assert BODY == (tmp_path / "body").read_bytes()
