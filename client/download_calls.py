"""`Downloads`: the calls of a session that end in files.

What they do is in `client.downloads`, which is loaded with the first of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from concurrent.futures import Executor
    from typing import Unpack

    from client.download_arguments import DownloadArguments, DownloadJob
    from client.download_results import Download, DownloadResults
    from client.progress import Progress
    from client.url import URL

__all__ = ["Downloads"]


class Downloads:
    """The part of a session that saves what it fetches; see `client.session.Session`."""

    def download(
        self,
        url: str | bytes | URL,
        path: str | os.PathLike[str],
        *,
        progress: Progress = None,
        **arguments: Unpack[DownloadArguments],
    ) -> Download:
        """Save what *url* answers, in parts side by side where that pays; the file is there whole or not at all.

        Args:
            url: As `Session.request`.
            path: Of the file; of a folder to have it named by Content-Disposition or the URL, cleaned.
            progress: Called on this thread with (bytes on disk, bytes in all or None), ten times a second; what it
                raises ends all. Or True, for a bar where standard error is a terminal.
            arguments: See `client.download_arguments.DownloadArguments`.

        Raises:
            InvalidRequest: An argument makes no sense.
            FileExistsError: The name is taken; with ``overwrite=True``, by something that is no file.
            HTTPError: The answer was 4xx or 5xx.
            ChecksumMismatch, BodyTooLarge, DownloadError: The file is another one, too large, or changes all the time.
            OSError: The disk is full, or anything else that it says.
            RequestException: As `Session.request`. What had come stays for the next call to go on with, if the server
                tells this version of the file from others (RFC 9110 section 13.1.5) and ``resume`` is true.
            RuntimeError: Called on one of this session's own workers.
            TypeError: As `Session.submit`; or there is no such argument.
        """
        from client.downloads import download

        return download(self, progress, {"url": url, "path": path, **arguments})  # type: ignore[arg-type]  # part of it

    def download_many(
        self,
        jobs: Iterable[DownloadJob],
        *,
        executor: Executor | None = None,
        progress: Progress = None,
        **arguments: Unpack[DownloadArguments],
    ) -> DownloadResults:
        """Save many files side by side.

        Args:
            jobs: (url, path) pairs, dicts of `download`'s arguments, or ``failed`` of an earlier result; any iterable.
            executor: Carries the jobs out, one whole file each, in place of this session's workers: any
                `concurrent.futures.Executor`. Its workers must see the same folders. See ``docs/scale.md``.
            progress: As `download`, of all files that have begun; with an executor, of those that are done.
            arguments: For every job, under its own.

        Returns:
            What is ``done`` and what ``failed``. Ctrl-C stops all; its note says how far the work had come.

        Raises:
            InvalidRequest: What stands in *jobs* is no job, or *jobs* is a single one. What has to travel to another
                process cannot be pickled.
            SessionClosed: The session was closed meanwhile, and did the work; what other processes do goes on.
            WorkerLost: The executor takes no more, and there are more jobs of an iterable without a length. The rest of
                jobs that have one is in ``failed``.
            RuntimeError, TypeError: As `download`.
        """
        from client.downloads import download_many

        return download_many(self, jobs, executor, progress, arguments)  # type: ignore[arg-type]  # as above
