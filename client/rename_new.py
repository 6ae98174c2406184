"""A rename that takes a name from nobody: it fails where `os.rename` would replace.

Windows' own rename is like that. Linux and macOS have a call for it each, of which `os` has no binding. It is for file
systems without hard links, such as FAT and exFAT: elsewhere a link does the same, without ctypes.

The law of the room: one step of the system, in which nobody can come between.
"""

from __future__ import annotations

import errno
import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Final

from client.transport.forked import LOADING_CTYPES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["rename_new"]

#: The call, and its flag for "only if nobody has the new name": RENAME_NOREPLACE and RENAME_EXCL.
_CALLS: Final = {"linux": ("renameat2", 1), "darwin": ("renameatx_np", 4)}

#: What it says where the kernel or the file system, such as NFS, knows no such rename.
_CANNOT: Final = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def rename_new(name: str, new: str, folder: int) -> bool:
    """Give the file *name* the name *new*, which nobody has.

    Args:
        name: Of a file in *folder*.
        new: A name in *folder*.
        folder: Its descriptor; of no meaning under Windows, where both names are paths.

    Returns:
        False if this system or file system cannot do it; nothing has happened then.

    Raises:
        FileExistsError: Somebody has the new name.
        OSError: Anything else that the system says.
    """
    if sys.platform == "win32":
        os.rename(name, new)  # noqa: PTH104  # as all of a download's folder
        return True
    rename = _rename()
    if rename is None:
        return False
    error = rename(folder, os.fsencode(name), os.fsencode(new))
    if error in _CANNOT:
        return False
    if error:
        raise OSError(error, os.strerror(error), name, None, new)
    return True


@cache
def _rename() -> Callable[[int, bytes, bytes], int] | None:
    """Return what renames inside a folder and says its errno, 0 for none; None if there is no such thing."""
    try:
        with LOADING_CTYPES:
            import ctypes

        call_name, flag = _CALLS[sys.platform]
        call = getattr(ctypes.CDLL(None, use_errno=True), call_name)
    except (ImportError, AttributeError, KeyError, OSError):  # no ctypes, an older system, another one
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)

    def rename(folder: int, name: bytes, new: bytes) -> int:
        return ctypes.get_errno() if call(folder, name, folder, new, flag) else 0

    return rename
