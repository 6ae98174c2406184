"""A response on its way in: its head has come, its body streams.

The `ResponseStream` owns the connection until the body is complete, and then hands it back to the pool or has it
closed.  A body is complete when the framing says so, never because the peer went away (RFC 9112 section 8).
"""

from __future__ import annotations

from _thread import get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from client import protocol
from client.exceptions import (
    ChunkedEncodingError,
    IncompleteBody,
    ProtocolError,
    RemoteDisconnected,
    SSLError,
    StreamConsumedError,
)
from client.transport.connection import RECEIVE_SIZE
from client.transport.pool_limits import keep_alive_seconds
from client.transport.upload import Answer
from client.transport.whole_body import read_rest

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from client.transport.owner import Owner
    from client.transport.splice import Pipe
    from client.transport.wire import ConnectionInfo

__all__ = ["ResponseStream"]

#: A run of body bytes must be this long before reading past the engine pays.
_PASSTHROUGH_MIN: Final = 32768

#: Seconds that `drain` waits for the rest of a body.
_DRAIN_SECONDS: Final = 0.25

_UNREAD: Final = "its response was not read to the end"

_Received = TypeVar("_Received", bytes, int)


class ResponseStream(Answer):
    """A final response whose body is still on the wire; see `client.transport.wire.WireResponse`.

    It exists before its head has come: as the `Answer` that `exchange` waits for, which also sets what is declared
    here without a value.
    """

    status: int
    reused: bool
    _head: protocol.Response | protocol.InformationalResponse
    owner: Owner
    stamps: tuple[float, float, float, float]  # monotonic seconds of start, connection, request sent, head
    _lines: bytes  # the head's field lines in lower case
    _buffer: bytes | memoryview = b""
    _finished: bool = True  # no: there is nothing to read, or to give up, before there is a head
    _failure: BaseException | None = None
    _reader: int | None = None  # the thread that read last
    _closer: int | None = None  # the thread that takes in the rest, to close
    _is_receiving: bool = False
    _closed_in_turn: int | None = None  # of the connection; where it was closed before its end
    _received: int = 0
    _body_read_at: float = 0.0
    _end: protocol.EndOfMessage | None = None

    def begin(
        self, head: protocol.Response | protocol.InformationalResponse, *, may_have_switched: bool
    ) -> None:
        """Own the connection from here on; take in what has come of the body together with *head*."""
        self._head = head
        self.status = head.status_code
        self._lines = head.headers.lines.lower()
        self._finished = False
        engine = self.connection.engine
        if (whole := engine.take_rest()) is not None:  # small bodies mostly come with their heads
            self._received, self._buffer = len(whole), whole
            self._finish()
            return
        self.__class__ = _Unread
        if not may_have_switched or engine.their_state is not protocol.SWITCHED_PROTOCOL:
            self._buffer = self._buffered()

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """Fields in order, names as the peer wrote them."""
        return self._head.headers.raw_items()

    @property
    def reason(self) -> bytes:
        """The reason phrase, may be empty."""
        return self._head.reason

    @property
    def http_version(self) -> bytes:
        """``b"1.1"`` or ``b"1.0"``."""
        return self._head.http_version

    @property
    def trailers(self) -> list[tuple[bytes, bytes]]:
        """Trailer fields; empty until the body is complete."""
        return [] if self._end is None else self._end.headers.raw_items()

    @property
    def info(self) -> ConnectionInfo:
        """Facts of the connection."""
        return self.connection.info

    def has_field(self, name: bytes) -> bool:
        """Say whether a header field of that lower-case name is there, without taking the head apart."""
        # Not `in`, which takes the bytes for an int first, and raises and forgets an error each time.
        return self._lines.find(b"\r\n%b:" % name) >= 0

    @property
    def timings(self) -> dict[str, float]:
        """Seconds by phase: queue dns connect tls send wait receive; what did not happen is 0."""
        started, acquired, sent, head = self.stamps
        info = self.info
        dns, connect, tls = (0.0, 0.0, 0.0) if self.reused else (info.dns, info.connect, info.tls)
        return {
            "queue": max(0.0, acquired - started - dns - connect - tls),
            "dns": dns,
            "connect": connect,
            "tls": tls,
            "send": sent - acquired,
            "wait": head - sent,
            "receive": self._body_read_at - head if self._body_read_at else 0.0,
        }

    # -- reading --------------------------------------------------------------------------------------------------

    def read(self, size: int | None = None) -> bytes:
        """Return the next bytes of the body: at most *size* and at least one, or all that is left if None.

        ``b""`` means that the body is complete.

        Raises:
            IncompleteBody: The peer closed or broke off first.
            ChunkedEncodingError: The framing is broken.
            SSLError: TLS is.
            ReadTimeout, TotalTimeout: Too late. These carry in ``partial`` what a read of all had got.
            ForkError: The response belongs to the parent process.
        """
        if size is None or size < 0:
            if self._finished and self._failure is None:  # a small body mostly came with its head
                whole, self._buffer = self._buffer, b""
                return whole if type(whole) is bytes else bytes(whole)
            self._reader = get_ident()
            return read_rest(self)
        self._reader = get_ident()
        data = self._buffer or self._guarded(self._receive, size)
        if len(data) <= size:
            self._buffer = b""
            return bytes(data)
        self._buffer = memoryview(data)[size:]
        return bytes(memoryview(data)[:size])

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill *buffer* from its start; return the count of bytes, 0 when the body is complete.

        Where the next bytes on the wire are nothing but body, they are received straight into *buffer*.

        Raises:
            IncompleteBody, ChunkedEncodingError, ReadTimeout, TotalTimeout, ForkError: As `read`.
        """
        # Released in any case: the traceback of an error would else keep the caller's buffer from changing its size.
        self._reader = get_ident()
        with memoryview(buffer).cast("B") as view:
            if not self._buffer and not self._finished:
                run = self.connection.engine.passthrough_available()
                if run:
                    return self.receive_into(view, min(run, len(view)))
            data = self.read(len(view))
            view[: len(data)] = data
            return len(data)

    def receive_into(self, view: memoryview | Pipe, size: int) -> int:
        """Receive at most *size* bytes, all of them body, into *view*; return and raise as `readinto`."""
        return self._guarded(self._receive_into, view, size)

    def _guarded(self, receive: Callable[..., _Received], *arguments: Any) -> _Received:
        """Call *receive*; give the connection up if that fails, or if another thread has closed the response."""
        self._reader = get_ident()
        self._is_receiving = True
        try:
            if self._failure is not None:  # perhaps of a thread that closes it, and did not see us at it
                raise self._failure
            return receive(*arguments)
        except BaseException as error:
            failure = self._failed(error)
            if failure is error:
                raise
            raise failure from error
        finally:
            self._is_receiving = False
            if self._closed_in_turn == self.connection.turns:  # else it may be another call's by now
                self.owner.discard(self.connection, _UNREAD)

    def _receive(self, size: int) -> bytes:
        """Return the next bytes, waiting for them if need be; ``b""`` at the end of the body."""
        connection, deadline = self.connection, self.call.deadline
        engine = connection.engine
        while not self._finished:
            if engine.their_state is protocol.SWITCHED_PROTOCOL:
                return b""
            run = engine.passthrough_available()
            if run >= _PASSTHROUGH_MIN:
                data = connection.receive(min(run, size, RECEIVE_SIZE), deadline)
                if data:
                    self._passed(len(data), run)
                    return data
            else:
                data = connection.receive(RECEIVE_SIZE, deadline)
            engine.receive_data(data)
            if body := self._buffered():
                return body
        if self._failure is not None:
            raise self._failure
        return b""

    def _receive_into(self, view: memoryview | Pipe, size: int) -> int:
        engine = self.connection.engine
        if self._finished:  # and the connection may be another call's by now
            raise StreamConsumedError("another thread closed the response")
        run = engine.passthrough_available()
        count = self.connection.receive_into(view, size, self.call.deadline)
        if count:
            self._passed(count, run)
            return count
        engine.receive_data(b"")
        self._buffered()
        if self._failure is not None:
            raise self._failure
        return 0

    def _passed(self, count: int, run: int) -> None:
        """Tell the engine of *count* body bytes that went past it, out of a run of *run*."""
        self.connection.engine.passthrough_received(count)
        self._received += count
        if count == run:
            self._buffered()  # the end of the body may be due; bytes are not: the engine had none

    def _buffered(self) -> bytes:
        """Return the body bytes that the engine already holds; finish if the body's end, or a fault, follows them."""
        next_event = self.connection.engine.next_event
        data: bytes = b""
        parts: list[bytes] = []  # where there is more than one
        try:
            while type(event := next_event()) is protocol.Data:
                piece: bytes = event.data  # type: ignore[assignment]  # received data is bytes
                self._received += len(piece)
                if data:
                    parts = parts or [data]
                    parts.append(piece)
                else:
                    data = piece
            if type(event) is protocol.EndOfMessage:  # else NEED_DATA
                self._end = event
                self._finish()
        except protocol.RemoteProtocolError as error:
            # What came before the fault is delivered first; the next read raises it.
            self._failed(error)
        return b"".join(parts) if parts else data

    # -- ending ---------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """The body is complete: give the connection back if it may serve again, have it closed otherwise."""
        connection, call = self.connection, self.call
        turns = connection.turns
        self._finished = True
        try:
            if type(self) is _Unread:
                self.__class__ = ResponseStream  # type: ignore[assignment]  # what it was before
            self._body_read_at = now = monotonic()
            if call.cancel is not None:
                call.cancel.detach()
            try:
                # Refused where either side has not finished or will close, and where bytes came after the body: an
                # answer that nobody asked for is never delivered, and its connection goes (RFC 9112 section 9.2).
                connection.engine.start_next_cycle()
            except protocol.LocalProtocolError:
                self.owner.discard(connection, "it serves no other request")
            else:
                if self._lines.find(b"\r\nkeep-alive:") >= 0:
                    connection.idle_limit = keep_alive_seconds(self._head.headers)
                if connection.error is None:
                    self.owner.release(connection, now)
                else:
                    self.owner.discard(connection, "the call was stopped")
        except BaseException:  # Ctrl-C
            if connection.turns == turns:  # else it is the pool's, and may be another call's by now
                self.owner.abandon(connection)
            raise
        if call.trace is not None:
            call.trace("receive.end", {"bytes": self._received, "seconds": now - self.stamps[3]})

    def _failed(self, error: BaseException) -> BaseException:
        """Give the connection up for *error*; return, and keep for later reads, what the reader must see."""
        known = self._failure
        if known is not None and (
            error is known or (self._closed_in_turn is not None and isinstance(error, Exception))
        ):
            return known  # told before; or what it looks like to be woken by `close`
        if self.call.cancel is not None:
            self.call.cancel.detach()
        if not self._finished:  # else it has been given back, and may be another call's by now
            self._finished = True
            try:
                self.owner.discard(self.connection, type(error).__name__)
            except BaseException:  # as in `_give_up`
                self.owner.abandon(self.connection)
                raise
        failure: BaseException = error
        if isinstance(error, (RemoteDisconnected, protocol.RemoteProtocolError)):
            failure = self._broken_body(error)
        elif isinstance(error, SSLError):
            error.response_started = True
        self._failure = (
            failure if isinstance(failure, Exception) else IncompleteBody("reading was interrupted")
        )
        if self.call.trace is not None:
            self.call.trace("receive.failed", {"bytes": self._received, "error": failure})
        return failure

    def _broken_body(self, error: Exception) -> ChunkedEncodingError:
        """Say what is wrong with the body: too short, or framed wrongly."""
        engine = self.connection.engine
        expected = self._expected_length()
        if isinstance(error, RemoteDisconnected) or engine.trailing_data[1]:
            wanted = "its end marker" if expected is None else f"{expected} bytes"
            return IncompleteBody(
                f"the body ended after {self._received} bytes, expected {wanted}: {error}",
                received=self._received,
                expected=expected,
            )
        return ChunkedEncodingError(f"the body's framing broke after {self._received} bytes: {error}")

    def _expected_length(self) -> int | None:
        """Return what Content-Length announced, where it is what frames the body."""
        fields = dict(self._head.headers)
        if b"transfer-encoding" in fields or b"content-length" not in fields:
            return None
        return int(fields[b"content-length"].split(b",")[0])

    def close(self) -> None:
        """Let go: the connection goes back if the rest of the body is here already, else it is closed.

        Takes no time: only what has arrived is taken in, as far as `ResponseLimits.drain` allows, and can still be read
        afterwards. Idempotent. A thread that waits for more of the body is woken, with StreamConsumedError; so ends
        the next read of one that was reading, however much of the body has arrived.
        """
        try:
            self._take_in(0.0)
        finally:
            self._give_up()

    def drain(self) -> None:
        """As `close`, but wait a quarter of a second for the rest, if it is short.

        For a response that another one follows, such as a redirect: its body is often a packet behind its head,
        and a new connection would cost more. An endless one costs its connection.
        """
        try:
            self._take_in(_DRAIN_SECONDS)
        finally:  # a call that is stopped meanwhile keeps no connection
            self._give_up()

    def _take_in(self, seconds: float) -> None:
        """Take in the rest of the body as far as it comes within *seconds* and is short."""
        connection, limit = self.connection, self.connection.limits.drain
        if (
            self._finished
            or self._is_receiving
            or connection.engine.their_state is protocol.SWITCHED_PROTOCOL
        ):
            return
        if connection.error is not None:
            return  # an end that comes of that is not the body's
        me, closing = get_ident(), StreamConsumedError("another thread is closing the response")
        if self._closer is not None or (self._reader is not None and self._reader != me):
            return  # another thread closes it too, or reads and is not to find bytes missing
        # From that look on there was no call, so no other thread either: one that begins to read now finds the error.
        self._closer, self._failure, kept, self._buffer = me, closing, [self._buffer], b""
        kept.append(self._buffered())
        size, give_up_at = 0, monotonic() + seconds
        if (expires_at := self.call.deadline.expires_at) is not None:
            give_up_at = min(give_up_at, expires_at)
        while connection.engine.passthrough_available() <= limit and size < limit:
            data = connection.receive_ready()
            if data is None:
                left = give_up_at - monotonic()
                if left <= 0 or not connection.wait(for_write=False, seconds=left)[0]:
                    break
                continue
            connection.engine.receive_data(data)
            kept.append(self._buffered())
            size += len(data)
            if self._is_over():
                break
        self._buffer = b"".join(kept)
        if self._failure is closing and (self._reader is None or self._reader == me):
            self._failure = None
        self._closer = None

    def _is_over(self) -> bool:
        return self._finished

    def _give_up(self) -> None:
        """Have the connection closed unless the body is complete, or another thread is about to."""
        if self._is_over():
            return
        me, failure = get_ident(), StreamConsumedError("the response was closed before its body was read")
        if self._finished or (self._closer is not None and self._closer != me):
            return
        # No call since that look: else another thread might have come to the end, and the connection to another call.
        self._finished, self._closed_in_turn = True, self.connection.turns
        self._failure, self._buffer = failure, b""
        if self.call.cancel is not None:
            self.call.cancel.detach()
        if self._is_receiving:  # another thread, which alone may have the descriptor closed that it waits on
            self.connection.abort(None)
        else:
            try:
                self.owner.discard(self.connection, _UNREAD)
            except BaseException:  # Ctrl-C, perhaps at its very door
                self.owner.abandon(self.connection)
                raise

    def detach(self) -> tuple[socket.socket, bytes]:
        """Hand over the socket, in blocking mode, and the bytes that followed the head.

        After 101 (Switching Protocols) or a 2xx to CONNECT; the caller closes the socket. As any socket of his own, a
        child that is forked from then on shares it with him.

        Raises:
            ProtocolError: The peer switched to nothing; the connection is still an HTTP one.
            SessionClosed, ForkError: The call was stopped, or belongs to the parent process.
        """
        if self.connection.error is not None:
            raise self.connection.error
        engine = self.connection.engine
        if self._finished or engine.their_state is not protocol.SWITCHED_PROTOCOL:
            raise ProtocolError("the peer did not switch protocols, so there is no stream to hand over")
        self._finished = True
        if self.call.cancel is not None:
            self.call.cancel.detach()
        self.owner.forget(self.connection)
        return self.connection.detach(), engine.trailing_data[0]


class _Unread(ResponseStream):
    """One whose body is on the wire. Only that has a finaliser: Python drops a Ctrl-C that comes at the door of one."""

    def __del__(self) -> None:
        """Give the connection up; a finaliser may run anywhere, so it neither locks nor reads."""
        if not self._finished:
            self._finished = True
            self.owner.abandon(self.connection)
