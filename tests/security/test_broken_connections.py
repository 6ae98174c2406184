"""Rows C1 to C3, C5 to C8, C10 and C11: connections that end, speak or are left at a bad moment, seen from a session.

The transport's own tests take the same rows apart byte by byte; here the verbs that users call are asked.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import client
from client.exceptions import ConnectionError, RemoteDisconnected, RequestException  # requests' name
from tests.faults.origin import NonceOrigin, body_of
from tests.leaks import no_leaks
from tests.scripted_server import (
    Close,
    Expect,
    ExpectClosed,
    HalfClose,
    Hold,
    Reset,
    ScriptedServer,
    Send,
    Signal,
    Step,
    Wait,
)
from tests.tls_authority import TLSAuthority

HEAD = b"HTTP/1.1 200 OK\r\n"
OK = HEAD + b"Content-Length: 2\r\n\r\nok"
REFUSED = b"HTTP/1.1 413 Large\r\nContent-Length: 3\r\n\r\nbig"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def session() -> Iterator[client.Session]:
    """A session that holds no slot in the end."""
    with client.Session(trust_env=False) as session:
        yield session
    assert 0 == session._transport._slots  # type: ignore[attr-defined]  # the pool


# What was sent before the end -> what had come of the body, None where there was no answer yet.
CUT = {
    "before the head": (b"", None),
    "in the head": (HEAD + b"Content-Le", None),
    "after 100": (b"HTTP/1.1 100 Continue\r\n\r\n", None),
    "after the head": (HEAD + b"Content-Length: 10\r\n\r\n", b""),
    "in a length": (HEAD + b"Content-Length: 10\r\n\r\nhel", b"hel"),
    "in a chunk": (CHUNKED + b"5\r\nhel", b"hel"),
    "after a chunk": (CHUNKED + b"3\r\nhel\r\n", b"hel"),
    "in a size": (CHUNKED + b"3\r\nhel\r\n1", b"hel"),
    "before the last line": (CHUNKED + b"3\r\nhel\r\n0\r\n", b"hel"),
    "in the trailers": (CHUNKED + b"3\r\nhel\r\n0\r\nX: y\r\n", b"hel"),
}


def check_cut(server: ScriptedServer, session: client.Session, where: str, end: Step, stream: bool) -> None:
    sent, partial = CUT[where]
    go_on = threading.Event()
    server.script(Expect(b"GET "), Send(sent), Wait(go_on), end)
    session.trace = lambda event, facts: go_on.set() if event == "send.end" else None

    with pytest.raises(ConnectionError if partial is None else client.IncompleteBody) as caught:
        session.get(server.url, stream=stream).content  # noqa: B018  # reads it

    if partial is not None:
        assert partial == caught.value.partial  # type: ignore[attr-defined]  # an IncompleteBody has it
    assert caught.value.request is not None
    assert 0 == session._transport._slots  # type: ignore[attr-defined]  # the pool


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("where", CUT)
def test_row_c2_an_end_at_any_point_is_an_error(
    scripted_server: ScriptedServer, session: client.Session, where: str, stream: bool
) -> None:
    """requests returns what came with status 200 where only the last line of a chunked body is missing."""
    check_cut(scripted_server, session, where, HalfClose(), stream)


@pytest.mark.parametrize("where", ["before the head", "after the head"])
def test_row_c1_so_is_a_reset(scripted_server: ScriptedServer, session: client.Session, where: str) -> None:
    check_cut(scripted_server, session, where, Reset(), stream=False)


def test_row_c1_a_reset_in_mid_upload_is_an_error(
    scripted_server: ScriptedServer, session: client.Session
) -> None:
    """And the request is not sent again: its first half arrived."""
    scripted_server.script(Expect(b"PUT ", body=1000), Reset())

    with pytest.raises(RemoteDisconnected) as caught:
        session.put(scripted_server.url, data=b"x" * (16 << 20))

    assert 1000 <= caught.value.bytes_sent < 16 << 20
    assert not caught.value.response_started


@pytest.mark.parametrize(
    ("sent", "partial"),
    [
        (HEAD + b"\r\nhello", b"hello"),
        (HEAD + b"Content-Length: 10\r\n\r\nhel", b"hel"),
        (CHUNKED + b"3\r\nhel\r\n0\r\n", b"hel"),
        (OK, None),
        (CHUNKED + b"2\r\nok\r\n0\r\n\r\n", None),
    ],
    ids=["until close", "length cut", "chunked cut", "length whole", "chunked whole"],
)
def test_row_c3_without_close_notify_only_the_framing_makes_a_body_whole(
    scripted_tls_server: ScriptedServer,
    tls_authority: TLSAuthority,
    session: client.Session,
    sent: bytes,
    partial: bytes | None,
) -> None:
    """RFC 9112 section 9.8: anybody on the way can end a TCP connection."""
    scripted_tls_server.script(Expect(), Send(sent), HalfClose(), ExpectClosed())
    session.verify = str(tls_authority.bundle)

    if partial is None:
        assert "ok" == session.get(scripted_tls_server.url).text
    else:
        with pytest.raises(client.IncompleteBody) as caught:
            session.get(scripted_tls_server.url)
        assert partial == caught.value.partial


@pytest.mark.parametrize("keep_alive", [b"timeout=1", b"timeout=1, max=100", b"max=5, timeout=0"])
def test_row_c5_a_server_that_soon_closes_is_not_asked_again(
    scripted_server: ScriptedServer, session: client.Session, keep_alive: bytes
) -> None:
    """One second of margin is for the way of the next request, so nothing is left of one second."""
    answer = HEAD + b"Keep-Alive: " + keep_alive + b"\r\nContent-Length: 2\r\n\r\nok"
    scripted_server.script(Expect(b"GET /1 "), Send(answer), ExpectClosed())
    scripted_server.script(Expect(b"GET /2 "), Send(answer), ExpectClosed())

    assert "ok" == session.get(f"{scripted_server.url}/1").text
    assert "ok" == session.get(f"{scripted_server.url}/2").text


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    "unasked", [OK, b"\r\n", b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n", b"\0", None]
)
def test_row_c6_an_idle_connection_that_speaks_or_ends_is_not_used_again(
    tls_authority: TLSAuthority, session: client.Session, unasked: bytes | None, tls: bool
) -> None:
    """Not by a POST either, which nobody may send a second time: it goes to a fresh connection at once."""
    session.verify = str(tls_authority.bundle)
    said, heard = threading.Event(), threading.Event()
    with ScriptedServer(tls=tls_authority.server_context() if tls else None) as server:
        speech: list[Step] = [HalfClose()] if unasked is None else [Send(unasked)]
        server.script(Expect(b"GET /1 "), Send(OK), Wait(heard), *speech, Signal(said), Hold())
        again = server.script(Expect(b"POST /2 ", body=2), Send(OK), Hold())

        assert "ok" == session.get(f"{server.url}/1").text
        heard.set()
        assert said.wait(5)
        assert "ok" == session.post(f"{server.url}/2", data=b"xy").text

    assert 1 == len(again.requests)


def test_row_c7_an_answer_that_came_before_the_reset_is_delivered(
    scripted_server: ScriptedServer, session: client.Session
) -> None:
    done = threading.Event()
    half = 1 << 19
    scripted_server.script(Expect(b"POST ", body=half), Send(REFUSED), Close(), Signal(done))

    def body() -> Iterator[bytes]:
        yield b"x" * half
        assert done.wait(5)
        while True:
            yield b"y" * 65536

    response = session.post(scripted_server.url, data=body(), headers={"Content-Length": str(half * 1000)})

    assert (413, b"big") == (response.status_code, response.content)
    assert 0 == session._transport._slots  # type: ignore[attr-defined]  # the pool


def test_row_c8_a_connection_that_was_answered_too_early_is_not_used_again(
    scripted_server: ScriptedServer, session: client.Session
) -> None:
    """The rest of the first body would be taken for the second request."""
    scripted_server.script(Expect(b"POST /1 "), Send(REFUSED), Hold())
    again = scripted_server.script(Expect(b"GET /2 "), Send(OK), Hold())

    refused = session.post(f"{scripted_server.url}/1", data=b"GET /evil HTTP/1.1\r\n\r\n" * (1 << 19))
    assert (413, b"big") == (refused.status_code, refused.content)
    assert "ok" == session.get(f"{scripted_server.url}/2").text

    assert 1 == len(again.requests)


def test_row_c10_every_thread_gets_its_own_answer() -> None:
    """The long form, through relays that cut, drip and reset, is `tests/faults/test_storm.py`."""
    wrong: list[object] = []
    framings = ("length", "chunked", "close", "rude", "late")

    def work(number: int) -> None:
        dice = random.Random(number)
        for turn in range(25):
            nonce, size = f"{number}-{turn}", dice.choice((0, 10, 5000, 70_000))
            url = f"http://127.0.0.1:{origin.port}/{size}?{dice.choice(framings)}"
            try:
                response = session.get(url, headers={"X-Nonce": nonce}, stream=dice.random() < 0.3)
                if dice.random() < 0.1:
                    response.close()
                elif response.content != body_of(nonce, size) or response.headers["X-Nonce"] != nonce:
                    wrong.append((nonce, response.headers["X-Nonce"]))
            except Exception as error:  # noqa: BLE001  # whatever it is, it is wrong: the network is clean
                wrong.append(error)

    limits = client.PoolLimits(total=6, per_origin=6)
    with (
        no_leaks(),
        NonceOrigin() as origin,
        client.Session(trust_env=False, limits=limits, workers=1) as session,
    ):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pool: Any = session._transport
        assert pool._slots <= 6
        assert pool._slots == len(pool._idle)

    assert [] == wrong
    assert [] == origin.mangled


class Interruption(BaseException):
    """Ctrl-C, or what a program throws into its threads."""


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_row_c11_a_body_that_was_left_halfway_leaves_nothing_for_the_next(
    scripted_server: ScriptedServer, session: client.Session, moment: int
) -> None:
    seen = []

    def interrupt(done: int, total: int | None) -> None:
        seen.append(done)
        if len(seen) == moment:
            raise Interruption

    long = HEAD + b"Content-Length: 300000\r\n\r\n" + OK * 7000
    scripted_server.script(Expect(b"GET /1 "), Send(long, piece=65536, may_fail=True), Hold())
    scripted_server.script(Expect(b"GET /2 "), Send(OK), Hold())

    with pytest.raises(Interruption):
        session.get(f"{scripted_server.url}/1", progress=interrupt)
    assert "ok" == session.get(f"{scripted_server.url}/2").text


def test_row_c11_nor_does_one_that_came_too_late(
    scripted_server: ScriptedServer, session: client.Session
) -> None:
    go_on = threading.Event()
    scripted_server.script(
        Expect(b"GET /1 "),
        Send(HEAD + b"Content-Length: 90\r\n\r\n"),
        Wait(go_on),
        Send(b"x" * 90 + OK, may_fail=True),
        ExpectClosed(),
    )
    scripted_server.script(Expect(b"GET /2 "), Send(OK), Hold())

    with pytest.raises(client.ReadTimeout):
        session.get(f"{scripted_server.url}/1", timeout=(5, 0.05))
    go_on.set()
    assert "ok" == session.get(f"{scripted_server.url}/2").text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_row_c11_parent_and_child_never_share_a_connection(
    scripted_server: ScriptedServer, session: client.Session
) -> None:
    parents = scripted_server.answer(OK, OK)
    childs = scripted_server.answer(HEAD + b"Content-Length: 5\r\n\r\nchild")
    session.get(f"{scripted_server.url}/1")

    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(RequestException):
            status = 0 if session.get(f"{scripted_server.url}/child").text == "child" else 2
        os._exit(status)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert "ok" == session.get(f"{scripted_server.url}/2").text
    assert (2, 1) == (len(parents.requests), len(childs.requests))
