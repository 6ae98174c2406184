"""``rate=``: how fast calls may begin.

The law of the room: beginnings are spread evenly, and time that nobody used is lost; there are no bursts.
"""

from __future__ import annotations

import re
from _thread import TIMEOUT_MAX, allocate_lock
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from client.exceptions import InvalidRequest, RequestException
from client.workers import WorkerTicket

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.transport.cancel import CancelToken
    from client.workers import WorkerPool

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

    One worker waits for the clock, so that the others, if there are any, are free for whatever else the session has to
    do; it is he who then sends for the next call, so that nothing waits for the consumer of the results.

    Args:
        workers: Carry out the calls.
        pacer: Says when.
    """

    def __init__(self, workers: WorkerPool, pacer: Pacer) -> None:
        """Hand over nothing yet."""
        self._workers = workers
        self._pacer = pacer
        self._lock = allocate_lock()
        self._waiting: deque[_Turn] = deque()
        self._next: _Turn | None = None  # was handed over, and its turn has not come

    def submit(self, call: Callable[[CancelToken], Any]) -> WorkerTicket:
        """Have a worker call *call* when its turn has come.

        Raises:
            SessionClosed: The workers were closed.
            ForkError: They are in the parent process, and one may have held our lock at the fork.
        """
        self._workers.refuse_if_gone()
        turn = _Turn(self, call)
        try:
            with self._lock:
                self._waiting.append(turn)
            self.go_on(None)
        except BaseException:  # Ctrl-C, when it was perhaps handed over
            turn.cancel()
            raise
        return turn

    def go_on(self, ended: _Turn | None) -> None:
        """Hand the next call over, if *ended* is the one that all others wait for: its turn has come, or it is over."""
        with self._lock:
            if self._next is not ended:
                return
            turn = self._next = self._waiting.popleft() if self._waiting else None
        if turn is None:
            return
        try:
            self._workers.hand_over(turn.work, turn)
        except RequestException as error:  # they were closed: nobody will carry out any of them
            with self._lock:
                refused = [turn, *self._waiting]
                self._waiting.clear()
                self._next = None
            for turn in refused:
                turn.set_exception(type(error)(*error.args))  # one for each: it will name the call's request

    def wait(self, token: CancelToken) -> None:
        """Wait for the next turn. Raises what *token* was stopped with."""
        if (seconds := self._pacer.claim()) > 0:
            token.sleep(seconds)


class _Turn(WorkerTicket):
    """The ticket of a call that waits for its turn. However it ends, the next one is sent for.

    Stopping it takes no lock and hands nothing over: the garbage collector may do that to a forgotten `map`, on a
    thread that holds a lock of the workers or ours.
    """

    __slots__ = ("_call", "_turns")

    def __init__(self, turns: Turns, call: Callable[[CancelToken], Any]) -> None:
        super().__init__()
        self._turns = turns
        self._call = call

    def work(self, token: CancelToken) -> Any:
        """Carry the call out, on a worker."""
        try:
            self._turns.wait(token)
        finally:
            self._turns.go_on(self)
            call = self._call
            del self  # the traceback of an error holds this frame, and we the error
        return call(token)

    def _end(self, error: BaseException | None, result: Any) -> None:
        super()._end(error, result)
        self._turns.go_on(self)  # in case that it never came to `work`
