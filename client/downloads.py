"""`Session.download` and `Session.download_many`: files in parts, on the session's workers, whole or not at all.

The law of the room: the caller's thread decides and submits, workers fetch, and no worker ever waits for another.
Parts of files that have begun go before new files, so that few are open at a time.  Whatever ends a download, all its
workers have let go before its folder is put in order.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sized
from concurrent.futures import CancelledError
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from client.download_arguments import arguments_of, check_arguments
from client.download_plan import StartAgain
from client.download_results import Download, DownloadResults, FailedDownload
from client.download_task import DownloadTask
from client.exceptions import ForkError, InvalidRequest, RequestException, SessionClosed, TotalTimeout
from client.jobs import attach_request, several
from client.progress import Row, shown
from client.timeouts import Deadline
from client.workers import beyond_ctrl_c, refuse_unstoppable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    from client.download_arguments import DownloadJob
    from client.download_plan import Part
    from client.progress import Progress
    from client.session import Session
    from client.transport.cancel import CancelToken
    from client.workers import RequestFuture

__all__ = ["download", "download_many"]

#: Seconds between two calls of a progress callback, and that workers get to let go when the caller is interrupted.
PROGRESS_SECONDS: Final = 0.1
PATIENCE: Final = 5.0

#: Parts and files under way or queued, for each worker: enough that none of them waits for the caller's thread.
LOOK_AHEAD: Final = 2


def download(session: Session, progress: Progress, arguments: Mapping[str, Any]) -> Download:
    """Fetch one file; see `Session.download`."""
    refuse_unstoppable(session)
    session._pool().refuse_own_worker()
    arguments = dict(arguments)
    token: CancelToken | None = arguments.pop("_cancel", None)
    check_arguments(arguments)
    news: SimpleQueue[Any] = SimpleQueue()
    task = DownloadTask(session, _announcer(news), **arguments)
    with shown(progress) as show, _stopped_by(token, news):

        def report() -> None:
            if show is not None:
                show(_row(task), ())

        coordinator = _Coordinator(session, news, iter((task,)), show and report, Deadline(task.limits))
        try:
            with closing(coordinator.results()) as results:
                for _, error in results:
                    if error is not None:
                        raise error
        except TotalTimeout:
            if not task.is_done:  # the file may have got its name in that very moment
                raise
    return _finished(task)


def download_many(
    session: Session,
    jobs: Iterable[DownloadJob],
    executor: Executor | None,
    progress: Progress,
    arguments: Mapping[str, Any],
) -> DownloadResults:
    """Fetch many files; see `Session.download_many`."""
    refuse_unstoppable(session)
    session._pool().refuse_own_worker()
    if isinstance(jobs, FailedDownload):
        raise InvalidRequest("jobs= must be an iterable of jobs, not one FailedDownload; it goes into a list")
    jobs = several(jobs)
    check_arguments(arguments)
    if executor is not None:
        return _download_elsewhere(session, jobs, executor, progress, arguments)
    news: SimpleQueue[Any] = SimpleQueue()
    results = DownloadResults()
    under_way: dict[DownloadTask, Mapping[str, Any]] = {}

    def tasks() -> Iterator[DownloadTask]:
        for job in _sensible(jobs, arguments, results):
            try:
                task = DownloadTask(session, _announcer(news), **job)
            except Exception as error:  # noqa: BLE001  # as in `_sensible`
                _note_failure(results, job, error)
            else:
                under_way[task] = job
                yield task

    so_far = partial(_so_far, results)
    with shown(progress) as show:

        def report() -> None:
            if show is not None:
                show(_sum(results, under_way, so_far()), list(map(_row, under_way)))

        coordinator = _Coordinator(session, news, tasks(), show and report)
        with closing(coordinator.results(so_far)) as ends:  # an error raised in here stops the workers, too
            for task, error in ends:
                job = under_way.pop(task)
                if error is None:
                    results.done.append(_finished(task))
                elif isinstance(error, SessionClosed):
                    raise error
                else:
                    _note_failure(results, job, error)
    return results


def _download_elsewhere(
    session: Session,
    jobs: Iterable[DownloadJob],
    executor: Executor,
    progress: Progress,
    arguments: Mapping[str, Any],
) -> DownloadResults:
    from client.download_errands import run_downloads

    results = DownloadResults()

    def finished(job: Mapping[str, Any], outcome: Download | Exception) -> None:
        if isinstance(outcome, Exception):
            _note_failure(results, job, outcome)
        else:
            results.done.append(outcome)

    sensible, has_end = _sensible(jobs, arguments, results), isinstance(jobs, Sized)
    run_downloads(
        session, executor, sensible, has_end, arguments, progress, finished, partial(_so_far, results)
    )
    return results


def _sensible(
    jobs: Iterable[DownloadJob], arguments: Mapping[str, Any], results: DownloadResults
) -> Iterator[Mapping[str, Any]]:
    """Yield the arguments of each job, *arguments* among them; note in *results* what makes no sense."""
    for job in jobs:
        merged = {**arguments, **arguments_of(job)}
        try:
            check_arguments(merged)
        except Exception as error:  # noqa: BLE001  # what is wrong with one job's arguments is its failure
            attach_request(error, {"url": merged["url"]})
            _note_failure(results, merged, error)
        else:
            yield merged


def _note_failure(results: DownloadResults, job: Mapping[str, Any], error: BaseException) -> None:
    results.failed.append(FailedDownload(job["url"], job["path"], error, job))


def _so_far(results: DownloadResults) -> str:
    return f"{len(results.done)} done, {len(results.failed)} failed"


def _row(task: DownloadTask) -> Row:
    return Row(Path(task.path or "").name or "download", task.received, task.size)


def _sum(results: DownloadResults, under_way: Iterable[DownloadTask], title: str) -> Row:
    done = sum(one.bytes for one in results.done)
    sizes = [task.size for task in under_way]
    total = None if None in sizes else done + sum(size or 0 for size in sizes)
    return Row(title, done + sum(task.received for task in under_way), total)


def _announcer(news: SimpleQueue[Any]) -> Callable[[DownloadTask, list[Part]], None]:
    return lambda task, parts: news.put((task, parts))


class _Doorbell:
    """Wakes the thread that hears the news; see `client.transport.cancel.Abortable`."""

    def __init__(self, news: SimpleQueue[Any]) -> None:
        self._news = news

    def abort(self, error: BaseException) -> None:
        self._news.put((None, error))


@contextmanager
def _stopped_by(token: CancelToken | None, news: SimpleQueue[Any]) -> Iterator[None]:
    """Have *token*, if there is one, end what goes on in the block: whoever hears *news* hears its error."""
    if token is not None:
        token.attach(_Doorbell(news))
    try:
        yield
    finally:
        if token is not None:
            token.detach()


def _finished(task: DownloadTask) -> Download:
    return Download(
        path=Path(task.path or ""),
        bytes=task.size or 0,
        seconds=task.seconds,
        sha256=task.sha256,
        parts=len(task.parts),
        resumed_from=task.resumed_from,
        validator=task.version.validator,
    )


class _Coordinator:
    """Feeds the workers and hears what they say; runs on the caller's thread.

    Args:
        session: Whose workers do the work.
        news: Where workers announce parts, as (task, parts), and where ends arrive, as (task, future); an order to
            stop, as (None, error).
        tasks: The files, drawn as room becomes free.
        report: Called now and then.
        deadline: Of all of it; the workers may be busy with other work.
    """

    def __init__(
        self,
        session: Session,
        news: SimpleQueue[Any],
        tasks: Iterator[DownloadTask],
        report: Callable[[], object] | None,
        deadline: Deadline | None = None,
    ) -> None:
        self._session = session
        self._news = news
        self._tasks = tasks
        self._report = report
        self._report_at = 0.0
        self._deadline = deadline
        self._limit = LOOK_AHEAD * session._pool().size
        self._waiting: deque[tuple[DownloadTask, Part | None]] = deque()  # None: `DownloadTask.first`
        self._running: dict[DownloadTask, set[RequestFuture[None]]] = {}
        self._failures: dict[DownloadTask, BaseException] = {}
        self._busy = 0
        self._process = os.getpid()

    def results(
        self, so_far: Callable[[], str] | None = None
    ) -> Generator[tuple[DownloadTask, BaseException | None], None, None]:
        """Yield each task with its error, None if it is done, as they end.

        Whatever ends this early, Ctrl-C above all, stops the workers; a note on it says how far the work had come.
        """
        try:
            while True:
                self._fill()
                if not self._running:
                    return
                task, what = self._wait()
                if task is None:
                    raise what
                if isinstance(what, list):
                    if task not in self._failures:
                        self._waiting.extend((task, part) for part in what)
                elif self._has_ended(task, what):
                    error = self._settled(task)
                    if error is None and not task.is_done:
                        self._waiting.append((task, None))
                        continue
                    del self._running[task]
                    yield task, error
        except BaseException as error:
            self._stop()
            if isinstance(error, KeyboardInterrupt):
                under_way = sum(task.received for task in self._running)
                parts = [] if so_far is None else [so_far()]
                error.add_note("; ".join([*parts, f"stopped after {under_way} bytes of what was under way"]))
            raise
        finally:
            if self._report is not None and not self._running:
                self._report()

    def _fill(self) -> None:
        """Give the workers what there is to do."""
        while self._busy < self._limit:
            if self._waiting:
                task, part = self._waiting.popleft()
            elif (new := next(self._tasks, None)) is not None:
                task, part = new, None
            else:
                return
            self._submit(task, part)

    def _submit(self, task: DownloadTask, part: Part | None) -> None:
        running = self._running.setdefault(task, set())

        def work(token: CancelToken) -> None:
            if part is None:
                task.first(token)
            else:
                task.fetch(part, token)

        pool = self._session._pool()
        future = pool.promise()
        running.add(future)  # before it begins: Ctrl-C may come between any two of these lines
        future.add_done_callback(lambda future: self._news.put((task, future)))
        self._busy += 1
        pool.submit(work, future)

    def _wait(self) -> Any:
        """Return the next piece of news; report while there is none.

        Raises:
            TotalTimeout: There was none until the deadline.
            ForkError: This is a child that was forked meanwhile.
        """
        while True:
            if self._report is not None and monotonic() >= self._report_at:
                self._report()
                # From its end on: however long it takes, there is a look at the news between two of them.
                self._report_at = monotonic() + PROGRESS_SECONDS
            if self._process != os.getpid():
                raise ForkError("this download is carried out in the parent process: nobody here will end it")
            # Without reports not for ever either: see `client.executors.Carrier`.
            until = monotonic() + 1.0 if self._report is None else self._report_at
            if self._deadline is not None and self._deadline.expires_at is not None:
                until = min(until, self._deadline.expires_at)
            try:
                return self._news.get(timeout=max(0.0, until - monotonic()))
            except Empty:
                if self._deadline is not None:
                    self._deadline.remaining("total", "total")

    def _has_ended(self, task: DownloadTask, future: RequestFuture[None]) -> bool:
        """Take note that a worker has let go of *task*; say whether it was the last one."""
        self._busy -= 1
        running = self._running[task]
        running.discard(future)
        error = _error_of(future)
        if error is not None and task not in self._failures:
            self._failures[task] = error
            for other in list(running):
                other.cancel()
        if task in self._failures:
            self._waiting = deque(entry for entry in self._waiting if entry[0] is not task)
        return not running and all(entry[0] is not task for entry in self._waiting)

    def _settled(self, task: DownloadTask) -> BaseException | None:
        """Leave the folder of *task* in order; what the disk says about that is the outcome of this file alone."""
        failure = self._failures.pop(task, None)
        try:
            error = task.settle(failure)
        except OSError as said:
            error = said if failure is None or isinstance(failure, StartAgain) else failure
        if isinstance(error, OSError) and not isinstance(error, RequestException):
            given = error.filename
            if given is None or Path(given).name == given:  # a temporary, say, which nobody has heard of
                error.filename = task.path
        return error

    def _stop(self) -> None:
        """Cancel everything; leave each folder in order, here or where the last worker lets go after `PATIENCE`.

        Not by the news: the last piece may have been taken off the queue and not acted on when we were interrupted. And
        not in a forked child: the files that are under way are its parent's.
        """
        if self._process != os.getpid() or not self._running:
            return
        settled: SimpleQueue[DownloadTask] = SimpleQueue()

        def let_go() -> None:
            for running in self._running.values():
                for future in running:
                    future.cancel()
            for task, running in self._running.items():
                self._settle_when_over(task, list(running), settled)

        beyond_ctrl_c(let_go)  # a second Ctrl-C would leave the rest of them as they are
        give_up_at = monotonic() + PATIENCE
        with suppress(Empty):
            for _ in self._running:
                settled.get(timeout=max(0.0, give_up_at - monotonic()))

    def _settle_when_over(
        self, task: DownloadTask, running: list[RequestFuture[None]], settled: SimpleQueue[DownloadTask]
    ) -> None:
        """Leave the folder of *task* in order once all of *running* are over, on the thread that sees it."""
        while running:
            future = running.pop()
            if not future.done():
                future.add_done_callback(lambda _: self._settle_when_over(task, running, settled))
                return
        failure = self._failures.get(task)
        if failure is None or isinstance(failure, StartAgain):
            failure = None if task.is_done else CancelledError()
        with suppress(OSError):  # what the disk says now is less than what stopped us
            task.settle(failure)
        settled.put(task)


def _error_of(future: RequestFuture[None]) -> BaseException | None:
    try:
        error = future.exception()
    except CancelledError as cancelled:
        error = cancelled
    return error
