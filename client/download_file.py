"""The file of a download on its way: a temporary of a random name, its journal, and the step to the final name.

The law of the room: everything happens inside one folder, opened once, by names without a separator; nothing is opened
through a symbolic link; only files that we made are written to or removed; and the final name comes last, when the
file is whole (`DownloadFile.publish`).

The journal is a small JSON file beside the temporary, found by the final name.  It lets a download go on after the
process was killed, and it never promises more than the disk holds: the data is synced before the journal is written.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from _thread import allocate_lock
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DownloadFile", "Folder", "Journal"]

#: Least seconds between two journals: each costs a sync of the data.
JOURNAL_SECONDS: Final = 0.5
LARGEST_JOURNAL: Final = 65536  # bytes
HASH_SIZE: Final = 1 << 18  # bytes read at once: what the processor's cache holds

_HAS_FOLDERS: Final = os.open in os.supports_dir_fd
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)  # opening a FIFO must not wait for its other end
_TRIED_BY_LINK: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


class Journal(NamedTuple):
    """What is known of a download that did not end.

    Attributes:
        url: SHA-256 of the URL in hex: the URL itself may hold a secret.
        temporary: Name of the temporary.
        size: Of the whole file in bytes, None if unknown.
        validator: What the parts on disk belong to.
        parts: (start, position, stop) of each part; stop is None if the size is unknown.
    """

    url: str
    temporary: str
    size: int | None
    validator: str
    parts: list[tuple[int, int, int | None]]


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
        self._descriptor: int | None = None
        if _HAS_FOLDERS:
            self._descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
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

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens if it is gone."""
        try:
            os.unlink(self._at(name), **self._in("dir_fd"))
        except FileNotFoundError:
            pass

    def replace(self, name: str, new: str) -> None:
        """Give the file *name* the name *new*, in place of whatever has that name."""
        os.replace(self._at(name), self._at(new), **self._in("src_dir_fd", "dst_dir_fd"))  # noqa: PTH105

    def link(self, name: str, new: str) -> None:
        """Give the file *name* a second name; FileExistsError if that exists."""
        os.link(self._at(name), self._at(new), follow_symlinks=False, **self._in("src_dir_fd", "dst_dir_fd"))

    def close(self) -> None:
        """Let go of the folder. Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _at(self, name: str) -> str:
        if not _is_plain(name):
            raise ValueError(f"{name!r} is no name of a file")
        return name if _HAS_FOLDERS else str(Path(self.path, name))

    def _in(self, *arguments: str) -> dict[str, Any]:
        return dict.fromkeys(arguments, self._descriptor) if _HAS_FOLDERS else {}


class DownloadFile:
    """The temporary of one download.

    Made by `create` or `reopen`; `publish`, `keep` or `discard` ends it.

    Attributes:
        descriptor: Of the temporary, for reading and writing.
    """

    def __init__(self, folder: Folder, name: str, temporary: str, descriptor: int) -> None:
        """Hold what `create` or `reopen` opened."""
        self._folder = folder
        self._name = name
        self._temporary = temporary
        self.descriptor: int = descriptor
        self._journal_name = journal_name(name)
        self._saving = allocate_lock()
        self._save_at = monotonic() + JOURNAL_SECONDS
        _lock(descriptor, str(Path(folder.path, name)))

    @classmethod
    def create(cls, folder: Folder, name: str, receipt: str | None = None) -> DownloadFile:
        """Make a new, empty temporary for the final *name*; only we may read it (mode 0600).

        Where there will be a *receipt*, its name tells whose it is, for it may be left behind by a worker that died.
        """
        temporary = _random_name("part", receipt)
        descriptor = folder.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        return cls(folder, name, temporary, descriptor)

    @classmethod
    def reopen(cls, folder: Folder, name: str, url: str | None) -> tuple[DownloadFile, Journal] | None:
        """Open the temporary that an earlier download of *url* left behind; None if there is no such thing.

        Of a download to the same name that is of no use now, another URL's for instance, nothing remains.

        Raises:
            FileExistsError: A download to this very name is under way.
        """
        journal = _read_journal(folder, journal_name(name))
        descriptor = None if journal is None else _open_own(folder, journal.temporary, os.O_RDWR)
        if journal is None or descriptor is None:
            return None
        try:
            found = cls(folder, name, journal.temporary, descriptor)
            end = max((position for start, position, _ in journal.parts if position > start), default=0)
            if journal.url == url and os.fstat(descriptor).st_size >= end:
                return found, journal
        except BaseException:
            os.close(descriptor)
            raise
        found.discard()
        return None

    def allocate(self, size: int) -> None:
        """Reserve room for *size* bytes, so that a full disk is found before anything is transferred.

        Raises:
            OSError: There is no such room.
        """
        if size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self.descriptor, 0, size)

    def write(self, data: memoryview, offset: int) -> None:
        """Write all of *data* at *offset*; safe from several threads at once.

        Raises:
            OSError: The disk is full, or broken.
        """
        while data:
            count = _write_at(self.descriptor, data, offset)
            data = data[count:]
            offset += count

    def truncate(self) -> None:
        """Throw away what has come so far, and the journal with it."""
        self._remove_journal()
        os.ftruncate(self.descriptor, 0)

    def save_sometimes(self, journal: Callable[[str], Journal | None]) -> None:
        """Write the journal that *journal* makes for our temporary, unless the last one is half a second young."""
        if monotonic() >= self._save_at and self._saving.acquire(blocking=False):
            try:
                self._save(journal(self._temporary))
            except OSError:  # the disk is full, as the next bytes of the file will tell
                pass
            finally:
                self._save_at = monotonic() + JOURNAL_SECONDS
                self._saving.release()

    def digest(self, check: Callable[[], object]) -> str:
        """Return the SHA-256, in hex, of what is on disk; *check* is called now and then and may raise."""
        digest, offset = sha256(), 0
        buffer = memoryview(bytearray(HASH_SIZE))
        while count := _read_at(self.descriptor, buffer, offset):
            digest.update(buffer[:count])
            offset += count
            check()
        return digest.hexdigest()

    def publish(self, size: int, *, overwrite: bool, receipt: str | None = None) -> None:
        """Give the file its final name; it is whole, and *size* bytes long.

        Args:
            size: In bytes.
            overwrite: Whether a file or link of that name may be replaced.
            receipt: A second name to give it just before; see `client.download_receipts`.

        Raises:
            FileExistsError: The name was taken meanwhile, or by something that is never overwritten.
            OSError: Anything else; the temporary remains.
        """
        on_disk = os.fstat(self.descriptor).st_size
        if on_disk < size:
            raise OSError(errno.EIO, f"{size} bytes were written and {on_disk} are there", self._name)
        if on_disk > size:  # room was reserved, or an earlier attempt came further
            os.ftruncate(self.descriptor, size)
        mode = self._final_mode(check_target(self._folder, self._name, overwrite=overwrite))
        if mode is not None:
            os.fchmod(self.descriptor, mode)
        if sys.platform == "win32":  # cannot rename what is open
            os.close(self.descriptor)
            self.descriptor = -1
        if overwrite:
            self._folder.replace(self._temporary, self._name)
        else:
            self._publish_as_new(receipt)
        self._close()
        self._remove_journal()

    def keep(self, journal: Callable[[str], Journal | None]) -> None:
        """Leave temporary and journal for a later download to go on with; without a journal, discard both."""
        found = journal(self._temporary)
        if found is not None:
            try:
                self._save(found)
            except OSError:  # an older journal may be there, and is as good
                pass
        if found is not None and self._own_journal() is not None:
            self._close()
        else:
            self.discard()

    def discard(self) -> None:
        """Remove temporary and journal."""
        self._close()
        self._folder.remove(self._temporary)
        self._remove_journal()

    def _publish_as_new(self, receipt: str | None) -> None:
        """Take the final name only if nobody has it: a link fails where a rename would replace."""
        try:
            if receipt is not None:
                self._folder.remove(receipt)  # of a run that died before it gave the file its final name
                self._folder.link(self._temporary, receipt)
            self._folder.link(self._temporary, self._name)
        except OSError as error:
            if error.errno == errno.EEXIST:
                if receipt is not None:
                    self._folder.remove(receipt)
                raise exists_already(self._folder, self._name) from error
            if error.errno not in _TRIED_BY_LINK:
                raise
            # No links here, such as on FAT: hold the name with an empty file of ours, then replace that.
            os.close(self._folder.open(self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            self._folder.replace(self._temporary, self._name)
        else:
            self._folder.remove(self._temporary)

    def _final_mode(self, target: os.stat_result | None) -> int | None:
        """Return the mode of the file to be replaced, else that of any new file here (umask, default ACL)."""
        if not hasattr(os, "fchmod"):
            return None
        if target is not None and stat.S_ISREG(target.st_mode):
            return stat.S_IMODE(target.st_mode) & 0o777
        # Asking for the umask means setting it for all threads; a new, empty file knows it as well.
        probe = _random_name("mode")
        descriptor = self._folder.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            return stat.S_IMODE(os.fstat(descriptor).st_mode)
        finally:
            os.close(descriptor)
            self._folder.remove(probe)

    def _save(self, journal: Journal | None) -> None:
        """Write *journal* once the disk has what it promises; none where its name belongs to somebody else."""
        if journal is None or not self._may_journal():
            return
        getattr(os, "fdatasync", os.fsync)(self.descriptor)
        new = _random_name("new")
        descriptor = self._folder.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            try:
                os.write(descriptor, json.dumps(journal._asdict()).encode())
            finally:
                os.close(descriptor)
            self._folder.replace(new, self._journal_name)
        except BaseException:
            self._folder.remove(new)
            raise

    def _may_journal(self) -> bool:
        found = self._folder.stat(self._journal_name)
        return found is None or _is_own(found)

    def _remove_journal(self) -> None:
        if self._own_journal() is not None:
            self._folder.remove(self._journal_name)

    def _own_journal(self) -> Journal | None:
        """Return the journal if it is that of our temporary, not that of another download to the same name."""
        journal = _read_journal(self._folder, self._journal_name)
        return journal if journal is not None and journal.temporary == self._temporary else None

    def _close(self) -> None:
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


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


def journal_name(name: str) -> str:
    """Return the name of the journal for the final *name*: of one length, whatever that is."""
    return f".threadwire-{sha256(os.fsencode(name)).hexdigest()[:32]}.json"


def _is_plain(name: str) -> bool:
    """Say whether *name* is one component, which cannot lead out of a folder."""
    return Path(name).name == name and name not in ("", ".", "..")


def _random_name(suffix: str, receipt: str | None = None) -> str:
    """Return a name that nobody can have made before: 128 random bits; it begins as *receipt* does."""
    return f"{Path(receipt or '.threadwire').stem}-{os.urandom(16).hex()}.{suffix}"


def _open_own(folder: Folder, name: str, flags: int) -> int | None:
    """Open a regular file that only we could have written; None if it is anything else."""
    try:
        descriptor = folder.open(name, flags | _NO_WAIT)
    except OSError:
        return None
    if _is_own(os.fstat(descriptor)):
        return descriptor
    os.close(descriptor)
    return None


def _is_own(found: os.stat_result) -> bool:
    """Say whether a file is a regular one of ours, with one name, that nobody else may write to."""
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        return False
    return not hasattr(os, "geteuid") or (found.st_uid == os.geteuid() and not found.st_mode & 0o022)


def _read_journal(folder: Folder, name: str) -> Journal | None:
    """Return the journal of that name; None if there is none of ours, or it makes no sense."""
    descriptor = _open_own(folder, name, os.O_RDONLY)
    if descriptor is None:
        return None
    try:
        journal = Journal(**json.loads(os.read(descriptor, LARGEST_JOURNAL)))
        return journal if _is_sane(journal) else None
    except (TypeError, ValueError, RecursionError):  # cut short, or written by another version
        return None
    finally:
        os.close(descriptor)


def _is_sane(journal: Journal) -> bool:
    """Say whether the parts of *journal* lie one behind the other, inside the file."""
    if not all(isinstance(text, str) for text in (journal.url, journal.temporary, journal.validator)):
        return False
    if not _is_plain(journal.temporary) or not journal.parts:
        return False
    end: int | None = 0
    for start, position, stop in journal.parts:
        if type(start) is not int or type(position) is not int or start != end or position < start:
            return False
        if stop is not None and (type(stop) is not int or stop < position):
            return False
        end = stop
    return end == journal.size


def _lock(descriptor: int, path: str) -> None:
    """Claim the temporary, so that no other download goes on with it at the same time.

    Raises:
        FileExistsError: Another one has it.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FileExistsError(errno.EEXIST, "another download of it is under way", path) from error
        except OSError:  # a file system without locks
            pass


_seeking: Final = allocate_lock()

if hasattr(os, "pwrite"):

    def _write_at(descriptor: int, data: memoryview, offset: int) -> int:
        return os.pwrite(descriptor, data, offset)

    def _read_at(descriptor: int, buffer: memoryview, offset: int) -> int:
        data = os.pread(descriptor, len(buffer), offset)
        buffer[: len(data)] = data
        return len(data)

else:  # Windows

    def _write_at(descriptor: int, data: memoryview, offset: int) -> int:
        with _seeking:
            os.lseek(descriptor, offset, os.SEEK_SET)
            return os.write(descriptor, data)

    def _read_at(descriptor: int, buffer: memoryview, offset: int) -> int:
        with _seeking:
            os.lseek(descriptor, offset, os.SEEK_SET)
            data = os.read(descriptor, len(buffer))
        buffer[: len(data)] = data
        return len(data)
