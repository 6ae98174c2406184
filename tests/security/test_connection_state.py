"""Rows 93, 102 and C: what one use of a connection may leave to the next, seen from a session.

The pool's own tests hold most of these rows; here the same is asked of the verbs that users call.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import client
from client.exceptions import ConnectionError, RequestException  # requests' name
from tests.leaks import no_leaks, open_descriptors
from tests.scripted_server import (
    Close,
    Expect,
    Hold,
    Reset,
    ScriptedServer,
    Send,
    Signal,
    Wait,
)
from tests.tls_authority import TLSAuthority

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


@pytest.fixture
def session() -> Iterator[client.Session]:
    """A session that holds no slot in the end."""
    with client.Session(trust_env=False) as session:
        yield session
    assert 0 == session._transport._slots  # type: ignore[attr-defined]  # the pool


@pytest.mark.parametrize("when", ["in one segment", "while idle"])
@pytest.mark.parametrize("unasked", [EVIL, b"\r\n", b"HTTP/1.1 408 Late\r\n\r\n", b"\x00garbage"])
def test_row_093_an_unasked_for_answer_answers_nothing(
    scripted_server: ScriptedServer, session: client.Session, when: str, unasked: bytes
) -> None:
    """Also row C6. httpx 0.28 hands the second response of one segment to the next request."""
    sent = threading.Event()
    steps = [Send(OK + unasked)] if when == "in one segment" else [Send(OK), Send(unasked)]
    scripted_server.script(Expect(), *steps, Signal(sent), Hold())
    again = scripted_server.answer(OK)

    first = session.get(f"{scripted_server.url}/1").text
    assert sent.wait(5)
    second = session.get(f"{scripted_server.url}/2").text

    assert ("ok", "ok") == (first, second)
    assert again.requests[0].startswith(b"GET /2 ")
    assert 1 == len(again.requests)


def test_row_102_uploads_that_break_off_leave_no_descriptor_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 300_000)
    with ScriptedServer() as server, client.Session(trust_env=False) as session, no_leaks():
        for _ in range(50):
            server.script(Expect(body=1000), Reset())
            with (tmp_path / "file").open("rb") as file, pytest.raises(RequestException):
                session.post(server.url, data=file)

        assert 0 == session._transport._slots  # type: ignore[attr-defined]  # the pool


@pytest.mark.parametrize("way", ["closed", "dropped", "partly read", "failing"])
def test_row_c9_whatever_a_response_comes_to_its_descriptor_and_slot_come_back(way: str) -> None:
    """Without a collection in between: a descriptor that only the garbage collector closes is a leak."""
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 70_000
    with (
        ScriptedServer() as server,
        client.Session(trust_env=False, limits=client.PoolLimits(4, 4)) as session,
    ):
        before = None
        for number in range(100):
            server.script(Expect(), Send(long, may_fail=True), Close() if way == "failing" else Hold())
            response = session.get(server.url, stream=True)
            if way == "closed":
                response.close()
            elif way == "partly read":
                with response:
                    next(response.iter_content(100))
            elif way == "failing":
                with pytest.raises(client.IncompleteBody):
                    response.content  # noqa: B018  # reads it
            del response
            if number == 10:
                before = len(open_descriptors())
        after = len(open_descriptors())
        pool: Any = session._transport
        pool.close()
        assert 0 == pool._slots

    assert before is not None
    assert after <= before + 4, "a connection or two of the server may still be about to close"


@pytest.mark.parametrize("tls", [False, True])
def test_row_c13_signals_and_small_buffers_lose_no_byte(tls: bool, tls_authority: TLSAuthority) -> None:
    """EINTR, EAGAIN and partial writes, all the time: a timer signal every two milliseconds."""
    body = bytes(range(256)) * 8000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    options = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096), (socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    context = tls_authority.server_context() if tls else None
    try:
        with (
            ScriptedServer(tls=context) as server,
            client.Session(
                trust_env=False, socket_options=options, verify=str(tls_authority.bundle), timeout=20
            ) as session,
        ):
            script = server.script(Expect(b"POST ", body=len(body)), Send(answer), Hold())
            signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
            response = session.post(server.url, data=body)
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert body == response.content
    assert script.requests[0].endswith(body)
    assert rung


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_row_c4_a_connection_that_dies_at_any_time_around_reuse_sends_no_post_twice(method: str) -> None:
    """The server closes as soon as its answer is out; the next request comes right then."""
    arrived: list[bytes] = []
    with client.Session(trust_env=False) as session, ScriptedServer() as server:
        for number in range(100):
            gone = threading.Event()
            server.script(Expect(), Send(OK), Wait(gone) if number % 2 else Signal(gone), Close())
            assert "ok" == session.get(server.url).text
            again = server.script(Expect(body=2 if method == "POST" else 0), Send(OK), Close())
            gone.set()
            try:
                assert (
                    "ok" == session.request(method, server.url, data=b"xy" if method == "POST" else None).text
                )
            except ConnectionError:
                assert "POST" == method
                with socket.create_connection((server.host, server.port)) as filler:
                    filler.sendall(b"POST /unused HTTP/1.1\r\n\r\nxy")
                    filler.recv(100)
            again.finished.wait(5)
            arrived += again.requests

    assert 100 == len(arrived), "each arrived once, or was an error"
