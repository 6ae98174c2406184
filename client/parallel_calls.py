"""`ParallelCalls`: a session's calls for many requests at once.

What they do is in `client.parallel`, which is loaded with the first of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Executor
    from typing import Literal, Unpack

    from client.arguments import MapArguments
    from client.jobs import Job
    from client.progress import Progress
    from client.response import Response

__all__ = ["ParallelCalls"]


class ParallelCalls:
    """The part of a session that keeps all its workers busy; see `client.session.Session`."""

    @overload
    def map(
        self,
        jobs: Iterable[Job],
        *,
        executor: Executor | None = None,
        on_error: Literal["raise"] = "raise",
        per_host: int | None = None,
        rate: str | None = None,
        progress: Progress = None,
        **arguments: Unpack[MapArguments],
    ) -> Iterator[Response]: ...

    @overload
    def map(
        self,
        jobs: Iterable[Job],
        *,
        executor: Executor | None = None,
        on_error: Literal["return"],
        per_host: int | None = None,
        rate: str | None = None,
        progress: Progress = None,
        **arguments: Unpack[MapArguments],
    ) -> Iterator[Response | Exception]: ...

    def map(
        self,
        jobs: Iterable[Job],
        *,
        executor: Executor | None = None,
        on_error: Literal["raise", "return"] = "raise",
        per_host: int | None = None,
        rate: str | None = None,
        progress: Progress = None,
        **arguments: Unpack[MapArguments],
    ) -> Iterator[Response | Exception]:
        """Send many requests on the workers; yield the responses in the order of *jobs*.

        Args:
            jobs: URLs, (method, url) pairs, `Request` objects, or dicts of `Session.request`'s arguments; any
                iterable, also an endless one: it is read at most three jobs a worker ahead, two with *executor*.
            executor: Carries the requests out in place of this session's workers: any
                `concurrent.futures.Executor`. Threads use this session; other processes one each of equal settings,
                and what they are given must be picklable. See ``docs/scale.md``.
            on_error: ``"raise"``: the first failed job ends it with its error, in its place. ``"return"``: the
                error itself stands in the job's place, its ``request`` attached.
            per_host: Most requests at a time to one host. Jobs that wait for theirs let others pass, and up to 32
                of them for each worker are read ahead.
            rate: Most requests that begin in a time, evenly spread: ``"100/s"``, ``"30/m"`` or ``"1000/h"``.
            progress: Called on this thread with (jobs done, jobs in all or None); what it raises ends all. Or True, for
                a bar where standard error is a terminal.
            arguments: For every job, under its own.

        Raises:
            InvalidRequest: An argument makes no sense. ``stream=True`` is one: a response that waits unread would
                hold a connection that the others need; in *arguments*, a file or an iterator, which the first job
                would use up. Also: what has to travel to another process cannot be pickled.
            RuntimeError: Consumed on one of this session's own workers.
            SessionClosed: The session was closed meanwhile, and did the work: after the jobs that had begun, also with
                ``on_error="return"``.
            TypeError: As `Session.submit`.
            WorkerLost: The executor lost a job, or takes no more.
            RequestException: What a job raised.
        """
        from client.parallel import results_of

        return results_of(self, jobs, executor, on_error, per_host, rate, progress, arguments, ordered=True)  # type: ignore[arg-type]  # part of it

    @overload
    def as_completed(
        self,
        jobs: Iterable[Job],
        *,
        executor: Executor | None = None,
        on_error: Literal["raise"] = "raise",
        per_host: int | None = None,
        rate: str | None = None,
        progress: Progress = None,
        **arguments: Unpack[MapArguments],
    ) -> Iterator[Response]: ...

    @overload
    def as_completed(
        self,
        jobs: Iterable[Job],
        *,
        executor: Executor | None = None,
        on_error: Literal["return"],
        per_host: int | None = None,
        rate: str | None = None,
        progress: Progress = None,
        **arguments: Unpack[MapArguments],
    ) -> Iterator[Response | Exception]: ...

    def as_completed(
        self,
        jobs: Iterable[Job],
        *,
        executor: Executor | None = None,
        on_error: Literal["raise", "return"] = "raise",
        per_host: int | None = None,
        rate: str | None = None,
        progress: Progress = None,
        **arguments: Unpack[MapArguments],
    ) -> Iterator[Response | Exception]:
        """Send many requests on the workers; yield the responses as they come. Otherwise as `map`."""
        from client.parallel import results_of

        return results_of(self, jobs, executor, on_error, per_host, rate, progress, arguments, ordered=False)  # type: ignore[arg-type]  # as above
