"""What tests of the pool share: its books, and calls on threads that wait in its queue."""

from __future__ import annotations

import threading
from typing import Any

from client.transport.pool import ConnectionPool

__all__ = ["counts", "in_thread", "wait_for_waiters"]


def counts(pool: ConnectionPool) -> tuple[int, int, int]:
    """Return (slots, open connections, idle connections)."""
    return pool._slots, len(pool._open), len(pool._idle)


def in_thread(function: Any) -> tuple[threading.Thread, list[Any]]:
    """Start *function* on a thread; the list gets its result or its exception."""
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # noqa: BLE001  # it is the outcome
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, outcome


def wait_for_waiters(pool: ConnectionPool, count: int) -> None:
    """Return once *count* threads stand in the queue."""
    for _ in range(10_000):
        if len(pool._waiters) == count:
            return
        threading.Event().wait(0.001)
    raise AssertionError(f"{len(pool._waiters)} threads wait, expected {count}")
