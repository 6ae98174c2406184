"""The pool: reuse, limits that wait, and slots that always come back."""

from __future__ import annotations

import gc
import os
import threading
from typing import Any

import pytest

from client.exceptions import ConnectError, InvalidRequest, SessionClosed
from client.transport import pool as pool_room
from client.transport.connection import HTTPConnection
from client.transport.dialer import NetworkOptions
from client.transport.pool import ConnectionPool, PoolLimits
from tests.scripted_server import (
    Expect,
    ExpectClosed,
    HalfClose,
    Hold,
    ScriptedServer,
    Send,
    Signal,
    Wait,
)
from tests.transport.exchanging import OK, a_call, a_request
from tests.transport.pooling import counts, in_thread, wait_for_waiters


@pytest.mark.usefixtures("no_leaks")
def test_a_connection_serves_one_request_after_the_other(scripted_server: ScriptedServer) -> None:
    pool = ConnectionPool()
    scripted_server.answer(OK, OK, OK)

    reused = []
    for _ in range(3):
        response = pool.round_trip(a_request(scripted_server.url), a_call())
        assert b"ok" == response.read()
        reused.append(response.reused)

    assert [False, True, True] == reused
    assert (1, 1, 1) == counts(pool)
    pool.close()
    assert (0, 0, 0) == counts(pool)


def test_a_response_whose_body_came_with_the_head_holds_no_connection(
    scripted_server: ScriptedServer,
) -> None:
    """A small streamed response that is never read must not cost a slot."""
    pool = ConnectionPool()
    scripted_server.answer(OK, OK)

    unread = pool.round_trip(a_request(scripted_server.url), a_call())
    assert pool.round_trip(a_request(scripted_server.url), a_call()).reused
    assert b"ok" == unread.read()
    pool.close()


@pytest.mark.parametrize(
    "afterwards",
    [[Send(OK)], [Send(b"\r\n")], [Send(b"HTTP/1.1 408 Timeout\r\n\r\n"), HalfClose()], [HalfClose()]],
    ids=["second response", "stray CRLF", "408 and close", "close"],
)
def test_an_idle_connection_that_speaks_or_ends_is_not_used_again(
    scripted_server: ScriptedServer, afterwards: list[Any]
) -> None:
    """Row 93 of the catalogue: a response that nobody asked for must never answer the next request."""
    pool = ConnectionPool()
    done = threading.Event()
    scripted_server.script(Expect(), Send(OK), *afterwards, Signal(done), ExpectClosed())
    scripted_server.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")

    assert b"ok" == pool.round_trip(a_request(scripted_server.url), a_call()).read()
    assert done.wait(5)
    response = pool.round_trip(a_request(scripted_server.url), a_call())

    assert (b"good", False) == (response.read(), response.reused)
    assert (1, 1, 1) == counts(pool)
    pool.close()


def test_bytes_that_follow_the_body_in_one_segment_end_the_connection(
    scripted_server: ScriptedServer,
) -> None:
    """Row B16: leftover bytes are an answer to nothing."""
    pool = ConnectionPool()
    scripted_server.script(
        Expect(), Send(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), ExpectClosed()
    )

    assert b"ok" == pool.round_trip(a_request(scripted_server.url), a_call()).read()

    assert (0, 0, 0) == counts(pool)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_a_connection_that_the_peer_will_close_is_not_kept(
    scripted_server: ScriptedServer, head: bytes
) -> None:
    pool = ConnectionPool()
    scripted_server.script(Expect(), Send(head), ExpectClosed())

    assert b"ok" == pool.round_trip(a_request(scripted_server.url), a_call()).read()

    assert (0, 0, 0) == counts(pool)


def test_origins_share_no_connection(scripted_server: ScriptedServer) -> None:
    pool = ConnectionPool()
    scripted_server.answer(OK)
    scripted_server.answer(OK)

    pool.round_trip(a_request(scripted_server.url), a_call()).read()
    other = scripted_server.url.replace("127.0.0.1", "localhost")
    assert not pool.round_trip(a_request(other), a_call()).reused

    assert (2, 2, 2) == counts(pool)
    pool.close()


def test_an_idle_connection_elsewhere_makes_way_for_a_new_one() -> None:
    pool = ConnectionPool(PoolLimits(total=1))
    with ScriptedServer() as first, ScriptedServer() as second:
        first.script(Expect(), Send(OK), ExpectClosed())
        second.answer(OK)

        pool.round_trip(a_request(first.url), a_call()).read()
        pool.round_trip(a_request(second.url), a_call()).read()

        assert (1, 1, 1) == counts(pool)
        pool.close()


def test_more_idle_connections_than_wanted_are_closed_the_longest_unused_first() -> None:
    pool = ConnectionPool(PoolLimits(idle=1))
    with ScriptedServer() as first, ScriptedServer() as second:
        first.script(Expect(), Send(OK), ExpectClosed())
        second.answer(OK, OK)

        pool.round_trip(a_request(first.url), a_call()).read()
        pool.round_trip(a_request(second.url), a_call()).read()

        assert (1, 1, 1) == counts(pool)
        assert pool.round_trip(a_request(second.url), a_call()).reused
        pool.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("total", 0),
        ("per_origin", 1.5),
        ("idle", -1),
        ("idle_seconds", float("nan")),
        ("idle_seconds", None),
        ("max_age", -1),
        ("total", "5"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=f"PoolLimits\\({name}="):
        ConnectionPool(PoolLimits()._replace(**{name: value}))


@pytest.mark.parametrize(
    "limits", [PoolLimits(idle_seconds=0.0), PoolLimits(max_age=0.0)], ids=["idle", "age"]
)
def test_a_connection_past_its_time_is_not_kept(scripted_server: ScriptedServer, limits: PoolLimits) -> None:
    pool = ConnectionPool(limits)
    scripted_server.script(Expect(), Send(OK), ExpectClosed())

    pool.round_trip(a_request(scripted_server.url), a_call()).read()

    assert (0, 0, 0) == counts(pool)


def test_the_servers_keep_alive_timeout_is_honoured_with_a_margin(scripted_server: ScriptedServer) -> None:
    """Row C5: one second of margin leaves nothing of ``timeout=1``, so the connection goes at once."""
    pool = ConnectionPool()
    keep_alive = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=%d, max=100\r\nContent-Length: 2\r\n\r\nok"
    scripted_server.script(Expect(), Send(keep_alive % 1), ExpectClosed())
    scripted_server.answer(keep_alive % 9)

    pool.round_trip(a_request(scripted_server.url), a_call()).read()
    assert (0, 0, 0) == counts(pool)

    pool.round_trip(a_request(scripted_server.url), a_call()).read()
    (connection,) = pool._idle
    assert 8.0 == connection.idle_limit
    pool.close()


def test_a_fresh_call_takes_no_idle_connection(scripted_server: ScriptedServer) -> None:
    pool = ConnectionPool()
    scripted_server.answer(OK)
    scripted_server.answer(OK)
    pool.round_trip(a_request(scripted_server.url), a_call()).read()

    assert not pool.round_trip(a_request(scripted_server.url), a_call(fresh=True)).reused
    pool.close()


def test_an_unread_response_that_is_dropped_frees_its_slot(scripted_server: ScriptedServer) -> None:
    """A finaliser takes no lock: the connection is closed by whoever comes next, even one who waits already."""
    pool = ConnectionPool(PoolLimits(per_origin=1))
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), ExpectClosed())
    scripted_server.answer(OK)
    dropped = [pool.round_trip(a_request(scripted_server.url), a_call())]

    thread, outcome = in_thread(lambda: pool.round_trip(a_request(scripted_server.url), a_call()).read())
    wait_for_waiters(pool, 1)
    dropped.clear()
    gc.collect()
    thread.join(5)

    assert [b"ok"] == outcome
    assert (1, 1, 1) == counts(pool)
    pool.close()


def test_dropped_responses_are_closed_by_the_next_call(scripted_server: ScriptedServer) -> None:
    """And not only when all slots are taken: until then each holds a descriptor, and its peer waits for us."""
    pool = ConnectionPool()
    for _ in range(3):
        scripted_server.script(
            Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), ExpectClosed()
        )
    scripted_server.answer(OK)
    dropped = [pool.round_trip(a_request(scripted_server.url), a_call()) for _ in range(3)]
    dropped.clear()
    gc.collect()

    pool.round_trip(a_request(scripted_server.url), a_call()).read()

    assert (1, 1, 1) == counts(pool)
    pool.close()


def test_a_dropped_response_whose_pool_goes_too_leaves_no_socket_open(
    scripted_server: ScriptedServer,
) -> None:
    """As after ``client.get(url, stream=True)``: a ResourceWarning would fail this test."""
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), ExpectClosed())
    pools = [ConnectionPool()]
    dropped = [pools[0].round_trip(a_request(scripted_server.url), a_call())]

    pools.clear()
    dropped.clear()
    gc.collect()


def test_a_refused_connection_frees_its_slot(scripted_server: ScriptedServer) -> None:
    pool = ConnectionPool(PoolLimits(per_origin=1))

    for _ in range(3):
        with pytest.raises(ConnectError):
            pool.round_trip(a_request("http://127.0.0.1:1/"), a_call())

    assert (0, 0, 0) == counts(pool)
    assert {} == pool._places


@pytest.mark.usefixtures("no_leaks")
def test_abort_wakes_whoever_waits_for_whatever(scripted_server: ScriptedServer) -> None:
    """One call waits for its response, one for a connection; both raise, each an error of its own."""
    pool = ConnectionPool(PoolLimits(per_origin=1))
    asked = threading.Event()
    scripted_server.script(Expect(), Signal(asked), ExpectClosed())
    reading = in_thread(lambda: pool.round_trip(a_request(scripted_server.url), a_call()))
    assert asked.wait(5)
    queued = in_thread(lambda: pool.round_trip(a_request(scripted_server.url), a_call()))
    wait_for_waiters(pool, 1)

    pool.abort()
    for thread, _ in (reading, queued):
        thread.join(5)

    errors = [*reading[1], *queued[1]]
    assert [SessionClosed, SessionClosed] == [type(error) for error in errors]
    assert errors[0] is not errors[1]
    assert (0, 0, 0) == counts(pool)


def test_abort_reaches_a_call_whose_connection_has_just_come_about(
    scripted_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dial, which would look at the switch, is over, and the connection is not yet in the books."""
    pool = ConnectionPool()
    scripted_server.script(ExpectClosed())

    def connection_made_during_an_abort(*arguments: Any, **options: Any) -> HTTPConnection:
        pool.abort()
        return HTTPConnection(*arguments, **options)

    monkeypatch.setattr(pool_room, "HTTPConnection", connection_made_during_an_abort)
    with pytest.raises(SessionClosed):
        pool.round_trip(a_request(scripted_server.url), a_call())

    assert (0, 0, 0) == counts(pool)


def test_abort_reaches_a_call_that_has_just_taken_an_idle_connection(
    scripted_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the call it is a dead connection, in whose place it would make a new one and go on."""
    pool = ConnectionPool()
    scripted_server.script(Expect(), Send(OK), ExpectClosed())
    pool.round_trip(a_request(scripted_server.url), a_call()).read()
    is_alive = HTTPConnection.is_alive

    def is_alive_after_an_abort(connection: HTTPConnection) -> bool:
        pool.abort()
        return is_alive(connection)

    monkeypatch.setattr(HTTPConnection, "is_alive", is_alive_after_an_abort)
    with pytest.raises(SessionClosed):
        pool.round_trip(a_request(scripted_server.url), a_call())

    assert (0, 0, 0) == counts(pool)


def test_a_response_in_use_survives_close_and_its_connection_does_not_come_back(
    scripted_server: ScriptedServer,
) -> None:
    """requests' idiom: ``with Session() as s: r = s.get(url, stream=True)``, read outside of the block."""
    pool = ConnectionPool()
    go_on = threading.Event()
    scripted_server.script(
        Expect(),
        Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        Wait(go_on),
        Send(b"ok"),
        ExpectClosed(),
    )
    response = pool.round_trip(a_request(scripted_server.url), a_call())

    pool.close()
    go_on.set()

    assert b"ok" == response.read()
    assert (0, 0, 0) == counts(pool)


def test_a_connection_that_was_being_made_when_the_pool_closed_is_not_kept(
    scripted_server: ScriptedServer,
) -> None:
    """Its call began before; nobody may come by any more to close what it leaves idle."""
    asked, go_on = threading.Event(), threading.Event()

    def resolver(_: str, __: int) -> list[str]:
        asked.set()
        go_on.wait(5)
        return ["127.0.0.1"]

    pool = ConnectionPool(options=NetworkOptions(resolver=resolver))
    scripted_server.script(Expect(), Send(OK), ExpectClosed())
    url = scripted_server.url.replace("127.0.0.1", "origin.test")
    thread, outcome = in_thread(lambda: pool.round_trip(a_request(url), a_call()).read())
    assert asked.wait(5)

    pool.close()
    go_on.set()
    thread.join(5)

    assert [b"ok"] == outcome
    assert (0, 0, 0) == counts(pool)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_starts_with_connections_of_its_own(scripted_server: ScriptedServer) -> None:
    """Parent and child writing to one socket would read each other's answers."""
    pool = ConnectionPool()
    scripted_server.answer(OK, OK)
    scripted_server.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nchild")
    pool.round_trip(a_request(scripted_server.url), a_call()).read()

    child = os.fork()
    if child == 0:
        status = 1
        try:
            response = pool.round_trip(a_request(scripted_server.url), a_call())
            status = 0 if (response.read(), response.reused) == (b"child", False) else 2
        finally:
            os._exit(status)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert pool.round_trip(a_request(scripted_server.url), a_call()).reused, (
        "the child closed the parent's socket"
    )
    pool.close()


def test_repr_shows_the_state(scripted_server: ScriptedServer) -> None:
    pool = ConnectionPool()
    scripted_server.answer(OK)
    pool.round_trip(a_request(scripted_server.url), a_call()).read()

    assert "<ConnectionPool open=1 in_use=0 idle=1 waiting=0 origins=1>" == repr(pool)
    pool.close()


def test_a_connection_that_was_given_back_is_not_closed_by_its_last_reader(
    scripted_server: ScriptedServer,
) -> None:
    """A trace that raises at the end of the body: by then the connection may serve whoever waited for it."""
    pool = ConnectionPool(PoolLimits(per_origin=1))
    scripted_server.script(
        Expect(), Send(OK[:-2]), Expect(b"more"), Send(b"ok"), Expect(), Send(OK), Expect(), Send(OK), Hold()
    )

    def trace(event: str, facts: dict[str, Any]) -> None:
        if event == "receive.end":
            served.append(pool.round_trip(a_request(scripted_server.url), a_call()))
            raise LookupError(event)

    served: list[Any] = []
    response = pool.round_trip(a_request(scripted_server.url), a_call(trace=trace))
    response.connection.sock.send(b"more\r\n\r\n")
    with pytest.raises(LookupError):
        response.read()

    assert b"ok" == served[0].read()
    assert pool.round_trip(a_request(scripted_server.url), a_call()).reused
    pool.close()
