"""The file of a download on its way: a temporary of a random name, its journal, and the step to the final name.

The law of the room: everything happens inside one folder, opened once, by names without a separator; nothing is opened
through a symbolic link; only files that we made are written to or removed; and the final name comes last, when the
file is whole (`DownloadFile.publish`).

A process may be killed between any two lines of this: the journal is there before the temporary and goes after it (see
`client.download_traces`), and it never promises more than the disk holds, since the data is synced first.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from _thread import allocate_lock
from hashlib import sha256
from time import monotonic
from typing import TYPE_CHECKING, Final

from client.download_descriptor import lock, read_at, unlock, write_at
from client.download_folder import check_target, exists_already, is_private, open_own
from client.download_journal import claim_of, journal_name, new_temporary, read_journal, written
from client.download_pages import huge_pages
from client.download_traces import Traces, remove_rest, under_way

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.download_folder import Folder
    from client.download_journal import Journal
    from client.download_pages import HugePages
    from client.transport.splice import Pipe

__all__ = ["DownloadFile"]

#: Least seconds between two journals: each costs a sync of the data.
JOURNAL_SECONDS: Final = 0.5
#: Bytes at the end of the temporary that make room for a journal on a full disk, beside the journal's own.
ROOM: Final = 1 << 16
#: What musl's posix_fallocate says on a file system without; glibc's writes zeros there.
_CANNOT_RESERVE: Final = (errno.EOPNOTSUPP, errno.EINVAL)
HASH_SIZE: Final = 1 << 18  # bytes read at once: what the processor's cache holds

#: What `os.link` says where a file system, such as FAT, has no links: ENOTSUP is macOS's word, EINVAL is Windows'.
_NO_LINKS: Final = (*_CANNOT_RESERVE, errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


class DownloadFile:
    """The temporary of one download.

    Made by `create` or `reopen`; `publish`, `keep` or `discard` ends it.

    Attributes:
        descriptor: Of the temporary, for reading and writing.
    """

    def __init__(self, traces: Traces, descriptor: int) -> None:
        """Take over the descriptor that `create` or `reopen` opened, and claim the temporary."""
        self._traces = traces
        self._folder = traces.folder
        self._name = traces.name
        self.descriptor: int = descriptor
        self._writing = allocate_lock()
        self._saving = allocate_lock()
        self._pages: HugePages | None = None
        self._save_at = monotonic() + JOURNAL_SECONDS
        try:
            # A lock can also be had of what its last owner has removed or published since it was opened here.
            self._is_locked = lock(descriptor)
            if self._is_locked is False or not self._folder.has(traces.temporary, descriptor):
                raise under_way(self._folder, self._name)
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(cls, folder: Folder, name: str, receipt: str | None = None) -> DownloadFile:
        """Make a new, empty temporary for the final *name*; only we may read it (mode 0600).

        Where there will be a *receipt*, its name tells whose it is, for it may be left behind by a worker that died.
        """
        for tries_left in (2, 1, 0):
            traces = Traces(folder, name, new_temporary(receipt))
            claim = traces.claim(lambda: cls.reopen(folder, name, None))
            descriptor = -1
            try:
                try:
                    descriptor = folder.open(traces.temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL)
                    return cls(traces, descriptor)
                finally:
                    if claim is not None:
                        unlock(claim)
                        os.close(claim)
            except BaseException as error:
                traces.remove()
                # Another download takes it for a rest if it comes before we have the lock, and gives up as well.
                is_taken = descriptor >= 0 and isinstance(error, FileExistsError)
                if not (is_taken and tries_left):
                    raise
        raise AssertionError

    @classmethod
    def reopen(cls, folder: Folder, name: str, url: str | None) -> tuple[DownloadFile, Journal] | None:
        """Open the temporary that an earlier download of *url* left behind; None if there is no such thing.

        Of a download to the same name that is of no use now, another URL's for instance, nothing remains.

        Raises:
            FileExistsError: A download to this very name is under way.
        """
        left = cls._left_behind(folder, name)
        if left is None:
            return None
        found, journal = left
        end = max((position for start, position, _ in journal.parts if position > start), default=0)
        try:
            if journal.url == url and os.fstat(found.descriptor).st_size >= end:
                return left
            found.discard()
        except BaseException:
            found.close()
            raise
        return None

    @classmethod
    def sweep(cls, folder: Folder, name: str) -> None:
        """Remove what a download left behind that was killed after *name* was given, or before there was anything."""
        try:
            left = cls._left_behind(folder, name)
        except OSError:  # it is under way, and does that itself; or it cannot be done now
            return
        if left is not None:
            found, journal = left
            if journal.url:
                found.close()
            else:  # nothing can be gone on with
                found.discard()

    @classmethod
    def _left_behind(cls, folder: Folder, name: str) -> tuple[DownloadFile, Journal] | None:
        """Return what a download that is over left behind, if something can be made of it; else remove it."""
        journal = read_journal(folder, journal_name(name))
        descriptor = None if journal is None else open_own(folder, journal.temporary, os.O_RDWR)
        if journal is None or descriptor is None:
            remove_rest(folder, name)
            return None
        traces = Traces(folder, name, journal.temporary)
        try:
            found = cls(traces, descriptor)
        except FileExistsError:
            if folder.stat(journal.temporary) is not None:
                raise
            return None  # its owner has let go: were both to give up, none would win
        if not found._is_locked:  # nobody can say whether its owner lives, and writes to it
            found.close()
            return None
        try:
            current = traces.journal()  # its last owner may have saved another one before it was locked
            if current is not None and is_private(descriptor):
                traces.remove_small()
                return found, current
        except BaseException:
            found.close()
            raise
        found.discard()
        return None

    def expect(self, size: int | None, *, reserve: bool = False) -> None:
        """Prepare for what comes.

        Args:
            size: Bytes that the file will have; None if nobody knows.
            reserve: Take room for them, so that a full disk is found before anything is transferred.

        Raises:
            OSError: There is no such room.
        """
        self._pages = huge_pages(self.descriptor, size) if size else None
        if size and reserve and hasattr(os, "posix_fallocate"):
            if size <= _free_room(self.descriptor):  # else they would fill the disk before that is found
                self._prepare(0, size)
            came = os.fstat(self.descriptor).st_size
            try:
                os.posix_fallocate(self.descriptor, 0, size)
            except OSError as error:
                if error.errno not in _CANNOT_RESERVE:
                    os.ftruncate(self.descriptor, came)  # else what was taken would stay with what is kept
                    raise

    def write(self, data: memoryview, offset: int) -> None:
        """Write all of *data* at *offset*; safe from several threads at once.

        Raises:
            OSError: The disk is full, or broken.
        """
        with self._writing:
            self._prepare(offset, offset + len(data))
            while data:
                count = write_at(self.descriptor, data, offset)
                data = data[count:]
                offset += count

    def write_from(self, pipe: Pipe, count: int, offset: int) -> None:
        """Write the *count* bytes that *pipe* holds at *offset*; otherwise as `write`.

        The kernel lets one thread at a time write to a file. Others that come meanwhile would not sleep but spin, a
        sixth of all that eight parts cost, so each waits for its turn here.
        """
        with self._writing:
            self._prepare(offset, offset + count)
            pipe.empty(self.descriptor, offset, count)

    def truncate(self) -> None:
        """Throw away what has come so far; the journal no longer knows of it."""
        os.ftruncate(self.descriptor, 0)
        try:
            self._save(claim_of(self._traces.temporary))
        except OSError:  # the old one would promise bytes of another version
            self._traces.remove_journal()

    def save_sometimes(self, journal: Callable[[str], Journal | None]) -> None:
        """Write the journal that *journal* makes for our temporary, unless the last one is half a second young."""
        if monotonic() >= self._save_at and self._saving.acquire(blocking=False):
            try:
                self._save(journal(self._traces.temporary))
            except OSError:  # the disk is full, as the next bytes of the file will tell
                pass
            finally:
                self._save_at = monotonic() + JOURNAL_SECONDS
                self._saving.release()

    def digest(self, check: Callable[[], object]) -> str:
        """Return the SHA-256, in hex, of what is on disk; *check* is called now and then and may raise."""
        digest, offset = sha256(), 0
        while data := read_at(self.descriptor, HASH_SIZE, offset):
            digest.update(data)
            offset += len(data)
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
            OSError: Anything else; nothing has the final name, and the temporary remains.
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
            self._folder.replace(self._traces.temporary, self._name)
        else:
            self._publish_as_new(receipt)
        try:
            if not overwrite:  # the final name is a link, and this one the other
                self._folder.remove(self._traces.temporary)
            self._traces.remove_journal()
        except OSError:  # the file is there all the same; the next download to this name finds the rest
            pass
        finally:
            self.close()

    def keep(self, journal: Callable[[str], Journal | None]) -> None:
        """Leave temporary and journal for a later download to go on with; discard both if none could."""
        found = journal(self._traces.temporary)
        try:
            if found is not None:
                try:
                    self._save_last(found)
                except OSError:  # an older one may be there, and is as good
                    pass
            own = self._traces.journal()
            if found is None or own is None or not own.url or not self._is_locked:  # nobody could take it up
                self.discard()
        finally:
            self.close()

    def discard(self) -> None:
        """Remove temporary and journal."""
        if sys.platform == "win32":  # cannot remove what is open
            self.close()
        try:
            self._traces.remove()
        finally:
            self.close()  # and with it goes the lock: nobody takes up what is being removed

    def close(self) -> None:
        """Let go of the temporary as it is. Idempotent."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            unlock(descriptor)
            os.close(descriptor)

    def _prepare(self, start: int, stop: int) -> None:
        if self._pages is not None:
            self._pages.prepare(start, stop)

    def _publish_as_new(self, receipt: str | None) -> None:
        """Take the final name only if nobody has it: a link fails where a rename would replace."""
        try:
            if receipt is not None:
                self._folder.remove(receipt)  # of a run that died before it gave the file its final name
                self._folder.link(self._traces.temporary, receipt)
            self._folder.link(self._traces.temporary, self._name)
        except OSError as error:
            if error.errno == errno.EEXIST:
                if receipt is not None:
                    self._folder.remove(receipt)
                raise exists_already(self._folder, self._name) from error
            if error.errno not in _NO_LINKS:
                raise
            self._publish_without_links()

    def _publish_without_links(self) -> None:
        """Take the final name by a rename that replaces nothing; else hold it with an empty file, then replace that.

        A kill between these two leaves the empty file, so they are the last resort: over NFS, say, there are links.
        """
        try:
            if self._folder.rename_new(self._traces.temporary, self._name):
                return
            os.close(self._folder.open(self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError as error:
            raise exists_already(self._folder, self._name) from error
        try:
            self._folder.replace(self._traces.temporary, self._name)
        except BaseException:
            self._folder.remove(self._name)
            raise

    def _final_mode(self, target: os.stat_result | None) -> int | None:
        """Return the mode of the file to be replaced, else that of any new file here (umask, default ACL)."""
        if not hasattr(os, "fchmod"):
            return None
        if target is not None and stat.S_ISREG(target.st_mode):
            return stat.S_IMODE(target.st_mode) & 0o777
        # Asking for the umask means setting it for all threads; a new, empty file knows it as well.
        probe = self._traces.beside("mode")
        descriptor = self._folder.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            return stat.S_IMODE(os.fstat(descriptor).st_mode)
        finally:
            os.close(descriptor)
            self._folder.remove(probe)

    def _save(self, journal: Journal | None) -> None:
        """Put *journal* in the place of ours once the disk has what it promises; ours may be missing, see `Traces`."""
        if journal is not None and self._traces.journal() is not None:
            self._sync()
            self._traces.replace_journal(journal)

    def _save_last(self, journal: Journal) -> None:
        """As `_save`; where there is no room for the first *journal*, what came last makes some."""
        own = self._traces.journal()
        if own is None:
            return
        self._sync()
        try:
            self._traces.replace_journal(journal)
        except OSError:
            if own.url:  # nearly as good
                raise
            came = max(position for start, position, _ in journal.parts if position > start)
            end = came - len(written(journal)) - ROOM
            parts = [(start, max(start, min(position, end)), stop) for start, position, stop in journal.parts]
            if end > 0 and any(position > start for start, position, _ in parts):
                os.ftruncate(self.descriptor, end)
                self._traces.replace_journal(journal._replace(parts=parts))

    def _sync(self) -> None:
        getattr(os, "fdatasync", os.fsync)(self.descriptor)


def _free_room(descriptor: int) -> int:
    """Return how many bytes the file system of an open file has left for us."""
    found = os.fstatvfs(descriptor)
    return found.f_bavail * found.f_frsize
