"""Many requests on a session's workers, with a bounded look-ahead.

Jobs are drawn from their iterable only as fast as results are taken: at most two jobs a worker are under way or
finished and untaken, so an endless iterable needs constant memory.  The consumer's thread is the only one that
submits.
"""

from __future__ import annotations

import re
from _queue import SimpleQueue
from _thread import allocate_lock
from collections import deque
from collections.abc import Sized
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from client.exceptions import InvalidRequest
from client.progress import Row, shown
from client.request import Request
from client.url import URL, parse_url

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

    from client.progress import Progress
    from client.response import Response
    from client.session import Session
    from client.transport.cancel import CancelToken
    from client.workers import RequestFuture

__all__ = ["Job", "as_completed", "in_order"]

#: A URL, a (method, url) pair, a `Request`, or a mapping of `Session.request`'s arguments.
Job: TypeAlias = "str | bytes | URL | tuple[str, str] | Request | Mapping[str, Any]"

#: Jobs under way or waiting to be taken, for each worker.
_LOOK_AHEAD: Final = 2
#: Jobs that are held back because their host is busy, for each worker.
_HELD: Final = 32
#: Least seconds between two lines of a progress display.
_PROGRESS_SECONDS: Final = 0.1

_RATE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)/([smh])")
_SECONDS_OF: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}


def in_order(
    session: Session,
    jobs: Iterable[Any],
    on_error: Literal["raise", "return"],
    per_host: int | None,
    rate: str | None,
    progress: Progress,
    arguments: Mapping[str, Any],
) -> Iterator[Response | Exception]:
    """Yield the results of *jobs* in their order; see `Session.map`."""
    _check(on_error, arguments)
    return _results(_Source(session, jobs, per_host, rate, arguments), on_error, progress, ordered=True)


def as_completed(
    session: Session,
    jobs: Iterable[Any],
    on_error: Literal["raise", "return"],
    per_host: int | None,
    rate: str | None,
    progress: Progress,
    arguments: Mapping[str, Any],
) -> Iterator[Response | Exception]:
    """Yield the results of *jobs* as they come; see `Session.as_completed`."""
    _check(on_error, arguments)
    return _results(_Source(session, jobs, per_host, rate, arguments), on_error, progress, ordered=False)


def _check(on_error: str, arguments: Mapping[str, Any]) -> None:
    if on_error not in ("raise", "return"):
        raise InvalidRequest(f"on_error={on_error!r}: expected 'raise' or 'return'")
    if arguments.get("stream"):
        raise InvalidRequest("stream=True with many requests: unread responses would hold every connection")


class _Entry:
    """A job on its way: held back while `future` is None."""

    __slots__ = ("arguments", "future", "host")

    def __init__(self, arguments: dict[str, Any], host: str | None) -> None:
        self.arguments = arguments
        self.host = host
        self.future: RequestFuture[Response] | None = None


class _Pacer:
    """Spreads beginnings evenly over time, for all workers together."""

    def __init__(self, rate: Any) -> None:
        found = _RATE.fullmatch(rate) if isinstance(rate, str) else None
        if found is None or not float(found[1]):
            raise InvalidRequest(f'rate={rate!r}: expected a number and a unit of time, such as "100/s"')
        self._interval = _SECONDS_OF[found[2]] / float(found[1])
        self._lock = allocate_lock()
        self._next = 0.0

    def wait(self, token: CancelToken) -> None:
        """Return when the next request is due, or raise what *token* was cancelled with."""
        now = monotonic()
        with self._lock:
            due = max(now, self._next)
            self._next = due + self._interval
        if due > now:
            token.sleep(due - now)


class _Source:
    """Turns jobs into futures, as the limits allow; used by the consumer's thread alone.

    Attributes:
        total: Jobs in all, None if nobody knows.
        pending: Jobs whose results were not taken yet, in their order.
        done: Those that are known to be done, in the order in which they were.
    """

    def __init__(
        self,
        session: Session,
        jobs: Iterable[Any],
        per_host: int | None,
        rate: str | None,
        arguments: Mapping[str, Any],
    ) -> None:
        if per_host is not None and (type(per_host) is not int or per_host < 1):
            raise InvalidRequest(f"per_host={per_host!r}: expected a number of requests, at least 1")
        self.total = len(jobs) if isinstance(jobs, Sized) else None
        self._session = session
        self._workers = session._pool()
        self._jobs = iter(jobs)
        self._arguments = arguments
        self._per_host = per_host
        self._pacer = None if rate is None else _Pacer(rate)
        self._busy: dict[str | None, int] = {}
        self._held: dict[str | None, deque[_Entry]] = {}
        self._held_count = 0
        self._news: SimpleQueue[_Entry] = SimpleQueue()
        self.pending: deque[_Entry] = deque()
        self.done: deque[_Entry] = deque()

    def refuse_own_worker(self) -> None:
        """Raise RuntimeError on one of the workers that would do the jobs."""
        self._workers.refuse_own_worker()

    def fill(self) -> None:
        """Hear what is done, then draw and submit jobs until enough are under way, or none are left."""
        while not self._news.empty():
            self.done.append(self._hear())
        size = self._workers.size
        while len(self.pending) - self._held_count < _LOOK_AHEAD * size and self._held_count < _HELD * size:
            for job in self._jobs:
                given = _arguments_of(job)
                _check("return", given)
                break
            else:
                return
            merged = {**self._arguments, **given, "stream": False}  # whatever the session's own default is
            entry = _Entry(merged, None if self._per_host is None else self._host_of(merged["url"]))
            self.pending.append(entry)
            if self._per_host is not None and self._busy.get(entry.host, 0) >= self._per_host:
                self._held.setdefault(entry.host, deque()).append(entry)
                self._held_count += 1
            else:
                self._start(entry)

    def next_done(self) -> _Entry:
        """Return a job that is done, waiting for it if need be."""
        return self.done.popleft() if self.done else self._hear()

    def _hear(self) -> _Entry:
        """Wait until a job is done, and let the next one of its host begin."""
        entry = self._news.get()
        if self._per_host is not None:
            waiting = self._held.get(entry.host)
            self._busy[entry.host] -= 1
            if waiting:
                self._held_count -= 1
                self._start(waiting.popleft())
            elif not self._busy[entry.host]:  # endless jobs may have endless hosts
                del self._busy[entry.host]
                self._held.pop(entry.host, None)
        return entry

    def stop(self) -> None:
        """Cancel what nobody will take any more."""
        for entry in self.pending:
            if entry.future is not None:
                entry.future.cancel()

    def _start(self, entry: _Entry) -> None:
        self._busy[entry.host] = self._busy.get(entry.host, 0) + 1
        session, pacer, arguments = self._session, self._pacer, entry.arguments

        def call(token: CancelToken) -> Response:
            if pacer is not None:
                pacer.wait(token)
            return session.request(**arguments, _cancel=token)

        entry.future = self._workers.submit(call)
        news = self._news
        entry.future.add_done_callback(lambda _: news.put(entry))

    def _host_of(self, url: Any) -> str | None:
        """Return the host that *url* leads to; None, which has a limit of its own, if it leads nowhere."""
        try:
            return str(parse_url(url).host)
        except InvalidRequest:
            base: Any = self._session.base_url
            return None if base is None else base.host


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


def _results(
    source: _Source, on_error: Literal["raise", "return"], progress: Progress, *, ordered: bool
) -> Generator[Response | Exception, None, None]:
    """Yield results: each as it is done, or in the order of the jobs."""
    source.refuse_own_worker()
    done = 0
    try:
        with shown(progress) as show:
            shown_at = 0.0
            while True:
                source.fill()
                if not source.pending:
                    break
                if ordered:
                    entry = source.pending[0]
                    source.done.clear()
                    while entry.future is None or not entry.future.done():
                        source.next_done()  # perhaps another one, which stays until it is its turn
                else:
                    entry = source.next_done()
                source.pending.remove(entry)
                done += 1
                if show is not None and (callable(progress) or monotonic() - shown_at >= _PROGRESS_SECONDS):
                    shown_at = monotonic()
                    show(Row("requests", done, source.total, "requests"), ())
                future, entry.future = entry.future, None  # nothing here keeps a response
                assert future is not None
                try:
                    yield _result(future, on_error)
                finally:
                    del future  # that the consumer has let go
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(f"{done} requests done, {len(source.pending)} stopped")
        raise
    finally:
        source.stop()


def _result(future: RequestFuture[Response], on_error: Literal["raise", "return"]) -> Response | Exception:
    if on_error == "raise":
        return future.result()
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001  # the caller asked for it in the place of the result
        return error
