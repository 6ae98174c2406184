"""``rate=``: how fast calls may begin.

The law of the room: beginnings are spread evenly, and time that nobody used is lost; there are no bursts.
"""

from __future__ import annotations

import re
from _thread import allocate_lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from client.exceptions import InvalidRequest
from client.transport.cancel import Alarm

if TYPE_CHECKING:
    from client.transport.cancel import CancelToken

__all__ = ["Pacer"]

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
        if found is None or not float(found[1]):
            raise InvalidRequest(f'rate={rate!r}: expected a number and a unit of time, such as "100/s"')
        self._interval = _SECONDS_OF[found[2]] / float(found[1])
        self._lock = allocate_lock()
        self._next = 0.0
        self._turn = 0
        self._waiting: dict[int, Alarm] = {}  # for their turn, not for their time

    def until_due(self) -> float:
        """Return in how many seconds the next one may begin; 0.0 if now."""
        with self._lock:
            return max(0.0, self._next - monotonic())

    def claim(self) -> float:
        """Take the next beginning; return in how many seconds it is."""
        with self._lock:
            return self._claim()

    def wait(self, number: int, token: CancelToken) -> None:
        """Take the beginning of turn *number*, counted from 0, and return when it is due.

        All turns must be taken, or cancelled: of two threads that are at it at the same time, the later turn waits for
        the earlier one. With ``"1/h"``, the first result would else come an hour late now and then.

        Raises:
            BaseException: What *token* was cancelled with.
        """
        while True:
            with self._lock:
                if number == self._turn:
                    seconds = self._claim()
                    self._turn += 1
                    following = self._waiting.pop(self._turn, None)
                    break
                alarm = self._waiting[number] = Alarm()
            token.wait_for(alarm)
        if following is not None:
            following.ring()
        if seconds > 0:
            token.sleep(seconds)

    def _claim(self) -> float:
        now = monotonic()
        due = max(now, self._next)
        self._next = due + self._interval
        return due - now
