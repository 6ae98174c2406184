"""An open file, where systems differ: its lock, and reading and writing at an offset."""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock
from typing import Final

if sys.platform != "win32":
    import fcntl

__all__ = ["lock", "read_at", "unlock", "write_at"]

_AT_OFFSETS: Final = hasattr(os, "pwrite")  # not so on Windows
_seeking: Final = allocate_lock()


def lock(descriptor: int) -> bool | None:
    """Claim the file, so that nobody else goes on with it; False if another one has it, None if there are no locks."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without: some mounts of NFS and Lustre
            return None
    return True


def unlock(descriptor: int) -> None:
    """Give up the claim, and not only our descriptor: a child that was forked meanwhile has another one."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        except OSError:  # as in `lock`
            pass


def write_at(descriptor: int, data: memoryview, offset: int) -> int:
    """Write some of *data* at *offset*; return how many bytes."""
    if _AT_OFFSETS:
        return os.pwrite(descriptor, data, offset)
    with _seeking:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.write(descriptor, data)


def read_at(descriptor: int, count: int, offset: int) -> bytes:
    """Return at most *count* bytes from *offset* on, none at the end of the file."""
    if _AT_OFFSETS:
        return os.pread(descriptor, count, offset)
    with _seeking:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, count)
