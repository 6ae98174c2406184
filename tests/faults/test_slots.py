"""Slots are an invariant: whatever is interrupted wherever, the pool's books agree with its connections."""

from __future__ import annotations

import contextlib
import gc
import itertools
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from time import monotonic
from types import FrameType
from typing import Any

import pytest

from client.exceptions import PoolTimeout
from client.timeouts import Timeouts
from client.transport.cancel import CancelToken
from client.transport.connection import HTTPConnection
from client.transport.pool import ConnectionPool, PoolLimits
from client.url import parse_url
from tests.scripted_server import Expect, Hold, ScriptedServer, Send
from tests.transport.exchanging import OK, a_call, a_request

ONE = PoolLimits(total=1, per_origin=1)
EMPTY: tuple[Any, ...] = (0, set(), {}, 0)


def books(pool: ConnectionPool) -> tuple[Any, ...]:
    """Return slots, open connections, places and waiters; `EMPTY` if there is nothing."""
    return pool._slots, pool._open, pool._places, len(pool._waiters)


class Interruption(BaseException):
    """Stands for Ctrl-C."""


# What gives a slot back cannot itself be cut off without losing it; everything that takes one can.
GIVING_BACK = {"_free_slot", "_leave_queue", "_settle", "close"}


class Interrupter:
    """A profile function that raises at the *moment*-th moment at which CPython would look at a signal.

    These are the entries of functions and the returns of builtin ones (and loops, which end with one of them here).
    """

    def __init__(self, moment: int) -> None:
        self.moment = moment
        self.seen = 0
        self.where = "end"

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event not in {"call", "c_return"} or "/client/transport/" not in frame.f_code.co_filename:
            return
        callers: FrameType | None = frame
        while callers is not None:
            if callers.f_code.co_name in GIVING_BACK:
                return
            callers = callers.f_back
        self.seen += 1
        if self.seen == self.moment:
            self.where = (
                f"{frame.f_code.co_name}:{frame.f_lineno} {event} {getattr(argument, '__name__', '')}"
            )
            raise Interruption

    def run(self, function: Callable[[], object]) -> None:
        """Call *function* and interrupt it."""
        before = sys.getprofile()
        sys.setprofile(self)
        try:
            function()
        except Interruption:
            pass
        finally:
            sys.setprofile(before)


def answering_server(connections: int) -> socket.socket:
    """Answer on each of so many connections as long as it is open; return the listener."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):  # the listener is closed
            for _ in range(connections):
                accepted, _ = listener.accept()
                with accepted, contextlib.suppress(OSError):
                    while accepted.recv(65536):
                        accepted.sendall(OK)

    threading.Thread(target=serve, daemon=True).start()
    return listener


# A socket that nobody held yet when the interruption came is closed by its own finaliser.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("state", ["fresh", "reused", "full", "handed on"])
def test_an_interruption_at_any_moment_loses_no_slot(state: str) -> None:
    """Each moment of a round trip is interrupted once, as Ctrl-C or an asynchronous exception may."""
    lost = []
    for moment in itertools.count(1):
        with answering_server(1 if state == "reused" else 2) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            pool = ConnectionPool(ONE if state in {"full", "handed on"} else PoolLimits())
            if state != "fresh":
                pool.round_trip(a_request(url), a_call()).read()
            if state == "handed on":
                held = pool._take_idle(parse_url(url).origin, 0.0)
                is_over = threading.Event()
                giver = threading.Thread(target=give_back, args=(pool, held, is_over))
                giver.start()
            # In "full" the only slot is that of an idle connection which this call must not take.
            call = a_call(fresh=state == "full")
            interrupter = Interrupter(moment)
            interrupter.run(lambda: pool.round_trip(a_request(url), call).read())  # noqa: B023  # runs here
            if state == "handed on":
                is_over.set()
                giver.join()
            pool.close()
            if books(pool) != EMPTY:  # a response that only the garbage collector finds is none that is lost
                gc.collect()
                pool.close()
            if books(pool) != EMPTY:
                lost.append(f"{interrupter.where}: {pool!r}")
                for connection in pool._open:
                    connection.close()
        if interrupter.where == "end":
            break
    gc.collect()
    assert [] == lost, "\n".join(lost)
    assert interrupter.seen > 20, "the interrupter must have seen the round trip"


def give_back(pool: ConnectionPool, held: HTTPConnection | None, is_over: threading.Event) -> None:
    """Release *held* as soon as somebody waits for it, or nobody will any more."""
    assert held is not None
    while not pool._waiters and not is_over.wait(0.0005):
        pass
    pool.release(held, monotonic())


HELD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"  # its connection is in use until the body is read


def test_a_connection_that_is_handed_over_while_the_call_is_cancelled_is_not_lost(
    scripted_server: ScriptedServer,
) -> None:
    """A storm lost one slot in two thousand calls here: the waiter raised with a connection in its hand."""
    scripted_server.script(Expect(), Send(HELD), Expect(b"more"), Send(b"ok"), Hold())
    pool, outcome = ConnectionPool(ONE), []
    held = pool.round_trip(a_request(scripted_server.url), a_call())

    def wait_for_it() -> None:
        try:
            pool.round_trip(a_request(scripted_server.url), a_call())
        except CancelledError as error:
            outcome.append(error)

    thread = threading.Thread(target=wait_for_it)
    thread.start()
    while not pool._waiters:
        pass
    pool._waiters[0].error = CancelledError()  # what `abort` does first; it has not rung the bell yet
    held.connection.sock.send(b"more\r\n\r\n")
    held.read()
    thread.join()

    assert 1 == len(outcome)
    pool.close()
    assert EMPTY == books(pool)


def test_a_call_that_was_cancelled_before_it_queued_leaves_the_queue(scripted_server: ScriptedServer) -> None:
    scripted_server.script(Expect(), Send(HELD), Hold())
    pool, token = ConnectionPool(ONE), CancelToken()
    held = pool.round_trip(a_request(scripted_server.url), a_call())
    token.cancel(CancelledError())

    with pytest.raises(CancelledError):
        pool.round_trip(a_request(scripted_server.url), a_call(cancel=token))

    held.close()
    assert EMPTY == books(pool)


def test_an_origin_that_nobody_got_a_connection_to_is_forgotten(scripted_server: ScriptedServer) -> None:
    """Row 103: a map that grows with each host that was ever asked for."""
    scripted_server.script(Expect(), Send(HELD), Hold())
    pool = ConnectionPool(ONE)
    held = pool.round_trip(a_request(scripted_server.url), a_call())

    for number in range(5):
        with pytest.raises(PoolTimeout):
            pool.round_trip(a_request(f"http://h{number}.test/"), a_call(timeouts=Timeouts(pool=0.01)))

    held.close()
    assert EMPTY == books(pool)


def test_the_only_connection_may_make_way_for_another_to_the_same_place() -> None:
    """Its place vanishes with it and comes back with the new one."""
    with answering_server(2) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        pool = ConnectionPool(ONE)

        for fresh in (False, True):
            assert b"ok" == pool.round_trip(a_request(url), a_call(fresh=fresh)).read()

        assert 1 == pool._slots
        pool.close()
        assert EMPTY == books(pool)
