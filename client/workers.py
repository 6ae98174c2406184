"""A bounded set of threads that carry out calls, and the future that each call leaves behind.

Threads start when work comes and none is free, never at import, and end with `WorkerPool.close` or with the
pool itself.  All that is ours, a future's `result` among it, refuses at once to wait for the pool on one of its own
workers, since the slot that is waited for may be the one that waits.  What looks into futures from outside,
`concurrent.futures.wait` and `as_completed`, cannot be told, and may wait there for ever.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from _thread import allocate_lock
from concurrent.futures import CancelledError, Future
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from weakref import WeakSet

from client.exceptions import ForkError, InvalidRequest, SessionClosed
from client.transport.cancel import CancelToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.session import Session

__all__ = ["RequestFuture", "WorkerPool", "WorkerTicket", "beyond_ctrl_c", "refuse_unstoppable"]

Result = TypeVar("Result")

_current = threading.local()

#: Flag of the code of a function with ``**arguments``: `inspect.CO_VARKEYWORDS`, without loading that.
_TAKES_ANY: Final = 0x08


class RequestFuture(Future[Result], Generic[Result]):
    """The outcome of a submitted call, as `concurrent.futures.Future` documents it.

    `cancel` also stops a call that is running: the thread that waits on a socket is woken, and the future ends
    with `concurrent.futures.CancelledError` once the worker has let go of it.
    """

    def __init__(self, mark: object) -> None:
        """Belong to the pool whose workers are known by *mark*."""
        super().__init__()
        self._mark = mark
        self._process = os.getpid()
        self.token: Final = CancelToken()

    def cancel(self) -> bool:
        """Stop the call. Return False only if it is over already, or goes on in the parent of this process."""
        if self._process != os.getpid():
            return False
        if super().cancel():
            return True
        if self.done():
            return False
        self.token.cancel(_cancelled())
        return True

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the call and return its result, or raise what it raised.

        Args:
            timeout: Seconds to wait at most; None for no limit beyond the call's own.

        Raises:
            TimeoutError: *timeout* passed; the call goes on.
            concurrent.futures.CancelledError: The call was cancelled.
            RuntimeError: Called on a worker of the same pool while the call is not done.
            ForkError: Called in a forked child while the call is not done.
        """
        self._refuse_own_worker()
        try:
            return super().result(timeout)
        finally:
            del self  # the traceback of an error holds this frame, and we the error

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the call and return what it raised, None if it succeeded. Raises as `result` does."""
        self._refuse_own_worker()
        return super().exception(timeout)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the call is over, or for *seconds*; say whether it is over. Raises as `result` does not."""
        self._refuse_own_worker()
        with self._condition:
            return self._condition.wait_for(self.done, seconds)

    def _refuse_own_worker(self) -> None:
        if not self.done():
            if self._process != os.getpid():
                raise ForkError("this call is carried out in the parent process: nobody here will end it")
            _refuse_worker_of(self._mark)


class WorkerTicket:
    """What a call ends with, for somebody who is told that it has: a future that nobody can wait for.

    A future has a condition and a queue of those who wait for it, which costs as much as all else between `map` and a
    worker.
    """

    __slots__ = ("_error", "_is_done", "_lock", "_result", "_tell", "token")

    def __init__(self) -> None:
        """Be open."""
        self._lock = allocate_lock()
        self._is_done = False
        self._tell: Callable[[WorkerTicket], object] | None = None
        self.token: Final = CancelToken()

    def done(self) -> bool:
        """Say whether the call is over."""
        return self._is_done

    def cancel(self) -> bool:
        """Stop the call, as `RequestFuture.cancel`."""
        if self._is_done:
            return False
        self.token.cancel(_cancelled())
        return True

    def result(self) -> Any:
        """Return what the call returned, or raise what it raised; it is over."""
        error = self._error
        if error is None:
            return self._result
        try:
            raise error
        finally:
            del error, self  # the traceback holds this frame, and the error the traceback

    def add_done_callback(self, function: Callable[[WorkerTicket], object], /) -> None:
        """Have *function* called, on any thread, once the call is over. There can be one."""
        with self._lock:
            if not self._is_done:
                self._tell = function
                return
        function(self)

    def set_running_or_notify_cancel(self) -> bool:
        """Return True: what was cancelled ends with its token's error, like any other call."""
        return True

    def set_result(self, result: Any) -> None:
        """End with *result*."""
        self._end(None, result)

    def set_exception(self, error: BaseException) -> None:
        """End with *error*."""
        self._end(error, None)

    def _end(self, error: BaseException | None, result: Any) -> None:
        with self._lock:
            self._error, self._result, self._is_done = error, result, True
            tell, self._tell = self._tell, None  # which holds whoever waits, who holds us
        if tell is not None:
            tell(self)


class _Crew:
    """What the threads of a pool share. It holds no reference to the pool, so that an unused pool can go."""

    __slots__ = ("closed", "idle", "jobs", "lock", "mark", "queued", "running", "stopped", "threads")

    def __init__(self) -> None:
        self.mark = object()  # what a thread is known by as a worker of this pool
        self.lock = threading.Lock()
        self.jobs: SimpleQueue[
            tuple[RequestFuture[Any] | WorkerTicket, Callable[[CancelToken], Any]] | None
        ] = SimpleQueue()
        self.running: set[RequestFuture[Any] | WorkerTicket] = set()
        self.threads: set[threading.Thread] = set()
        self.queued = 0
        self.idle = 0
        self.closed = False  # the threads have been told to end: another job would wait for ever
        self.stopped = False  # what has not begun is not to begin

    def start_thread(self) -> None:
        """Start one, or do with those that there are; the caller holds the lock.

        Raises:
            RuntimeError: There is none, and the system gives none.
        """
        # Daemons, so that a thread which user code holds for ever does not hold the interpreter too;
        # `_finish_at_exit` waits for the work that was submitted.
        thread = threading.Thread(target=self.work, name=f"threadwire-{len(self.threads)}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self.threads:
                raise
            return
        self.threads.add(thread)  # not before: Ctrl-C would leave one that cannot be joined
        self.idle += 1

    def work(self) -> None:
        """Carry out jobs until None comes."""
        with self.lock:
            if threading.current_thread() not in self.threads:
                return  # whoever started it was interrupted, and does not count on it
        _current.mark = self.mark
        while (job := self.jobs.get()) is not None:
            future, function = job
            with self.lock:
                self.queued -= 1
                self.idle -= 1
                self.running.add(future)
                if self.stopped:  # after `close` looked at what is running
                    future.token.cancel(_closed_before())
            try:
                _carry_out(future, function)
            finally:
                with self.lock:
                    self.idle += 1
                    self.running.discard(future)
                del job, future, function  # while it waits, a thread keeps no response alive


def _carry_out(future: RequestFuture[Any] | WorkerTicket, function: Callable[[CancelToken], Any]) -> None:
    """Run *function* unless its future was cancelled before it began; set the future either way."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.token.check()
        result = function(future.token)
    except BaseException as error:  # noqa: BLE001  # whatever it is, it belongs to whoever waits for the future
        future.set_exception(error)
        # As in `WorkerTicket.result`; a function that was put off until its turn holds the future too.
        del future, function
    else:
        future.set_result(result)


def _cancelled() -> CancelledError:
    return CancelledError("the call was cancelled")


def _closed() -> SessionClosed:
    return SessionClosed("the session was closed, and its workers with it")


def _closed_before() -> SessionClosed:
    return SessionClosed("the session was closed before the call began")


class WorkerPool:
    """At most *size* threads; more work than that waits its turn.

    Args:
        size: Threads, at least 1.

    Raises:
        InvalidRequest: *size* is no such number.
    """

    def __init__(self, size: int) -> None:
        """Start no thread yet."""
        if size < 1:
            raise InvalidRequest(f"workers={size!r}: expected a number of threads, at least 1")
        self.size = size
        self.process: int = os.getpid()
        self._crew = _Crew()
        _pools.add(self)

    def promise(self) -> RequestFuture[Any]:
        """Return the future of a call that `submit` gets later.

        Raises:
            SessionClosed, ForkError: As `refuse_if_gone`.
        """
        self.refuse_if_gone()
        return RequestFuture(self._crew.mark)

    def submit(
        self, function: Callable[[CancelToken], Result], future: RequestFuture[Result] | None = None
    ) -> RequestFuture[Result]:
        """Have a worker call *function* with the future's stop switch; return the future at once.

        Args:
            function: What to do.
            future: Of `promise`; None makes one.

        Raises:
            SessionClosed, ForkError, RuntimeError: As `hand_over`.
        """
        future = RequestFuture(self._crew.mark) if future is None else future
        self.hand_over(function, future)
        return future

    def refuse_if_gone(self) -> None:
        """Raise what `hand_over` would, without a lock.

        Raises:
            SessionClosed: The pool was closed, so nobody would do the work.
            ForkError: The pool's threads are in the parent process.
        """
        if self.process != os.getpid():
            raise ForkError("these workers belong to the parent process: they do no work here")
        if self._crew.closed:
            raise _closed()

    def hand_over(
        self, function: Callable[[CancelToken], Any], future: RequestFuture[Any] | WorkerTicket
    ) -> None:
        """Have a worker call *function* with the stop switch of *future*, and set that.

        Raises:
            SessionClosed, ForkError: As `refuse_if_gone`.
            RuntimeError: The system gives us not even one thread.
        """
        self.refuse_if_gone()
        crew = self._crew
        with crew.lock:
            if crew.closed:  # meanwhile
                raise _closed()
            if crew.queued >= crew.idle and len(crew.threads) < self.size:
                crew.start_thread()
            crew.queued += 1
            crew.jobs.put((future, function))  # in here, so that `close` finds it

    def is_own_worker(self) -> bool:
        """Say whether the calling thread is one of our workers."""
        return getattr(_current, "mark", None) is self._crew.mark

    def refuse_own_worker(self) -> None:
        """Raise RuntimeError if called on one of our workers, where waiting for the others could deadlock."""
        _refuse_worker_of(self._crew.mark)

    def close(self, wait_seconds: float = 5.0) -> None:
        """Stop all calls, waiting and running, with `SessionClosed`, and end the threads. A forked child has none.

        Args:
            wait_seconds: How long to wait for the threads. One that user code holds longer (a body's iterator,
                a hook) ends by itself when that code returns.
        """
        if self.process != os.getpid():
            return  # they go on in the parent; here, a lock that one of them held stays so for ever
        crew = self._crew
        with crew.lock:
            crew.closed = crew.stopped = True
            running = list(crew.running)
        for future in running:
            future.token.cancel(SessionClosed("the session was closed while the call was under way"))
        while True:
            try:
                job = crew.jobs.get_nowait()
            except Empty:
                break
            if job is not None:
                with crew.lock:
                    crew.queued -= 1
                job[0].token.cancel(_closed_before())
                _carry_out(*job)  # which finds it stopped, and tells whoever waits for it
        self._end_threads(wait_seconds)

    def finish(self) -> None:
        """Let all submitted calls end by themselves, then end the threads."""
        self._end_threads(None)

    def _end_threads(self, wait_seconds: float | None) -> None:
        crew = self._crew
        with crew.lock:
            crew.closed = True
            threads = list(crew.threads)
        for _ in threads:
            crew.jobs.put(None)
        give_up_at = None if wait_seconds is None else monotonic() + wait_seconds
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(None if give_up_at is None else max(0.0, give_up_at - monotonic()))

    def __del__(self) -> None:
        """Let the threads go once they have done what was submitted."""
        for _ in range(len(self._crew.threads) if hasattr(self, "_crew") else 0):
            self._crew.jobs.put(None)

    def __repr__(self) -> str:
        """Show what it is doing."""
        crew = self._crew
        return f"<WorkerPool size={self.size} running={len(crew.running)} queued={crew.queued}>"


def refuse_unstoppable(session: Session) -> None:
    """Refuse a subclass whose `request` or `send` cannot be given what stops a call.

    Raises:
        TypeError: One of them takes neither all arguments of the session's own nor ``**arguments``.
    """
    for method, needed in ((session.request, {"_cancel", "stream"}), (session.send, {"_cancel"})):
        code = getattr(method, "__code__", None)  # of a double in a test, say, there is none
        if code is None or code.co_flags & _TAKES_ANY:
            continue
        if not needed <= {*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]}:
            raise TypeError(
                f"{method.__qualname__} must take **arguments and pass them on: among them is what stops calls on "
                "workers"
            )


def beyond_ctrl_c(function: Callable[[], object]) -> None:
    """Have *function* called on a thread of its own, since KeyboardInterrupt comes on the main thread alone.

    Nobody waits for it but the end of the interpreter. Where the system gives no further thread, it is called here.
    """
    try:
        threading.Thread(target=function, name="threadwire-stopping").start()
    except RuntimeError:
        function()


def _refuse_worker_of(mark: object) -> None:
    if getattr(_current, "mark", None) is mark:
        raise RuntimeError(
            "waiting on a worker thread for work of the same pool: all workers could end up waiting for each other; "
            "submit from outside, or call get() here, which needs no second worker"
        )


_pools: WeakSet[WorkerPool] = WeakSet()


def _finish_at_exit() -> None:
    """Wait for submitted work when the interpreter ends, as `concurrent.futures` does; after Ctrl-C stop it."""
    is_interrupted = isinstance(getattr(sys, "last_value", None), KeyboardInterrupt)
    for pool in list(_pools):
        if pool.process == os.getpid():
            if is_interrupted:
                pool.close()
            else:
                pool.finish()


atexit.register(_finish_at_exit)
