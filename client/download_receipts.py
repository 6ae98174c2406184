"""Receipts: how the second run of a download finds out that the first one had ended.

An executor that gives the work of a dead worker to another one may run a job again whose file has its final name by
then.  To tell that file from one that was there before, a run leaves a receipt in the same folder: a second name (hard
link) of the very same file, made before the final name.  Whoever runs the job again and meets a file of that name,
takes it for its own only if the receipt is the same file.

Where a file system has no hard links, there are no receipts, and such a job ends in FileExistsError.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from client.download_results import Download

if TYPE_CHECKING:
    from collections.abc import Iterable

    from client.session import Session

__all__ = ["download_once", "receipt_name", "remove_receipts"]


def receipt_name(run: str) -> str:
    """Return a name for the receipt of one job of *run*, a word of 16 hex digits that nobody else has."""
    return f".threadwire-{run}-{os.urandom(8).hex()}.done"


def download_once(session: Session, receipt: str | None = None, **arguments: Any) -> Download:
    """Call `Session.download`, or return what an earlier run of the same job came to.

    Args:
        session: To download with.
        receipt: Of this job, for all its runs; None if there can be but one.
        arguments: For `Session.download`, whose errors are raised.
    """
    started = monotonic()
    try:
        return session.download(**{**arguments, "_receipt": receipt})
    except FileExistsError as error:
        if receipt is None or not _is_ours(error.filename, receipt):
            raise
        path = Path(error.filename)
    digest = None
    if arguments.get("checksum") is not None:  # compared by the first run, before the file had its name
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = path.stat().st_size
    return Download(path, size, monotonic() - started, digest, parts=0, resumed_from=size, validator=None)


def remove_receipts(run: str, folders: Iterable[str]) -> None:
    """Remove from *folders* what *run* has left there: receipts, and temporaries of workers that died.

    A temporary stays where a journal names it: the next download goes on with it. What cannot be removed stays, too.
    """
    for folder in map(Path, folders):
        left = [*folder.glob(f".threadwire-{run}-*.done"), *folder.glob(f".threadwire-{run}-*.part")]
        journals = [_content_of(journal) for journal in folder.glob(".threadwire-*.json")] if left else []
        for path in left:
            if not any(path.name.encode() in journal for journal in journals):
                try:
                    path.unlink()
                except OSError:
                    pass


def _content_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _is_ours(path: str, receipt: str) -> bool:
    """Say whether the file at *path* is the one that *receipt* is of."""
    try:
        return os.path.samestat(os.lstat(path), os.lstat(Path(path).with_name(receipt)))
    except OSError:
        return False
