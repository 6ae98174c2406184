"""Sending a request and watching for its answer at the same time.

A peer may answer before it has the whole body: with ``100 Continue``, with a refusal, or by going away.  So a
body that does not fit one write is sent without blocking, and where the kernel takes no more, the wait is for
both directions.  RFC 9110 section 10.1.1 (Expect), RFC 9112 section 9.5.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from client import protocol
from client.exceptions import (
    ConnectionError,  # requests' name
    InvalidBody,
    InvalidRequest,
    ProtocolError,
    RemoteDisconnected,
    Timeout,
)
from client.transport.connection import RECEIVE_SIZE, HTTPConnection
from client.transport.file_span import CAN_SENDFILE, FileSpan
from client.transport.readiness import has_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from client.transport.wire import Body, Call, WireRequest
    from client.url import URL

__all__ = ["Answer", "send"]

#: Bodies up to this many bytes leave in one write with the head.
_SMALL_BODY: Final = 65536

#: Seconds of an upload without a look for an answer; a slow body never fills the kernel's buffer, where one is made.
_LISTEN_SECONDS: Final = 0.01

#: Seconds to wait for ``100 Continue`` before the body goes out regardless (curl waits as long).
_CONTINUE_SECONDS: Final = 1.0

#: Bytes of a body in memory between two calls of ``on_sent``.
_SLICE: Final = 256 * 1024

#: Bytes of a file in one packet to a peer on this machine, where packets have 64 KiB, and so at most sixteen pages.
_PACKET: Final = 60 * 1024

#: Bytes for which a connection counts as slower than we are after the kernel's buffer was full.
_SLOW_BYTES: Final = 8 << 20

_END: Final = protocol.EndOfMessage()


class Answer:
    """The final response of one exchange, being waited for; `ResponseStream` adds how it is read.

    There is one for each request, so it has no ``__init__``, and defaults that cost it nothing: whoever makes one sets
    ``connection`` and ``call``.

    Attributes:
        head: The `Response`, or the `InformationalResponse` with 101; None until it is there.
        started: True once any byte arrived.
        closed: True once the peer closed its side, or broke off.
        may_continue: True once ``100 Continue`` arrived.
    """

    connection: HTTPConnection
    call: Call
    head: protocol.Response | protocol.InformationalResponse | None = None
    started: bool = False
    closed: bool = False
    may_continue: bool = False

    def wait(self) -> protocol.Response | protocol.InformationalResponse:
        """Block until the final head is there.

        Raises:
            ProtocolError: The peer sent something else than HTTP/1.1.
            RemoteDisconnected: It closed first.
            SSLError: It refused us in the TLS layer, for want of a client certificate perhaps.
            ReadTimeout, TotalTimeout: It stayed silent.
        """
        connection = self.connection
        while self.head is None:
            data = b"" if self.closed else connection.receive(RECEIVE_SIZE, self.call.deadline)
            if not data:
                raise connection.alert or RemoteDisconnected(
                    "the peer closed in the middle of the response head"
                    if self.started
                    else "the peer closed the connection before it answered"
                )
            self._take(data)
        return self.head

    def has_come(self) -> bool:
        """Take in what has arrived, without blocking; say whether sending should stop."""
        data = self.connection.receive_ready()
        if data is None:
            return False
        if data:
            self._take(data)
        else:
            self.closed = True
        return self.closed or self.head is not None

    def wait_for_continue(self) -> bool:
        """Wait a while for ``100 Continue``; return False if the final answer came instead of it."""
        deadline = self.call.deadline
        give_up_at = monotonic() + _CONTINUE_SECONDS  # one limit, however many other 1xx come meanwhile
        while not self.may_continue and (left := give_up_at - monotonic()) > 0:
            limit = deadline.remaining("read", "continue")
            readable, _ = self.connection.wait(
                for_write=False, seconds=left if limit is None else min(left, limit)
            )
            if not readable:
                break
            if self.has_come():
                return False
        deadline.remaining("read", "continue")
        return True

    def _take(self, data: bytes) -> None:
        """Feed the engine and advance to the final head, past any 1xx."""
        self.started = True
        engine = self.connection.engine
        engine.receive_data(data)
        try:
            while True:
                event = engine.next_event()
                if type(event) is protocol.Response:
                    self.head = event
                    return
                if type(event) is not protocol.InformationalResponse:
                    return  # NEED_DATA
                if event.status_code == 101:
                    self.head = event
                    return
                if event.status_code == 100:
                    self.may_continue = True
                if self.call.on_informational is not None:
                    self.call.on_informational(event.status_code, event.headers.raw_items())
        except protocol.RemoteProtocolError as error:
            raise ProtocolError(f"the peer's response is not HTTP/1.1: {error}") from error


def send(connection: HTTPConnection, request: WireRequest, call: Call, answer: Answer) -> int:
    """Send *request*, or as much of it as the peer wants; return the bytes that the kernel took.

    A connection that breaks while sending is no error yet: the answer may have arrived before it broke.

    Raises:
        ProtocolError: The peer of a fresh connection spoke first; nothing was sent.
        InvalidRequest: The head cannot be framed; nothing was sent.
        InvalidBody: The body is longer or shorter than announced.
        WriteTimeout, TotalTimeout: The peer took nothing in time; ``bytes_sent`` is exact.
        ForkError: The body's iterator or a callback forked, and this is the child.
        Exception: Whatever the body's iterator raises.
    """
    if not connection.reused and connection.has_spoken():
        answer.started = True
        raise ProtocolError(
            "the peer spoke before it was asked: it is no HTTP server, or answers another question"
        )
    body, trailers = request.body, request.trailers
    if call.proxy is None:
        target, headers = request.url.target, request.headers
    else:
        target, headers = request.for_proxy(call.proxy)
    if request.method == "CONNECT":
        target = _authority(request.url)
    try:
        asked = connection.asked
        if asked is None or asked[0] != request.method or asked[1] != target or asked[2] != headers:
            event = protocol.Request(method=request.method.encode(), target=target, headers=headers)
            # A copy: the caller may change his list before the next request.
            connection.asked = asked = (request.method, target, headers.copy(), event)
    except protocol.LocalProtocolError as error:
        raise InvalidRequest(str(error)) from error
    if trailers is None and (
        body is None or (type(body) is bytes and len(body) <= _SMALL_BODY and not call.expect)
    ):
        return _send_whole(connection, asked[3], body, call)
    upload = _Upload(connection, call, answer)
    try:
        upload.run(asked[3], request)
    except (ConnectionError, Timeout) as error:
        error.bytes_sent = upload.sent
        raise
    except protocol.LocalProtocolError as error:
        raise _unfit(error) from error
    return upload.sent


def _send_whole(connection: HTTPConnection, event: protocol.Request, body: bytes | None, call: Call) -> int:
    """Send a request at once; return what the kernel took of it before it took it all or the peer went away."""
    try:
        data = connection.engine.send_message(event, body or b"")
    except protocol.LocalProtocolError as error:
        raise (_unfit(error) if body else InvalidRequest(str(error))) from error
    try:
        connection.send_whole(data, call.deadline)
    except RemoteDisconnected as error:
        return error.bytes_sent
    if body is not None and call.on_sent is not None:
        call.on_sent(len(body))
    return len(data)


def _unfit(error: protocol.LocalProtocolError) -> InvalidBody:
    return InvalidBody(f"the body does not fit its announced length: {error}")


class _Upload:
    """Sends a body that does not fit one write, until it is sent or the peer has answered or gone."""

    __slots__ = ("_answer", "_call", "_connection", "_full_at", "sent")

    def __init__(self, connection: HTTPConnection, call: Call, answer: Answer) -> None:
        self._connection = connection
        self._call = call
        self._answer = answer
        self._full_at = -_SLOW_BYTES  # what was sent when the kernel last took less than it was offered
        self.sent = 0

    def run(self, head: protocol.Request, request: WireRequest) -> None:
        """Send *head* and the body of *request*."""
        try:
            parts: list[Any] = [self._connection.engine.send(head)]
        except protocol.LocalProtocolError as error:
            raise InvalidRequest(str(error)) from error
        if self._call.expect:
            if not self._push(parts) or not self._is_wanted():
                return
            parts = []
        self._check()  # before the body is touched, as in `_push_body`
        if isinstance(request.body, bytes) and self._call.on_sent is not None:
            pieces = _slices(request.body)
        else:
            pieces = _pieces(request.body, is_plain=not self._connection.is_tls)
        try:
            is_wanted = self._push_body(parts, pieces)
        finally:
            if hasattr(pieces, "close"):
                pieces.close()  # and so the file that spans are of, now and not when it is collected
        if is_wanted:
            end = protocol.EndOfMessage(headers=request.trailers()) if request.trailers is not None else _END
            if self._push([*parts, self._connection.engine.send(end)]):
                self._check()

    def _push_body(self, parts: list[Any], pieces: Iterator[bytes | FileSpan]) -> bool:
        """Send *parts*, then *pieces* with their framing; return as `_push`. Without a piece, *parts* stay unsent."""
        connection, push, on_sent = self._connection, self._push, self._call.on_sent
        frame = connection.engine.frame_data
        done, listen_at = 0, monotonic() + _LISTEN_SECONDS
        for piece in pieces:
            if not len(piece):  # not its truth: a zero of numpy's is false, and None is no empty piece
                continue  # an empty chunk would end a chunked body (RFC 9112 section 7.1)
            if (now := monotonic()) > listen_at:
                listen_at = now + _LISTEN_SECONDS
                self._check()
                if connection.wait(for_write=False, seconds=0)[0] and self._answer.has_come():
                    return False
            framed: list[Any] = frame(piece)  # type: ignore[arg-type]  # a span stands for its bytes
            if parts:  # the head leaves with the first piece
                framed = [*parts, *framed]
                parts.clear()
            if not (self._push_around(piece, framed) if type(piece) is FileSpan else push(framed)):
                return False
            if on_sent is not None:
                done += len(piece)
                on_sent(done)
            if connection.error is not None:  # in a forked child: the file's position is its parent's as well
                raise connection.error
        return True

    def _is_wanted(self) -> bool:
        """Wait for ``100 Continue``; say whether the body is to be sent."""
        trace = self._call.trace
        if trace is None:
            return self._answer.wait_for_continue()
        started, outcome = monotonic(), "failed"
        trace("continue.start", {})
        try:
            wanted = self._answer.wait_for_continue()
            outcome = "end"
        finally:
            trace(f"continue.{outcome}", {"seconds": monotonic() - started})
        return wanted

    def _push(self, parts: list[Any]) -> bool:
        """Send all of *parts*; return False if the peer answered or went away, so that sending must stop."""
        connection, left = self._connection, 0
        for part in parts:
            left += len(part)  # half of what `sum(map(len, parts))` costs
        while left:
            try:
                count = connection.send_ready(parts)
            except OSError as error:
                if connection.error is not None:
                    raise connection.error from error
                return False
            self.sent += count
            if count == left:
                break
            if count:
                left -= count
                parts = _after(parts, count)
            elif not self._wait_for_room():
                return False
        return True

    def _push_around(self, span: FileSpan, parts: list[Any]) -> bool:
        """Send *parts*, one of which is *span*; return as `_push`."""
        if len(parts) == 1:
            return self._push_span(span)
        at = next(index for index, part in enumerate(parts) if part is span)
        return self._push(parts[:at]) and self._push_span(span) and self._push(parts[at + 1 :])

    def _push_span(self, span: FileSpan) -> bool:
        """Let the kernel send *span*; return as `_push`."""
        connection, done = self._connection, 0
        # A kernel that paces sets a timer for each packet that comes sooner than the one before it lets, which costs
        # more than to send it. One packet a call comes later than that, if the network is faster than we are: half the
        # CPU time, and a third of the wall time to a container of this machine. If it is slower, the buffer fills, and
        # many at a time cost less; and if there are other threads, as each call may wait 5 ms for Python's lock.
        by_packets = connection.is_paced() and not has_threads()
        connection.set_blocking(False)
        try:
            while done < len(span):
                is_fast = self.sent - self._full_at >= _SLOW_BYTES
                offered = min(len(span) - done, _PACKET if by_packets and is_fast else len(span))
                try:
                    count = connection.send_span_ready(span, done, offered)
                except InvalidBody:
                    raise
                except OSError:
                    # The connection broke, or this kind of file can only be read; the usual road finds out.
                    return self._push([span.read(done)])
                self.sent += count
                done += count
                if count < offered:  # so it is full: to offer it more before it has room is work for nothing
                    self._full_at = self.sent
                    if not self._wait_for_room():
                        return False
        finally:
            connection.set_blocking(True)
        self._check()
        return True

    def _check(self) -> None:
        """Raise what ends the call from outside: `abort`, or the deadline; a peer can take every byte and be late."""
        if self._connection.error is not None:
            raise self._connection.error
        self._call.deadline.remaining("write", "write")

    def _wait_for_room(self) -> bool:
        """Wait until the kernel takes more; return False once the answer or the end came in first."""
        deadline = self._call.deadline
        readable, writable = self._connection.wait(
            for_write=True, seconds=deadline.remaining("write", "write")
        )
        if readable and self._answer.has_come():
            return False
        if not (readable or writable):
            error = deadline.error("write", "write")
            error.bytes_sent = self.sent
            raise error
        return True


def _pieces(body: bytes | Body | None, *, is_plain: bool) -> Iterator[bytes | FileSpan]:
    """Return what *body* is made of; runs of files as such where the kernel can send them, so not under TLS."""
    if body is None or isinstance(body, bytes):
        return iter((body or b"",))
    if is_plain and CAN_SENDFILE and hasattr(body, "spans"):
        spans: Iterator[bytes | FileSpan] = body.spans()
        return spans
    return body.chunks()


def _slices(body: bytes) -> Iterator[bytes | FileSpan]:
    """Return *body* in parts, for a caller who wants to be told how far they are."""
    return (body[at : at + _SLICE] for at in range(0, len(body), _SLICE))


def _authority(url: URL) -> bytes:
    """Return host and port, the only form of target that CONNECT has (RFC 9112 section 3.2.3)."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port}".encode("ascii")


def _after(parts: list[Any], count: int) -> list[Any]:
    """Return what is left of *parts* once their first *count* bytes are sent."""
    for index, part in enumerate(parts):
        if count < len(part):
            return [memoryview(part)[count:], *parts[index + 1 :]]
        count -= len(part)
    return []
