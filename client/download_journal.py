"""The journal of a download: a small JSON file beside the temporary, found by the final name.

It is there before the temporary is, so that whatever a process leaves behind that was killed, the next download to the
same name finds it: to go on with, or to remove.

The law of the room: what is read may be cut short or of another version, and is checked; and whatever a journal says,
it can name no file but a temporary.
"""

from __future__ import annotations

import json
import os
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from client.download_folder import is_private, open_own
from client.download_plan import Version

if TYPE_CHECKING:
    from client.download_folder import Folder

__all__ = ["Journal", "claim_of", "journal_in", "journal_name", "new_temporary", "read_journal", "written"]

LARGEST: Final = 1 << 20  # bytes: of some twenty thousand parts

_TEMPORARY: Final = re.compile(r"\.threadwire-[0-9a-f-]+\.part")
#: What ``If-Range`` can carry; anything else would fail every download of that name from then on. A claim has none.
_VALIDATOR: Final = re.compile(r"(?:[\x21-\x7e\x80-\xff](?:[\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")


class Journal(NamedTuple):
    """What is known of a download that did not end.

    Attributes:
        url: SHA-256 of the URL in hex: the URL itself may hold a secret. Empty if nothing can be gone on with.
        temporary: Name of the temporary.
        size: Of the whole file in bytes, None if unknown.
        validator, etag, modified: Of the version that the parts on disk belong to; see `client.download_plan.Version`.
        parts: (start, position, stop) of each part; stop is None if the size is unknown.
    """

    url: str
    temporary: str
    size: int | None
    validator: str
    parts: list[tuple[int, int, int | None]]
    etag: str | None = None
    modified: str | None = None

    @property
    def version(self) -> Version:
        """The version that the parts on disk belong to."""
        return Version(self.validator, self.etag, self.modified)


def claim_of(temporary: str) -> Journal:
    """Return a journal that only says whose the temporary is."""
    return Journal("", temporary, None, "", [(0, 0, None)])


def new_temporary(receipt: str | None) -> str:
    """Return a name that nobody can have made before: 128 random bits; it begins as *receipt* does."""
    return f"{(receipt or '.threadwire').removesuffix('.done')}-{os.urandom(16).hex()}.part"


def journal_name(name: str) -> str:
    """Return the name of the journal for the final *name*: of one length, whatever that is."""
    return f".threadwire-{sha256(os.fsencode(name)).hexdigest()[:32]}.json"


def written(journal: Journal) -> bytes:
    """Return *journal* as it stands in its file."""
    return json.dumps(journal._asdict()).encode()


def read_journal(folder: Folder, name: str) -> Journal | None:
    """Return the journal of that name; None if there is none of ours that can be read and makes sense."""
    try:
        descriptor = open_own(folder, name, os.O_RDONLY)
    except OSError:
        return None
    if descriptor is None:
        return None
    try:
        return journal_in(descriptor)
    finally:
        os.close(descriptor)


def journal_in(descriptor: int) -> Journal | None:
    """Return the journal in the open file, which was not read yet; None if it makes no sense."""
    if not is_private(descriptor):
        return None
    try:
        journal = Journal(**json.loads(os.read(descriptor, LARGEST)))
        return journal if _is_sane(journal) else None
    except (TypeError, ValueError, RecursionError):  # cut short, or written by another version
        return None


def _is_sane(journal: Journal) -> bool:
    """Say whether *journal* names a temporary, and its parts lie one behind the other, inside the file."""
    if not all(isinstance(text, str) for text in (journal.url, journal.temporary, journal.validator)):
        return False
    if not all(isinstance(text, str | None) for text in (journal.etag, journal.modified)):
        return False
    if not _TEMPORARY.fullmatch(journal.temporary) or not journal.parts:
        return False
    if not _VALIDATOR.fullmatch(journal.validator) or bool(journal.url) is not bool(journal.validator):
        return False
    if type(journal.size) not in (int, type(None)):
        return False
    end: int | None = 0
    for start, position, stop in journal.parts:
        if type(start) is not int or type(position) is not int or start != end or position < start:
            return False
        if stop is not None and (type(stop) is not int or stop < position):
            return False
        end = stop
    return end == journal.size
