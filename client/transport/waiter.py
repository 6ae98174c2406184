"""The waits of one dial: bounded by its budget, ended by its stop switch.

Name look-up, racing connects, a proxy's answer and the TLS handshake all wait here, on the calling thread, in
one selector that also holds a wake-up socket.  No other room of the dial decides how long to wait or looks at
the switch.  Sockets that wait here are non-blocking.
"""

from __future__ import annotations

import selectors
import socket
from _thread import RLock
from typing import TYPE_CHECKING, Final

from client.exceptions import ConnectError
from client.transport.forked import HOLDERS

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from client.timeouts import Budget, Phase
    from client.transport.cancel import CancelToken

__all__ = ["Waiter"]

# A few sockets at most: poll needs no descriptor of its own, as epoll and kqueue do. Windows has select only.
_Selector: Final[type[selectors.BaseSelector]] = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Waiter:
    """Waits for sockets; a context manager that owns its wake-up socket.

    Args:
        budget: What all waits together may take.
        cancel: The stop switch of the call, None if nobody holds one.
    """

    __slots__ = (
        "__weakref__", "_budget", "_cancel", "_closed", "_lock", "_selector", "_sockets", "_wake_in", "_wake_out"
    )  # fmt: skip

    def __init__(self, budget: Budget, cancel: CancelToken | None = None) -> None:
        """Hold both; sockets are opened on entering."""
        self._budget = budget
        self._cancel = cancel
        self._lock = RLock()  # as in `CancelToken`
        self._closed = False
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        """Open the wake-up socket and let the switch know whom to wake.

        Raises:
            BaseException: The call was cancelled before.
            ConnectError: No descriptor is left.
        """
        try:
            self._wake_out, self._wake_in = socket.socketpair()
        except OSError as error:
            raise ConnectError(f"cannot open a socket: {error.strerror}") from error
        self._sockets += (self._wake_out, self._wake_in)
        HOLDERS.add(self)
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._selector = _Selector()
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        try:
            if self._cancel is not None:
                self._cancel.attach(self)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take leave of the switch and close the wake-up socket; what waited here is its owner's to close.

        Raises:
            BaseException: No connection came about since the call was stopped: as `wait`.
        """
        if self._cancel is not None:
            self._cancel.detach()
        self._close()
        if isinstance(error, ConnectError):
            self._check()

    def _check(self) -> None:
        if self._cancel is not None:
            self._cancel.check()

    def _close(self) -> None:
        # Under the lock: a late `wake` would else write to a number that belongs to somebody else by now.
        with self._lock:
            self._closed = True
            self._sockets.clear()
            HOLDERS.discard(self)  # else a finaliser would, in which a Ctrl-C is lost
            self._selector.close()
            self._wake_in.close()
            self._wake_out.close()

    def abort(self, error: BaseException) -> None:
        """Make the waiting thread look at the switch; the switch holds *error*."""
        self.wake()

    def wake(self) -> None:
        """End the current wait, or else the next one; from any thread, also after the dial is over."""
        with self._lock:
            if not self._closed:
                try:
                    self._wake_in.send(b"\0")
                except OSError:
                    pass  # full of wake-ups that nobody has read yet; or a forked child's

    def own(self, sock: socket.socket) -> None:
        """Count *sock* among this dial's until that is over: a forked child is not to touch it. Closes nothing.

        Raises:
            BaseException: The call was stopped; as `wait`.
        """
        self._sockets.append(sock)
        self._check()

    def leave_to_parent(self) -> list[socket.socket]:
        """Return the sockets of this dial; see `client.transport.forked`."""
        self._lock = RLock()
        return self._sockets

    def watch(self, sock: socket.socket, events: int) -> None:
        """Have `wait` return *sock* when one of *events* (``selectors.EVENT_*``) happens to it."""
        self._selector.register(sock, events)

    def forget(self, sock: socket.socket) -> None:
        """Watch *sock* no longer; must come before it is closed."""
        self._selector.unregister(sock)

    def wait(self, phase: Phase, at_most: float | None = None) -> list[socket.socket]:
        """Wait until a watched socket is ready, somebody calls `wake`, or *at_most* seconds have passed.

        Args:
            phase: Named by the error if the budget runs out.
            at_most: Seconds; None waits for as long as the budget allows.

        Returns:
            The sockets that are ready; empty for the other two reasons.

        Raises:
            Timeout: The budget is used up; ``phase`` says where.
            BaseException: The call was cancelled; the switch's own error.
        """
        left = self._budget.remaining(phase)
        seconds = left if at_most is None or (left is not None and left < at_most) else at_most
        ready = [key.fileobj for key, _ in self._selector.select(seconds)]
        self._check()
        if not ready:
            self._budget.remaining(phase)
        elif self._wake_out in ready:
            ready.remove(self._wake_out)
            self._wake_out.recv(4096)
        return ready  # type: ignore[return-value]  # only sockets are registered

    def until_readable(self, sock: socket.socket, phase: Phase) -> None:
        """Wait until *sock* has something to read, be it EOF or an error; raises as `wait`."""
        self._until(sock, selectors.EVENT_READ, phase)

    def until_writable(self, sock: socket.socket, phase: Phase) -> None:
        """Wait until *sock* takes bytes or has failed; raises as `wait`."""
        self._until(sock, selectors.EVENT_WRITE, phase)

    def _until(self, sock: socket.socket, events: int, phase: Phase) -> None:
        self.watch(sock, events)
        try:
            while sock not in self.wait(phase):
                pass
        finally:
            self.forget(sock)
