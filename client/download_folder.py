"""The folder of a download, held open, and what may be opened or replaced in it.

The law of the room: a folder is opened once, everything in it by names without a separator and never through a link;
what was there before is taken up only if it is a file of ours.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any, Final

from client.rename_new import rename_new

__all__ = ["Folder", "check_target", "exists_already", "is_plain", "is_private", "open_own"]

#: The descriptor of no folder. None in its place would mean the working directory, and files there.
CLOSED: Final = -1

_HAS_FOLDERS: Final = os.open in os.supports_dir_fd
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
#: With Linux's O_PATH, a folder that we may write to and not list will do, as it does for any program.
_FOLDER: Final = getattr(os, "O_PATH", os.O_RDONLY)
#: What opening says where there is no file, a link, a folder, a device or a socket, or somebody else's.
_NOT_OURS: Final = frozenset(
    {
        errno.ENOENT,
        errno.ELOOP,
        errno.EMLINK,
        errno.EISDIR,
        errno.ENXIO,
        errno.ENODEV,
        errno.EACCES,
        errno.EPERM,
    }
)
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)  # opening a FIFO must not wait for its other end


class Folder:
    """A folder, held open, so that nobody can put another one in its place meanwhile.

    Args:
        path: Of the folder; symbolic links in it are the caller's own and are followed.

    Raises:
        OSError: There is no such folder.
    """

    def __init__(self, path: str) -> None:
        """Open it."""
        self.path = path
        self._descriptor = CLOSED
        if _HAS_FOLDERS:
            self._descriptor = os.open(path or ".", _FOLDER | os.O_DIRECTORY | os.O_CLOEXEC)
        elif not Path(path).is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        """Open a file of the folder, never through a link; return its descriptor."""
        return os.open(self._at(name), flags | _NO_LINK, mode, **self._in("dir_fd"))

    def stat(self, name: str) -> os.stat_result | None:
        """Return what *name* is, a link itself if it is one; None if it does not exist."""
        try:
            return os.stat(  # noqa: PTH116  # as all here: Path knows no dir_fd
                self._at(name), follow_symlinks=False, **self._in("dir_fd")
            )
        except FileNotFoundError:
            return None

    def has(self, name: str, descriptor: int) -> bool:
        """Say whether *name* is still the name of the open file, not removed or given to another one."""
        found = self.stat(name)
        return found is not None and os.path.samestat(found, os.fstat(descriptor))

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens if it is gone."""
        try:
            os.unlink(self._at(name), **self._in("dir_fd"))
        except FileNotFoundError:
            pass

    def replace(self, name: str, new: str) -> None:
        """Give the file *name* the name *new*, in place of whatever has that name."""
        os.replace(self._at(name), self._at(new), **self._in("src_dir_fd", "dst_dir_fd"))  # noqa: PTH105

    def rename_new(self, name: str, new: str) -> bool:
        """Give the file *name* the name *new*, which nobody has; see `client.rename_new`."""
        return rename_new(self._at(name), self._at(new), self._descriptor)

    def link(self, name: str, new: str) -> None:
        """Give the file *name* a second name; FileExistsError if that exists."""
        os.link(self._at(name), self._at(new), follow_symlinks=False, **self._in("src_dir_fd", "dst_dir_fd"))

    def close(self) -> None:
        """Let go of the folder. Idempotent."""
        descriptor, self._descriptor = self._descriptor, CLOSED
        if descriptor != CLOSED:
            os.close(descriptor)

    def _at(self, name: str) -> str:
        if not is_plain(name):
            raise ValueError(f"{name!r} is no name of a file")
        return name if _HAS_FOLDERS else str(Path(self.path, name))

    def _in(self, *arguments: str) -> dict[str, Any]:
        return dict.fromkeys(arguments, self._descriptor) if _HAS_FOLDERS else {}


def check_target(folder: Folder, name: str, *, overwrite: bool) -> os.stat_result | None:
    """Return what already has the final name, None if nothing has.

    Raises:
        FileExistsError: Something has, and *overwrite* is false, or it is neither a file nor a link. A link would be
            replaced itself; what it points to is never touched.
    """
    found = folder.stat(name)
    if found is not None and not (overwrite and (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode))):
        raise exists_already(folder, name, special=overwrite)
    return found


def exists_already(folder: Folder, name: str, *, special: bool = False) -> FileExistsError:
    """Build the error for a final name that is taken, in the caller's words."""
    reason = "exists already and is no regular file" if special else "exists already"
    return FileExistsError(errno.EEXIST, reason, str(Path(folder.path, name)))


def is_plain(name: str) -> bool:
    """Say whether *name* is one component, which cannot lead out of a folder."""
    return Path(name).name == name and name not in ("", ".", "..")


def open_own(folder: Folder, name: str, flags: int) -> int | None:
    """Open a regular file that belongs to us; None if it is anything else.

    Raises:
        OSError: Nobody can say what it is, for want of descriptors for instance.
    """
    try:
        descriptor = folder.open(name, flags | _NO_WAIT)
    except OSError as error:
        if error.errno in _NOT_OURS:
            return None
        raise
    is_ours = False
    try:
        found = os.fstat(descriptor)
        is_ours = stat.S_ISREG(found.st_mode) and (not hasattr(os, "geteuid") or found.st_uid == os.geteuid())
    finally:
        if not is_ours:
            os.close(descriptor)
    return descriptor if is_ours else None


def is_private(descriptor: int) -> bool:
    """Say whether nobody else can have written to the file: it has one name, and its mode lets no others."""
    found = os.fstat(descriptor)
    return found.st_nlink == 1 and not (hasattr(os, "geteuid") and found.st_mode & 0o022)
