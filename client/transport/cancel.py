"""Stopping a call from another thread.

The flag is set first and the blocked wait is woken after it, so whoever wakes sees why.  A wake-up only ever
shuts a socket down or writes to a self-made one; closing a descriptor is left to its owner, because a number
that is closed twice may belong to somebody else by then.
"""

from __future__ import annotations

from _thread import LockType, RLock, allocate_lock
from typing import Protocol

__all__ = ["Abortable", "CancelToken"]


class Abortable(Protocol):
    """Something that a thread may be blocked in: a connection, a dial, a place in the pool's queue."""

    def abort(self, error: BaseException) -> None:
        """Make the blocked thread raise *error*; must neither block nor close a descriptor."""


class CancelToken:
    """The stop switch of one call; safe to use from any thread.

    Attributes:
        error: What the call must raise, or None while it may go on.
    """

    __slots__ = ("_lock", "_target", "error")

    def __init__(self) -> None:
        """Start with nothing to stop."""
        # The garbage collector may end a forgotten `map`, and stop its calls, while this thread holds it.
        self._lock = RLock()
        self._target: Abortable | None = None
        self.error: BaseException | None = None

    def cancel(self, error: BaseException) -> bool:
        """Stop the call with *error*; return False if it had been stopped before."""
        with self._lock:
            if self.error is not None:
                return False
            self.error = error
            if self._target is not None:
                self._target.abort(error)
        return True

    def leave_to_parent(self, error: BaseException) -> None:
        """Stop the call with *error* in a forked child, where a thread may hold the lock that does not exist there."""
        self._lock = RLock()
        if self.error is None and isinstance(self._target, _Sleep):
            self._target.abort(error)  # whoever waits for anything else is woken by that
        self.error = error

    def attach(self, target: Abortable) -> None:
        """Name what the call is about to block in.

        Raises:
            BaseException: The call was cancelled before; `error` is raised.
        """
        with self._lock:
            self._target = target
            if self.error is None:  # looked at last: whoever stops the call now finds the target
                return
            self._target = None
        raise self.error

    def detach(self) -> None:
        """Forget the target; it must not be aborted from now on."""
        with self._lock:
            self._target = None

    def sleep(self, seconds: float) -> None:
        """Wait for *seconds*, or until the call is cancelled.

        Raises:
            BaseException: The call was cancelled; `error` is raised.
        """
        sleep = _Sleep()
        self.attach(sleep)
        sleep.end.acquire(timeout=seconds)
        self.detach()
        self.check()

    def check(self) -> None:
        """Raise `error` if the call was cancelled."""
        if self.error is not None:
            raise self.error


class _Sleep:
    """A sleep that can be ended: the sleeper waits for a lock that nobody holds but himself."""

    __slots__ = ("end",)

    def __init__(self) -> None:
        self.end: LockType = allocate_lock()
        self.end.acquire()

    def abort(self, error: BaseException) -> None:
        """Wake the sleeper, who finds *error* on the token; that can be stopped only once."""
        self.end.release()
