"""What `Session.download` and `Session.download_many` return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Download", "DownloadResults", "FailedDownload"]


class Download(NamedTuple):
    """A file that is on disk, whole.

    Attributes:
        path: Where it is; from the root on, if another process or an executor's thread made it.
        bytes: Its size.
        seconds: From the first request until it had its name.
        sha256: In hex, computed from what is on disk; None unless ``checksum=`` asked for it.
        parts: How many parts it was fetched in.
        resumed_from: Bytes that an earlier, broken download had left and that were not fetched again.
        validator: Strong ETag or Last-Modified of this version of the file, None if the server gave none.
    """

    path: Path
    bytes: int
    seconds: float
    sha256: str | None
    parts: int
    resumed_from: int
    validator: str | None


class FailedDownload(NamedTuple):
    """A job of `Session.download_many` that failed; itself a job, to try it again.

    Attributes:
        url, path: Of the job.
        error: What it raised.
        job: Its arguments.
    """

    url: Any
    path: Any
    error: BaseException
    job: Mapping[str, Any]

    def __repr__(self) -> str:
        """Show what went wrong with which file; the URL and the arguments may hold credentials."""
        return f"<FailedDownload {str(self.path)!r}: {self.error!r}>"


class DownloadResults:
    """What became of the jobs of `Session.download_many`.

    Attributes:
        done: One `Download` for each file that is there, in the order in which they were completed.
        failed: One `FailedDownload` for each other job; ``session.download_many(results.failed)`` tries these again.
    """

    __slots__ = ("done", "failed")

    def __init__(self) -> None:
        """Start with no result."""
        self.done: list[Download] = []
        self.failed: list[FailedDownload] = []

    def __repr__(self) -> str:
        """Show the two counts."""
        return f"<DownloadResults done={len(self.done)} failed={len(self.failed)}>"
