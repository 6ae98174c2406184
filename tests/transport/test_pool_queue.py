"""The pool's queue: calls that wait for a connection are served in the order in which they came, or leave in time."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest

from client.exceptions import PoolTimeout, TotalTimeout
from client.timeouts import Timeouts
from client.transport.cancel import CancelToken
from client.transport.pool import ConnectionPool, PoolLimits
from client.transport.pool_queue import Place, QueuedCall
from tests.scripted_server import Close, Expect, ExpectClosed, Hold, ScriptedServer, Send, Wait
from tests.transport.exchanging import OK, a_call, a_request
from tests.transport.pooling import counts, in_thread, wait_for_waiters


@pytest.mark.usefixtures("no_leaks")
def test_a_limit_makes_the_next_one_wait_until_a_connection_comes_back(
    scripted_server: ScriptedServer,
) -> None:
    pool = ConnectionPool(PoolLimits(per_origin=1))
    go_on = threading.Event()
    scripted_server.script(
        Expect(),
        Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        Wait(go_on),
        Send(b"ok"),
        Expect(),
        Send(OK),
        Hold(),
    )

    first = pool.round_trip(a_request(scripted_server.url), a_call())
    thread, outcome = in_thread(lambda: pool.round_trip(a_request(scripted_server.url), a_call()))
    wait_for_waiters(pool, 1)
    go_on.set()
    assert b"ok" == first.read()
    thread.join()

    assert (b"ok", True) == (outcome[0].read(), outcome[0].reused)
    pool.close()
    assert (0, 0, 0) == counts(pool)


def test_the_queue_is_served_in_order(scripted_server: ScriptedServer) -> None:
    pool = ConnectionPool(PoolLimits(per_origin=1))
    bodies = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number for number in range(5)]
    go_on = threading.Event()
    scripted_server.script(
        Expect(),
        Send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"),
        Wait(go_on),
        Send(b"x"),
        *[step for body in bodies for step in (Expect(), Send(body))],
        Hold(),
    )
    first = pool.round_trip(a_request(scripted_server.url), a_call())
    started = []
    for number in range(5):
        started.append(in_thread(lambda: pool.round_trip(a_request(scripted_server.url), a_call()).read()))
        wait_for_waiters(pool, number + 1)
    go_on.set()
    first.read()

    for number, (thread, outcome) in enumerate(started):
        thread.join()
        assert [b"%d" % number] == outcome
    pool.close()


def test_who_is_handed_a_dead_connection_keeps_his_turn(scripted_server: ScriptedServer) -> None:
    """He dials in its slot. At the end of the queue he would wait for everybody again, with a new timeout."""
    pool = ConnectionPool(PoolLimits(per_origin=1))
    bodies = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number for number in range(3)]
    go_on = threading.Event()
    dying = scripted_server.script(
        Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), Wait(go_on), Send(b"ok"), Close()
    )
    scripted_server.answer(*bodies)
    first = pool.round_trip(a_request(scripted_server.url), a_call())
    started = []
    for number in range(3):
        started.append(in_thread(lambda: pool.round_trip(a_request(scripted_server.url), a_call()).read()))
        wait_for_waiters(pool, number + 1)
    go_on.set()
    assert dying.finished.wait(5)
    first.read()

    for number, (thread, outcome) in enumerate(started):
        thread.join()
        assert [b"%d" % number] == outcome
    pool.close()
    assert (0, 0, 0) == counts(pool)


def test_waiting_ends_with_a_pool_timeout_that_says_who_holds_the_connections(
    scripted_server: ScriptedServer,
) -> None:
    pool = ConnectionPool(PoolLimits(per_origin=1))
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), ExpectClosed())
    held = pool.round_trip(a_request(scripted_server.url), a_call())

    with pytest.raises(PoolTimeout) as caught:
        pool.round_trip(a_request(scripted_server.url), a_call(timeouts=Timeouts(pool=0.05)))

    assert ("pool", 0.05) == (caught.value.phase, caught.value.seconds)
    assert "1 of 1 connections to this origin" in str(caught.value)
    assert 0 == len(pool._waiters)
    held.close()
    assert (0, 0, 0) == counts(pool)


def test_who_gives_up_passes_on_what_a_finaliser_told_him(
    scripted_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first in the queue is told of a dropped response in the moment in which he leaves; the next one waits on."""
    pool = ConnectionPool(PoolLimits(per_origin=1))
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), ExpectClosed())
    scripted_server.answer(OK)
    dropped = [pool.round_trip(a_request(scripted_server.url), a_call())]
    next_one: list[tuple[threading.Thread, list[Any]]] = []
    pool_timeout = ConnectionPool._pool_timeout

    def drop_and_give_up(pool: ConnectionPool, key: Any, budget: Any) -> Any:
        next_one.append(in_thread(lambda: pool.round_trip(a_request(scripted_server.url), a_call()).read()))
        wait_for_waiters(pool, 2)
        dropped.clear()
        gc.collect()
        return pool_timeout(pool, key, budget)

    monkeypatch.setattr(ConnectionPool, "_pool_timeout", drop_and_give_up)
    with pytest.raises(PoolTimeout):
        pool.round_trip(a_request(scripted_server.url), a_call(timeouts=Timeouts(pool=0.05)))

    thread, outcome = next_one[0]
    thread.join(10)
    assert [b"ok"] == outcome
    pool.close()
    assert (0, 0, 0) == counts(pool)


def test_the_total_deadline_holds_in_the_queue(scripted_server: ScriptedServer) -> None:
    pool = ConnectionPool(PoolLimits(per_origin=1))
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), ExpectClosed())
    held = pool.round_trip(a_request(scripted_server.url), a_call())

    with pytest.raises(TotalTimeout):
        pool.round_trip(a_request(scripted_server.url), a_call(timeouts=Timeouts(total=0.05)))

    held.close()


def test_cancelling_a_waiting_call_takes_it_out_of_the_queue(scripted_server: ScriptedServer) -> None:
    pool = ConnectionPool(PoolLimits(per_origin=1))
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), ExpectClosed())
    held = pool.round_trip(a_request(scripted_server.url), a_call())
    token, reason = CancelToken(), RuntimeError("enough")

    thread, outcome = in_thread(lambda: pool.round_trip(a_request(scripted_server.url), a_call(cancel=token)))
    wait_for_waiters(pool, 1)
    token.cancel(reason)
    thread.join(5)

    assert [reason] == outcome
    assert 0 == len(pool._waiters)
    held.close()
    assert (0, 0, 0) == counts(pool)


@pytest.mark.parametrize("origins", [1, 5])
def test_a_long_queue_is_not_walked_for_each_connection_that_comes_back(origins: int) -> None:
    """With a thousand threads in it, that took longer than their requests."""
    pool = ConnectionPool(PoolLimits(total=10 * origins, per_origin=10))
    looked_at: list[Any] = []

    class Places(dict[Any, Place]):
        def get(self, key: Any, default: Any = None) -> Any:
            looked_at.append(key)
            return super().get(key, default)

    pool._places = Places()
    taken = [queued(pool, number % origins) for number in range(10 * origins)]
    waiting = [queued(pool, number % origins) for number in range(1000)]
    assert all(call.has_slot for call in taken)
    assert 1000 == len(pool._waiters)
    looked_at.clear()

    for number in range(20):
        pool._free_slot(number % origins)

    assert {True} == {call.has_slot for call in waiting[:20]}
    assert 980 == len(pool._waiters)
    assert len(looked_at) <= 20 * 2 * origins


def test_what_comes_back_goes_past_those_whose_origin_is_full() -> None:
    pool = ConnectionPool(PoolLimits(total=3, per_origin=2))
    assert [True, True, True] == [queued(pool, origin).has_slot for origin in ("a", "a", "b")]
    calls = [queued(pool, origin) for origin in ("a", "b", "c", "a")]

    pool._free_slot("b")

    assert [False, True, False, False] == [call.has_slot for call in calls]
    pool._free_slot("a")
    assert [True, True, False, False] == [call.has_slot for call in calls]
    pool._free_slot("a")
    pool._free_slot("b")
    assert [True, True, True, True] == [call.has_slot for call in calls]


def queued(pool: ConnectionPool, key: Any) -> QueuedCall:
    """Have a call for *key* stand in the queue, without a thread that waits there."""
    call = QueuedCall(key, False, 0)
    pool._waiters.append(call)
    pool._settle((call,))
    return call
