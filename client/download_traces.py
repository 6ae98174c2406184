"""What a download has in its folder beside the final name: a temporary, its journal, and small files for a moment.

The law of the room: nothing is removed but by the names of one temporary, or a journal whose temporary is gone; and who
begins holds a lock on the journal until he has one on the temporary, so that nobody takes his for a rest.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Final

from client.download_descriptor import lock, unlock
from client.download_folder import open_own
from client.download_journal import claim_of, journal_in, journal_name, read_journal, written

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.download_folder import Folder
    from client.download_journal import Journal

__all__ = ["Traces", "remove_rest", "under_way"]

#: How often, and how many seconds, to wait for whoever has a journal locked, to see whether it is a rest.
TRIES: Final = 200
PAUSE: Final = 0.001
#: How often to try to have the first journal where many begin at once; whoever looks whether it is a rest may take it.
CLAIMS: Final = 20


class Traces:
    """The files of one download, by their names; it opens none of them for long.

    Args:
        folder: Where they are.
        name: The final one.
        temporary: As `client.download_journal.new_temporary` made it.
    """

    __slots__ = ("folder", "name", "temporary")

    def __init__(self, folder: Folder, name: str, temporary: str) -> None:
        """Make nothing yet."""
        self.folder: Folder = folder
        self.name: str = name
        self.temporary: str = temporary

    def claim(self, clear: Callable[[], object]) -> int | None:
        """Write the first journal, which only says whose the temporary is.

        Args:
            clear: Removes what a download to the same name left behind; raises if it is under way.

        Returns:
            Its descriptor, with the lock that says that the temporary is yet to come. None where somebody else has a
            file of the journal's name, or too many begin at once: then there is no journal to go on with.

        Raises:
            FileExistsError: A download to this very name is under way.
        """
        journal = journal_name(self.name)
        for attempt in range(CLAIMS):
            if attempt > 2:
                sleep(PAUSE)
            try:
                descriptor = _write_new(self.folder, journal, claim_of(self.temporary))
            except FileExistsError:  # of a download that was killed, or has begun, since somebody looked
                clear()
                continue
            try:
                is_ours = lock(descriptor) is not False and self.folder.has(journal, descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if is_ours:
                return descriptor
            os.close(descriptor)  # another one took it for a rest before it was locked
        return None

    def journal(self) -> Journal | None:
        """Return the journal if it is that of our temporary, not that of another download to the same name."""
        journal = read_journal(self.folder, journal_name(self.name))
        return journal if _is_of(self.temporary, journal) else None

    def replace_journal(self, journal: Journal) -> None:
        """Put *journal* in the place of ours. Raises OSError, and then the old one is still there."""
        new = self.beside("new")
        os.close(_write_new(self.folder, new, journal))
        try:
            self.folder.replace(new, journal_name(self.name))
        except BaseException:
            self.folder.remove(new)
            raise

    def remove_journal(self) -> None:
        """Remove ours, and nobody else's."""
        for _ in range(TRIES):
            if _remove_journal(self.folder, self.name, self.temporary):
                return
            sleep(PAUSE)

    def remove_small(self) -> None:
        """Remove the small files that a process left if it was killed in a bad moment."""
        for suffix in ("new", "mode"):
            self.folder.remove(self.beside(suffix))

    def remove(self) -> None:
        """Remove all: the journal last, as by it the others are found."""
        self.remove_small()
        self.folder.remove(self.temporary)
        with contextlib.suppress(OSError):  # without a temporary it is a rest: the next download removes it
            self.remove_journal()

    def beside(self, suffix: str) -> str:
        """Return the name of a small file that is there for a moment; it is as random as the temporary's."""
        return f"{self.temporary.removesuffix('part')}{suffix}"


def remove_rest(folder: Folder, name: str) -> None:
    """Remove the journal for *name* if it makes no sense or its temporary is gone.

    Raises:
        FileExistsError: It is only half written, or the temporary not there yet: a download has just begun.
    """
    if not _remove_journal(folder, name, None):
        raise under_way(folder, name)


def _remove_journal(folder: Folder, name: str, temporary: str | None) -> bool:
    """Remove the journal for *name* if it is that of *temporary*, or without one if it is a rest.

    Returns:
        False where somebody has it locked; then it is still there.
    """
    journal = journal_name(name)
    descriptor = open_own(folder, journal, os.O_RDWR)
    if descriptor is None:
        return True
    try:
        if temporary is not None and not _is_of(temporary, journal_in(descriptor)):
            return True  # seen without a lock: one on somebody's claim would look like another download
        if lock(descriptor) is False:
            return False
        is_meant = folder.has(journal, descriptor) and (
            temporary is not None or _is_rest(folder, journal_in(descriptor))
        )
        if is_meant and sys.platform != "win32":
            folder.remove(journal)
    finally:
        unlock(descriptor)
        os.close(descriptor)
    if is_meant and sys.platform == "win32":  # cannot remove what is open
        folder.remove(journal)
    return True


def _is_of(temporary: str, journal: Journal | None) -> bool:
    return journal is not None and journal.temporary == temporary


def under_way(folder: Folder, name: str) -> FileExistsError:
    """Build the error for a final name that another download is about to take."""
    return FileExistsError(errno.EEXIST, "another download of it is under way", str(Path(folder.path, name)))


def _is_rest(folder: Folder, journal: Journal | None) -> bool:
    temporary = None if journal is None else open_own(folder, journal.temporary, os.O_RDWR)
    if temporary is not None:
        os.close(temporary)
    return temporary is None


def _write_new(folder: Folder, name: str, journal: Journal) -> int:
    """Write *journal* into a new file; return its descriptor. Raises OSError, and then leaves none."""
    descriptor = folder.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        text = written(journal)
        if os.write(descriptor, text) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    except BaseException:
        os.close(descriptor)
        folder.remove(name)
        raise
    return descriptor
