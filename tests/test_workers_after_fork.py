"""Workers stay in the parent: in a forked child, nothing that only they would do is waited for."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest

from client.exceptions import ForkError
from client.session import Session
from client.transport.cancel import CancelToken
from client.workers import WorkerPool

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def in_child(check: Callable[[], object]) -> int:
    """Return 7 if *check* raised `ForkError` in a forked child."""
    pid = os.fork()
    if not pid:
        try:
            check()
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
