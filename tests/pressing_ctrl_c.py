"""Ctrl-C for the process of the tests themselves, which must not end it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["pressing_ctrl_c"]


@contextlib.contextmanager
def pressing_ctrl_c(may_begin: threading.Event, patience: float = 10.0) -> Iterator[None]:
    """Send SIGINT again and again once *may_begin* is set, or after *patience* seconds, until the block is left.

    Again, because Python misses a signal between its last look for signals and the system call that waits. The first
    that it hears raises KeyboardInterrupt in the block. The others do nothing: one may be on its way while the block
    is left, and would end the whole run.
    """
    over, is_heard = threading.Event(), False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal is_heard
        if not is_heard:
            is_heard = True
            raise KeyboardInterrupt

    def press() -> None:
        may_begin.wait(patience)
        while not over.wait(0.05):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, interrupt)
    thread = threading.Thread(target=press)
    thread.start()
    try:
        yield
    finally:
        over.set()
        may_begin.set()
        thread.join()
        signal.signal(signal.SIGINT, before)
