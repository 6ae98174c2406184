"""Huge pages for a file that is written to a file system in memory, as /dev/shm and often /tmp are (Linux).

A page of tmpfs takes longer to find, to count and to link in than to fill, whoever fills it, and a file of 256 MiB has
65536 of them: more than half of what a download has to do there. Of huge pages it has 128.

The law of the room: nothing depends on it, nothing fails for it, and no byte of the file is another one for it; the
file only gets longer, up to the size that is expected. Nothing is asked for any more once that has cost more time than
it saved: where the memory is in pieces, the kernel first tidies up.
"""

from __future__ import annotations

import mmap
import os
import sys
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from client.transport.forked import LOADING_CTYPES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HUGE_PAGE", "HugePages", "huge_pages"]

#: Bytes of a huge page where usual ones have 4 KiB. Beside those of 64 KiB they have 512 MiB, too much for a file.
HUGE_PAGE: Final = 2 << 20
#: Seconds that a huge page saves whoever fills it (measured: 500 to 700 us), and how many may be lost before no more
#: are asked for.
SAVED: Final = 500e-6
MOST_LOST: Final = 5e-3

_SETTINGS: Final = Path("/sys/kernel/mm/transparent_hugepage")
_TMPFS: Final = 0x01021994  # TMPFS_MAGIC in <linux/magic.h>
_FIXED: Final = 0x10  # MAP_FIXED in <sys/mman.h>
_COLLAPSE: Final = 25  # MADV_COLLAPSE in <sys/mman.h>, since Linux 6.1


class HugePages:
    """Asks for the pages of one file before they are written; for one thread at a time.

    Args:
        make: Makes one at an offset; false if there is none to be had.
        size: Bytes that the file will have. What is left over at its end gets usual pages.
        clock: Seconds.
    """

    def __init__(
        self, make: Callable[[int], bool], size: int, clock: Callable[[], float] = perf_counter
    ) -> None:
        """Ask for nothing yet."""
        self._make = make
        self._clock = clock
        self._asked: set[int] = set()
        self._whole = size // HUGE_PAGE
        self._saved = 0.0

    def prepare(self, start: int, stop: int) -> None:
        """Ask for those under the bytes from *start* to *stop*, about to be written, that were not asked for."""
        for number in range(start // HUGE_PAGE, min(-(-stop // HUGE_PAGE), self._whole)):
            if number not in self._asked:
                self._asked.add(number)
                began = self._clock()
                made = self._make(number * HUGE_PAGE)
                self._saved += SAVED - (self._clock() - began)
                if not made or self._saved < -MOST_LOST:
                    self._whole = 0
                    return


def huge_pages(descriptor: int, size: int) -> HugePages | None:
    """Return what asks for the huge pages of a file; None where it can have none.

    Args:
        descriptor: Of the file, for reading and writing.
        size: Bytes that it will have.
    """
    # Only what lies on no disk has a device without a driver, whose number is 0.
    if size < HUGE_PAGE or sys.platform != "linux" or os.major(os.fstat(descriptor).st_dev):
        return None
    maker = _maker()
    make = None if maker is None else maker(descriptor)
    return None if make is None else HugePages(make, size)


@cache
def _maker() -> Callable[[int], Callable[[int], bool] | None] | None:
    """Return what tells by a descriptor how its file gets a huge page at an offset; None where no file gets any."""
    try:
        if int((_SETTINGS / "hpage_pmd_size").read_text()) != HUGE_PAGE:
            return None
        if "[never]" in (_SETTINGS / "enabled").read_text():  # the administrator wants none
            return None
        with LOADING_CTYPES:
            import ctypes

        libc = ctypes.CDLL(None)
        fstatfs, madvise, map_memory, unmap = libc.fstatfs, libc.madvise, libc.mmap, libc.munmap
    except (ImportError, AttributeError, OSError, ValueError):  # no /sys, no ctypes
        return None
    if ctypes.sizeof(ctypes.c_void_p) < 8:  # offsets are no longer than addresses there
        return None
    address, number = ctypes.c_size_t, ctypes.c_int
    fstatfs.argtypes = (number, ctypes.c_char_p)
    madvise.argtypes = (address, address, number)
    map_memory.argtypes = (address, address, number, number, number, ctypes.c_int64)
    map_memory.restype = address
    unmap.argtypes = (address, address)
    failed = address(-1).value

    def maker(descriptor: int) -> Callable[[int], bool] | None:
        # `struct statfs`, whose first word is the type, and room for three more of them.
        answer = ctypes.create_string_buffer(512)
        if fstatfs(descriptor, answer) or int.from_bytes(answer.raw[:8], sys.byteorder) != _TMPFS:
            return None

        def make(offset: int) -> bool:
            # Only where it may lie across a boundary does the kernel let addresses and huge pages fall together.
            room = map_memory(0, 2 * HUGE_PAGE, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
            if room == failed:
                return False
            try:
                aligned = -(-room // HUGE_PAGE) * HUGE_PAGE
                # Of nothing, the kernel makes nothing huge.
                os.posix_fallocate(descriptor, offset, mmap.PAGESIZE)
                flags = mmap.MAP_SHARED | _FIXED
                mapped = map_memory(aligned, HUGE_PAGE, mmap.PROT_READ, flags, descriptor, offset)
                return mapped == aligned and not madvise(aligned, HUGE_PAGE, _COLLAPSE)
            except OSError:  # no room: the next write will tell
                return False
            finally:
                unmap(room, 2 * HUGE_PAGE)

        return make

    return maker
