"""Huge pages for the memory of a large body, where the system has some for those who ask (Linux).

The first touch of a page costs an interrupt and the clearing of 4 KiB, and a bytes object of 64 MiB has 16384 of them:
more than half of the time that reading it takes. Of huge pages it has 32. Linux hands them out to all, to those who ask
(the usual setting) or to nobody, as its administrator says; we ask as NumPy does for its arrays, and of the same size.

The law of the room: it is advice. Nothing depends on it, and nothing fails for it.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Final

from client.transport.forked import LOADING_CTYPES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["advise"]

_ADVICE: Final = 14  # MADV_HUGEPAGE in Linux's <sys/mman.h>, on every architecture


def advise(memory: memoryview) -> None:
    """Ask for huge pages under *memory*, which is writable and which nobody has touched yet."""
    madvise = _madvise()
    if madvise is not None:
        madvise(memory)


@cache
def _madvise() -> Callable[[memoryview], object] | None:
    """Return what gives the advice; None where there is no such thing, or Python was built without ctypes."""
    if sys.platform != "linux":
        return None
    try:
        with LOADING_CTYPES:
            import ctypes
        from mmap import PAGESIZE

        call = ctypes.CDLL(None).madvise
    except (ImportError, AttributeError, OSError):
        return None
    call.argtypes = (ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)

    def madvise(memory: memoryview) -> None:
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        head = start % PAGESIZE  # the page that it begins in is its own: that of malloc's bookkeeping
        call(start - head, head + len(memory), _ADVICE)

    return madvise
