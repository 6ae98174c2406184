"""Is a socket readable, or writable? By `select.poll`, and where there is none (Windows) by `select.select`.

No limit but the one given: whoever asks looks at the clock and at the stop switch himself.
"""

from __future__ import annotations

import select
import struct
import sys
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from client.transport.forked import LOADING_CTYPES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["glance", "milliseconds", "poll", "readable_poll"]


def milliseconds(seconds: float | None) -> int:
    """Return *seconds* as `poll` takes them: rounded up, -1 for ever, at most what a C int holds."""
    return -1 if seconds is None else min(int(seconds * 1000) + 1, 0x7FFFFFFF)


if hasattr(select, "poll"):

    def readable_poll(descriptor: int) -> Callable[[int], object]:
        """Return what waits so many milliseconds (-1: for ever) and says whether *descriptor* is readable."""
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        return poller.poll

    def poll(descriptor: int, *, for_write: bool, seconds: float | None) -> tuple[bool, bool]:
        """Wait for readiness; (readable, writable), a broken descriptor is both."""
        poller = select.poll()
        poller.register(descriptor, select.POLLIN | (select.POLLOUT if for_write else 0))
        ready = poller.poll(milliseconds(seconds))
        flags = ready[0][1] if ready else 0
        broken = flags & (select.POLLERR | select.POLLHUP)
        return bool(flags & select.POLLIN or broken), bool(flags & select.POLLOUT or broken)

else:  # Windows

    def readable_poll(descriptor: int) -> Callable[[int], object]:
        """Return what waits so many milliseconds (-1: for ever) and says whether *descriptor* is readable."""
        return lambda limit: select.select([descriptor], [], [], None if limit < 0 else limit / 1000)[0]

    def poll(descriptor: int, *, for_write: bool, seconds: float | None) -> tuple[bool, bool]:
        """Wait for readiness; (readable, writable), a broken descriptor is both."""
        readable, writable, broken = select.select(
            [descriptor], [descriptor] if for_write else [], [descriptor], seconds
        )
        return bool(readable or broken), bool(writable or broken)


def glance(descriptor: int, poll: Callable[[int], object]) -> Callable[[], object]:
    """Return what says at once whether *descriptor*, whose `readable_poll` is *poll*, is readable.

    It says something true or something false, or -1 if a signal came between: then ask again.

    Python lets go of its lock around every system call that might wait, this one included, which can't. Where threads
    stand in line for the lock, each time wakes one of them for nothing: with eight, a seventh of what a small request
    costs. So with several threads poll(2) is called by way of ctypes, which keeps the lock if it is told to.
    """
    made = _poll_under_lock() if has_threads() else None
    return partial(poll, 0) if made is None else made(descriptor)


def has_threads() -> bool:
    """Say whether other threads of Python's may stand in line for its lock; who loads no threading has none."""
    threading = sys.modules.get("threading")
    return threading is not None and threading.active_count() > 1


@cache
def _poll_under_lock() -> Callable[[int], Callable[[], int]] | None:
    """Return what makes a `glance` that keeps Python's lock; None where there is no ctypes, or it was never tried."""
    if sys.platform != "linux":
        return None
    try:
        with LOADING_CTYPES:
            import ctypes

        call: Any = ctypes.PyDLL(None).poll
    except (ImportError, AttributeError, OSError):
        return None

    def made(descriptor: int) -> Callable[[], int]:
        pollfd = ctypes.create_string_buffer(struct.pack("@ihh", descriptor, select.POLLIN, 0))
        return partial(call, ctypes.byref(pollfd), ctypes.c_ulong(1), 0)

    return made
