"""Workers stay in the parent: in a forked child, what they do is neither waited for nor stopped."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from client.exceptions import ForkError, SessionClosed
from client.pacing import Pacer, Turns
from client.session import Session
from client.transport.cancel import CancelToken
from client.workers import WorkerPool
from tests.scripted_server import Expect, Hold, ScriptedServer, Send, Signal, Wait

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def in_child(check: Callable[[], object]) -> int:
    """Return 7 if *check* raised `ForkError` in a forked child, 0 if it raised nothing there."""
    pid = os.fork()
    if not pid:
        signal.alarm(10)  # whoever waits for what the parent does waits for ever
        try:
            check()
            os._exit(0)
        except ForkError:
            os._exit(7)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_call_under_way_and_a_new_one_say_so() -> None:
    may_end = threading.Event()

    def until_told(_: CancelToken) -> bool:
        return may_end.wait(30)

    pool = WorkerPool(1)
    future = pool.submit(until_told)
    try:
        assert 7 == in_child(lambda: future.result(20))
        assert 7 == in_child(lambda: pool.submit(until_told))
    finally:
        may_end.set()
        pool.finish()
    assert future.result()


def test_a_session_whose_lock_another_thread_held_at_the_fork_works_in_the_child() -> None:
    """It waited for a thread that stayed with the parent, as soon as a call brought a `verify` of its own."""
    is_held, may_end = threading.Event(), threading.Event()
    session = Session()

    def hold() -> None:
        with session._lock:
            is_held.set()
            may_end.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_held.wait(30)
    pid = os.fork()
    if not pid:
        signal.alarm(10)  # whoever waits for the lock waits for ever
        session._tls_settings(False, None)
        session.close()
        os._exit(7)
    may_end.set()
    holder.join()
    assert 7 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    session.close()


def test_a_rate_does_not_make_the_child_wait_for_a_worker_of_the_parent() -> None:
    """One may have held the lock at the fork, while it sent for the next call."""
    pool = WorkerPool(1)
    turns = Turns(pool, Pacer("1/s"))
    with turns._lock:
        assert 7 == in_child(lambda: turns.submit(lambda _: None))
    pool.finish()


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (lambda session, call: session.close(), 0),
        (lambda session, call: session.abort(), 0),
        (lambda session, call: call.cancel(), 0),
        (lambda session, call: call.token.cancel(SessionClosed("as a download does")), 0),
        (lambda session, call: call.result(20), 7),
    ],
    ids=["close", "abort", "cancel", "token.cancel", "result"],
)
def test_a_call_goes_on_in_the_parent_whatever_the_child_stops(
    scripted_server: ScriptedServer, stop: Callable[[Session, Any], object], expected: int
) -> None:
    """Its connection is the child's as well: shut down there, it ended here, and of a POST nobody knew what it had done.

    A child that leaves its parent's ``with Session()`` by `sys.exit` does nothing else.
    """
    has_come, may_end = threading.Event(), threading.Event()
    scripted_server.script(Expect(), Signal(has_come), Wait(may_end), Send(OK), Hold())
    with Session(trust_env=False) as session:
        call = session.submit("POST", scripted_server.url)
        assert has_come.wait(10)

        assert expected == in_child(lambda: stop(session, call))
        may_end.set()

        assert "ok" == call.result().text


@pytest.mark.parametrize("name", ["map", "as_completed"])
@pytest.mark.parametrize(("stop", "expected"), [("close", 0), ("__next__", 7)])
def test_so_do_many(scripted_server: ScriptedServer, name: str, stop: str, expected: int) -> None:
    """All jobs have been handed over: no more of them says that the workers are elsewhere."""
    has_come, may_end = threading.Event(), threading.Event()
    scripted_server.script(
        Expect(), Send(OK), Expect(), Signal(has_come), Wait(may_end), Send(OK), Expect(), Send(OK), Hold()
    )
    with Session(trust_env=False, workers=1) as session:
        results = getattr(session, name)([("POST", scripted_server.url)] * 3)
        assert "ok" == next(results).text
        assert has_come.wait(10)

        assert expected == in_child(getattr(results, stop))
        may_end.set()

        assert ["ok", "ok"] == [response.text for response in results]
