"""Many requests on a session's workers, or on an executor of the caller's, with a bounded look-ahead.

Jobs are drawn from their iterable only as fast as results are taken: at most three jobs a worker are under way or
finished and untaken, and with ``per_host=`` 32 more held back, so an endless iterable needs constant memory.  The
consumer's thread is the only one that draws them; with ``rate=``, workers hand the next one over (`client.pacing`).
"""

from __future__ import annotations

import atexit
import os
from collections import deque
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal
from weakref import ref

from client.exceptions import ForkError, InvalidRequest, SessionClosed
from client.jobs import attach_request, refuse_read_once, request_arguments, several
from client.pacing import Pacer, Turns
from client.progress import Row, shown
from client.url import parse_url
from client.workers import WorkerTicket, refuse_unstoppable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    from client.exceptions import RequestException
    from client.executors import Carrier, Ticket
    from client.progress import Progress
    from client.response import Response
    from client.session import Session
    from client.transport.cancel import CancelToken

__all__ = ["OwnWorkers", "results_of"]

#: Jobs under way or waiting to be taken, for each worker. With two, workers run dry behind a slow one, and `map`
#: loses a tenth of its rate; four gain nothing over three.
_LOOK_AHEAD: Final = 3
#: Jobs that are held back because their host is busy, for each worker.
_HELD: Final = 32
#: Least seconds between two lines of a progress display.
_PROGRESS_SECONDS: Final = 0.1


def results_of(
    session: Session,
    jobs: Iterable[Any],
    executor: Executor | None,
    on_error: Literal["raise", "return"],
    per_host: int | None,
    rate: str | None,
    progress: Progress,
    arguments: Mapping[str, Any],
    *,
    ordered: bool,
) -> Iterator[Response | Exception]:
    """Yield the results of *jobs*, in their order or as they come; see `Session.map`."""
    _check(on_error, arguments)
    source = _Source(session, jobs, executor, per_host, rate, arguments)
    return _Results(source, _results(source, on_error, progress, ordered=ordered))


def _check(on_error: str, arguments: Mapping[str, Any]) -> None:
    if on_error not in ("raise", "return"):
        raise InvalidRequest(f"on_error={on_error!r}: expected 'raise' or 'return'")
    if arguments.get("stream"):
        raise InvalidRequest("stream=True with many requests: unread responses would hold every connection")


class OwnWorkers:
    """Hands requests to the session's own workers; see `client.executors.Carrier`."""

    def __init__(self, session: Session, pacer: Pacer | None) -> None:
        """Start nothing yet."""
        self._session = session
        self._workers = session._pool()
        self._turns = None if pacer is None else Turns(self._workers, pacer)
        self.size: int = self._workers.size
        self.look_ahead: int = _LOOK_AHEAD * self.size
        self.refusal: RequestException | None = None
        self.patience: float = 1.0

    def begin(self, arguments: Mapping[str, Any]) -> Ticket:
        """See `Carrier`."""
        session = self._session

        def call(token: CancelToken) -> Response:
            return session.request(**arguments, _cancel=token)

        ticket = WorkerTicket()
        if self.refusal is None:
            try:
                if self._turns is not None:
                    return self._turns.submit(call)
                self._workers.hand_over(call, ticket)
                return ticket
            except SessionClosed as error:
                # Those that have begun are taken first, as with an executor that is shut down.
                self.refusal = type(error)(*error.args)
            except BaseException:  # Ctrl-C, when it was perhaps handed over
                ticket.cancel()
                raise
        # One for each: it will name the call's request.
        ticket.set_exception(type(self.refusal)(*self.refusal.args))
        return ticket

    def until_due(self) -> float:
        """Return 0.0: a worker waits by itself, where stopping the call wakes it."""
        return 0.0

    def has_gone(self) -> bool:
        """Return False: workers end every call, also when they are closed."""
        return False

    def refuse_own_worker(self) -> None:
        """Raise RuntimeError on one of the workers that would do the jobs."""
        self._workers.refuse_own_worker()


def _carrier_for(
    session: Session, executor: Executor | None, arguments: Mapping[str, Any], pacer: Pacer | None
) -> Carrier:
    if executor is None:
        return OwnWorkers(session, pacer)
    from client.executors import carrier_for

    return carrier_for(session, executor, "request", arguments, pacer)


class _Entry:
    """A job on its way: held back while `ticket` is None."""

    __slots__ = ("arguments", "host", "ticket")

    def __init__(self, arguments: dict[str, Any], host: str | None) -> None:
        self.arguments = arguments
        self.host = host
        self.ticket: Ticket | None = None


def _length_of(jobs: Any) -> int | None:
    """Return how many there are; None if they do not say, or no number that `len` passes on."""
    try:
        return len(jobs)
    except (TypeError, ValueError, OverflowError):
        return None


class _Source:
    """Turns jobs into calls, as the limits allow; used by the consumer's thread alone.

    Attributes:
        total: Jobs in all, None if nobody knows.
        pending: Jobs whose results were not taken yet, in their order.
    """

    def __init__(
        self,
        session: Session,
        jobs: Iterable[Any],
        executor: Executor | None,
        per_host: int | None,
        rate: str | None,
        arguments: Mapping[str, Any],
    ) -> None:
        if per_host is not None and (type(per_host) is not int or per_host < 1):
            raise InvalidRequest(f"per_host={per_host!r}: expected a number of requests, at least 1")
        refuse_unstoppable(session)
        refuse_read_once(arguments)
        self._jobs = iter(several(jobs))
        self.total = _length_of(jobs)
        self._carrier = _carrier_for(session, executor, arguments, None if rate is None else Pacer(rate))
        self._session = session
        self._arguments = arguments
        self._per_host = per_host
        self._busy: dict[str | None, int] = {}
        self._held: dict[str | None, deque[_Entry]] = {}
        self._held_count = 0
        # These begin as soon as the rate allows; their host keeps room for them.
        self._ready: deque[_Entry] = deque()
        self._news: SimpleQueue[_Entry] = SimpleQueue()
        self._done: deque[_Entry] = deque()  # known to be done, in the order in which they were
        self._failure: Exception | None = None  # of the iterable, or of what is no job
        self._process = os.getpid()
        self.pending: deque[_Entry] = deque()

    def refuse_own_worker(self) -> None:
        """Raise RuntimeError on one of the workers that would do the jobs."""
        self._carrier.refuse_own_worker()

    def fill(self) -> None:
        """Hear what is done, then draw jobs and begin them until enough are under way, or none are left.

        Raises:
            WorkerLost, SessionClosed: The executor, or the session's own workers, take no more calls; those under way
                have all been taken, and there are more jobs.
            Exception: What the iterable raised, or `InvalidRequest` for what is no job: in the place of that job.
        """
        self._hear()
        carrier = self._carrier
        while (
            self._start_ready()
            and len(self.pending) - self._held_count < carrier.look_ahead
            and self._held_count < _HELD * carrier.size
        ):
            if carrier.refusal is not None and self.pending:
                return
            given = self._draw()
            if given is None:
                return
            if carrier.refusal is not None:
                raise carrier.refusal
            # No stream, whatever the session's own default is.
            merged = {"method": "GET", "url": None, **self._arguments, **given, "stream": False}
            entry = _Entry(merged, None if self._per_host is None else self._host_of(merged["url"]))
            self.pending.append(entry)
            if self._per_host is not None:
                busy = self._busy.get(entry.host, 0)
                if busy >= self._per_host:
                    self._held.setdefault(entry.host, deque()).append(entry)
                    self._held_count += 1
                    continue
                self._busy[entry.host] = busy + 1
            self._ready.append(entry)

    def _draw(self) -> dict[str, Any] | None:
        """Return the arguments of the next job; None if there is none, or none before all others have been taken."""
        if self._failure is None:
            try:
                for job in self._jobs:
                    given = request_arguments(job)
                    _check("return", given)
                    return given
            except Exception as error:  # noqa: BLE001  # raised below: jobs that were drawn before it lose nothing
                self._failure = error
        if self._failure is not None and not self.pending:
            raise self._failure
        return None

    def take(self, *, ordered: bool) -> _Entry:
        """Return a job that is done, the first of all if *ordered*; wait for it if need be."""
        while True:
            if ordered:
                self._done.clear()
                first = self.pending[0]
                if first.ticket is not None and first.ticket.done():
                    return self.pending.popleft()
            elif self._done:
                entry = self._done.popleft()
                self.pending.remove(entry)
                return entry
            self._wait()

    def _wait(self) -> None:
        """Wait until a job is done, or until another one may begin."""
        carrier, is_put_off = self._carrier, bool(self._ready)
        seconds = min(carrier.patience, carrier.until_due()) if is_put_off else carrier.patience
        try:
            self._note_end(self._news.get(timeout=seconds))
        except Empty:
            if self._process != os.getpid():
                raise ForkError(
                    "these calls are carried out in the parent process: nobody here will end them"
                ) from None
            if seconds == carrier.patience and carrier.has_gone():
                self.stop()
        if is_put_off:
            self.fill()
        else:
            self._start_ready()

    def _hear(self) -> None:
        """Take note of all jobs that are done by now."""
        while not self._news.empty():
            self._note_end(self._news.get())

    def _note_end(self, entry: _Entry) -> None:
        """Note that a job is done, and that the next one of its host may begin."""
        self._done.append(entry)
        if self._per_host is not None:
            waiting = self._held.get(entry.host)
            if waiting:
                self._held_count -= 1
                self._ready.append(waiting.popleft())
                return
            self._busy[entry.host] -= 1
            if not self._busy[entry.host]:  # endless jobs may have endless hosts
                del self._busy[entry.host]
                self._held.pop(entry.host, None)

    def stop(self) -> None:
        """Cancel what nobody will take any more, but for the parent of this process, who may."""
        if self._process != os.getpid():
            return
        for entry in list(self.pending):
            if entry.ticket is not None:
                entry.ticket.cancel()

    def stop_for_good(self) -> None:
        """Stop all, and have nothing begun any more, on another thread than the consumer's."""
        self._carrier.refusal = SessionClosed("the program has ended")
        self.stop()

    def _start_ready(self) -> bool:
        """Begin what is ready; return False if the rate puts some of it off."""
        carrier, news = self._carrier, self._news
        while self._ready:
            if carrier.refusal is None and carrier.until_due() > 0:
                return False
            entry = self._ready.popleft()
            entry.ticket = carrier.begin(entry.arguments)
            entry.ticket.add_done_callback(partial(_tell, news, entry))
        return True

    def _host_of(self, url: Any) -> str | None:
        """Return the host that *url* leads to; None, which has a limit of its own, if it leads nowhere."""
        for one in (url, self._session.base_url):
            with suppress(InvalidRequest):  # relative to the other one, or none at all
                return str(parse_url(one).host)
        return None


def _tell(news: SimpleQueue[_Entry], entry: _Entry, _: object) -> None:
    news.put(entry)


class _Results:
    """What `results_of` returns: a generator that is not over when one of the workers is refused its next result."""

    __slots__ = ("__weakref__", "_generator", "_source")

    def __init__(self, source: _Source, generator: Generator[Response | Exception, None, None]) -> None:
        self._source = source
        self._generator = generator
        _open.add(ref(self, _open.discard))

    def __iter__(self) -> Iterator[Response | Exception]:
        return self

    def __next__(self) -> Response | Exception:
        self._source.refuse_own_worker()  # each time: it may be another thread that asks for the next one
        return next(self._generator)

    def close(self) -> None:
        """Stop what nobody will take. Idempotent."""
        self._generator.close()

    def end(self) -> None:
        """As `close`, also while another thread takes a result."""
        try:
            self.close()
        except ValueError:
            self._source.stop_for_good()


def _results(
    source: _Source, on_error: Literal["raise", "return"], progress: Progress, *, ordered: bool
) -> Generator[Response | Exception, None, None]:
    """Yield results: each as it is done, or in the order of the jobs."""
    done = 0
    try:
        with shown(progress) as show:
            shown_at = 0.0
            while True:
                source.fill()
                if not source.pending:
                    break
                entry = source.take(ordered=ordered)
                done += 1
                if show is not None and (callable(progress) or monotonic() - shown_at >= _PROGRESS_SECONDS):
                    shown_at = monotonic()
                    show(Row("requests", done, source.total, "requests"), ())
                yield _result(entry, on_error)
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(f"{done} requests done, {len(source.pending)} stopped")
        raise
    finally:
        source.stop()


def _result(entry: _Entry, on_error: Literal["raise", "return"]) -> Response | Exception:
    ticket, entry.ticket = entry.ticket, None  # from here on the consumer alone keeps the response
    assert ticket is not None
    try:
        response: Response = ticket.result()
    except Exception as error:
        attach_request(error, entry.arguments)
        if on_error == "raise":
            raise
        return error
    finally:
        del ticket  # the traceback of an error holds this frame, and the ticket the error
    return response


#: Those that were begun; what has come to its end does no harm here. No WeakSet, whose callback is a Python function:
#: a Ctrl-C at the door of one is dropped.
_open: Final[set[ref[_Results]]] = set()


def _close_at_exit() -> None:
    """End what a global name or a daemon thread still has: its bar would leave the cursor hidden.

    This comes before the workers' own end, which was registered first and would wait for the next call's turn.
    """
    for one in list(_open):
        if (results := one()) is not None:
            results.end()


atexit.register(_close_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open.clear)  # the calls and the bar are the parent's
