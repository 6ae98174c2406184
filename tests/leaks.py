"""Counts what a test may leave behind: file descriptors and threads."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import client

__all__ = ["no_leaks", "open_descriptors", "slots_of"]


def open_descriptors() -> dict[int, str]:
    """Return descriptor -> what it is open on, for instance ``socket:[4711]``."""
    found = {}
    for descriptor in Path("/dev/fd").iterdir():
        with contextlib.suppress(OSError):  # the descriptor of iterdir itself is gone by now
            found[int(descriptor.name)] = str(descriptor.readlink())
    return found


@contextlib.contextmanager
def no_leaks(*, except_threads: tuple[str, ...] = (), grace: float = 2.0) -> Iterator[None]:
    """Fail if the block leaves a descriptor or a thread behind that was not there before.

    Nothing is collected before counting: what only the garbage collector would close is a leak.

    Args:
        except_threads: Starts of the names of threads that may stay, by their documented design.
        grace: Seconds that a thread which was told to end gets to do so.
    """
    threads_before = set(threading.enumerate())
    descriptors_before = open_descriptors()
    yield
    deadline = time.monotonic() + grace
    threads = [
        thread
        for thread in threading.enumerate()
        if thread not in threads_before and not thread.name.startswith(except_threads or ("\0",))
    ]
    for thread in threads:
        while (
            thread.ident is None and time.monotonic() < deadline
        ):  # listed, but not begun: cannot be joined yet
            time.sleep(0.001)
        thread.join(max(0.0, deadline - time.monotonic()))
    assert [thread.name for thread in threads if thread.is_alive()] == [], "threads left behind"
    while left := _opened_since(descriptors_before):
        # A server in this process may be about to notice that its client has gone.
        assert time.monotonic() < deadline, f"descriptors left behind: {left}"
        time.sleep(0.005)


def _opened_since(before: dict[int, str]) -> dict[int, str]:
    return {fd: link for fd, link in open_descriptors().items() if before.get(fd) != link}


def slots_of(session: client.Session) -> int:
    """Return how many connections *session* has open or is about to open."""
    pool: Any = session._transport
    slots: int = pool._slots
    return slots
