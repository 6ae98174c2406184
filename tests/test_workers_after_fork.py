"""Workers stay in the parent: in a forked child, nothing that only they would do is waited for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from client.exceptions import ForkError
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
