"""Calls on an executor of the caller's: a thread pool, a process pool, or a cluster that looks like one.

The law of the room: threads of this process get the session itself, everybody else gets an `Errand`; whatever an
executor does, each call ends in its result, its own error, or `WorkerLost`.  Nothing distributed is written here.
"""

from __future__ import annotations

import concurrent.futures
import threading
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from client.errands import Errand, answer, carry_out, packed
from client.exceptions import InvalidRequest, RequestException, WorkerLost
from client.exchange import keep_cookies
from client.response import Response
from client.retries import IDEMPOTENT_METHODS, declared_idempotent
from client.transport.cancel import CancelToken
from client.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from client.errands import Kind
    from client.pacing import Pacer
    from client.session import Session

__all__ = ["Carrier", "Elsewhere", "OnThreads", "Ticket", "carrier_for"]


#: Seconds without any news after which an executor that may forget work is asked whether it still takes some.
PATIENCE: Final = 5.0


class Ticket(Protocol):
    """A call that was handed over; `client.workers.RequestFuture` is one, and `WorkerTicket`."""

    def done(self) -> bool:
        """Say whether `result` returns at once."""

    def cancel(self) -> bool:
        """Stop it if that can be done."""

    def result(self) -> Any:
        """Wait for the call; return what it returned or raise what it raised."""

    def add_done_callback(self, function: Callable[[Any], object], /) -> None:
        """Have *function* called, on any thread, once the call is over."""


class Carrier(Protocol):
    """Whoever carries out calls.

    Attributes:
        size: How many at a time, as far as is known.
        look_ahead: How many may be handed over and not taken back.
        refusal: What to raise for a further call, as none will be taken; None while all have been.
        patience: Seconds without news after which `has_gone` is worth asking. A wait ends in any case: a Ctrl-C that
            comes in the moment before it began is heard by Python only then.
    """

    size: int
    look_ahead: int
    refusal: RequestException | None
    patience: float

    def begin(self, arguments: Mapping[str, Any]) -> Ticket:
        """Hand one call over."""

    def until_due(self) -> float:
        """Return how many seconds `begin` has to be put off, for the sake of a rate."""

    def has_gone(self) -> bool:
        """Say whether calls that have not begun never will; the caller cancels them."""

    def refuse_own_worker(self) -> None:
        """Raise RuntimeError on a thread that must not wait for the calls."""


def carrier_for(
    session: Session, executor: Executor, kind: Kind, common: Mapping[str, Any], pacer: Pacer | None
) -> Carrier:
    """Return what hands calls to *executor*.

    Args:
        session: Whose method is to be called, or a twin of it in another process.
        executor: Any.
        kind: The method.
        common: Arguments of all calls, looked at in advance.
        pacer: Limits how fast calls begin; None if nothing does.

    Raises:
        InvalidRequest: It is no executor, or what has to travel cannot be pickled.
    """
    if not isinstance(executor, Executor):
        raise InvalidRequest(
            f"executor= must be a concurrent.futures.Executor, not {type(executor).__name__}; "
            "a Dask client has one: client.get_executor()"
        )
    if _is_in_this_process(executor):
        return OnThreads(session, executor, kind, pacer)
    return Elsewhere(session, executor, kind, common, pacer)


class _OnExecutor:
    """What the two ways to use an executor have in common.

    A rate is kept by putting off the handing over, since a worker that waited could not always be stopped. So that a
    call which is handed over begins at once, there is then no look-ahead.
    """

    def __init__(self, session: Session, executor: Executor, kind: Kind, pacer: Pacer | None) -> None:
        self.size: int = _size_of(executor, session)
        self.look_ahead: int = 2 * self.size if pacer is None else self.size
        self.refusal: RequestException | None = None
        self.patience: float = 1.0
        self._executor = executor
        self._kind: Kind = kind
        self._pacer = pacer

    def until_due(self) -> float:
        """See `Carrier`."""
        return 0.0 if self._pacer is None else self._pacer.until_due()

    def has_gone(self) -> bool:
        """Return False: the pools of the standard library end every future that they took."""
        return False

    def refuse_own_worker(self) -> None:
        """Do nothing: no thread of this process carries out the calls."""

    def _claim(self) -> None:
        if self._pacer is not None:
            self._pacer.claim()

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any] | _Refused:
        if self.refusal is None:
            try:
                return self._executor.submit(function, *arguments)
            except Exception as cause:  # noqa: BLE001  # each executor has its own for being shut down or broken
                self.refusal = WorkerLost("the executor takes no more calls")
                self.refusal.__cause__ = cause
        error = type(self.refusal)(*self.refusal.args)  # one for each: it will name the call's request
        error.__cause__ = self.refusal.__cause__
        return _Refused(error)


class OnThreads(_OnExecutor):
    """Hands calls to the threads of an executor in this process, with the session itself; see `Carrier`."""

    def __init__(self, session: Session, executor: Executor, kind: Kind, pacer: Pacer | None) -> None:
        """Hand over nothing yet."""
        super().__init__(session, executor, kind, pacer)
        self._session = session

    def begin(self, arguments: Mapping[str, Any]) -> Ticket:
        """See `Carrier`."""
        self._claim()
        token = CancelToken()
        try:
            future = self._submit(self._call, arguments, token)
        except BaseException as error:  # Ctrl-C, when it was perhaps handed over
            token.cancel(error)
            raise
        return future if isinstance(future, _Refused) else _OnThread(future, token)

    def refuse_own_worker(self) -> None:
        """See `Carrier`: of two calls that wait for each other's thread, none would end."""
        # Held until a thread that has just begun is listed.
        lock = getattr(self._executor, "_shutdown_lock", None)
        if lock is not None and lock.acquire(timeout=1.0):
            lock.release()
        if threading.current_thread() in getattr(self._executor, "_threads", ()):
            raise RuntimeError(
                "waiting on a thread of an executor for work of the same executor: use another one"
            )

    def _call(self, arguments: Mapping[str, Any], token: CancelToken) -> Any:
        token.check()
        if self._kind == "download":
            return self._session.download(**{**arguments, "_cancel": token})
        return self._session.request(**arguments, _cancel=token)


class Elsewhere(_OnExecutor):
    """Hands calls to other processes; see `Carrier`. What leaves is pickled here, before the executor sees it.

    Attributes:
        may_run_twice: False only for the pools of the standard library. Dask, for one, gives the work of a worker that
            died to another one, and cannot be told not to.
    """

    def __init__(
        self, session: Session, executor: Executor, kind: Kind, common: Mapping[str, Any], pacer: Pacer | None
    ) -> None:
        """Pickle what all calls have in common, so that it is refused before the first of them."""
        super().__init__(session, executor, kind, pacer)
        self._session = session
        self.may_run_twice: bool = not isinstance(executor, ProcessPoolExecutor | ThreadPoolExecutor)
        if self.may_run_twice:
            self.patience = PATIENCE
        self._settings = packed(session, "the session")
        packed(dict(common), "what all calls have in common")

    def begin(self, arguments: Mapping[str, Any]) -> Ticket:
        """See `Carrier`; what must not travel is refused in the ticket, as the error of this call."""
        try:
            if self.may_run_twice and self._kind == "request":
                _refuse_unless_repeatable(arguments)
            cookies = packed(self._session.cookies, "the session's cookies")
            errand = Errand(self._settings, cookies, self._kind, packed(dict(arguments), "the call"))
        except InvalidRequest as error:
            return _Refused(error)
        self._claim()
        future = self._submit(carry_out, errand)
        return future if isinstance(future, _Refused) else _FromElsewhere(future, self._session)

    def has_gone(self) -> bool:
        """See `Carrier`. A cluster that is closed may forget futures that it was about to answer: Dask's are such."""
        return self.may_run_twice and isinstance(self._submit(answer), _Refused)


class _Refused:
    """The ticket of a call that was not handed over."""

    def __init__(self, error: Exception) -> None:
        """Hold what `result` raises."""
        self._error = error

    def done(self) -> bool:
        """Return True."""
        return True

    def cancel(self) -> bool:
        """Return False: there is nothing to stop."""
        return False

    def result(self) -> Any:
        """Raise why."""
        raise self._error

    def add_done_callback(self, function: Callable[[Any], object]) -> None:
        """Call *function* now."""
        function(self)


class _OnThread:
    """The ticket of a call on a thread of this process."""

    def __init__(self, future: Future[Any], token: CancelToken) -> None:
        self._future = future
        self._token = token

    def done(self) -> bool:
        return self._future.done()

    def cancel(self) -> bool:
        return self._future.cancel() or self._token.cancel(CancelledError("the call was cancelled"))

    def result(self) -> Any:
        try:
            return self._future.result()
        except (CancelledError, BrokenExecutor) as error:
            raise WorkerLost("the executor dropped the call") from error
        finally:
            del self  # the traceback of an error holds this frame, and the future the error

    def add_done_callback(self, function: Callable[[Any], object]) -> None:
        self._future.add_done_callback(function)


class _FromElsewhere:
    """The ticket of an errand. Its outcome is unpickled by whoever asks for it, not by the executor's own threads."""

    def __init__(self, future: Future[Any], session: Session) -> None:
        self._future = future
        self._session = session

    def done(self) -> bool:
        return self._future.done()

    def cancel(self) -> bool:
        return self._future.cancel()

    def result(self) -> Any:
        try:
            outcome = self._future.result()
        except Exception as error:  # BrokenProcessPool, CancelledError, Dask's KilledWorker
            raise WorkerLost("the worker died, or the executor dropped the call") from error
        try:
            result = outcome.open()
        except RequestException as error:
            self._keep_cookies(error.response)
            raise
        self._keep_cookies(result)
        return result

    def _keep_cookies(self, result: Any) -> None:
        """Put into the session's jar what *result* and the answers before it set, as if the call had been made here."""
        if isinstance(result, Response):
            with suppress(Exception):  # a hook may have put anything in its place, which costs no result
                for answer in (*result.history, result):
                    keep_cookies(self._session, parse_url(answer.url), answer)

    def add_done_callback(self, function: Callable[[Any], object]) -> None:
        self._future.add_done_callback(function)


def _is_in_this_process(executor: Executor) -> bool:
    """Say whether *executor* runs calls on threads that share our objects."""
    # Since Python 3.14, a kind of ThreadPoolExecutor whose threads share nothing.
    apart: Any = getattr(concurrent.futures, "InterpreterPoolExecutor", ())
    return isinstance(executor, ThreadPoolExecutor) and not isinstance(executor, apart)


def _size_of(executor: Executor, session: Session) -> int:
    """Return how many calls *executor* carries out at a time.

    Those of the standard library know, if only by a private attribute; for others it is what ``workers=`` of the
    session says.
    """
    known = getattr(executor, "_max_workers", None)
    return known if type(known) is int and known > 0 else session._workers


def _refuse_unless_repeatable(arguments: Mapping[str, Any]) -> None:
    """Raise InvalidRequest for a request that must not be sent twice."""
    method = arguments.get("method", "GET")
    name = method.decode("latin-1") if isinstance(method, bytes) else str(method)
    said = declared_idempotent(arguments.get("headers") or {}, arguments.get("idempotent"))
    if not (name.upper() in IDEMPOTENT_METHODS if said is None else said):
        raise InvalidRequest(
            f"{name}: this executor may carry out a call again when a worker dies, and the request would be sent "
            "twice; pass idempotent=True or an Idempotency-Key header if it may be, or use a ProcessPoolExecutor"
        )
