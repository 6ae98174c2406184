"""A socket, the engine that frames it, and what the pool must know of the two.

Every byte in and out goes through `protocol.Connection`; this room only moves bytes and watches the limits.
A connection has one owner at a time: the pool, the exchange that sends and waits on it, or the response that
still streams from it.  Only the owner closes the descriptor; anybody may `abort`.

Kernel timeouts (SO_RCVTIMEO, SO_SNDTIMEO) bound each wait under Linux, since a Python socket timeout costs one more
system call every time.  Python itself retries through them for ever where a timer's signals interrupt them, gevent's
sockets don't see them, and elsewhere their form differs: there, `settimeout` does it.  What TLS needs beyond that is in
`client.transport.tls_connection`.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
from _thread import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Final

from client import protocol
from client.exceptions import RemoteDisconnected, SSLError
from client.response_limits import DEFAULT_RESPONSE_LIMITS
from client.transport.readiness import glance, poll, readable_poll
from client.transport.splice import Pipe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from client.exceptions import Timeout
    from client.response_limits import ResponseLimits
    from client.timeouts import Deadline
    from client.transport.file_span import FileSpan
    from client.transport.wire import ConnectionInfo

__all__ = ["RECEIVE_SIZE", "HTTPConnection", "describe", "is_would_block"]

#: Bytes asked of one read. More would come from fresh pages each time (malloc maps blocks of 128 KiB and up), and
#: touching those costs more than the calls that are saved.
RECEIVE_SIZE: Final = 65536

_HAS_KERNEL_TIMEOUTS: Final = sys.platform == "linux"
_HAS_SENDMSG: Final = hasattr(socket.socket, "sendmsg")
_DONT_WAIT: Final = getattr(socket, "MSG_DONTWAIT", 0)
_timeval = struct.Struct("@ll").pack


class HTTPConnection:
    """One connection to one place.

    Args:
        sock: Connected, in blocking mode.
        info: Facts of the connection.
        key: The pool's key for it.
        epoch: The pool's count of `close` calls, and of forks, when it was made.
        limits: What may come in on it.

    Attributes:
        is_tls: Whether it is a `TLSConnection`.
        is_kernel_timed: Whether the kernel bounds its waits; the descriptor blocks then.
        asked: The last request's method, target and fields, and the event that was made of them: an event is read-only,
            so the same request is not checked and laid out again.
        error: What a wait on this connection must raise once `abort` was called, or in a forked child; None before.
        alert: What the TLS layer failed with when somebody looked without waiting: it says so once, and is at its end
            afterwards.
        reused: True once it has served a request.
        turns: How often it was given back to the pool; another number means another user.
    """

    __slots__ = (
        "_glance",
        "_lock",
        "_poll",
        "_receive_limit",
        "_send_limit",
        "alert",
        "asked",
        "closed",
        "created_at",
        "engine",
        "epoch",
        "error",
        "expires_at",
        "idle_limit",
        "info",
        "is_kernel_timed",
        "key",
        "limits",
        "reused",
        "sock",
        "turns",
    )

    is_tls: ClassVar[bool] = False

    def __init__(
        self,
        sock: socket.socket,
        info: ConnectionInfo,
        key: Any,
        *,
        epoch: int = 0,
        limits: ResponseLimits = DEFAULT_RESPONSE_LIMITS,
    ) -> None:
        """Take over *sock*; from now on this object closes it."""
        self.sock: socket.socket = sock
        self.info: ConnectionInfo = info
        self.key: Any = key
        self.epoch: int = epoch
        self.limits: ResponseLimits = limits
        self.engine: protocol.Connection = protocol.Connection(
            protocol.CLIENT, limits=limits, coalesce_chunks=True
        )
        self.is_kernel_timed: bool = _HAS_KERNEL_TIMEOUTS and _waits_in_kernel(sock) and not _has_timer()
        self._receive_limit: float | None = None
        self._send_limit: float | None = None
        self._lock = RLock()  # as in `CancelToken`
        self._poll: Callable[[int], object] | None = None
        self._glance: Callable[[], object] | None = None
        self.created_at: float = monotonic()
        self.expires_at: float = 0.0
        self.idle_limit: float | None = None
        self.turns: int = 0
        self.asked: tuple[str, bytes, list[tuple[bytes, bytes]], protocol.Request] | None = None
        self.reused: bool = False
        self.closed: bool = False
        self.error: BaseException | None = None
        self.alert: SSLError | None = None

    # -- waiting ----------------------------------------------------------------------------------------------

    def _limit_receive(self, seconds: float | None) -> None:
        """Bound the next receives by *seconds* (None: no bound); a change below 1 ms is not worth a call."""
        before = self._receive_limit
        if before is not None and seconds is not None and -0.001 < before - seconds < 0.001:
            return
        self._receive_limit = seconds
        if self.is_kernel_timed:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _as_timeval(seconds))
        else:
            self._send_limit = seconds
            self.sock.settimeout(seconds)

    def _limit_send(self, seconds: float | None) -> None:
        """Bound the next sends, as `_limit_receive` does the receives."""
        if not self.is_kernel_timed:
            self._limit_receive(seconds)
            return
        before = self._send_limit
        if before is not None and seconds is not None and -0.001 < before - seconds < 0.001:
            return
        self._send_limit = seconds
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _as_timeval(seconds))

    def wait(self, *, for_write: bool, seconds: float | None) -> tuple[bool, bool]:
        """Wait until the socket is readable, or writable if asked.

        Returns:
            (readable, writable); both False after *seconds*.

        Raises:
            BaseException: `abort` was called; its error.
        """
        ready = poll(self.sock.fileno(), for_write=for_write, seconds=seconds)
        if self.error is not None:
            raise self.error
        return ready

    # -- receiving ----------------------------------------------------------------------------------------------

    def receive(self, size: int, deadline: Deadline) -> bytes:
        """Return between 1 and *size* bytes from the peer, ``b""`` if it closed its side.

        Raises:
            ReadTimeout, TotalTimeout: Nothing came in time.
            RemoteDisconnected: The connection broke (reset, or TLS cut without close_notify).
            SSLError: The TLS layer failed in another way; only a `TLSConnection`.
        """
        # Without a total deadline the limit is the setting, which is asked for here without two calls.
        limit = deadline.timeouts.read if deadline.expires_at is None else deadline.remaining("read", "read")
        if limit is not self._receive_limit:
            self._limit_receive(limit)  # type: ignore[arg-type]  # complete limits, see `Deadline`
        try:
            data = self.sock.recv(size)
        except OSError as error:
            raise self._read_failure(error, deadline) from error
        if self.error is not None:
            raise self.error
        return data

    def receive_into(self, buffer: bytearray | memoryview | Pipe, size: int, deadline: Deadline) -> int:
        """Receive at most *size* bytes into *buffer*; return their count, 0 if the peer closed its side.

        Raises:
            ReadTimeout, TotalTimeout, RemoteDisconnected, SSLError: As `receive`.
        """
        limit = deadline.remaining("read", "read")
        if limit is not self._receive_limit:
            self._limit_receive(limit)
        try:
            count = (
                buffer.fill(self.sock, size)
                if isinstance(buffer, Pipe)
                else self.sock.recv_into(buffer, size)
            )
        except OSError as error:
            raise self._read_failure(error, deadline) from error
        if self.error is not None:
            raise self.error
        return count

    def receive_ready(self) -> bytes | None:
        """Return what has arrived without waiting; None if nothing has, ``b""`` at the end or on a reset."""
        try:
            if self.is_kernel_timed:
                return self.sock.recv(RECEIVE_SIZE, _DONT_WAIT)
            # The flag would not do: a socket with a timeout waits before it calls.
            self._limit_receive(0.0)
            return self.sock.recv(RECEIVE_SIZE)
        except OSError as error:
            return None if is_would_block(error) else b""

    def _read_failure(self, error: OSError, deadline: Deadline) -> BaseException:
        """Translate what a receive raised; the only place that does."""
        if self.error is not None:
            return self.error
        if is_would_block(error):
            return deadline.error("read", "read")
        return self._broken(error, "reading")

    def _broken(self, error: OSError, doing: str) -> RemoteDisconnected | SSLError:
        """Say what *error* makes of this connection."""
        return RemoteDisconnected(f"the connection broke while {doing}: {describe(error)}")

    # -- sending ----------------------------------------------------------------------------------------------

    def send_whole(self, data: bytes, deadline: Deadline) -> None:
        """Send *data* in blocking mode; for heads and small bodies.

        Raises:
            WriteTimeout, TotalTimeout: The peer took nothing in time; ``bytes_sent`` is exact.
            RemoteDisconnected: The connection broke; ``bytes_sent`` is exact.
        """
        sent = 0
        while sent < len(data):
            # As in `receive`.
            limit = (
                deadline.timeouts.write
                if deadline.expires_at is None
                else deadline.remaining("write", "write")
            )
            if limit is not self._send_limit:
                self._limit_send(limit)  # type: ignore[arg-type]  # as above
            try:
                # Never sendall: it does not tell how much the kernel took before it failed.
                sent += self.sock.send(memoryview(data)[sent:] if sent else data)
            except OSError as error:
                raise self.write_failure(error, deadline, sent) from error
            if self.error is not None:
                raise self.error

    def send_ready(self, parts: Sequence[bytes | memoryview]) -> int:
        """Send as much of *parts* as the kernel takes at once; return the count of bytes, 0 if none.

        Raises:
            OSError: The connection broke; see `write_failure`.
        """
        try:
            if self.is_kernel_timed:
                return self.sock.sendmsg(parts, (), _DONT_WAIT)
            self._limit_receive(0.0)  # as in `receive_ready`
            return self.sock.sendmsg(parts) if _HAS_SENDMSG else self.sock.send(parts[0])
        except OSError as error:
            if is_would_block(error):
                return 0
            raise

    def set_blocking(self, flag: bool) -> None:
        """Have the descriptor block, or not for a while: sendfile knows no MSG_DONTWAIT. Not under TLS."""
        if self.is_kernel_timed:
            os.set_blocking(self.sock.fileno(), flag)
        elif not flag:
            self._limit_receive(0.0)  # whoever waits next sets another limit

    def is_paced(self) -> bool:
        """Say whether the kernel spreads this connection's packets over time, as BBR has it do; Linux only."""
        try:
            name = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
        except (AttributeError, OSError):  # another system; a Unix socket
            return False
        return name.startswith(b"bbr")

    def send_span_ready(self, span: FileSpan, start: int, count: int) -> int:
        """As `send_ready`, for *count* bytes of *span* from its *start*-th on; after ``set_blocking(False)``.

        Raises:
            InvalidBody: The file ends before the span does.
            OSError: As `FileSpan.send`.
        """
        try:
            return span.send(self.sock, start, count)
        except BlockingIOError:
            return 0

    def write_failure(self, error: OSError, deadline: Deadline, bytes_sent: int) -> BaseException:
        """Translate what a send raised; the only place that does."""
        if self.error is not None:
            return self.error
        failure: Timeout | SSLError | RemoteDisconnected
        failure = (
            deadline.error("write", "write") if is_would_block(error) else self._broken(error, "sending")
        )
        failure.bytes_sent = bytes_sent
        return failure

    # -- the pool's questions ------------------------------------------------------------------------------------

    def is_alive(self) -> bool:
        """Say whether an idle connection is still silent and open.

        Bytes on an idle connection are an unasked-for answer or the peer's goodbye: never parsed, the
        connection is dropped (RFC 9112 section 9.2). Raises what an `abort` in this very moment gave.
        """
        readable = (self._glance or self._make_glance())()
        if not readable:
            return True  # the kernel has nothing for us, not even an end
        if readable == -1:
            return self.is_alive()
        if self.error is not None:
            raise self.error  # meant for the call that took it out of the pool just now, not for it alone
        return False

    def _make_poll(self) -> Callable[[int], object]:
        """Make what says whether the socket is readable; once a connection, since most of its cost is in making it."""
        self._poll = readable_poll(self.sock.fileno())
        return self._poll

    def _make_glance(self) -> Callable[[], object]:
        """As `_make_poll`, for a look that never waits."""
        self._glance = glance(self.sock.fileno(), self._poll or self._make_poll())
        return self._glance

    def has_spoken(self) -> bool:
        """Say whether the peer of a fresh connection sent something before it was asked.

        That is another protocol's greeting, or an answer that was made before the question; neither may be taken for
        an answer to it. An end or an error is no speech: sending and waiting will meet it.
        """
        try:
            return bool((self._poll or self._make_poll())(0) and self.sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    # -- ending -------------------------------------------------------------------------------------------------

    def abort(self, error: BaseException | None) -> None:
        """Make whoever waits on this connection raise *error*; callable from any thread, never blocks.

        The flag goes first: a read that the shutdown wakes returns ``b""``, which without it would look like
        the peer's own close. None only wakes him, who has a flag of his own.
        """
        with self._lock:
            if self.closed or self.error is not None:
                return
            self.error = error
            try:
                # Not SSLSocket.shutdown: it drops the TLS layer, and the next recv returns raw records.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
            except OSError:
                pass  # not connected any more, so nobody can be blocked in it

    def close(self) -> None:
        """Close the descriptor; for the owner only. Idempotent."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            self.sock.close()

    def leave_to_parent(self, error: BaseException) -> socket.socket:
        """Have each wait raise *error* in a forked child, and return the socket; see `client.transport.forked`."""
        self._lock = RLock()
        self.error = error
        return self.sock

    def detach(self) -> socket.socket:
        """Hand the socket over, in blocking mode and without limits; it is no longer ours to close."""
        with self._lock:
            self.closed = True
        self._limit_receive(None)
        self._limit_send(None)
        return self.sock

    def __repr__(self) -> str:
        """Show where it leads and what it is doing."""
        state = "closed" if self.closed else f"{self.engine.our_state}/{self.engine.their_state}"
        return f"<HTTPConnection {self.info.peer} {state}>"


def _waits_in_kernel(sock: socket.socket) -> bool:
    """Say whether *sock* is Python's own, so that the kernel's timeouts count."""
    return type(sock).__module__ in ("socket", "ssl")


def _has_timer() -> bool:
    """Say whether this process gets signals in a steady beat, as a profiler has them.

    Python calls `recv` again after a signal, and the kernel begins its timeout anew; beats that are closer than the
    timeout would make it wait for ever. (Python's own timeout goes on counting.)
    """
    timers = (getattr(signal, name, None) for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF"))
    return any(timer is not None and signal.getitimer(timer)[1] for timer in timers)


def _as_timeval(seconds: float | None) -> bytes:
    """Pack a kernel timeout; zero would mean "for ever", so the least is one microsecond."""
    if seconds is None:
        return _timeval(0, 0)
    microseconds = max(1, int(seconds * 1_000_000))
    return _timeval(microseconds // 1_000_000, microseconds % 1_000_000)


def is_would_block(error: OSError) -> bool:
    """Say whether a socket call ended for lack of time or readiness, in any of the ways that it can."""
    # By name, since naming the ssl classes would import ssl into programs that use none of it.
    return isinstance(error, (BlockingIOError, TimeoutError)) or type(error).__name__ in (
        "SSLWantReadError",
        "SSLWantWriteError",
    )


def describe(error: OSError) -> str:
    """Return what *error* says."""
    return error.strerror or str(error) or type(error).__name__
