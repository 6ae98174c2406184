"""``rate=``: how fast calls may begin.

The law of the room: beginnings are spread evenly, and time that nobody used is lost; there are no bursts.
"""

from __future__ import annotations

import re
from _thread import TIMEOUT_MAX, allocate_lock
from collections import deque
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from client.exceptions import InvalidRequest, RequestException

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from client.transport.cancel import CancelToken
    from client.workers import RequestFuture, WorkerPool

__all__ = ["Pacer", "Turns"]

_RATE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)/([smh])")
_SECONDS_OF: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Pacer:
    """Spreads beginnings evenly over time, for all threads together.

    Args:
        rate: A number and a unit of time, such as ``"100/s"``, ``"30/m"`` or ``"1000/h"``.

    Raises:
        InvalidRequest: *rate* is nothing of the kind.
    """

    def __init__(self, rate: Any) -> None:
        """Let the first one begin at once."""
        found = _RATE.fullmatch(rate) if isinstance(rate, str) else None
        if found is None or _SECONDS_OF[found[2]] > float(found[1]) * TIMEOUT_MAX:
            raise InvalidRequest(f'rate={rate!r}: expected a number and a unit of time, such as "100/s"')
        self._interval = _SECONDS_OF[found[2]] / float(found[1])
        self._lock = allocate_lock()
        self._next = 0.0

    def until_due(self) -> float:
        """Return in how many seconds the next one may begin; 0.0 if now."""
        with self._lock:
            return max(0.0, self._next - monotonic())

    def claim(self) -> float:
        """Take the next beginning; return in how many seconds it is."""
        with self._lock:
            now = monotonic()
            due = max(now, self._next)
            self._next = due + self._interval
            return due - now


class Turns:
    """Hands calls to a session's workers one after the other, each when its turn has come.

    Only the worker of the next call waits for the clock, so that the others are free for whatever else the session has
    to do; it is he who then sends for the one after it, so that nothing waits for the consumer of the results.

    Args:
        workers: Carry out the calls.
        pacer: Says when.
    """

    def __init__(self, workers: WorkerPool, pacer: Pacer) -> None:
        """Hand over nothing yet."""
        self._workers = workers
        self._pacer = pacer
        self._lock = allocate_lock()
        self._waiting: deque[tuple[RequestFuture[Any], Callable[[CancelToken], Any]]] = deque()
        self._next: RequestFuture[Any] | None = None  # was handed over, and its turn has not come

    def submit(self, call: Callable[[CancelToken], Any]) -> RequestFuture[Any]:
        """Do what `WorkerPool.submit` does, when the turn of *call* has come.

        Raises:
            SessionClosed: The workers were closed.
        """
        future: RequestFuture[Any] = self._workers.promise()
        with self._lock:
            self._waiting.append((future, call))
        self._go_on(None)
        return future

    def _go_on(self, ended: Future[Any] | None) -> None:
        """Hand the next call over, if *ended* is the one that all others wait for: its turn has come, or it is over."""
        while True:
            with self._lock:
                if self._next is not ended:
                    return
                self._next, call = self._waiting.popleft() if self._waiting else (None, None)
                future = self._next
            if future is None or call is None:
                return
            if not future.cancelled():
                try:
                    self._workers.submit(partial(self._in_turn, future, call), future)
                except RequestException as error:  # they were closed: nobody will carry out any of them
                    if future.set_running_or_notify_cancel():
                        future.set_exception(error)
                else:
                    future.add_done_callback(self._go_on)  # in case that it never comes to `_in_turn`
                    return
            ended = future

    def _in_turn(
        self, future: RequestFuture[Any], call: Callable[[CancelToken], Any], token: CancelToken
    ) -> Any:
        try:
            if (seconds := self._pacer.claim()) > 0:
                token.sleep(seconds)
        finally:
            self._go_on(future)
            del future  # the traceback of an error holds this frame, and the future the error
        return call(token)
