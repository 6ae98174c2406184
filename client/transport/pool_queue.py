"""The records of the pool: a place that connections lead to, and a call that waits for one.

Both are the pool's alone, and change under its lock.
"""

from __future__ import annotations

import _queue
from collections import deque
from sys import modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _queue import SimpleQueue

    from client.transport.connection import HTTPConnection

__all__ = ["Place", "QueuedCall"]


#: Made when a call has to wait. That of `queue` where it is loaded: gevent puts one there that lets others run.
_new_bell: type[SimpleQueue[None]] = getattr(modules.get("queue"), "SimpleQueue", _queue.SimpleQueue)


class Place:
    """The connections to one key."""

    __slots__ = ("idle", "open")

    def __init__(self) -> None:
        """Lead nowhere yet."""
        self.open: int = 0
        self.idle: deque[HTTPConnection] = deque()


class QueuedCall:
    """A call that waits for a connection.

    ``bell`` wakes it to look what it was given: ``connection``, or a slot of ``place`` to dial with, or ``error`` that
    it must raise. None of them means that a finaliser left something to clean up.
    """

    __slots__ = ("bell", "connection", "epoch", "error", "fresh", "key", "place")

    def __init__(self, key: Any, fresh: bool, epoch: int) -> None:
        """Wait for a connection to *key*; *fresh* takes none that was used before.

        A connection that is made in *epoch*, the pool's count of `close` calls, is not kept beyond it.
        """
        self.key: Any = key
        self.fresh: bool = fresh
        self.epoch: int = epoch
        self.bell: SimpleQueue[None] = _new_bell()
        self.connection: HTTPConnection | None = None
        self.place: Place | None = None
        self.error: BaseException | None = None

    @property
    def has_slot(self) -> bool:
        """Whether it may dial."""
        return self.place is not None

    def is_served(self) -> bool:
        """Say whether it need not wait any longer."""
        return self.connection is not None or self.place is not None

    def abort(self, error: BaseException) -> None:
        """Wake the thread with *error*."""
        self.error = error
        self.bell.put(None)
