"""What is measured while the soak runs: memory, sockets and threads of this process, and what the callers counted.

The columns are arrays of doubles, so that keeping the figures takes no memory that the figures would show.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
import threading
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["Gauges", "growth_per_minute", "memory", "open_sockets", "use_one_heap"]

_STATM: Final = Path("/proc/self/statm")
_FIXED: Final = ("seconds", "memory", "sockets", "threads", "requests")
#: glibc's: the option of mallopt that bounds how many heaps threads get, and the library that has both functions.
_M_ARENA_MAX: Final = -8
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
_AT_REST: Final = ("seconds", "memory", "blocks", "sockets", "threads")


def memory() -> int:
    """Return the resident bytes of this process; where the system does not tell, the most there ever were."""
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def use_one_heap() -> None:
    """Have glibc give all threads one heap.

    It makes up to eight a core, and each keeps what it needed most, so that the memory of a process with many threads
    creeps for an hour while nothing more is held; that would hide what is.
    """
    if hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(_M_ARENA_MAX, 1)  # type: ignore[union-attr]  # not None, which has no such attribute


def open_sockets() -> int:
    """Return how many descriptors of this process are sockets."""
    count = 0
    for descriptor in Path("/dev/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            count += descriptor.is_socket()
    return count


class Gauges:
    """The figures of one run.

    Args:
        period: Seconds between two samples under load.

    Attributes:
        load: Name -> column, one row a sample: ``seconds`` since the start, ``memory`` in bytes, ``sockets``,
            ``threads``, and ``requests`` since the sample before.
        errors: Class -> column, errors since the sample before.
        rest: As `load`, one row each time that nothing was under way; with ``blocks``, how many pieces of memory
            Python's allocator has handed out.
    """

    def __init__(self, period: float) -> None:
        self.load = {name: array("d") for name in _FIXED}
        self.rest = {name: array("d") for name in _AT_REST}
        self.errors: dict[str, array[float]] = {}
        self._period = period
        self._began = time.monotonic()
        self._before: Counter[str] = Counter()
        self._requests = 0
        self._stopped = threading.Event()

    def watch(self, requests: Counter[str], errors: Counter[str]) -> None:
        """Take a sample now and then until `stop`; *requests* and *errors* are counted up by others."""
        while not self._stopped.wait(self._period):
            self.sample(sum(requests.values()), Counter(errors))

    def stop(self) -> None:
        """End `watch`."""
        self._stopped.set()

    def sample(self, requests: int, errors: Counter[str]) -> None:
        """Add a row to `load` and `errors`."""
        row = (time.monotonic() - self._began, memory(), open_sockets(), threading.active_count())
        for name, value in zip(_FIXED, (*row, requests - self._requests), strict=True):
            self.load[name].append(value)
        count = len(self.load["seconds"])
        for name in errors:
            column = self.errors.setdefault(name, array("d"))
            column.extend([0.0] * (count - 1 - len(column)))
            column.append(errors[name] - self._before[name])
        self._requests, self._before = requests, errors

    def rest_here(self) -> None:
        """Add a row to `rest`."""
        sockets = open_sockets()  # before garbage is collected: what only that would close is a leak
        gc.collect()
        if hasattr(
            _LIBC, "malloc_trim"
        ):  # what is free goes back to the system, so that what is left is held
            _LIBC.malloc_trim(0)  # type: ignore[union-attr]  # as above
        blocks = sys.getallocatedblocks()
        row = (time.monotonic() - self._began, memory(), blocks, sockets, threading.active_count())
        for name, value in zip(_AT_REST, row, strict=True):
            self.rest[name].append(value)

    def columns(self) -> dict[str, dict[str, list[float]]]:
        """Return all columns, for `tests.soak.plot`."""
        return {
            kind: {name: [round(value, 2) for value in column] for name, column in columns.items()}
            for kind, columns in (("load", self.load), ("rest", self.rest), ("errors", self.errors))
        }


def growth_per_minute(seconds: Sequence[float], values: Sequence[float]) -> float:
    """Return the slope of the second half of *values*, by least squares, in units a minute; 0 of fewer than 4."""
    half = len(seconds) // 2
    times, values = list(seconds[half:]), list(values[half:])
    if len(times) < 4:
        return 0.0
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in times)
    return 60 * sum((at - middle) * (value - mean) for at, value in zip(times, values, strict=True)) / spread
