"""Many requests on a session's workers, with a bounded look-ahead.

Jobs are drawn from their iterable only as fast as results are taken: at most two jobs a worker are under way or
finished and untaken, so an endless iterable needs constant memory.  The consumer's thread is the only one that
submits.
"""

from __future__ import annotations

from _queue import SimpleQueue
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from client.exceptions import InvalidRequest
from client.request import Request
from client.url import URL

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from client.response import Response
    from client.session import Session
    from client.workers import RequestFuture, WorkerPool

__all__ = ["Job", "as_completed", "in_order"]

#: A URL, a (method, url) pair, a `Request`, or a mapping of `Session.request`'s arguments.
Job: TypeAlias = "str | bytes | URL | tuple[str, str] | Request | Mapping[str, Any]"

#: Jobs under way or waiting to be taken, for each worker.
_LOOK_AHEAD = 2


def in_order(
    session: Session,
    workers: WorkerPool,
    jobs: Iterable[Any],
    on_error: Literal["raise", "return"],
    arguments: Mapping[str, Any],
) -> Iterator[Response | Exception]:
    """Yield the results of *jobs* in their order; see `Session.map`."""
    _check(on_error, arguments)
    return _in_order(_Source(session, workers, jobs, arguments), workers, on_error)


def as_completed(
    session: Session,
    workers: WorkerPool,
    jobs: Iterable[Any],
    on_error: Literal["raise", "return"],
    arguments: Mapping[str, Any],
) -> Iterator[Response | Exception]:
    """Yield the results of *jobs* as they come; see `Session.as_completed`."""
    _check(on_error, arguments)
    return _as_completed(_Source(session, workers, jobs, arguments), workers, on_error)


def _check(on_error: str, arguments: Mapping[str, Any]) -> None:
    if on_error not in ("raise", "return"):
        raise InvalidRequest(f"on_error={on_error!r}: expected 'raise' or 'return'")
    if arguments.get("stream"):
        raise InvalidRequest("stream=True with many requests: unread responses would hold every connection")


class _Source:
    """Turns jobs into futures, one at a time."""

    def __init__(
        self, session: Session, workers: WorkerPool, jobs: Iterable[Any], arguments: Mapping[str, Any]
    ) -> None:
        self._session = session
        self._workers = workers
        self._jobs = iter(jobs)
        self._arguments = arguments
        self.limit = _LOOK_AHEAD * workers.size

    def start_next(self) -> RequestFuture[Response] | None:
        """Submit the next job; None if there is none left."""
        for job in self._jobs:
            return self._workers.submit(_call_of(self._session, job, self._arguments))
        return None


def _call_of(session: Session, job: Any, arguments: Mapping[str, Any]) -> Callable[[Any], Response]:
    """Return the function that does *job* on a worker."""
    given = _arguments_of(job)
    _check("return", given)
    return lambda token: session.request(**{**arguments, **given, "_cancel": token})


def _arguments_of(job: Any) -> dict[str, Any]:
    """Return *job* as arguments of `Session.request`.

    Raises:
        InvalidRequest: It has none of the forms.
    """
    if isinstance(job, (str, bytes, URL)):
        return {"method": "GET", "url": job}
    if isinstance(job, Request):
        return {
            name: value
            for name in _REQUEST_PARTS
            # An empty document is one: json={} is sent. Of the others, Request makes what was not given empty.
            if (value := getattr(job, name)) or (name == "json" and value is not None)
        }
    if isinstance(job, tuple) and len(job) == 2:
        return {"method": job[0], "url": job[1]}
    if isinstance(job, dict):
        return {"method": "GET", **job}
    raise InvalidRequest(
        f"a job must be a URL, a (method, url) pair, a Request or a dict of arguments, not {type(job).__name__}"
    )


_REQUEST_PARTS = (
    "method", "url", "headers", "files", "data", "params", "auth", "cookies", "hooks", "json", "trailers",
)  # fmt: skip


def _in_order(
    source: _Source, workers: WorkerPool, on_error: Literal["raise", "return"]
) -> Generator[Response | Exception, None, None]:
    workers.refuse_own_worker()
    pending: deque[RequestFuture[Response]] = deque()
    try:
        while True:
            while len(pending) < source.limit and (future := source.start_next()) is not None:
                pending.append(future)
            if not pending:
                return
            future = pending[0]  # which stays among them for as long as it is waited for
            future.wait()
            pending.popleft()
            try:
                yield _result(future, on_error)
            finally:
                del future  # nothing here keeps a response that the consumer has let go
    finally:
        _stop(pending)


def _as_completed(
    source: _Source, workers: WorkerPool, on_error: Literal["raise", "return"]
) -> Generator[Response | Exception, None, None]:
    workers.refuse_own_worker()
    pending: set[RequestFuture[Response]] = set()
    done: SimpleQueue[Any] = SimpleQueue()
    try:
        while True:
            while len(pending) < source.limit and (future := source.start_next()) is not None:
                pending.add(future)
                future.add_done_callback(done.put)
            if not pending:
                return
            future = done.get()
            pending.discard(future)
            try:
                yield _result(future, on_error)
            finally:
                del future
    finally:
        _stop(pending)


def _result(future: RequestFuture[Response], on_error: Literal["raise", "return"]) -> Response | Exception:
    if on_error == "raise":
        return future.result()
    try:
        return future.result()
    except Exception as error:
        return error


def _stop(pending: Iterable[RequestFuture[Response]]) -> None:
    """Cancel what the consumer will not take any more."""
    for future in pending:
        future.cancel()
