"""A connection with TLS between the socket and the engine: how its waits are bounded, and what its errors mean.

One read here is several of the kernel's: a record has a head and a body, and may hold no data at all.  The ssl module
retries them through the kernel's timeouts for ever, unless it takes its socket for one that does not block.  So it is
told that, and the descriptor blocks nevertheless: each of the kernel's waits is bounded then, as on plain TCP, and none
is paid for twice.  A total deadline has to hold for all of them together, so it is watched from here.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from client.exceptions import SSLError
from client.transport.connection import RECEIVE_SIZE, HTTPConnection, describe, is_would_block
from client.transport.readiness import milliseconds

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Sequence

    from client.exceptions import RemoteDisconnected
    from client.timeouts import Deadline
    from client.transport.splice import Pipe

__all__ = ["TLSConnection"]

#: Bytes offered to TLS at a time: it encrypts what it is offered before it finds out that there is no room.
_SLICE: Final = 262144

#: Who waits where the socket is not ready.
_KERNEL: Final = "kernel"
_PYTHON: Final = "Python"
_NOBODY: Final = "nobody"

_Result = TypeVar("_Result")


class TLSConnection(HTTPConnection):
    """As `HTTPConnection`, around an `ssl.SSLSocket` or what behaves like one."""

    __slots__ = ("_waiter",)

    sock: ssl.SSLSocket
    is_tls: ClassVar[bool] = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take over the socket, in blocking mode; arguments as for `HTTPConnection`."""
        super().__init__(*arguments, **options)
        self._waiter: str = _PYTHON

    # -- waiting ----------------------------------------------------------------------------------------------

    def _leave_waiting_to(self, who: str, seconds: float | None = 0.0) -> None:
        """Have the kernel wait, or Python for *seconds*, or nobody."""
        self._waiter = who
        self.sock.settimeout(seconds)
        if who is _KERNEL:
            os.set_blocking(self.sock.fileno(), True)

    def _within(
        self,
        limit: float | None,
        by_kernel: bool,
        wait_first: bool,
        operation: Callable[..., _Result],
        *arguments: Any,
    ) -> _Result:
        """Return what *operation* does with *arguments*, in *limit* seconds.

        Args:
            by_kernel: Whether the kernel's timeouts bound it.
            wait_first: Whether there is hardly anything there yet. To find that out, ssl needs a system call and an
                exception more.

        Raises:
            TimeoutError, ssl.SSLError, OSError: It took longer, or failed.
        """
        began = monotonic()
        if not by_kernel and wait_first and not self._has_come_within(milliseconds(limit)):
            raise TimeoutError
        who = _KERNEL if by_kernel else _NOBODY
        if who is not self._waiter:
            self._leave_waiting_to(who)
        try:
            return operation(*arguments)
        except OSError as error:
            return self._go_on_after(error, began, limit, operation, *arguments)

    def _go_on_after(
        self,
        error: OSError,
        began: float,
        limit: float | None,
        operation: Callable[..., _Result],
        *arguments: Any,
    ) -> _Result:
        """Repeat *operation* for the rest of *limit* if what ended it was only that it would have had to wait."""
        if not is_would_block(error):
            raise error
        # Not whole yet, whatever it is, or a signal woke the kernel; if it was the limit, no time is left.
        left = None if limit is None else began + limit - monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        self._leave_waiting_to(_PYTHON, left)
        return operation(*arguments)

    def _has_come_within(self, limit: int) -> bool:
        return bool(self.sock.pending() or (self._poll or self._make_poll())(limit))

    def wait(self, *, for_write: bool, seconds: float | None) -> tuple[bool, bool]:
        """As `HTTPConnection.wait`; what is decrypted already is readable, whatever the kernel has."""
        return (True, False) if self.sock.pending() else super().wait(for_write=for_write, seconds=seconds)

    # -- receiving ----------------------------------------------------------------------------------------------

    # `read` and `write`, not `recv` and `send`: those have a look at flags first, and where the TLS layer is gone they
    # would go on in the clear.

    def receive(self, size: int, deadline: Deadline) -> bytes:
        """As `HTTPConnection.receive`."""
        limit = deadline.timeouts.read
        if self._waiter is not _KERNEL or limit is not self._receive_limit or deadline.expires_at is not None:
            return self._read(deadline, self.sock.read, size)
        # All is set, as mostly; what `_read` and `_within` do then, without these two calls.
        began = monotonic()
        try:
            data = self.sock.read(size)
        except OSError as error:
            try:
                data = self._go_on_after(error, began, limit, self.sock.read, size)
            except OSError as failure:
                raise self._read_failure(failure, deadline) from failure
        if self.error is not None:
            raise self.error
        return data

    def receive_into(self, buffer: bytearray | memoryview | Pipe, size: int, deadline: Deadline) -> int:
        """As `HTTPConnection.receive_into`, but into no pipe."""
        return self._read(deadline, self.sock.read, size, buffer)  # type: ignore[return-value]  # a count, with a buffer

    def _read(self, deadline: Deadline, read: Callable[..., _Result], *arguments: Any) -> _Result:
        by_kernel = self.is_kernel_timed and deadline.expires_at is None
        limit = deadline.timeouts.read if by_kernel else deadline.remaining("read", "read")
        if by_kernel and limit is not self._receive_limit:
            self._limit_receive(limit)  # type: ignore[arg-type]  # complete limits
        try:
            result = self._within(limit, by_kernel, True, read, *arguments)  # type: ignore[arg-type]  # as above
        except OSError as error:
            raise self._read_failure(error, deadline) from error
        if self.error is not None:
            raise self.error
        return result

    def receive_ready(self) -> bytes | None:
        """As `HTTPConnection.receive_ready`; what TLS failed with is in ``alert`` then."""
        try:
            return self._read_ready(RECEIVE_SIZE)
        except OSError as error:
            if is_would_block(error):
                return None
            self._note_alert(error)
            return b""

    def _read_ready(self, size: int) -> bytes:
        if self._waiter is not _NOBODY:
            self._leave_waiting_to(_NOBODY)
        return self.sock.read(size)

    def _note_alert(self, error: OSError) -> None:
        failure = self._broken(error, "reading")
        if isinstance(failure, SSLError):
            failure.__cause__ = error
            self.alert: SSLError | None = failure

    def _broken(self, error: OSError, doing: str) -> RemoteDisconnected | SSLError:
        """As `HTTPConnection._broken`; a cut without close_notify is no failure of TLS: the peer is gone."""
        import ssl

        if isinstance(error, ssl.SSLError) and not isinstance(
            error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)
        ):
            return SSLError(f"TLS failed while {doing}: {describe(error)}")
        return super()._broken(error, doing)

    # -- sending ----------------------------------------------------------------------------------------------

    def send_whole(self, data: bytes, deadline: Deadline) -> None:
        """As `HTTPConnection.send_whole`; the count of bytes is that of whole writes."""
        sent = 0
        while sent < len(data):
            rest = memoryview(data)[sent:] if sent else data
            limit = deadline.timeouts.write
            try:
                if (
                    self._waiter is _KERNEL and limit is self._send_limit and deadline.expires_at is None
                ):  # as in `receive`
                    began = monotonic()
                    try:
                        sent += self.sock.write(rest)
                    except OSError as error:
                        sent += self._go_on_after(error, began, limit, self.sock.write, rest)
                else:
                    sent += self._write(deadline, rest)
            except OSError as error:
                raise self.write_failure(error, deadline, sent) from error
            if self.error is not None:
                raise self.error

    def _write(self, deadline: Deadline, data: bytes | memoryview) -> int:
        by_kernel = self.is_kernel_timed and deadline.expires_at is None
        limit = deadline.timeouts.write if by_kernel else deadline.remaining("write", "write")
        if by_kernel:
            self._limit_send(limit)  # type: ignore[arg-type]  # complete limits
        return self._within(limit, by_kernel, False, self.sock.write, data)  # type: ignore[arg-type]  # as above

    def send_ready(self, parts: Sequence[bytes | memoryview]) -> int:
        """As `HTTPConnection.send_ready`."""
        if self._waiter is not _NOBODY:
            self._leave_waiting_to(_NOBODY)
        try:
            return self.sock.write(memoryview(parts[0])[:_SLICE])
        except OSError as error:
            if is_would_block(error):
                return 0
            raise

    # -- the pool's questions ------------------------------------------------------------------------------------

    def is_alive(self) -> bool:
        """As `HTTPConnection.is_alive`; but a session ticket may wait to be read, which is no data."""
        if self.sock.pending():
            return False
        if super().is_alive():
            return True
        try:
            self._read_ready(1)
        except OSError as error:
            return is_would_block(error)
        return False

    def has_spoken(self) -> bool:
        """As `HTTPConnection.has_spoken`."""
        try:
            return self._has_come_within(0) and bool(self._read_ready(1))
        except OSError as error:
            if not is_would_block(error):
                self._note_alert(error)
            return False

    # -- ending -------------------------------------------------------------------------------------------------

    def detach(self) -> socket.socket:
        """As `HTTPConnection.detach`."""
        sock = super().detach()
        sock.settimeout(None)
        return sock
