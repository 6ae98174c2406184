"""Is a socket readable, or writable? By `select.poll`, and where there is none (Windows) by `select.select`.

No limit but the one given: whoever asks looks at the clock and at the stop switch himself.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["milliseconds", "poll", "readable_poll"]


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
