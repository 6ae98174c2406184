"""How late the machine itself is: what a bound on a wait allows for, so that no busy machine makes its test fail."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["held_up"]


@contextlib.contextmanager
def held_up() -> Iterator[Callable[[], float]]:
    """Give a function that tells how many seconds threads of this process have been kept from running since.

    They were ready and had no processor: the kernel counts that for each. What a thread waits for by its own doing,
    Python's lock too, is not in it. Where the kernel tells nothing it is 0.
    """
    before = _nanoseconds()
    yield lambda: sum(waited - before.get(thread, 0) for thread, waited in _nanoseconds().items()) / 1e9


def _nanoseconds() -> dict[str, int]:
    """Return thread -> how long it was ready without running; the second figure of its schedstat."""
    found = {}
    for statistics in Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # the thread has ended
            found[statistics.parent.name] = int(statistics.read_text(encoding="ascii").split()[1])
    return found
